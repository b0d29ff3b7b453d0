//! AES-256-GCM in place, for sealed objects and for what the device seals for itself.
//!
//! Why a crate of its own: the code of a generic crate is made where it is used, with that crate's
//! optimisation. Here it is made once and for speed, so that all others can be built for size.
//! Who calls chooses the nonces, and never uses one twice with a key.
#![no_std]

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};

/// Length of a key.
pub const KEY_BYTES: usize = 32;
/// Length of a nonce.
pub const NONCE_BYTES: usize = 12;
/// Length of the authentication tag.
pub const TAG_BYTES: usize = 16;

/// The bytes were altered, cut off, or sealed otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not what was sealed")]
pub struct NotAuthentic;

/// Above the 64 GiB that one nonce may seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too long to be sealed at once")]
pub struct TooLong;

/// A key that is ready to use; forgotten when it is dropped.
pub struct Cipher(Aes256Gcm);

impl Cipher {
    /// Prepares a key.
    #[must_use]
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(Aes256Gcm::new(key.into()))
    }

    /// Encrypts in place; the tag holds the bytes and `context`.
    ///
    /// # Errors
    /// [`TooLong`]; then nothing was encrypted.
    pub fn seal(
        &self,
        nonce: &[u8; NONCE_BYTES],
        context: &[u8],
        bytes: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], TooLong> {
        self.0
            .encrypt_inout_detached(&Nonce::from(*nonce), context, InOutBuf::from(bytes))
            .map(Into::into)
            .or(Err(TooLong))
    }

    /// Verifies, then decrypts in place; what is refused stays as it was.
    ///
    /// # Errors
    /// [`NotAuthentic`].
    pub fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        context: &[u8],
        bytes: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), NotAuthentic> {
        let tag: &Tag = tag.into();
        self.0
            .decrypt_inout_detached(&Nonce::from(*nonce), context, InOutBuf::from(bytes), tag)
            .or(Err(NotAuthentic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 16 of the GCM specification (McGrew and Viega): 60 bytes, 20 of context.
    #[test]
    fn the_specifications_vector_comes_out() {
        let key = [
            0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30,
            0x83, 0x08, 0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d, 0x6a, 0x8f, 0x94,
            0x67, 0x30, 0x83, 0x08,
        ];
        let nonce = [
            0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88,
        ];
        let context = [
            0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad,
            0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2,
        ];
        let plain = [
            0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5, 0xaf, 0xf5,
            0x26, 0x9a, 0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34, 0xf7, 0xda, 0x2e, 0x4c, 0x30, 0x3d,
            0x8a, 0x31, 0x8a, 0x72, 0x1c, 0x3c, 0x0c, 0x95, 0x95, 0x68, 0x09, 0x53, 0x2f, 0xcf,
            0x0e, 0x24, 0x49, 0xa6, 0xb5, 0x25, 0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6, 0x57,
            0xba, 0x63, 0x7b, 0x39,
        ];
        let cipher = Cipher::new(&key);
        let mut bytes = plain;
        let tag = cipher.seal(&nonce, &context, &mut bytes).unwrap();
        assert_eq!(bytes[..4], [0x52, 0x2d, 0xc1, 0xf0]);
        assert_eq!(
            tag,
            [
                0x76, 0xfc, 0x6e, 0xce, 0x0f, 0x4e, 0x17, 0x68, 0xcd, 0xdf, 0x88, 0x53, 0xbb, 0x2d,
                0x55, 0x1b
            ]
        );
        cipher.open(&nonce, &context, &mut bytes, &tag).unwrap();
        assert_eq!(bytes, plain);
    }

    #[test]
    fn altered_bytes_are_refused_and_left_alone() {
        let cipher = Cipher::new(&[7; KEY_BYTES]);
        let mut bytes = *b"a page";
        let tag = cipher.seal(&[1; NONCE_BYTES], b"job", &mut bytes).unwrap();
        let sealed = bytes;
        let refused = Err(NotAuthentic);
        assert_eq!(cipher.open(&[2; 12], b"job", &mut bytes, &tag), refused);
        assert_eq!(cipher.open(&[1; 12], b"other", &mut bytes, &tag), refused);
        bytes[0] ^= 1;
        assert_eq!(cipher.open(&[1; 12], b"job", &mut bytes, &tag), refused);
        bytes[0] ^= 1;
        assert_eq!(bytes, sealed);
    }
}
