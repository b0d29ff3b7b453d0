//! Durable storage with the few operations whose crash behaviour we can state.
//!
//! Paths are relative to the disk's root, separated by `/`, without `.` or `..`.
//! What survives a power cut: bytes after [`DiskFile::sync_data`] returned; a created, renamed or
//! removed name after [`Disk::sync_folder`] of its folder returned. After a failed sync nothing
//! written since the last good one may be relied on, and a second sync proves nothing.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// What a disk operation failed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskErrorKind {
    /// No such file or folder.
    NotFound,
    /// The name exists already.
    AlreadyExists,
    /// No space is left, or the quota is used up.
    Full,
    /// The program may not do this.
    Denied,
    /// The device reports a read or write error.
    Io,
}

/// A failed disk operation: what was attempted, on which path, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {operation} {path}: {reason}")]
pub struct DiskError {
    /// The class of the fault, which decides what happens next.
    pub kind: DiskErrorKind,
    /// What was attempted, for example `write`.
    pub operation: &'static str,
    /// The path within the disk.
    pub path: String,
    /// The system's words for the cause.
    pub reason: String,
}

/// An open file.
pub trait DiskFile: Send {
    /// Reads at `offset`; returns fewer bytes than asked only at the end of the file.
    ///
    /// # Errors
    /// When the device cannot read.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize, DiskError>;
    /// Writes all of `bytes` at `offset`. Not durable before [`DiskFile::sync_data`].
    ///
    /// # Errors
    /// When the disk is full or cannot write; any part of `bytes` may then be on it. A disk may
    /// write later: then an operation that follows, at the latest the next sync, fails instead.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), DiskError>;
    /// The file's length in bytes.
    ///
    /// # Errors
    /// When the device cannot tell.
    fn len(&self) -> Result<u64, DiskError>;
    /// Whether the file has no byte.
    ///
    /// # Errors
    /// As [`DiskFile::len`].
    fn is_empty(&self) -> Result<bool, DiskError> {
        Ok(self.len()? == 0)
    }
    /// Reserves space up to `length` bytes without changing the file's length.
    ///
    /// # Errors
    /// [`DiskErrorKind::Full`] when there is no space for it.
    fn reserve(&mut self, length: u64) -> Result<(), DiskError>;
    /// Cuts or extends the file to `length` bytes.
    ///
    /// # Errors
    /// When the disk is full or cannot write.
    fn set_len(&mut self, length: u64) -> Result<(), DiskError>;
    /// Makes all written bytes and the length durable (`fdatasync`).
    ///
    /// # Errors
    /// When any of them may not be durable.
    fn sync_data(&mut self) -> Result<(), DiskError>;
}

/// A folder tree on durable storage.
pub trait Disk: Send + Sync {
    /// Makes a new file, readable and writable by its owner alone.
    ///
    /// # Errors
    /// [`DiskErrorKind::AlreadyExists`] when the name is taken.
    fn create_new(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError>;
    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// [`DiskErrorKind::NotFound`] when there is none.
    fn open(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError>;
    /// The length of a file that need not be opened for it: start-up asks for thousands.
    ///
    /// # Errors
    /// [`DiskErrorKind::NotFound`] when there is none.
    fn length(&self, path: &str) -> Result<u64, DiskError> {
        self.open(path)?.len()
    }
    /// Makes a folder and those above it, open to their owner alone; content when they exist.
    ///
    /// # Errors
    /// When the disk refuses.
    fn create_folder(&self, path: &str) -> Result<(), DiskError>;
    /// The names in a folder, sorted.
    ///
    /// # Errors
    /// [`DiskErrorKind::NotFound`] when there is no such folder.
    fn list(&self, folder: &str) -> Result<Vec<String>, DiskError>;
    /// Renames a file, replacing the target if there is one. Durable after the folder's sync.
    ///
    /// # Errors
    /// When there is no such file or the disk refuses.
    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError>;
    /// Removes a file. Durable after the folder's sync.
    ///
    /// # Errors
    /// [`DiskErrorKind::NotFound`] when there is no such file.
    fn remove(&self, path: &str) -> Result<(), DiskError>;
    /// Removes an empty folder. Durable after the sync of the folder above it.
    ///
    /// # Errors
    /// [`DiskErrorKind::NotFound`] when there is no such folder; any other when it is not empty.
    fn remove_folder(&self, path: &str) -> Result<(), DiskError>;
    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// When they may not be durable.
    fn sync_folder(&self, folder: &str) -> Result<(), DiskError>;
    /// Bytes that can still be written by this program.
    ///
    /// # Errors
    /// When the system cannot tell.
    fn free_bytes(&self) -> Result<u64, DiskError>;
}
