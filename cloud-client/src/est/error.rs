//! Why there is no certificate, and what to do about it.

use std::time::Duration;

use crate::certificate::CertificateError;
use crate::problem::{CallError, ProblemKind};

use super::CsrError;

/// Longest explanation that is passed on.
const DETAIL_CHARS_MAX: usize = 300;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrollError {
    /// The code is wrong, spent or expired.
    #[error("the enrolment code is refused: {detail}")]
    CodeRefused {
        /// What the cloud says about it, and what to do.
        detail: String,
    },
    /// A person has to approve first.
    #[error("the enrolment waits for approval; it goes on by itself")]
    Pending {
        /// How long to wait before asking again.
        after: Option<Duration>,
    },
    /// Somebody has guessed too often.
    #[error("there were too many wrong codes; wait some minutes, then type the code again")]
    TooManyTries {
        /// How long to wait at least.
        after: Option<Duration>,
    },
    /// The serial number cannot be sent.
    #[error("the serial number holds a colon or a control character; it cannot be enrolled")]
    Serial,
    /// The request cannot be made.
    #[error(transparent)]
    Csr(#[from] CsrError),
    /// What was issued does not fit; it is not used.
    #[error(transparent)]
    Issued(#[from] IssuedError),
    /// The call failed.
    #[error(transparent)]
    Call(CallError),
}

/// Why a certificate is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssuedError {
    /// One of them cannot be read.
    #[error("the cloud sent a certificate that cannot be read: {0}")]
    Unreadable(CertificateError),
    /// None is for our key.
    #[error("the cloud sent no certificate for this device's key; try again")]
    Key,
    /// It is not made for a TLS client.
    #[error("the certificate is not made for a device; tell your administrator")]
    Usage,
    /// It names somebody else, or nobody.
    #[error("the certificate has another name than was asked for; tell your administrator")]
    Subject,
    /// It is not valid now.
    #[error("by the device's clock the new certificate is not valid; check the clock")]
    Validity,
}

impl From<CallError> for EnrollError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Problem(problem, after) => match problem.known() {
                Some(ProblemKind::CodeRefused) => Self::CodeRefused {
                    detail: plain(&problem.detail),
                },
                Some(ProblemKind::TooManyTries) => Self::TooManyTries { after },
                _ => Self::Call(CallError::Problem(problem, after)),
            },
            error => Self::Call(error),
        }
    }
}

/// Text from afar, fit for a line on a terminal.
fn plain(text: &str) -> String {
    match text {
        "" => "it is wrong, spent or expired; ask your administrator for a new one".to_owned(),
        text => text
            .chars()
            .filter(|c| !c.is_control())
            .take(DETAIL_CHARS_MAX)
            .collect(),
    }
}
