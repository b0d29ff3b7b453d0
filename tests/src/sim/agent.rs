//! A device: disk, clock, feeder, and the agent that runs on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use scantrip::api::{Edit, JobEvent, Refusal, Reply, Request};
use scantrip::drivers::Context;
use scantrip::drivers::cloud::CloudDriver;
use scantrip::drivers::keeper::Keeper;
use scantrip::drivers::network::NetworkSettings;
use scantrip::drivers::scanner::ScannerDriver;
use scantrip::engine::capture::{Fed, Scan};
use scantrip::engine::identity::SecretCode;
use scantrip::engine::{Action, Call, Engine, Input, Lane, Scanned, Token, session};
use scantrip::job_id::JobId;
use scantrip::runtime::{Assembly, Mode, Parts, StartError, moment};
use scantrip::spool::SpoolLimits;
use scantrip_cloud_client::tls::TlsVersions;
use scantrip_hal::backends::Mfp;
use scantrip_hal::backends::key_file::KeyFile;
use scantrip_hal::keys::{KeyError, KeySlot, KeyStore, PublicKey};
use scantrip_hal::sim::disk::{Dice, SimDisk, SimDiskConfig};
use scantrip_hal::sim::{SimConfig, SimMfp};

use super::clock::{DeviceClock, DeviceRandom};
use super::cloud::DOORS;
use super::model::Found;
use super::network::{Net, SimNetwork};
use super::paper::PaperScanner;
use super::shared::Shared;

const DISK_BYTES: u64 = 8 << 20;
const RESERVE_BYTES: u64 = 32 * 1024;
/// The agent looks up at least this often: a device may have slept.
const WAIT_MAX: Duration = Duration::from_secs(3600);
const WAIT_MIN: Duration = Duration::from_millis(20);

/// What a token was drawn for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A new document; whether it is to be finished when the stack is through.
    Scan(bool),
    Edit(JobId, Edit),
    Enroll,
}

/// What a device did in one step, for the world to go on with.
pub(crate) enum Did {
    /// A call was carried out; its answer comes after so many milliseconds.
    Called(u64, Box<Input>),
    /// The scanner's lane was busy for so long.
    Scanned(u64, Box<Input>),
    /// A document was begun, if what follows goes well.
    Begun(JobId),
    /// Pages left the scanner: the document, numbers and bytes, and whether they were refused.
    Fed(JobId, Vec<(u64, Vec<u8>)>, bool),
    /// A request was answered.
    Replied(Asked, Result<Reply, Refusal>),
    /// Something happened to a document.
    Told(JobId, JobEvent),
}

/// One device.
pub(crate) struct Device {
    pub(crate) index: usize,
    pub(crate) serial: String,
    pub(crate) tenant: String,
    pub(crate) disk: SimDisk,
    pub(crate) off_ms: Arc<AtomicI64>,
    pub(crate) scanner: PaperScanner,
    pub(crate) running: Option<Running>,
    /// Grows with each start: what belongs to an earlier one is void.
    pub(crate) epoch: u64,
    pub(crate) dice: Dice,
    shared: Shared,
    net: Net,
    spool_bytes: u64,
}

/// The agent, while the device has power.
pub(crate) struct Running {
    pub(crate) context: Arc<Context>,
    pub(crate) engine: Engine,
    keeper: Keeper,
    scanner: ScannerDriver,
    calls: CloudDriver<SimNetwork>,
    transfers: CloudDriver<SimNetwork>,
    pub(crate) asked: BTreeMap<Token, Asked>,
    next_token: u64,
    feeding: Option<JobId>,
}

impl Device {
    pub(crate) fn new(
        index: usize,
        tenant: String,
        net: Net,
        spool_bytes: u64,
        mut dice: Dice,
    ) -> Self {
        let shared = net.lock().shared.clone();
        let config = SimDiskConfig {
            bytes_total: DISK_BYTES,
            ..SimDiskConfig::default()
        };
        let disk = SimDisk::new(config, dice.next());
        Self {
            index,
            serial: format!("SIM-{index:04}"),
            tenant,
            disk,
            off_ms: Arc::new(AtomicI64::new(0)),
            scanner: PaperScanner::new(index, Dice::new(dice.next())),
            running: None,
            epoch: 0,
            dice,
            shared,
            net,
            spool_bytes,
        }
    }

    /// Starts the agent on what the disk holds.
    pub(crate) fn boot(&mut self) -> Result<(), StartError> {
        self.epoch += 1;
        let assembly = Assembly::open(self.parts()?, Mode::Service)?;
        let lane = |lane| {
            let network = SimNetwork {
                net: self.net.clone(),
                device: self.index,
                context: Arc::clone(&assembly.context),
                power: self.disk.clone(),
                connection: None,
                shown: None,
            };
            CloudDriver::new(Arc::clone(&assembly.context), network, lane)
        };
        let (calls, transfers) = (lane(Lane::Calls), lane(Lane::Transfers));
        self.running = Some(Running {
            context: assembly.context,
            engine: assembly.engine,
            keeper: assembly.keeper,
            scanner: assembly.scanner,
            calls,
            transfers,
            asked: BTreeMap::new(),
            next_token: 0,
            feeding: None,
        });
        Ok(())
    }

    /// The world as the agent finds it.
    fn parts(&mut self) -> Result<Parts, StartError> {
        let mfp = SimMfp::new(SimConfig {
            sheets: 0,
            serial: self.serial.clone(),
            ..SimConfig::default()
        });
        let mfp = mfp.expect("it needs no folder");
        let mut random = || Box::new(DeviceRandom(Dice::new(self.dice.next())));
        let (for_keys, entropy) = (random(), random());
        let keys = KeyFile::on(Box::new(self.disk.clone()), "device.key", for_keys);
        let keys = keys.map_err(|error| StartError::Folder {
            path: "device.key".to_owned(),
            source: error.into(),
        })?;
        let clock = DeviceClock {
            time: self.shared.time.clone(),
            booted_ms: self.shared.time.now(),
            off_ms: Arc::clone(&self.off_ms),
        };
        Ok(Parts {
            disk: Arc::new(self.disk.clone()),
            keys: Arc::new(WatchedKeys {
                keys,
                shared: self.shared.clone(),
                device: self.index,
            }),
            clock: Arc::new(clock),
            entropy,
            mfp: Mfp {
                scanner: Box::new(self.scanner.clone()),
                identity: Box::new(mfp.identity()),
                settings: Some(Box::new(mfp.settings())),
            },
            network: NetworkSettings {
                ca_file: None,
                web_pki: false,
                versions: TlsVersions::Tls12,
                proxy: None,
            },
            session: session::Settings {
                bootstrap_url: DOORS[0].to_owned(),
                region: None,
                stays: true,
            },
            limits: SpoolLimits {
                bytes_max: self.spool_bytes,
                free_bytes_min: 64 * 1024,
                reserve_bytes: RESERVE_BYTES,
            },
            telemetry: true,
            settings_every: Duration::from_secs(24 * 3600),
        })
    }

    /// The disk as it is found after the power was gone.
    pub(crate) fn find_disk(&mut self) {
        self.disk = self.disk.crashed(self.dice.next());
    }

    /// A person asks for something.
    pub(crate) fn ask(&mut self, request: Request, asked: Asked) {
        let Some(running) = &mut self.running else {
            return;
        };
        let Ok(fresh) = running.context.with_entropy(JobId::generate) else {
            return;
        };
        let token = running.token(asked);
        running.input(Input::Request {
            token,
            fresh,
            request,
        });
    }

    /// A technician enrols it.
    pub(crate) fn enroll(&mut self, code: SecretCode) {
        if let Some(running) = &mut self.running {
            let token = running.token(Asked::Enroll);
            running.input(Input::Enroll(token, code));
        }
    }

    /// Hands an input to the engine.
    pub(crate) fn input(&mut self, input: Input) {
        if let Some(running) = &mut self.running {
            running.input(input);
        }
    }

    /// Carries out one action of the engine, if it wants one.
    pub(crate) fn step(&mut self) -> Option<Vec<Did>> {
        let running = self.running.as_mut()?;
        let now = moment(&running.context);
        let action = running.engine.poll_action(&now)?;
        Some(match action {
            Action::Call { lane, url, call } => vec![running.call(&self.net, lane, url, call)],
            Action::Scan(scan) => running.scan(&self.scanner, scan, &mut self.dice),
            Action::Keep(keep) => {
                if let Some(input) = running.keeper.keep(keep) {
                    running.input(input);
                }
                Vec::new()
            }
            Action::Reply(token, reply) => {
                let asked = running.asked.remove(&token);
                asked
                    .map(|asked| Did::Replied(asked, reply))
                    .into_iter()
                    .collect()
            }
            Action::Tell(job, event) => vec![Did::Told(job, event)],
        })
    }

    /// When the engine wants to be woken, in true time.
    pub(crate) fn wake_at(&self) -> Option<u64> {
        let running = self.running.as_ref()?;
        let now = moment(&running.context);
        let wait = running
            .engine
            .poll_timeout(&now)
            .map(|at| at.since(now.boot));
        let wait = wait.unwrap_or(WAIT_MAX).clamp(WAIT_MIN, WAIT_MAX);
        Some(self.shared.time.now() + wait.as_millis() as u64)
    }

    /// Pages of a draft.
    pub(crate) fn draft_pages(&self, job: JobId) -> Option<usize> {
        let running = self.running.as_ref()?;
        running
            .engine
            .capture()
            .pages(job)
            .map(|pages| pages as usize)
    }

    /// What it has of a document; damaged pages are told by the panel.
    pub(crate) fn find(&self, job: JobId, damaged: usize) -> Option<Found> {
        let running = self.running.as_ref()?;
        let entry = running.context.journal.get(job).ok().flatten();
        Some(Found {
            draft: self.draft_pages(job),
            damaged,
            file: running.context.spool.jobs().contains(&job),
            journal: entry.map(|entry| entry.state),
        })
    }

    /// Whether somebody may begin a document.
    pub(crate) fn is_free(&self) -> bool {
        let waits = |asked: &Asked| matches!(asked, Asked::Scan(_));
        self.running.as_ref().is_some_and(|running| {
            running.engine.capture().is_idle() && !running.asked.values().any(waits)
        })
    }

    /// Whether the document that is begun now is to be finished by itself.
    pub(crate) fn finishes_by_itself(&self) -> bool {
        self.running.as_ref().is_some_and(|running| {
            running
                .asked
                .values()
                .any(|asked| *asked == Asked::Scan(true))
        })
    }

    /// How the identity stands.
    pub(crate) fn identity_word(&self) -> Option<&'static str> {
        let running = self.running.as_ref()?;
        Some(running.engine.identity().word(&moment(&running.context)))
    }
}

impl Running {
    fn token(&mut self, asked: Asked) -> Token {
        let token = Token(self.next_token);
        self.next_token += 1;
        self.asked.insert(token, asked);
        token
    }

    fn input(&mut self, input: Input) {
        self.engine.handle(&moment(&self.context), input);
    }

    fn call(&mut self, net: &Net, lane: Lane, url: String, call: Call) -> Did {
        net.lock().spent_ms = 0;
        let driver = match lane {
            Lane::Calls => &mut self.calls,
            Lane::Transfers => &mut self.transfers,
        };
        let answered = driver.run(url, call);
        let spent = net.lock().spent_ms;
        Did::Called(spent, Box::new(Input::Answered(Box::new(answered))))
    }

    fn scan(&mut self, scanner: &PaperScanner, scan: Scan, dice: &mut Dice) -> Vec<Did> {
        let mut did = Vec::new();
        let feeds = matches!(scan, Scan::NextPage { .. });
        if let Scan::Begin { job, new, .. } = &scan {
            self.feeding = Some(*job);
            if new.is_some() {
                did.push(Did::Begun(*job));
            }
        }
        let scanned = self.scanner.run(scan);
        let fed = std::mem::take(&mut scanner.tray().fed);
        if let (false, Some(job)) = (fed.is_empty(), self.feeding) {
            let refused = !matches!(scanned, Scanned::Fed(Fed::Page(..)));
            did.push(Did::Fed(job, fed, refused));
        }
        let took = if feeds {
            500 + dice.below(2000)
        } else {
            dice.below(50)
        };
        did.push(Did::Scanned(took, Box::new(Input::Scanned(scanned))));
        did
    }
}

/// The key file, with each nonce of the local key looked at.
struct WatchedKeys {
    keys: KeyFile,
    shared: Shared,
    device: usize,
}

impl KeyStore for WatchedKeys {
    fn generate(&self, slot: KeySlot) -> Result<PublicKey, KeyError> {
        self.keys.generate(slot)
    }

    fn public(&self, slot: KeySlot) -> Result<Option<PublicKey>, KeyError> {
        self.keys.public(slot)
    }

    fn sign(&self, slot: KeySlot, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.keys.sign(slot, message)
    }

    fn remove(&self, slot: KeySlot) -> Result<(), KeyError> {
        self.keys.remove(slot)
    }

    fn seal_local(&self, context: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
        let sealed = self.keys.seal_local(context, plaintext)?;
        if let Some(nonce) = sealed.get(1..13) {
            let device = [self.device as u8];
            self.shared
                .sealed(&[&device, nonce].concat(), &[context, plaintext].concat());
        }
        Ok(sealed)
    }

    fn open_local(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.keys.open_local(context, sealed)
    }

    fn wipe(&self) -> Result<(), KeyError> {
        self.keys.wipe()
    }
}
