//! Every error answer of the cloud, and what a caller does about it.
//!
//! [`ProblemKind`] is the table of `docs/protocol.md`; the cloud answers with it and the agent reads
//! it, so names cannot drift. [`CallError`] is how a call fails, and [`CallError::disposition`] is
//! the one place that decides between trying again and telling a person.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::wire::{Problem, SignedReceipt};

/// Media type of an error answer (RFC 9457).
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// What every problem's `type` begins with.
const URN: &str = "urn:scantrip:problem:";

/// A problem that both sides know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The request breaks the protocol.
    BadRequest,
    /// The call needs a device certificate.
    CertificateRequired,
    /// The enrolment code is wrong, spent or expired.
    CodeRefused,
    /// The device certificate has expired.
    CertificateExpired,
    /// The device certificate was revoked.
    DeviceRevoked,
    /// No such resource of this device.
    NotFound,
    /// The commit names objects that were not uploaded; `missing` lists them.
    ObjectsMissing,
    /// The job was committed with another envelope.
    OtherContent,
    /// The job was committed before it could be discarded; `receipt` is its receipt.
    AlreadyCommitted,
    /// The bytes do not begin where the upload ends.
    OffsetConflict,
    /// The job was discarded; its id is dead for good.
    JobDiscarded,
    /// The upload has expired.
    Gone,
    /// The body is over its limit.
    TooLarge,
    /// The body's media type does not fit the route.
    UnsupportedMediaType,
    /// The tus version is not 1.0.0.
    TusVersion,
    /// The object's hash is not the announced one; the upload was erased.
    DigestMismatch,
    /// Another connection writes to this upload.
    UploadLocked,
    /// Too many wrong enrolment codes.
    TooManyTries,
    /// The cloud asks for a pause.
    Busy,
    /// This device has too many unfinished bytes.
    Quota,
    /// The cloud failed.
    Internal,
    /// The cloud is not ready.
    Unavailable,
}

impl ProblemKind {
    /// Every kind, in the order of `docs/protocol.md`.
    pub const ALL: [Self; 22] = [
        Self::BadRequest,
        Self::CertificateRequired,
        Self::CodeRefused,
        Self::CertificateExpired,
        Self::DeviceRevoked,
        Self::NotFound,
        Self::ObjectsMissing,
        Self::OtherContent,
        Self::AlreadyCommitted,
        Self::OffsetConflict,
        Self::JobDiscarded,
        Self::Gone,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::TusVersion,
        Self::DigestMismatch,
        Self::UploadLocked,
        Self::TooManyTries,
        Self::Busy,
        Self::Quota,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The kind that a problem's `type` names; `None` for a type this version does not know.
    pub fn from_urn(urn: &str) -> Option<Self> {
        let name = urn.strip_prefix(URN)?;
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name, for example `upload-locked`.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status that it travels with.
    pub const fn status(self) -> u16 {
        self.row().1
    }

    /// The kind in words, for people.
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// The problem's `type`.
    pub fn urn(self) -> String {
        format!("{URN}{}", self.name())
    }

    /// A problem document of this kind; `detail` says what happened here and what to do.
    pub fn problem(self, detail: impl Into<String>) -> Problem {
        Problem {
            kind: self.urn(),
            title: self.title().to_owned(),
            status: self.status(),
            detail: detail.into(),
            missing: Vec::new(),
            receipt: None,
        }
    }

    const fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::BadRequest => ("bad-request", 400, "The request is malformed"),
            Self::CertificateRequired => (
                "certificate-required",
                401,
                "A device certificate is required",
            ),
            Self::CodeRefused => ("code-refused", 401, "The enrolment code is not valid"),
            Self::CertificateExpired => (
                "certificate-expired",
                403,
                "The device certificate has expired",
            ),
            Self::DeviceRevoked => ("device-revoked", 403, "The device was revoked"),
            Self::NotFound => ("not-found", 404, "There is no such resource"),
            Self::ObjectsMissing => ("objects-missing", 409, "Objects of the job are missing"),
            Self::OtherContent => (
                "other-content",
                409,
                "The job was committed with other content",
            ),
            Self::AlreadyCommitted => ("already-committed", 409, "The job was already committed"),
            Self::OffsetConflict => ("offset-conflict", 409, "The upload is at another offset"),
            Self::JobDiscarded => ("job-discarded", 410, "The job was discarded"),
            Self::Gone => ("gone", 410, "The upload has expired"),
            Self::TooLarge => ("too-large", 413, "The body is too large"),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                415,
                "The media type is not supported",
            ),
            Self::TusVersion => ("tus-version", 412, "The tus version is not supported"),
            Self::DigestMismatch => ("digest-mismatch", 422, "The bytes do not match their hash"),
            Self::UploadLocked => ("upload-locked", 423, "The upload is in use"),
            Self::TooManyTries => ("too-many-tries", 429, "There were too many wrong tries"),
            Self::Busy => ("busy", 429, "The service is busy"),
            Self::Quota => ("quota", 429, "Too many unfinished bytes"),
            Self::Internal => ("internal", 500, "The service has failed"),
            Self::Unavailable => ("unavailable", 503, "The service is not ready"),
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Problem {
    /// The kind, if this version knows it.
    pub fn known(&self) -> Option<ProblemKind> {
        ProblemKind::from_urn(&self.kind)
    }
}

/// Why a call to the cloud failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No answer: name, connection, TLS or a broken stream.
    #[error("{attempt} failed")]
    Transport {
        /// What was tried, for example `connecting to https://eu.example`.
        attempt: String,
        /// The cause.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The cloud answered with an error, and how long it asks to wait.
    #[error("the cloud answered {}: {}", .0.status, described(.0))]
    Problem(Box<Problem>, Option<Duration>),
    /// The answer does not fit the protocol.
    #[error("the cloud's answer does not fit the protocol: {0}")]
    Protocol(String),
}

/// What a caller does about a [`CallError`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disposition {
    /// Call again, after the given time or else with backoff.
    Retry {
        /// What `Retry-After` asked for.
        after: Option<Duration>,
    },
    /// Renew the certificate, then call again.
    Renew,
    /// Final for this call, and a sign that the identity may be lost.
    Suspect,
    /// Calling again cannot help; tell a person.
    Final,
    /// Of an upload: create it again. Of anything else: final.
    Recreate,
    /// Ask the upload's offset, then go on from there.
    AskOffset,
    /// Send the whole object again.
    SendAgain,
    /// Send these objects, then commit again.
    Missing(Vec<u32>),
    /// Discarding came too late: keep the receipt, erase the job.
    TooLate(Option<Box<SignedReceipt>>),
    /// The job is dead: erase it.
    Erase,
}

impl CallError {
    /// Reads an error answer; one that is no problem document is known by its status alone.
    pub fn from_answer(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let problem = match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => Problem { status, ..problem },
            Err(_) => Problem {
                kind: "about:blank".to_owned(),
                title: "no problem document".to_owned(),
                status,
                detail: String::new(),
                missing: Vec::new(),
                receipt: None,
            },
        };
        Self::Problem(Box::new(problem), retry_after)
    }

    /// A failure without an answer.
    pub fn transport(
        attempt: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Transport {
            attempt: attempt.into(),
            source: source.into(),
        }
    }

    /// The kind of problem, if the cloud answered with one that this version knows.
    pub fn kind(&self) -> Option<ProblemKind> {
        match self {
            Self::Problem(problem, _) => problem.known(),
            Self::Transport { .. } | Self::Protocol(_) => None,
        }
    }

    /// What to do: the table of `docs/protocol.md`.
    ///
    /// An answer that does not fit the protocol is tried again: it came from something between us
    /// and the cloud, or from a cloud that will be mended.
    pub fn disposition(&self) -> Disposition {
        let Self::Problem(problem, after) = self else {
            return Disposition::Retry { after: None };
        };
        let retry = Disposition::Retry { after: *after };
        let Some(kind) = problem.known() else {
            return match problem.status {
                408 | 425 | 429 | 500.. => retry,
                _ => Disposition::Final,
            };
        };
        match kind {
            ProblemKind::BadRequest
            | ProblemKind::CodeRefused
            | ProblemKind::OtherContent
            | ProblemKind::TooLarge
            | ProblemKind::UnsupportedMediaType
            | ProblemKind::TusVersion => Disposition::Final,
            ProblemKind::CertificateRequired | ProblemKind::DeviceRevoked => Disposition::Suspect,
            ProblemKind::CertificateExpired => Disposition::Renew,
            ProblemKind::NotFound | ProblemKind::Gone => Disposition::Recreate,
            ProblemKind::ObjectsMissing => Disposition::Missing(problem.missing.clone()),
            ProblemKind::AlreadyCommitted => {
                Disposition::TooLate(problem.receipt.clone().map(Box::new))
            }
            ProblemKind::OffsetConflict => Disposition::AskOffset,
            ProblemKind::JobDiscarded => Disposition::Erase,
            ProblemKind::DigestMismatch => Disposition::SendAgain,
            ProblemKind::UploadLocked => Disposition::Retry {
                after: Some(after.unwrap_or(UPLOAD_LOCKED_WAIT)),
            },
            ProblemKind::TooManyTries
            | ProblemKind::Busy
            | ProblemKind::Quota
            | ProblemKind::Internal
            | ProblemKind::Unavailable => retry,
        }
    }
}

/// The other writer is mostly our own half-closed connection, which ends within a second.
const UPLOAD_LOCKED_WAIT: Duration = Duration::from_secs(1);

fn described(problem: &Problem) -> &str {
    if problem.detail.is_empty() {
        &problem.title
    } else {
        &problem.detail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: ProblemKind) -> CallError {
        CallError::Problem(Box::new(kind.problem("")), None)
    }

    #[test]
    fn kinds_are_those_of_the_protocol_document() {
        let text = include_str!("../../docs/protocol.md");
        let documented: Vec<(String, u16)> = text
            .lines()
            .skip_while(|line| !line.starts_with("## Problems"))
            .filter_map(|line| line.strip_prefix("| `"))
            .filter_map(|row| {
                let (name, rest) = row.split_once("` | ")?;
                Some((name.to_owned(), rest.split(' ').next()?.parse().ok()?))
            })
            .collect();
        let known: Vec<_> = ProblemKind::ALL
            .iter()
            .map(|kind| (kind.name().to_owned(), kind.status()))
            .collect();
        assert_eq!(known, documented);
    }

    #[test]
    fn every_kind_survives_the_wire() {
        for kind in ProblemKind::ALL {
            let json = serde_json::to_vec(&kind.problem("why")).unwrap();
            let error = CallError::from_answer(kind.status(), None, &json);
            assert_eq!(error.kind(), Some(kind));
            assert_eq!(
                error.to_string(),
                format!("the cloud answered {}: why", kind.status())
            );
        }
    }

    #[test]
    fn an_unknown_type_is_read_by_its_status() {
        let wait = Some(Duration::from_secs(7));
        for (status, expected) in [
            (408, Disposition::Retry { after: wait }),
            (425, Disposition::Retry { after: wait }),
            (429, Disposition::Retry { after: wait }),
            (502, Disposition::Retry { after: wait }),
            (404, Disposition::Final),
            (418, Disposition::Final),
            (302, Disposition::Final),
        ] {
            let error = CallError::from_answer(status, wait, b"<html>");
            assert_eq!(error.disposition(), expected, "{status}");
        }
    }

    #[test]
    fn the_type_decides_and_not_the_status() {
        let json = serde_json::to_vec(&ProblemKind::JobDiscarded.problem("")).unwrap();
        let error = CallError::from_answer(503, None, &json);
        assert_eq!(error.disposition(), Disposition::Erase);
    }

    #[test]
    fn missing_objects_and_receipts_reach_the_caller() {
        let mut problem = ProblemKind::ObjectsMissing.problem("");
        problem.missing = vec![0, 7];
        let error = CallError::Problem(Box::new(problem), None);
        assert_eq!(error.disposition(), Disposition::Missing(vec![0, 7]));
        assert_eq!(
            answer(ProblemKind::AlreadyCommitted).disposition(),
            Disposition::TooLate(None)
        );
    }

    #[test]
    fn no_answer_is_tried_again() {
        let lost = CallError::transport("connecting", "reset");
        assert_eq!(lost.disposition(), Disposition::Retry { after: None });
        assert_eq!(
            answer(ProblemKind::UploadLocked).disposition(),
            Disposition::Retry {
                after: Some(Duration::from_secs(1))
            }
        );
    }
}
