//! The cloud's core over blobs on a simulated disk and a store with atomic commits: ingest,
//! offsets, commit, receipt, discard.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request, StatusCode};
use scantrip_cloud::blobs::folder::FolderBlobs;
use scantrip_cloud::blobs::{Folder, ObjectReader};
use scantrip_cloud::core::answer::Answer;
use scantrip_cloud::core::record::{Job, Upload};
use scantrip_cloud::core::{Core, Peer, Settings, admin, jobs};
use scantrip_cloud::keys::memory::MemoryKeys;
use scantrip_cloud::ports::{Clock, Ports, Random};
use scantrip_cloud::sealed_store::Vault;
use scantrip_cloud::store::memory::MemoryStore;
use scantrip_cloud_client::wire::{Envelope, EnvelopeObject, Problem, SignedReceipt};
use scantrip_hal::disk::Disk;
use scantrip_hal::sim::disk::{Dice, SimDisk, SimDiskConfig};
use sha2::{Digest as _, Sha256};

use super::fakes::sealed_bytes;
use super::files::{DiskFiles, power_of};
use super::{Broken, Promise, Stopped, Workload, require};

const NOW_MS: u64 = 1_700_000_000_000;

#[derive(Debug)]
struct StillClock;

impl Clock for StillClock {
    fn now_ms(&self) -> u64 {
        NOW_MS
    }
}

#[derive(Debug)]
struct FakeRandom(Mutex<Dice>);

impl Random for FakeRandom {
    fn fill(&self, out: &mut [u8]) {
        self.0.lock().expect("nobody panics with it").fill(out);
    }
}

/// A cloud that was set up, with one device of one tenant. Made once, restarted for each case.
struct Base {
    store: MemoryStore,
    keys: Arc<MemoryKeys>,
    peer: Peer,
    tenant: String,
    device: String,
}

impl Base {
    fn get() -> &'static Self {
        static BASE: OnceLock<Base> = OnceLock::new();
        BASE.get_or_init(|| Self::set_up().expect("a cloud on a disk that works is set up"))
    }

    fn set_up() -> anyhow::Result<Self> {
        let store = Arc::new(MemoryStore::new());
        let keys = Arc::new(MemoryKeys::new());
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(SimDiskConfig::default(), 1));
        let ports = ports(&disk, Arc::clone(&store), Arc::clone(&keys));
        admin::init(&ports)?;
        let core = Core::open(ports, Settings::default())?;
        let tenant = core.add_tenant("a")?.id;
        let code = core.create_code(Some(&tenant), None)?.code;
        let key = rcgen::KeyPair::generate()?;
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "SN-1");
        let csr = STANDARD.encode(params.serialize_request(&key)?.der());
        let basic = format!("Basic {}", STANDARD.encode(format!("SN-1:{code}")));
        let nobody = Peer {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            certificate: None,
        };
        let call = (Method::POST, "/.well-known/est/simpleenroll");
        let headers = [("authorization", basic.as_str())];
        let answer = request(&core, &nobody, call, &headers, csr.as_bytes());
        anyhow::ensure!(answer.status() == StatusCode::OK, "{answer:?}");
        let devices = core.list_devices()?;
        let device = devices
            .first()
            .map(|detail| detail.device.device.clone())
            .unwrap_or_default();
        let certificate = leaf(&STANDARD.decode(answer.body())?)?;
        Ok(Self {
            store: store.restarted(None),
            keys,
            peer: Peer {
                certificate: Some(certificate),
                ..nobody
            },
            tenant,
            device,
        })
    }
}

/// The certificate in a certs-only PKCS#7: behind the data type's OID, then `[0]`.
fn leaf(der: &[u8]) -> anyhow::Result<Vec<u8>> {
    let data = [0x30, 0x0b, 0x06, 0x09];
    let start = der.windows(4).position(|window| window == data);
    let start = start.ok_or_else(|| anyhow::anyhow!("no certificate"))? + 17;
    Ok(der[start..der.len() - 2].to_vec())
}

fn ports(disk: &Arc<dyn Disk>, store: Arc<MemoryStore>, keys: Arc<MemoryKeys>) -> Ports {
    Ports {
        store,
        blobs: Arc::new(FolderBlobs::over(Arc::new(DiskFiles(Arc::clone(disk))))),
        keys,
        clock: Arc::new(StillClock),
        random: Arc::new(FakeRandom(Mutex::new(Dice::new(fresh_seed())))),
    }
}

/// Every process draws names of its own, as real randomness has it; which ones does not matter.
fn fresh_seed() -> u64 {
    static PROCESSES: AtomicU64 = AtomicU64::new(0);
    PROCESSES.fetch_add(1, Ordering::Relaxed)
}

fn request(
    core: &Arc<Core>,
    peer: &Peer,
    (method, path): (Method, &str),
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.header("content-length", body.len()).body(());
    let (head, ()) = request
        .expect("the requests here are well formed")
        .into_parts();
    let mut exchange = core.route(peer, &head);
    for piece in body.chunks(8192) {
        exchange.push(piece);
    }
    exchange.finish()
}

/// What the device does.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The first bytes of an object, with its creation.
    Create(u32, usize),
    /// So many bytes more.
    Append(u32, usize),
    /// The rest of it.
    Rest(u32),
    Commit,
    Discard,
    /// The cloud is started again; the machine is not.
    Restart,
    FailFlush,
}

/// A workload of requests.
#[derive(Clone, Debug)]
pub struct Script {
    name: &'static str,
    objects: &'static [(u32, usize)],
    steps: &'static [Step],
}

/// What the device was told.
#[derive(Clone, Debug, Default)]
struct Told {
    offsets: BTreeMap<u32, u64>,
    locations: BTreeMap<u32, String>,
    committing: bool,
    receipt: Option<SignedReceipt>,
    discarding: bool,
    discarded: bool,
}

/// A cloud at the moment its power went.
pub struct Machine {
    script: Script,
    disk: SimDisk,
    /// The disk as the cloud sees it.
    port: Arc<dyn Disk>,
    store: Arc<MemoryStore>,
    told: Told,
}

const JOB: &str = "01234567-89ab-4def-8123-456789abcdef";
const TUS: (&str, &str) = ("tus-resumable", "1.0.0");
const BYTES_TYPE: (&str, &str) = ("content-type", "application/offset+octet-stream");

fn object_bytes(script: &Script, object: u32) -> Arc<[u8]> {
    let (_, length) = script
        .objects
        .iter()
        .find(|(number, _)| *number == object)
        .expect("listed");
    sealed_bytes(u64::from(object) + 1000, *length)
}

fn sha256(bytes: &[u8]) -> String {
    scantrip_cloud::ports::hex(&Sha256::digest(bytes))
}

impl Workload for Script {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn run(&self, stop: Option<u64>) -> Box<dyn Stopped> {
        let disk = disk();
        if let Some(stop) = stop {
            disk.stop_at(stop);
        }
        let port: Arc<dyn Disk> = Arc::new(disk.clone());
        Box::new(self.play(&disk, &port))
    }
}

/// A new disk for it.
#[must_use]
pub fn disk() -> SimDisk {
    let config = SimDiskConfig {
        trace: true,
        ..SimDiskConfig::default()
    };
    SimDisk::new(config, 3)
}

impl Script {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Plays it on a disk whose operations may fail.
    #[must_use]
    pub fn play(&self, disk: &SimDisk, port: &Arc<dyn Disk>) -> Machine {
        let store = Base::get().store.restarted(Some(power_of(disk)));
        let mut machine = Machine {
            script: self.clone(),
            disk: disk.clone(),
            port: Arc::clone(port),
            store: Arc::new(store),
            told: Told::default(),
        };
        machine.play();
        machine
    }
}

impl Machine {
    fn core(&self) -> Arc<Core> {
        open(&self.port, Arc::clone(&self.store))
    }

    fn play(&mut self) {
        let mut core = self.core();
        for step in self.script.steps {
            match *step {
                Step::Restart => core = self.core(),
                Step::FailFlush => self.disk.fail_next_flush(),
                step => self.ask(&core, step),
            }
        }
    }

    /// Sends one request, and believes its answer if the machine still had power to give it.
    fn ask(&mut self, core: &Arc<Core>, step: Step) {
        match step {
            Step::Create(object, count) => {
                let answer = create(core, &self.script, object, count);
                self.hear(object, &answer);
            }
            Step::Append(object, count) => {
                let from = self.told.offsets.get(&object).copied().unwrap_or_default();
                self.append(core, object, from as usize..(from as usize + count));
            }
            Step::Rest(object) => {
                let from = self.told.offsets.get(&object).copied().unwrap_or_default();
                let end = object_bytes(&self.script, object).len();
                self.append(core, object, from as usize..end);
            }
            Step::Commit => {
                self.told.committing = true;
                let answer = commit(core, &self.script);
                if self.disk.is_on() && answer.status().is_success() {
                    self.told.receipt = serde_json::from_slice(answer.body()).ok();
                }
            }
            Step::Discard => {
                self.told.discarding = true;
                let call = (Method::DELETE, &*format!("/v1/device/jobs/{JOB}"));
                let answer = request(core, &Base::get().peer, call, &[], b"");
                self.told.discarded |= self.disk.is_on() && answer.status().is_success();
            }
            Step::Restart | Step::FailFlush => {}
        }
    }

    fn append(&mut self, core: &Arc<Core>, object: u32, range: std::ops::Range<usize>) {
        let Some(path) = self.told.locations.get(&object).cloned() else {
            return;
        };
        let bytes = object_bytes(&self.script, object);
        let answer = append(core, &path, (range.start, &bytes[range]));
        self.hear(object, &answer);
    }

    fn hear(&mut self, object: u32, answer: &Answer) {
        let header = |name: &str| answer.headers().get(name)?.to_str().ok();
        if !self.disk.is_on() || !answer.status().is_success() {
            return;
        }
        if let Some(offset) = header("upload-offset").and_then(|text| text.parse().ok()) {
            self.told.offsets.insert(object, offset);
        }
        if let Some(location) = header("location") {
            self.told.locations.insert(object, location.to_owned());
        }
    }
}

fn open(disk: &Arc<dyn Disk>, store: Arc<MemoryStore>) -> Arc<Core> {
    let ports = ports(disk, store, Arc::clone(&Base::get().keys));
    Core::open(ports, Settings::default()).expect("the keys are in memory")
}

fn create(core: &Arc<Core>, script: &Script, object: u32, count: usize) -> Answer {
    let bytes = object_bytes(script, object);
    let length = bytes.len().to_string();
    let pairs = [
        ("job", JOB.to_owned()),
        ("object", object.to_string()),
        ("sha256", sha256(&bytes)),
    ];
    let pairs = pairs.map(|(name, value)| format!("{name} {}", STANDARD.encode(value)));
    let metadata = pairs.join(",");
    let headers = [
        TUS,
        BYTES_TYPE,
        ("upload-length", length.as_str()),
        ("upload-metadata", metadata.as_str()),
    ];
    let call = (Method::POST, "/v1/device/uploads");
    request(core, &Base::get().peer, call, &headers, &bytes[..count])
}

fn append(core: &Arc<Core>, path: &str, (offset, bytes): (usize, &[u8])) -> Answer {
    let at = offset.to_string();
    let headers = [TUS, BYTES_TYPE, ("upload-offset", at.as_str())];
    request(
        core,
        &Base::get().peer,
        (Method::PATCH, path),
        &headers,
        bytes,
    )
}

fn commit(core: &Arc<Core>, script: &Script) -> Answer {
    let base = Base::get();
    let entry = |&(object, _): &(u32, usize)| {
        let bytes = object_bytes(script, object);
        EnvelopeObject {
            object,
            size: bytes.len() as u64,
            sha256: sha256(&bytes),
        }
    };
    let envelope = Envelope {
        version: 1,
        job: JOB.to_owned(),
        tenant: base.tenant.clone(),
        device: base.device.clone(),
        objects: script.objects.iter().map(entry).collect(),
    };
    let body = serde_json::to_vec(&envelope).expect("an envelope has a JSON form");
    let call = (Method::PUT, &*format!("/v1/device/jobs/{JOB}"));
    request(core, &base.peer, call, &[], &body)
}

impl Stopped for Machine {
    fn disk(&self) -> &SimDisk {
        &self.disk
    }

    fn check(&self, image: &SimDisk, thorough: bool) -> Result<(), Broken> {
        self.check_image(image)?;
        if thorough {
            self.go_on(image)?;
        }
        Ok(())
    }

    /// The cloud has no recovery of its own: it starts with what is there.
    fn recover(&self, _image: &SimDisk) {}
}

fn stuck(error: impl std::fmt::Display) -> Broken {
    Broken::new(Promise::Stuck, error.to_string())
}

impl Machine {
    /// Every byte that an item speaks of is there.
    ///
    /// # Errors
    /// The promise that is broken.
    pub fn check_image(&self, image: &SimDisk) -> Result<(), Broken> {
        let base = Base::get();
        let disk: Arc<dyn Disk> = Arc::new(image.clone());
        let store = Arc::new(self.store.restarted(None));
        let ports = ports(&disk, store, Arc::clone(&base.keys));
        let vault = Vault::open(&ports, &base.tenant).map_err(stuck)?;
        let unfinished = Upload::unfinished(&base.device);
        let complete = Upload::complete(&base.device, JOB);
        let mut uploads = vault.all::<Upload>(&unfinished, "").map_err(stuck)?;
        uploads.extend(
            vault
                .all::<Upload>(&complete, Upload::PREFIX)
                .map_err(stuck)?,
        );
        let folder = Folder::new(&[&base.tenant, &base.device, JOB]);
        let mut offsets = BTreeMap::new();
        for upload in uploads.iter().map(|stored| &stored.value) {
            let object = upload.object;
            offsets.insert(object, upload.offset);
            let mut bytes = Vec::new();
            let read =
                ObjectReader::new(&*ports.blobs, &folder, &upload.parts).read_to_end(&mut bytes);
            if self.told.discarding {
                continue;
            }
            read.map_err(|error| Broken::new(Promise::Lost, format!("object {object}: {error}")))?;
            let whole = object_bytes(&self.script, object);
            let same = whole.get(..upload.offset as usize) == Some(bytes.as_slice());
            require(same, Promise::Invented, || {
                format!("object {object} has other bytes at {}", upload.offset)
            })?;
        }
        for (object, told) in &self.told.offsets {
            let now = offsets.get(object).copied().unwrap_or_default();
            let over = self.told.discarding;
            require(over || now >= *told, Promise::MovedBack, || {
                format!("object {object} was at {told} and is at {now}")
            })?;
        }
        let job = vault
            .get::<Job>(&Job::place(&base.device, JOB))
            .map_err(stuck)?;
        let job = job.map(|stored| stored.value);
        let waiting = jobs::pending(&vault, 10).map_err(stuck)?.len();
        if let Some(receipt) = &self.told.receipt {
            let kept = matches!(&job, Some(Job::Committed(kept)) if kept.receipt == *receipt);
            require(kept, Promise::Lost, || {
                format!("the job that has a receipt is {job:?}")
            })?;
        }
        let taken = matches!(job, Some(Job::Committed(_)));
        require(waiting == usize::from(taken), Promise::Invented, || {
            format!("taken {taken}, and {waiting} jobs wait")
        })?;
        require(!taken || self.told.committing, Promise::Invented, || {
            "taken without being asked".to_owned()
        })?;
        let left = image.files();
        require(
            !self.told.discarded || left.is_empty(),
            Promise::CameBack,
            || format!("of a discarded job {left:?} are left"),
        )?;
        let dead = matches!(job, Some(Job::Discarded));
        require(!self.told.discarded || dead, Promise::CameBack, || {
            "the job was discarded and is not".to_owned()
        })
    }

    /// The device asks again, as it does after a lost answer: everything ends in one receipt.
    fn go_on(&self, image: &SimDisk) -> Result<(), Broken> {
        let disk: Arc<dyn Disk> = Arc::new(image.clone());
        let core = open(&disk, Arc::new(self.store.restarted(None)));
        if self.told.discarding {
            let call = (Method::DELETE, &*format!("/v1/device/jobs/{JOB}"));
            let answer = request(&core, &Base::get().peer, call, &[], b"");
            let done = answer.status().is_success() || problem(&answer) == "already-committed";
            return require(done, Promise::Stuck, || {
                format!("discarding: {}", text(&answer))
            });
        }
        for &(object, _) in self.script.objects {
            let answer = create(&core, &self.script, object, 0);
            if problem(&answer) == "already-committed" {
                break;
            }
            let header = |name: &str| answer.headers().get(name)?.to_str().ok();
            let at = header("upload-offset").and_then(|text| text.parse().ok());
            let (Some(at), Some(path)) = (at, header("location")) else {
                return Err(stuck(text(&answer)));
            };
            let bytes = object_bytes(&self.script, object);
            if at < bytes.len() {
                let answer = append(&core, path, (at, &bytes[at..]));
                require(answer.status().is_success(), Promise::Stuck, || {
                    text(&answer)
                })?;
            }
        }
        let answer = commit(&core, &self.script);
        let receipt = serde_json::from_slice::<SignedReceipt>(answer.body()).ok();
        require(receipt.is_some(), Promise::Stuck, || text(&answer))?;
        let before = self.told.receipt.as_ref();
        let same = before.is_none() || before == receipt.as_ref();
        require(same, Promise::MovedBack, || "another receipt".to_owned())?;
        self.delivered(&core)
    }

    /// What the runner would open is what was scanned, once.
    fn delivered(&self, core: &Core) -> Result<(), Broken> {
        let vault = Vault::open(core.ports(), &Base::get().tenant).map_err(stuck)?;
        let waiting = jobs::pending(&vault, 10).map_err(stuck)?;
        let [job] = waiting.as_slice() else {
            return Err(Broken::new(
                Promise::Lost,
                format!("{} jobs wait", waiting.len()),
            ));
        };
        let envelope = jobs::envelope(&vault, job).map_err(stuck)?;
        for named in envelope.iter().flat_map(|envelope| &envelope.objects) {
            let object = jobs::object(&vault, job, named).map_err(stuck)?;
            let mut bytes = Vec::new();
            let read = object.reader(core.ports()).read_to_end(&mut bytes);
            read.map_err(|error| Broken::new(Promise::Lost, error.to_string()))?;
            let same = *bytes == *object_bytes(&self.script, named.object);
            require(same, Promise::Invented, || {
                format!("object {}", named.object)
            })?;
        }
        Ok(())
    }
}

fn problem(answer: &Answer) -> &'static str {
    let problem = serde_json::from_slice::<Problem>(answer.body()).ok();
    let kind = problem.and_then(|problem| problem.known());
    kind.map_or("", |kind| kind.name())
}

fn text(answer: &Answer) -> String {
    format!(
        "{} {}",
        answer.status(),
        String::from_utf8_lossy(answer.body())
    )
}

/// The cloud's workloads.
#[must_use]
pub fn workloads() -> Vec<Box<dyn Workload>> {
    let scripts = scripts().into_iter();
    scripts
        .map(|script| Box::new(script) as Box<dyn Workload>)
        .collect()
}

/// What devices do.
#[must_use]
pub fn scripts() -> Vec<Script> {
    use Step::{Append, Commit, Create, Discard, FailFlush, Rest, Restart};
    vec![
        Script {
            name: "cloud-whole",
            objects: &[(0, 900), (1, 33_000)],
            steps: &[Create(0, 900), Create(1, 33_000), Commit],
        },
        Script {
            name: "cloud-pieces",
            objects: &[(0, 900), (1, 40_000), (2, 300)],
            steps: &[
                Create(1, 9_000),
                Append(1, 20_000),
                Restart,
                Rest(1),
                Create(2, 0),
                Rest(2),
                Create(0, 900),
                Commit,
                Commit,
            ],
        },
        Script {
            name: "cloud-failed-flush",
            objects: &[(0, 900), (1, 40_000)],
            steps: &[
                Create(1, 9_000),
                FailFlush,
                Append(1, 20_000),
                Rest(1),
                FailFlush,
                Create(0, 900),
                Create(0, 900),
                Rest(1),
                Commit,
            ],
        },
        Script {
            name: "cloud-discard",
            objects: &[(0, 900), (1, 16_000)],
            steps: &[
                Create(0, 900),
                Create(1, 9_000),
                Discard,
                Create(1, 9_000),
                Discard,
            ],
        },
        Script {
            name: "cloud-restarts",
            objects: &[(0, 5_000), (1, 24_000)],
            steps: &[
                Create(0, 100),
                Restart,
                Rest(0),
                Create(1, 12_000),
                Restart,
                Append(1, 4_000),
                Restart,
                Rest(1),
                Commit,
                Restart,
                Commit,
            ],
        },
    ]
}
