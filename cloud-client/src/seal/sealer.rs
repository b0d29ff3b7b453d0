//! Plaintext in, sealed bytes out.

use zeroize::Zeroizing;

use super::header::{HeaderError, ObjectHeader, check_chunk_size};
use super::suite::{self, ChunkCipher};
use super::{CHUNK_BYTES, HEADER_BYTES, ID_BYTES_MAX, ObjectId, RecipientKey, TAG_BYTES};
use crate::wire::OBJECT_BYTES_MAX;

/// Why an object cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Outside 16 bytes to 1 MiB.
    #[error(transparent)]
    ChunkSize(HeaderError),
    /// A tenant or device id above [`ID_BYTES_MAX`].
    #[error("an id of {0} bytes; at most {ID_BYTES_MAX} can be sealed to")]
    IdTooLong(usize),
    /// Would pass 2 GiB.
    #[error("a sealed object has at most {OBJECT_BYTES_MAX} bytes")]
    TooLarge,
}

/// Seals one object.
///
/// Store [`header`](Self::header), then what each [`push`](Self::push) appends, then what
/// [`finish`](Self::finish) appends. An object that was not finished does not open.
pub struct Sealer {
    header: [u8; HEADER_BYTES],
    chunks: ChunkCipher,
    chunk_size: usize,
    /// Plaintext that waits until it is known whether it is the last chunk.
    held: Zeroizing<Vec<u8>>,
    plaintext_len: u64,
}

impl Sealer {
    /// Begins an object with a fresh key made of 32 random bytes.
    ///
    /// # Errors
    /// [`SealError::ChunkSize`] and [`SealError::IdTooLong`].
    pub fn new(
        recipient: &RecipientKey,
        id: &ObjectId,
        chunk_size: u32,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Self, SealError> {
        check_chunk_size(chunk_size).map_err(SealError::ChunkSize)?;
        let longest = id.tenant.len().max(id.device.len());
        if longest > ID_BYTES_MAX {
            return Err(SealError::IdTooLong(longest));
        }
        let mut header = ObjectHeader {
            kind: id.kind,
            chunk_size,
            key_id: recipient.key_id(),
            job: id.job,
            object: id.object,
            enc: [0; 65],
            commitment: [0; 32],
        };
        let (enc, derived) = suite::encapsulate(recipient, id, &header.bound(), random);
        header.enc = enc;
        header.commitment = derived.commitment;
        Ok(Self {
            header: header.to_bytes(),
            chunks: derived.chunks,
            chunk_size: chunk_size as usize,
            held: Zeroizing::new(Vec::with_capacity(chunk_size as usize + TAG_BYTES)),
            plaintext_len: 0,
        })
    }

    /// Takes plaintext and appends the chunks that it completes.
    ///
    /// # Errors
    /// [`SealError::TooLarge`]; then nothing was taken.
    pub fn push(&mut self, mut plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
        let added = u64::try_from(plaintext.len()).or(Err(SealError::TooLarge))?;
        let total = self.plaintext_len.saturating_add(added);
        if sealed_len(total, self.chunk_size as u32) > OBJECT_BYTES_MAX {
            return Err(SealError::TooLarge);
        }
        self.plaintext_len = total;
        // A full chunk is held until more comes: only then is it known not to be the last.
        if !self.held.is_empty() {
            let wanted = self.chunk_size - self.held.len();
            let (head, tail) = plaintext.split_at(wanted.min(plaintext.len()));
            self.held.extend_from_slice(head);
            plaintext = tail;
            if plaintext.is_empty() {
                return Ok(());
            }
            self.release(false, out);
        }
        while plaintext.len() > self.chunk_size {
            let (chunk, tail) = plaintext.split_at(self.chunk_size);
            append(&mut self.chunks, chunk, false, out);
            plaintext = tail;
        }
        self.held.extend_from_slice(plaintext);
        Ok(())
    }

    /// Appends the last chunk.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.release(true, out);
    }

    /// Encrypts the held chunk where it stands. Into an empty `out` it moves without a copy: the
    /// two buffers change places.
    fn release(&mut self, last: bool, out: &mut Vec<u8>) {
        let tag = self.chunks.seal(&mut self.held, last);
        self.held.extend_from_slice(&tag);
        if out.is_empty() {
            std::mem::swap(&mut *self.held, out);
        } else {
            out.extend_from_slice(&self.held);
        }
        self.held.clear();
        // While it is empty, so that no plaintext is left behind by a buffer that grows.
        self.held.reserve_exact(self.chunk_size + TAG_BYTES);
    }

    #[cfg(test)]
    pub(super) fn pretend_pushed(&mut self, len: u64) {
        self.plaintext_len = len;
    }

    /// The first bytes of the object.
    pub fn header(&self) -> &[u8; HEADER_BYTES] {
        &self.header
    }
}

/// Copies the chunk to its place and encrypts it there.
fn append(chunks: &mut ChunkCipher, chunk: &[u8], last: bool, out: &mut Vec<u8>) {
    out.reserve(chunk.len() + TAG_BYTES);
    let start = out.len();
    out.extend_from_slice(chunk);
    let (_, placed) = out.split_at_mut(start);
    let tag = chunks.seal(placed, last);
    out.extend_from_slice(&tag);
}

/// Seals a small object, such as a manifest, in one go.
///
/// # Errors
/// As [`Sealer::new`] and [`Sealer::push`].
pub fn seal_to_vec(
    recipient: &RecipientKey,
    id: &ObjectId,
    plaintext: &[u8],
    random: &mut dyn FnMut(&mut [u8]),
) -> Result<Vec<u8>, SealError> {
    let mut sealer = Sealer::new(recipient, id, CHUNK_BYTES, random)?;
    let mut out = sealer.header().to_vec();
    sealer.push(plaintext, &mut out)?;
    sealer.finish(&mut out);
    Ok(out)
}

/// Length of the sealed object for a plaintext of this length, at most [`u64::MAX`].
pub fn sealed_len(plaintext_len: u64, chunk_size: u32) -> u64 {
    let chunks = plaintext_len.div_ceil(u64::from(chunk_size.max(1))).max(1);
    chunks
        .saturating_mul(TAG_BYTES as u64)
        .saturating_add(plaintext_len)
        .saturating_add(HEADER_BYTES as u64)
}
