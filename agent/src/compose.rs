//! Puts the agent together from what this system has, as the configuration says.

use std::sync::Arc;
use std::time::Duration;

use scantrip_cloud_client::tls::TlsVersions;
use scantrip_config::{Config, ServerTrust, SettingsSource, TlsVersions as ConfiguredVersions};
use scantrip_hal::backends::escl::{DeviceUrl, parse_fingerprint};
use scantrip_hal::backends::folder_disk::FolderDisk;
use scantrip_hal::backends::key_file::KeyFile;
use scantrip_hal::backends::system::{SystemClock, SystemEntropy};
use scantrip_hal::backends::{self, BackendOptions, Mfp, OpenBackendError, escl};
use scantrip_hal::clock::Clock;
use scantrip_hal::disk::Disk;
use scantrip_hal::keys::KeyStore;
use scantrip_hal::settings;
use scantrip_hal::settings::network::{self, NetworkOptions, TlsOptions};
use scantrip_hal::settings::sources::{Sources, SourcesError, SourcesOptions, VendorOptions};
use scantrip_hal::web::Ports;

use crate::drivers::network::NetworkSettings;
use crate::drivers::web;
use crate::engine::session;
use crate::runtime::{Parts, StartError};
use crate::spool::SpoolLimits;

/// The name of the key file in the folder of keys.
const KEY_FILE: &str = "device.key";

/// The parts of a real agent.
///
/// # Errors
/// When a folder, the key file or the device cannot be used; says which.
pub fn parts(config: &Config) -> Result<Parts, StartError> {
    let folder = |path: &std::path::Path, source: Box<dyn std::error::Error + Send + Sync>| {
        StartError::Folder {
            path: path.display().to_string(),
            source,
        }
    };
    let state = &config.paths.state;
    let disk = FolderDisk::open(state, None).map_err(|error| folder(state, error.into()))?;
    let keys = &config.paths.keys;
    let key_file = KeyFile::open(&keys.join(KEY_FILE), Box::new(SystemEntropy::new()))
        .map_err(|error| folder(keys, error.into()))?;
    let (disk, keys): (Arc<dyn Disk>, Arc<dyn KeyStore>) = (Arc::new(disk), Arc::new(key_file));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let memory = (Arc::clone(&disk), Arc::clone(&keys));
    let ports = web::ports(Arc::clone(&clock), Some(memory));
    let mut mfp = mfp(config, ports.clone())?;
    if mfp.settings.is_none() {
        mfp.settings = Some(settings(config, &ports)?);
    }
    let parts = Parts {
        disk,
        keys,
        clock,
        entropy: Box::new(SystemEntropy::new()),
        mfp,
        network: network(config),
        session: session::Settings {
            bootstrap_url: config.cloud.bootstrap_url.clone(),
            region: config.cloud.region.clone(),
            stays: false,
        },
        limits: SpoolLimits {
            bytes_max: config.spool.bytes_max,
            free_bytes_min: config.spool.free_bytes_min,
            reserve_bytes: SpoolLimits::RESERVE_BYTES,
        },
        telemetry: config.telemetry.enabled,
        settings_every: Duration::from_secs(
            u64::from(config.telemetry.settings_interval_hours) * 3600,
        ),
    };
    #[cfg(feature = "fault")]
    let parts = crate::fault::wrap(parts)?;
    Ok(parts)
}

/// What reads the security settings when the backend does not do so itself.
///
/// # Errors
/// When a mapping or something that is declared cannot be used.
pub fn settings(
    config: &Config,
    ports: &Ports,
) -> Result<Box<dyn settings::SettingsSource>, SourcesError> {
    Ok(Box::new(Sources::open(sources(
        config,
        tls(config, ports),
    ))?))
}

fn sources(config: &Config, tls: TlsOptions) -> SourcesOptions {
    let settings = &config.settings;
    let has = |source| settings.sources.contains(&source);
    let export = settings.vendor_export.clone();
    // A device beside this machine is named by its backend's address.
    let url = config.device.options.get("url");
    let device = url.and_then(|url| host_of(url)).map(str::to_owned);
    let mut ports = network::Ports::default();
    if let Some(port) = url.and_then(|url| url.parse::<DeviceUrl>().ok()?.tls_port())
        && !ports.tls.contains(&port)
    {
        ports.tls.push(port);
    }
    SourcesOptions {
        device: device.clone(),
        linux: has(SettingsSource::Linux).then(|| settings.root.clone()),
        documents: vec![config.paths.state.clone()],
        network: has(SettingsSource::Network).then(|| NetworkOptions {
            address: settings.address.clone(),
            device,
            ports,
            tls: Some(tls),
            ..NetworkOptions::default()
        }),
        community: settings.snmp_community_file.clone(),
        vendor: export
            .filter(|_| has(SettingsSource::Vendor))
            .map(|export| VendorOptions {
                export,
                mapping: settings.vendor_mapping.clone(),
            }),
        declared: settings.declared.clone(),
    }
}

/// How TLS is spoken with the device, and whom the operator trusts to vouch for it.
fn tls(config: &Config, ports: &Ports) -> TlsOptions {
    const OF_THE_SYSTEM: &str = "etc/ssl/certs/ca-certificates.crt";
    let settings = &config.settings;
    let ca_file = settings.ca_file.clone();
    let ca_file = ca_file.unwrap_or_else(|| settings.root.join(OF_THE_SYSTEM));
    let named = config.device.options.get("fingerprint");
    TlsOptions {
        connector: Arc::clone(&ports.connector),
        vouch: web::vouch(ca_file, Arc::clone(&ports.clock)),
        pinned: named.and_then(|named| parse_fingerprint(named)),
    }
}

/// The host of a URL.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => host.split(':').next(),
    }
}

/// What is remembered of the device, to be read only: the agent's state where it is there already.
#[must_use]
pub fn memory(config: &Config) -> Option<(Arc<dyn Disk>, Arc<dyn KeyStore>)> {
    let key_file = config.paths.keys.join(KEY_FILE);
    if !config.paths.state.is_dir() || !key_file.is_file() {
        return None;
    }
    let disk = FolderDisk::open(&config.paths.state, None).ok()?;
    let keys = KeyFile::open(&key_file, Box::new(SystemEntropy::new())).ok()?;
    Some((Arc::new(disk), Arc::new(keys)))
}

/// The MFP that the configuration names, reached through `ports`.
///
/// # Errors
/// As [`backends::open_with`].
pub fn mfp(config: &Config, ports: Ports) -> Result<Mfp, OpenBackendError> {
    let options = config.device.options.clone();
    backends::open_with(&config.device.backend, options, Some(ports))
}

/// The certificate that the configured scanner shows, and the one that is expected of it.
#[must_use]
pub fn certificate(config: &Config, ports: Ports) -> Option<escl::Certificate> {
    (config.device.backend == escl::NAME).then(|| {
        escl::certificate(&BackendOptions {
            values: config.device.options.clone(),
            ports: Some(ports),
        })
    })?
}

fn network(config: &Config) -> NetworkSettings {
    let cloud = &config.cloud;
    NetworkSettings {
        ca_file: cloud.ca_file.clone(),
        web_pki: cloud.server_trust == ServerTrust::WebPki,
        versions: match cloud.tls_versions {
            ConfiguredVersions::Tls12 => TlsVersions::Tls12,
            ConfiguredVersions::Tls12AndTls13 => TlsVersions::Tls12AndTls13,
        },
        proxy: cloud.proxy.as_ref().map(ToString::to_string),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_devices_host_is_that_of_its_url() {
        for (url, host) in [
            ("http://mfp.example/eSCL", Some("mfp.example")),
            ("https://192.0.2.1:8443/eSCL", Some("192.0.2.1")),
            ("http://[2001:db8::1]:80/", Some("2001:db8::1")),
            ("mfp.example", None),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }
}
