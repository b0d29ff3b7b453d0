//! The process dies at every durable operation, before it and behind it: repeating the request
//! ends in one certificate, one whole object, one receipt.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::blobs::{BlobError, Blobs, Folder, PartWriter};
use crate::core::jobs;
use crate::ports::Ports;
use crate::sealed_store::Vault;
use crate::store::{Item, Key, Operation, Range, Store, StoreError};

/// Counts durable operations and dies at one of them: odd moments lie before an operation, even
/// ones behind it. A dead process does nothing any more.
struct Mortal {
    ports: Ports,
    moments: Arc<AtomicU64>,
    dies_at: u64,
}

impl Mortal {
    fn durable<T>(&self, operation: impl FnOnce() -> T) -> Option<T> {
        let before = self.moments.fetch_add(2, Ordering::Relaxed) + 1;
        if before >= self.dies_at {
            return None;
        }
        let done = operation();
        (before + 1 < self.dies_at).then_some(done)
    }
}

fn dead_store() -> StoreError {
    StoreError::Engine {
        operation: "go on",
        source: "the process died".into(),
    }
}

fn dead_blob() -> BlobError {
    let source = io::Error::other("the process died");
    BlobError {
        operation: "go on",
        part: String::new(),
        source,
    }
}

impl Store for Mortal {
    fn get(&self, key: &Key, now_ms: u64) -> Result<Option<Item>, StoreError> {
        self.ports.store.get(key, now_ms)
    }

    fn range(&self, range: &Range<'_>, now_ms: u64) -> Result<Vec<Item>, StoreError> {
        self.ports.store.range(range, now_ms)
    }

    fn transact(&self, operations: &[Operation], now_ms: u64) -> Result<(), StoreError> {
        let done = self.durable(|| self.ports.store.transact(operations, now_ms));
        done.unwrap_or_else(|| Err(dead_store()))
    }

    fn sweep(&self, now_ms: u64, limit: usize) -> Result<usize, StoreError> {
        self.ports.store.sweep(now_ms, limit)
    }
}

struct MortalPart {
    part: Box<dyn PartWriter>,
    mortal: Mortal,
}

impl PartWriter for MortalPart {
    fn push(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.part.push(bytes)
    }

    fn finish(self: Box<Self>) -> Result<(), BlobError> {
        let Self { part, mortal } = *self;
        mortal
            .durable(|| part.finish())
            .unwrap_or_else(|| Err(dead_blob()))
    }
}

impl Blobs for Mortal {
    fn begin(&self, folder: &Folder, name: &str) -> Result<Box<dyn PartWriter>, BlobError> {
        let part = self.ports.blobs.begin(folder, name)?;
        Ok(Box::new(MortalPart {
            part,
            mortal: self.clone(),
        }))
    }

    fn open(&self, folder: &Folder, name: &str) -> Result<Box<dyn Read + Send>, BlobError> {
        self.ports.blobs.open(folder, name)
    }

    fn remove(&self, folder: &Folder, name: &str) -> Result<(), BlobError> {
        let done = self.durable(|| self.ports.blobs.remove(folder, name));
        done.unwrap_or_else(|| Err(dead_blob()))
    }

    fn remove_folder(&self, folder: &Folder) -> Result<(), BlobError> {
        let done = self.durable(|| self.ports.blobs.remove_folder(folder));
        done.unwrap_or_else(|| Err(dead_blob()))
    }
}

impl Clone for Mortal {
    fn clone(&self) -> Self {
        Self {
            ports: self.ports.clone(),
            moments: Arc::clone(&self.moments),
            dies_at: self.dies_at,
        }
    }
}

/// Does `script` in a process that dies at `dies_at`, then again in one that does not. Returns the
/// moments of the first.
fn die_and_repeat(cloud: &mut Cloud, dies_at: u64, script: impl Fn(&Cloud) -> bool) -> u64 {
    let moments = Arc::new(AtomicU64::new(0));
    let mortal = Mortal {
        ports: cloud.world.ports.clone(),
        moments: Arc::clone(&moments),
        dies_at,
    };
    let ports = Ports {
        store: Arc::new(mortal.clone()),
        blobs: Arc::new(mortal),
        ..cloud.world.ports.clone()
    };
    let settings = cloud.core.settings().clone();
    cloud.core = Core::open(ports, settings).unwrap();
    // Whatever it answered was lost with it.
    script(cloud);
    cloud.restart();
    assert!(
        script(cloud),
        "dead at {dies_at}, the repetition must be done"
    );
    moments.load(Ordering::Relaxed)
}

#[test]
fn a_job_survives_death_at_every_operation() {
    let page: Vec<u8> = (0..500_u32).flat_map(u32::to_be_bytes).collect();
    for dies_at in 1.. {
        let mut cloud = Cloud::new();
        let device = cloud.device(&cloud.tenant("a"), "SN-1");
        let objects: [(u32, &[u8]); 2] = [(0, b"manifest"), (1, &page)];
        let moments = die_and_repeat(&mut cloud, dies_at, |cloud| {
            // Beside the job's objects one that a person deleted, and a page in two appends.
            is_up(&cloud.upload(&device, JOB, 2, b"deleted page"))
                && is_up(&cloud.upload(&device, JOB, 0, b"manifest"))
                && in_two_appends(cloud, &device, &page)
                && cloud.commit(&device, JOB, &objects).status().is_success()
        });
        let vault = Vault::open(cloud.core.ports(), &device.tenant).unwrap();
        let queue = jobs::pending(&vault, 10).unwrap();
        assert_eq!(queue.len(), 1, "dead at {dies_at}");
        let envelope = jobs::envelope(&vault, &queue[0]).unwrap().unwrap();
        let object = jobs::object(&vault, &queue[0], &envelope.objects[1]).unwrap();
        let mut bytes = Vec::new();
        object
            .reader(cloud.core.ports())
            .read_to_end(&mut bytes)
            .unwrap();
        assert_eq!(bytes, page, "dead at {dies_at}");
        let answer = cloud.get(&device, "/v1/device/receipts?after=0", &[]);
        let receipts: scantrip_cloud_client::wire::Receipts =
            serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(receipts.receipts.len(), 1, "dead at {dies_at}");
        if moments < dies_at {
            assert!(dies_at > 16, "there are more operations than {dies_at}");
            return;
        }
    }
}

/// Whether an upload was taken; after a commit whose answer was lost it is not needed any more.
fn is_up(answer: &Answer) -> bool {
    match answer.status() {
        StatusCode::CONFLICT => problem(answer).0 == "already-committed",
        status => status == StatusCode::CREATED,
    }
}

/// Uploads object 1 as the agent does: creation with the first bytes, the rest from the offset.
fn in_two_appends(cloud: &Cloud, device: &Device, page: &[u8]) -> bool {
    let length = page.len().to_string();
    let metadata = metadata(JOB, 1, page);
    let headers = [
        TUS,
        BYTES_TYPE,
        ("upload-length", &length),
        ("upload-metadata", &metadata),
    ];
    let call = (Method::POST, "/v1/device/uploads");
    let answer = cloud.call(&device.peer, call, &headers, &page[..1000]);
    if answer.status() == StatusCode::CONFLICT {
        return is_up(&answer);
    }
    let at = header(&answer, "upload-offset").to_owned();
    let (path, Ok(offset)) = (header(&answer, "location").to_owned(), at.parse::<usize>()) else {
        return false;
    };
    let headers = [TUS, BYTES_TYPE, ("upload-offset", at.as_str())];
    offset == page.len()
        || cloud
            .call(
                &device.peer,
                (Method::PATCH, &path),
                &headers,
                &page[offset..],
            )
            .status()
            .is_success()
}

#[test]
fn enrolment_survives_death_at_every_operation() {
    for dies_at in 1.. {
        let mut cloud = Cloud::new();
        let code = cloud.code(&cloud.tenant("a"));
        let (key, other) = (key(), key());
        let moments = die_and_repeat(&mut cloud, dies_at, |cloud| {
            cloud.enroll("SN-1", &code, &key).status() == StatusCode::OK
        });
        assert_eq!(cloud.core.list_devices().unwrap().len(), 1);
        assert_eq!(
            problem(&cloud.enroll("SN-2", &code, &other)).0,
            "code-refused"
        );
        if moments < dies_at {
            return;
        }
    }
}

#[test]
fn a_discard_survives_death_at_every_operation() {
    for dies_at in 1.. {
        let mut cloud = Cloud::new();
        let device = cloud.device(&cloud.tenant("a"), "SN-1");
        cloud.upload(&device, JOB, 0, b"manifest");
        let moments = die_and_repeat(&mut cloud, dies_at, |cloud| {
            cloud.discard(&device, JOB).status() == StatusCode::NO_CONTENT
        });
        assert!(cloud.world.blobs.dump().is_empty(), "dead at {dies_at}");
        assert_eq!(
            problem(&cloud.commit(&device, JOB, &[(0, b"manifest")])).0,
            "job-discarded"
        );
        if moments < dies_at {
            return;
        }
    }
}
