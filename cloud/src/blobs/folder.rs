//! Blobs as files: one file a part, readable by their owner alone.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use super::{BlobError, Blobs, Folder, PartWriter};
use crate::durable;

/// Parts below a root folder.
#[derive(Clone, Debug)]
pub struct FolderBlobs {
    root: PathBuf,
}

impl FolderBlobs {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// When it cannot be made or others may touch it.
    pub fn open(root: &Path) -> Result<Self, BlobError> {
        durable::make_folder(root)
            .and_then(|()| durable::require_private(root))
            .map_err(failed("open the folder of", root))?;
        Ok(Self {
            root: root.to_owned(),
        })
    }

    fn folder(&self, folder: &Folder) -> PathBuf {
        self.root.join(folder.as_str())
    }

    /// Makes the folder with durable names from the root down.
    fn make(&self, folder: &Folder) -> io::Result<()> {
        let mut path = self.root.clone();
        for segment in folder.as_str().split('/') {
            let parent = path.clone();
            path.push(segment);
            if !path.is_dir() {
                durable::make_folder(&path)?;
                durable::sync_folder(&parent)?;
            }
        }
        Ok(())
    }
}

impl Blobs for FolderBlobs {
    fn begin(&self, folder: &Folder, name: &str) -> Result<Box<dyn PartWriter>, BlobError> {
        let home = self.folder(folder);
        let path = home.join(name);
        let file = match durable::new_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make(folder).and_then(|()| durable::new_file(&path))
            }
            other => other,
        };
        Ok(Box::new(FilePart {
            file: file.map_err(failed("begin", &path))?,
            home,
            path,
            finished: false,
        }))
    }

    fn open(&self, folder: &Folder, name: &str) -> Result<Box<dyn Read + Send>, BlobError> {
        let path = self.folder(folder).join(name);
        let file = File::open(&path).map_err(failed("open", &path))?;
        Ok(Box::new(file))
    }

    fn remove(&self, folder: &Folder, name: &str) -> Result<(), BlobError> {
        let path = self.folder(folder).join(name);
        content_when_missing(fs::remove_file(&path)).map_err(failed("erase", &path))
    }

    fn remove_folder(&self, folder: &Folder) -> Result<(), BlobError> {
        let path = self.folder(folder);
        content_when_missing(fs::remove_dir_all(&path)).map_err(failed("erase", &path))
    }
}

struct FilePart {
    file: File,
    home: PathBuf,
    path: PathBuf,
    finished: bool,
}

impl PartWriter for FilePart {
    fn push(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.file
            .write_all(bytes)
            .map_err(failed("write", &self.path))
    }

    fn finish(mut self: Box<Self>) -> Result<(), BlobError> {
        self.file
            .sync_data()
            .and_then(|()| durable::sync_folder(&self.home))
            .map_err(failed("make durable", &self.path))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for FilePart {
    fn drop(&mut self) {
        if !self.finished {
            // Unnamed by any item, so harmless if it stays.
            drop(fs::remove_file(&self.path));
        }
    }
}

fn content_when_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn failed(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> BlobError {
    let part = path.display().to_string();
    move |source| BlobError {
        operation,
        part: part.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn folder_passes_the_blob_suite() {
        let root = tempfile::tempdir().unwrap();
        let blobs = FolderBlobs::open(&root.path().join("blobs")).unwrap();
        super::super::conformance::check(&blobs);
    }

    #[test]
    fn files_are_for_their_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("blobs");
        let blobs = FolderBlobs::open(&path).unwrap();
        let folder = Folder::new(&["t", "j"]);
        blobs.begin(&folder, "part").unwrap().finish().unwrap();
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.join("t")), 0o700);
        assert_eq!(mode(path.join("t/j/part")), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(FolderBlobs::open(&path).is_err());
    }
}
