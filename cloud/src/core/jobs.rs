//! Taken jobs as the workflow runner sees them: what waits, what is in them, what became of them.

use std::io::Read;

use scantrip_cloud_client::wire::{self, Envelope, EnvelopeObject, OutcomeState};
use serde::de::IgnoredAny;

use super::record::{
    Committed, DeviceEntry, Heads, Job, JobRef, Upload, envelope_place, outcome_place,
};
use crate::blobs::{Folder, ObjectReader, Part};
use crate::ports::Ports;
use crate::sealed_store::{Stored, Vault, VaultError};

/// How long outcomes stay in a device's feed: a device off for longer shows the receipt alone.
pub(crate) const OUTCOME_LIFETIME_MS: u64 = 90 * 24 * 3600 * 1000;
/// Tries against others who change the same items; each loss means somebody else went forward.
pub(crate) const RACES_MAX: usize = 20;

/// What became of a job, as the runner tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOutcome {
    /// How far it is.
    pub state: OutcomeState,
    /// Where it was delivered, for people.
    pub place: Option<String>,
    /// Under what name.
    pub name: Option<String>,
    /// Why it failed and what happens next, for people.
    pub reason: Option<String>,
}

impl NewOutcome {
    fn ends_the_job(&self) -> bool {
        matches!(self.state, OutcomeState::Delivered | OutcomeState::Failed)
    }
}

/// A complete sealed object.
#[derive(Clone, Debug)]
pub struct SealedObject {
    folder: Folder,
    parts: Vec<Part>,
}

impl SealedObject {
    /// Reads its sealed bytes from the first.
    #[must_use]
    pub fn reader<'a>(&'a self, ports: &'a Ports) -> impl Read + 'a {
        ObjectReader::new(&*ports.blobs, &self.folder, &self.parts)
    }
}

/// The jobs of a tenant that wait for the runner, at most `limit`.
///
/// # Errors
/// When they cannot be read.
pub fn pending(vault: &Vault, limit: usize) -> Result<Vec<JobRef>, VaultError> {
    let waiting = vault.list::<JobRef>("", JobRef::PREFIX, "", limit)?;
    Ok(waiting.into_iter().map(|stored| stored.value).collect())
}

/// The envelope of a taken job; `None` once its content is erased.
///
/// # Errors
/// When it cannot be read.
pub fn envelope(vault: &Vault, job: &JobRef) -> Result<Option<Envelope>, VaultError> {
    let place = envelope_place(&job.device, &job.job);
    Ok(vault.get::<Envelope>(&place)?.map(|stored| stored.value))
}

/// The object that an envelope names.
///
/// # Errors
/// When it cannot be read, or is not there any more.
pub fn object(
    vault: &Vault,
    job: &JobRef,
    named: &EnvelopeObject,
) -> Result<SealedObject, VaultError> {
    let prefix = format!("{}{:08x}#", Upload::PREFIX, named.object);
    let found = vault.all::<Upload>(&job.partition(), &prefix)?;
    found
        .into_iter()
        .find(|upload| upload.value.sha256 == named.sha256)
        .map(|upload| SealedObject {
            folder: job.folder(),
            parts: upload.value.parts,
        })
        .ok_or_else(|| VaultError::Damaged(format!("object {} of {}", named.object, job.job)))
}

/// Tells the device and the operator what became of a job. `Delivered` and `Failed` take it out of
/// the queue. Telling the same again changes nothing.
///
/// # Errors
/// When it cannot be stored.
pub fn set_outcome(ports: &Ports, job: &JobRef, new: &NewOutcome) -> Result<(), VaultError> {
    let vault = Vault::open(ports, &job.tenant)?;
    for _ in 0..RACES_MAX {
        let stored = vault.get::<Job>(&Job::place(&job.device, &job.job))?;
        let Some(Stored {
            value: Job::Committed(committed),
            ..
        }) = &stored
        else {
            return Err(VaultError::Damaged(format!("job {}", job.job)));
        };
        let queued = vault.get::<JobRef>(&job.queue_place())?;
        let heads = vault.get::<Heads>(&Heads::place(&job.device))?;
        let mut next = heads
            .as_ref()
            .map(|heads| heads.value.clone())
            .unwrap_or_default();
        next.outcome_seq += 1;
        let outcome = wire::Outcome {
            seq: next.outcome_seq,
            job: job.job.clone(),
            state: new.state,
            at_ms: ports.clock.now_ms(),
            place: new.place.clone(),
            name: new.name.clone(),
            reason: new.reason.clone(),
        };
        let mut batch = vault.batch();
        if !same(&committed.outcome, &outcome) {
            put_outcome(&mut batch, job, &outcome)?;
            batch.put_over(&Heads::place(&job.device), heads.as_ref(), &next)?;
            let committed = Committed {
                outcome,
                ..(**committed).clone()
            };
            if let Some(stored) = &stored {
                batch.replace(stored, &Job::Committed(Box::new(committed)))?;
            }
        }
        if let Some(queued) = queued.as_ref().filter(|_| new.ends_the_job()) {
            batch.remove(queued);
        }
        if batch.is_empty() {
            return Ok(());
        }
        match batch.commit() {
            Err(error) if error.is_conflict() => {}
            other => return other,
        }
    }
    Err(VaultError::Races)
}

/// Erases a job's sealed objects, envelope and the runner's notes. What a repeated commit needs is
/// kept.
///
/// # Errors
/// When something cannot be erased; calling it again goes on.
pub fn erase_content(ports: &Ports, job: &JobRef) -> Result<(), VaultError> {
    let vault = Vault::open(ports, &job.tenant)?;
    ports.blobs.remove_folder(&job.folder())?;
    remove_all(&vault, &job.partition(), "")?;
    let Some(stored) = vault.get::<Job>(&Job::place(&job.device, &job.job))? else {
        return Ok(());
    };
    if let Job::Committed(committed) = &stored.value {
        let committed = Committed {
            erased: true,
            ..(**committed).clone()
        };
        let mut batch = vault.batch();
        batch.replace(&stored, &Job::Committed(Box::new(committed)))?;
        batch.commit()?;
    }
    Ok(())
}

/// Removes all items of a partition whose sort begins with `prefix`.
pub(crate) fn remove_all(vault: &Vault, partition: &str, prefix: &str) -> Result<(), VaultError> {
    loop {
        let page = vault.list::<IgnoredAny>(partition, prefix, "", 100)?;
        if page.is_empty() {
            return Ok(());
        }
        let mut batch = vault.batch();
        for stored in &page {
            batch.remove(stored);
        }
        batch.commit()?;
    }
}

/// Adds an outcome to a device's feed.
pub(crate) fn put_outcome(
    batch: &mut crate::sealed_store::Batch<'_>,
    job: &JobRef,
    outcome: &wire::Outcome,
) -> Result<(), VaultError> {
    let end = outcome.at_ms + OUTCOME_LIFETIME_MS;
    batch.create_expiring(&outcome_place(&job.device, outcome.seq), outcome, end)
}

/// A job for the operator.
#[derive(Clone, Debug)]
pub struct JobView {
    /// Which.
    pub job: JobRef,
    /// Its state.
    pub state: Job,
}

/// All jobs of a tenant, in order of device and job id.
///
/// # Errors
/// When they cannot be read.
pub fn list(vault: &Vault) -> Result<Vec<JobView>, VaultError> {
    let mut found = Vec::new();
    for entry in vault.all::<DeviceEntry>("", DeviceEntry::PREFIX)? {
        let device = entry
            .place
            .sort
            .strip_prefix(DeviceEntry::PREFIX)
            .unwrap_or_default();
        let jobs = vault.all::<Job>(&super::record::device_partition(device), Job::PREFIX)?;
        found.extend(jobs.into_iter().map(|stored| {
            JobView {
                job: JobRef {
                    tenant: vault.tenant().to_owned(),
                    device: device.to_owned(),
                    job: stored
                        .place
                        .sort
                        .strip_prefix(Job::PREFIX)
                        .unwrap_or_default()
                        .to_owned(),
                },
                state: stored.value,
            }
        }));
    }
    Ok(found)
}

fn same(old: &wire::Outcome, new: &wire::Outcome) -> bool {
    (old.state, &old.place, &old.name, &old.reason)
        == (new.state, &new.place, &new.name, &new.reason)
}
