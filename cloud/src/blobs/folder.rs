//! Blobs as files: one file a part, readable by their owner alone.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::{BlobError, Blobs, Folder, PartWriter};
use crate::durable;
use crate::durable::files::{Files, NewFile, SystemFiles};

/// Parts below a root folder.
#[derive(Clone)]
pub struct FolderBlobs {
    files: Arc<dyn Files>,
}

impl std::fmt::Debug for FolderBlobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FolderBlobs")
    }
}

impl FolderBlobs {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// When it cannot be made or others may touch it.
    pub fn open(root: &Path) -> Result<Self, BlobError> {
        durable::make_folder(root)
            .and_then(|()| durable::require_private(root))
            .map_err(failed("open the folder of", &root.display().to_string()))?;
        Ok(Self::over(Arc::new(SystemFiles::new(root))))
    }

    /// Parts in these files.
    #[must_use]
    pub fn over(files: Arc<dyn Files>) -> Self {
        Self { files }
    }
}

impl Blobs for FolderBlobs {
    fn begin(&self, folder: &Folder, name: &str) -> Result<Box<dyn PartWriter>, BlobError> {
        let folder = folder.as_str();
        let path = format!("{folder}/{name}");
        let file = match self.files.create(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self
                .files
                .make_folder(folder)
                .and_then(|()| self.files.create(&path)),
            other => other,
        };
        Ok(Box::new(FilePart {
            file: file.map_err(failed("begin", &path))?,
            files: Arc::clone(&self.files),
            folder: folder.to_owned(),
            path,
            finished: false,
        }))
    }

    fn open(&self, folder: &Folder, name: &str) -> Result<Box<dyn Read + Send>, BlobError> {
        let path = format!("{}/{name}", folder.as_str());
        self.files.open(&path).map_err(failed("open", &path))
    }

    fn remove(&self, folder: &Folder, name: &str) -> Result<(), BlobError> {
        let path = format!("{}/{name}", folder.as_str());
        content_when_missing(self.files.remove(&path)).map_err(failed("erase", &path))
    }

    fn remove_folder(&self, folder: &Folder) -> Result<(), BlobError> {
        let path = folder.as_str();
        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
        // Nobody will look for these names again: they must not come back after a power cut.
        content_when_missing(self.files.remove_folder(path))
            .and_then(|()| content_when_missing(self.files.sync_folder(above)))
            .map_err(failed("erase", path))
    }
}

struct FilePart {
    file: Box<dyn NewFile>,
    files: Arc<dyn Files>,
    folder: String,
    path: String,
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
            .and_then(|()| self.files.sync_folder(&self.folder))
            .map_err(failed("make durable", &self.path))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for FilePart {
    fn drop(&mut self) {
        if !self.finished {
            // Unnamed by any item, so harmless if it stays.
            drop(self.files.remove(&self.path));
        }
    }
}

fn content_when_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn failed(operation: &'static str, path: &str) -> impl Fn(io::Error) -> BlobError {
    let part = path.to_owned();
    move |source| BlobError {
        operation,
        part: part.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::*;

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
