//! What start-up makes of the files it finds. Rules: `docs/decisions/0003-spool-recovery.md`.

use std::sync::Arc;

use scantrip_cloud_client::wire::INTENT_OBJECT;

use super::index::{Depth, Index};
use super::job_file::INTENT_BYTES_MAX;
use super::record::RECORD_BYTES;
use super::{JOB_SUFFIX, OPEN_SUFFIX, PageRecord, RecoveredJob, RecoveredKind, Shared, SpoolError};
use crate::job_id::JobId;

/// Longest file that an interrupted creation leaves: the intent's chunks and one record more.
const CREATION_BYTES_MAX: u64 = (INTENT_BYTES_MAX + 2 * RECORD_BYTES) as u64;

/// Looks at every job file and finishes what a cut left half done. Doing it twice is harmless.
pub(super) fn recover(shared: &Arc<Shared>) -> Result<Vec<RecoveredJob>, SpoolError> {
    let mut jobs = Vec::new();
    let mut renamed = false;
    for name in shared.disk.list(&shared.folder)? {
        let found = match parse_name(&name) {
            Some((job, JOB_SUFFIX)) => Some(sealed(shared, job)),
            Some((job, _)) => open(shared, job, &mut renamed),
            None => {
                log::warn!("spool: a file that is no job stays untouched");
                None
            }
        };
        jobs.extend(found);
    }
    if renamed {
        shared.disk.sync_folder(&shared.folder)?;
    }
    Ok(jobs)
}

fn parse_name(name: &str) -> Option<(JobId, &'static str)> {
    [OPEN_SUFFIX, JOB_SUFFIX].into_iter().find_map(|suffix| {
        let job = name.strip_suffix(suffix)?.parse().ok()?;
        Some((job, suffix))
    })
}

/// A sealed job is not read now; it is verified while it is sent.
fn sealed(shared: &Shared, job: JobId) -> RecoveredJob {
    let kind = match shared.disk.length(&shared.path(job, JOB_SUFFIX)) {
        Ok(length) => {
            shared.account(job, length);
            RecoveredKind::Complete
        }
        Err(error) => {
            shared.account(job, 0);
            unreadable(&error.into())
        }
    };
    RecoveredJob { job, kind }
}

fn open(shared: &Shared, job: JobId, renamed: &mut bool) -> Option<RecoveredJob> {
    let kind = match read(shared, job) {
        Ok(Found::NeverBegan) => {
            shared.jobs().remove(&job);
            match shared.disk.remove(&shared.path(job, OPEN_SUFFIX)) {
                Ok(()) => *renamed = true,
                Err(error) => log::warn!("spool: an empty job file stays: {error}"),
            }
            return None;
        }
        Ok(Found::Complete) => {
            let to = shared.path(job, JOB_SUFFIX);
            match shared.disk.rename(&shared.path(job, OPEN_SUFFIX), &to) {
                Ok(()) => *renamed = true,
                Err(error) => log::warn!("spool: a sealed job keeps its open name: {error}"),
            }
            RecoveredKind::Complete
        }
        Ok(Found::Other(kind)) => kind,
        Err(error) => unreadable(&error),
    };
    Some(RecoveredJob { job, kind })
}

fn unreadable(error: &SpoolError) -> RecoveredKind {
    RecoveredKind::Unreadable {
        reason: error.to_string(),
    }
}

/// What an open file turned out to be.
enum Found {
    /// Its creation was cut off; nobody was told of it.
    NeverBegan,
    /// Sealed, under its old name.
    Complete,
    /// To be reported as it is.
    Other(RecoveredKind),
}

fn read(shared: &Shared, job: JobId) -> Result<Found, SpoolError> {
    let mut file = shared.disk.open(&shared.path(job, OPEN_SUFFIX))?;
    let length = file.len()?;
    shared.account(job, length);
    let mut index = Index::new(job, Depth::Bodies);
    index.advance(&*file)?;
    if let Some(version) = index.newer {
        return Ok(Found::Other(RecoveredKind::Newer { version }));
    }
    if index.never_began() {
        if length <= CREATION_BYTES_MAX {
            return Ok(Found::NeverBegan);
        }
        return Err(SpoolError::Unreadable(job));
    }
    // After a restart without a power cut the records may stand in the cache alone.
    file.sync_data()?;
    if index.manifest.is_some() {
        shared.account(job, index.end);
        return Ok(Found::Complete);
    }
    shared.account(job, length.max(shared.limits.reserve_bytes));
    Ok(Found::Other(draft(index)))
}

fn draft(index: Index) -> RecoveredKind {
    let mut damaged: Vec<u32> = index.damaged.into_iter().collect();
    if index.intent.is_none() {
        damaged.push(INTENT_OBJECT);
    }
    let pages = index
        .pages
        .into_iter()
        .zip(index.details)
        .map(|(entry, details)| PageRecord {
            object: entry.object,
            size: entry.size,
            sha256: entry.sha256,
            details,
        })
        .collect();
    RecoveredKind::Draft { pages, damaged }
}
