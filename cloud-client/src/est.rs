//! Enrolment and renewal over EST (RFC 7030, RFC 8951).
//!
//! Bodies are base64 of DER both ways. The answers are certs-only PKCS #7, with the certificates
//! in any order: the device's own is the one with its public key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use embedded_svc::http::client::{Connection, Method};
use zeroize::Zeroizing;

use crate::certificate::{CertDer, CertificateError, Facts, Validity};
use crate::code::EnrollmentCode;
use crate::http::call;
use crate::problem::CallError;

mod csr;
mod error;
mod pkcs7;

pub use csr::{CsrError, csr};
pub use error::{EnrollError, IssuedError};
pub use pkcs7::{Pkcs7Error, certificates};

/// Largest answer: a chain of a few certificates.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const CSR_TYPE: &str = "application/pkcs10";
const CERTIFICATES_TYPE: &str = "application/pkcs7-mime";

/// A certificate that the cloud issued to this device, checked against what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The device's certificate, then its issuers.
    pub chain: Vec<CertDer>,
    /// The device's id: the certificate's common name.
    pub device: String,
    /// Valid from, in milliseconds since 1970-01-01 00:00 UTC.
    pub not_before_ms: u64,
    /// Valid until.
    pub not_after_ms: u64,
}

/// The device authorities of the cloud: the anchors for its servers and its receipts.
///
/// # Errors
/// When the call fails or the answer holds no authority.
pub fn cacerts<C: Connection>(conn: &mut C) -> Result<Vec<CertDer>, CallError> {
    let path = "/.well-known/est/cacerts";
    call::send(conn, Method::Get, path, &[], None)?;
    let answer = certificates_of(conn)?;
    let mut authorities = Vec::new();
    for der in answer {
        let facts = Facts::read(&der).map_err(call::protocol)?;
        if facts.is_ca {
            authorities.push(der);
        }
    }
    if authorities.is_empty() {
        return Err(call::protocol("the cloud named no device authority"));
    }
    Ok(authorities)
}

/// Asks for the first certificate with an enrolment code; `csr` is of [`csr()`].
///
/// The same code with the same key gets the same certificate again, so that this may be repeated
/// after a lost answer. Call it only on a connection whose server has been verified.
///
/// # Errors
/// When the code is refused, the cloud asks to wait, the call fails, or what was issued does not
/// fit; says what to do.
pub fn simple_enroll<C: Connection>(
    conn: &mut C,
    serial: &str,
    code: &EnrollmentCode,
    csr: &[u8],
    now_ms: u64,
) -> Result<Issued, EnrollError> {
    if serial.contains(':') || serial.chars().any(char::is_control) {
        return Err(EnrollError::Serial);
    }
    let mut credentials = Zeroizing::new(Vec::with_capacity(serial.len() + 16));
    credentials.extend_from_slice(serial.as_bytes());
    credentials.push(b':');
    credentials.extend_from_slice(code.as_bytes());
    let mut basic = Zeroizing::new("Basic ".to_owned());
    STANDARD.encode_string(&credentials, &mut basic);
    let path = "/.well-known/est/simpleenroll";
    enroll(conn, path, Some(&basic), csr)?;
    answer_of(conn, csr, now_ms)
}

/// Asks for the next certificate, over a connection with the present one; `csr` must have the
/// present certificate's subject.
///
/// # Errors
/// As [`simple_enroll`].
pub fn simple_reenroll<C: Connection>(
    conn: &mut C,
    csr: &[u8],
    now_ms: u64,
) -> Result<Issued, EnrollError> {
    enroll(conn, "/.well-known/est/simplereenroll", None, csr)?;
    let issued = answer_of(conn, csr, now_ms)?;
    let (name, _) = csr::name_and_key(csr)?;
    match name.as_ref() == Some(&issued.device) {
        true => Ok(issued),
        false => Err(IssuedError::Subject.into()),
    }
}

fn enroll<C: Connection>(
    conn: &mut C,
    path: &str,
    authorization: Option<&str>,
    csr: &[u8],
) -> Result<(), EnrollError> {
    let body = lines(&STANDARD.encode(csr));
    let mut headers = vec![("Content-Type", CSR_TYPE)];
    if let Some(value) = authorization {
        headers.push(("Authorization", value));
    }
    call::send(conn, Method::Post, path, &headers, Some(body.as_bytes())).map_err(EnrollError::from)
}

fn answer_of<C: Connection>(conn: &mut C, csr: &[u8], now_ms: u64) -> Result<Issued, EnrollError> {
    if conn.status() == 202 {
        let after = call::retry_after(conn);
        return Err(EnrollError::Pending { after });
    }
    let certificates = certificates_of(conn)?;
    let (_, key) = csr::name_and_key(csr)?;
    Ok(accept(&certificates, &key, now_ms)?)
}

fn certificates_of<C: Connection>(conn: &mut C) -> Result<Vec<CertDer>, CallError> {
    call::expect(conn, &[200], CERTIFICATES_TYPE)?;
    let text = call::read_all(conn, ANSWER_BYTES_MAX)?;
    certificates(&text).map_err(call::protocol)
}

/// base64 in lines of 64, each ended, as RFC 7468 has them: some servers insist on it.
fn lines(base64: &str) -> String {
    let mut text = String::with_capacity(base64.len() + base64.len() / 64 + 1);
    for (at, symbol) in (1..).zip(base64.chars()) {
        text.push(symbol);
        if at % 64 == 0 {
            text.push('\n');
        }
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Picks the certificate with our key, checks it, and puts its issuers behind it.
fn accept(certificates: &[CertDer], key: &[u8], now_ms: u64) -> Result<Issued, IssuedError> {
    let read = certificates
        .iter()
        .map(|der| Ok((der, Facts::read(der)?)))
        .collect::<Result<Vec<_>, CertificateError>>()
        .map_err(IssuedError::Unreadable)?;
    let (leaf, facts) = read
        .iter()
        .find(|(_, facts)| facts.public_key == key)
        .ok_or(IssuedError::Key)?;
    if facts.is_ca || !facts.client_auth {
        return Err(IssuedError::Usage);
    }
    let device = match &facts.common_name {
        Some(name) if (1..=128).contains(&name.len()) && !name.contains(char::is_control) => {
            name.clone()
        }
        _ => return Err(IssuedError::Subject),
    };
    let Validity {
        not_before_ms,
        not_after_ms,
    } = facts.validity;
    // A first day ahead of our clock proves that the clock is late; see `tls`.
    if not_after_ms <= not_before_ms || not_after_ms <= now_ms {
        return Err(IssuedError::Validity);
    }
    let mut chain = vec![(*leaf).clone()];
    let mut last = facts;
    while chain.len() < read.len() {
        let issuer = read.iter().find(|(der, candidate)| {
            candidate.subject == last.issuer
                && candidate.is_ca
                && !candidate.is_self_issued()
                && !chain.contains(*der)
        });
        let Some((der, candidate)) = issuer else {
            break;
        };
        chain.push((*der).clone());
        last = candidate;
    }
    Ok(Issued {
        chain,
        device,
        not_before_ms,
        not_after_ms,
    })
}

#[cfg(test)]
mod tests;
