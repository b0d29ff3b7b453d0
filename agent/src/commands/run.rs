//! `run`: the agent until it is stopped; and what Ctrl-C means to the other commands.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use scantrip_config::Config;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use super::access;
use super::failure::Failure;
use super::{Exit, World};
use crate::api::Service;
use crate::local_api::{AgentLock, LocalServer, Routes};
use crate::runtime::Mode;

/// How long a signal may go unseen.
const LOOK: Duration = Duration::from_millis(500);
/// Exit code of a process that ends by Ctrl-C, as shells expect it: 128 and SIGINT.
const INTERRUPTED: i32 = 130;

/// `run`: starts the agent, serves the socket, waits for a signal.
pub(crate) fn run(world: &mut World<'_>, config: &Config) -> Result<(), Failure> {
    let lock = AgentLock::take(&config.paths.state)?;
    let no_signals = |error: io::Error| Failure::caused(Exit::Internal, &error);
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(no_signals)?;
    let agent = Arc::new(access::start(config, Mode::Service)?);
    let routes = Routes::new(Arc::clone(&agent) as Arc<dyn Service>);
    let clock = Arc::clone(&world.clock);
    let server = LocalServer::start(&config.paths.socket, &lock, routes, clock)?;
    let socket = config.paths.socket.display();
    world
        .output
        .line(&format!("ready; commands reach the agent on {socket}"));
    log::info!("running; local socket {socket}");
    let signal = loop {
        if let Some(signal) = signals.pending().next() {
            break signal;
        }
        if let Some(failure) = agent.wait_failure(LOOK) {
            let message = format!("{failure}; what is saved stays saved, start the agent again");
            return Err(Failure::new(Exit::Internal, message));
        }
    };
    log::info!("stopping by signal {signal}");
    world.output.line("stopping; what is saved stays saved");
    agent.shutdown();
    drop(server);
    Ok(())
}

/// From now on the first Ctrl-C sets the flag; the second ends the process at once. That is safe:
/// what was called saved survives even a power cut.
pub(crate) fn interrupts() -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let second = flag::register_conditional_shutdown(SIGINT, INTERRUPTED, Arc::clone(&interrupted));
    let first = flag::register(SIGINT, Arc::clone(&interrupted));
    if let Err(error) = second.and(first) {
        log::warn!("Ctrl-C will end the command at once: {error}");
    }
    interrupted
}
