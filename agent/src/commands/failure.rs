//! Why a command did not do what was asked.

use std::error::Error;

use scantrip_config::ConfigError;

use super::exit::Exit;
use crate::api::{Refusal, Reply};
use crate::local_api::{LockError, ServeError};

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
            _ => Exit::Internal,
        };
        Self::caused(exit, &error)
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        Self::caused(Exit::Config, &error)
    }
}

/// An error with its causes in one line, each told once.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the page")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("disk: {0}")]
    struct Middle(#[source] std::io::Error);

    #[test]
    fn chain_tells_each_cause_once() {
        let error = Outer(Middle(std::io::Error::other("gone")));
        assert_eq!(chain(&error), "cannot read the page: disk: gone");
    }
}
