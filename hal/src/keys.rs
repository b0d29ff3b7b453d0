//! The device's keys: made, used and kept behind this port, so that a TPM or a secure element can
//! take the place of the key file.

use alloc::string::String;
use alloc::vec::Vec;

/// One of the two places for an identity key: the one in use and the one being proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeySlot {
    /// The first slot.
    A,
    /// The second slot.
    B,
}

impl KeySlot {
    /// The other slot.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A P-256 public key as an uncompressed point (SEC 1, 2.3.3): 0x04, x, y.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 65]);

/// A failed key operation. Never holds key material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The slot holds no key.
    #[error("key slot {0:?} is empty")]
    Empty(KeySlot),
    /// Sealed bytes did not open: altered, of another device, or for another context.
    #[error("sealed state does not open with this device's key")]
    NotOurs,
    /// The store could not be read or written.
    #[error("cannot {operation} the key store: {reason}")]
    Store {
        /// What was attempted.
        operation: &'static str,
        /// The cause in the system's words.
        reason: String,
    },
}

/// Keeps the device's private keys. They never leave it.
pub trait KeyStore: Send + Sync {
    /// Makes a new P-256 key in `slot`, replacing what is there; durable when this returns.
    ///
    /// # Errors
    /// When the key cannot be made or stored; the slot then holds what it held before.
    fn generate(&self, slot: KeySlot) -> Result<PublicKey, KeyError>;
    /// The public half of the key in `slot`, if there is one.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn public(&self, slot: KeySlot) -> Result<Option<PublicKey>, KeyError>;
    /// An ECDSA signature over the SHA-256 of `message`, in ASN.1 DER (RFC 3279, 2.2.3).
    ///
    /// # Errors
    /// [`KeyError::Empty`] when the slot holds no key.
    fn sign(&self, slot: KeySlot, message: &[u8]) -> Result<Vec<u8>, KeyError>;
    /// Forgets the key in `slot` for good; content when there is none.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn remove(&self, slot: KeySlot) -> Result<(), KeyError>;
    /// Seals `plaintext` with the device-local key, bound to `context` (AES-256-GCM).
    ///
    /// # Errors
    /// When the store cannot be read or randomness is not available.
    fn seal_local(&self, context: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, KeyError>;
    /// Opens what [`KeyStore::seal_local`] sealed for the same `context`.
    ///
    /// # Errors
    /// [`KeyError::NotOurs`] when it does not open.
    fn open_local(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KeyError>;
    /// Forgets every key, the device-local one included; what was sealed with it is lost for good.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn wipe(&self) -> Result<(), KeyError>;
}
