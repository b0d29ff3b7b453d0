//! Where a device is: `http://HOST[:PORT]/eSCL`.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use super::session;

/// The root that nearly every device has.
const USUAL_ROOT: &str = "/eSCL";

/// What stands below the root.
const RESOURCES: [&str; 2] = ["ScannerCapabilities", "ScannerStatus"];

/// Origin and root of a device's eSCL service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeviceUrl {
    tls: bool,
    /// Name or address; an IPv6 address in brackets, one of a link with its interface
    /// (`[fe80::1%2]`).
    host: String,
    port: u16,
    origin: String,
    /// Begins with a slash and ends without; empty for a service without a folder.
    root: String,
}

/// Text that is no [`DeviceUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a scanner's address; write http://HOST/eSCL or https://HOST/eSCL")]
pub struct DeviceUrlError;

impl DeviceUrl {
    /// From its parts; `root` as in DNS-SD, with or without slashes.
    pub(crate) fn new(tls: bool, host: &str, port: u16, root: &str) -> Option<Self> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        // The number of the interface, as `ip link` shows it (RFC 4007, section 11).
        let (address, interface) = match bare.split_once('%') {
            Some((address, interface)) => (address, interface.parse().ok()?),
            None => (bare, 0_u32),
        };
        let host = if address.parse::<Ipv6Addr>().is_ok() {
            match interface {
                0 => format!("[{address}]"),
                interface => format!("[{address}%{interface}]"),
            }
        } else if !bare.is_empty() && bare.bytes().all(is_name) {
            bare.to_ascii_lowercase()
        } else {
            return None;
        };
        let root = root.trim_matches('/');
        // As people copy it from a browser.
        let resource = root.rsplit_once('/').map_or(root, |(_, name)| name);
        let root = match RESOURCES.contains(&resource) {
            true => root
                .strip_suffix(resource)
                .unwrap_or(root)
                .trim_matches('/'),
            false => root,
        };
        let root = match root {
            "" => USUAL_ROOT.to_owned(),
            root => format!("/{root}"),
        };
        let sound = root.len() < 256
            && root
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
        let (scheme, usual) = if tls { ("https", 443) } else { ("http", 80) };
        let origin = match port {
            port if port == usual => format!("{scheme}://{host}"),
            port => format!("{scheme}://{host}:{port}"),
        };
        (sound && port != 0).then_some(Self {
            tls,
            host,
            port,
            origin,
            root,
        })
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Name or address; an IPv6 address in brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port where it speaks TLS, if it does.
    #[must_use]
    pub fn tls_port(&self) -> Option<u16> {
        self.tls.then_some(self.port)
    }

    /// Whether this is the root that nearly every device has.
    pub(crate) fn is_usual_root(&self) -> bool {
        self.root == USUAL_ROOT
    }

    /// The same place without a folder. Written as text it is the usual root again.
    pub(crate) fn at_top(&self) -> Self {
        Self {
            root: String::new(),
            ..self.clone()
        }
    }

    /// As for a `Host` header that must have the port.
    pub(crate) fn host_with_port(&self) -> String {
        format!("{}:{}", self.told_host(), self.port)
    }

    /// The host as the device knows it: the interface is ours alone (RFC 6874, section 1).
    fn told_host(&self) -> String {
        match self.host.split_once('%') {
            Some((address, _)) => format!("{address}]"),
            None => self.host.clone(),
        }
    }

    /// Whether the host is an address of a link, which a `Host` header cannot name as it is.
    pub(crate) fn is_of_link(&self) -> bool {
        self.host.contains('%')
    }

    /// The path of a resource.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }

    /// The path of a job from its `Location`: only the path counts, hosts in there are often wrong.
    pub(crate) fn job_path(&self, location: &str) -> Option<String> {
        session::job_path(location, &self.root)
    }

    /// Where a redirect to TLS leads, if it is one on the same host.
    pub(crate) fn with_tls(&self, location: &str) -> Option<Self> {
        if self.tls || !location.starts_with("https://") {
            return None;
        }
        let to: Self = location.parse().ok()?;
        let same = to.told_host() == self.told_host();
        let there = same.then(|| Self::new(true, &self.host, to.port, &self.root))??;
        Some(Self {
            root: self.root.clone(),
            ..there
        })
    }
}

impl FromStr for DeviceUrl {
    type Err = DeviceUrlError;

    /// Reads a URL; without a scheme it is plain HTTP, without a path the usual one.
    fn from_str(text: &str) -> Result<Self, DeviceUrlError> {
        let text = text.trim();
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) => return Err(DeviceUrlError),
            None => (false, text),
        };
        let (authority, root) = match rest.find('/') {
            Some(at) => rest.split_at_checked(at).ok_or(DeviceUrlError)?,
            None => (rest, ""),
        };
        let usual = if tls { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !authority.ends_with(']') => {
                (host, port.parse().map_err(|_no_port| DeviceUrlError)?)
            }
            _ => (authority, usual),
        };
        Self::new(tls, host, port, root).ok_or(DeviceUrlError)
    }
}

impl fmt::Display for DeviceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.root)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> DeviceUrl {
        text.parse().unwrap()
    }

    #[test]
    fn what_people_write_is_read() {
        for (text, plain) in [
            ("http://10.0.0.1/eSCL/", "http://10.0.0.1/eSCL"),
            ("10.0.0.1", "http://10.0.0.1/eSCL"),
            ("https://MFP.local:8443", "https://mfp.local:8443/eSCL"),
            ("https://[fe80::1]:9/scan/x", "https://[fe80::1]:9/scan/x"),
            ("http://[::1]", "http://[::1]/eSCL"),
            ("http://[fe80::1%2]:80", "http://[fe80::1%2]/eSCL"),
            ("http://a/eSCL/ScannerCapabilities", "http://a/eSCL"),
            ("http://a/x/ScannerStatus/", "http://a/x"),
            ("http://a/ScannerStatus", "http://a/eSCL"),
        ] {
            assert_eq!(url(text).to_string(), plain);
        }
        for text in [
            "",
            "ftp://a",
            "http://",
            "http://a b",
            "http://a:0",
            "http://a:x",
            "http://a%2",
            "http://[fe80::1%eth0]",
            "http://[fe80::1%2%3]",
            "a/?",
        ] {
            assert!(text.parse::<DeviceUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_device_is_not_told_of_our_interface() {
        let of_link = url("http://[fe80::1%2]:8080");
        assert_eq!(of_link.host_with_port(), "[fe80::1]:8080");
        assert_eq!(of_link.origin(), "http://[fe80::1%2]:8080");
        assert!(of_link.is_of_link() && !url("[fe80::1]").is_of_link());
        let to = of_link.with_tls("https://[fe80::1]/eSCL").unwrap();
        assert_eq!(to.to_string(), "https://[fe80::1%2]/eSCL");
    }

    #[test]
    fn only_the_path_of_a_location_counts() {
        let base = url("http://10.0.0.1/eSCL");
        for (location, path) in [
            (
                "http://wrong.example/eSCL/ScanJobs/7",
                Some("/eSCL/ScanJobs/7"),
            ),
            (
                "/eSCL/ScanJobs/urn:uuid:4509/",
                Some("/eSCL/ScanJobs/urn:uuid:4509"),
            ),
            ("http://[fe80::1/eSCL/ScanJobs/7", Some("/eSCL/ScanJobs/7")),
            ("ScanJobs/7", Some("/eSCL/ScanJobs/7")),
            ("./ScanJobs/7", Some("/eSCL/ScanJobs/7")),
            ("urn:uuid:4509", Some("/eSCL/ScanJobs/urn:uuid:4509")),
            ("7", Some("/eSCL/ScanJobs/7")),
            ("//host/eSCL/ScanJobs/7", Some("/eSCL/ScanJobs/7")),
            (
                "http://wrong.example/eSCL/ScanJobs/7?session=a/b",
                Some("/eSCL/ScanJobs/7?session=a/b"),
            ),
            ("7?session=abc#top", Some("/eSCL/ScanJobs/7?session=abc")),
            ("?session=abc", None),
            ("http://host", None),
            ("", None),
            ("/eSCL/Scan Jobs/7", None),
        ] {
            assert_eq!(base.job_path(location).as_deref(), path, "{location}");
        }
    }

    #[test]
    fn a_service_without_a_folder_has_paths_of_its_own() {
        let top = url("http://10.0.0.1:8080").at_top();
        assert_eq!(top.path("ScannerStatus"), "/ScannerStatus");
        for location in ["ScanJobs/7", "7", "/ScanJobs/7"] {
            assert_eq!(top.job_path(location).as_deref(), Some("/ScanJobs/7"));
        }
        assert!(!top.is_usual_root() && url(&top.to_string()).is_usual_root());
    }

    #[test]
    fn a_redirect_leads_to_tls_on_the_same_host_only() {
        let base = url("http://10.0.0.1:8080/eSCL");
        let to = base
            .with_tls("https://10.0.0.1/eSCL/ScannerStatus")
            .unwrap();
        assert_eq!(to.to_string(), "https://10.0.0.1/eSCL");
        assert_eq!(base.with_tls("https://10.0.0.2/eSCL"), None);
        assert_eq!(base.with_tls("http://10.0.0.1/eSCL"), None);
        assert_eq!(to.with_tls("https://10.0.0.1:9/eSCL"), None);
    }

    proptest! {
        #[test]
        fn what_is_read_reads_the_same_again(text in "(https?://)?[a-z0-9.:%\\[\\]/@?# -]{0,24}") {
            if let Ok(url) = text.parse::<DeviceUrl>() {
                prop_assert_eq!(url.to_string().parse(), Ok(url.clone()));
                if let Some(path) = url.job_path(&text) {
                    prop_assert!(path.starts_with('/') && path.len() > 1);
                }
            }
        }
    }
}
