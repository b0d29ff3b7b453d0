//! Reads certs-only PKCS #7: a SignedData without signers (RFC 5652, section 5; RFC 8551, 3.8).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _};

use crate::certificate::CertDer;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
/// `[0]`, constructed: the content of a ContentInfo, and the certificates of a SignedData.
const FIELD_0: Tag = Tag::ContextSpecific {
    constructed: true,
    number: TagNumber(0),
};
/// Longest text that is looked at.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Most certificates of one answer.
const CERTIFICATES_MAX: usize = 16;
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes that are no certs-only PKCS #7.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Pkcs7Error {
    /// More than is looked at.
    #[error("the certificates are longer than 64 KiB")]
    TooLong,
    /// Neither base64 nor PEM.
    #[error("the certificates are not in base64")]
    Base64,
    /// Not a SignedData.
    #[error("the certificates are not in a PKCS #7 SignedData: {0}")]
    Structure(String),
    /// Well-formed and empty.
    #[error("the answer holds no certificate")]
    Empty,
    /// More than anybody needs.
    #[error("the answer holds more than 16 certificates")]
    TooMany,
}

impl From<der::Error> for Pkcs7Error {
    fn from(error: der::Error) -> Self {
        Self::Structure(error.to_string())
    }
}

/// The certificates of a certs-only PKCS #7 in base64 or PEM, in the order they came.
///
/// # Errors
/// When there is none, or the text is something else.
pub fn certificates(text: &[u8]) -> Result<Vec<CertDer>, Pkcs7Error> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Pkcs7Error::TooLong);
    }
    let symbols: Vec<u8> = text
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .filter(|line| !line.starts_with(b"-----"))
        .flatten()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace() && *byte != 0)
        .collect();
    let der = BASE64
        .decode(symbols)
        .map_err(|_not_base64| Pkcs7Error::Base64)?;
    from_der(&der)
}

fn from_der(der: &[u8]) -> Result<Vec<CertDer>, Pkcs7Error> {
    let mut info = SliceReader::new(sequence(AnyRef::from_der(der)?)?)?;
    let oid = ObjectIdentifier::decode(&mut info)?;
    if oid != SIGNED_DATA {
        return Err(Pkcs7Error::Structure(format!("content of type {oid}")));
    }
    if info.is_finished() {
        return Err(Pkcs7Error::Empty);
    }
    let content = AnyRef::decode(&mut info)?;
    if content.tag() != FIELD_0 {
        return Err(Pkcs7Error::Structure("no content field".to_owned()));
    }
    if content.value().is_empty() {
        return Err(Pkcs7Error::Empty);
    }
    let mut signed_data = SliceReader::new(sequence(AnyRef::from_der(content.value())?)?)?;
    while !signed_data.is_finished() {
        let field = AnyRef::decode(&mut signed_data)?;
        if field.tag() == FIELD_0 {
            return certificate_set(field.value());
        }
    }
    Err(Pkcs7Error::Empty)
}

fn sequence(any: AnyRef<'_>) -> Result<&[u8], Pkcs7Error> {
    match any.tag() {
        Tag::Sequence => Ok(any.value()),
        tag => Err(Pkcs7Error::Structure(format!(
            "{tag} in place of a SEQUENCE"
        ))),
    }
}

fn certificate_set(bytes: &[u8]) -> Result<Vec<CertDer>, Pkcs7Error> {
    let mut reader = SliceReader::new(bytes)?;
    let mut certificates = Vec::new();
    while !reader.is_finished() {
        if certificates.len() == CERTIFICATES_MAX {
            return Err(Pkcs7Error::TooMany);
        }
        certificates.push(reader.tlv_bytes()?.to_vec());
    }
    match certificates.is_empty() {
        true => Err(Pkcs7Error::Empty),
        false => Ok(certificates),
    }
}
