//! What an operator may set: a TOML file, checked and turned into plain Rust types.
//!
//! [`Config::load`] reads a file; every mistake in it is reported with line, column and what was
//! expected, all of them at once. A key that the file leaves out has the value of
//! [`Config::default`]. `scantrip.sample.toml` lists every key with its default and the reason;
//! a test holds it true. Secrets never stand in the file: the few that exist are files of their
//! own.
#![forbid(unsafe_code)]

mod error;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod keys;
mod read;
mod url;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

pub use error::{ConfigError, Fault};
pub use url::{ProxyUrl, ProxyUrlError};

/// Largest file that is read: the sample with all its comments, sixteen times over.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Section `[device]`.
    pub device: Device,
    /// Section `[cloud]`.
    pub cloud: Cloud,
    /// Section `[paths]`.
    pub paths: Paths,
    /// Section `[spool]`.
    pub spool: Spool,
    /// Section `[panel]`.
    pub panel: Panel,
    /// Section `[settings]`.
    pub settings: Settings,
    /// Section `[telemetry]`.
    pub telemetry: Telemetry,
    /// Section `[log]`.
    pub log: Log,
}

/// The hardware underneath.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Name of the HAL backend. Default `host`: it needs no scanner and is in every build.
    pub backend: String,
    /// What the backend itself can be told, section `[device.options]`. Default: nothing, every
    /// option has a default of its own.
    pub options: BTreeMap<String, String>,
}

/// The other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloud {
    /// `https://` URL asked for the entry points and for the enrolment. Default
    /// `https://localhost:8443`: a trial cloud on the same machine. A device is delivered with
    /// its operator's.
    pub bootstrap_url: String,
    /// PEM file of the CA that vouches for the server until the device has enrolled. Default:
    /// none, the public web PKI vouches.
    pub ca_file: Option<PathBuf>,
    /// Who vouches for the server once the device has enrolled.
    pub server_trust: ServerTrust,
    /// The only region that may be used, such as `eu-central-1`. Default: none, the nearest one
    /// is chosen.
    pub region: Option<String>,
    /// The TLS versions that are offered.
    pub tls_versions: TlsVersions,
    /// The HTTP proxy to go through (CONNECT). Default: none, connect directly.
    pub proxy: Option<ProxyUrl>,
}

/// Who vouches for the server once the device has enrolled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerTrust {
    /// The device CA's anchors alone. The default: no public CA can then stand in for the cloud.
    #[default]
    DeviceAnchors,
    /// The public web PKI, for a cloud behind a public CDN.
    WebPki,
}

/// The TLS versions that are offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersions {
    /// 1.2 alone. The default: what the customer's network rules expect.
    #[default]
    Tls12,
    /// 1.2 and 1.3; the newer one is chosen.
    Tls12AndTls13,
}

/// Where the agent keeps its files. All absolute: a service has no working folder of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Folder of the spool (`spool/`) and of the saved state (`state/`). Default
    /// `/var/lib/scantrip`, where Linux services keep their data.
    pub state: PathBuf,
    /// Folder of the private keys, apart from the spool. Default `/var/lib/scantrip/keys`.
    pub keys: PathBuf,
    /// Unix socket that the commands use to talk to a running agent. Default
    /// `/run/scantrip/scantrip.sock`: gone after a restart.
    pub socket: PathBuf,
}

/// Limits of the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spool {
    /// Most bytes that waiting jobs may take, 64 MiB to 1 PiB. Default 2 GiB: about 2,000 color
    /// pages, a busy day without a network.
    pub bytes_max: u64,
    /// Bytes of the disk that are left to others, up to 1 PiB. Default 256 MiB: the firmware's
    /// own jobs and logs must not suffer.
    pub free_bytes_min: u64,
}

/// The page for the device's touch browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panel {
    /// Loopback address and port. Default `127.0.0.1:7226`: the browser runs on the device, and
    /// nobody else may connect.
    pub address: SocketAddr,
}

/// Where the device's security settings are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The sources in use. Default Linux and network: what needs nothing from the vendor.
    pub sources: Vec<SettingsSource>,
    /// Root folder of the device's Linux. Default `/`; in a container, where the host's files are.
    pub root: PathBuf,
    /// Host name or address to ask over the network; must be the device's own. Default: none, the
    /// one of the device.
    pub address: Option<String>,
    /// File with the name of the SNMP community that tables are read with. Default: none, names
    /// from the factory are tried.
    pub snmp_community_file: Option<PathBuf>,
    /// PEM file of the authorities that may vouch for the device's certificate. Default: none, those
    /// of the device's Linux, `etc/ssl/certs/ca-certificates.crt` below `root`.
    pub ca_file: Option<PathBuf>,
    /// File that the vendor's settings are exported to.
    pub vendor_export: Option<PathBuf>,
    /// File that says what the vendor's names mean. Default: none, Konica Minolta's.
    pub vendor_mapping: Option<PathBuf>,
    /// What only the operator knows, by the setting's id, section `[settings.declared]`. Texts as
    /// settings are written: numbers decimal, sets sorted with commas.
    pub declared: BTreeMap<String, String>,
}

/// A source of security settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsSource {
    /// Files and system calls.
    Linux,
    /// The device's own addresses.
    Network,
    /// The vendor's export.
    Vendor,
}

/// What is reported about the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// Whether health and security settings are sent to the cloud. Default `true`: a fleet that
    /// cannot be seen cannot be kept safe.
    pub enabled: bool,
    /// Hours between two readings of the security settings, 1 to 168. Default 24: settings
    /// change rarely, and a change is noticed within a day.
    pub settings_interval_hours: u32,
}

/// What the agent tells on standard error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The least important kind of message that is written.
    pub level: LogLevel,
}

/// How important a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// What needs a person.
    Error,
    /// What may need a person soon.
    Warn,
    /// One line for each step of a job. The default: enough to tell what happened, little enough
    /// to keep.
    #[default]
    Info,
    /// For a technician who looks for a fault.
    Debug,
    /// For a developer.
    Trace,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// When the file cannot be read, or with every mistake in it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read {
            path: path.to_owned(),
            source,
        };
        let file = std::fs::File::open(path).map_err(read)?;
        let mut text = String::new();
        file.take(FILE_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(read)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(ConfigError::TooLarge {
                path: path.to_owned(),
            });
        }
        Self::parse(&text, &path.display().to_string())
    }

    /// Checks the text of a file; `name` is what messages call it.
    ///
    /// # Errors
    /// With every mistake in the text.
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigError> {
        read::config(text).map_err(|faults| ConfigError::Invalid {
            name: name.to_owned(),
            faults,
        })
    }

    /// Every key with the value in effect, as TOML; keys without a value are comments. A device
    /// option that by its name is a secret is hidden.
    #[must_use]
    pub fn effective_toml(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for key in keys::KEYS {
            if key.section != section {
                let gap = if section.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{gap}[{}]", key.section);
                section = key.section;
            }
            let _ = match (key.show)(self) {
                Some(value) => writeln!(text, "{} = {value}", key.name),
                None => writeln!(text, "# {} is not set", key.name),
            };
        }
        if !self.device.options.is_empty() {
            text.push_str("\n[device.options]\n");
        }
        for (name, value) in &self.device.options {
            let value = if keys::is_secret_name(name) {
                "(hidden)"
            } else {
                value
            };
            let _ = writeln!(
                text,
                "{} = {}",
                read::bare_or_quoted(name),
                read::toml_text(value)
            );
        }
        if !self.settings.declared.is_empty() {
            text.push_str("\n[settings.declared]\n");
        }
        for (id, value) in &self.settings.declared {
            let _ = writeln!(
                text,
                "{} = {}",
                read::bare_or_quoted(id),
                read::toml_text(value)
            );
        }
        text
    }
}

/// The commented sample file: every key, its default and the reason.
#[must_use]
pub fn sample() -> &'static str {
    include_str!("../scantrip.sample.toml")
}

impl Default for Device {
    fn default() -> Self {
        Self {
            backend: "host".to_owned(),
            options: BTreeMap::new(),
        }
    }
}

impl Default for Cloud {
    fn default() -> Self {
        Self {
            bootstrap_url: "https://localhost:8443".to_owned(),
            ca_file: None,
            server_trust: ServerTrust::default(),
            region: None,
            tls_versions: TlsVersions::default(),
            proxy: None,
        }
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            state: "/var/lib/scantrip".into(),
            keys: "/var/lib/scantrip/keys".into(),
            socket: "/run/scantrip/scantrip.sock".into(),
        }
    }
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            bytes_max: 2 * 1024 * 1024 * 1024,
            free_bytes_min: 256 * 1024 * 1024,
        }
    }
}

impl Default for Panel {
    fn default() -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7226),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sources: vec![SettingsSource::Linux, SettingsSource::Network],
            root: PathBuf::from("/"),
            address: None,
            snmp_community_file: None,
            ca_file: None,
            vendor_export: None,
            vendor_mapping: None,
            declared: BTreeMap::new(),
        }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            enabled: true,
            settings_interval_hours: 24,
        }
    }
}

impl LogLevel {
    /// The level's name, as it stands in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

#[cfg(test)]
mod tests;
