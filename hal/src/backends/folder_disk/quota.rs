//! How much the files of one disk take together, and the limit on it.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

/// Space taken per file, by inode so that a rename changes nothing.
pub(super) struct Quota {
    limit: u64,
    taken: Mutex<HashMap<u64, u64>>,
}

impl Quota {
    /// Counts what is in `root` already.
    pub(super) fn measure(root: &Path, limit: u64) -> io::Result<Self> {
        let mut taken = HashMap::new();
        add_folder(root, &mut taken)?;
        Ok(Self {
            limit,
            taken: Mutex::new(taken),
        })
    }

    /// Whether the file may take `length` bytes; counts them if so.
    pub(super) fn charge(&self, inode: u64, length: u64) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let before = taken.get(&inode).copied().unwrap_or(0);
        let others = taken.values().sum::<u64>() - before;
        if length > before {
            if others.saturating_add(length) > self.limit {
                return false;
            }
            taken.insert(inode, length);
        }
        true
    }

    /// The file was cut to `length` bytes and its reserve given back.
    pub(super) fn shrink(&self, inode: u64, length: u64) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert(inode, length);
    }

    /// The file is gone.
    pub(super) fn release(&self, inode: u64) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&inode);
    }

    /// Bytes not yet taken.
    pub(super) fn free_bytes(&self) -> u64 {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        self.limit.saturating_sub(taken.values().sum())
    }
}

fn add_folder(folder: &Path, taken: &mut HashMap<u64, u64>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            add_folder(&entry.path(), taken)?;
        } else {
            taken.insert(metadata.ino(), metadata.len());
        }
    }
    Ok(())
}
