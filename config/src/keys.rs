//! The list of keys: what each expects, how it is read and how it is shown.
//!
//! A new key is a field in `lib.rs`, one entry here and one in `scantrip.sample.toml`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use crate::read::toml_text;
use crate::url::{ProxyUrlError, is_https_origin};
use crate::{Config, LogLevel, ServerTrust, SettingsSource, TlsVersions};

/// One key of the file.
pub(crate) struct Key {
    /// Section, without brackets.
    pub(crate) section: &'static str,
    /// Name within the section.
    pub(crate) name: &'static str,
    /// What is expected, to stand after "expected".
    pub(crate) expected: &'static str,
    /// Reads the value into the configuration.
    pub(crate) set: fn(&mut Config, &DeValue<'_>) -> Result<(), Refusal>,
    /// The value in effect as TOML; `None`: not set.
    pub(crate) show: fn(&Config) -> Option<String>,
}

/// Why a value is not taken.
#[derive(Clone, Copy)]
pub(crate) enum Refusal {
    /// It is not what is expected.
    Unexpected,
    /// It may not be shown, for the reason told.
    Because(&'static str),
}

use Refusal::Unexpected;

const MIB: u64 = 1024 * 1024;
/// Above every disk that a device has.
const PIB: u64 = 1024 * 1024 * 1024 * MIB;
/// Longest path of a Unix socket on Linux (`sun_path`, 108 bytes with the zero at its end).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Every key, by section; `[device.options]` and `[settings.declared]` are read apart, their names
/// belong to the HAL.
pub(crate) const KEYS: &[Key] = &[
    Key {
        section: "device",
        name: "backend",
        expected: "the name of a backend, such as \"escl\"",
        set: |config, value| put(&mut config.device.backend, name(value)),
        show: |config| Some(toml_text(&config.device.backend)),
    },
    Key {
        section: "cloud",
        name: "bootstrap_url",
        expected: "\"https://host\" or \"https://host:port\" without a path",
        set: |config, value| put(&mut config.cloud.bootstrap_url, bootstrap_url(value)),
        show: |config| Some(toml_text(&config.cloud.bootstrap_url)),
    },
    Key {
        section: "cloud",
        name: "ca_file",
        expected: ABSOLUTE_PATH,
        set: |config, value| put(&mut config.cloud.ca_file, path(value).map(Some)),
        show: |config| config.cloud.ca_file.as_deref().map(path_text),
    },
    Key {
        section: "cloud",
        name: "server_trust",
        expected: "\"device-anchors\" or \"web-pki\"",
        set: |config, value| put(&mut config.cloud.server_trust, choice(value, SERVER_TRUST)),
        show: |config| name_of(config.cloud.server_trust, SERVER_TRUST),
    },
    Key {
        section: "cloud",
        name: "region",
        expected: "the name of a region, such as \"eu-central-1\"",
        set: |config, value| put(&mut config.cloud.region, name(value).map(Some)),
        show: |config| config.cloud.region.as_deref().map(toml_text),
    },
    Key {
        section: "cloud",
        name: "tls_versions",
        expected: "[\"1.2\"] or [\"1.2\", \"1.3\"]",
        set: |config, value| put(&mut config.cloud.tls_versions, tls_versions(value)),
        show: |config| {
            Some(match config.cloud.tls_versions {
                TlsVersions::Tls12 => "[\"1.2\"]".to_owned(),
                TlsVersions::Tls12AndTls13 => "[\"1.2\", \"1.3\"]".to_owned(),
            })
        },
    },
    Key {
        section: "cloud",
        name: "proxy",
        expected: "\"http://host:port\"",
        set: |config, value| put(&mut config.cloud.proxy, proxy(value).map(Some)),
        show: |config| {
            config
                .cloud
                .proxy
                .as_ref()
                .map(|it| toml_text(&it.to_string()))
        },
    },
    Key {
        section: "paths",
        name: "state",
        expected: ABSOLUTE_PATH,
        set: |config, value| put(&mut config.paths.state, path(value)),
        show: |config| Some(path_text(&config.paths.state)),
    },
    Key {
        section: "paths",
        name: "keys",
        expected: ABSOLUTE_PATH,
        set: |config, value| put(&mut config.paths.keys, path(value)),
        show: |config| Some(path_text(&config.paths.keys)),
    },
    Key {
        section: "paths",
        name: "socket",
        expected: "an absolute path of at most 107 bytes, as Linux limits socket names",
        set: |config, value| put(&mut config.paths.socket, socket_path(value)),
        show: |config| Some(path_text(&config.paths.socket)),
    },
    Key {
        section: "spool",
        name: "bytes_max",
        expected: "a whole number of bytes from 67_108_864 (64 MiB) to 1_125_899_906_842_624 (1 PiB)",
        set: |config, value| put(&mut config.spool.bytes_max, within(value, 64 * MIB, PIB)),
        show: |config| Some(config.spool.bytes_max.to_string()),
    },
    Key {
        section: "spool",
        name: "free_bytes_min",
        expected: "a whole number of bytes from 0 to 1_125_899_906_842_624 (1 PiB)",
        set: |config, value| put(&mut config.spool.free_bytes_min, within(value, 0, PIB)),
        show: |config| Some(config.spool.free_bytes_min.to_string()),
    },
    Key {
        section: "panel",
        name: "address",
        expected: "a loopback address and port, such as \"127.0.0.1:7226\" or \"[::1]:7226\"",
        set: |config, value| put(&mut config.panel.address, loopback(value)),
        show: |config| Some(toml_text(&config.panel.address.to_string())),
    },
    Key {
        section: "settings",
        name: "sources",
        expected: "a list of \"linux\", \"network\" and \"vendor\"",
        set: |config, value| put(&mut config.settings.sources, sources(value)),
        show: |config| {
            let names = config.settings.sources.iter();
            let names: Vec<String> = names.filter_map(|it| name_of(*it, SOURCES)).collect();
            Some(format!("[{}]", names.join(", ")))
        },
    },
    Key {
        section: "settings",
        name: "root",
        expected: ABSOLUTE_PATH,
        set: |config, value| put(&mut config.settings.root, path(value)),
        show: |config| Some(path_text(&config.settings.root)),
    },
    Key {
        section: "settings",
        name: "address",
        expected: "a host name or an address of the device",
        set: |config, value| put(&mut config.settings.address, host(value).map(Some)),
        show: |config| config.settings.address.as_deref().map(toml_text),
    },
    Key {
        section: "settings",
        name: "snmp_community_file",
        expected: ABSOLUTE_PATH,
        set: |config, value| {
            put(
                &mut config.settings.snmp_community_file,
                path(value).map(Some),
            )
        },
        show: |config| {
            config
                .settings
                .snmp_community_file
                .as_deref()
                .map(path_text)
        },
    },
    Key {
        section: "settings",
        name: "ca_file",
        expected: ABSOLUTE_PATH,
        set: |config, value| put(&mut config.settings.ca_file, path(value).map(Some)),
        show: |config| config.settings.ca_file.as_deref().map(path_text),
    },
    Key {
        section: "settings",
        name: "vendor_export",
        expected: ABSOLUTE_PATH,
        set: |config, value| put(&mut config.settings.vendor_export, path(value).map(Some)),
        show: |config| config.settings.vendor_export.as_deref().map(path_text),
    },
    Key {
        section: "settings",
        name: "vendor_mapping",
        expected: ABSOLUTE_PATH,
        set: |config, value| put(&mut config.settings.vendor_mapping, path(value).map(Some)),
        show: |config| config.settings.vendor_mapping.as_deref().map(path_text),
    },
    Key {
        section: "telemetry",
        name: "enabled",
        expected: "true or false",
        set: |config, value| {
            put(
                &mut config.telemetry.enabled,
                value.as_bool().ok_or(Unexpected),
            )
        },
        show: |config| Some(config.telemetry.enabled.to_string()),
    },
    Key {
        section: "telemetry",
        name: "settings_interval_hours",
        expected: "a whole number of hours from 1 to 168",
        set: |config, value| put(&mut config.telemetry.settings_interval_hours, hours(value)),
        show: |config| Some(config.telemetry.settings_interval_hours.to_string()),
    },
    Key {
        section: "log",
        name: "level",
        expected: "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
        set: |config, value| put(&mut config.log.level, choice(value, LEVELS)),
        show: |config| name_of(config.log.level, LEVELS),
    },
];

const ABSOLUTE_PATH: &str = "an absolute path, such as \"/etc/scantrip/ca.pem\"";

const SERVER_TRUST: &[(&str, ServerTrust)] = &[
    ("device-anchors", ServerTrust::DeviceAnchors),
    ("web-pki", ServerTrust::WebPki),
];

const SOURCES: &[(&str, SettingsSource)] = &[
    ("linux", SettingsSource::Linux),
    ("network", SettingsSource::Network),
    ("vendor", SettingsSource::Vendor),
];

const LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

/// Whether something of this name is a secret, and not the file that holds one.
pub(crate) fn is_secret_name(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "pin",
        "credential",
        "credentials",
        "private",
        "code",
        "community",
    ];
    let name = name.to_ascii_lowercase();
    let mut words = name.split(['_', '-', '.']);
    !name.ends_with("_file") && words.any(|word| WORDS.contains(&word))
}

fn put<T>(place: &mut T, value: Result<T, Refusal>) -> Result<(), Refusal> {
    *place = value?;
    Ok(())
}

fn text<'a>(value: &'a DeValue<'_>) -> Result<&'a str, Refusal> {
    value.as_str().ok_or(Unexpected)
}

/// A short name of letters, digits, dashes, dots and underscores.
fn name(value: &DeValue<'_>) -> Result<String, Refusal> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let text = text(value)?;
    if text.is_empty() || text.len() > 64 || !text.bytes().all(known) {
        return Err(Unexpected);
    }
    Ok(text.to_owned())
}

fn bootstrap_url(value: &DeValue<'_>) -> Result<String, Refusal> {
    let text = text(value)?;
    if text.contains('@') {
        return Err(Refusal::Because(
            "the address holds a user name or a password, which must never stand in this file; \
             the device proves who it is with the certificate that `scantrip enroll` fetches",
        ));
    }
    if text.starts_with("http://") {
        return Err(Refusal::Because(
            "expected an address that begins with \"https://\", so that the enrolment code and \
             the documents go only to a server that has proved who it is",
        ));
    }
    if !is_https_origin(text) {
        return Err(Unexpected);
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn proxy(value: &DeValue<'_>) -> Result<crate::ProxyUrl, Refusal> {
    text(value)?.parse().map_err(|error| match error {
        ProxyUrlError::Shape => Unexpected,
        ProxyUrlError::Secret => Refusal::Because(
            "the address holds a user name or a password, which must never stand in this file; \
             proxies that ask for one are not supported yet",
        ),
    })
}

fn path(value: &DeValue<'_>) -> Result<PathBuf, Refusal> {
    let path = PathBuf::from(text(value)?);
    let plain = !path.as_os_str().as_encoded_bytes().contains(&0);
    (path.is_absolute() && plain)
        .then_some(path)
        .ok_or(Unexpected)
}

fn socket_path(value: &DeValue<'_>) -> Result<PathBuf, Refusal> {
    let path = path(value)?;
    let fits = path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX && path.file_name().is_some();
    fits.then_some(path).ok_or(Unexpected)
}

fn within(value: &DeValue<'_>, min: u64, max: u64) -> Result<u64, Refusal> {
    let integer = value.as_integer().ok_or(Unexpected)?;
    u64::from_str_radix(integer.as_str(), integer.radix())
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or(Unexpected)
}

fn hours(value: &DeValue<'_>) -> Result<u32, Refusal> {
    let hours = within(value, 1, 7 * 24)?;
    u32::try_from(hours).or(Err(Unexpected))
}

fn loopback(value: &DeValue<'_>) -> Result<SocketAddr, Refusal> {
    let address: SocketAddr = text(value)?.parse().or(Err(Unexpected))?;
    if !address.ip().is_loopback() {
        return Err(Refusal::Because(
            "expected a loopback address (127.0.0.1 or [::1]): the panel page is for the \
             device's own browser, nobody on the network may reach it",
        ));
    }
    Ok(address)
}

fn tls_versions(value: &DeValue<'_>) -> Result<TlsVersions, Refusal> {
    let list = value.as_array().ok_or(Unexpected)?;
    let versions: Vec<Option<&str>> = list.iter().map(|it| it.get_ref().as_str()).collect();
    match versions.as_slice() {
        [Some("1.2")] => Ok(TlsVersions::Tls12),
        [Some("1.2"), Some("1.3")] | [Some("1.3"), Some("1.2")] => Ok(TlsVersions::Tls12AndTls13),
        _ => Err(Unexpected),
    }
}

fn sources(value: &DeValue<'_>) -> Result<Vec<SettingsSource>, Refusal> {
    let list = value.as_array().ok_or(Unexpected)?;
    let mut sources = Vec::new();
    for item in list {
        let source = choice(item.get_ref(), SOURCES)?;
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    Ok(sources)
}

fn host(value: &DeValue<'_>) -> Result<String, Refusal> {
    let text = text(value)?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    let fits = !text.is_empty() && text.len() <= 253 && text.bytes().all(known);
    fits.then(|| text.to_owned()).ok_or(Unexpected)
}

fn choice<T: Copy>(value: &DeValue<'_>, choices: &[(&str, T)]) -> Result<T, Refusal> {
    let text = text(value)?;
    let chosen = choices.iter().find(|(name, _)| *name == text);
    chosen.map(|(_, value)| *value).ok_or(Unexpected)
}

fn name_of<T: PartialEq>(value: T, choices: &[(&str, T)]) -> Option<String> {
    let known = choices.iter().find(|(_, known)| *known == value);
    known.map(|(name, _)| toml_text(name))
}

fn path_text(path: &Path) -> String {
    toml_text(&path.to_string_lossy())
}
