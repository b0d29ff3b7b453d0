//! The cloud: its core and its runner over simulated storage, and its power switch.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use scantrip_cloud::core::{Core, Settings, admin};
use scantrip_cloud::keys::memory::MemoryKeys;
use scantrip_cloud::ports::Ports;
use scantrip_cloud::runner::Runner;
use scantrip_cloud::store::memory::MemoryStore;
use scantrip_cloud::workflow::Workflow;
use scantrip_cloud_client::wire::EntryPoint;
use scantrip_hal::disk::Disk as _;
use scantrip_hal::sim::disk::{Dice, SimDisk, SimDiskConfig};

use super::clock::{CloudRandom, DAY_MS};
use super::cloud_ports::{Share, SimBlobs, SimStore};
use super::options::{Options, below};
use super::shared::Shared;

/// The front doors.
pub(crate) const DOORS: [&str; 3] = [
    "https://frankfurt.example",
    "https://virginia.example",
    "https://tokyo.example",
];
/// Life of the server's own certificate; as the product's.
const SERVER_LIFE_MS: u64 = 90 * DAY_MS;
const CLOUD_DISK_BYTES: u64 = 64 << 20;
const BALLAST: &str = "ballast";

/// A tenant: its id and the folder that its documents arrive in.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    pub(crate) id: String,
}

/// The cloud as a machine.
pub(crate) struct Cloud {
    shared: Shared,
    dice: Dice,
    /// The machine's disk.
    pub(crate) disk: SimDisk,
    /// The share that documents arrive on.
    pub(crate) share: SimDisk,
    items: Arc<MemoryStore>,
    keys: Arc<MemoryKeys>,
    settings: Settings,
    running: Option<Running>,
    /// The CA's certificate.
    pub(crate) anchor: Vec<u8>,
    /// From when to when the server's certificate is valid.
    pub(crate) server_valid: (u64, u64),
    pub(crate) tenants: Vec<Tenant>,
    committed: Arc<AtomicBool>,
    /// Highest offset told for each upload, and when.
    pub(crate) offsets: BTreeMap<(String, String), (u64, u64)>,
    /// Documents seen so far.
    seen: BTreeMap<String, ()>,
}

/// The programs.
struct Running {
    core: Arc<Core>,
    runner: Runner,
}

impl Cloud {
    /// A cloud that runs, with two tenants.
    pub(crate) fn new(shared: &Shared, options: &Options, mut dice: Dice) -> Self {
        let config = SimDiskConfig {
            bytes_total: CLOUD_DISK_BYTES,
            ..SimDiskConfig::default()
        };
        let disk = SimDisk::new(config, dice.next());
        let share = SimDisk::new(SimDiskConfig::default(), dice.next());
        let settings = Settings {
            entry_points: DOORS
                .iter()
                .map(|url| EntryPoint {
                    name: url.trim_start_matches("https://").to_owned(),
                    region: "sim-1".to_owned(),
                    url: (*url).to_owned(),
                })
                .collect(),
            certificate_lifetime_ms: options.certificate_days * DAY_MS,
            poll_interval_seconds: options.poll_seconds,
            unfinished_bytes_max: 4 << 20,
            ..Settings::default()
        };
        let mut cloud = Self {
            shared: shared.clone(),
            dice,
            disk,
            share,
            items: Arc::new(MemoryStore::new()),
            keys: Arc::new(MemoryKeys::new()),
            settings,
            running: None,
            anchor: Vec::new(),
            server_valid: (0, 0),
            tenants: Vec::new(),
            committed: Arc::new(AtomicBool::new(false)),
            offsets: BTreeMap::new(),
            seen: BTreeMap::new(),
        };
        let ports = cloud.ports();
        cloud.anchor = admin::init(&ports).expect("a fresh cloud is initialised");
        cloud.start();
        cloud.renew_server();
        for (name, pattern) in [("Acme", "{job}.pdf"), ("Bravo", "{workflow}.pdf")] {
            let core = cloud.core().expect("it runs");
            let id = core.add_tenant(name).expect("a fresh name").id;
            let source = workflow(pattern);
            let parsed = Workflow::parse(&source, "workflow").expect("a good workflow");
            core.put_workflow(Some(&id), &parsed.to_wire(1), &source)
                .expect("there is the tenant");
            cloud.tenants.push(Tenant { id });
        }
        cloud
    }

    fn ports(&mut self) -> Ports {
        Ports {
            store: Arc::new(SimStore {
                items: Arc::clone(&self.items),
                disk: self.disk.clone(),
                shared: self.shared.clone(),
            }),
            blobs: Arc::new(SimBlobs(self.disk.clone())),
            keys: Arc::<MemoryKeys>::clone(&self.keys),
            clock: Arc::new(self.shared.time.clone()),
            random: Arc::new(CloudRandom(Mutex::new(Dice::new(self.dice.next())))),
        }
    }

    /// Starts the programs.
    fn start(&mut self) {
        let ports = self.ports();
        let core = Core::open(ports.clone(), self.settings.clone()).expect("the keys are there");
        let committed = Arc::clone(&self.committed);
        core.on_commit(move || committed.store(true, Ordering::Relaxed));
        let share = Share::new(self.share.clone(), self.disk.clone());
        let runner = Runner::new(ports, Arc::new(share));
        self.running = Some(Running { core, runner });
    }

    /// The core, while the cloud has power.
    pub(crate) fn core(&self) -> Option<Arc<Core>> {
        self.running
            .as_ref()
            .filter(|_| self.disk.is_on())
            .map(|running| Arc::clone(&running.core))
    }

    /// Whether the power has gone and nobody has cleaned up yet.
    pub(crate) fn has_died(&self) -> bool {
        self.running.is_some() && !self.disk.is_on()
    }

    /// Cuts the power.
    pub(crate) fn cut(&mut self) {
        self.disk.cut();
        self.share.cut();
        self.running = None;
    }

    /// Whether it is off.
    pub(crate) fn is_off(&self) -> bool {
        self.running.is_none()
    }

    /// Power is back: what the disks kept is what there is.
    pub(crate) fn boot(&mut self) {
        self.disk = self.disk.crashed(self.dice.next());
        self.share = self.share.crashed(self.dice.next());
        self.start();
    }

    /// Lets the runner do one thing; when it wants to be called again.
    pub(crate) fn step_runner(&mut self) -> Option<u64> {
        let now = self.shared.time.now();
        self.running.as_mut()?.runner.step(now)
    }

    /// Whether something was committed since this was asked.
    pub(crate) fn take_committed(&self) -> bool {
        self.committed.swap(false, Ordering::Relaxed)
    }

    /// Documents that have arrived since this was asked: tenant and bytes.
    pub(crate) fn arrived(&mut self) -> Vec<(String, String, Vec<u8>)> {
        let mut arrived = Vec::new();
        for path in self.share.files() {
            let is_part = path.contains("/.");
            if is_part || self.seen.contains_key(&path) {
                continue;
            }
            let Some(bytes) = self.share.bytes(&path) else {
                continue;
            };
            self.seen.insert(path.clone(), ());
            let tenant = path.split('/').next().unwrap_or_default().to_owned();
            arrived.push((tenant, path, bytes));
        }
        // After a power cut a rename may be undone and done again.
        let files = self.share.files();
        self.seen.retain(|path, ()| files.contains(path));
        arrived
    }

    /// The server renews its own certificate when it is due.
    pub(crate) fn renew_server(&mut self) {
        let now = self.shared.time.now();
        let (from, _) = self.server_valid;
        if now >= from + SERVER_LIFE_MS / 3 * 2 {
            self.server_valid = (now - 5 * 60 * 1000, now + SERVER_LIFE_MS);
        }
    }

    /// Power goes at one of the next operations of the disk.
    pub(crate) fn plan_cut(&mut self) {
        let at = self.disk.operations() + 1 + below(&mut self.dice, 60) as u64;
        self.disk.stop_at(at);
    }

    /// Fills the disk, or makes room.
    pub(crate) fn fill(&mut self, full: bool) {
        fill(&self.disk, full, below(&mut self.dice, 20_000) as u64);
    }
}

/// Leaves `left` bytes free, or makes room again.
pub(crate) fn fill(disk: &SimDisk, full: bool, left: u64) {
    // As nobody's operation: it works while the power is off, and no power cut undoes it.
    if disk.bytes(BALLAST).is_some() {
        disk.put(BALLAST, &[]);
    }
    if !full {
        return;
    }
    if let Ok(free) = disk.free_bytes() {
        let ballast = usize::try_from(free.saturating_sub(left)).unwrap_or_default();
        disk.put(BALLAST, &vec![0; ballast]);
    }
}

fn workflow(pattern: &str) -> String {
    format!(
        "name = \"Archive\"\nretention_days = 30\n\n[[fields]]\nname = \"note\"\nlabel = \
         \"Note\"\ntype = \"text\"\n\n[scan]\nsources = [\"adf\"]\n\n[[steps]]\nuse = \
         \"assemble_pdf\"\n\n[[steps]]\nuse = \"deliver_folder\"\nfolder = \"in\"\nname = \
         \"{pattern}\"\n"
    )
}
