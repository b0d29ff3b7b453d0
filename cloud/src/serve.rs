//! `serve`: puts listener, runner, operator socket and housekeeping together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::admin;
use crate::core::Core;
use crate::core::answer::chain;
use crate::data::DataFolder;
use crate::listener::{self, Limits, ServerIdentity};
use crate::metrics_listener;
use crate::runner::Runner;
use crate::steps::folders::SystemFolders;

/// Threads that may block on disk and store: more would only queue at the disk.
const BLOCKING_THREADS: usize = 32;
/// Expired items, and the server's own certificate.
const HOUSEKEEPING: Duration = Duration::from_secs(3600);
/// How often it is looked who is silent.
const WATCH: Duration = Duration::from_secs(60);
/// The runner looks at least this often: other processes may have queued something.
const RUNNER_LOOK: Duration = Duration::from_secs(60);

/// Serves until SIGTERM or SIGINT. `ready` is called with the addresses, for devices and for
/// monitoring, once they may connect.
///
/// # Errors
/// When the data folder, the address or the system refuses.
pub fn serve(
    data: &DataFolder,
    listen: SocketAddr,
    limits: Limits,
    metrics: Option<SocketAddr>,
    ready: impl FnOnce(SocketAddr, Option<SocketAddr>),
) -> anyhow::Result<()> {
    let _lock = data.lock()?;
    let service = data.service()?;
    let core = Core::open(data.ports()?, service.settings())?;
    let identity = ServerIdentity::new(Arc::clone(&core), service.server_names())?;
    let socket = data.admin_socket();
    let commands = admin::listen(&socket)
        .with_context(|| format!("cannot open the operator socket {}", socket.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .context("cannot start threads")?;
    let listener = runtime
        .block_on(listener::bind(listen))
        .with_context(|| format!("cannot listen on {listen}"))?;
    let metrics = metrics
        .map(|address| {
            runtime
                .block_on(listener::bind(address))
                .with_context(|| format!("cannot listen on {address} for monitoring"))
        })
        .transpose()?;
    let monitoring = metrics
        .as_ref()
        .and_then(|metrics| metrics.local_addr().ok());
    if let Some(address) = monitoring.filter(|address| !address.ip().is_loopback()) {
        log::warn!("whoever reaches {address} can read the metrics; there is no password");
    }
    let runner = RunnerThread::start(data, &core)?;
    {
        let core = Arc::clone(&core);
        // Ends with the process.
        std::thread::Builder::new()
            .name("operator".to_owned())
            .spawn(move || admin::serve(&core, &commands))
            .context("cannot start a thread")?;
    }
    let limits = limits.within(raise_descriptors());
    ready(listener.local_addr()?, monitoring);
    runtime.block_on(async {
        if let Some(metrics) = metrics {
            tokio::spawn(metrics_listener::serve(Arc::clone(&core), metrics));
        }
        tokio::spawn(watch(Arc::clone(&core)));
        let house = tokio::spawn(keep_house(Arc::clone(&core), Arc::clone(&identity)));
        listener::serve(core, listener, identity, limits, stop_signal()).await;
        house.abort();
    });
    drop(std::fs::remove_file(&socket));
    runner.stop();
    log::info!("stopped");
    Ok(())
}

/// Takes as many file descriptors as the system lets us have; gives their number.
fn raise_descriptors() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        log::warn!("cannot raise the number of open files: {error}");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

async fn stop_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        // Without signals the process can still be killed, which it survives.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    log::info!("stopping: requests under way may end");
}

/// Looks who is silent and who is back.
async fn watch(core: Arc<Core>) {
    let mut every = tokio::time::interval(WATCH);
    loop {
        every.tick().await;
        let core = Arc::clone(&core);
        let work = move || {
            if let Err(error) = core.watch() {
                log::error!("cannot tell which devices are silent: {}", chain(&error));
            }
        };
        drop(tokio::task::spawn_blocking(work).await);
    }
}

async fn keep_house(core: Arc<Core>, identity: Arc<ServerIdentity>) {
    let mut every = tokio::time::interval(HOUSEKEEPING);
    loop {
        every.tick().await;
        let (core, identity) = (Arc::clone(&core), Arc::clone(&identity));
        let work = move || {
            if let Err(error) = identity.renew_when_due() {
                log::error!("{}", chain(&error));
            }
            if let Err(error) = core.sweep() {
                log::error!("cannot remove what has expired: {}", chain(&error));
            }
        };
        drop(tokio::task::spawn_blocking(work).await);
    }
}

/// The workflow runner on its thread.
struct RunnerThread {
    thread: JoinHandle<()>,
    wake: SyncSender<()>,
    stopping: Arc<AtomicBool>,
}

impl RunnerThread {
    fn start(data: &DataFolder, core: &Arc<Core>) -> anyhow::Result<Self> {
        // Room for one wake-up: more say nothing new.
        let (wake, woken) = sync_channel(1);
        let knock = wake.clone();
        core.on_commit(move || {
            let _full = knock.try_send(());
        });
        let folders = Arc::new(SystemFolders::new(data.root().join("delivered")));
        let mut runner = Runner::new(core.ports().clone(), folders);
        let clock = Arc::clone(&core.ports().clock);
        let core = Arc::clone(core);
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let thread = std::thread::Builder::new()
            .name("runner".to_owned())
            .spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    let next = runner.step(clock.now_ms());
                    let (due, later) = runner.queue();
                    core.metrics().set_queue(due, later);
                    let wait = next.map_or(RUNNER_LOOK, |next| {
                        Duration::from_millis(next.saturating_sub(clock.now_ms()))
                    });
                    if !wait.is_zero() && !rest(&woken, wait.min(RUNNER_LOOK)) {
                        return;
                    }
                }
            })
            .context("cannot start the runner's thread")?;
        Ok(Self {
            thread,
            wake,
            stopping,
        })
    }

    /// Lets the job under way end.
    fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        let _full = self.wake.try_send(());
        if self.thread.join().is_err() {
            log::error!("the runner ended in a defect of this program");
        }
    }
}

/// Waits for a wake-up; `false` when none can come any more.
fn rest(woken: &Receiver<()>, most: Duration) -> bool {
    !matches!(
        woken.recv_timeout(most),
        Err(RecvTimeoutError::Disconnected)
    )
}
