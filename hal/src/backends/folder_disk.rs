//! A [`Disk`] in a folder of a Linux file system.
//!
//! Files are 0600 and folders 0700. Reserving uses `fallocate` with `FALLOC_FL_KEEP_SIZE`; where
//! the file system has no such call, the free space is checked instead. A handle whose sync failed
//! refuses every later sync: the kernel may have dropped the bytes and would report success.

mod behind;
mod quota;

use std::cell::RefCell;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, OFlags, fallocate, statvfs};
use rustix::io::Errno;

use self::behind::Behind;
use self::quota::Quota;
use crate::disk::{Disk, DiskError, DiskErrorKind, DiskFile};

/// Writes from this length on go behind the caller's back and to the disk at once; smaller ones
/// wait for what is under way, then for the sync.
const WRITE_BEHIND_BYTES: usize = 64 * 1024;

/// A folder as a disk.
pub struct FolderDisk {
    root: PathBuf,
    quota: Option<Arc<Quota>>,
}

impl FolderDisk {
    /// Opens the disk in `root`, made when it is not there. With `quota_bytes`, all files together
    /// may take no more than that, so that a test can have a small disk.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(root: &Path, quota_bytes: Option<u64>) -> Result<Self, DiskError> {
        let here = || root.display().to_string();
        make_folders(root).map_err(|cause| error("create folder", &here(), &cause))?;
        let quota = match quota_bytes {
            Some(limit) => {
                let quota = Quota::measure(root, limit)
                    .map_err(|cause| error("measure folder", &here(), &cause))?;
                Some(Arc::new(quota))
            }
            None => None,
        };
        Ok(Self {
            root: root.to_path_buf(),
            quota,
        })
    }

    fn handle(
        &self,
        operation: &'static str,
        path: &str,
        options: &mut OpenOptions,
    ) -> Result<Box<dyn DiskFile>, DiskError> {
        let place = self.locate(operation, path)?;
        let no_follow = OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = options
            .read(true)
            .write(true)
            .mode(0o600)
            .custom_flags(no_follow.bits().cast_signed())
            .open(place)
            .map_err(|cause| error(operation, path, &cause))?;
        let inode = match &self.quota {
            Some(_) => file
                .metadata()
                .map_err(|cause| error(operation, path, &cause))?
                .ino(),
            None => 0,
        };
        Ok(Box::new(FolderFile {
            file: Arc::new(file),
            inode,
            path: path.to_owned(),
            root: self.root.clone(),
            quota: self.quota.clone(),
            behind: RefCell::new(None),
            sync_failed: false,
        }))
    }

    /// The place of `path` under the root; a path that could leave it is refused.
    fn locate(&self, operation: &'static str, path: &str) -> Result<PathBuf, DiskError> {
        let plain =
            |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
        if path.split('/').all(plain) {
            Ok(self.root.join(path))
        } else {
            Err(DiskError {
                kind: DiskErrorKind::Denied,
                operation,
                path: path.to_owned(),
                reason: "not a plain path below the disk's root".to_owned(),
            })
        }
    }

    /// As [`FolderDisk::locate`]; the empty path is the root.
    fn locate_folder(&self, operation: &'static str, path: &str) -> Result<PathBuf, DiskError> {
        if path.is_empty() {
            Ok(self.root.clone())
        } else {
            self.locate(operation, path)
        }
    }

    /// Gives back what `path` took, once `act` has removed the name.
    fn releasing(&self, path: &Path, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let inode = match &self.quota {
            Some(_) => fs::symlink_metadata(path).ok().map(|file| file.ino()),
            None => None,
        };
        act()?;
        if let (Some(quota), Some(inode)) = (&self.quota, inode) {
            quota.release(inode);
        }
        Ok(())
    }
}

impl Disk for FolderDisk {
    fn create_new(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        self.handle("create", path, OpenOptions::new().create_new(true))
    }

    fn open(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        self.handle("open", path, &mut OpenOptions::new())
    }

    fn length(&self, path: &str) -> Result<u64, DiskError> {
        let place = self.locate("measure", path)?;
        match fs::symlink_metadata(place) {
            Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
            Ok(_) => Err(error("measure", path, &io::ErrorKind::NotFound.into())),
            Err(cause) => Err(error("measure", path, &cause)),
        }
    }

    fn create_folder(&self, path: &str) -> Result<(), DiskError> {
        let place = self.locate_folder("create folder", path)?;
        make_folders(&place).map_err(|cause| error("create folder", path, &cause))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, DiskError> {
        let place = self.locate_folder("list", folder)?;
        let mut names = fs::read_dir(place)
            .and_then(|entries| {
                entries
                    .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                    .collect::<io::Result<Vec<_>>>()
            })
            .map_err(|cause| error("list", folder, &cause))?;
        names.sort_unstable();
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let source = self.locate("rename", from)?;
        let target = self.locate("rename", to)?;
        self.releasing(&target, || fs::rename(&source, &target))
            .map_err(|cause| error("rename", from, &cause))
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        let place = self.locate("remove", path)?;
        self.releasing(&place, || fs::remove_file(&place))
            .map_err(|cause| error("remove", path, &cause))
    }

    fn remove_folder(&self, path: &str) -> Result<(), DiskError> {
        let place = self.locate("remove folder", path)?;
        fs::remove_dir(place).map_err(|cause| error("remove folder", path, &cause))
    }

    fn sync_folder(&self, folder: &str) -> Result<(), DiskError> {
        let place = self.locate_folder("sync folder", folder)?;
        File::open(place)
            .and_then(|folder| folder.sync_all())
            .map_err(|cause| error("sync folder", folder, &cause))
    }

    fn free_bytes(&self) -> Result<u64, DiskError> {
        let free = system_free_bytes(&self.root)?;
        Ok(match &self.quota {
            Some(quota) => free.min(quota.free_bytes()),
            None => free,
        })
    }
}

struct FolderFile {
    file: Arc<File>,
    inode: u64,
    path: String,
    root: PathBuf,
    quota: Option<Arc<Quota>>,
    /// Made at the first long write.
    behind: RefCell<Option<Behind>>,
    sync_failed: bool,
}

impl FolderFile {
    fn fail(&self, operation: &'static str, cause: &io::Error) -> DiskError {
        error(operation, &self.path, cause)
    }

    /// Waits for the writes under way; every operation sees what was written before it.
    fn settle(&self) -> Result<(), DiskError> {
        match &mut *self.behind.borrow_mut() {
            Some(behind) => behind.settle().map_err(|cause| self.fail("write", &cause)),
            None => Ok(()),
        }
    }

    fn write_behind(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let behind = self.behind.get_mut();
        if behind.is_none() {
            let again = File::open(self.root.join(&self.path));
            *behind = again
                .and_then(|again| Behind::start(Arc::clone(&self.file), again))
                .ok();
        }
        match behind {
            Some(behind) => behind.write(offset, bytes),
            // Without a thread the caller waits.
            None => behind::write(&self.file, offset, bytes),
        }
    }

    /// Takes space for a file of `length` bytes from the quota, if there is one.
    fn charge(&self, operation: &'static str, length: u64) -> Result<(), DiskError> {
        match &self.quota {
            Some(quota) if !quota.charge(self.inode, length) => Err(DiskError {
                kind: DiskErrorKind::Full,
                operation,
                path: self.path.clone(),
                reason: "the quota of this disk is used up".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

impl DiskFile for FolderFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize, DiskError> {
        self.settle()?;
        let mut done = 0;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(self.fail("read", &cause)),
            }
        }
        Ok(done)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.charge("write", offset + bytes.len() as u64)?;
        let written = if bytes.len() >= WRITE_BEHIND_BYTES {
            self.write_behind(offset, bytes)
        } else {
            self.settle()?;
            self.file.write_all_at(bytes, offset)
        };
        written.map_err(|cause| self.fail("write", &cause))
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.settle()?;
        self.file
            .metadata()
            .map(|metadata| metadata.len())
            .map_err(|cause| self.fail("measure", &cause))
    }

    fn reserve(&mut self, length: u64) -> Result<(), DiskError> {
        self.charge("reserve", length)?;
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, length) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                let missing = length.saturating_sub(self.len()?);
                if system_free_bytes(&self.root)? < missing {
                    return Err(self.fail("reserve", &Errno::NOSPC.into()));
                }
                Ok(())
            }
            Err(cause) => Err(self.fail("reserve", &cause.into())),
        }
    }

    fn set_len(&mut self, length: u64) -> Result<(), DiskError> {
        self.charge("set length of", length)?;
        self.settle()?;
        self.file
            .set_len(length)
            .map_err(|cause| self.fail("set length of", &cause))?;
        if let Some(quota) = &self.quota {
            quota.shrink(self.inode, length);
        }
        Ok(())
    }

    fn sync_data(&mut self) -> Result<(), DiskError> {
        if self.sync_failed {
            return Err(self.fail("sync", &io::Error::other("an earlier sync failed")));
        }
        self.settle()?;
        let synced = self.file.sync_data().and_then(|()| {
            let behind = self.behind.get_mut().as_ref();
            match behind.is_none_or(Behind::flushed) {
                true => Ok(()),
                false => Err(io::Error::other("a flush before it failed")),
            }
        });
        synced.map_err(|cause| {
            self.sync_failed = true;
            self.fail("sync", &cause)
        })
    }
}

/// Makes `folder` and those above it; each new name is durable when this returns.
pub(crate) fn make_folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    make_folders(parent)?;
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(cause),
        _ => {}
    }
    File::open(parent)?.sync_all()
}

fn system_free_bytes(root: &Path) -> Result<u64, DiskError> {
    let system = statvfs(root).map_err(|cause| {
        error(
            "measure free space of",
            &root.display().to_string(),
            &cause.into(),
        )
    })?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

fn error(operation: &'static str, path: &str, cause: &io::Error) -> DiskError {
    let kind = match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => DiskErrorKind::NotFound,
        io::ErrorKind::AlreadyExists => DiskErrorKind::AlreadyExists,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            DiskErrorKind::Full
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            DiskErrorKind::Denied
        }
        _ => DiskErrorKind::Io,
    };
    DiskError {
        kind,
        operation,
        path: path.to_owned(),
        reason: cause.to_string(),
    }
}

#[cfg(test)]
mod tests;
