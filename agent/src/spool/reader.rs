//! Reads a job's objects for sending, sealed job or one that is still being scanned.

use std::sync::Arc;

use scantrip_cloud_client::wire::INTENT_OBJECT;
use scantrip_hal::disk::{DiskErrorKind, DiskFile};

use super::index::{Depth, Entry, Index};
use super::record::{BODY_BYTES_MAX, HEADER_BYTES, Header, HeaderFault, Kind, checksum};
use super::{JOB_SUFFIX, OPEN_SUFFIX, Shared, SpoolError};
use crate::job_id::JobId;

/// One object of a job, as the envelope lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// 0 the manifest, 1 and up pages, `u32::MAX` the intent.
    pub object: u32,
    /// Sealed size in bytes.
    pub size: u64,
    /// SHA-256 of the sealed bytes.
    pub sha256: [u8; 32],
}

/// Reads one job. Holds one record and some 60 bytes per object, never a page.
pub struct JobReader {
    shared: Arc<Shared>,
    job: JobId,
    file: Box<dyn DiskFile>,
    index: Index,
    record: Vec<u8>,
    /// Where the record in `record` stands, once it is verified.
    loaded: Option<u64>,
}

impl JobReader {
    pub(super) fn open(shared: &Arc<Shared>, job: JobId) -> Result<Self, SpoolError> {
        let mut reader = Self {
            shared: Arc::clone(shared),
            job,
            file: open_either(shared, job)?,
            index: Index::new(job, Depth::Headers),
            record: Vec::new(),
            loaded: None,
        };
        reader.refresh()?;
        if let Some(version) = reader.index.newer {
            return Err(SpoolError::Newer { job, version });
        }
        if reader.index.salt.is_none() {
            return Err(SpoolError::Unreadable(job));
        }
        Ok(reader)
    }

    /// Looks for pages that were saved since the reader was opened.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn refresh(&mut self) -> Result<(), SpoolError> {
        self.index.advance(&*self.file)?;
        self.loaded = None;
        for object in self.shared.doubtful(self.job) {
            self.index.forget(object);
        }
        Ok(())
    }

    /// The job.
    #[must_use]
    pub const fn job(&self) -> JobId {
        self.job
    }

    /// The manifest, when the job is sealed, then the pages that count, as they were scanned.
    pub fn objects(&self) -> impl Iterator<Item = ObjectInfo> + '_ {
        self.index
            .manifest
            .iter()
            .chain(&self.index.pages)
            .map(ObjectInfo::from)
    }

    /// The sealed intent, which is sent only for a draft that was cut off.
    #[must_use]
    pub fn intent(&self) -> Option<ObjectInfo> {
        self.index.intent.as_ref().map(ObjectInfo::from)
    }

    /// Pages known to be damaged; more may be found while reading.
    pub fn damaged(&self) -> impl Iterator<Item = u32> + '_ {
        self.index.damaged.iter().copied()
    }

    /// Reads an object's sealed bytes from `offset` on; fewer than asked only at its end.
    ///
    /// # Errors
    /// [`SpoolError::Damaged`] when the stored bytes are not what was written.
    pub fn read_at(
        &mut self,
        object: u32,
        offset: u64,
        out: &mut [u8],
    ) -> Result<usize, SpoolError> {
        let entry = self.entry(object)?;
        let mut done = 0;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let position = offset + done as u64;
            if position >= entry.size {
                break;
            }
            let piece = self.body_at(&entry, position)?;
            let taken = piece.len().min(rest.len());
            let (to, from) = (rest.split_at_mut(taken).0, piece.split_at(taken).0);
            to.copy_from_slice(from);
            done += taken;
        }
        Ok(done)
    }

    fn entry(&self, object: u32) -> Result<Entry, SpoolError> {
        let index = &self.index;
        let found = match object {
            0 => index.manifest,
            INTENT_OBJECT => index.intent,
            // Numbers only grow within a file.
            page => index
                .pages
                .binary_search_by_key(&page, |entry| entry.object)
                .ok()
                .and_then(|place| index.pages.get(place).copied()),
        };
        found.ok_or(SpoolError::UnknownObject {
            job: self.job,
            object,
        })
    }

    /// The verified bytes of an object from `position` to the end of their record.
    fn body_at(&mut self, entry: &Entry, position: u64) -> Result<&[u8], SpoolError> {
        let offset = entry.record_offset(position);
        let within = position % BODY_BYTES_MAX as u64;
        let damaged = SpoolError::Damaged {
            job: self.job,
            object: entry.object,
        };
        if self.loaded != Some(offset) {
            self.loaded = None;
            let body_bytes = (entry.size - (position - within)).min(BODY_BYTES_MAX as u64);
            self.record.resize(HEADER_BYTES + body_bytes as usize, 0);
            let read = self.file.read_at(offset, &mut self.record)?;
            if read < self.record.len() || !self.is_chunk(entry.object, position - within) {
                return Err(damaged);
            }
            self.loaded = Some(offset);
        }
        self.record
            .get(HEADER_BYTES + within as usize..)
            .ok_or(damaged)
    }

    /// Whether the loaded bytes are the whole chunk of `object` at `position`.
    fn is_chunk(&self, object: u32, position: u64) -> bool {
        let Some((head, body)) = self.record.split_first_chunk::<HEADER_BYTES>() else {
            return false;
        };
        let header: Result<Header, HeaderFault> = Header::parse(head);
        header.is_ok_and(|header| {
            header.kind == Kind::Chunk
                && header.job == self.job
                && Some(header.salt) == self.index.salt
                && header.object == object
                && header.position == position
                && header.body_bytes as usize == body.len()
                && header.body_checksum == checksum(body)
        })
    }
}

impl From<&Entry> for ObjectInfo {
    fn from(entry: &Entry) -> Self {
        Self {
            object: entry.object,
            size: entry.size,
            sha256: entry.sha256,
        }
    }
}

fn open_either(shared: &Shared, job: JobId) -> Result<Box<dyn DiskFile>, SpoolError> {
    for suffix in [JOB_SUFFIX, OPEN_SUFFIX, JOB_SUFFIX] {
        // The last look is for a job that was renamed between the first two.
        match shared.disk.open(&shared.path(job, suffix)) {
            Err(error) if error.kind == DiskErrorKind::NotFound => {}
            other => return Ok(other?),
        }
    }
    Err(SpoolError::UnknownJob(job))
}
