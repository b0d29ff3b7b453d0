//! Files and folders that only this user may read, made durable step by step.

pub mod files;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Makes a folder and those above it, open to their owner alone; content when it exists.
///
/// # Errors
/// When the system refuses.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A new file, writable by its owner alone; an existing one is an error.
///
/// # Errors
/// When the name is taken or the system refuses.
pub fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// When they may not be durable.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Writes a whole file so that after a crash it is there complete or not at all. `fresh` names a
/// temporary file beside it and must not be in use.
///
/// # Errors
/// When the system refuses; the old file, if any, is then untouched.
pub fn write_whole(path: &Path, fresh: &Path, bytes: &[u8]) -> io::Result<()> {
    drop(std::fs::remove_file(fresh));
    let mut file = new_file(fresh)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    std::fs::rename(fresh, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Refuses a file or folder that others than its owner may touch.
///
/// # Errors
/// [`io::ErrorKind::PermissionDenied`] with what to do.
pub fn require_private(path: &Path) -> io::Result<()> {
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("others may touch it (mode {mode:03o}): run chmod go-rwx on it"),
    ))
}
