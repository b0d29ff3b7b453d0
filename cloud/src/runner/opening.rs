//! Opens sealed objects as they are read, in pieces.

use std::io::{self, Read};

use scantrip_cloud_client::seal::{
    HEADER_BYTES, HeaderError, ObjectHeader, ObjectId, OpenError, Opener,
};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::keyring::Keyring;
use crate::ports::hex;
use crate::steps::StepFault;

/// Why an object cannot be opened.
#[derive(Debug, Error)]
pub(super) enum ObjectFault {
    /// Storage failed.
    #[error("cannot read the sealed bytes")]
    Read(#[source] io::Error),
    /// Not what was sealed.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No such key here.
    #[error(
        "it is sealed to a key that this cloud does not have (restore the key folder from its \
         backup)"
    )]
    NoKey,
    /// Not what the envelope names.
    #[error("its sealed bytes are not the ones that the device sent")]
    OtherBytes,
    /// From the receiver of the plaintext.
    #[error(transparent)]
    Sink(#[from] StepFault),
}

impl ObjectFault {
    /// The fault of a step that needed `what`.
    pub(super) fn of(self, what: &str) -> StepFault {
        match self {
            Self::Read(_) => StepFault::internal(self),
            Self::Sink(fault) => fault,
            _ => StepFault::Refused {
                reason: format!("{what} cannot be opened: {self}"),
            },
        }
    }
}

/// Opens the object `id`, whose sealed bytes come from `sealed`, and hands out its plaintext.
/// Pieces given to `sink` are authentic; the object is whole only when this returns `Ok`.
pub(super) fn open(
    keyring: &Keyring,
    id: &ObjectId,
    sha256: &str,
    mut sealed: impl Read,
    sink: &mut dyn FnMut(&[u8]) -> Result<(), StepFault>,
) -> Result<(), ObjectFault> {
    let mut header = [0; HEADER_BYTES];
    sealed
        .read_exact(&mut header)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => OpenError::Header(HeaderError::Short(0)).into(),
            _ => ObjectFault::Read(error),
        })?;
    let key_id = ObjectHeader::parse(&header)
        .map_err(OpenError::Header)?
        .key_id;
    let key = keyring.get(&key_id).ok_or(ObjectFault::NoKey)?;
    let mut opener = Opener::new(key, id, &header)?;
    let mut hash = Sha256::new();
    hash.update(header);
    let mut buffer = vec![0; READ_BYTES];
    let mut plain = Vec::new();
    loop {
        let count = sealed.read(&mut buffer).map_err(ObjectFault::Read)?;
        let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else {
            break;
        };
        hash.update(piece);
        opener.push(piece, &mut plain)?;
        sink(&plain)?;
        plain.clear();
    }
    opener.finish(&mut plain)?;
    if hex(&hash.finalize()) != sha256 {
        return Err(ObjectFault::OtherBytes);
    }
    Ok(sink(&plain)?)
}

/// A chunk and its tag, rounded up.
const READ_BYTES: usize = 128 * 1024;
