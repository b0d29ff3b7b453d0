//! The way to the agent: over the socket if one runs, else in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use scantrip_config::Config;
use scantrip_hal::clock::Clock;

use super::Exit;
use super::failure::Failure;
use crate::api::{Refusal, RefusalKind, Reply, Request, Service};
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

impl Access {
    /// Asks for a job to be opened; Ctrl-C gives that up.
    pub(crate) fn open_job(
        &self,
        request: Request,
        interrupted: &AtomicBool,
    ) -> Result<Reply, Refusal> {
        let service = &*self.service;
        std::thread::scope(|scope| {
            let (tell, told) = mpsc::channel();
            scope.spawn(move || tell.send(service.call(request)));
            let mut asked = false;
            loop {
                match told.recv_timeout(LOOK) {
                    Ok(reply) => return reply,
                    Err(RecvTimeoutError::Disconnected) => return Err(no_answer()),
                    Err(RecvTimeoutError::Timeout) => {}
                }
                if interrupted.load(Ordering::SeqCst) && !asked {
                    asked = true;
                    // An agent that cannot answers as it would have.
                    drop(service.call(Request::Cancel));
                }
            }
        })
    }
}

fn no_answer() -> Refusal {
    Refusal {
        kind: RefusalKind::Internal,
        message: "the agent gave no answer; see: scantrip jobs".to_owned(),
    }
}

/// How soon Ctrl-C is seen.
const LOOK: Duration = Duration::from_millis(250);

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
                "another scantrip command is working on {}: wait until it has ended and try \
                 again, or, if it is the agent, give its configuration (nothing answers on {})",
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

#[cfg(test)]
mod tests {
    use scantrip_hal::backends::system::SystemClock;

    use super::*;

    #[test]
    fn of_two_commands_at_once_the_second_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.paths.state = folder.path().to_owned();
        config.paths.socket = folder.path().join("socket");
        let _first = AgentLock::take(&config.paths.state).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let Err(failure) = open(&config, &clock, Mode::Look) else {
            panic!("two own the state");
        };
        assert_eq!(failure.exit, Exit::Busy);
        let said = &failure.message;
        assert!(
            said.contains("another scantrip command is working on")
                && said.contains("wait until it has ended and try again"),
            "{said}"
        );
    }
}
