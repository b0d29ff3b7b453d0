//! The device CA: issues the certificates of devices, of this server and for signing receipts.
//!
//! Its key lies wrapped among the keys; its certificate is the one anchor that devices trust.
//! Signatures are deterministic (RFC 6979), so that a simulation can be replayed.

use std::net::IpAddr;

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::EncodePrivateKey as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SanType, SerialNumber, SignatureAlgorithm,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::global::sha256_hex;
use crate::keys::KeysError;
use crate::ports::Ports;

/// Extended key usage of receipt signing.
const RECEIPT_SIGNING: [u64; 9] = [1, 3, 6, 1, 4, 1, 58270, 1, 1];
const DAY_MS: u64 = 24 * 3600 * 1000;
/// The anchor outlives the printers.
const CA_LIFETIME_MS: u64 = 25 * 365 * DAY_MS;
/// Of the server and of receipt signing; renewed at two thirds by itself.
const OWN_LIFETIME_MS: u64 = 90 * DAY_MS;
/// Clocks of devices may lag a little.
const BACKDATE_MS: u64 = 5 * 60 * 1000;
const CA_KEY: &str = "ca";
const CA_CERTIFICATE: &str = "ca.certificate";

/// A failed use of the CA.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The keys failed.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The CA's key is no key.
    #[error("the device CA's key is damaged: restore the key folder from its backup")]
    Damaged,
    /// A name that no certificate can hold.
    #[error("{0} is neither a host name nor an address")]
    Name(String),
    /// The certificate could not be made.
    #[error("cannot issue a certificate")]
    Issue(#[from] rcgen::Error),
}

/// A P-256 key that signs for `rcgen`.
struct Key {
    secret: SigningKey,
    point: Vec<u8>,
}

impl Key {
    fn generate(ports: &Ports) -> Self {
        loop {
            let bytes = Zeroizing::new(ports.random_bytes::<32>());
            // All but one in 2^32 numbers of this size are keys.
            if let Ok(key) = Self::read(&*bytes) {
                return key;
            }
        }
    }

    fn read(bytes: &[u8]) -> Result<Self, AuthorityError> {
        let secret = SigningKey::from_slice(bytes).map_err(|_cause| AuthorityError::Damaged)?;
        let point = secret
            .verifying_key()
            .to_sec1_point(false)
            .as_bytes()
            .to_vec();
        Ok(Self { secret, point })
    }

    fn sign_der(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = self.secret.sign(message);
        signature.to_der().as_bytes().to_vec()
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.sign_der(message))
    }
}

/// The device CA.
pub struct Authority {
    issuer: Issuer<'static, Key>,
    certificate: Vec<u8>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// A certificate as it was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub der: Vec<u8>,
    /// SHA-256 of it, hexadecimal.
    pub fingerprint: String,
    /// Valid from.
    pub not_before_ms: u64,
    /// Valid until.
    pub not_after_ms: u64,
}

/// A key of this server with its certificate.
pub struct Credential {
    key: Key,
    /// The certificate.
    pub issued: Issued,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({})", self.issued.fingerprint)
    }
}

impl Credential {
    /// ECDSA over the SHA-256 of `message`, ASN.1 DER.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign_der(message)
    }

    /// The private key in PKCS #8, for TLS.
    ///
    /// # Panics
    /// Never: every P-256 key has that form.
    #[must_use]
    pub fn pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        let document = self
            .key
            .secret
            .to_pkcs8_der()
            .expect("a P-256 key has a PKCS #8 form");
        Zeroizing::new(document.as_bytes().to_vec())
    }

    /// Whether two thirds of its life are over.
    #[must_use]
    pub const fn is_due(&self, now_ms: u64) -> bool {
        let life = self.issued.not_after_ms - self.issued.not_before_ms;
        now_ms >= self.issued.not_before_ms + life / 3 * 2
    }
}

/// A checked certificate signing request.
#[derive(Debug)]
pub struct Request {
    params: CertificateSigningRequestParams,
    /// SHA-256 of its SubjectPublicKeyInfo, hexadecimal.
    pub key: String,
    /// Its subject's common name.
    pub common_name: Option<String>,
}

/// Why a signing request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It is no PKCS #10 request, or asks for what a device does not get.
    #[error("the certificate request cannot be read: send PKCS #10 (RFC 2986) without extensions")]
    Unreadable,
    /// Its signature does not fit its key.
    #[error("the certificate request is not signed by its own key")]
    Signature,
    /// Its key is of another kind.
    #[error("the certificate request's key is not on the curve P-256")]
    Key,
}

impl Request {
    /// Reads and checks a PKCS #10 request.
    ///
    /// # Errors
    /// When it cannot be read, is not signed by its key, or its key is not P-256.
    pub fn parse(der: &[u8]) -> Result<Self, RequestError> {
        let params =
            CertificateSigningRequestParams::from_der(&der.into()).map_err(
                |error| match error {
                    rcgen::Error::InvalidCertificationRequestSignature => RequestError::Signature,
                    _ => RequestError::Unreadable,
                },
            )?;
        let key = &params.public_key;
        // An algorithm alone does not name the curve; the point must be one of P-256.
        if key.algorithm() != &PKCS_ECDSA_P256_SHA256
            || p256::PublicKey::from_sec1_bytes(key.der_bytes()).is_err()
        {
            return Err(RequestError::Key);
        }
        let name = params.params.distinguished_name.get(&DnType::CommonName);
        let common_name = name.and_then(|name| match name {
            DnValue::Utf8String(text) => Some(text.clone()),
            DnValue::PrintableString(text) => Some(text.as_str().to_owned()),
            _ => None,
        });
        Ok(Self {
            key: sha256_hex(&key.subject_public_key_info()),
            common_name,
            params,
        })
    }
}

impl Authority {
    /// Makes the CA: its key and its self-signed certificate.
    ///
    /// # Errors
    /// When there is one already or the keys cannot be written.
    pub fn create(ports: &Ports) -> Result<Self, AuthorityError> {
        let key = Key::generate(ports);
        let mut params = ca_params();
        (params.not_before, params.not_after) = validity(ports, CA_LIFETIME_MS);
        params.serial_number = Some(serial(ports));
        let certificate = params.self_signed(&key)?;
        let secret = Zeroizing::new(key.secret.to_bytes());
        ports.keys.create(CA_CERTIFICATE, certificate.der())?;
        ports.keys.create(CA_KEY, &secret)?;
        Self::open(ports)
    }

    /// Opens the CA.
    ///
    /// # Errors
    /// When its key is missing or damaged.
    pub fn open(ports: &Ports) -> Result<Self, AuthorityError> {
        let key = Key::read(&ports.keys.secret(CA_KEY)?)?;
        Ok(Self {
            issuer: Issuer::new(ca_params(), key),
            certificate: ports.keys.secret(CA_CERTIFICATE)?.to_vec(),
        })
    }

    /// The CA's certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Issues a device's certificate: subject is its id alone, for client authentication alone.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn issue_device(
        &self,
        ports: &Ports,
        device: &str,
        request: &Request,
        lifetime_ms: u64,
    ) -> Result<Issued, AuthorityError> {
        let mut params = leaf_params(ports, lifetime_ms);
        params.distinguished_name.push(DnType::CommonName, device);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params, &request.params.public_key)
    }

    /// Issues this server's certificate for `names`, with a fresh key.
    ///
    /// # Errors
    /// When a name is none, or it cannot be made.
    pub fn issue_server(
        &self,
        ports: &Ports,
        names: &[String],
    ) -> Result<Credential, AuthorityError> {
        let mut params = leaf_params(ports, OWN_LIFETIME_MS);
        params
            .distinguished_name
            .push(DnType::CommonName, "ScanTrip device service");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        for name in names {
            params.subject_alt_names.push(server_name(name)?);
        }
        self.credential(ports, &params)
    }

    /// Issues a key and certificate that sign receipts and nothing else.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn issue_receipt_signer(&self, ports: &Ports) -> Result<Credential, AuthorityError> {
        let mut params = leaf_params(ports, OWN_LIFETIME_MS);
        params
            .distinguished_name
            .push(DnType::CommonName, "ScanTrip receipts");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(RECEIPT_SIGNING.to_vec())];
        self.credential(ports, &params)
    }

    fn credential(
        &self,
        ports: &Ports,
        params: &CertificateParams,
    ) -> Result<Credential, AuthorityError> {
        let key = Key::generate(ports);
        let issued = self.issue(params, &key)?;
        Ok(Credential { key, issued })
    }

    fn issue(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<Issued, AuthorityError> {
        let certificate = params.signed_by(key, &self.issuer)?;
        let milliseconds =
            |time: OffsetDateTime| time.unix_timestamp().unsigned_abs().saturating_mul(1000);
        Ok(Issued {
            fingerprint: sha256_hex(certificate.der()),
            der: certificate.der().to_vec(),
            not_before_ms: milliseconds(params.not_before),
            not_after_ms: milliseconds(params.not_after),
        })
    }
}

/// Checks a name that the server's certificate shall hold.
///
/// # Errors
/// When it is neither a host name nor an address.
pub fn check_server_name(name: &str) -> Result<(), AuthorityError> {
    server_name(name).map(drop)
}

fn server_name(name: &str) -> Result<SanType, AuthorityError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let bad = || AuthorityError::Name(name.to_owned());
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(bad());
    }
    Ok(SanType::DnsName(name.try_into().map_err(|_cause| bad())?))
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "ScanTrip device CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf_params(ports: &Ports, lifetime_ms: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    (params.not_before, params.not_after) = validity(ports, lifetime_ms);
    params.serial_number = Some(serial(ports));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params
}

fn validity(ports: &Ports, lifetime_ms: u64) -> (OffsetDateTime, OffsetDateTime) {
    let now = ports.clock.now_ms();
    // A short life is one of a test: backdating must not eat it.
    let backdate = BACKDATE_MS.min(lifetime_ms / 10);
    (
        moment(now.saturating_sub(backdate)),
        moment(now + lifetime_ms),
    )
}

/// Certificates know seconds; after the year 9999 they know nothing.
fn moment(unix_ms: u64) -> OffsetDateTime {
    i64::try_from(unix_ms / 1000)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// 127 random bits: positive, and without meaning.
fn serial(ports: &Ports) -> SerialNumber {
    let mut bytes = ports.random_bytes::<16>();
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}
