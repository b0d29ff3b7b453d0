//! A cloud in memory with a tenant, a device and what the device has committed.

use std::io::Read;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use scantrip_cloud_client::seal::{ObjectId, ObjectKind, PrivateKey, seal_to_vec};
use scantrip_cloud_client::wire::{
    DeviceTime, Envelope, EnvelopeObject, INTENT_OBJECT, Intent, Manifest, ManifestPage, Outcome,
    OutcomeState, Receipt, SignedReceipt,
};
use sha2::{Digest, Sha256};

use super::super::*;
use super::{Cut, FakeFolders};
use crate::blobs::{BlobError, Blobs, Folder, Part, PartWriter};
use crate::core::global;
use crate::core::record::{Committed, Job, StoredWorkflow, Upload, envelope_place, outcomes};
use crate::ports::hex;
use crate::steps::fake::Disk;
use crate::store::{Item, Key, Operation, Range, Store, StoreError};
use crate::testing::World;
use crate::workflow::Workflow;

pub(super) const SAMPLE: &str = include_str!("../../../testdata/invoices.toml");
/// What must not be found in storage; part of pages and fields.
pub(super) const MARKER: &str = "Customer-4711";
const DEVICE: &str = "d1";
const TENANT: &str = "t1";

/// What a device commits.
#[derive(Clone)]
pub(super) struct JobSpec {
    pub(super) number: u8,
    pub(super) workflow: &'static str,
    pub(super) customer: &'static str,
    pub(super) pages: Vec<Vec<u8>>,
    /// Whether fields come with an intent, as of a draft that was cut off.
    pub(super) intent: bool,
    /// Seals the first page as something else.
    pub(super) sealed_as: Option<(ObjectKind, u32)>,
    pub(super) other_key: bool,
    /// Whether the first page's stored bytes are another sealing of it.
    pub(super) other_bytes: bool,
    /// A page of the manifest whose object is not in the envelope.
    pub(super) unsent_page: Option<u32>,
    pub(super) manifest_job: Option<&'static str>,
}

impl JobSpec {
    pub(super) fn of(pages: Vec<Vec<u8>>) -> Self {
        Self {
            number: 1,
            workflow: "invoices",
            customer: MARKER,
            pages,
            intent: false,
            sealed_as: None,
            other_key: false,
            other_bytes: false,
            unsent_page: None,
            manifest_job: None,
        }
    }
}

pub(super) struct Site {
    pub(super) world: World,
    folders: FakeFolders,
    key: PrivateKey,
    /// Ports that can be cut off.
    ports: Ports,
}

impl Site {
    pub(super) fn new() -> Self {
        let world = World::new();
        let folders = FakeFolders::default();
        let mut random = |bytes: &mut [u8]| world.ports.random.fill(bytes);
        let key = PrivateKey::generate(&mut random);
        let vault = world.vault(TENANT);
        let name = format!("tenant.{TENANT}.seal.1");
        world
            .ports
            .keys
            .create(&name, key.to_bytes().as_slice())
            .unwrap();
        let mut batch = vault.batch();
        batch.global(global::create(global::tenant_key(TENANT), &1, None));
        batch.commit().unwrap();
        let cut = Cuttable {
            inner: world.ports.clone(),
            disk: Arc::clone(&folders.0),
        };
        let ports = Ports {
            store: Arc::new(cut.clone()),
            blobs: Arc::new(cut),
            ..world.ports.clone()
        };
        let site = Self {
            world,
            folders,
            key,
            ports,
        };
        site.add_workflow("invoices", SAMPLE);
        site
    }

    pub(super) fn vault(&self) -> Vault {
        Vault::open(&self.world.ports, TENANT).unwrap()
    }

    pub(super) fn add_workflow(&self, id: &str, text: &str) {
        let workflow = StoredWorkflow {
            wire: Workflow::parse(text, "w.toml").unwrap().to_wire(1),
            source: text.to_owned(),
            changed_at_ms: 0,
        };
        let vault = self.vault();
        let place = StoredWorkflow::place(id);
        let old = vault.get::<StoredWorkflow>(&place).unwrap();
        let mut batch = vault.batch();
        batch.put_over(&place, old.as_ref(), &workflow).unwrap();
        batch.commit().unwrap();
    }

    /// A tenant whose keys are gone.
    pub(super) fn add_lost_tenant(&self, tenant: &str) {
        let vault = self.vault();
        let mut batch = vault.batch();
        batch.global(global::create(global::tenant_key(tenant), &1, None));
        batch.commit().unwrap();
    }

    pub(super) fn runner(&self) -> Runner {
        Runner::new(self.ports.clone(), Arc::new(self.folders.clone()))
    }

    /// Runs until there is nothing to do now; returns when there is, erasures left out.
    pub(super) fn run(&self) -> Option<u64> {
        let mut runner = self.runner();
        let now_ms = self.world.ports.clock.now_ms();
        loop {
            match runner.step(now_ms) {
                Some(next_ms) if next_ms <= now_ms => {}
                next_ms => return next_ms.filter(|&next_ms| next_ms < now_ms + DAY_MS),
            }
        }
    }

    pub(super) fn restart(&self, cut: Cut, cut_at: Option<u32>) {
        self.folders.0.lock().unwrap().restart(cut, cut_at);
    }

    pub(super) fn was_cut(&self) -> bool {
        self.folders.0.lock().unwrap().was_cut()
    }

    pub(super) fn documents(&self) -> Vec<(String, Vec<u8>)> {
        let disk = self.folders.0.lock().unwrap();
        let listing = disk.listing();
        listing
            .into_iter()
            .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
            .collect()
    }

    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        let feed = self.vault().all::<Outcome>(&outcomes(DEVICE), "").unwrap();
        feed.into_iter().map(|stored| stored.value).collect()
    }

    pub(super) fn assert_nothing_readable(&self) {
        let stored = self.world.everything_stored();
        assert!(
            !stored
                .windows(MARKER.len())
                .any(|text| text == MARKER.as_bytes())
        );
    }

    /// Stores what the core stores when a device commits.
    pub(super) fn commit(&self, spec: &JobSpec) -> JobRef {
        let id = format!("0f8e4d2c-0000-4000-8000-0000000000{:02}", spec.number);
        let job = JobRef {
            tenant: TENANT.to_owned(),
            device: DEVICE.to_owned(),
            job: id,
        };
        let mut objects = Vec::new();
        for (number, page) in (1..).zip(&spec.pages) {
            let (kind, as_number) = match spec.sealed_as {
                Some(other) if number == 1 => other,
                _ => (ObjectKind::Page, number),
            };
            let sealed = self.seal(&job, kind, as_number, page, spec.other_key);
            objects.push(self.store_object(&job, number, &sealed, spec.other_bytes && number == 1));
        }
        let mut put = |kind, number, text: Vec<u8>| {
            let sealed = self.seal(&job, kind, number, &text, false);
            objects.push(self.store_object(&job, number, &sealed, false));
        };
        let manifest = manifest(spec, &job);
        if spec.intent {
            let intent = intent(spec, &job);
            put(
                ObjectKind::Intent,
                INTENT_OBJECT,
                serde_json::to_vec(&intent).unwrap(),
            );
        }
        put(
            ObjectKind::Manifest,
            0,
            serde_json::to_vec(&manifest).unwrap(),
        );
        self.store_job(&job, objects);
        job
    }

    fn seal(
        &self,
        job: &JobRef,
        kind: ObjectKind,
        object: u32,
        plain: &[u8],
        other: bool,
    ) -> Vec<u8> {
        let mut random = |bytes: &mut [u8]| self.world.ports.random.fill(bytes);
        let other_key = other.then(|| PrivateKey::generate(&mut random));
        let id = ObjectId {
            kind,
            tenant: job.tenant.clone(),
            device: job.device.clone(),
            job: crate::ports::unhex(&job.job.replace('-', "")).unwrap(),
            object,
        };
        let key = other_key.as_ref().unwrap_or(&self.key);
        seal_to_vec(key.public(), &id, plain, &mut random).unwrap()
    }

    fn store_object(&self, job: &JobRef, object: u32, sealed: &[u8], lie: bool) -> EnvelopeObject {
        let ports = &self.world.ports;
        let name = ports.random_name();
        let mut writer = ports.blobs.begin(&job.folder(), &name).unwrap();
        writer.push(sealed).unwrap();
        writer.finish().unwrap();
        let sha256 = hex(&Sha256::digest(if lie { b"other" } else { sealed }));
        let size = sealed.len() as u64;
        let upload = Upload {
            job: job.job.clone(),
            object,
            size,
            sha256: sha256.clone(),
            offset: size,
            parts: vec![Part { name, length: size }],
            expires_at_ms: u64::MAX,
        };
        let sort = format!("{}{object:08x}#{sha256}", Upload::PREFIX);
        let place = Place::new(Upload::complete(&job.device, &job.job), sort);
        let vault = self.vault();
        let mut batch = vault.batch();
        batch.create(&place, &upload).unwrap();
        batch.commit().unwrap();
        EnvelopeObject {
            object,
            size,
            sha256,
        }
    }

    fn store_job(&self, job: &JobRef, objects: Vec<EnvelopeObject>) {
        let now_ms = self.world.ports.clock.now_ms();
        let receipt = Receipt {
            version: 1,
            tenant: job.tenant.clone(),
            device: job.device.clone(),
            seq: 1,
            prev: "0".repeat(64),
            job: job.job.clone(),
            envelope: String::new(),
            objects: u32::try_from(objects.len()).unwrap(),
            received_at_ms: now_ms,
        };
        let committed = Committed {
            envelope: String::new(),
            objects: receipt.objects,
            sealed_bytes: 0,
            receipt: SignedReceipt {
                receipt: BASE64_STANDARD.encode(serde_json::to_vec(&receipt).unwrap()),
                signature: String::new(),
                certificate: String::new(),
            },
            outcome: Outcome {
                seq: 0,
                job: job.job.clone(),
                state: OutcomeState::Received,
                at_ms: now_ms,
                place: None,
                name: None,
                reason: None,
            },
            erased: false,
        };
        let envelope = Envelope {
            version: 1,
            job: job.job.clone(),
            tenant: job.tenant.clone(),
            device: job.device.clone(),
            objects,
        };
        let vault = self.vault();
        let mut batch = vault.batch();
        batch
            .create(&envelope_place(&job.device, &job.job), &envelope)
            .unwrap();
        let state = Job::Committed(Box::new(committed));
        batch
            .create(&Job::place(&job.device, &job.job), &state)
            .unwrap();
        batch.create(&job.queue_place(), job).unwrap();
        batch.commit().unwrap();
    }
}

fn manifest(spec: &JobSpec, job: &JobRef) -> Manifest {
    let intent = intent(spec, job);
    let sent = (1..).take(spec.pages.len());
    Manifest {
        version: 1,
        job: spec.manifest_job.unwrap_or(&job.job).to_owned(),
        workflow: if spec.intent {
            String::new()
        } else {
            intent.workflow
        },
        workflow_version: 1,
        fields: if spec.intent {
            BTreeMap::new()
        } else {
            intent.fields
        },
        intent: spec.intent.then_some(INTENT_OBJECT),
        member: None,
        scanned_at: intent.scanned_at,
        pages: sent.chain(spec.unsent_page).map(page).collect(),
    }
}

fn intent(spec: &JobSpec, job: &JobRef) -> Intent {
    Intent {
        version: 1,
        job: job.job.clone(),
        workflow: spec.workflow.to_owned(),
        workflow_version: 1,
        fields: BTreeMap::from([("customer".to_owned(), spec.customer.to_owned())]),
        member: None,
        scanned_at: DeviceTime {
            unix_ms: 1_699_999_990_000,
            skew_ms: Some(0),
        },
    }
}

fn page(object: u32) -> ManifestPage {
    ManifestPage {
        object,
        media_type: "image/jpeg".to_owned(),
        images: 1,
        rotation: 0,
        resolution_dpi: 300,
        side: "front".to_owned(),
        doubtful: false,
        late_height: false,
    }
}

/// Store and blobs that stop with the folder's disk.
#[derive(Clone)]
struct Cuttable {
    inner: Ports,
    disk: Arc<Mutex<Disk>>,
}

impl Cuttable {
    fn store(&self) -> Result<&dyn Store, StoreError> {
        let step = self.disk.lock().unwrap().step();
        step.map_err(|source| StoreError::Engine {
            operation: "go on",
            source: source.into(),
        })?;
        Ok(&*self.inner.store)
    }

    fn blobs(&self) -> Result<&dyn Blobs, BlobError> {
        step(&self.disk)?;
        Ok(&*self.inner.blobs)
    }
}

fn step(disk: &Mutex<Disk>) -> Result<(), BlobError> {
    let step = disk.lock().unwrap().step();
    step.map_err(|source| BlobError {
        operation: "go on",
        part: String::new(),
        source,
    })
}

impl Store for Cuttable {
    fn get(&self, key: &Key, now_ms: u64) -> Result<Option<Item>, StoreError> {
        self.store()?.get(key, now_ms)
    }

    fn range(&self, range: &Range<'_>, now_ms: u64) -> Result<Vec<Item>, StoreError> {
        self.store()?.range(range, now_ms)
    }

    fn transact(&self, operations: &[Operation], now_ms: u64) -> Result<(), StoreError> {
        self.store()?.transact(operations, now_ms)
    }

    fn sweep(&self, now_ms: u64, limit: usize) -> Result<usize, StoreError> {
        self.store()?.sweep(now_ms, limit)
    }
}

impl Blobs for Cuttable {
    fn begin(&self, folder: &Folder, name: &str) -> Result<Box<dyn PartWriter>, BlobError> {
        let inner = self.blobs()?.begin(folder, name)?;
        Ok(Box::new(CuttablePart {
            inner,
            disk: Arc::clone(&self.disk),
        }))
    }

    fn open(&self, folder: &Folder, name: &str) -> Result<Box<dyn Read + Send>, BlobError> {
        self.blobs()?.open(folder, name)
    }

    fn remove(&self, folder: &Folder, name: &str) -> Result<(), BlobError> {
        self.blobs()?.remove(folder, name)
    }

    fn remove_folder(&self, folder: &Folder) -> Result<(), BlobError> {
        self.blobs()?.remove_folder(folder)
    }
}

struct CuttablePart {
    inner: Box<dyn PartWriter>,
    disk: Arc<Mutex<Disk>>,
}

impl PartWriter for CuttablePart {
    fn push(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.inner.push(bytes)
    }

    fn finish(self: Box<Self>) -> Result<(), BlobError> {
        step(&self.disk)?;
        self.inner.finish()
    }
}
