//! How a call to the cloud failed, as far as a machine needs to know.

use std::error::Error;
use std::time::Duration;

use scantrip_cloud_client::problem::{CallError, Disposition, ProblemKind};

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What to do.
    pub disposition: Disposition,
    /// The kind of problem, when the cloud answered with one.
    pub kind: Option<ProblemKind>,
    /// Whether no answer came: another front door may do better.
    pub unreachable: bool,
    /// For people: what went wrong and what to do; lower case, no full stop.
    pub message: String,
}

impl Failure {
    /// A call without an answer.
    #[must_use]
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self {
            disposition: Disposition::Retry { after: None },
            kind: None,
            unreachable: true,
            message: message.into(),
        }
    }

    /// A fault on this device that calling again does not cure.
    #[must_use]
    pub fn local(message: impl Into<String>) -> Self {
        Self {
            disposition: Disposition::Final,
            kind: None,
            unreachable: false,
            message: message.into(),
        }
    }

    /// How long the cloud asks to wait, if it does.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.disposition {
            Disposition::Retry { after } => after,
            _ => None,
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self {
            disposition: error.disposition(),
            kind: error.kind(),
            unreachable: matches!(error, CallError::Transport { .. }),
            message: chain(&error),
        }
    }
}

/// An error and its causes in one line, without saying the same thing twice.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
