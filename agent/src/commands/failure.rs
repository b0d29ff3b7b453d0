//! Why a command did not do what was asked.

use std::error::Error;
use std::io::ErrorKind;

use scantrip_config::ConfigError;
use scantrip_hal::backends::OpenBackendError;

use super::exit::Exit;
use crate::api::{Refusal, Reply};
use crate::engine::failure::chain;
use crate::local_api::{LockError, ServeError};
use crate::runtime::StartError;

/// An exit code and a message: what failed, why, and what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }

    /// A message with the chain of causes of an error.
    pub(crate) fn caused(exit: Exit, error: &dyn Error) -> Self {
        Self::new(exit, chain(error))
    }

    /// A failure whose document has been written already.
    pub(crate) const fn told(exit: Exit) -> Self {
        Self {
            exit,
            message: String::new(),
        }
    }

    /// The running agent answers something that does not belong to the request.
    pub(crate) fn strange(reply: &Reply) -> Self {
        log::debug!("strange reply: {reply:?}");
        Self::new(
            Exit::Internal,
            "the running agent answers in another version; restart it, so that both are the same",
        )
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.kind.into(), refusal.message)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::caused(Exit::Config, &error)
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        let exit = match error {
            LockError::Held { .. } => Exit::Busy,
            LockError::Io { .. } => Exit::Internal,
        };
        let mut failure = Self::caused(exit, &error);
        if let LockError::Io { source, .. } = &error
            && source.kind() == ErrorKind::PermissionDenied
        {
            let advice = "; run this as the user that the agent runs as, or as root";
            failure.message.push_str(advice);
        }
        failure
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let exit = match error {
            StartError::Device(OpenBackendError::Failed { .. }) => {
                let mut failure = Self::caused(Exit::Person, &error);
                failure
                    .message
                    .push_str("; `scantrip device` says what to do");
                return failure;
            }
            StartError::Device(_) | StartError::Settings(_) | StartError::Fault(_) => Exit::Config,
            _ => Exit::Internal,
        };
        Self::caused(exit, &error)
    }
}

impl From<OpenBackendError> for Failure {
    fn from(error: OpenBackendError) -> Self {
        let exit = match error {
            OpenBackendError::Failed { .. } => Exit::Person,
            _ => Exit::Config,
        };
        Self::caused(exit, &error)
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        Self::caused(Exit::Config, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scanner_that_does_not_answer_is_no_mistake_in_the_configuration() {
        let failed = OpenBackendError::Failed {
            backend: "escl",
            source: "no scanner answers".into(),
        };
        let failure = Failure::from(StartError::Device(failed));
        assert_eq!(failure.exit, Exit::Person);
        let said = &failure.message;
        assert!(
            said.contains("no scanner answers") && said.contains("`scantrip device`"),
            "{said}"
        );
        let unknown = OpenBackendError::UnknownBackend {
            name: "fax".to_owned(),
            known: "escl, host".to_owned(),
        };
        let failure = Failure::from(StartError::Device(unknown));
        assert_eq!(failure.exit, Exit::Config);
    }
}
