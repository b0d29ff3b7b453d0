//! The blob port: large sealed content in ordered, immutable parts, as S3's multipart upload has
//! them.
//!
//! A part is written once, under a name its writer draws at random, and becomes part of an object
//! only when a store item names it. What a crash leaves behind unnamed is never read. A folder
//! groups what goes together: one job's objects, one tenant's long items.

pub mod folder;
pub mod memory;

use std::io::{self, Read};

use serde::{Deserialize, Serialize};

/// A failed blob operation: what was attempted, on which part, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} blob part {part}")]
pub struct BlobError {
    /// What was attempted.
    pub operation: &'static str,
    /// Folder and name.
    pub part: String,
    /// The system's words.
    #[source]
    pub source: io::Error,
}

/// Names a group of parts: path segments of `[a-z0-9-]`, for example tenant, device and job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folder(String);

impl Folder {
    /// The folder of these segments.
    ///
    /// # Panics
    /// When a segment is empty or has another symbol; ids are checked where they come in.
    #[must_use]
    pub fn new(segments: &[&str]) -> Self {
        for segment in segments {
            assert!(is_name(segment), "blob folders are made of checked ids");
        }
        Self(segments.join("/"))
    }

    /// The segments joined by `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `name` is fit for a path segment on any engine.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 100
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// A part that an item names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name in the folder.
    pub name: String,
    /// Its length in bytes.
    pub length: u64,
}

/// Where sealed content lies.
pub trait Blobs: Send + Sync {
    /// Begins a part; `name` must be fresh.
    ///
    /// # Errors
    /// When the engine refuses.
    fn begin(&self, folder: &Folder, name: &str) -> Result<Box<dyn PartWriter>, BlobError>;

    /// Opens a part for reading from its first byte.
    ///
    /// # Errors
    /// When there is no such part or the engine refuses.
    fn open(&self, folder: &Folder, name: &str) -> Result<Box<dyn Read + Send>, BlobError>;

    /// Erases a part; content when there is none.
    ///
    /// # Errors
    /// When the engine refuses.
    fn remove(&self, folder: &Folder, name: &str) -> Result<(), BlobError>;

    /// Erases a folder with all its parts and folders; content when there is none.
    ///
    /// # Errors
    /// When the engine refuses.
    fn remove_folder(&self, folder: &Folder) -> Result<(), BlobError>;
}

/// A part being written. Dropping it abandons the part.
pub trait PartWriter: Send {
    /// Adds bytes.
    ///
    /// # Errors
    /// When the engine cannot write; the part must then be abandoned.
    fn push(&mut self, bytes: &[u8]) -> Result<(), BlobError>;

    /// Makes bytes and name durable.
    ///
    /// # Errors
    /// When they may not be durable; the part must not be named then.
    fn finish(self: Box<Self>) -> Result<(), BlobError>;
}

/// Reads an object's parts one after the other; holds one part open at a time.
pub struct ObjectReader<'a> {
    blobs: &'a dyn Blobs,
    folder: &'a Folder,
    parts: std::slice::Iter<'a, Part>,
    open: Option<(Box<dyn Read + Send>, u64)>,
}

impl std::fmt::Debug for ObjectReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ObjectReader({})", self.folder.as_str())
    }
}

impl<'a> ObjectReader<'a> {
    /// A reader of `parts` in their order.
    #[must_use]
    pub fn new(blobs: &'a dyn Blobs, folder: &'a Folder, parts: &'a [Part]) -> Self {
        Self {
            blobs,
            folder,
            parts: parts.iter(),
            open: None,
        }
    }
}

impl Read for ObjectReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some((part, left)) = &mut self.open else {
                let Some(next) = self.parts.next() else {
                    return Ok(0);
                };
                let part = self
                    .blobs
                    .open(self.folder, &next.name)
                    .map_err(io::Error::other)?;
                self.open = Some((part, next.length));
                continue;
            };
            if *left == 0 {
                self.open = None;
                continue;
            }
            let most = usize::try_from(*left).unwrap_or(usize::MAX).min(out.len());
            let (window, _) = out.split_at_mut(most);
            let count = part.read(window)?;
            if count == 0 && most > 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            *left -= count as u64;
            return Ok(count);
        }
    }
}

#[cfg(test)]
pub mod conformance {
    //! What every engine of the blobs must do.

    use super::*;

    /// Runs the whole suite on an empty engine.
    ///
    /// # Panics
    /// When the engine does not pass.
    pub fn check(blobs: &dyn Blobs) {
        let job = Folder::new(&["tenant", "device", "job"]);
        let write = |name: &str, bytes: &[u8]| {
            let mut part = blobs.begin(&job, name).unwrap();
            for piece in bytes.chunks(2) {
                part.push(piece).unwrap();
            }
            part.finish().unwrap();
            Part {
                name: name.to_owned(),
                length: bytes.len() as u64,
            }
        };
        let parts = [write("a", b"hello"), write("b", b""), write("c", b" world")];
        let mut text = String::new();
        ObjectReader::new(blobs, &job, &parts)
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "hello world");

        assert!(blobs.begin(&job, "a").is_err(), "a part is immutable");
        let longer = [Part {
            name: "a".to_owned(),
            length: 6,
        }];
        let torn = ObjectReader::new(blobs, &job, &longer).read_to_end(&mut Vec::new());
        assert_eq!(torn.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);

        drop(blobs.begin(&job, "d").unwrap());
        blobs.remove(&job, "a").unwrap();
        blobs.remove(&job, "a").unwrap();
        assert!(blobs.open(&job, "a").is_err());
        blobs
            .remove_folder(&Folder::new(&["tenant", "device"]))
            .unwrap();
        blobs
            .remove_folder(&Folder::new(&["tenant", "device"]))
            .unwrap();
        assert!(blobs.open(&job, "c").is_err());
    }
}
