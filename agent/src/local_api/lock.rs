//! One agent at a time owns the state: a lock on a file in the state folder.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Held as long as this process owns the state; the kernel lets go of it when the process ends,
/// however it ends.
#[derive(Debug)]
pub struct AgentLock {
    _file: File,
}

/// Why the state cannot be owned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process owns it.
    #[error("another scantrip process works with {}", folder.display())]
    Held {
        /// The state folder.
        folder: PathBuf,
    },
    /// The lock file cannot be made.
    #[error("cannot lock {}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl AgentLock {
    /// Owns the state folder, which is made (mode 0700) if there is none.
    ///
    /// # Errors
    /// When another process owns it, or the lock file cannot be made.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join("lock");
        let io = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(folder).map_err(io)?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(&path).map_err(io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(LockError::Held {
                folder: folder.to_owned(),
            }),
            Err(error) => Err(io(error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_agent_is_refused_until_the_first_ends() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("a/b");
        let first = AgentLock::take(&state).unwrap();
        assert!(matches!(
            AgentLock::take(&state),
            Err(LockError::Held { .. })
        ));
        drop(first);
        AgentLock::take(&state).unwrap();
    }
}
