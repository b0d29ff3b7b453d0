//! Commit: the one moment at which a job becomes the cloud's.
//!
//! One transaction marks the job as taken, takes the next number of the device's receipt chain,
//! stores the signed receipt and the envelope, and queues the job for the runner. It happens once
//! whatever is repeated or raced.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use scantrip_cloud_client::problem::ProblemKind;
use scantrip_cloud_client::wire::{
    Envelope, INTENT_OBJECT, OBJECT_BYTES_MAX, Outcome, OutcomeState, PAGES_MAX, Receipt,
    SignedReceipt,
};

use super::Core;
use super::answer::{Answer, Refusal, chain, empty, json, refuse};
use super::global::sha256_hex;
use super::jobs::{RACES_MAX, put_outcome, remove_all};
use super::principal::Principal;
use super::record::{Committed, Heads, Job, JobRef, Upload, envelope_place, receipt_place};
use super::uploads::{self, job_id, remove_parts};
use crate::ports::unhex;
use crate::sealed_store::{Stored, VaultError};

/// Most missing objects that an answer names: enough to go on with.
const MISSING_MAX: usize = 100;

/// `PUT /v1/device/jobs/{id}`.
pub(crate) fn commit(
    core: &Core,
    device: &Principal,
    id: &str,
    body: &[u8],
) -> Result<Answer, Refusal> {
    let job = reference(device, id)?;
    let envelope = check(device, &job.job, body)?;
    let hash = sha256_hex(body);
    for _ in 0..RACES_MAX {
        let stored = device
            .vault
            .get::<Job>(&Job::place(&job.device, &job.job))?;
        match stored.as_ref().map(|stored| &stored.value) {
            Some(Job::Discarded) => return Err(uploads::discarded()),
            Some(Job::Committed(committed)) if committed.envelope == hash => {
                return Ok(json(StatusCode::OK, &committed.receipt));
            }
            Some(Job::Committed(_)) => {
                let detail = "the job was committed with another envelope: tell the operator";
                return Err(refuse(ProblemKind::OtherContent, detail));
            }
            Some(Job::Open) | None => {}
        }
        let extra = complete(core, device, &job, &envelope)?;
        match take(core, device, &job, stored.as_ref(), (&envelope, &hash)) {
            Err(Refusal::Failed(error)) if error.is_conflict() => continue,
            Err(refusal) => return Err(refusal),
            Ok(receipt) => {
                erase(device, &job, &extra);
                core.wake_runner();
                return Ok(json(StatusCode::CREATED, &receipt));
            }
        }
    }
    Err(VaultError::Races.into())
}

/// `DELETE /v1/device/jobs/{id}`.
pub(crate) fn discard(device: &Principal, id: &str) -> Result<Answer, Refusal> {
    let job = reference(device, id)?;
    let place = Job::place(&job.device, &job.job);
    for _ in 0..RACES_MAX {
        let stored = device.vault.get::<Job>(&place)?;
        let mut batch = device.vault.batch();
        match stored.as_ref().map(|stored| &stored.value) {
            Some(Job::Committed(committed)) => {
                return Err(uploads::already_committed(committed.receipt.clone()));
            }
            Some(Job::Discarded) => batch.check(stored.as_ref().expect("it was found")),
            Some(Job::Open) | None => batch.put_over(&place, stored.as_ref(), &Job::Discarded)?,
        }
        match batch.commit() {
            Err(error) if error.is_conflict() => continue,
            other => other?,
        }
        // From here on nothing can be added; repeating the call erases what a crash left.
        device.vault.ports().blobs.remove_folder(&job.folder())?;
        remove_all(&device.vault, &job.partition(), "")?;
        let unfinished = Upload::unfinished(&device.device);
        remove_all(&device.vault, &unfinished, &uploads::id_prefix(&job.job))?;
        return Ok(empty(StatusCode::NO_CONTENT));
    }
    Err(VaultError::Races.into())
}

fn reference(device: &Principal, id: &str) -> Result<JobRef, Refusal> {
    Ok(JobRef {
        tenant: device.tenant().to_owned(),
        device: device.device.clone(),
        job: job_id(id)?,
    })
}

/// Reads the envelope and checks all that needs no look at the store.
fn check(device: &Principal, job: &str, body: &[u8]) -> Result<Envelope, Refusal> {
    let bad = |detail: &str| refuse(ProblemKind::BadRequest, detail);
    let envelope: Envelope = serde_json::from_slice(body)
        .map_err(|error| bad(&format!("the envelope cannot be read: {error}")))?;
    let Envelope {
        version, objects, ..
    } = &envelope;
    if *version != 1 {
        return Err(bad("the envelope's version is not 1"));
    }
    if envelope.job != job || envelope.tenant != device.tenant() || envelope.device != device.device
    {
        return Err(bad("the envelope is of another job, tenant or device"));
    }
    let pages = objects
        .iter()
        .filter(|entry| !matches!(entry.object, 0 | INTENT_OBJECT))
        .count();
    if pages > PAGES_MAX as usize {
        let detail = format!("a job may have {PAGES_MAX} pages at most");
        return Err(refuse(ProblemKind::TooLarge, detail));
    }
    let mut numbers: Vec<u32> = objects.iter().map(|entry| entry.object).collect();
    numbers.sort_unstable();
    if numbers.first() != Some(&0) || numbers.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(bad(
            "the envelope must name the manifest (object 0), and each object once",
        ));
    }
    let fits = |hash: &str, size| unhex::<32>(hash).is_some() && size <= OBJECT_BYTES_MAX;
    if !objects.iter().all(|entry| fits(&entry.sha256, entry.size)) {
        return Err(bad("an object's hash or size is none"));
    }
    Ok(envelope)
}

/// Requires that all objects of the envelope are complete. Returns those that it does not name.
fn complete(
    core: &Core,
    device: &Principal,
    job: &JobRef,
    envelope: &Envelope,
) -> Result<Vec<Stored<Upload>>, Refusal> {
    let now = core.now_ms();
    let mut uploads: BTreeMap<(u32, String), Stored<Upload>> = device
        .vault
        .all::<Upload>(&job.partition(), Upload::PREFIX)?
        .into_iter()
        .filter(|upload| now < upload.value.expires_at_ms)
        .map(|upload| ((upload.value.object, upload.value.sha256.clone()), upload))
        .collect();
    let missing: Vec<u32> = envelope
        .objects
        .iter()
        .filter(|entry| {
            uploads
                .remove(&(entry.object, entry.sha256.clone()))
                .is_none_or(|upload| upload.value.size != entry.size)
        })
        .map(|entry| entry.object)
        .take(MISSING_MAX)
        .collect();
    if missing.is_empty() {
        return Ok(uploads.into_values().collect());
    }
    let detail = "objects of the envelope are not here, or not complete: send them, commit again";
    Err(refuse(ProblemKind::ObjectsMissing, detail).missing(missing))
}

/// The transaction.
fn take(
    core: &Core,
    device: &Principal,
    job: &JobRef,
    stored: Option<&Stored<Job>>,
    (envelope, hash): (&Envelope, &str),
) -> Result<SignedReceipt, Refusal> {
    let heads = device.vault.get::<Heads>(&Heads::place(&job.device))?;
    let last = heads
        .as_ref()
        .map(|heads| heads.value.clone())
        .unwrap_or_default();
    let now = core.now_ms();
    let objects = u32::try_from(envelope.objects.len()).expect("the number of objects is limited");
    let receipt = Receipt {
        version: 1,
        tenant: job.tenant.clone(),
        device: job.device.clone(),
        seq: last.receipt_seq + 1,
        prev: if last.receipt_seq == 0 {
            "0".repeat(64)
        } else {
            last.receipt_hash
        },
        job: job.job.clone(),
        envelope: hash.to_owned(),
        objects,
        received_at_ms: now,
    };
    let (signed, receipt_hash) = sign(core, &receipt)?;
    let outcome = Outcome {
        seq: last.outcome_seq + 1,
        job: job.job.clone(),
        state: OutcomeState::Received,
        at_ms: now,
        place: None,
        name: None,
        reason: None,
    };
    let next = Heads {
        receipt_seq: receipt.seq,
        receipt_hash,
        outcome_seq: outcome.seq,
    };
    let mut batch = device.vault.batch();
    put_outcome(&mut batch, job, &outcome)?;
    let committed = Committed {
        envelope: hash.to_owned(),
        objects,
        sealed_bytes: envelope.objects.iter().map(|object| object.size).sum(),
        receipt: signed.clone(),
        outcome,
        erased: false,
    };
    let committed = Job::Committed(Box::new(committed));
    batch.put_over(&Job::place(&job.device, &job.job), stored, &committed)?;
    batch.put_over(&Heads::place(&job.device), heads.as_ref(), &next)?;
    batch.create(&receipt_place(&job.device, receipt.seq), &signed)?;
    batch.create(&envelope_place(&job.device, &job.job), envelope)?;
    batch.create(&job.queue_place(), job)?;
    batch.commit()?;
    Ok(signed)
}

fn sign(core: &Core, receipt: &Receipt) -> Result<(SignedReceipt, String), VaultError> {
    let signer = core
        .receipt_signer()
        .map_err(|error| VaultError::Damaged(format!("receipt signer: {}", chain(&error))))?;
    let bytes = serde_json::to_vec(receipt).expect("a receipt has a JSON form");
    let signed = SignedReceipt {
        signature: STANDARD.encode(signer.sign(&bytes)),
        certificate: STANDARD.encode(&signer.issued.der),
        receipt: STANDARD.encode(&bytes),
    };
    Ok((signed, sha256_hex(&bytes)))
}

/// Erases what was uploaded but is not in the envelope. What a failure leaves goes when the job's
/// content is erased; the job is taken either way.
fn erase(device: &Principal, job: &JobRef, extra: &[Stored<Upload>]) {
    let erase = || -> Result<(), VaultError> {
        let prefix = uploads::id_prefix(&job.job);
        let unfinished = device
            .vault
            .all(&Upload::unfinished(&device.device), &prefix)?;
        for upload in extra.iter().chain(&unfinished) {
            remove_parts(&device.vault, &job.folder(), &upload.value)?;
            let mut batch = device.vault.batch();
            batch.remove(upload);
            batch.commit()?;
        }
        Ok(())
    };
    if let Err(error) = erase() {
        log::warn!("objects beside job {} stay: {}", job.job, chain(&error));
    }
}
