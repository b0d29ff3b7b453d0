//! Sealed bytes in, verified plaintext out.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::header::{HeaderError, ObjectHeader};
use super::suite::{self, ChunkCipher};
use super::{HEADER_BYTES, ID_BYTES_MAX, ObjectId, PrivateKey, TAG_BYTES};
use crate::wire::OBJECT_BYTES_MAX;

/// Why an object does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Not a header of this version.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Sealed to another key; `key_id` of the header says to which.
    #[error("the object is sealed to another key")]
    OtherKey,
    /// The header names another job, object or kind than the one asked for.
    #[error("the object's header names another object than the one asked for")]
    OtherObject,
    /// The encapsulated key is no point of the curve.
    #[error("the object's encapsulated key is not a point of the curve")]
    Encapsulation,
    /// The commitment does not fit: altered, or of another tenant or device.
    #[error("the object is damaged, or was sealed for another tenant or device")]
    Commitment,
    /// A chunk was altered, cut, moved or is not the last although the object ends.
    #[error("chunk {0} of the object is damaged, out of place or cut off")]
    Chunk(u64),
    /// Above 2 GiB.
    #[error("a sealed object has at most {OBJECT_BYTES_MAX} bytes")]
    TooLarge,
}

/// Opens one object.
///
/// Plaintext appended by [`push`](Self::push) is authentic but may be only the beginning; the object
/// is whole when [`finish`](Self::finish) succeeds. After an error every further call fails.
pub struct Opener {
    chunks: ChunkCipher,
    sealed_chunk_size: usize,
    /// Sealed bytes that wait until it is known whether they are the last chunk.
    held: Vec<u8>,
    opened_chunks: u64,
    sealed_len: u64,
    failed: Option<OpenError>,
}

impl Opener {
    /// Checks the header (exactly [`HEADER_BYTES`] bytes) against the key and the wanted object.
    ///
    /// # Errors
    /// Every [`OpenError`] but the chunk's.
    pub fn new(
        private: &PrivateKey,
        expected: &ObjectId,
        header: &[u8; HEADER_BYTES],
    ) -> Result<Self, OpenError> {
        let header = ObjectHeader::parse(header)?;
        if header.key_id != private.public().key_id() {
            return Err(OpenError::OtherKey);
        }
        let named = (header.kind, header.job, header.object);
        if named != (expected.kind, expected.job, expected.object) {
            return Err(OpenError::OtherObject);
        }
        if expected.tenant.len().max(expected.device.len()) > ID_BYTES_MAX {
            return Err(OpenError::Commitment);
        }
        let derived = suite::decapsulate(private, expected, &header.bound(), &header.enc)
            .or(Err(OpenError::Encapsulation))?;
        if !bool::from(derived.commitment.ct_eq(&header.commitment)) {
            return Err(OpenError::Commitment);
        }
        Ok(Self {
            chunks: derived.chunks,
            sealed_chunk_size: header.chunk_size as usize + TAG_BYTES,
            held: Vec::new(),
            opened_chunks: 0,
            sealed_len: HEADER_BYTES as u64,
            failed: None,
        })
    }

    /// Takes sealed bytes after the header and appends the plaintext of the chunks they complete.
    ///
    /// # Errors
    /// [`OpenError::Chunk`], [`OpenError::TooLarge`]; chunks before the bad one were appended.
    pub fn push(&mut self, mut sealed: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
        self.count(sealed.len())?;
        if !self.held.is_empty() {
            let wanted = self.sealed_chunk_size - self.held.len();
            let (head, tail) = sealed.split_at(wanted.min(sealed.len()));
            self.held.extend_from_slice(head);
            sealed = tail;
            if sealed.is_empty() {
                return Ok(());
            }
            let held = std::mem::take(&mut self.held);
            self.append(&held, false, out)?;
            self.held = held;
            self.held.clear();
        }
        while sealed.len() > self.sealed_chunk_size {
            let (chunk, tail) = sealed.split_at(self.sealed_chunk_size);
            self.append(chunk, false, out)?;
            sealed = tail;
        }
        self.held.extend_from_slice(sealed);
        Ok(())
    }

    /// Appends the last chunk's plaintext; only now is the object known to be whole.
    ///
    /// # Errors
    /// [`OpenError::Chunk`] if the object is cut off.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), OpenError> {
        self.count(0)?;
        // The sealer never ends a longer object with an empty chunk, so no one else may.
        if self.held.len() <= TAG_BYTES && self.opened_chunks > 0 {
            return Err(OpenError::Chunk(self.opened_chunks));
        }
        let held = std::mem::take(&mut self.held);
        self.append(&held, true, out)
    }

    fn count(&mut self, added: usize) -> Result<(), OpenError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.sealed_len = self.sealed_len.saturating_add(added as u64);
        if self.sealed_len > OBJECT_BYTES_MAX {
            self.failed = Some(OpenError::TooLarge);
            return Err(OpenError::TooLarge);
        }
        Ok(())
    }

    /// Copies the chunk to its place and decrypts it there; a bad one is taken away again.
    fn append(&mut self, sealed: &[u8], last: bool, out: &mut Vec<u8>) -> Result<(), OpenError> {
        let start = out.len();
        let opened = sealed
            .split_last_chunk::<TAG_BYTES>()
            .is_some_and(|(chunk, tag)| {
                out.extend_from_slice(chunk);
                let (_, placed) = out.split_at_mut(start);
                self.chunks.open(placed, tag, last).is_ok()
            });
        if !opened {
            out.truncate(start);
            let error = OpenError::Chunk(self.opened_chunks);
            self.failed = Some(error);
            return Err(error);
        }
        self.opened_chunks += 1;
        Ok(())
    }
}

/// Opens a small object, such as a manifest, in one go.
///
/// # Errors
/// As [`Opener::new`], [`Opener::push`] and [`Opener::finish`].
pub fn open_to_vec(
    private: &PrivateKey,
    expected: &ObjectId,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (header, body) = sealed
        .split_first_chunk::<HEADER_BYTES>()
        .ok_or(OpenError::Header(HeaderError::Short(sealed.len())))?;
    let mut opener = Opener::new(private, expected, header)?;
    // Reserved at once, so that plaintext is not left behind by a growing buffer.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(body.len()));
    opener.push(body, &mut plaintext)?;
    opener.finish(&mut plaintext)?;
    Ok(plaintext)
}
