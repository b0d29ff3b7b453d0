//! Suite 1: HPKE base mode over P-256, HKDF-SHA256 and AES-256-GCM, and the STREAM chunks.

use std::convert::Infallible;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::DhP256HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable};
use scantrip_aead::{Cipher, NONCE_BYTES, NotAuthentic};
use zeroize::Zeroizing;

use super::header::{BOUND_BYTES, ENC_BYTES};
use super::{ObjectId, PrivateKey, RecipientKey, TAG_BYTES};

/// The caller's randomness, as HPKE wants it.
pub(super) struct Random<'a>(pub(super) &'a mut dyn FnMut(&mut [u8]));

impl TryRng for Random<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        (self.0)(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        (self.0)(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        (self.0)(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Random<'_> {}

/// What both sides derive: the commitment and the cipher of the chunks.
pub(super) struct Derived {
    pub(super) commitment: [u8; 32],
    pub(super) chunks: ChunkCipher,
}

/// The sender's half. `bound` is the header up to the encapsulated key.
pub(super) fn encapsulate(
    recipient: &RecipientKey,
    id: &ObjectId,
    bound: &[u8; BOUND_BYTES],
    random: &mut dyn FnMut(&mut [u8]),
) -> ([u8; ENC_BYTES], Derived) {
    let (enc, context) = hpke::setup_sender_with_rng::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
        &OpModeS::Base,
        &recipient.point,
        &info(id, bound),
        &mut Random(random),
    )
    .expect("a checked point of a curve of prime order encapsulates");
    let mut enc_bytes = [0; ENC_BYTES];
    enc.write_exact(&mut enc_bytes);
    (enc_bytes, derive(|label, out| context.export(label, out)))
}

/// The recipient's half.
pub(super) fn decapsulate(
    private: &PrivateKey,
    id: &ObjectId,
    bound: &[u8; BOUND_BYTES],
    enc: &[u8; ENC_BYTES],
) -> Result<Derived, HpkeError> {
    let enc = <DhP256HkdfSha256 as Kem>::EncappedKey::from_bytes(enc)?;
    let context = hpke::setup_receiver::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
        &OpModeR::Base,
        &private.scalar,
        &enc,
        &info(id, bound),
    )?;
    Ok(derive(|label, out| context.export(label, out)))
}

fn info(id: &ObjectId, bound: &[u8; BOUND_BYTES]) -> Vec<u8> {
    let mut info = b"scantrip seal 1".to_vec();
    for part in [&id.tenant, &id.device] {
        let length = u16::try_from(part.len()).expect("at most ID_BYTES_MAX, checked before");
        info.extend_from_slice(&length.to_be_bytes());
        info.extend_from_slice(part.as_bytes());
    }
    info.extend_from_slice(bound);
    info
}

fn derive(export: impl Fn(&[u8], &mut [u8]) -> Result<(), HpkeError>) -> Derived {
    let mut key = Zeroizing::new([0; 32]);
    let mut prefix = [0; 7];
    let mut commitment = [0; 32];
    let exported = export(b"scantrip body key", key.as_mut_slice())
        .and_then(|()| export(b"scantrip nonce prefix", &mut prefix))
        .and_then(|()| export(b"scantrip commitment", &mut commitment));
    exported.expect("HKDF-SHA256 exports up to 8160 bytes");
    let aead = Cipher::new(&key);
    Derived {
        commitment,
        chunks: ChunkCipher {
            aead,
            prefix,
            counter: 0,
        },
    }
}

/// STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015) over AES-256-GCM: the nonce is the prefix, the
/// chunk's number and whether it is the last.
pub(super) struct ChunkCipher {
    aead: Cipher,
    prefix: [u8; 7],
    counter: u32,
}

impl ChunkCipher {
    /// Encrypts the next chunk in place.
    pub(super) fn seal(&mut self, chunk: &mut [u8], last: bool) -> [u8; TAG_BYTES] {
        let nonce = self.next_nonce(last);
        self.aead
            .seal(&nonce, b"", chunk)
            .expect("a chunk is far below the 64 GiB of AES-GCM")
    }

    /// Verifies the next chunk, then decrypts it in place; a chunk that is refused stays as it was.
    pub(super) fn open(
        &mut self,
        chunk: &mut [u8],
        tag: &[u8; TAG_BYTES],
        last: bool,
    ) -> Result<(), NotAuthentic> {
        let nonce = self.next_nonce(last);
        self.aead.open(&nonce, b"", chunk, tag)
    }

    fn next_nonce(&mut self, last: bool) -> [u8; NONCE_BYTES] {
        let [a, b, c, d, e, f, g] = self.prefix;
        let [n0, n1, n2, n3] = self.counter.to_be_bytes();
        self.counter = self
            .counter
            .checked_add(1)
            .expect("2 GiB in chunks of 16 bytes is below 2^32");
        [a, b, c, d, e, f, g, n0, n1, n2, n3, u8::from(last)]
    }
}
