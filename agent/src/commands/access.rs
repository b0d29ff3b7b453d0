//! The way to the agent: over the socket if one runs, else in this process.

use std::sync::Arc;

use scantrip_config::Config;
use scantrip_hal::clock::Clock;

use super::Exit;
use super::failure::Failure;
use crate::api::Service;
use crate::compose;
use crate::local_api::client::RemoteService;
use crate::local_api::{AgentLock, LockError};
use crate::runtime::{Handle, Mode, Runtime};

/// An agent that can be asked.
pub(crate) struct Access {
    /// The agent.
    pub(crate) service: Arc<dyn Service>,
    /// Whether it runs in another process and goes on after this command.
    pub(crate) remote: bool,
    /// Held while the agent runs in this process; let go of after it has stopped.
    pub(crate) _lock: Option<AgentLock>,
}

/// Reaches the running agent, or starts one in this process.
pub(crate) fn open(config: &Config, clock: &Arc<dyn Clock>, mode: Mode) -> Result<Access, Failure> {
    if let Some(remote) = connect(config, clock)? {
        return Ok(remote);
    }
    match AgentLock::take(&config.paths.state) {
        Ok(lock) => Ok(Access {
            service: Arc::new(start(config, mode)?),
            remote: false,
            _lock: Some(lock),
        }),
        // Between lock and socket of an agent that starts or ends there is a moment.
        Err(LockError::Held { .. }) => connect(config, clock)?.ok_or_else(|| {
            let message = format!(
                "a scantrip process owns {} but does not answer on {}; if it is just starting or \
                 ending, try again, else see whether it has the same configuration",
                config.paths.state.display(),
                config.paths.socket.display()
            );
            Failure::new(Exit::Busy, message)
        }),
        Err(error) => Err(error.into()),
    }
}

/// Starts the agent in this process, which owns the state.
pub(crate) fn start(config: &Config, mode: Mode) -> Result<Handle, Failure> {
    Ok(Runtime::start(compose::parts(config)?, mode)?)
}

fn connect(config: &Config, clock: &Arc<dyn Clock>) -> Result<Option<Access>, Failure> {
    let socket = &config.paths.socket;
    match RemoteService::connect(socket, Arc::clone(clock)) {
        Ok(Some(remote)) => Ok(Some(Access {
            service: Arc::new(remote),
            remote: true,
            _lock: None,
        })),
        Ok(None) => Ok(None),
        Err(error) => {
            let message = format!(
                "cannot use the agent's socket {}: {error}; run this as the user that the agent \
                 runs as, or as root",
                socket.display()
            );
            Err(Failure::new(Exit::Unreachable, message))
        }
    }
}
