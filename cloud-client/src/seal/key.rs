//! The recipient's key pair: P-256, known by the hash of its SubjectPublicKeyInfo.

use hpke::kem::DhP256HkdfSha256;
use hpke::{Deserializable, Kem, Serializable};
use p256::pkcs8::{DecodePublicKey, EncodePublicKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::suite::Random;

/// Why bytes are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the DER of a P-256 SubjectPublicKeyInfo with an uncompressed point.
    #[error("not a P-256 public key (SubjectPublicKeyInfo, DER, uncompressed)")]
    Public,
    /// Not a scalar of the curve.
    #[error("not a P-256 private key of 32 bytes")]
    Private,
}

/// A public key to seal to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientKey {
    pub(super) point: <DhP256HkdfSha256 as Kem>::PublicKey,
    spki_der: Vec<u8>,
    key_id: [u8; 32],
}

impl RecipientKey {
    /// Reads a SubjectPublicKeyInfo (RFC 5280). There is one encoding of each key, so that the key
    /// id is one as well: another encoding of the same point is refused.
    ///
    /// # Errors
    /// [`KeyError::Public`] if it is no P-256 key in that encoding.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = p256::PublicKey::from_public_key_der(der).or(Err(KeyError::Public))?;
        let canonical = key.to_public_key_der().or(Err(KeyError::Public))?;
        if canonical.as_bytes() != der {
            return Err(KeyError::Public);
        }
        let point = Deserializable::from_bytes(&key.to_sec1_bytes()).or(Err(KeyError::Public))?;
        Ok(Self {
            point,
            spki_der: der.to_vec(),
            key_id: Sha256::digest(der).into(),
        })
    }

    /// SHA-256 of [`Self::spki_der`]; what the header names the key by.
    pub fn key_id(&self) -> [u8; 32] {
        self.key_id
    }

    /// The SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    fn from_point(point: <DhP256HkdfSha256 as Kem>::PublicKey) -> Self {
        let key = p256::PublicKey::from_sec1_bytes(&point.to_bytes())
            .expect("a point of the KEM is a point of the curve");
        let der = key.to_public_key_der().expect("a P-256 key has a DER form");
        let spki_der = der.into_vec();
        let key_id = Sha256::digest(&spki_der).into();
        Self {
            point,
            spki_der,
            key_id,
        }
    }
}

/// A private key to open with. Erased from memory when dropped, and never printed.
pub struct PrivateKey {
    pub(super) scalar: <DhP256HkdfSha256 as Kem>::PrivateKey,
    public: RecipientKey,
}

impl PrivateKey {
    /// A new key from 32 random bytes.
    pub fn generate(random: &mut dyn FnMut(&mut [u8])) -> Self {
        let (scalar, point) = DhP256HkdfSha256::gen_keypair_with_rng(&mut Random(random));
        Self {
            scalar,
            public: RecipientKey::from_point(point),
        }
    }

    /// Reads a key stored by [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`KeyError::Private`] if it is no scalar of the curve.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let scalar =
            <DhP256HkdfSha256 as Kem>::PrivateKey::from_bytes(bytes).or(Err(KeyError::Private))?;
        let public = RecipientKey::from_point(DhP256HkdfSha256::sk_to_pk(&scalar));
        Ok(Self { scalar, public })
    }

    /// The scalar, big-endian.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        self.scalar.write_exact(bytes.as_mut_slice());
        bytes
    }

    /// The public half.
    pub fn public(&self) -> &RecipientKey {
        &self.public
    }
}
