//! The cloud's storage on the simulated disk: items with atomic commits, blob parts, and the
//! folders that documents are delivered into.

use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use scantrip_cloud::blobs::{BlobError, Blobs, Folder as BlobFolder, PartWriter};
use scantrip_cloud::steps::folders::{Folder, FolderFile, Folders};
use scantrip_cloud::store::memory::MemoryStore;
use scantrip_cloud::store::{Change, Item, Key, Operation, Range, Store, StoreError};
use scantrip_hal::disk::{Disk as _, DiskError, DiskErrorKind, DiskFile};
use scantrip_hal::sim::disk::SimDisk;

use super::shared::Shared;

/// Items in a map. A commit is atomic and durable; the power may go right before or after it.
pub(crate) struct SimStore {
    /// What is stored, whatever happens.
    pub(crate) items: Arc<MemoryStore>,
    /// Whose power it shares.
    pub(crate) disk: SimDisk,
    /// Hears of nonces.
    pub(crate) shared: Shared,
}

fn engine(operation: &'static str) -> impl FnOnce(DiskError) -> StoreError {
    move |error| StoreError::Engine {
        operation,
        source: error.into(),
    }
}

impl Store for SimStore {
    fn get(&self, key: &Key, now_ms: u64) -> Result<Option<Item>, StoreError> {
        self.disk.step("get", &key.sort).map_err(engine("read"))?;
        self.items.get(key, now_ms)
    }

    fn range(&self, range: &Range<'_>, now_ms: u64) -> Result<Vec<Item>, StoreError> {
        self.disk
            .step("range", range.prefix)
            .map_err(engine("read"))?;
        self.items.range(range, now_ms)
    }

    fn transact(&self, operations: &[Operation], now_ms: u64) -> Result<(), StoreError> {
        self.disk.step("commit", "").map_err(engine("write"))?;
        self.items.transact(operations, now_ms)?;
        for operation in operations {
            if let Change::Put { body, .. } = &operation.change {
                self.shared.look("the cloud's store", body);
                let tenant = operation
                    .key
                    .partition
                    .split('#')
                    .nth(1)
                    .unwrap_or_default();
                if let (true, Some(nonce)) =
                    (operation.key.partition.starts_with("T#"), body.get(1..13))
                {
                    self.shared
                        .sealed(&[tenant.as_bytes(), nonce].concat(), body);
                }
            }
        }
        self.disk.step("committed", "").map_err(engine("write"))
    }

    fn sweep(&self, now_ms: u64, limit: usize) -> Result<usize, StoreError> {
        self.disk.step("sweep", "").map_err(engine("write"))?;
        self.items.sweep(now_ms, limit)
    }
}

/// Blob parts as files of the simulated disk, in the order of the real engine: write, sync the
/// file, sync its folder.
pub(crate) struct SimBlobs(pub(crate) SimDisk);

fn failed(operation: &'static str, path: &str) -> impl Fn(DiskError) -> BlobError {
    let part = path.to_owned();
    move |error| BlobError {
        operation,
        part: part.clone(),
        source: io_error(&error),
    }
}

fn io_error(error: &DiskError) -> io::Error {
    let kind = match error.kind {
        DiskErrorKind::NotFound => io::ErrorKind::NotFound,
        DiskErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
        DiskErrorKind::Full => io::ErrorKind::StorageFull,
        DiskErrorKind::Denied => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error.to_string())
}

fn home(folder: &BlobFolder) -> String {
    format!("blobs/{}", folder.as_str())
}

impl Blobs for SimBlobs {
    fn begin(&self, folder: &BlobFolder, name: &str) -> Result<Box<dyn PartWriter>, BlobError> {
        let home = home(folder);
        let path = format!("{home}/{name}");
        self.0
            .create_folder(&home)
            .map_err(failed("begin", &path))?;
        let file = self.0.create_new(&path).map_err(failed("begin", &path))?;
        Ok(Box::new(SimPart {
            disk: self.0.clone(),
            file,
            home,
            path,
            length: 0,
            finished: false,
        }))
    }

    fn open(&self, folder: &BlobFolder, name: &str) -> Result<Box<dyn Read + Send>, BlobError> {
        let path = format!("{}/{name}", home(folder));
        let read = || {
            let file = self.0.open(&path)?;
            let length = usize::try_from(file.len()?).unwrap_or_default();
            let mut bytes = vec![0; length];
            let read = file.read_at(0, &mut bytes)?;
            bytes.truncate(read);
            Ok(bytes)
        };
        Ok(Box::new(Cursor::new(
            read().map_err(failed("open", &path))?,
        )))
    }

    fn remove(&self, folder: &BlobFolder, name: &str) -> Result<(), BlobError> {
        let path = format!("{}/{name}", home(folder));
        match self.0.remove(&path) {
            Err(error) if error.kind != DiskErrorKind::NotFound => {
                Err(failed("erase", &path)(error))
            }
            _ => Ok(()),
        }
    }

    fn remove_folder(&self, folder: &BlobFolder) -> Result<(), BlobError> {
        let prefix = format!("{}/", home(folder));
        for path in self.0.files() {
            if path.starts_with(&prefix) {
                self.0.remove(&path).map_err(failed("erase", &path))?;
            }
        }
        Ok(())
    }
}

struct SimPart {
    disk: SimDisk,
    file: Box<dyn DiskFile>,
    home: String,
    path: String,
    length: u64,
    finished: bool,
}

impl PartWriter for SimPart {
    fn push(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let written = self.file.write_at(self.length, bytes);
        written.map_err(failed("write", &self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), BlobError> {
        let synced = self.file.sync_data();
        synced
            .and_then(|()| self.disk.sync_folder(&self.home))
            .map_err(failed("make durable", &self.path))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for SimPart {
    fn drop(&mut self) {
        if !self.finished {
            drop(self.disk.remove(&self.path));
        }
    }
}

/// The share that documents are delivered into: a disk of its own, which documents may lie on in
/// clear, with the cloud's power.
#[derive(Clone)]
pub(crate) struct Share {
    /// The share's disk.
    pub(crate) disk: SimDisk,
    /// Whose power it shares.
    pub(crate) power: SimDisk,
    home: String,
}

impl Share {
    pub(crate) fn new(disk: SimDisk, power: SimDisk) -> Self {
        Self {
            disk,
            power,
            home: String::new(),
        }
    }

    /// Does something with the power being able to go right before and right after it.
    fn guarded<T>(
        &self,
        what: &'static str,
        act: impl FnOnce() -> Result<T, DiskError>,
    ) -> io::Result<T> {
        let power = || self.power.step(what, &self.home);
        power()
            .and_then(|()| act())
            .and_then(|done| power().map(|()| done))
            .map_err(|error| io_error(&error))
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.home)
    }
}

impl Folders for Share {
    fn open(&self, tenant: &str, folder: &Path) -> io::Result<Box<dyn Folder>> {
        let home = format!("{tenant}/{}", folder.display());
        self.guarded("open share", || self.disk.create_folder(&home))?;
        Ok(Box::new(Self {
            home,
            ..self.clone()
        }))
    }
}

impl Folder for Share {
    fn id(&self) -> u64 {
        7
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn FolderFile>> {
        let path = self.path(name);
        let file = self.guarded("create", || {
            match self.disk.remove(&path) {
                Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error),
                _ => {}
            }
            self.disk.create_new(&path)
        })?;
        Ok(Box::new(ShareFile {
            share: self.clone(),
            file,
            length: 0,
        }))
    }

    fn contains(&self, name: &str) -> io::Result<bool> {
        let path = self.path(name);
        self.guarded("look", || match self.disk.open(&path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == DiskErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        })
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        self.guarded("rename", || {
            self.disk.open(&from)?;
            match self.disk.open(&to) {
                Ok(_) => Err(DiskError {
                    kind: DiskErrorKind::AlreadyExists,
                    operation: "rename",
                    path: to.clone(),
                    reason: "the name is taken".to_owned(),
                }),
                Err(error) if error.kind == DiskErrorKind::NotFound => self.disk.rename(&from, &to),
                Err(error) => Err(error),
            }
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.guarded("sync share", || self.disk.sync_folder(&self.home))
    }
}

struct ShareFile {
    share: Share,
    file: Box<dyn DiskFile>,
    length: u64,
}

impl FolderFile for ShareFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (file, at) = (&mut self.file, self.length);
        self.share.guarded("write", || file.write_at(at, bytes))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let file = &mut self.file;
        self.share.guarded("sync", || file.sync_data())
    }
}

#[cfg(test)]
mod tests {
    use scantrip_hal::sim::disk::SimDiskConfig;

    use super::*;

    #[test]
    fn parts_on_the_simulated_disk_are_immutable_and_read_back() {
        let blobs = SimBlobs(SimDisk::new(SimDiskConfig::default(), 1));
        let folder = BlobFolder::new(&["t", "d", "j"]);
        let mut part = blobs.begin(&folder, "a").unwrap();
        part.push(b"hel").unwrap();
        part.push(b"lo").unwrap();
        part.finish().unwrap();
        assert!(blobs.begin(&folder, "a").is_err());
        let mut text = String::new();
        blobs
            .open(&folder, "a")
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "hello");
        blobs.remove_folder(&folder).unwrap();
        assert!(blobs.open(&folder, "a").is_err());
    }
}
