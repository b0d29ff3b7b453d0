//! Uploads: the tus 1.0.0 profile of `docs/protocol.md`.
//!
//! An upload's id is derived from tenant, device, job, object and hash, so that asking again finds
//! the same one and nobody can name another's. A reported offset is durable. An object that came
//! in whole moves, in the same transaction, to where its job's commit looks for it.

mod append;
mod id;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue, LOCATION};
use scantrip_cloud_client::problem::ProblemKind;
use scantrip_cloud_client::wire::{OBJECT_BYTES_MAX, SignedReceipt};
use sha2::Sha256;

pub(crate) use self::append::Append;
pub(crate) use self::id::{id_prefix, job_id};

use self::id::UploadId;
use super::answer::{Answer, Refusal, empty, refuse};
use super::principal::Principal;
use super::record::{Job, Upload};
use super::{Call, Core, State};
use crate::blobs::Folder;
use crate::sealed_store::{Stored, Vault, VaultError};

/// A device off for its holidays goes on where it was.
pub(crate) const LIFETIME_MS: u64 = 14 * 24 * 3600 * 1000;
/// Running hashes that are kept between appends; a lost one is made again by reading.
const HASHES_MAX: usize = 256;
const BYTES_TYPE: &str = "application/offset+octet-stream";
const TUS_VERSION: &str = "1.0.0";

/// What this process remembers of uploads: who is writing, and hashes so far. Nothing of it is
/// needed by another process, or after a restart.
#[derive(Default)]
pub(crate) struct Local {
    locked: Arc<Mutex<HashSet<String>>>,
    hashes: Mutex<HashMap<String, (u64, Sha256)>>,
}

/// One writer at a time; freed when dropped.
struct Lock {
    locked: Arc<Mutex<HashSet<String>>>,
    key: String,
}

impl Local {
    fn lock(&self, device: &Principal, id: &UploadId) -> Result<Lock, Refusal> {
        let key = format!("{}/{}/{id}", device.tenant(), device.device);
        if !guard(&self.locked).insert(key.clone()) {
            let detail = "another connection is writing to this upload";
            return Err(refuse(ProblemKind::UploadLocked, detail));
        }
        Ok(Lock {
            locked: Arc::clone(&self.locked),
            key,
        })
    }

    /// The hash of the first `offset` bytes, if it is known.
    fn hash(&self, lock: &Lock, offset: u64) -> Option<Sha256> {
        if offset == 0 {
            return Some(Sha256::default());
        }
        let (known, hash) = guard(&self.hashes).remove(&lock.key)?;
        (known == offset).then_some(hash)
    }

    fn remember(&self, lock: &Lock, offset: u64, hash: Sha256) {
        let mut hashes = guard(&self.hashes);
        if hashes.len() >= HASHES_MAX {
            hashes.clear();
        }
        hashes.insert(lock.key.clone(), (offset, hash));
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        guard(&self.locked).remove(&self.key);
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An upload as it is stored: at most one of the two is alive.
struct Found {
    unfinished: Option<Stored<Upload>>,
    complete: Option<Stored<Upload>>,
}

impl Found {
    fn look(device: &Principal, id: &UploadId) -> Result<Self, VaultError> {
        Ok(Self {
            unfinished: device.vault.get(&id.unfinished(&device.device))?,
            complete: device.vault.get(&id.complete(&device.device))?,
        })
    }

    /// The one that counts.
    fn newest(&self) -> Option<&Stored<Upload>> {
        self.unfinished.as_ref().or(self.complete.as_ref())
    }

    /// The one that counts, unless it has expired.
    fn live(&self, now_ms: u64) -> Option<&Upload> {
        let upload = &self.newest()?.value;
        (now_ms < upload.expires_at_ms).then_some(upload)
    }

    /// The one that counts, else why there is none.
    fn require(&self, now_ms: u64) -> Result<&Upload, Refusal> {
        if self.newest().is_none() {
            return Err(refuse(
                ProblemKind::NotFound,
                "there is no such upload of this device",
            ));
        }
        let gone = || refuse(ProblemKind::Gone, "the upload has expired: create it again");
        self.live(now_ms).ok_or_else(gone)
    }
}

/// `POST /v1/device/uploads`.
pub(crate) fn create(core: &Core, device: Principal, call: &Call) -> Result<State, Refusal> {
    check_version(call)?;
    let bad = |detail| refuse(ProblemKind::BadRequest, detail);
    let size = call
        .number("upload-length")
        .ok_or_else(|| bad("Upload-Length is required: the object's sealed size"))?;
    if size > OBJECT_BYTES_MAX {
        let detail = format!("an object may have {OBJECT_BYTES_MAX} bytes at most");
        return Err(refuse(ProblemKind::TooLarge, detail));
    }
    let coming = call.number("content-length");
    if coming != Some(0)
        && call
            .header("content-type")
            .is_some_and(|kind| kind != BYTES_TYPE)
    {
        return Err(media_type());
    }
    let id = UploadId::of_metadata(core, &device, call.header("upload-metadata"))?;
    let lock = core.uploads.lock(&device, &id.id)?;
    let job = open_job(&device, &id.id.job)?;
    let found = Found::look(&device, &id.id)?;
    let now = core.now_ms();
    let known = found.live(now);
    if known.is_some_and(|known| known.size != size) {
        return Err(bad("the same object was announced with another size"));
    }
    let fresh = Upload {
        job: id.id.job.clone(),
        object: id.id.object,
        size,
        sha256: id.sha256,
        offset: 0,
        parts: Vec::new(),
        expires_at_ms: now + LIFETIME_MS,
    };
    if known.is_none() && coming != Some(size) {
        check_quota(core, &device, size)?;
    }
    let upload = known.cloned().unwrap_or(fresh);
    let append = Append::new(core, (device, id.id, lock), (found, job, upload));
    Ok(State::Append(Box::new(append.creating(coming))))
}

/// `PATCH /v1/device/uploads/{id}`.
pub(crate) fn append(core: &Core, device: Principal, call: &Call) -> Result<State, Refusal> {
    check_version(call)?;
    if call.header("content-type") != Some(BYTES_TYPE) {
        return Err(media_type());
    }
    let at = call.number("upload-offset").ok_or_else(|| {
        refuse(
            ProblemKind::BadRequest,
            "Upload-Offset is required: where the bytes begin",
        )
    })?;
    let id = UploadId::parse(&call.id)?;
    let lock = core.uploads.lock(&device, &id)?;
    let found = Found::look(&device, &id)?;
    let upload = found.require(core.now_ms())?.clone();
    let job = open_job(&device, &id.job)?;
    if at != upload.offset {
        let detail = format!("the upload is at {}: go on from there", upload.offset);
        let refusal = refuse(ProblemKind::OffsetConflict, detail);
        return Err(refusal.header("upload-offset", upload.offset));
    }
    let left = upload.size - upload.offset;
    if call
        .number("content-length")
        .is_some_and(|length| length > left)
    {
        return Err(super::too_large(left));
    }
    let append = Append::new(core, (device, id, lock), (found, job, upload));
    Ok(State::Append(Box::new(append)))
}

/// `HEAD /v1/device/uploads/{id}`.
pub(crate) fn offset(core: &Core, device: &Principal, call: &Call) -> Result<Answer, Refusal> {
    check_version(call)?;
    let found = Found::look(device, &UploadId::parse(&call.id)?)?;
    let upload = found.require(core.now_ms())?;
    let mut answer = tus(StatusCode::OK, upload);
    let headers = answer.headers_mut();
    headers.insert("upload-length", upload.size.into());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// `DELETE /v1/device/uploads/{id}`.
pub(crate) fn delete(core: &Core, device: &Principal, call: &Call) -> Result<Answer, Refusal> {
    check_version(call)?;
    let id = UploadId::parse(&call.id)?;
    let _lock = core.uploads.lock(device, &id)?;
    let found = Found::look(device, &id)?;
    let upload = found.require(core.now_ms())?;
    let job = open_job(device, &id.job)?;
    remove(
        &device.vault,
        &id.folder(device),
        (&found, upload),
        job.as_ref(),
    )?;
    let mut answer = empty(StatusCode::NO_CONTENT);
    version_header(answer.headers_mut());
    Ok(answer)
}

/// Removes an upload's items, then its parts. The job is written anew, so that a commit under way
/// looks again.
fn remove(
    vault: &Vault,
    folder: &Folder,
    (found, upload): (&Found, &Upload),
    job: Option<&Stored<Job>>,
) -> Result<(), VaultError> {
    let mut batch = vault.batch();
    for stored in found.unfinished.iter().chain(&found.complete) {
        batch.remove(stored);
    }
    if let Some(job) = job {
        batch.replace(job, &Job::Open)?;
    }
    batch.commit()?;
    remove_parts(vault, folder, upload)
}

/// Erases the bytes of an upload that no item names any more.
pub(crate) fn remove_parts(
    vault: &Vault,
    folder: &Folder,
    upload: &Upload,
) -> Result<(), VaultError> {
    for part in &upload.parts {
        vault.ports().blobs.remove(folder, &part.name)?;
    }
    Ok(())
}

/// The job, if objects may still be added to it; `None`: it is new.
fn open_job(device: &Principal, job: &str) -> Result<Option<Stored<Job>>, Refusal> {
    let stored = device.vault.get::<Job>(&Job::place(&device.device, job))?;
    match stored.as_ref().map(|stored| &stored.value) {
        None | Some(Job::Open) => Ok(stored),
        Some(Job::Discarded) => Err(discarded()),
        Some(Job::Committed(committed)) => Err(already_committed(committed.receipt.clone())),
    }
}

/// The job's id is dead.
pub(crate) fn discarded() -> Refusal {
    refuse(
        ProblemKind::JobDiscarded,
        "the job was discarded: its id is dead for good",
    )
}

/// The job is the cloud's already.
pub(crate) fn already_committed(receipt: SignedReceipt) -> Refusal {
    let detail = "the cloud has taken the job already: here is its receipt";
    refuse(ProblemKind::AlreadyCommitted, detail).receipt(receipt)
}

fn check_version(call: &Call) -> Result<(), Refusal> {
    if call.header("tus-resumable") == Some(TUS_VERSION) {
        return Ok(());
    }
    let refusal = refuse(ProblemKind::TusVersion, "send Tus-Resumable: 1.0.0");
    Err(refusal.header("tus-version", HeaderValue::from_static(TUS_VERSION)))
}

fn media_type() -> Refusal {
    let detail = format!("the body's Content-Type must be {BYTES_TYPE}");
    refuse(ProblemKind::UnsupportedMediaType, detail)
}

fn check_quota(core: &Core, device: &Principal, size: u64) -> Result<(), Refusal> {
    let now = core.now_ms();
    let unfinished = device
        .vault
        .all::<Upload>(&Upload::unfinished(&device.device), "")?;
    let live = unfinished
        .iter()
        .filter(|upload| now < upload.value.expires_at_ms);
    let bytes: u64 = live.map(|upload| upload.value.size).sum();
    if bytes.saturating_add(size) > core.settings.unfinished_bytes_max {
        let detail = format!("{bytes} bytes of unfinished uploads: finish or delete some first");
        return Err(refuse(ProblemKind::Quota, detail).retry_after(60));
    }
    Ok(())
}

/// The metadata of a creation: `key base64, key base64`.
fn metadata(header: &str) -> HashMap<&str, String> {
    header
        .split(',')
        .filter_map(|pair| {
            let (key, value) = pair.trim().split_once(' ')?;
            let value = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
            Some((key, value))
        })
        .collect()
}

fn tus(status: StatusCode, upload: &Upload) -> Answer {
    let mut answer = empty(status);
    let headers = answer.headers_mut();
    version_header(headers);
    headers.insert("upload-offset", upload.offset.into());
    let expires = UNIX_EPOCH + Duration::from_millis(upload.expires_at_ms);
    if let Ok(expires) = HeaderValue::from_str(&httpdate::fmt_http_date(expires)) {
        headers.insert("upload-expires", expires);
    }
    answer
}

fn created(id: &UploadId, upload: &Upload) -> Answer {
    let mut answer = tus(StatusCode::CREATED, upload);
    let location = format!("/v1/device/uploads/{id}");
    let location = HeaderValue::from_str(&location).expect("an id is ASCII");
    answer.headers_mut().insert(LOCATION, location);
    answer
}

fn version_header(headers: &mut HeaderMap) {
    headers.insert("tus-resumable", HeaderValue::from_static(TUS_VERSION));
}

/// Erases uploads that expired more than a day ago, a day so that a commit under way has ended.
///
/// # Errors
/// When something cannot be read or erased; the next sweep goes on.
pub(crate) fn sweep(vault: &Vault, device: &str) -> Result<usize, VaultError> {
    const GRACE_MS: u64 = 24 * 3600 * 1000;
    let now = vault.ports().clock.now_ms();
    let dead = |upload: &Stored<Upload>| now >= upload.value.expires_at_ms + GRACE_MS;
    let mut expired = vault.all::<Upload>(&Upload::unfinished(device), "")?;
    let partition = super::record::device_partition(device);
    for job in vault.all::<Job>(&partition, Job::PREFIX)? {
        if matches!(job.value, Job::Open) {
            let id = job.place.sort.strip_prefix(Job::PREFIX).unwrap_or_default();
            expired.extend(vault.all::<Upload>(&Upload::complete(device, id), Upload::PREFIX)?);
        }
    }
    expired.retain(dead);
    for upload in &expired {
        let folder = Folder::new(&[vault.tenant(), device, &upload.value.job]);
        let mut batch = vault.batch();
        batch.remove(upload);
        batch.commit()?;
        remove_parts(vault, &folder, &upload.value)?;
    }
    Ok(expired.len())
}
