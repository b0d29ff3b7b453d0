//! Where a service lives: scheme, host and port, without a path.

use std::fmt;
use std::str::FromStr;

use ureq_proto::http::Uri;
use ureq_proto::http::uri::Scheme;

/// An `https://` URL without a path, such as `https://eu.example.com:8443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    host: String,
    port: u16,
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
        let fail = |reason| UrlError {
            text: text.chars().filter(|c| !c.is_control()).take(200).collect(),
            reason,
        };
        let uri: Uri = text.parse().map_err(|_not_a_uri| fail("not a URL"))?;
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Err(fail("the scheme is not https"));
        }
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
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str() == host => 443,
            None => return Err(fail("the port is not a number up to 65535")),
        };
        if port == 0 {
            return Err(fail("port 0"));
        }
        let host = host.to_ascii_lowercase();
        let text = if port == 443 {
            format!("https://{host}")
        } else {
            format!("https://{host}:{port}")
        };
        Ok(Self { text, host, port })
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
        ] {
            let error = BaseUrl::parse(text).expect_err(text);
            assert!(error.to_string().contains("https://HOST"), "{error}");
        }
    }
}
