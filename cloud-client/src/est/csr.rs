//! Certificate requests (PKCS #10, RFC 2986).

use der::asn1::{BitString, ObjectIdentifier, SetOfVec, Utf8StringRef};
use der::{Any, Decode as _, Encode as _};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::request::{CertReq, CertReqInfo, Version};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use crate::tls::{SignError, Signer};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// Longest common name (RFC 5280, appendix A).
const COMMON_NAME_CHARS_MAX: usize = 64;

/// A certificate request that cannot be made or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrError {
    /// The name is empty or too long.
    #[error("a certificate's name has 1 to 64 characters")]
    Name,
    /// The key cannot sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The parts do not make a request.
    #[error("the certificate request is not well-formed: {0}")]
    Encoding(String),
}

impl From<der::Error> for CsrError {
    fn from(error: der::Error) -> Self {
        Self::Encoding(error.to_string())
    }
}

/// A certificate request in DER for `signer`'s key; the subject holds `common_name` alone.
///
/// # Errors
/// When the name does not fit or the key cannot sign.
pub fn csr(signer: &dyn Signer, common_name: &str) -> Result<Vec<u8>, CsrError> {
    if !(1..=COMMON_NAME_CHARS_MAX).contains(&common_name.chars().count()) {
        return Err(CsrError::Name);
    }
    let info = CertReqInfo {
        version: Version::V1,
        subject: name(common_name)?,
        public_key: SubjectPublicKeyInfoOwned {
            algorithm: AlgorithmIdentifierOwned {
                oid: EC_PUBLIC_KEY,
                parameters: Some(Any::encode_from(&P256)?),
            },
            subject_public_key: BitString::from_bytes(&signer.public_key())?,
        },
        attributes: SetOfVec::new(),
    };
    let signature = signer.sign(&info.to_der()?)?;
    let request = CertReq {
        info,
        algorithm: AlgorithmIdentifierOwned {
            oid: ECDSA_SHA256,
            parameters: None,
        },
        signature: BitString::from_bytes(&signature)?,
    };
    Ok(request.to_der()?)
}

fn name(common_name: &str) -> Result<Name, der::Error> {
    let attribute = AttributeTypeAndValue {
        oid: COMMON_NAME,
        value: Any::from(Utf8StringRef::new(common_name)?),
    };
    let mut relative = RelativeDistinguishedName::default();
    relative.insert(attribute)?;
    let mut sequence = RdnSequence::default();
    sequence.push(relative);
    Name::from_der(&sequence.to_der()?)
}

/// The common name and the public key's bits of a request.
pub(super) fn name_and_key(csr: &[u8]) -> Result<(Option<String>, Vec<u8>), CsrError> {
    let info = CertReq::from_der(csr)?.info;
    let key = info.public_key.subject_public_key.raw_bytes().to_vec();
    let name = info.subject.common_name()?;
    Ok((name.map(|name| name.value().into_owned()), key))
}
