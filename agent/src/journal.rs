//! What the device may tell about its jobs, long after their pages are gone.
//!
//! One file of records as in the spool, one record per change of a job, each body sealed with the
//! device-local key and bound to its job, file and place. The latest record of a job counts. The
//! journal holds no index field and no page. In memory stays one small line per job.
//!
//! The file is written anew, and the old ones among the finished jobs are left out, when it has
//! grown to twice what it needs: beside the old file first, then renamed over it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use scantrip_cloud_client::wire::SignedReceipt;
use scantrip_hal::clock::UnixTime;
use scantrip_hal::disk::{Disk, DiskError, DiskErrorKind, DiskFile};
use scantrip_hal::entropy::{Entropy, EntropyError};
use scantrip_hal::keys::{KeyError, KeyStore};
use serde::{Deserialize, Serialize};

use crate::job_id::JobId;
use crate::spool::record::{
    BLOCK_BYTES, BODY_BYTES_MAX, HEADER_BYTES, Header, HeaderFault, Kind, checksum,
};

/// Finished jobs that are remembered: a busy day, one screen to scroll.
pub const FINISHED_MAX: usize = 1000;
/// How long a finished job is remembered: 90 days.
pub const FINISHED_DAYS_MAX: u64 = 90;

/// What is read of a record at once: most are whole in it.
const GLANCE_BYTES: usize = 1024;
/// Bytes that may be spent on what no longer counts before the file is written anew.
const SPARE_BYTES: u64 = 1024 * 1024;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// One job as the device remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEntry {
    /// The job.
    pub job: JobId,
    /// The workflow's id.
    pub workflow_id: String,
    /// Version of the workflow that the person saw.
    pub workflow_version: u64,
    /// The workflow's name then.
    pub workflow_name: String,
    /// Who scanned, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Pages in the document.
    pub pages: u32,
    /// When it was opened, Unix milliseconds.
    pub opened_at_ms: u64,
    /// When this entry was written, Unix milliseconds.
    pub changed_at_ms: u64,
    /// How far the job is.
    pub state: JobState,
    /// Whether the sealed intent belongs to the job: a draft that was finished after a power cut.
    #[serde(default)]
    pub sends_intent: bool,
    /// How it is scanned, until it is sealed: the rest of a stack is scanned in the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<ScanMemo>,
    /// The cloud's receipt, once it is verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<SignedReceipt>,
}

/// How an unfinished job is scanned, in the words of a workflow (`adf`, `gray`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanMemo {
    /// Glass or feeder.
    pub source: String,
    /// Both sides of each sheet.
    pub duplex: bool,
    /// Colour, gray or black and white.
    pub color_mode: String,
    /// Pixels per inch.
    pub resolution_dpi: u16,
    /// The object of a page that the scanner doubts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubtful: Option<u32>,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum JobState {
    /// Paper moves, or the person looks at the pages.
    Scanning,
    /// Cut off while scanning; waits for a person.
    Draft,
    /// Sealed here, waits for its turn.
    Queued,
    /// On its way.
    Sending,
    /// The cloud has it; the receipt is in the entry and the file is erased here.
    Received,
    /// At its destination.
    Delivered {
        /// Where.
        place: String,
        /// Under what name.
        name: String,
    },
    /// In the cloud, and will not be delivered without a person.
    Failed {
        /// Why and what to do.
        reason: String,
    },
    /// The cloud refused it for good, or it cannot be read here; its file stays for a person.
    Refused {
        /// Why and what to do.
        reason: String,
    },
    /// Thrown away by a person; the cloud is still to be told.
    Discarding,
    /// Thrown away, here and in the cloud.
    Discarded,
}

impl JobState {
    /// Whether nothing is left to do on this device. Only such a job may be forgotten.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        match self {
            Self::Received | Self::Delivered { .. } | Self::Failed { .. } | Self::Discarded => true,
            Self::Scanning
            | Self::Draft
            | Self::Queued
            | Self::Sending
            | Self::Refused { .. }
            | Self::Discarding => false,
        }
    }
}

/// Why the journal did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The disk failed.
    #[error("the journal cannot be read or written")]
    Disk(#[from] DiskError),
    /// The device-local key cannot be used.
    #[error("the journal cannot be sealed or opened")]
    Keys(#[from] KeyError),
    /// No randomness for a new file.
    #[error("the journal cannot be made")]
    Entropy(#[from] EntropyError),
    /// Written by a later version of the agent; left untouched.
    #[error("the journal was written by a later version of the agent (format {version})")]
    Newer {
        /// The version found.
        version: u16,
    },
    /// An entry is longer than a record can be.
    #[error("the journal entry of job {0} is too long")]
    TooLong(JobId),
}

/// What opening the journal had to leave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalDamage {
    /// Records that cannot be read. Their jobs show their state before, or not at all.
    pub records: u32,
}

/// The journal. All calls may come from any thread.
pub struct Journal {
    disk: Arc<dyn Disk>,
    keys: Arc<dyn KeyStore>,
    folder: String,
    log: Mutex<Log>,
    /// What was read at the opening, until somebody takes it.
    read: Mutex<BTreeMap<JobId, JobEntry>>,
}

/// The file and what is in it.
struct Log {
    file: Box<dyn DiskFile>,
    salt: [u8; 16],
    end: u64,
    sequence: u64,
    /// The record of each job that counts.
    lines: BTreeMap<JobId, Line>,
    /// Whether a write failed: the file is then written anew before anything else.
    suspect: bool,
}

/// Where a job's entry stands, and what eviction needs to know.
#[derive(Clone, Copy, Debug)]
struct Line {
    offset: u64,
    bytes: u64,
    changed_at_ms: u64,
    finished: bool,
}

impl Journal {
    /// Opens the journal in `folder`, or begins one. Entries that cannot be read are left out and
    /// counted.
    ///
    /// # Errors
    /// When the file cannot be read or is of a later version.
    pub fn open(
        disk: Arc<dyn Disk>,
        keys: Arc<dyn KeyStore>,
        folder: &str,
        entropy: &mut dyn Entropy,
    ) -> Result<(Self, JournalDamage), JournalError> {
        disk.create_folder(folder)?;
        let path = log_path(folder);
        let mut damage = JournalDamage::default();
        let mut read = BTreeMap::new();
        let log = match disk.open(&path) {
            Ok(file) => {
                let mut log = Log::read(file, &*keys, &mut damage, &mut read)?;
                // After a crash of the agent alone its last words may stand in the cache only:
                // nothing may be erased on their account before they are durable.
                log.file.sync_data()?;
                disk.sync_folder(folder)?;
                log
            }
            Err(error) if error.kind == DiskErrorKind::NotFound => {
                let file = disk.create_new(&path)?;
                disk.sync_folder(folder)?;
                Log::empty(file, new_salt(entropy)?)
            }
            Err(error) => return Err(error.into()),
        };
        let mut log = log;
        if log.sequence == 0 {
            log.salt = new_salt(entropy)?;
        }
        let journal = Self {
            disk,
            keys,
            folder: folder.to_owned(),
            log: Mutex::new(log),
            read: Mutex::new(read),
        };
        Ok((journal, damage))
    }

    /// Every job as [`Journal::open`] found it; given once, so that start-up reads thousands of
    /// entries once.
    pub fn take_read(&self) -> BTreeMap<JobId, JobEntry> {
        std::mem::take(&mut *self.read.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers the entry in place of what was known of its job. Durable when this returns.
    ///
    /// # Errors
    /// When it may not be durable; the entry before it then still counts.
    pub fn put(&self, entry: &JobEntry) -> Result<(), JournalError> {
        let mut log = self.log();
        if log.suspect || log.is_wasteful() {
            self.rewrite(&mut log, UnixTime::from_millis(entry.changed_at_ms))?;
        }
        let put = log.append(&*self.keys, entry).and_then(|line| {
            log.file.sync_data()?;
            Ok(line)
        });
        match put {
            Ok(line) => {
                log.lines.insert(entry.job, line);
                Ok(())
            }
            Err(error) => {
                log.suspect = true;
                Err(error)
            }
        }
    }

    /// What is known of a job.
    ///
    /// # Errors
    /// When its entry cannot be read any more.
    pub fn get(&self, job: JobId) -> Result<Option<JobEntry>, JournalError> {
        let log = self.log();
        let Some(line) = log.lines.get(&job) else {
            return Ok(None);
        };
        log.entry(&*self.keys, line)
    }

    /// Every job, newest first. An entry that cannot be read any more is left out.
    ///
    /// # Errors
    /// When the disk or the key store fails.
    pub fn list(&self) -> Result<Vec<JobEntry>, JournalError> {
        self.collect(|_| true)
    }

    /// The jobs that still have something to do here, newest first.
    ///
    /// # Errors
    /// As [`Journal::list`].
    pub fn unfinished(&self) -> Result<Vec<JobEntry>, JournalError> {
        self.collect(|line| !line.finished)
    }

    /// Forgets the finished jobs that are over the limits. Called now and then; harmless at any
    /// time.
    ///
    /// # Errors
    /// When the file cannot be written anew; nothing is forgotten then.
    pub fn tidy(&self, now: UnixTime) -> Result<(), JournalError> {
        let mut log = self.log();
        if log.evictable(now).is_empty() {
            return Ok(());
        }
        self.rewrite(&mut log, now)
    }

    /// Forgets everything, for good.
    ///
    /// # Errors
    /// When some of it may still be there.
    pub fn wipe(&self) -> Result<(), JournalError> {
        let mut log = self.log();
        log.lines.clear();
        self.rewrite(&mut log, UnixTime::default())
    }

    fn collect(&self, wanted: impl Fn(&Line) -> bool) -> Result<Vec<JobEntry>, JournalError> {
        let log = self.log();
        let mut entries = Vec::new();
        for line in log.lines.values().filter(|line| wanted(line)) {
            entries.extend(log.entry(&*self.keys, line)?);
        }
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.opened_at_ms));
        Ok(entries)
    }

    /// Writes what counts into a new file and puts it in the old one's place.
    fn rewrite(&self, log: &mut Log, now: UnixTime) -> Result<(), JournalError> {
        let fresh_path = format!("{}/journal.new", self.folder);
        match self.disk.remove(&fresh_path) {
            Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let forgotten = log.evictable(now);
        let mut fresh = Log::empty(self.disk.create_new(&fresh_path)?, log.next_salt());
        for (job, line) in &log.lines {
            if forgotten.contains(job) {
                continue;
            }
            if let Some(entry) = log.entry(&*self.keys, line)? {
                let line = fresh.append(&*self.keys, &entry)?;
                fresh.lines.insert(*job, line);
            }
        }
        fresh.file.sync_data()?;
        self.disk.rename(&fresh_path, &log_path(&self.folder))?;
        // From here on the new file is the journal, whether or not its name is durable yet.
        *log = fresh;
        log.suspect = true;
        self.disk.sync_folder(&self.folder)?;
        log.suspect = false;
        Ok(())
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    const fn empty(file: Box<dyn DiskFile>, salt: [u8; 16]) -> Self {
        Self {
            file,
            salt,
            end: 0,
            sequence: 0,
            lines: BTreeMap::new(),
            suspect: false,
        }
    }

    /// Reads every record. Bytes after the last valid one are a torn tail and no damage.
    fn read(
        file: Box<dyn DiskFile>,
        keys: &dyn KeyStore,
        damage: &mut JournalDamage,
        read: &mut BTreeMap<JobId, JobEntry>,
    ) -> Result<Self, JournalError> {
        let length = file.len()?;
        let mut log = Self::empty(file, [0; 16]);
        let mut offset = 0;
        while offset < length {
            let Some((header, body)) = log.record(offset)? else {
                offset += BLOCK_BYTES;
                continue;
            };
            let lost = header.sequence.saturating_sub(log.sequence);
            damage.records = damage
                .records
                .saturating_add(u32::try_from(lost).unwrap_or(u32::MAX));
            log.salt = header.salt;
            match open_entry(keys, &header, &body)? {
                Some(entry) => {
                    log.lines
                        .insert(entry.job, Line::of(&entry, offset, header.span()));
                    read.insert(entry.job, entry);
                }
                None => damage.records = damage.records.saturating_add(1),
            }
            offset += header.span();
            log.end = offset;
            log.sequence = header.sequence + 1;
        }
        Ok(log)
    }

    /// The valid record at `offset` that belongs to this file, if there is one.
    fn record(&self, offset: u64) -> Result<Option<(Header, Vec<u8>)>, JournalError> {
        let mut glance = [0; GLANCE_BYTES];
        let read = self.file.read_at(offset, &mut glance)?;
        let glanced = glance.get(..read).unwrap_or_default();
        let Some((bytes, rest)) = glanced.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let header = match Header::parse(bytes) {
            Ok(header) => header,
            Err(HeaderFault::Newer(version)) => return Err(JournalError::Newer { version }),
            Err(HeaderFault::Broken) => return Ok(None),
        };
        let begun = self.sequence > 0;
        let ours = !begun || header.salt == self.salt;
        if header.kind != Kind::Entry || !header.fits(offset) || !ours {
            return Ok(None);
        }
        let length = header.body_bytes as usize;
        let mut body = rest
            .get(..length.min(rest.len()))
            .unwrap_or_default()
            .to_vec();
        if body.len() < length {
            body.resize(length, 0);
            let read = self.file.read_at(offset + HEADER_BYTES as u64, &mut body)?;
            body.truncate(read);
        }
        let whole = body.len() == length && checksum(&body) == header.body_checksum;
        Ok(whole.then_some((header, body)))
    }

    fn entry(&self, keys: &dyn KeyStore, line: &Line) -> Result<Option<JobEntry>, JournalError> {
        match self.record(line.offset)? {
            Some((header, body)) => open_entry(keys, &header, &body),
            None => Ok(None),
        }
    }

    fn append(&mut self, keys: &dyn KeyStore, entry: &JobEntry) -> Result<Line, JournalError> {
        let json = serde_json::to_vec(&Stored { version: 1, entry })
            .expect("numbers and text always have a JSON form");
        let context = context(&self.salt, self.sequence, entry.job);
        let body = keys.seal_local(&context, &json)?;
        if body.len() > BODY_BYTES_MAX {
            return Err(JournalError::TooLong(entry.job));
        }
        let header = Header {
            kind: Kind::Entry,
            job: entry.job,
            salt: self.salt,
            sequence: self.sequence,
            body_bytes: body.len() as u32,
            object: 0,
            position: 0,
            body_checksum: checksum(&body),
        };
        let mut record = header.encode().to_vec();
        record.extend_from_slice(&body);
        record.resize(header.span() as usize, 0);
        let line = Line::of(entry, self.end, header.span());
        self.end += header.span();
        self.sequence += 1;
        self.file.write_at(line.offset, &record)?;
        Ok(line)
    }

    /// Whether more than half of the file, and enough to be worth it, no longer counts.
    fn is_wasteful(&self) -> bool {
        let live: u64 = self.lines.values().map(|line| line.bytes).sum();
        self.end > 2 * live + SPARE_BYTES
    }

    /// Finished jobs over the limits: the oldest over the count, and those over the age.
    fn evictable(&self, now: UnixTime) -> Vec<JobId> {
        let mut finished: Vec<_> = self
            .lines
            .iter()
            .filter(|(_, line)| line.finished)
            .map(|(job, line)| (line.changed_at_ms, *job))
            .collect();
        finished.sort_unstable_by(|a, b| b.cmp(a));
        let oldest = now.as_millis().saturating_sub(FINISHED_DAYS_MAX * DAY_MS);
        finished
            .into_iter()
            .enumerate()
            .filter(|(place, (changed, _))| *place >= FINISHED_MAX || *changed < oldest)
            .map(|(_, (_, job))| job)
            .collect()
    }

    /// A salt that no earlier file of this journal had: the old one, counted on.
    const fn next_salt(&self) -> [u8; 16] {
        u128::from_le_bytes(self.salt).wrapping_add(1).to_le_bytes()
    }
}

impl Line {
    const fn of(entry: &JobEntry, offset: u64, bytes: u64) -> Self {
        Self {
            offset,
            bytes,
            changed_at_ms: entry.changed_at_ms,
            finished: entry.state.is_finished(),
        }
    }
}

/// The body of a record before it is sealed.
#[derive(Serialize, Deserialize)]
struct Stored<E> {
    version: u32,
    entry: E,
}

/// The entry of a record, unless it is garbled, moved, or of a later version.
fn open_entry(
    keys: &dyn KeyStore,
    header: &Header,
    body: &[u8],
) -> Result<Option<JobEntry>, JournalError> {
    let context = context(&header.salt, header.sequence, header.job);
    let json = match keys.open_local(&context, body) {
        Ok(json) => json,
        Err(KeyError::NotOurs) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let stored = serde_json::from_slice::<Stored<JobEntry>>(&json).ok();
    Ok(stored
        .filter(|s| s.version == 1 && s.entry.job == header.job)
        .map(|s| s.entry))
}

/// What a sealed entry is bound to: this file, its place in it, its job.
fn context(salt: &[u8; 16], sequence: u64, job: JobId) -> Vec<u8> {
    let mut context = b"scantrip journal 1".to_vec();
    context.extend_from_slice(salt);
    context.extend_from_slice(&sequence.to_le_bytes());
    context.extend_from_slice(job.as_bytes());
    context
}

fn new_salt(entropy: &mut dyn Entropy) -> Result<[u8; 16], EntropyError> {
    let mut salt = [0; 16];
    entropy.fill(&mut salt)?;
    Ok(salt)
}

fn log_path(folder: &str) -> String {
    format!("{folder}/journal.log")
}
