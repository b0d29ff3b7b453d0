//! What a probe found, before it is judged by the catalogue.

use super::{Method, Row, Setting, Why};
use crate::sorted::sorted;

/// What a probe found. Evidence is a path or a field of a protocol, never a secret.
pub(crate) enum Reading {
    /// A value; of the wrong shape or empty, it counts as not understood.
    Value { value: String, evidence: String },
    /// A value that the probe judges itself.
    Judged {
        value: String,
        secure: bool,
        evidence: String,
    },
    /// A value of which it is not certain how good it is.
    Unjudged {
        value: String,
        detail: String,
        evidence: String,
    },
    /// A part of a set; `detail` says what was looked at.
    Partial {
        value: String,
        detail: String,
        evidence: String,
    },
    /// The device has no such part.
    NotApplicable(String),
    /// It cannot be told.
    Unknown {
        why: Why,
        detail: String,
        evidence: String,
    },
}

impl Reading {
    pub(crate) fn value(value: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self::Value {
            value: value.into(),
            evidence: evidence.into(),
        }
    }

    pub(crate) fn bool(value: bool, evidence: impl Into<String>) -> Self {
        Self::value(value.to_string(), evidence)
    }

    /// A set: sorted, each word once.
    pub(crate) fn set<T: Into<String>>(
        words: impl IntoIterator<Item = T>,
        evidence: impl Into<String>,
    ) -> Self {
        Self::value(list(words), evidence)
    }

    /// What was found of a set that was not looked at as a whole.
    pub(crate) fn partial<T: Into<String>>(
        words: impl IntoIterator<Item = T>,
        detail: impl Into<String>,
        evidence: impl Into<String>,
    ) -> Self {
        Self::Partial {
            value: list(words),
            detail: detail.into(),
            evidence: evidence.into(),
        }
    }

    pub(crate) fn unknown(
        why: Why,
        detail: impl Into<String>,
        evidence: impl Into<String>,
    ) -> Self {
        Self::Unknown {
            why,
            detail: detail.into(),
            evidence: evidence.into(),
        }
    }

    /// The value, if there is one.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Value { value, .. }
            | Self::Judged { value, .. }
            | Self::Unjudged { value, .. }
            | Self::Partial { value, .. } => value,
            Self::NotApplicable(_) | Self::Unknown { .. } => "",
        }
    }

    /// Whether the value is secure; `None`: that is not known.
    pub(crate) fn is_secure(&self, row: &Row, now_seconds: u64) -> Option<bool> {
        match self {
            Self::Value { value, .. } if row.fits(value) => row.judge(value, now_seconds),
            Self::Judged { secure, .. } => Some(*secure),
            _ => None,
        }
    }

    pub(crate) fn setting(self, row: &Row, method: Method, now_seconds: u64) -> Setting {
        match self {
            Self::Value { value, evidence } => {
                Setting::known(row, &value, method, &evidence, now_seconds)
            }
            Self::Judged {
                value,
                secure,
                evidence,
            } => Setting::judged(row, &value, secure, method, &evidence),
            Self::Unjudged {
                value,
                detail,
                evidence,
            } => Setting::unjudged(row, &value, &detail, method, &evidence),
            Self::Partial {
                value,
                detail,
                evidence,
            } => Setting::partial(row, &value, &detail, method, (&evidence, now_seconds)),
            Self::NotApplicable(evidence) => Setting::not_applicable(row, method, &evidence),
            Self::Unknown {
                why,
                detail,
                evidence,
            } => Setting::unknown(row, why, &detail, method, &evidence),
        }
    }
}

/// The words of a set in canonical form.
fn list<T: Into<String>>(words: impl IntoIterator<Item = T>) -> String {
    sorted(words.into_iter().map(T::into)).join(",")
}
