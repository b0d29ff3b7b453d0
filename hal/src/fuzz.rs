//! What `tests/fuzz` feeds with arbitrary bytes; only with the feature `fuzz`.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::{Mutex, MutexGuard, PoisonError};

use embedded_svc::storage::RawStorage as _;

use crate::backends::escl::fuzz as escl;
use crate::disk::{Disk, DiskError, DiskErrorKind, DiskFile};
use crate::keys::{KeyError, KeySlot, KeyStore, PublicKey};
use crate::settings::{network, vendor};
use crate::storage::{SealedStorage, SealedStorageError};

/// One line per decoder: none may panic, whatever it is given.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("escl-capabilities", escl::capabilities),
    ("escl-image", escl::image),
    ("escl-location", escl::location),
    ("escl-status", escl::status),
    ("escl-xml", escl::xml),
    ("key-file", crate::backends::key_file::fuzz),
    ("mdns", escl::mdns),
    ("sealed-storage", sealed_storage),
    ("settings-certificate", network::fuzz::certificate),
    ("settings-ipp", network::fuzz::ipp),
    ("settings-snmp", network::fuzz::snmp),
    ("settings-tls", network::fuzz::tls),
    ("settings-vendor", vendor::fuzz),
];

/// Both copies of a stored value. What can be read can be replaced, and the new value is the one
/// that counts.
fn sealed_storage(data: &[u8]) {
    let Some((at, data)) = data.split_first() else {
        return;
    };
    if data.windows(8).any(|window| window == [0xFF; 8]) {
        // Nobody writes a value so often that its generation ends.
        return;
    }
    let (a, b) = data.split_at((usize::from(*at) * 16).min(data.len()));
    let disk = RamDisk::default();
    disk.put("state/value.a", a);
    disk.put("state/value.b", b);
    let mut storage = SealedStorage::new(Arc::new(disk), Arc::new(ClearKeys), "state");
    let newer = matches!(storage.value("value"), Err(SealedStorageError::Newer(_)));
    let stored = storage.set_raw("value", b"new");
    assert_eq!(stored.is_err(), newer, "{stored:?}");
    if !newer {
        assert_eq!(
            storage.value("value").ok().flatten().as_deref(),
            Some(&b"new"[..])
        );
    }
}

/// A disk in memory without faults.
#[derive(Clone, Debug, Default)]
pub struct RamDisk {
    files: Arc<Mutex<BTreeMap<String, RamFile>>>,
}

#[derive(Clone, Debug, Default)]
struct RamFile(Arc<Mutex<Vec<u8>>>);

impl RamDisk {
    /// Puts a file there.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        let file = RamFile(Arc::new(Mutex::new(bytes.to_vec())));
        drop(guard(&self.files).insert(path.to_string(), file));
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(kind: DiskErrorKind, path: &str) -> DiskError {
    DiskError {
        kind,
        operation: "use",
        path: path.to_string(),
        reason: String::new(),
    }
}

impl Disk for RamDisk {
    fn create_new(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let mut files = guard(&self.files);
        if files.contains_key(path) {
            return Err(failed(DiskErrorKind::AlreadyExists, path));
        }
        let file = RamFile::default();
        files.insert(path.to_string(), file.clone());
        Ok(Box::new(file))
    }

    fn open(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        match guard(&self.files).get(path) {
            Some(file) => Ok(Box::new(file.clone())),
            None => Err(failed(DiskErrorKind::NotFound, path)),
        }
    }

    fn create_folder(&self, _path: &str) -> Result<(), DiskError> {
        Ok(())
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, DiskError> {
        let files = guard(&self.files);
        let names = files.keys().filter_map(|path| path.strip_prefix(folder));
        Ok(names
            .map(|name| name.trim_start_matches('/').to_string())
            .collect())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let mut files = guard(&self.files);
        let file = files.remove(from);
        let file = file.ok_or_else(|| failed(DiskErrorKind::NotFound, from))?;
        files.insert(to.to_string(), file);
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        let removed = guard(&self.files).remove(path);
        removed
            .map(drop)
            .ok_or_else(|| failed(DiskErrorKind::NotFound, path))
    }

    fn remove_folder(&self, _path: &str) -> Result<(), DiskError> {
        Ok(())
    }

    fn sync_folder(&self, _folder: &str) -> Result<(), DiskError> {
        Ok(())
    }

    fn free_bytes(&self) -> Result<u64, DiskError> {
        Ok(1 << 40)
    }
}

/// Longest file: a decoder that writes further has believed a length.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

impl DiskFile for RamFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize, DiskError> {
        let bytes = guard(&self.0);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = bytes.get(start..).unwrap_or_default();
        let count = rest.len().min(out.len());
        for (to, from) in out.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(count)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let end = offset.saturating_add(bytes.len() as u64);
        assert!(end <= FILE_BYTES_MAX, "a write at {offset}");
        let mut file = guard(&self.0);
        if (file.len() as u64) < end {
            file.resize(end as usize, 0);
        }
        for (to, from) in file.iter_mut().skip(offset as usize).zip(bytes) {
            *to = *from;
        }
        Ok(())
    }

    fn len(&self) -> Result<u64, DiskError> {
        Ok(guard(&self.0).len() as u64)
    }

    fn reserve(&mut self, _length: u64) -> Result<(), DiskError> {
        Ok(())
    }

    fn set_len(&mut self, length: u64) -> Result<(), DiskError> {
        assert!(length <= FILE_BYTES_MAX, "a length of {length}");
        guard(&self.0).resize(length as usize, 0);
        Ok(())
    }

    fn sync_data(&mut self) -> Result<(), DiskError> {
        Ok(())
    }
}

/// Keys that seal nothing, so that what lies behind a seal can be reached with arbitrary bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClearKeys;

impl KeyStore for ClearKeys {
    fn generate(&self, slot: KeySlot) -> Result<PublicKey, KeyError> {
        Err(KeyError::Empty(slot))
    }

    fn public(&self, _slot: KeySlot) -> Result<Option<PublicKey>, KeyError> {
        Ok(None)
    }

    fn sign(&self, slot: KeySlot, _message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Err(KeyError::Empty(slot))
    }

    fn remove(&self, _slot: KeySlot) -> Result<(), KeyError> {
        Ok(())
    }

    fn seal_local(&self, _context: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(plaintext.to_vec())
    }

    fn open_local(&self, _context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(sealed.to_vec())
    }

    fn wipe(&self) -> Result<(), KeyError> {
        Ok(())
    }
}
