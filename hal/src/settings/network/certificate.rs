//! What a server's certificate (X.509) tells: when it ends, who vouches for it, how strong it is.

use super::tlv::{BIT_STRING, INTEGER, OID, Reader, SEQUENCE};

/// What is read of a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// RFC 3339, UTC.
    pub(super) not_after: String,
    /// Whether it vouches for itself.
    pub(super) self_signed: bool,
    /// `rsa`, `ec`, `ed25519`, `ed448` or `unknown`.
    pub(super) algorithm: &'static str,
    /// Length of the key.
    pub(super) bits: usize,
    /// `md5`, `sha1`, `sha256` or the like, `unknown` otherwise.
    pub(super) hash: &'static str,
}

impl Facts {
    /// RSA from 2048 bits, EC from 256, and no hash that is broken or not known.
    pub(super) fn is_strong(&self) -> bool {
        let long = match self.algorithm {
            "rsa" => self.bits >= 2048,
            "ec" | "ed25519" | "ed448" => self.bits >= 256,
            _ => false,
        };
        long && !["md2", "md5", "sha1", "unknown"].contains(&self.hash)
    }
}

/// Reads a certificate; `None` when it is not one.
pub(super) fn facts(der: &[u8]) -> Option<Facts> {
    let mut certificate = Reader(der).enter(SEQUENCE)?;
    let mut body = certificate.enter(SEQUENCE)?;
    let mut next = body.next()?;
    const VERSION: u8 = 0xa0;
    if next.0 == VERSION {
        next = body.next()?;
    }
    if next.0 != INTEGER {
        return None;
    }
    let _signature = body.expect(SEQUENCE)?;
    let issuer = body.expect(SEQUENCE)?;
    let mut validity = body.enter(SEQUENCE)?;
    let _not_before = validity.next()?;
    let not_after = time(validity.next()?)?;
    let subject = body.expect(SEQUENCE)?;
    let (algorithm, bits) = key(body.enter(SEQUENCE)?)?;
    let hash = hash(certificate.enter(SEQUENCE)?.expect(OID)?);
    Some(Facts {
        not_after,
        self_signed: issuer == subject,
        algorithm,
        bits,
        hash,
    })
}

/// `UTCTime` or `GeneralizedTime` to RFC 3339.
fn time((tag, value): (u8, &[u8])) -> Option<String> {
    const UTC: u8 = 0x17;
    const GENERALIZED: u8 = 0x18;
    let text = str::from_utf8(value).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match (tag, text.len()) {
        (UTC, 12) => {
            let (year, rest) = text.split_at_checked(2)?;
            let century = if year >= "50" { "19" } else { "20" };
            (format!("{century}{year}"), rest)
        }
        (GENERALIZED, 14) => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.to_owned(), rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2);
    let (month, day, hour) = (part(0)?, part(2)?, part(4)?);
    let (minute, second) = (part(6)?, part(8)?);
    Some(format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

fn key(mut info: Reader<'_>) -> Option<(&'static str, usize)> {
    let mut algorithm = info.enter(SEQUENCE)?;
    let name = algorithm.expect(OID)?;
    let bits = info.expect(BIT_STRING)?.get(1..)?;
    Some(match name {
        RSA => {
            let modulus = Reader(bits).enter(SEQUENCE)?.expect(INTEGER)?;
            let zeros = modulus.iter().take_while(|it| **it == 0).count();
            let first = modulus.get(zeros)?;
            let length = (modulus.len() - zeros) * 8 - first.leading_zeros() as usize;
            ("rsa", length)
        }
        EC => ("ec", curve_bits(algorithm.expect(OID)?)),
        ED25519 => ("ed25519", 256),
        ED448 => ("ed448", 456),
        _ => ("unknown", 0),
    })
}

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const ED448: &[u8] = &[0x2b, 0x65, 0x71];

/// Length of the field of a named curve; 0 when it is not known.
fn curve_bits(curve: &[u8]) -> usize {
    match curve {
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7] => 256,
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1] => 192,
        [0x2b, 0x81, 4, 0, 33] => 224,
        [0x2b, 0x81, 4, 0, 34] => 384,
        [0x2b, 0x81, 4, 0, 35] => 521,
        [0x2b, 0x81, 4, 0, 10] => 256,
        _ => 0,
    }
}

fn hash(signature: &[u8]) -> &'static str {
    match signature {
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, rsa] => match rsa {
            2 => "md2",
            4 => "md5",
            5 => "sha1",
            10 => "pss",
            11 => "sha256",
            12 => "sha384",
            13 => "sha512",
            14 => "sha224",
            _ => "unknown",
        },
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1] | [0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3] => "sha1",
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, ecdsa] => match ecdsa {
            1 => "sha224",
            2 => "sha256",
            3 => "sha384",
            4 => "sha512",
            _ => "unknown",
        },
        ED25519 | ED448 => "eddsa",
        _ => "unknown",
    }
}
