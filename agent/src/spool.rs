//! The spool: where a page is safe from the moment the panel calls it *saved*.
//!
//! One append-only file per job, written by one [`JobFile`], made and reserved before paper moves.
//! `JOB.open` holds a job that is still being scanned, `JOB.job` one that is sealed and waits to be
//! sent. The bytes are sealed objects; nothing here can read them. Layout: `docs/formats.md`,
//! section 2; rules after a power cut: `docs/decisions/0003-spool-recovery.md`.
//!
//! **Invariants.** A page is saved only after [`PageWriter::finish`] returned. Nothing is ever
//! truncated or dropped here but by [`Spool::remove`]. Memory does not depend on a page's size.

mod index;
mod job_file;
mod reader;
pub(crate) mod record;
mod recovery;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use scantrip_hal::disk::{Disk, DiskError, DiskErrorKind};
use scantrip_hal::entropy::{Entropy, EntropyError};
use scantrip_hal::scanner::Side;
use serde::{Deserialize, Serialize};

use crate::job_id::JobId;

pub use job_file::{JobFile, PageWriter, SealedJob};
pub use reader::{JobReader, ObjectInfo};

/// How much the spool may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolLimits {
    /// Most bytes of all jobs together, reserved ones included.
    pub bytes_max: u64,
    /// Bytes of the disk that stay free for others.
    pub free_bytes_min: u64,
    /// What a job gets before paper moves, and again each time it has filled that.
    pub reserve_bytes: u64,
}

impl SpoolLimits {
    /// The usual reservation: 64 MiB, about 60 colour pages, so that most jobs never grow.
    pub const RESERVE_BYTES: u64 = 64 * 1024 * 1024;
}

/// What the spool holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Jobs, open and sealed.
    pub jobs: u32,
    /// Bytes in use or reserved.
    pub bytes: u64,
}

/// What the manifest says of a page, besides its object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageDetails {
    /// Media type of the bytes before they were sealed.
    pub media_type: String,
    /// Images in the page; 1 for JPEG.
    pub images: u16,
    /// Pixels per inch.
    pub dpi: u16,
    /// Side of the sheet.
    #[serde(with = "SideName")]
    pub side: Side,
    /// Width in pixels, 0 when not known.
    pub width: u32,
    /// Height in pixels, 0 when not known.
    pub height: u32,
    /// Whether the scanner reported a fault on this page and a person kept it.
    pub doubtful: bool,
}

/// A page that is safe here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRecord {
    /// Number of the object in the job, 1 and up.
    pub object: u32,
    /// Sealed size in bytes.
    pub size: u64,
    /// SHA-256 of the sealed bytes: the page's identity.
    pub sha256: [u8; 32],
    /// What the manifest says of it.
    pub details: PageDetails,
}

/// A job found at start-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredJob {
    /// The job.
    pub job: JobId,
    /// In which state it was found.
    pub kind: RecoveredKind,
}

/// In which state a job was found at start-up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecoveredKind {
    /// Cut off while it was scanned. A person finishes or discards it.
    Draft {
        /// The pages that are whole, in the order they were scanned.
        pages: Vec<PageRecord>,
        /// Pages that may have been called saved and cannot be read any more; also
        /// [`INTENT_OBJECT`](scantrip_cloud_client::wire::INTENT_OBJECT) when the intent is lost.
        damaged: Vec<u32>,
    },
    /// Sealed; to be sent.
    Complete,
    /// Written by a later version of the agent; left untouched.
    Newer {
        /// The version found.
        version: u16,
    },
    /// Cannot be read; left untouched.
    Unreadable {
        /// Why, for people.
        reason: String,
    },
}

/// Why the spool did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// The limit or the disk is reached. What was saved before stays.
    #[error("the spool is full: {needed_bytes} bytes are needed, {available_bytes} are left")]
    Full {
        /// Bytes asked for.
        needed_bytes: u64,
        /// Bytes that may still be used; 0 when the disk did not say.
        available_bytes: u64,
    },
    /// The disk may have lost the page in hand. The job ends with the pages saved before it.
    #[error("object {object} of job {job} may not be on the disk; scan that page again")]
    NotDurable {
        /// The job.
        job: JobId,
        /// The object in hand; 0 is the manifest.
        object: u32,
        /// What failed.
        source: DiskError,
    },
    /// An earlier write failed; this file takes no more.
    #[error("job {0} takes no more after a failed write; it ends with the pages saved before")]
    Ended(JobId),
    /// The page was given up after an error.
    #[error("object {0} was given up after an error; scan that page again as a new object")]
    Abandoned(u32),
    /// The disk failed otherwise.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// No randomness for a new file.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// There is no such job.
    #[error("there is no job {0} in the spool")]
    UnknownJob(JobId),
    /// The job is being written already.
    #[error("job {0} is open already")]
    Busy(JobId),
    /// The job is sealed and takes no more.
    #[error("job {0} is sealed already")]
    Sealed(JobId),
    /// The job has no such object.
    #[error("job {job} has no object {object}")]
    UnknownObject {
        /// The job.
        job: JobId,
        /// The object asked for.
        object: u32,
    },
    /// Numbers of objects only grow within a job, and 0 and the last one are not pages.
    #[error("object {object} cannot follow object {last}")]
    WrongNumber {
        /// The number asked for.
        object: u32,
        /// The last number used.
        last: u32,
    },
    /// A job has at most [`PAGES_MAX`](scantrip_cloud_client::wire::PAGES_MAX) pages.
    #[error("a job has at most {max} pages; finish this one and begin another")]
    TooManyPages {
        /// The limit.
        max: u32,
    },
    /// An object has at most [`OBJECT_BYTES_MAX`](scantrip_cloud_client::wire::OBJECT_BYTES_MAX)
    /// bytes.
    #[error("object {object} is longer than {max} bytes")]
    TooLarge {
        /// The object.
        object: u32,
        /// The limit.
        max: u64,
    },
    /// The stored bytes are not what was written.
    #[error("object {object} of job {job} is damaged on the disk")]
    Damaged {
        /// The job.
        job: JobId,
        /// The object.
        object: u32,
    },
    /// Written by a later version of the agent.
    #[error("job {job} was written by a later version of the agent (format {version})")]
    Newer {
        /// The job.
        job: JobId,
        /// The version found.
        version: u16,
    },
    /// No record of the file can be read.
    #[error("no record of job {0} can be read")]
    Unreadable(JobId),
}

impl SpoolError {
    /// Whether room is missing and nothing else is wrong.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

/// All job files of this device. Cloning gives another handle to the same spool.
#[derive(Clone)]
pub struct Spool {
    shared: Arc<Shared>,
}

impl Spool {
    /// Opens the spool in `folder` and says what jobs it holds. Only jobs that were cut off are
    /// read; sealed ones are verified while they are sent.
    ///
    /// # Errors
    /// When the folder cannot be read. A fault of one job does not keep the others from opening.
    pub fn open(
        disk: Arc<dyn Disk>,
        folder: &str,
        limits: SpoolLimits,
    ) -> Result<(Self, Vec<RecoveredJob>), SpoolError> {
        disk.create_folder(folder)?;
        let shared = Arc::new(Shared {
            disk,
            folder: folder.to_owned(),
            limits,
            jobs: Mutex::default(),
        });
        let recovered = recovery::recover(&shared)?;
        Ok((Self { shared }, recovered))
    }

    /// Whether another job has room. Asked before paper moves.
    ///
    /// # Errors
    /// [`SpoolError::Full`] when it has not.
    pub fn admit(&self) -> Result<(), SpoolError> {
        self.shared.room_for(self.shared.limits.reserve_bytes)
    }

    /// Begins a job: its file, name and intent are durable and its room is reserved when this
    /// returns. Called before paper moves.
    ///
    /// # Errors
    /// [`SpoolError::Full`] when there is no room; nothing is left behind then.
    pub fn create(
        &self,
        job: JobId,
        sealed_intent: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Result<JobFile, SpoolError> {
        JobFile::create(&self.shared, job, sealed_intent, entropy)
    }

    /// Opens a draft again, to scan more into it or to seal it.
    ///
    /// # Errors
    /// When there is no such draft, or it is open already.
    pub fn reopen(&self, job: JobId) -> Result<JobFile, SpoolError> {
        JobFile::reopen(&self.shared, job)
    }

    /// Opens a job for reading, sealed or not.
    ///
    /// # Errors
    /// When there is no such job or its file cannot be read.
    pub fn reader(&self, job: JobId) -> Result<JobReader, SpoolError> {
        JobReader::open(&self.shared, job)
    }

    /// Erases a job: after its receipt is stored, or when a person discards it. Content when it is
    /// gone already.
    ///
    /// # Errors
    /// When the file may still be there after a power cut.
    pub fn remove(&self, job: JobId) -> Result<(), SpoolError> {
        let shared = &self.shared;
        for suffix in [OPEN_SUFFIX, JOB_SUFFIX] {
            match shared.disk.remove(&shared.path(job, suffix)) {
                Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        shared.disk.sync_folder(&shared.folder)?;
        shared.jobs().remove(&job);
        Ok(())
    }

    /// What the spool holds now.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.shared.usage()
    }

    /// Every job there is a file of.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobId> {
        self.shared.jobs().keys().copied().collect()
    }
}

/// Suffix of a job that is being scanned.
const OPEN_SUFFIX: &str = ".open";
/// Suffix of a sealed job.
const JOB_SUFFIX: &str = ".job";

/// What all handles share.
struct Shared {
    disk: Arc<dyn Disk>,
    folder: String,
    limits: SpoolLimits,
    jobs: Mutex<BTreeMap<JobId, Held>>,
}

/// What is known of one job's file.
#[derive(Clone, Debug, Default)]
struct Held {
    /// Bytes in use or reserved.
    bytes: u64,
    /// Whether a [`JobFile`] writes it.
    writing: bool,
    /// Objects whose write or sync failed: what the file seems to hold of them proves nothing.
    doubtful: Vec<u32>,
}

impl Shared {
    fn path(&self, job: JobId, suffix: &str) -> String {
        format!("{}/{job}{suffix}", self.folder)
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<JobId, Held>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usage(&self) -> Usage {
        let jobs = self.jobs();
        Usage {
            jobs: u32::try_from(jobs.len()).unwrap_or(u32::MAX),
            bytes: jobs.values().map(|held| held.bytes).sum(),
        }
    }

    /// Whether `more` bytes fit under both limits.
    fn room_for(&self, more: u64) -> Result<(), SpoolError> {
        let limits = &self.limits;
        let under_limit = limits.bytes_max.saturating_sub(self.usage().bytes);
        let on_disk = self
            .disk
            .free_bytes()?
            .saturating_sub(limits.free_bytes_min);
        let available_bytes = under_limit.min(on_disk);
        if available_bytes < more {
            return Err(SpoolError::Full {
                needed_bytes: more,
                available_bytes,
            });
        }
        Ok(())
    }

    /// Objects of a job that do not count, whatever its file says.
    fn doubtful(&self, job: JobId) -> Vec<u32> {
        let jobs = self.jobs();
        jobs.get(&job)
            .map_or_else(Vec::new, |held| held.doubtful.clone())
    }

    /// Notes how many bytes the job's file takes now.
    fn account(&self, job: JobId, bytes: u64) {
        self.jobs().entry(job).or_default().bytes = bytes;
    }
}

/// Names of [`Side`] in page records.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Side", rename_all = "lowercase")]
enum SideName {
    Front,
    Back,
}
