//! Folders that documents are delivered into: the port, and the machine's file system behind it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// Opens folders.
pub trait Folders: Send + Sync {
    /// Opens a folder. One below the tenant's own root (a relative path) is made if it is not
    /// there; any other must exist, because a missing one may be a share that is not mounted.
    ///
    /// # Errors
    ///
    /// If the folder is not there or cannot be read.
    fn open(&self, tenant: &str, folder: &Path) -> io::Result<Box<dyn Folder>>;
}

/// An open folder.
pub trait Folder {
    /// Tells this folder from another one that later lies at the same place.
    fn id(&self) -> u64;

    /// Makes a file, in place of one that a crash left behind under this name.
    ///
    /// # Errors
    ///
    /// If the file system refuses.
    fn create(&self, name: &str) -> io::Result<Box<dyn FolderFile>>;

    /// Whether something has this name.
    ///
    /// # Errors
    ///
    /// If the file system refuses.
    fn contains(&self, name: &str) -> io::Result<bool>;

    /// Renames a file, never over another one.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if the new name is taken, `NotFound` if there is no such file.
    fn rename_new(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes names durable.
    ///
    /// # Errors
    ///
    /// If the file system refuses.
    fn sync(&self) -> io::Result<()>;
}

/// A file being written.
pub trait FolderFile {
    /// Appends.
    ///
    /// # Errors
    ///
    /// If the file system refuses, for example because it is full.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the content durable.
    ///
    /// # Errors
    ///
    /// If the file system refuses.
    fn sync(&mut self) -> io::Result<()>;
}

/// Folders of this machine, local or mounted.
#[derive(Clone, Debug)]
pub struct SystemFolders {
    root: PathBuf,
}

impl SystemFolders {
    /// Relative folders lie in `root`, in a folder for each tenant.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

impl Folders for SystemFolders {
    fn open(&self, tenant: &str, folder: &Path) -> io::Result<Box<dyn Folder>> {
        let path = if folder.is_absolute() {
            folder.to_owned()
        } else {
            let path = self.root.join(tenant).join(folder);
            std::fs::create_dir_all(&path)?;
            path
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = File::from(rustix::fs::open(&path, flags, Mode::empty())?);
        let id = rustix::fs::fstat(&directory)?.st_ino;
        Ok(Box::new(SystemFolder { directory, id }))
    }
}

/// A directory held open, so that names cannot be led elsewhere while it is in use.
struct SystemFolder {
    directory: File,
    id: u64,
}

impl SystemFolder {
    fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.directory, OsStr::new(name), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// For file systems that cannot rename without replacing (NFS): a second name, then the first
    /// one goes. A crash in between leaves both, which the next try recognises.
    fn link_new(&self, from: &str, to: &str) -> io::Result<()> {
        let directory = &self.directory;
        match rustix::fs::linkat(directory, from, directory, to, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::EXIST) if self.is_same_file(from, to)? => {}
            Err(error) => return Err(error.into()),
        }
        self.remove(from)
    }

    fn is_same_file(&self, one: &str, other: &str) -> io::Result<bool> {
        let stat = |name| rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW);
        let (one, other) = (stat(one)?, stat(other)?);
        Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
    }
}

impl Folder for SystemFolder {
    fn id(&self) -> u64 {
        self.id
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn FolderFile>> {
        self.remove(name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
        let file = rustix::fs::openat(&self.directory, name, flags, mode)?;
        Ok(Box::new(SystemFile(File::from(file))))
    }

    fn contains(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        let directory = &self.directory;
        match rustix::fs::renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.link_new(from, to),
            other => Ok(other?),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.directory.sync_all()
    }
}

struct SystemFile(File);

impl FolderFile for SystemFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> (tempfile::TempDir, SystemFolder, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        SystemFolders::new(root.path())
            .open("t1", Path::new("in/box"))
            .unwrap();
        let path = root.path().join("t1/in/box");
        let directory = File::open(&path).unwrap();
        (root, SystemFolder { directory, id: 0 }, path)
    }

    fn put(folder: &SystemFolder, name: &str, bytes: &[u8]) {
        let mut file = folder.create(name).unwrap();
        file.write(bytes).unwrap();
        file.sync().unwrap();
    }

    #[test]
    fn a_relative_folder_is_made_and_an_absolute_one_must_exist() {
        let root = tempfile::tempdir().unwrap();
        let folders = SystemFolders::new(root.path().join("out"));
        assert!(folders.open("t1", Path::new("in")).is_ok());
        assert!(root.path().join("out/t1/in").is_dir());
        let missing = folders
            .open("t1", &root.path().join("share"))
            .map(|_| ())
            .unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn renaming_never_replaces() {
        let (_root, folder, path) = open();
        put(&folder, "a", b"new");
        put(&folder, "b", b"old");
        for rename in [<SystemFolder as Folder>::rename_new, SystemFolder::link_new] {
            let clash = rename(&folder, "a", "b").unwrap_err();
            assert_eq!(clash.kind(), io::ErrorKind::AlreadyExists);
            for free_or_taken in ["c", "b"] {
                let missing = rename(&folder, "nothing", free_or_taken).unwrap_err();
                assert_eq!(missing.kind(), io::ErrorKind::NotFound);
            }
            rename(&folder, "a", "c").unwrap();
            assert_eq!(std::fs::read(path.join("c")).unwrap(), b"new");
            assert_eq!(std::fs::read(path.join("b")).unwrap(), b"old");
            folder.rename_new("c", "a").unwrap();
        }
    }

    #[test]
    fn a_crash_between_link_and_unlink_is_finished() {
        let (_root, folder, path) = open();
        put(&folder, "temp", b"new");
        std::fs::hard_link(path.join("temp"), path.join("final")).unwrap();
        folder.link_new("temp", "final").unwrap();
        assert!(!folder.contains("temp").unwrap() && folder.contains("final").unwrap());
    }

    #[test]
    fn a_left_over_file_or_link_is_replaced_not_followed() {
        let (root, folder, path) = open();
        let outside = root.path().join("outside");
        std::os::unix::fs::symlink(&outside, path.join("temp")).unwrap();
        put(&folder, "temp", b"new");
        assert!(!outside.exists());
        assert_eq!(std::fs::read(path.join("temp")).unwrap(), b"new");
    }
}
