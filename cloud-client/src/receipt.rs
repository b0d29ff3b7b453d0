//! Receipts: the cloud's signed word that it has a job, and the chain that they form.
//!
//! The signature covers exact bytes, which are kept as they came. The signer's certificate travels
//! with the receipt and must come from the device anchors with an extended key usage of its own, so
//! that the signing key can change without a word to the devices and no TLS key can sign one. Each
//! receipt names the hash of the one before it: a cloud that drops or rewrites one is found out by
//! [`ReceiptChain`].

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, UnixTime};
use sha2::{Digest, Sha256};
use webpki::{EndEntityCert, KeyUsage};

use crate::wire::{Receipt, SignedReceipt};

/// The extended key usage of a certificate that signs receipts: 1.3.6.1.4.1.58270.1.1.
pub const RECEIPT_SIGNING_OID: [u64; 9] = [1, 3, 6, 1, 4, 1, 58270, 1, 1];
/// The same, as DER content bytes.
const RECEIPT_SIGNING: &[u8] = &[0x2B, 6, 1, 4, 1, 0x83, 0xC7, 0x1E, 1, 1];
const VERSION: u32 = 1;
/// Crockford's base32, for a code that is read aloud.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Why a receipt does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// One of its parts is not base64.
    #[error("the receipt's {0} is not base64")]
    Base64(&'static str),
    /// The signed bytes are no receipt.
    #[error("the signed bytes are not a receipt")]
    Malformed(#[source] serde_json::Error),
    /// A later format.
    #[error("receipt of version {0}; this program reads version 1")]
    Version(u32),
    /// The signer's certificate does not come from a device anchor, lacks the usage, or was not
    /// valid when the receipt was made.
    #[error("the receipt's signer is not one of the cloud's")]
    Signer(#[source] webpki::Error),
    /// The bytes were altered or signed by another key.
    #[error("the receipt's signature does not fit its bytes")]
    Signature(#[source] webpki::Error),
    /// A genuine receipt for something else.
    #[error("the receipt is for another {0}")]
    Other(&'static str),
}

/// What a device expects a receipt to be for.
#[derive(Clone, Copy, Debug)]
pub struct Covered<'a> {
    /// The tenant's id.
    pub tenant: &'a str,
    /// The device's id.
    pub device: &'a str,
    /// The job's id.
    pub job: &'a str,
    /// SHA-256 of the envelope's exact bytes.
    pub envelope: &'a [u8; 32],
}

/// Verifies signature and signer against the device anchors (DER).
///
/// The signer's certificate is judged at the time the receipt states, not now: a stored receipt
/// that is answered again years later still counts, also on a device whose clock is wrong.
///
/// # Errors
/// [`ReceiptError`], all but [`ReceiptError::Other`].
pub fn verify(
    signed: &SignedReceipt,
    anchors: &[impl AsRef<[u8]>],
) -> Result<Receipt, ReceiptError> {
    let bytes = decode("bytes", &signed.receipt)?;
    let receipt: Receipt = serde_json::from_slice(&bytes).map_err(ReceiptError::Malformed)?;
    if receipt.version != VERSION {
        return Err(ReceiptError::Version(receipt.version));
    }
    let signature = decode("signature", &signed.signature)?;
    let certificate = CertificateDer::from(decode("certificate", &signed.certificate)?);
    let signer = EndEntityCert::try_from(&certificate).map_err(ReceiptError::Signer)?;

    let anchors: Vec<_> = anchors
        .iter()
        .map(|anchor| CertificateDer::from(anchor.as_ref()))
        .collect();
    let anchors: Vec<_> = anchors
        .iter()
        .filter_map(|anchor| webpki::anchor_from_trusted_cert(anchor).ok())
        .collect();
    let time = UnixTime::since_unix_epoch(Duration::from_millis(receipt.received_at_ms));
    signer
        .verify_for_usage(
            &[webpki::ring::ECDSA_P256_SHA256],
            &anchors,
            &[],
            time,
            KeyUsage::required(RECEIPT_SIGNING),
            None,
            None,
        )
        .map_err(ReceiptError::Signer)?;
    signer
        .verify_signature(webpki::ring::ECDSA_P256_SHA256, &bytes, &signature)
        .map_err(ReceiptError::Signature)?;
    Ok(receipt)
}

/// Verifies a receipt and that it is for this very job: what a device checks before it erases one.
///
/// # Errors
/// [`ReceiptError`].
pub fn verify_for(
    signed: &SignedReceipt,
    anchors: &[impl AsRef<[u8]>],
    covered: &Covered<'_>,
) -> Result<Receipt, ReceiptError> {
    let receipt = verify(signed, anchors)?;
    for (what, fits) in [
        ("tenant", receipt.tenant == covered.tenant),
        ("device", receipt.device == covered.device),
        ("job", receipt.job == covered.job),
        (
            "envelope",
            from_hex(&receipt.envelope).as_ref() == Some(covered.envelope),
        ),
    ] {
        if !fits {
            return Err(ReceiptError::Other(what));
        }
    }
    Ok(receipt)
}

/// SHA-256 of the unsigned bytes: what the next receipt's `prev` names.
///
/// # Errors
/// [`ReceiptError::Base64`].
pub fn hash(signed: &SignedReceipt) -> Result<[u8; 32], ReceiptError> {
    Ok(Sha256::digest(decode("bytes", &signed.receipt)?).into())
}

/// Six symbols of the hash, which a person can compare between panel and console.
///
/// # Errors
/// [`ReceiptError::Base64`].
pub fn code(signed: &SignedReceipt) -> Result<String, ReceiptError> {
    let [a, b, c, d, ..] = hash(signed)?;
    let bits = u32::from_be_bytes([a, b, c, d]);
    let symbols = (0..6).map(|index| (bits >> (27 - 5 * index)) & 31);
    Ok(symbols
        .filter_map(|digit| ALPHABET.get(digit as usize))
        .map(|s| char::from(*s))
        .collect())
}

/// The bytes that the cloud signs.
///
/// # Panics
/// Never: a receipt is strings and numbers.
pub fn to_bytes(receipt: &Receipt) -> Vec<u8> {
    serde_json::to_vec(receipt).expect("a receipt has string keys only")
}

/// A receipt as it travels, from [`to_bytes`], their signature and the signer's certificate (DER).
pub fn assemble(bytes: &[u8], signature: &[u8], certificate: &[u8]) -> SignedReceipt {
    SignedReceipt {
        receipt: STANDARD.encode(bytes),
        signature: STANDARD.encode(signature),
        certificate: STANDARD.encode(certificate),
    }
}

/// The newest receipt of a device that is known: where the chain goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiptChain {
    /// Its number; 0 before the first.
    pub seq: u64,
    /// Its hash; zeros before the first.
    pub head: [u8; 32],
}

/// How a verified receipt fits the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It is the next one: store this head.
    Next(ReceiptChain),
    /// Receipts between are missing: fetch those after this number, then check again.
    Gap {
        /// The last number that is known.
        after: u64,
    },
    /// It is known: the head again, or one before it.
    Duplicate,
    /// Two receipts claim one number. The cloud, or someone with its key, has rewritten history:
    /// keep everything and tell a person.
    Alarm,
}

impl ReceiptChain {
    /// Where a verified receipt with this hash belongs.
    pub fn link(&self, receipt: &Receipt, hash: [u8; 32]) -> Link {
        if receipt.seq == self.seq {
            return if hash == self.head {
                Link::Duplicate
            } else {
                Link::Alarm
            };
        }
        if receipt.seq < self.seq {
            return Link::Duplicate;
        }
        if receipt.seq - self.seq > 1 {
            return Link::Gap { after: self.seq };
        }
        // It names another receipt under our head's number.
        if from_hex(&receipt.prev) != Some(self.head) {
            return Link::Alarm;
        }
        Link::Next(Self {
            seq: receipt.seq,
            head: hash,
        })
    }
}

fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, ReceiptError> {
    STANDARD.decode(text).or(Err(ReceiptError::Base64(part)))
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let high = char::from(*high).to_digit(16)?;
        let low = char::from(*low).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
