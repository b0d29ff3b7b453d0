//! The client certificate, whose private key only ever signs.

use std::fmt;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::CertificateDer;
use rustls::sign::{self, CertifiedKey, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

use crate::certificate::CertDer;

/// A P-256 private key that stays where it is.
pub trait Signer: Send + Sync {
    /// ECDSA over the SHA-256 of `message`, in ASN.1 DER.
    ///
    /// # Errors
    /// When the key is gone or cannot be used.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
    /// The public key as an uncompressed point: 0x04, x, y.
    fn public_key(&self) -> [u8; 65];
}

/// A signature that could not be made. Never holds key material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the device's key cannot sign: {0}")]
pub struct SignError(pub String);

/// A client certificate and the key it is for.
#[derive(Clone)]
pub struct Credential {
    /// The certificates, the device's own first.
    pub chain: Vec<CertDer>,
    /// Which of the device's key slots it belongs to; for messages only.
    pub slot: u8,
    /// The private key.
    pub signer: Arc<dyn Signer>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

impl Credential {
    pub(super) fn resolver(self) -> Resolver {
        let chain = self.chain.into_iter().map(CertificateDer::from).collect();
        let key = Key(self.signer);
        Resolver(Arc::new(CertifiedKey::new(chain, Arc::new(key))))
    }
}

/// Presents the one certificate whenever a server asks.
#[derive(Debug)]
pub(super) struct Resolver(Arc<CertifiedKey>);

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        schemes
            .contains(&SignatureScheme::ECDSA_NISTP256_SHA256)
            .then(|| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Clone)]
struct Key(Arc<dyn Signer>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl SigningKey for Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn sign::Signer>> {
        offered
            .contains(&SignatureScheme::ECDSA_NISTP256_SHA256)
            .then(|| Box::new(self.clone()) as Box<dyn sign::Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl sign::Signer for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.0
            .sign(message)
            .map_err(|error| Error::General(error.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}
