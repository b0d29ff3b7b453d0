//! TLS as the device speaks it: ECDHE with AEAD, extended master secret, no resumption, and the
//! private key behind [`Signer`], which it never leaves.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
    version,
};

mod credential;
mod fingerprint;
mod provider;
mod vouch;

pub use credential::{Credential, SignError, Signer};
pub use vouch::{VouchError, vouch};

use crate::certificate::CertDer;

/// Whom to trust, which versions to speak, and who we are.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// Whose servers are trusted.
    pub roots: Roots,
    /// The versions of TLS that are spoken.
    pub versions: TlsVersions,
    /// The client certificate, once there is one.
    pub credential: Option<Credential>,
}

/// Whose servers are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Those of these authorities and no others.
    Anchors(Vec<CertDer>),
    /// Those of the authorities that browsers trust.
    WebPki,
    /// A server that presents the certificate with this SHA-256, as its own or as its authority's.
    Fingerprint([u8; 32]),
    /// A machine of this network, such as a scanner, with a certificate that nobody vouches for:
    /// the one with this SHA-256, or the first that proves its key, which is then the one.
    FirstSeen(Arc<OnceLock<[u8; 32]>>),
}

/// The versions of TLS that are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersions {
    /// TLS 1.2 only.
    #[default]
    Tls12,
    /// TLS 1.3, and 1.2 with servers that know no better.
    Tls12AndTls13,
}

/// Settings that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsSettingsError {
    /// A trusted authority's certificate cannot be read.
    #[error("trusted certificate number {number} cannot be read: {reason}")]
    Anchor {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// There is nobody to trust.
    #[error("there is no trusted certificate; give a `ca_file` or enroll again")]
    NoAnchor,
    /// The TLS library refuses the settings.
    #[error("TLS cannot be set up: {0}")]
    Library(String),
    /// The proxy's address cannot be used.
    #[error("the proxy must be given as http://HOST:PORT")]
    Proxy,
}

/// What was agreed on, in the names of the IANA registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLS 1.2` or `TLS 1.3`.
    pub version: &'static str,
    /// Such as `TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384`.
    pub cipher_suite: String,
}

impl TlsInfo {
    pub(crate) fn of(connection: &ClientConnection) -> Option<Self> {
        let version = match connection.protocol_version()? {
            ProtocolVersion::TLSv1_2 => "TLS 1.2",
            ProtocolVersion::TLSv1_3 => "TLS 1.3",
            _ => "unknown",
        };
        let suite = connection.negotiated_cipher_suite()?.suite();
        let name = suite.as_str().unwrap_or("unknown");
        Some(Self {
            version,
            cipher_suite: name.replacen("TLS13_", "TLS_", 1),
        })
    }
}

/// The caller's wall clock.
struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let now = Duration::from_millis((self.0)());
        Some(UnixTime::since_unix_epoch(now))
    }
}

const TLS12_ONLY: &[&SupportedProtocolVersion] = &[&version::TLS12];
const TLS12_AND_TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

impl TlsSettings {
    pub(crate) fn into_config(
        self,
        unix_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    ) -> Result<ClientConfig, TlsSettingsError> {
        let provider = Arc::new(provider::provider());
        let versions = match self.versions {
            TlsVersions::Tls12 => TLS12_ONLY,
            TlsVersions::Tls12AndTls13 => TLS12_AND_TLS13,
        };
        let builder =
            ClientConfig::builder_with_details(Arc::clone(&provider), Arc::new(Clock(unix_ms)))
                .with_protocol_versions(versions)
                .map_err(|error| TlsSettingsError::Library(error.to_string()))?;
        let of_the_cloud = !matches!(self.roots, Roots::FirstSeen(_));
        let builder = match self.roots {
            Roots::Anchors(anchors) => builder.with_root_certificates(store(&anchors)?),
            Roots::WebPki => builder.with_root_certificates(RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            }),
            Roots::Fingerprint(sha256) => {
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(fingerprint::Pinned::new(
                        sha256, provider,
                    )))
            }
            Roots::FirstSeen(pin) => {
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(fingerprint::FirstSeen::new(
                        pin, provider,
                    )))
            }
        };
        let mut config = match self.credential {
            Some(credential) => builder.with_client_cert_resolver(Arc::new(credential.resolver())),
            None => builder.with_no_client_auth(),
        };
        // Scanners are older than the cloud: many have TLS 1.2 without it.
        config.require_ems = of_the_cloud;
        // Each connection is a full handshake: revocation takes hold at once, and measurements of
        // entry points compare like with like.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

fn store(anchors: &[CertDer]) -> Result<RootCertStore, TlsSettingsError> {
    let mut store = RootCertStore::empty();
    for (number, anchor) in (1..).zip(anchors) {
        store
            .add(CertificateDer::from_slice(anchor))
            .map_err(|error| TlsSettingsError::Anchor {
                number,
                reason: error.to_string(),
            })?;
    }
    if store.is_empty() {
        return Err(TlsSettingsError::NoAnchor);
    }
    Ok(store)
}

#[cfg(test)]
mod tests;
