//! The two kinds of URL that can be set.

use std::fmt;
use std::str::FromStr;

/// An HTTP proxy: `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyUrl {
    host: String,
    port: u16,
}

/// Why a text is no proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// It has another shape.
    #[error("expected \"http://host:port\"")]
    Shape,
    /// It holds a user name or a password.
    #[error(
        "the address holds a user name or a password, which must never stand in this file; \
         proxies that ask for one are not supported yet"
    )]
    Secret,
}

impl ProxyUrl {
    /// Host name or address; an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(&self.host)
    }

    /// TCP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for ProxyUrl {
    type Err = ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, ProxyUrlError> {
        if text.contains('@') {
            return Err(ProxyUrlError::Secret);
        }
        let rest = text.strip_prefix("http://").ok_or(ProxyUrlError::Shape)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        match split_authority(authority) {
            Some((host, Some(port))) => Ok(Self {
                host: host.to_owned(),
                port,
            }),
            _ => Err(ProxyUrlError::Shape),
        }
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

/// Whether the text is `https://`, a host, perhaps a port, and no more.
pub(crate) fn is_https_origin(text: &str) -> bool {
    text.strip_prefix("https://").is_some_and(|rest| {
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        split_authority(authority).is_some()
    })
}

/// Host (an IPv6 address in brackets) and port of `host` or `host:port`.
fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, Some(port.parse().ok().filter(|port| *port != 0)?))
        }
        _ => (authority, None),
    };
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let valid = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
            !host.is_empty() && host.bytes().all(known)
        }
    };
    valid.then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_needs_host_and_port() {
        let proxy: ProxyUrl = "http://proxy.example:3128/".parse().unwrap();
        assert_eq!((proxy.host(), proxy.port()), ("proxy.example", 3128));
        assert_eq!(proxy.to_string(), "http://proxy.example:3128");
        let proxy: ProxyUrl = "http://[::1]:8080".parse().unwrap();
        assert_eq!((proxy.host(), proxy.port()), ("::1", 8080));
        assert_eq!(proxy.to_string(), "http://[::1]:8080");
        for wrong in [
            "",
            "proxy:1",
            "https://proxy:1",
            "http://proxy",
            "http://proxy:0",
            "http://proxy:70000",
            "http://:80",
            "http://a b:80",
            "http://proxy:80/path",
            "http://[::1",
            "http://[::1]",
        ] {
            assert_eq!(
                wrong.parse::<ProxyUrl>(),
                Err(ProxyUrlError::Shape),
                "{wrong}"
            );
        }
    }

    #[test]
    fn password_in_the_proxy_is_refused() {
        let refused = "http://me:secret@proxy:80".parse::<ProxyUrl>();
        assert_eq!(refused, Err(ProxyUrlError::Secret));
    }

    #[test]
    fn bootstrap_is_an_https_origin() {
        for right in [
            "https://a.example",
            "https://a:8443/",
            "https://[::1]:8443",
            "https://[::1]",
        ] {
            assert!(is_https_origin(right), "{right}");
        }
        for wrong in [
            "http://a",
            "https://",
            "https://a/b",
            "https://a?b",
            "https://u@a",
            "a:1",
        ] {
            assert!(!is_https_origin(wrong), "{wrong}");
        }
    }
}
