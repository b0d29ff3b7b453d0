//! Why there is no connection, and what to do about it.

use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};

use crate::http::socket::io_error;

/// The longest wait that an answer in clear can ask for. Whoever can forge one on the way could as
/// well keep the line shut.
const BUSY_MAX: Duration = Duration::from_secs(15 * 60);

/// Why a connection failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name has no address.
    #[error("no address is known for {host}; check its spelling and the name server")]
    NameNotFound {
        /// The server's name.
        host: String,
    },
    /// The network does not lead there.
    #[error("cannot reach {host}: {reason}")]
    Unreachable {
        /// The server's name.
        host: String,
        /// The cause in the system's words.
        reason: String,
        /// The cause as std knows it.
        kind: io::ErrorKind,
    },
    /// Nothing came back in time.
    #[error("{host} does not answer in time")]
    TimedOut {
        /// The server's name.
        host: String,
    },
    /// The server is at its limit and says, before any handshake, when there is room.
    #[error("{host} is at its limit and asks to come back in {} s", .after.as_secs())]
    Busy {
        /// The server's name.
        host: String,
        /// How long to wait; not proven to come from the server, so never longer than
        /// a quarter of an hour.
        after: Duration,
    },
    /// The proxy does not let us through.
    #[error("the proxy does not lead to {host}: {reason}")]
    Proxy {
        /// The server's name.
        host: String,
        /// What the proxy said.
        reason: String,
    },
    /// The server's certificate is not of a trusted authority.
    #[error(
        "the certificate of {host} is not from a trusted authority; check `ca_file`, and whether a \
         firewall opens TLS on the way"
    )]
    Untrusted {
        /// The server's name.
        host: String,
    },
    /// The server's certificate is for another name.
    #[error("the certificate of {host} is for another name; check the address")]
    WrongName {
        /// The server's name.
        host: String,
    },
    /// By the device's clock the server's certificate is not valid.
    #[error(
        "by the device's clock the certificate of {host} is {}; check the clock",
        if *.expired { "expired" } else { "not valid yet" }
    )]
    Clock {
        /// The server's name.
        host: String,
        /// Expired, or not valid yet.
        expired: bool,
        /// Not valid before this, Unix milliseconds, as the certificate says; not proven.
        valid_from_ms: Option<u64>,
    },
    /// The server does not accept the device's certificate.
    #[error("{host} refuses the device's certificate ({alert})")]
    CertificateRefused {
        /// The server's name.
        host: String,
        /// The TLS alert.
        alert: String,
    },
    /// TLS failed in another way.
    #[error("no TLS connection to {host}: {reason}")]
    Tls {
        /// The server's name.
        host: String,
        /// What was wrong.
        reason: String,
    },
}

impl ConnectError {
    /// The nearest kind that std knows.
    #[must_use]
    pub const fn kind(&self) -> io::ErrorKind {
        match self {
            Self::NameNotFound { .. } => io::ErrorKind::NotFound,
            Self::Unreachable { kind, .. } => *kind,
            Self::TimedOut { .. } => io::ErrorKind::TimedOut,
            Self::Busy { .. } => io::ErrorKind::ConnectionAborted,
            Self::Proxy { .. } => io::ErrorKind::ConnectionRefused,
            Self::Untrusted { .. }
            | Self::WrongName { .. }
            | Self::Clock { .. }
            | Self::CertificateRefused { .. } => io::ErrorKind::PermissionDenied,
            Self::Tls { .. } => io::ErrorKind::InvalidData,
        }
    }

    /// A failed look-up: what the system says then has no kind of its own.
    pub(super) fn of_lookup(host: &str, error: ureq::Error) -> Self {
        let host = host.to_owned();
        match error {
            ureq::Error::Timeout(_) => Self::TimedOut { host },
            _ => Self::NameNotFound { host },
        }
    }

    pub(super) fn of_ureq(host: &str, error: ureq::Error) -> Self {
        let host = host.to_owned();
        match error {
            ureq::Error::HostNotFound => Self::NameNotFound { host },
            ureq::Error::ConnectProxyFailed(reason) => Self::Proxy { host, reason },
            error => Self::of_io(&host, &io_error(error)),
        }
    }

    /// An answer in clear in place of a handshake: `503` with `Retry-After`.
    pub(super) fn of_greeting(host: &str, greeting: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(greeting).ok()?;
        let mut lines = text.strip_prefix("HTTP/1.1 503")?.split("\r\n").skip(1);
        let after = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let named = name.eq_ignore_ascii_case("Retry-After");
            named.then(|| value.trim().parse().ok()).flatten()
        })?;
        Some(Self::Busy {
            host: host.to_owned(),
            after: Duration::from_secs(after).min(BUSY_MAX),
        })
    }

    pub(super) fn of_io(host: &str, error: &io::Error) -> Self {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
        if let Some(error) = cause {
            return Self::of_tls(host, error);
        }
        let host = host.to_owned();
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::TimedOut { host },
            kind => Self::Unreachable {
                host,
                reason: error.to_string(),
                kind,
            },
        }
    }

    pub(super) fn of_tls(host: &str, error: &rustls::Error) -> Self {
        let host = host.to_owned();
        match error {
            rustls::Error::InvalidCertificate(error) => match error {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    Self::Clock {
                        host,
                        expired: true,
                        valid_from_ms: None,
                    }
                }
                CertificateError::NotValidYet => Self::Clock {
                    host,
                    expired: false,
                    valid_from_ms: None,
                },
                CertificateError::NotValidYetContext { not_before, .. } => Self::Clock {
                    host,
                    expired: false,
                    valid_from_ms: Some(not_before.as_secs().saturating_mul(1000)),
                },
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::WrongName { host },
                CertificateError::UnknownIssuer
                | CertificateError::BadSignature
                | CertificateError::ApplicationVerificationFailure => Self::Untrusted { host },
                error => Self::Tls {
                    host,
                    reason: error.to_string(),
                },
            },
            rustls::Error::AlertReceived(
                alert @ (AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
                | AlertDescription::DecryptError),
            ) => Self::CertificateRefused {
                host,
                alert: format!("{alert:?}"),
            },
            error => Self::Tls {
                host,
                reason: error.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(greeting: &[u8]) -> Option<u64> {
        match ConnectError::of_greeting("h", greeting)? {
            ConnectError::Busy { after, .. } => Some(after.as_secs()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_answer_in_clear_says_when_there_is_room() {
        let told = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nretry-after: 17\r\n\r\n";
        assert_eq!(busy(told), Some(17));
        let forged = b"HTTP/1.1 503 Busy\r\nRetry-After: 99999999\r\n\r\n";
        assert_eq!(busy(forged), Some(900));
    }

    #[test]
    fn any_other_greeting_is_none() {
        for other in [
            &b""[..],
            b"\x16\x03\x03\x00\x7a",
            b"HTTP/1.1 400 Bad Request\r\nRetry-After: 17\r\n\r\n",
            b"HTTP/1.1 503 Busy\r\nRetry-After: soon\r\n\r\n",
            b"HTTP/1.1 503 Busy\r\n\xff\r\n",
        ] {
            assert_eq!(busy(other), None, "{other:?}");
        }
    }
}
