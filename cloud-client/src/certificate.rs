//! What the device reads of X.509 certificates (RFC 5280).

use der::asn1::ObjectIdentifier;
use der::{Decode as _, Encode as _};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage};

/// A certificate in DER.
pub type CertDer = Vec<u8>;

/// Extended key usage: TLS client authentication.
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// A certificate that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no certificate that can be read: {0}")]
pub struct CertificateError(String);

impl From<der::Error> for CertificateError {
    fn from(error: der::Error) -> Self {
        Self(error.to_string())
    }
}

/// From when to when a certificate is valid, in milliseconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before_ms: u64,
    /// The last moment.
    pub not_after_ms: u64,
}

impl Validity {
    /// The validity of a certificate in DER.
    ///
    /// # Errors
    /// When it is no certificate.
    pub fn of(der: &[u8]) -> Result<Self, CertificateError> {
        Ok(Facts::read(der)?.validity)
    }
}

/// What matters of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) validity: Validity,
    /// The subject's DER.
    pub(crate) subject: Vec<u8>,
    /// The issuer's DER.
    pub(crate) issuer: Vec<u8>,
    /// The subject's common name, when that is all there is in it.
    pub(crate) common_name: Option<String>,
    /// The public key's bits.
    pub(crate) public_key: Vec<u8>,
    pub(crate) client_auth: bool,
    pub(crate) is_ca: bool,
}

impl Facts {
    pub(crate) fn read(der: &[u8]) -> Result<Self, CertificateError> {
        let certificate = Certificate::from_der(der)?;
        let tbs = certificate.tbs_certificate();
        let millis = |time: &x509_cert::time::Time| {
            u64::try_from(time.to_unix_duration().as_millis()).unwrap_or(u64::MAX)
        };
        let usage = tbs.get_extension::<ExtendedKeyUsage>()?;
        let constraints = tbs.get_extension::<BasicConstraints>()?;
        let subject = tbs.subject();
        let common_name = match subject.len() {
            1 => subject.common_name()?.map(|name| name.value().into_owned()),
            _ => None,
        };
        Ok(Self {
            validity: Validity {
                not_before_ms: millis(&tbs.validity().not_before),
                not_after_ms: millis(&tbs.validity().not_after),
            },
            subject: subject.to_der()?,
            issuer: tbs.issuer().to_der()?,
            common_name,
            public_key: tbs
                .subject_public_key_info()
                .subject_public_key
                .raw_bytes()
                .to_vec(),
            client_auth: usage.is_some_and(|(_, usage)| usage.0.contains(&CLIENT_AUTH)),
            is_ca: constraints.is_some_and(|(_, constraints)| constraints.ca),
        })
    }

    pub(crate) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }
}
