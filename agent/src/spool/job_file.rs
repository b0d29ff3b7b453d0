//! Writes one job's file: the only writer it has.

use std::sync::Arc;

use scantrip_cloud_client::wire::{INTENT_OBJECT, OBJECT_BYTES_MAX, PAGES_MAX};
use scantrip_hal::disk::{DiskError, DiskErrorKind, DiskFile};
use scantrip_hal::entropy::Entropy;
use sha2::{Digest, Sha256};

use super::index::{Closing, Depth, Index, is_page};
use super::record::{HEADER_BYTES, Header, Kind, RECORD_BYTES, checksum, padded};
use super::{JOB_SUFFIX, OPEN_SUFFIX, PageDetails, PageRecord, Shared, SpoolError};
use crate::job_id::JobId;

/// Largest sealed intent: 200 fields of the longest kind and room to spare.
pub(super) const INTENT_BYTES_MAX: usize = 1024 * 1024;
/// Room that pages leave for the manifest, so that a full disk never keeps a job from its end:
/// fields and head ...
const SEAL_BYTES_BASE: u64 = 256 * 1024;
/// ... and what one page takes in it.
const SEAL_BYTES_PER_PAGE: u64 = 192;

/// A job that is being scanned.
///
/// Order of calls: [`JobFile::begin_page`] and its writer for each page, then [`JobFile::seal`].
/// After any error but [`SpoolError::Full`] the file takes no more: drop it, and
/// [`Spool::reopen`](super::Spool::reopen) the job to end it with the pages saved before.
pub struct JobFile {
    shared: Arc<Shared>,
    job: JobId,
    _claim: Claim,
    file: Box<dyn DiskFile>,
    salt: [u8; 16],
    end: u64,
    sequence: u64,
    reserved: u64,
    last_object: u32,
    /// What `last_object` was at the last good sync.
    synced_object: u32,
    pages: u32,
    /// A given-up object whose void record is still to be written.
    abandoned: Option<u32>,
    ended: bool,
    current: Option<Current>,
    /// The record in the making: room for its header, then its body. Made once.
    buffer: Vec<u8>,
}

/// The object in hand.
struct Current {
    object: u32,
    size: u64,
    hasher: Sha256,
}

/// A job that is sealed and durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedJob {
    /// The job.
    pub job: JobId,
    /// Its objects: the pages and the manifest.
    pub objects: u32,
    /// Bytes of its file.
    pub file_bytes: u64,
}

impl JobFile {
    pub(super) fn create(
        shared: &Arc<Shared>,
        job: JobId,
        sealed_intent: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Result<Self, SpoolError> {
        if sealed_intent.len() > INTENT_BYTES_MAX {
            return Err(SpoolError::TooLarge {
                object: INTENT_OBJECT,
                max: INTENT_BYTES_MAX as u64,
            });
        }
        let reserve_bytes = shared.limits.reserve_bytes;
        shared.room_for(reserve_bytes)?;
        let mut salt = [0; 16];
        entropy.fill(&mut salt)?;
        let path = shared.path(job, OPEN_SUFFIX);
        let file = shared.disk.create_new(&path)?;
        let claim = Claim::take(shared, job)?;
        let mut this = Self::new(claim, file, salt);
        match this.begin(sealed_intent) {
            Ok(()) => Ok(this),
            Err(error) => {
                // Nothing was promised yet; a file left behind is removed at the next start.
                drop(this);
                shared.jobs().remove(&job);
                if let Err(error) = shared.disk.remove(&path) {
                    log::warn!("spool: an empty job file stays until the next start: {error}");
                }
                Err(error)
            }
        }
    }

    pub(super) fn reopen(shared: &Arc<Shared>, job: JobId) -> Result<Self, SpoolError> {
        let doubtful = match shared.jobs().get(&job) {
            None => return Err(SpoolError::UnknownJob(job)),
            Some(held) => held.doubtful.clone(),
        };
        let claim = Claim::take(shared, job)?;
        let mut file = match shared.disk.open(&shared.path(job, OPEN_SUFFIX)) {
            Err(error) if error.kind == DiskErrorKind::NotFound => {
                return Err(SpoolError::Sealed(job));
            }
            other => other?,
        };
        let mut index = Index::new(job, Depth::Bodies);
        index.advance(&*file)?;
        for &object in &doubtful {
            index.forget(object);
        }
        if let Some(version) = index.newer {
            return Err(SpoolError::Newer { job, version });
        }
        if index.manifest.is_some() {
            return Err(SpoolError::Sealed(job));
        }
        let salt = index.salt.ok_or(SpoolError::Unreadable(job))?;
        let unsound = unsound(&index, &*file)?;
        file.sync_data()?;
        let mut this = Self::new(claim, file, salt);
        this.end = index.end;
        this.sequence = index.next_sequence;
        this.last_object = index.last_object;
        this.pages = u32::try_from(index.pages.len()).unwrap_or(u32::MAX);
        this.reserved = this.file.len()?;
        this.abandoned = index.unfinished();
        // The void record of what was left unfinished is still to be synced.
        let unsynced = this.abandoned.filter(|&object| is_page(object));
        this.synced_object = unsynced.map_or(index.last_object, |object| object - 1);
        for object in doubtful.into_iter().chain(unsound) {
            this.append(Kind::Void, object, 0)?;
            this.sync(object)?;
            this.settled(object);
        }
        Ok(this)
    }

    fn new(claim: Claim, file: Box<dyn DiskFile>, salt: [u8; 16]) -> Self {
        let mut buffer = Vec::with_capacity(RECORD_BYTES);
        buffer.resize(HEADER_BYTES, 0);
        Self {
            shared: Arc::clone(&claim.shared),
            job: claim.job,
            _claim: claim,
            file,
            salt,
            end: 0,
            sequence: 0,
            reserved: 0,
            last_object: 0,
            synced_object: 0,
            pages: 0,
            abandoned: None,
            ended: false,
            current: None,
            buffer,
        }
    }

    /// Reserves the first room and writes the intent; name and bytes are durable after it.
    fn begin(&mut self, sealed_intent: &[u8]) -> Result<(), SpoolError> {
        self.reserve(self.shared.limits.reserve_bytes)?;
        self.write_whole(INTENT_OBJECT, sealed_intent)?;
        self.close(Kind::Opened, None)?;
        self.shared.disk.sync_folder(&self.shared.folder)?;
        Ok(())
    }

    /// Begins the next page: [`JobFile::last_object`] + 1. Numbers only grow, a given-up one is not
    /// used again, and one that is left out may later be taken for a lost page.
    ///
    /// # Errors
    /// When the file takes no more, or the number or the count of pages is over the limit.
    pub fn begin_page(&mut self, object: u32) -> Result<PageWriter<'_>, SpoolError> {
        self.writable()?;
        if !is_page(object) || object <= self.last_object {
            return Err(SpoolError::WrongNumber {
                object,
                last: self.last_object,
            });
        }
        if self.pages >= PAGES_MAX {
            return Err(SpoolError::TooManyPages { max: PAGES_MAX });
        }
        self.write_abandoned()?;
        self.last_object = object;
        self.start(object);
        Ok(PageWriter {
            file: self,
            failed: false,
        })
    }

    /// Takes a page back: it does not count any more. Durable when this returns.
    ///
    /// # Errors
    /// When the file takes no more or there was never such a page.
    pub fn void(&mut self, object: u32) -> Result<(), SpoolError> {
        self.writable()?;
        if !is_page(object) || object > self.last_object {
            return Err(SpoolError::UnknownObject {
                job: self.job,
                object,
            });
        }
        self.write_abandoned()?;
        self.append(Kind::Void, object, 0)?;
        self.sync(object)?;
        self.pages = self.pages.saturating_sub(1);
        Ok(())
    }

    /// Ends the job with its sealed manifest. When this returns, the whole job is durable.
    ///
    /// # Errors
    /// When the manifest may not be durable: the job is then still a draft.
    pub fn seal(mut self, manifest_sealed: &[u8]) -> Result<SealedJob, SpoolError> {
        self.writable()?;
        self.write_abandoned()?;
        self.write_whole(0, manifest_sealed)?;
        self.close(Kind::Sealed, None)?;
        if let Err(error) = self.give_name() {
            // The job is whole and durable under its old name; the next start renames it.
            log::warn!("spool: a sealed job keeps its open name until the next start: {error}");
        }
        self.shared.account(self.job, self.end);
        Ok(SealedJob {
            job: self.job,
            objects: self.pages.saturating_add(1),
            file_bytes: self.end,
        })
    }

    /// The job.
    #[must_use]
    pub const fn job(&self) -> JobId {
        self.job
    }

    /// The highest object number used by a page so far, 0 before the first; the next page takes a
    /// higher one.
    #[must_use]
    pub const fn last_object(&self) -> u32 {
        self.last_object
    }

    /// Pages saved that count.
    #[must_use]
    pub const fn pages(&self) -> u32 {
        self.pages
    }

    fn writable(&self) -> Result<(), SpoolError> {
        if self.ended {
            return Err(SpoolError::Ended(self.job));
        }
        Ok(())
    }

    fn start(&mut self, object: u32) {
        self.buffer.truncate(HEADER_BYTES);
        self.current = Some(Current {
            object,
            size: 0,
            hasher: Sha256::new(),
        });
    }

    fn write_whole(&mut self, object: u32, bytes: &[u8]) -> Result<(), SpoolError> {
        self.start(object);
        self.push(bytes)
    }

    /// Takes bytes of the object in hand.
    fn push(&mut self, mut bytes: &[u8]) -> Result<(), SpoolError> {
        self.writable()?;
        let Some(current) = &mut self.current else {
            return Err(SpoolError::Ended(self.job));
        };
        let object = current.object;
        if current.size.saturating_add(bytes.len() as u64) > OBJECT_BYTES_MAX {
            return Err(SpoolError::TooLarge {
                object,
                max: OBJECT_BYTES_MAX,
            });
        }
        while !bytes.is_empty() {
            // Hash and copy the same piece while it is in the processor's cache.
            let room = RECORD_BYTES - self.buffer.len();
            let (piece, rest) = bytes.split_at(room.min(bytes.len()));
            if let Some(current) = &mut self.current {
                current.hasher.update(piece);
                current.size += piece.len() as u64;
            }
            self.buffer.extend_from_slice(piece);
            bytes = rest;
            if self.buffer.len() == RECORD_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Writes the chunk in the buffer, if there is one.
    fn flush(&mut self) -> Result<(), SpoolError> {
        let body_bytes = (self.buffer.len() - HEADER_BYTES) as u64;
        match &self.current {
            Some(current) if body_bytes > 0 => {
                let (object, position) = (current.object, current.size - body_bytes);
                self.append(Kind::Chunk, object, position)
            }
            _ => Ok(()),
        }
    }

    /// Ends the object in hand; it is durable when this returns.
    fn close(&mut self, kind: Kind, page: Option<PageDetails>) -> Result<Closing, SpoolError> {
        self.flush()?;
        let Some(current) = self.current.take() else {
            return Err(SpoolError::Ended(self.job));
        };
        let closing = Closing {
            size: current.size,
            sha256: current.hasher.finalize().into(),
            page,
            last: (kind == Kind::Sealed).then_some(self.last_object),
        };
        let line = serde_json::to_vec(&closing).expect("numbers and text always have a JSON form");
        self.buffer.extend_from_slice(&line);
        self.append(kind, current.object, 0)?;
        self.sync(current.object)?;
        Ok(closing)
    }

    /// Appends the record whose body is in the buffer, and empties the buffer.
    fn append(&mut self, kind: Kind, object: u32, position: u64) -> Result<(), SpoolError> {
        let written = self.write_record(kind, object, position);
        self.buffer.truncate(HEADER_BYTES);
        written
    }

    fn write_record(&mut self, kind: Kind, object: u32, position: u64) -> Result<(), SpoolError> {
        let span = padded(self.buffer.len() as u64);
        if is_page(object) && kind != Kind::Void {
            self.make_room(span)?;
        }
        let (head, body) = self.buffer.split_at_mut(HEADER_BYTES);
        let header = Header {
            kind,
            job: self.job,
            salt: self.salt,
            sequence: self.sequence,
            body_bytes: body.len() as u32,
            object,
            position,
            body_checksum: checksum(body),
        };
        head.copy_from_slice(&header.encode());
        self.buffer.resize(span as usize, 0);
        let written = self.file.write_at(self.end, &self.buffer);
        // Part of a failed record may be on the disk: its place and number are never used again.
        self.end += span;
        self.sequence += 1;
        written.map_err(|error| self.fault(error))
    }

    /// Makes sure that `span` more bytes and the manifest have room.
    fn make_room(&mut self, span: u64) -> Result<(), SpoolError> {
        let manifest = SEAL_BYTES_BASE + SEAL_BYTES_PER_PAGE * u64::from(self.pages);
        let needed = padded(self.end + span + manifest);
        if needed <= self.reserved {
            return Ok(());
        }
        let step = self.shared.limits.reserve_bytes;
        let target = needed.max(self.reserved.saturating_add(step));
        self.shared.room_for(target - self.reserved)?;
        self.reserve(target)
    }

    fn reserve(&mut self, target: u64) -> Result<(), SpoolError> {
        self.file
            .reserve(target)
            .map_err(|error| self.fault(error))?;
        self.reserved = target;
        self.shared.account(self.job, target);
        Ok(())
    }

    /// Makes all records durable. After a failure nothing since the last good sync may be relied
    /// on, and trying again proves nothing: what was in hand is voided and the file ends.
    fn sync(&mut self, object: u32) -> Result<(), SpoolError> {
        let Err(source) = self.file.sync_data() else {
            self.synced_object = self.last_object;
            return Ok(());
        };
        self.ended = true;
        // Voids of pages doubted before may be among what was not flushed.
        let mut doubtful = self.shared.doubtful(self.job);
        for object in (self.synced_object + 1..=self.last_object).chain([object]) {
            if !doubtful.contains(&object) {
                doubtful.push(object);
            }
        }
        // For whoever reads the file before the next power cut and finds the page in the cache.
        if let Err(error) = self.write_voids(&doubtful) {
            log::warn!("spool: could not void object {object} either: {error}");
        }
        if let Some(held) = self.shared.jobs().get_mut(&self.job) {
            held.doubtful = doubtful;
        }
        Err(SpoolError::NotDurable {
            job: self.job,
            object,
            source,
        })
    }

    /// A write that failed half-way may have left a whole record: who reads the file leaves the
    /// page out.
    fn doubt(&self, object: u32) {
        if let Some(held) = self.shared.jobs().get_mut(&self.job)
            && !held.doubtful.contains(&object)
        {
            held.doubtful.push(object);
        }
    }

    /// The file itself says now, for good, that the object does not count; its number is used up,
    /// even when nothing of it was ever written.
    fn settled(&mut self, object: u32) {
        if is_page(object) {
            self.last_object = self.last_object.max(object);
            self.synced_object = self.last_object;
        }
        if let Some(held) = self.shared.jobs().get_mut(&self.job) {
            held.doubtful.retain(|&doubted| doubted != object);
        }
    }

    /// Voids objects through a new handle: one whose sync failed is of no more use.
    fn write_voids(&mut self, objects: &[u32]) -> Result<(), SpoolError> {
        self.file = self
            .shared
            .disk
            .open(&self.shared.path(self.job, OPEN_SUFFIX))?;
        for &object in objects {
            self.append(Kind::Void, object, 0)?;
        }
        Ok(self.file.sync_data()?)
    }

    /// Notes a failed disk operation: a full disk spoils the object in hand, all else the file.
    fn fault(&mut self, error: DiskError) -> SpoolError {
        if error.kind == DiskErrorKind::Full {
            return SpoolError::Full {
                needed_bytes: self.buffer.len() as u64,
                available_bytes: 0,
            };
        }
        self.ended = true;
        error.into()
    }

    /// Says in the file that a given-up object does not count. Made durable by the next sync; at
    /// once when its record may be whole.
    fn write_abandoned(&mut self) -> Result<(), SpoolError> {
        let Some(object) = self.abandoned else {
            return Ok(());
        };
        self.append(Kind::Void, object, 0)?;
        if self.shared.doubtful(self.job).contains(&object) {
            self.sync(object)?;
            self.settled(object);
        }
        self.abandoned = None;
        Ok(())
    }

    /// Gives back what was reserved and not used, and gives the file its sealed name.
    fn give_name(&mut self) -> Result<(), DiskError> {
        self.file.set_len(self.end)?;
        let shared = &self.shared;
        let sealed = shared.path(self.job, JOB_SUFFIX);
        shared
            .disk
            .rename(&shared.path(self.job, OPEN_SUFFIX), &sealed)?;
        shared.disk.sync_folder(&shared.folder)
    }
}

/// Pages that look whole from their headers alone, as whoever sends the job reads them, and are
/// not: left alone, they would keep the whole job from being sent.
fn unsound(index: &Index, file: &dyn DiskFile) -> Result<Vec<u32>, DiskError> {
    if index.damaged.is_empty() {
        return Ok(Vec::new());
    }
    let mut quick = Index::new(index.job(), Depth::Headers);
    quick.advance(file)?;
    let listed = quick.pages.iter().map(|page| page.object);
    let sound = |object: &u32| index.pages.iter().any(|page| page.object == *object);
    Ok(listed.filter(|object| !sound(object)).collect())
}

/// The right to write a job's file: one at a time.
struct Claim {
    shared: Arc<Shared>,
    job: JobId,
}

impl Claim {
    fn take(shared: &Arc<Shared>, job: JobId) -> Result<Self, SpoolError> {
        let mut jobs = shared.jobs();
        let held = jobs.entry(job).or_default();
        if held.writing {
            return Err(SpoolError::Busy(job));
        }
        held.writing = true;
        Ok(Self {
            shared: Arc::clone(shared),
            job,
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(held) = self.shared.jobs().get_mut(&self.job) {
            held.writing = false;
        }
    }
}

/// Takes the sealed bytes of one page. Dropping it without [`PageWriter::finish`] gives the page
/// up; its number is not used again.
pub struct PageWriter<'a> {
    file: &'a mut JobFile,
    failed: bool,
}

impl PageWriter<'_> {
    /// Takes the next sealed bytes.
    ///
    /// # Errors
    /// When they cannot be written; the page is then given up. After [`SpoolError::Full`] the job
    /// can still be sealed with the pages saved before.
    pub fn push(&mut self, sealed: &[u8]) -> Result<(), SpoolError> {
        self.whole()?;
        self.file.push(sealed).inspect_err(|_| self.failed = true)
    }

    /// Ends the page. Only when this has returned is the page saved.
    ///
    /// # Errors
    /// When the page may not be durable; it then does not count.
    pub fn finish(mut self, details: PageDetails) -> Result<PageRecord, SpoolError> {
        self.whole()?;
        let object = self.object();
        self.failed = true;
        let closing = self
            .file
            .close(Kind::Page, Some(details.clone()))
            .inspect_err(|_| self.file.doubt(object))?;
        self.failed = false;
        self.file.pages += 1;
        Ok(PageRecord {
            object,
            size: closing.size,
            sha256: closing.sha256,
            details,
        })
    }

    fn whole(&self) -> Result<(), SpoolError> {
        if self.failed {
            return Err(SpoolError::Abandoned(self.object()));
        }
        Ok(())
    }

    const fn object(&self) -> u32 {
        self.file.last_object
    }
}

impl Drop for PageWriter<'_> {
    fn drop(&mut self) {
        if self.failed || self.file.current.is_some() {
            self.file.current = None;
            self.file.abandoned = Some(self.file.last_object);
        }
    }
}
