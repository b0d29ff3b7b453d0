//! Runs the engine: one thread that decides, three that work, and a handle for everybody else.
//!
//! ```text
//! Handle --requests--> engine loop --calls-----> lane "calls"     --answers--+
//!    ^                    |  ^  |---transfers--> lane "transfers" --answers--+
//!    +--replies, events---+  |  +---scans------> scanner          --answers--+
//!                            +-----------------------------------------------+
//! ```
//!
//! Every queue is bounded and no thread ever waits for the engine loop while the loop waits for
//! it: a lane has at most one action, and the loop takes every answer.

mod assembly;
mod events;
mod recovery;
mod view;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use scantrip_cloud_client::code::EnrollmentCode;
use scantrip_hal::backends::Mfp;
use scantrip_hal::clock::Clock;
use scantrip_hal::disk::Disk;
use scantrip_hal::entropy::Entropy;
use scantrip_hal::keys::KeyStore;

use crate::api::{EnrolledView, JobEvent, Refusal, RefusalKind, Reply, Request, Service};
use crate::drivers::cloud::CloudDriver;
use crate::drivers::keeper::Keeper;
use crate::drivers::network::{Https, NetworkSettings};
use crate::drivers::scanner::ScannerDriver;
use crate::drivers::{Context, lock};
use crate::engine::capture::Scan;
use crate::engine::failure::chain;
use crate::engine::identity::SecretCode;
use crate::engine::{Action, Call, Engine, Input, Lane, Token, session};
use crate::job_id::JobId;
use crate::journal::JournalError;
use crate::spool::{SpoolError, SpoolLimits};
use crate::store::StateError;
use events::Events;

pub use assembly::{Assembly, moment};
pub(crate) use view::settings_alone;

/// Requests and answers that wait for the engine loop.
const QUEUE: usize = 64;
/// Enough for TLS and elliptic curves without optimisation; only what is used takes memory.
const STACK_BYTES: usize = 512 * 1024;
/// The engine looks up at least this often: a device may have slept.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Shortest wait, should a deadline be past that cannot be served yet.
const WAIT_MIN: Duration = Duration::from_millis(20);
/// A lane that had nothing to do for so long gives back its connection and buffers.
const REST_AFTER: Duration = Duration::from_secs(30);

/// How long the agent is here for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As a service: polls are held by the cloud, the first one is spread over time.
    Service,
    /// For one command: polls at once, sends what waits.
    Errand,
    /// Only to look: the network is not used.
    Look,
}

/// The world as the agent finds it.
pub struct Parts {
    /// Where spool and state live.
    pub disk: Arc<dyn Disk>,
    /// The private keys.
    pub keys: Arc<dyn KeyStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Box<dyn Entropy>,
    /// The machine.
    pub mfp: Mfp,
    /// How connections shall be.
    pub network: NetworkSettings,
    /// The session's settings; `stays` is set by the mode.
    pub session: session::Settings,
    /// How much the spool may hold.
    pub limits: SpoolLimits,
    /// Whether reports are sent.
    pub telemetry: bool,
    /// How often security settings are read for reports.
    pub settings_every: Duration,
}

/// Why the agent cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The spool cannot be opened.
    #[error("cannot open the spool")]
    Spool(#[from] SpoolError),
    /// The journal cannot be opened.
    #[error("cannot open the journal")]
    Journal(#[from] JournalError),
    /// The saved state cannot be read.
    #[error("cannot read the saved state")]
    State(#[from] StateError),
    /// There is no randomness.
    #[error("cannot start without randomness")]
    Entropy(#[from] scantrip_hal::entropy::EntropyError),
    /// A thread cannot be started.
    #[error("cannot start the thread `{name}`")]
    Thread {
        /// Its name.
        name: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A folder of the configuration cannot be used.
    #[error("cannot use the folder {path}")]
    Folder {
        /// The folder.
        path: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The MFP cannot be reached.
    #[error("cannot open the device")]
    Device(#[from] scantrip_hal::backends::OpenBackendError),
    /// The sources of security settings cannot be set up.
    #[error("cannot read the security settings as configured")]
    Settings(#[from] scantrip_hal::settings::sources::SourcesError),
    /// A test asked for a fault that there is not.
    #[error("there is no fault `{0}`")]
    Fault(String),
}

/// Starts agents.
#[derive(Clone, Copy, Debug)]
pub struct Runtime;

impl Runtime {
    /// Starts an agent in this process. The caller owns the state folder.
    ///
    /// # Errors
    /// When spool, journal or saved state cannot be opened, or a thread cannot be started.
    pub fn start(parts: Parts, mode: Mode) -> Result<Handle, StartError> {
        spawn(Assembly::open(parts, mode)?)
    }
}

fn spawn(assembly: Assembly) -> Result<Handle, StartError> {
    let Assembly {
        context,
        events,
        engine,
        keeper,
        scanner,
        network,
        spool_bytes_max,
    } = assembly;
    let (inputs, inbox) = sync_channel(QUEUE);
    let watch = Arc::new(Watch::default());
    let lane = |name, lane| {
        let network = Https::new(Arc::clone(&context), network.clone());
        let driver = CloudDriver::new(Arc::clone(&context), network, lane);
        let (actions, work) = sync_channel(1);
        let inputs = inputs.clone();
        thread(name, &watch, move || serve_calls(driver, &work, &inputs)).map(|_| actions)
    };
    let calls = lane("calls", Lane::Calls)?;
    let transfers = lane("transfers", Lane::Transfers)?;
    let (scans, work) = sync_channel(1);
    let answers = inputs.clone();
    let _scanner: JoinHandle<()> = thread("scanner", &watch, move || {
        serve_scans(scanner, &work, &answers)
    })?;
    let core = Core {
        engine,
        keeper,
        context: Arc::clone(&context),
        events: Arc::clone(&events),
        calls,
        transfers,
        scans,
        waiting: BTreeMap::new(),
        next_token: 0,
        spool_bytes_max,
    };
    let engine = thread("engine", &watch, move || core.run(&inbox))?;
    Ok(Handle {
        inputs,
        context,
        events,
        watch,
        engine: Mutex::new(Some(engine)),
    })
}

/// A message to the engine loop.
enum Message {
    Input(Input),
    Ask(Request, SyncSender<Result<Reply, Refusal>>),
    Enroll(SecretCode, SyncSender<Result<Reply, Refusal>>),
    Stop,
}

/// The agent in this process. Share it by `Arc`; the last one dropped stops the agent.
pub struct Handle {
    inputs: SyncSender<Message>,
    context: Arc<Context>,
    events: Arc<Events>,
    watch: Arc<Watch>,
    engine: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    /// Stops deciding and hands out no more work. A call under way is not waited for: whatever it
    /// brings is asked for again at the next start.
    pub fn shutdown(&self) {
        if let Some(engine) = lock(&self.engine).take() {
            // The loop may be gone already, with a failure that `failure` tells.
            let _unsent = self.inputs.send(Message::Stop);
            let _panicked = engine.join();
        }
    }

    /// Which thread has died, if one has. The agent is then of no more use.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        lock(&self.watch.failure).clone()
    }

    /// Waits up to `timeout` for a thread to die.
    #[must_use]
    pub fn wait_failure(&self, timeout: Duration) -> Option<String> {
        let failure = lock(&self.watch.failure);
        let waited = self
            .watch
            .failed
            .wait_timeout_while(failure, timeout, |f| f.is_none());
        waited.map_or_else(
            |poisoned| poisoned.into_inner().0.clone(),
            |(f, _)| f.clone(),
        )
    }

    fn ask(
        &self,
        message: impl FnOnce(SyncSender<Result<Reply, Refusal>>) -> Message,
    ) -> Result<Reply, Refusal> {
        let (reply, answer) = sync_channel(1);
        let stopped = || Refusal {
            kind: RefusalKind::Internal,
            message: match self.failure() {
                Some(failure) => format!("{failure}; restart the agent"),
                None => "the agent is stopping".to_owned(),
            },
        };
        if self.inputs.send(message(reply)).is_err() {
            return Err(stopped());
        }
        answer.recv().unwrap_or_else(|_gone| Err(stopped()))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl Service for Handle {
    fn call(&self, request: Request) -> Result<Reply, Refusal> {
        match request {
            // Reading settings may take a while: not in the engine's time.
            Request::Settings => {
                let (view, changed) = view::settings(&self.context);
                if changed {
                    // A loop that has ended reports nothing more.
                    let _unsent = self.inputs.send(Message::Input(Input::SettingsChanged));
                }
                Ok(Reply::Settings(Box::new(view)))
            }
            Request::AcceptSettings => {
                self.context.accept_settings();
                Ok(Reply::Done)
            }
            Request::Workflows => match self.ask(|reply| Message::Ask(request, reply))? {
                Reply::Workflows(mut list) => {
                    view::gate(&self.context, &mut list);
                    Ok(Reply::Workflows(list))
                }
                other => Ok(other),
            },
            request => self.ask(|reply| Message::Ask(request, reply)),
        }
    }

    fn enroll(&self, code: EnrollmentCode) -> Result<EnrolledView, Refusal> {
        match self.ask(|reply| Message::Enroll(SecretCode(code), reply))? {
            Reply::Enrolled(view) => Ok(view),
            other => Err(Refusal {
                kind: RefusalKind::Internal,
                message: format!("an answer to another question: {other:?}"),
            }),
        }
    }

    fn events(&self, job: &str, from: usize, wait: Duration) -> Result<Vec<JobEvent>, Refusal> {
        let unknown = || Refusal {
            kind: RefusalKind::Invalid,
            message: "there is no such job; `scantrip jobs` lists them".to_owned(),
        };
        let id: JobId = job.parse().map_err(|_no_id| unknown())?;
        if let Some(events) = self.events.wait(id, from, wait) {
            return Ok(events);
        }
        let entry = self.context.journal.get(id).map_err(|error| Refusal {
            kind: RefusalKind::Internal,
            message: chain(&error),
        })?;
        let events = entry
            .map(|entry| view::events(&entry))
            .ok_or_else(unknown)?;
        Ok(events.into_iter().skip(from).collect())
    }
}

/// What the engine loop has.
struct Core {
    engine: Engine,
    keeper: Keeper,
    context: Arc<Context>,
    events: Arc<Events>,
    calls: SyncSender<(String, Call)>,
    transfers: SyncSender<(String, Call)>,
    scans: SyncSender<Scan>,
    waiting: BTreeMap<Token, SyncSender<Result<Reply, Refusal>>>,
    next_token: u64,
    spool_bytes_max: u64,
}

impl Core {
    fn run(mut self, inbox: &Receiver<Message>) {
        loop {
            self.perform();
            let now = moment(&self.context);
            let wait = self.engine.poll_timeout(&now).map(|at| at.since(now.boot));
            let wait = wait.unwrap_or(WAIT_MAX).clamp(WAIT_MIN, WAIT_MAX);
            match inbox.recv_timeout(wait) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => self.input(Input::Tick),
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Input(input) => self.input(input),
            Message::Ask(request, reply) => self.ask(request, reply),
            Message::Enroll(code, reply) => {
                let token = self.token(reply);
                self.input(Input::Enroll(token, code));
            }
            Message::Stop => {}
        }
    }

    fn ask(&mut self, request: Request, reply: SyncSender<Result<Reply, Refusal>>) {
        let view = view::View {
            engine: &self.engine,
            context: &self.context,
            now: moment(&self.context),
            spool_bytes_max: self.spool_bytes_max,
        };
        let answer = match &request {
            Request::Status => Some(view.status().map(|view| Reply::Status(Box::new(view)))),
            Request::Jobs => Some(view.jobs().map(Reply::Jobs)),
            Request::Workflows => Some(Ok(Reply::Workflows(view.workflows()))),
            _ => None,
        };
        if let Some(answer) = answer {
            let _asker_left = reply.send(answer);
            return;
        }
        let fresh = self.context.with_entropy(JobId::generate);
        match fresh {
            Ok(fresh) => {
                let token = self.token(reply);
                self.input(Input::Request {
                    token,
                    fresh,
                    request,
                });
            }
            Err(error) => {
                let kind = RefusalKind::Internal;
                let message = error.to_string();
                let _asker_left = reply.send(Err(Refusal { kind, message }));
            }
        }
    }

    fn token(&mut self, reply: SyncSender<Result<Reply, Refusal>>) -> Token {
        let token = Token(self.next_token);
        self.next_token += 1;
        self.waiting.insert(token, reply);
        token
    }

    fn input(&mut self, input: Input) {
        self.engine.handle(&moment(&self.context), input);
    }

    fn perform(&mut self) {
        while let Some(action) = self.engine.poll_action(&moment(&self.context)) {
            match action {
                Action::Call { lane, url, call } => {
                    let lane = match lane {
                        Lane::Calls => &self.calls,
                        Lane::Transfers => &self.transfers,
                    };
                    // A lane that died has told the watch.
                    let _dead = lane.send((url, call));
                }
                Action::Scan(scan) => {
                    let _dead = self.scans.send(scan);
                }
                Action::Keep(keep) => {
                    if let Some(input) = self.keeper.keep(keep) {
                        if matches!(input, Input::Wiped(_, Ok(()))) {
                            self.events.clear();
                        }
                        self.input(input);
                    }
                }
                Action::Reply(token, reply) => {
                    if let Some(asker) = self.waiting.remove(&token) {
                        let _asker_left = asker.send(reply);
                    }
                }
                Action::Tell(job, event) => self.events.tell(job, event),
            }
        }
    }
}

fn serve_calls(
    mut driver: CloudDriver<Https>,
    work: &Receiver<(String, Call)>,
    inputs: &SyncSender<Message>,
) {
    loop {
        match work.recv_timeout(REST_AFTER) {
            Ok((url, call)) => {
                let answered = Box::new(driver.run(url, call));
                if inputs
                    .send(Message::Input(Input::Answered(answered)))
                    .is_err()
                {
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) => driver.rest(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn serve_scans(mut driver: ScannerDriver, work: &Receiver<Scan>, inputs: &SyncSender<Message>) {
    while let Ok(scan) = work.recv() {
        let scanned = driver.run(scan);
        if inputs
            .send(Message::Input(Input::Scanned(scanned)))
            .is_err()
        {
            return;
        }
    }
}

/// Learns of threads that die.
#[derive(Default)]
struct Watch {
    failure: Mutex<Option<String>>,
    failed: Condvar,
}

/// Tells the watch when its thread panics.
struct Guard {
    name: &'static str,
    watch: Arc<Watch>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            log::error!("the thread `{}` has died", self.name);
            let told = format!("a part of the agent has failed ({})", self.name);
            lock(&self.watch.failure).get_or_insert(told);
            self.watch.failed.notify_all();
        }
    }
}

fn thread(
    name: &'static str,
    watch: &Arc<Watch>,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    let guard = Guard {
        name,
        watch: Arc::clone(watch),
    };
    let run = move || {
        let _guard = guard;
        body();
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK_BYTES)
        .spawn(run)
        .map_err(|source| StartError::Thread { name, source })
}
