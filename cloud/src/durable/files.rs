//! The files that blobs lie in, as a port: the order in which they are made durable can then be
//! tried on a simulated disk.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{make_folder, new_file, sync_folder};

/// Files and folders below one root. Paths are relative, separated by `/`.
pub trait Files: Send + Sync {
    /// A new file in a folder that exists; a taken name is an error.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when the folder is missing.
    fn create(&self, path: &str) -> io::Result<Box<dyn NewFile>>;

    /// A file, from its first byte.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn open(&self, path: &str) -> io::Result<Box<dyn Read + Send>>;

    /// Makes a folder and those above it, each with a durable name.
    ///
    /// # Errors
    /// When the system refuses.
    fn make_folder(&self, path: &str) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// When they may not be durable.
    fn sync_folder(&self, path: &str) -> io::Result<()>;

    /// Removes a file. Durable after the folder's sync.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when there is none.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Removes a folder with all in it. Durable after the sync of the folder above.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when there is none.
    fn remove_folder(&self, path: &str) -> io::Result<()>;
}

/// A file being written.
pub trait NewFile: Write + Send {
    /// Makes its bytes durable.
    ///
    /// # Errors
    /// When they may not be durable; a second call proves nothing then.
    fn sync_data(&mut self) -> io::Result<()>;
}

/// The operating system's files.
#[derive(Clone, Debug)]
pub(crate) struct SystemFiles {
    root: PathBuf,
}

impl SystemFiles {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }
}

impl Files for SystemFiles {
    fn create(&self, path: &str) -> io::Result<Box<dyn NewFile>> {
        Ok(Box::new(new_file(&self.root.join(path))?))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(self.root.join(path))?))
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        let mut folder = self.root.clone();
        for segment in path.split('/') {
            let parent = folder.clone();
            folder.push(segment);
            if !folder.is_dir() {
                make_folder(&folder)?;
                sync_folder(&parent)?;
            }
        }
        Ok(())
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        sync_folder(&self.root.join(path))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.root.join(path))
    }

    fn remove_folder(&self, path: &str) -> io::Result<()> {
        fs::remove_dir_all(self.root.join(path))
    }
}

impl NewFile for File {
    fn sync_data(&mut self) -> io::Result<()> {
        Self::sync_data(self)
    }
}
