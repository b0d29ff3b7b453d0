//! Blobs in memory: for tests and the simulation.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{BlobError, Blobs, Folder, PartWriter};

type Parts = Arc<Mutex<BTreeMap<String, Arc<[u8]>>>>;

/// Parts in a map.
#[derive(Clone, Debug, Default)]
pub struct MemoryBlobs {
    parts: Parts,
}

impl MemoryBlobs {
    /// No parts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every stored byte: for tests that look for what must not be there.
    #[must_use]
    pub fn dump(&self) -> Vec<u8> {
        lock(&self.parts)
            .iter()
            .flat_map(|(path, bytes)| [path.as_bytes(), b" ", bytes, b"\n"].concat())
            .collect()
    }
}

impl Blobs for MemoryBlobs {
    fn begin(&self, folder: &Folder, name: &str) -> Result<Box<dyn PartWriter>, BlobError> {
        let path = path(folder, name);
        if lock(&self.parts).contains_key(&path) {
            return Err(failed("begin", &path, io::ErrorKind::AlreadyExists));
        }
        Ok(Box::new(MemoryPart {
            parts: Arc::clone(&self.parts),
            path,
            bytes: Vec::new(),
        }))
    }

    fn open(&self, folder: &Folder, name: &str) -> Result<Box<dyn Read + Send>, BlobError> {
        let path = path(folder, name);
        lock(&self.parts).get(&path).map_or_else(
            || Err(failed("open", &path, io::ErrorKind::NotFound)),
            |bytes| Ok(Box::new(Cursor::new(Arc::clone(bytes))) as Box<dyn Read + Send>),
        )
    }

    fn remove(&self, folder: &Folder, name: &str) -> Result<(), BlobError> {
        lock(&self.parts).remove(&path(folder, name));
        Ok(())
    }

    fn remove_folder(&self, folder: &Folder) -> Result<(), BlobError> {
        let prefix = format!("{}/", folder.as_str());
        lock(&self.parts).retain(|path, _| !path.starts_with(&prefix));
        Ok(())
    }
}

struct MemoryPart {
    parts: Parts,
    path: String,
    bytes: Vec<u8>,
}

impl PartWriter for MemoryPart {
    fn push(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), BlobError> {
        lock(&self.parts).insert(self.path, self.bytes.into());
        Ok(())
    }
}

fn path(folder: &Folder, name: &str) -> String {
    format!("{}/{name}", folder.as_str())
}

fn failed(operation: &'static str, path: &str, kind: io::ErrorKind) -> BlobError {
    BlobError {
        operation,
        part: path.to_owned(),
        source: kind.into(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_passes_the_blob_suite() {
        super::super::conformance::check(&super::MemoryBlobs::new());
    }
}
