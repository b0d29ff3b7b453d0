//! Who the server is, and which clients get through the handshake.
//!
//! A client certificate is asked for and not required. One of another CA ends the handshake; one
//! that expired at most 400 days ago passes, because it may renew, and the core refuses it the
//! rest. Revocation is the core's look-up.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme, version,
};

use crate::core::Core;
use crate::core::authority::{AuthorityError, Credential};

/// As the core's: longer ago, a certificate is as one of another CA.
const EXPIRED_MAX: Duration = Duration::from_secs(400 * 24 * 3600);

/// Why the server has no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The CA cannot issue the server's certificate.
    #[error("cannot issue the server's certificate")]
    Issue(#[from] AuthorityError),
    /// The configuration is refused.
    #[error("cannot set up TLS")]
    Rustls(#[from] Error),
    /// The device CA is no anchor.
    #[error("cannot use the device CA")]
    Anchor(#[from] rustls::server::VerifierBuilderError),
}

/// The server's certificate, renewed by itself, and its TLS settings.
#[derive(Debug)]
pub struct ServerIdentity {
    names: Vec<String>,
    current: RwLock<(Credential, Arc<CertifiedKey>)>,
    core: Arc<Core>,
    config: RwLock<Option<Arc<ServerConfig>>>,
}

impl ServerIdentity {
    /// Issues the first certificate, for `names`.
    ///
    /// # Errors
    /// When a name is none or TLS cannot be set up.
    pub fn new(core: Arc<Core>, names: Vec<String>) -> Result<Arc<Self>, TlsError> {
        let identity = Arc::new(Self {
            current: RwLock::new(issue(&core, &names)?),
            names,
            config: RwLock::new(None),
            core,
        });
        let config = Arc::new(server_config(&identity)?);
        *identity
            .config
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(config);
        Ok(identity)
    }

    /// Issues a new certificate when two thirds of the life of the current one are over.
    ///
    /// # Errors
    /// When it cannot be issued; the current one stays.
    pub fn renew_when_due(&self) -> Result<(), TlsError> {
        let now = self.core.ports().clock.now_ms();
        let due = self
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .is_due(now);
        if due {
            let fresh = issue(&self.core, &self.names)?;
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
            log::info!("the server has a new certificate");
        }
        Ok(())
    }

    /// The settings for a listener.
    ///
    /// # Panics
    /// Never: they are made with the identity.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(config.as_ref().expect("made with the identity"))
    }
}

impl ResolvesServerCert for ServerIdentity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.1))
    }
}

fn issue(core: &Core, names: &[String]) -> Result<(Credential, Arc<CertifiedKey>), TlsError> {
    let credential = core.authority().issue_server(core.ports(), names)?;
    let key = PrivatePkcs8KeyDer::from(credential.pkcs8_der().to_vec());
    let key = any_ecdsa_type(&key.into())?;
    let chain = vec![CertificateDer::from(credential.issued.der.clone())];
    Ok((credential, Arc::new(CertifiedKey::new(chain, key))))
}

fn server_config(identity: &Arc<ServerIdentity>) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(default_provider());
    let verifier = DeviceVerifier::new(&identity.core, Arc::clone(&provider))?;
    let time: Arc<dyn TimeProvider> = Arc::new(CoreTime(Arc::clone(&identity.core)));
    let mut config = ServerConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::<ServerIdentity>::clone(identity));
    config.require_ems = true;
    // Resumption without memory on our side. A ticket holds the client's certificate, whose
    // revocation and end the core looks at with every request.
    config.ticketer = Ticketer::new()?;
    config.send_tls13_tickets = 1;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[derive(Debug)]
struct CoreTime(Arc<Core>);

impl TimeProvider for CoreTime {
    fn current_time(&self) -> Option<UnixTime> {
        let now = Duration::from_millis(self.0.ports().clock.now_ms());
        Some(UnixTime::since_unix_epoch(now))
    }
}

/// Lets through what the device CA issued, also if it expired not too long ago.
#[derive(Debug)]
struct DeviceVerifier(Arc<dyn ClientCertVerifier>);

impl DeviceVerifier {
    fn new(core: &Core, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(
            core.authority().certificate().to_vec(),
        ))?;
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        Ok(Self(builder.allow_unauthenticated().build()?))
    }
}

impl ClientCertVerifier for DeviceVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.0.verify_client_cert(end_entity, intermediates, now) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after, ..
            })) if now.as_secs().saturating_sub(not_after.as_secs()) <= EXPIRED_MAX.as_secs() => {
                self.0
                    .verify_client_cert(end_entity, intermediates, not_after)
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
