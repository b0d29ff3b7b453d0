//! Puts the agent together from what this system has, as the configuration says.

use std::sync::Arc;
use std::time::Duration;

use scantrip_cloud_client::tls::TlsVersions;
use scantrip_config::{Config, ServerTrust, TlsVersions as ConfiguredVersions};
use scantrip_hal::backends;
use scantrip_hal::backends::folder_disk::FolderDisk;
use scantrip_hal::backends::key_file::KeyFile;
use scantrip_hal::backends::system::{SystemClock, SystemEntropy};

use crate::drivers::network::NetworkSettings;
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
    let mfp = backends::open(&config.device.backend, config.device.options.clone())?;
    let parts = Parts {
        disk: Arc::new(disk),
        keys: Arc::new(key_file),
        clock: Arc::new(SystemClock::new()),
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
