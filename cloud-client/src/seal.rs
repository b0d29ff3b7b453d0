//! Sealed objects, version 1, suite 1: encryption from the scanner to the workflow runner.
//!
//! The format is section 1 of `docs/formats.md`. A [`Sealer`] turns plaintext pushed in any pieces
//! into a header and authenticated chunks; an [`Opener`] releases plaintext only after the chunk it
//! stands in has been verified, and [`Opener::finish`] says whether the object was whole. Neither
//! holds more than one chunk. An object is bound to its tenant, device, job, number and kind: moved
//! anywhere else it does not open.
//!
//! ```
//! use scantrip_cloud_client::seal::{self, ObjectId, ObjectKind, PrivateKey};
//!
//! let mut random = |bytes: &mut [u8]| bytes.fill(7); // a real caller asks the system
//! let private = PrivateKey::generate(&mut random);
//! let id = ObjectId {
//!     kind: ObjectKind::Page,
//!     tenant: "t-1".to_owned(),
//!     device: "d-1".to_owned(),
//!     job: [1; 16],
//!     object: 1,
//! };
//! let sealed = seal::seal_to_vec(private.public(), &id, b"a page", &mut random)?;
//! assert_eq!(*seal::open_to_vec(&private, &id, &sealed)?, b"a page");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod header;
mod key;
mod opener;
mod sealer;
mod suite;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

pub use header::{HeaderError, ObjectHeader};
pub use key::{KeyError, PrivateKey, RecipientKey};
pub use opener::{OpenError, Opener, open_to_vec};
pub use sealer::{SealError, Sealer, seal_to_vec, sealed_len};

/// Media type of a sealed object.
pub const SEALED_MEDIA_TYPE: &str = "application/vnd.scantrip.sealed";
/// Length of the header.
pub const HEADER_BYTES: usize = 163;
/// What each chunk grows by: the authentication tag.
pub const TAG_BYTES: usize = 16;
/// The chunk size of the product: large enough that a tag costs nothing, small for a device.
pub const CHUNK_BYTES: u32 = 64 * 1024;
/// Smallest chunk size; only tests use it.
pub const CHUNK_BYTES_MIN: u32 = 16;
/// Largest chunk size: what an opener may be made to hold.
pub const CHUNK_BYTES_MAX: u32 = 1024 * 1024;
/// Longest tenant or device id, so that `info` stays far below the 64 KiB of HPKE's labels.
pub const ID_BYTES_MAX: usize = 256;

/// What a sealed object holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// A scanned page, as the scanner made it.
    Page,
    /// A [`Manifest`](crate::wire::Manifest).
    Manifest,
    /// An [`Intent`](crate::wire::Intent).
    Intent,
    /// Anything that the cloud keeps between two steps.
    Blob,
}

impl ObjectKind {
    const ALL: [Self; 4] = [Self::Page, Self::Manifest, Self::Intent, Self::Blob];

    /// The number in the header.
    fn number(self) -> u8 {
        match self {
            Self::Page => 1,
            Self::Manifest => 2,
            Self::Intent => 3,
            Self::Blob => 4,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// Which object of whom: all that a sealed object is bound to besides the recipient's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectId {
    /// What it holds.
    pub kind: ObjectKind,
    /// The tenant's id, at most [`ID_BYTES_MAX`] bytes.
    pub tenant: String,
    /// The device's id, at most [`ID_BYTES_MAX`] bytes.
    pub device: String,
    /// The job id's bytes; zeros for a blob outside a job.
    pub job: [u8; 16],
    /// 0 manifest, 1 and up pages, [`INTENT_OBJECT`](crate::wire::INTENT_OBJECT) intent.
    pub object: u32,
}
