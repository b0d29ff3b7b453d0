//! What the device remembers: small values by name, sealed with the device-local key.
//!
//! Each value has two copies, `NAME.a` and `NAME.b`, with a generation inside the seal; the higher
//! one counts. A new value replaces the older copy, so that the last good one is never touched, and
//! a copy that does not open falls back to the other. A copy is magic `STKV`, a version (1, u16
//! little-endian), then what [`KeyStore::seal_local`] gave for the generation (u64 little-endian)
//! and the value, with the context `FOLDER/NAME`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use embedded_svc::storage::{RawStorage, StorageBase};

use crate::disk::{Disk, DiskError, DiskErrorKind};
use crate::keys::{KeyError, KeyStore};

const MAGIC: &[u8; 4] = b"STKV";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 6;
const GENERATION_BYTES: usize = 8;

/// The longest value: twice the largest desired state, so that no file is read without bound.
pub const VALUE_BYTES_MAX: usize = 2 << 20;
/// What magic, version, generation and any seal add at most.
const OVERHEAD_BYTES_MAX: usize = 1024;
/// The longest name of a value.
pub const NAME_BYTES_MAX: usize = 64;

/// Why a value could not be read or stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealedStorageError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The key store refused.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// A name is 1 to 64 letters, digits, `-` and `_`.
    #[error("not a name for a stored value: {0:?}")]
    Name(String),
    /// The value is longer than [`VALUE_BYTES_MAX`].
    #[error("value of {name} is too long to store: {length} bytes")]
    TooLong {
        /// The value's name.
        name: String,
        /// Its length in bytes.
        length: usize,
    },
    /// The buffer given is shorter than the value.
    #[error("value of {name} needs a buffer of {length} bytes")]
    BufferTooShort {
        /// The value's name.
        name: String,
        /// Its length in bytes.
        length: usize,
    },
    /// Copies are there, and none opens: damaged, or sealed by another device.
    #[error("stored value {0} is damaged or of another device")]
    Damaged(String),
    /// Written by a newer version of this program; left untouched.
    #[error("stored value {0} is of a newer version than this program")]
    Newer(String),
}

/// Key-value storage on a [`Disk`], sealed by a [`KeyStore`].
pub struct SealedStorage {
    disk: Arc<dyn Disk>,
    keys: Arc<dyn KeyStore>,
    folder: String,
}

struct Copy {
    path: String,
    content: Content,
}

enum Content {
    Absent,
    Damaged,
    Good { generation: u64, value: Vec<u8> },
}

impl Copy {
    /// Orders copies by what they are worth: none, damaged, old, new.
    const fn rank(&self) -> (u8, u64) {
        match &self.content {
            Content::Absent => (0, 0),
            Content::Damaged => (1, 0),
            Content::Good { generation, .. } => (2, *generation),
        }
    }
}

impl SealedStorage {
    /// The values in `folder` of `disk`; the folder is made with the first value.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, keys: Arc<dyn KeyStore>, folder: &str) -> Self {
        Self {
            disk,
            keys,
            folder: folder.to_string(),
        }
    }

    /// The value of `name`, if there is one.
    ///
    /// # Errors
    /// When copies are there and none opens, or disk or key store refuse.
    pub fn value(&self, name: &str) -> Result<Option<Vec<u8>>, SealedStorageError> {
        let [_, newest] = self.copies(name)?;
        match newest.content {
            Content::Absent => Ok(None),
            Content::Damaged => Err(SealedStorageError::Damaged(name.to_string())),
            Content::Good { value, .. } => Ok(Some(value)),
        }
    }

    /// Both copies, the one that counts last.
    fn copies(&self, name: &str) -> Result<[Copy; 2], SealedStorageError> {
        let symbol = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(symbol) {
            return Err(SealedStorageError::Name(name.to_string()));
        }
        let a = self.copy(name, "a")?;
        let b = self.copy(name, "b")?;
        let copies = if a.rank() > b.rank() { [b, a] } else { [a, b] };
        if let [
            Copy {
                path,
                content: Content::Damaged,
            },
            Copy {
                content: Content::Good { .. },
                ..
            },
        ] = &copies
        {
            log::warn!("stored value {path} is damaged; its other copy is used");
        }
        Ok(copies)
    }

    fn copy(&self, name: &str, suffix: &str) -> Result<Copy, SealedStorageError> {
        let path = format!("{}/{name}.{suffix}", self.folder);
        let content = match self.read(&path) {
            Ok(bytes) => self.open(name, &bytes)?,
            Err(cause) if cause.kind == DiskErrorKind::NotFound => Content::Absent,
            Err(cause) if cause.kind == DiskErrorKind::Io => Content::Damaged,
            Err(cause) => return Err(cause.into()),
        };
        Ok(Copy { path, content })
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, DiskError> {
        let file = self.disk.open(path)?;
        let length = usize::try_from(file.len()?).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(VALUE_BYTES_MAX + OVERHEAD_BYTES_MAX)];
        let count = file.read_at(0, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn open(&self, name: &str, bytes: &[u8]) -> Result<Content, SealedStorageError> {
        let Some((header, sealed)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(Content::Damaged);
        };
        let [magic @ .., low, high] = header;
        if magic != MAGIC {
            return Ok(Content::Damaged);
        }
        if u16::from_le_bytes([*low, *high]) > VERSION {
            return Err(SealedStorageError::Newer(name.to_string()));
        }
        match self.keys.open_local(&self.context(name), sealed) {
            Ok(mut value) => match value.first_chunk::<GENERATION_BYTES>().copied() {
                Some(generation) => {
                    value.drain(..GENERATION_BYTES);
                    Ok(Content::Good {
                        generation: u64::from_le_bytes(generation),
                        value,
                    })
                }
                None => Ok(Content::Damaged),
            },
            Err(KeyError::NotOurs) => Ok(Content::Damaged),
            Err(cause) => Err(cause.into()),
        }
    }

    fn context(&self, name: &str) -> Vec<u8> {
        format!("{}/{name}", self.folder).into_bytes()
    }

    /// Writes beside, then renames: the copy at `path` is the old one or the new one, never half.
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let temporary = format!("{path}.new");
        self.remove_if_there(&temporary)?;
        let mut file = self.disk.create_new(&temporary)?;
        file.write_at(0, bytes)?;
        file.sync_data()?;
        drop(file);
        self.disk.rename(&temporary, path)?;
        self.disk.sync_folder(&self.folder)
    }

    fn remove_if_there(&self, path: &str) -> Result<(), DiskError> {
        match self.disk.remove(path) {
            Err(cause) if cause.kind != DiskErrorKind::NotFound => Err(cause),
            _ => Ok(()),
        }
    }
}

impl StorageBase for SealedStorage {
    type Error = SealedStorageError;

    fn contains(&self, name: &str) -> Result<bool, Self::Error> {
        Ok(self.value(name)?.is_some())
    }

    /// Removes a value for good; damaged copies go too. Tells whether anything was there.
    fn remove(&mut self, name: &str) -> Result<bool, Self::Error> {
        let [older, newest] = self.copies(name)?;
        let mut found = false;
        // The older first: cut off in between, the value is still the newest one.
        for copy in [older, newest] {
            if !matches!(copy.content, Content::Absent) {
                self.disk.remove(&copy.path)?;
                self.disk.sync_folder(&self.folder)?;
                found = true;
            }
        }
        Ok(found)
    }
}

impl RawStorage for SealedStorage {
    fn len(&self, name: &str) -> Result<Option<usize>, Self::Error> {
        Ok(self.value(name)?.map(|value| value.len()))
    }

    fn get_raw<'a>(&self, name: &str, buf: &'a mut [u8]) -> Result<Option<&'a [u8]>, Self::Error> {
        let Some(value) = self.value(name)? else {
            return Ok(None);
        };
        let length = value.len();
        let Some(out) = buf.get_mut(..length) else {
            return Err(SealedStorageError::BufferTooShort {
                name: name.to_string(),
                length,
            });
        };
        out.copy_from_slice(&value);
        Ok(Some(out))
    }

    /// Stores a value, durable when this returns. Tells whether there was one before.
    fn set_raw(&mut self, name: &str, buf: &[u8]) -> Result<bool, Self::Error> {
        if buf.len() > VALUE_BYTES_MAX {
            return Err(SealedStorageError::TooLong {
                name: name.to_string(),
                length: buf.len(),
            });
        }
        let [older, newest] = self.copies(name)?;
        let (_, last) = newest.rank();
        let mut plain = Vec::with_capacity(GENERATION_BYTES + buf.len());
        plain.extend_from_slice(&(last + 1).to_le_bytes());
        plain.extend_from_slice(buf);
        let mut bytes = Vec::with_capacity(HEADER_BYTES + plain.len() + OVERHEAD_BYTES_MAX);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.keys.seal_local(&self.context(name), &plain)?);
        self.disk.create_folder(&self.folder)?;
        self.replace(&older.path, &bytes)?;
        Ok(!matches!(newest.content, Content::Absent))
    }
}

#[cfg(test)]
#[cfg(feature = "std")]
mod tests;
