//! Where a service lives: scheme, host and port, without a path.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use ureq_proto::http::Uri;
use ureq_proto::http::uri::Scheme;

/// An `https://` URL without a path, such as `https://eu.example.com:8443`. Only a machine of this
/// network may have one with `http://`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    host: String,
    port: u16,
    tls: bool,
}

/// Text that is no [`BaseUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an address of the cloud: {reason}; write https://HOST or https://HOST:PORT"
)]
pub struct UrlError {
    text: String,
    reason: &'static str,
}

impl BaseUrl {
    /// Reads `https://HOST[:PORT][/]`.
    ///
    /// # Errors
    /// When the scheme is another one, or there is a user, path or query.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        Self::read(text, false)
    }

    /// As [`BaseUrl::parse`] for a machine of this network, such as a scanner: `http://` as well.
    ///
    /// # Errors
    /// As [`BaseUrl::parse`].
    pub fn of_device(text: &str) -> Result<Self, UrlError> {
        Self::read(text, true)
    }

    fn read(text: &str, plain: bool) -> Result<Self, UrlError> {
        let fail = |reason| UrlError {
            text: text.chars().filter(|c| !c.is_control()).take(200).collect(),
            reason,
        };
        let uri: Uri = text.parse().map_err(|_not_a_uri| fail("not a URL"))?;
        let tls = uri.scheme() == Some(&Scheme::HTTPS);
        let plain = plain && uri.scheme() == Some(&Scheme::HTTP);
        if !tls && !plain {
            return Err(fail("the scheme is not https"));
        }
        let (scheme, default_port) = if tls { ("https", 443) } else { ("http", 80) };
        let authority = uri.authority().ok_or_else(|| fail("no host"))?;
        if authority.as_str().contains('@') {
            return Err(fail("user names do not belong here"));
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err(fail("there is a path"));
        }
        let host = authority.host();
        if host.is_empty() {
            return Err(fail("no host"));
        }
        if !is_host(host) {
            return Err(fail("the host is neither a name nor an address"));
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str() == host => default_port,
            None => return Err(fail("the port is not a number up to 65535")),
        };
        if port == 0 {
            return Err(fail("port 0"));
        }
        let host = host.to_ascii_lowercase();
        let text = if port == default_port {
            format!("{scheme}://{host}")
        } else {
            format!("{scheme}://{host}:{port}")
        };
        Ok(Self {
            text,
            host,
            port,
            tls,
        })
    }

    /// The URL in its plain form, without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host name or address; an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(&self.host)
    }

    /// Whether it is `https://`.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// The port, 443 unless given.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for BaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

/// A name or an IPv4 address, or an IPv6 address in brackets, with its zone (RFC 6874) if it has
/// one.
fn is_host(host: &str) -> bool {
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(address) => {
            let address = address.split('%').next().unwrap_or_default();
            address.parse::<Ipv6Addr>().is_ok()
        }
        None => host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_with_host_and_port_is_read() {
        for (text, host, port, plain) in [
            ("https://a.example", "a.example", 443, "https://a.example"),
            (
                "https://A.example:443/",
                "a.example",
                443,
                "https://a.example",
            ),
            (
                "https://10.0.0.1:8443",
                "10.0.0.1",
                8443,
                "https://10.0.0.1:8443",
            ),
            ("https://[::1]:9", "::1", 9, "https://[::1]:9"),
        ] {
            let url = BaseUrl::parse(text).expect(text);
            assert_eq!((url.host(), url.port(), url.as_str()), (host, port, plain));
        }
    }

    #[test]
    fn a_machine_of_this_network_may_speak_plain_http() {
        for (text, plain, port, tls) in [
            ("http://10.0.0.1/", "http://10.0.0.1", 80, false),
            ("http://a.local:8080", "http://a.local:8080", 8080, false),
            ("https://a.local", "https://a.local", 443, true),
            (
                "http://[fe80::1%2]:8080",
                "http://[fe80::1%2]:8080",
                8080,
                false,
            ),
        ] {
            let url = BaseUrl::of_device(text).expect(text);
            assert_eq!((url.as_str(), url.port(), url.is_tls()), (plain, port, tls));
        }
        assert!(BaseUrl::of_device("ftp://a").is_err());
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_reads_the_same_again(text in "(https://)?[a-z0-9.:@/?\\[\\]-]{0,30}") {
            if let Ok(url) = BaseUrl::parse(&text) {
                proptest::prop_assert_eq!(BaseUrl::parse(url.as_str()), Ok(url));
            }
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_to_write() {
        for text in [
            "",
            "a.example",
            "http://a.example",
            "https://",
            "https://a/b",
            "https://a?x=1",
            "https://u:p@a",
            "https://a:0",
            "https://a:70000",
            "https://a b",
            "https://102[:1d8::]:443",
            "https://[::1",
            "https://[a]",
        ] {
            let error = BaseUrl::parse(text).expect_err(text);
            assert!(error.to_string().contains("https://HOST"), "{error}");
        }
    }
}
