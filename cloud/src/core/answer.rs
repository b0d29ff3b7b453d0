//! Answers, and the ways a request is refused.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use scantrip_cloud_client::problem::{PROBLEM_MEDIA_TYPE, ProblemKind};
use scantrip_cloud_client::wire::SignedReceipt;
use serde::Serialize;

use crate::blobs::BlobError;
use crate::keys::KeysError;
use crate::sealed_store::VaultError;
use crate::store::StoreError;

/// A whole answer.
pub type Answer = Response<Vec<u8>>;

/// Why a request gets no success.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The request does not fit; the device learns why.
    Problem(Box<Refused>),
    /// The cloud failed; the device learns only that.
    Failed(VaultError),
}

/// A problem on its way out.
#[derive(Debug)]
pub(crate) struct Refused {
    kind: ProblemKind,
    detail: String,
    retry_after_seconds: Option<u64>,
    missing: Vec<u32>,
    receipt: Option<SignedReceipt>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// A refusal of this kind; `detail` says what happened and what to do.
pub(crate) fn refuse(kind: ProblemKind, detail: impl Into<String>) -> Refusal {
    Refusal::Problem(Box::new(Refused {
        kind,
        detail: detail.into(),
        retry_after_seconds: None,
        missing: Vec::new(),
        receipt: None,
        headers: Vec::new(),
    }))
}

impl Refusal {
    /// Asks to come back after a time.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        self.with(|refused| refused.retry_after_seconds = Some(seconds))
    }

    /// Names missing objects.
    pub(crate) fn missing(self, missing: Vec<u32>) -> Self {
        self.with(|refused| refused.missing = missing)
    }

    /// Carries the receipt.
    pub(crate) fn receipt(self, receipt: SignedReceipt) -> Self {
        self.with(|refused| refused.receipt = Some(receipt))
    }

    /// Adds a header.
    pub(crate) fn header(self, name: &'static str, value: impl Into<HeaderValue>) -> Self {
        self.with(|refused| {
            refused
                .headers
                .push((HeaderName::from_static(name), value.into()));
        })
    }

    fn with(mut self, change: impl FnOnce(&mut Refused)) -> Self {
        if let Self::Problem(refused) = &mut self {
            change(refused);
        }
        self
    }

    /// The answer. A failure of the cloud is logged here, once.
    pub(crate) fn into_answer(self) -> Answer {
        let refused = match self {
            Self::Problem(refused) => *refused,
            Self::Failed(error) => return failed(&error),
        };
        let mut problem = refused.kind.problem(refused.detail);
        problem.missing = refused.missing;
        problem.receipt = refused.receipt;
        let mut answer = json(StatusCode::OK, &problem);
        *answer.status_mut() =
            StatusCode::from_u16(refused.kind.status()).expect("kinds have valid statuses");
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
        if let Some(seconds) = refused.retry_after_seconds {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        headers.extend(refused.headers);
        answer
    }
}

impl<E: Into<VaultError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

fn failed(error: &VaultError) -> Answer {
    log::error!("{}", chain(error));
    let full = is_full(error);
    let refusal = if full {
        refuse(
            ProblemKind::Unavailable,
            "the cloud's disk is full: tell its operator",
        )
        .retry_after(60)
    } else {
        refuse(
            ProblemKind::Internal,
            "the cloud has failed: its operator finds why in its log",
        )
    };
    refusal.into_answer()
}

fn is_full(error: &VaultError) -> bool {
    let io = match error {
        VaultError::Blobs(BlobError { source, .. })
        | VaultError::Keys(KeysError::Engine { source, .. }) => source.kind(),
        VaultError::Store(StoreError::Engine { source, .. }) => {
            return source.to_string().contains("disk is full");
        }
        _ => return false,
    };
    matches!(
        io,
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
    )
}

/// An error with all its causes in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Vec::new());
    *answer.status_mut() = status;
    answer
}

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value).expect("our values have a JSON form");
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    answer
}
