//! The header of a sealed object: 163 bytes in clear, all of them authenticated.

use super::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, HEADER_BYTES, ObjectKind};

const MAGIC: [u8; 4] = *b"STSO";
const VERSION: u8 = 1;
const SUITE: u16 = 1;
/// Length of an uncompressed P-256 point.
pub(super) const ENC_BYTES: usize = 65;
/// The header up to the encapsulated key, which HPKE's `info` binds.
pub(super) const BOUND_BYTES: usize = 66;

/// A header that was read, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectHeader {
    /// What the object holds.
    pub kind: ObjectKind,
    /// Plaintext bytes of each chunk but the last.
    pub chunk_size: u32,
    /// Which recipient's key opens it.
    pub key_id: [u8; 32],
    /// The job id's bytes.
    pub job: [u8; 16],
    /// The object's number in the job.
    pub object: u32,
    /// The encapsulated key.
    pub enc: [u8; ENC_BYTES],
    /// Commits to the body key.
    pub commitment: [u8; 32],
}

/// Why bytes are no header of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Fewer than 163 bytes.
    #[error("a sealed object's header has {HEADER_BYTES} bytes, here are {0}")]
    Short(usize),
    /// Does not begin with `STSO`.
    #[error("not a sealed object")]
    Magic,
    /// A later format.
    #[error("sealed object of version {0}; this program reads version 1")]
    Version(u8),
    /// No known kind.
    #[error("sealed object of unknown kind {0}")]
    Kind(u8),
    /// A later suite.
    #[error("sealed object of suite {0}; this program reads suite 1")]
    Suite(u16),
    /// Outside 16 bytes to 1 MiB.
    #[error("chunk size {0} is outside {CHUNK_BYTES_MIN} to {CHUNK_BYTES_MAX} bytes")]
    ChunkSize(u32),
    /// Not the length of the suite's encapsulated key.
    #[error("encapsulated key of {0} bytes; suite 1 has {ENC_BYTES}")]
    EncLength(u16),
}

impl ObjectHeader {
    /// Reads the header at the beginning of a sealed object.
    ///
    /// # Errors
    /// [`HeaderError`] names the first field that does not fit.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let mut fields = Fields(
            bytes
                .get(..HEADER_BYTES)
                .ok_or(HeaderError::Short(bytes.len()))?,
        );
        if fields.take() != MAGIC {
            return Err(HeaderError::Magic);
        }
        let [version] = fields.take();
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let [kind] = fields.take();
        let kind = ObjectKind::from_number(kind).ok_or(HeaderError::Kind(kind))?;
        let suite = u16::from_be_bytes(fields.take());
        if suite != SUITE {
            return Err(HeaderError::Suite(suite));
        }
        let chunk_size = u32::from_be_bytes(fields.take());
        check_chunk_size(chunk_size)?;
        let key_id = fields.take();
        let job = fields.take();
        let object = u32::from_be_bytes(fields.take());
        let enc_length = u16::from_be_bytes(fields.take());
        if usize::from(enc_length) != ENC_BYTES {
            return Err(HeaderError::EncLength(enc_length));
        }
        let (enc, commitment) = (fields.take(), fields.take());
        Ok(Self {
            kind,
            chunk_size,
            key_id,
            job,
            object,
            enc,
            commitment,
        })
    }

    /// The exact bytes.
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let (bound, rest) = bytes.split_at_mut(BOUND_BYTES);
        let (enc, commitment) = rest.split_at_mut(ENC_BYTES);
        bound.copy_from_slice(&self.bound());
        enc.copy_from_slice(&self.enc);
        commitment.copy_from_slice(&self.commitment);
        bytes
    }

    /// The bytes before the encapsulated key.
    pub(super) fn bound(&self) -> [u8; BOUND_BYTES] {
        let enc_length = u16::try_from(ENC_BYTES).expect("65 fits");
        let fields: [&[u8]; 9] = [
            &MAGIC,
            &[VERSION],
            &[self.kind.number()],
            &SUITE.to_be_bytes(),
            &self.chunk_size.to_be_bytes(),
            &self.key_id,
            &self.job,
            &self.object.to_be_bytes(),
            &enc_length.to_be_bytes(),
        ];
        fields
            .concat()
            .try_into()
            .expect("the fields before enc are 66 bytes")
    }
}

pub(super) fn check_chunk_size(chunk_size: u32) -> Result<(), HeaderError> {
    if (CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX).contains(&chunk_size) {
        Ok(())
    } else {
        Err(HeaderError::ChunkSize(chunk_size))
    }
}

/// The rest of a header, read field by field.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self
            .0
            .split_first_chunk()
            .expect("the fields sum up to 163 bytes");
        self.0 = rest;
        *field
    }
}
