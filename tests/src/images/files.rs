//! The cloud's files on a simulated disk, and its store on the same power.

use std::io::{self, Read, Write};
use std::sync::Arc;

use scantrip_cloud::durable::files::{Files, NewFile};
use scantrip_cloud::store::memory::Power;
use scantrip_hal::disk::{Disk, DiskError, DiskErrorKind, DiskFile};
use scantrip_hal::sim::disk::SimDisk;

/// Files on any disk.
#[derive(Clone)]
pub struct DiskFiles(pub Arc<dyn Disk>);

impl std::fmt::Debug for DiskFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DiskFiles")
    }
}

/// The power of a disk, for a store beside it: each commit is two of the disk's operations.
#[must_use]
pub fn power_of(disk: &SimDisk) -> Arc<Power> {
    let disk = disk.clone();
    Arc::new(move || disk.step("commit", "store").is_ok())
}

impl Files for DiskFiles {
    fn create(&self, path: &str) -> io::Result<Box<dyn NewFile>> {
        let file = self.0.create_new(path).map_err(plain)?;
        Ok(Box::new(At { file, offset: 0 }))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Read + Send>> {
        let file = self.0.open(path).map_err(plain)?;
        Ok(Box::new(At { file, offset: 0 }))
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        self.0.create_folder(path).map_err(plain)
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        self.0.sync_folder(path).map_err(plain)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.0.remove(path).map_err(plain)
    }

    fn remove_folder(&self, path: &str) -> io::Result<()> {
        for name in self.0.list(path).map_err(plain)? {
            let inside = format!("{path}/{name}");
            match self.remove_folder(&inside) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.remove(&inside)?,
                other => other?,
            }
        }
        self.0.remove_folder(path).map_err(plain)
    }
}

/// A file and how far it is read or written.
struct At {
    file: Box<dyn DiskFile>,
    offset: u64,
}

impl NewFile for At {
    fn sync_data(&mut self) -> io::Result<()> {
        self.file.sync_data().map_err(plain)
    }
}

impl Write for At {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(self.offset, bytes).map_err(plain)?;
        self.offset += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for At {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(self.offset, out).map_err(plain)?;
        self.offset += count as u64;
        Ok(count)
    }
}

fn plain(error: DiskError) -> io::Error {
    let kind = match error.kind {
        DiskErrorKind::NotFound => io::ErrorKind::NotFound,
        DiskErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
        DiskErrorKind::Full => io::ErrorKind::StorageFull,
        DiskErrorKind::Denied => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
