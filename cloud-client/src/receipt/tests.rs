//! Receipts made with a certificate authority of our own.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SigningKey, date_time_ymd,
};

use super::*;

const ENVELOPE: [u8; 32] = [0xAB; 32];
/// 2026-01-01.
const RECEIVED_AT_MS: u64 = 1_767_225_600_000;

struct World {
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl World {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self {
            ca: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
        }
    }

    fn anchors(&self) -> Vec<Vec<u8>> {
        vec![self.ca.der().to_vec()]
    }

    /// A signer with these usages, valid in 2025 and 2026.
    fn signer(&self, usages: &[&[u64]]) -> (KeyPair, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2026, 12, 31);
        params.extended_key_usages = usages
            .iter()
            .map(|oid| ExtendedKeyUsagePurpose::Other(oid.to_vec()))
            .collect();
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        (key, certificate.der().to_vec())
    }

    fn sign(&self, receipt: &Receipt) -> SignedReceipt {
        let (key, certificate) = self.signer(&[&RECEIPT_SIGNING_OID]);
        let bytes = to_bytes(receipt);
        assemble(&bytes, &key.sign(&bytes).unwrap(), &certificate)
    }
}

fn receipt(seq: u64, prev: [u8; 32]) -> Receipt {
    let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Receipt {
        version: 1,
        tenant: "t".to_owned(),
        device: "d".to_owned(),
        seq,
        prev: hex(prev),
        job: "j".to_owned(),
        envelope: hex(ENVELOPE),
        objects: 3,
        received_at_ms: RECEIVED_AT_MS,
    }
}

fn covered() -> Covered<'static> {
    Covered {
        tenant: "t",
        device: "d",
        job: "j",
        envelope: &ENVELOPE,
    }
}

#[test]
fn a_genuine_receipt_counts() {
    let world = World::new();
    let signed = world.sign(&receipt(1, [0; 32]));
    let read = verify_for(&signed, &world.anchors(), &covered()).unwrap();
    assert_eq!(read, receipt(1, [0; 32]));
    // Another anchor beside it does no harm, nor does one that cannot be read.
    let anchors = [World::new().anchors(), vec![vec![1, 2, 3]], world.anchors()].concat();
    assert!(verify(&signed, &anchors).is_ok());
}

#[test]
fn another_authority_does_not_count() {
    let signed = World::new().sign(&receipt(1, [0; 32]));
    let error = verify(&signed, &World::new().anchors()).unwrap_err();
    assert!(matches!(error, ReceiptError::Signer(_)), "{error}");
    let error = verify(&signed, &Vec::<Vec<u8>>::new()).unwrap_err();
    assert!(matches!(error, ReceiptError::Signer(_)), "{error}");
}

#[test]
fn only_a_receipt_signing_certificate_counts() {
    let world = World::new();
    let server_auth: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 3, 1];
    let neighbour: &[u64] = &[1, 3, 6, 1, 4, 1, 58270, 1, 2];
    for usages in [&[][..], &[server_auth], &[neighbour]] {
        let (key, certificate) = world.signer(usages);
        let bytes = to_bytes(&receipt(1, [0; 32]));
        let signed = assemble(&bytes, &key.sign(&bytes).unwrap(), &certificate);
        let error = verify(&signed, &world.anchors()).unwrap_err();
        assert!(
            matches!(error, ReceiptError::Signer(_)),
            "{usages:?}: {error}"
        );
    }
}

#[test]
fn a_signer_counts_only_while_its_certificate_is_valid() {
    let world = World::new();
    for (received_at_ms, valid) in [
        (RECEIVED_AT_MS - 366 * 86_400_000, false),
        (RECEIVED_AT_MS, true),
        (RECEIVED_AT_MS + 365 * 86_400_000, false),
        (u64::MAX, false),
    ] {
        let signed = world.sign(&Receipt {
            received_at_ms,
            ..receipt(1, [0; 32])
        });
        assert_eq!(
            verify(&signed, &world.anchors()).is_ok(),
            valid,
            "{received_at_ms}"
        );
    }
}

#[test]
fn altered_bytes_do_not_count() {
    let world = World::new();
    let signed = world.sign(&receipt(1, [0; 32]));
    let forged = SignedReceipt {
        receipt: STANDARD.encode(to_bytes(&Receipt {
            objects: 4,
            ..receipt(1, [0; 32])
        })),
        ..signed.clone()
    };
    let error = verify(&forged, &world.anchors()).unwrap_err();
    assert!(matches!(error, ReceiptError::Signature(_)), "{error}");
    let other_key = world.sign(&receipt(1, [0; 32])).certificate;
    let error = verify(
        &SignedReceipt {
            certificate: other_key,
            ..signed
        },
        &world.anchors(),
    );
    assert!(matches!(error, Err(ReceiptError::Signature(_))));
}

#[test]
fn a_receipt_for_something_else_does_not_count() {
    let world = World::new();
    let signed = world.sign(&receipt(1, [0; 32]));
    for (what, covered) in [
        (
            "tenant",
            Covered {
                tenant: "x",
                ..covered()
            },
        ),
        (
            "device",
            Covered {
                device: "x",
                ..covered()
            },
        ),
        (
            "job",
            Covered {
                job: "x",
                ..covered()
            },
        ),
        (
            "envelope",
            Covered {
                envelope: &[0; 32],
                ..covered()
            },
        ),
    ] {
        let error = verify_for(&signed, &world.anchors(), &covered).unwrap_err();
        assert!(
            matches!(error, ReceiptError::Other(other) if other == what),
            "{error}"
        );
    }
}

#[test]
fn garbage_is_named() {
    let world = World::new();
    let good = world.sign(&receipt(1, [0; 32]));
    let check = |signed: SignedReceipt| verify(&signed, &world.anchors()).unwrap_err();
    let error = check(SignedReceipt {
        receipt: "?".to_owned(),
        ..good.clone()
    });
    assert!(matches!(error, ReceiptError::Base64("bytes")));
    let error = check(SignedReceipt {
        receipt: STANDARD.encode(b"{}"),
        ..good.clone()
    });
    assert!(matches!(error, ReceiptError::Malformed(_)));
    let error = check(SignedReceipt {
        certificate: STANDARD.encode(b"no"),
        ..good
    });
    assert!(matches!(error, ReceiptError::Signer(_)));
    let later = world.sign(&Receipt {
        version: 2,
        ..receipt(1, [0; 32])
    });
    assert!(matches!(check(later), ReceiptError::Version(2)));
}

#[test]
fn the_code_is_six_symbols_of_the_hash() {
    // SHA-256 of nothing begins e3b0c442: 11100 01110 11000 01100 01000 10000 (10).
    let signed = assemble(b"", b"", b"");
    assert_eq!(code(&signed).unwrap(), "WERC8G");
}

#[test]
fn the_chain_goes_on_closes_gaps_and_alarms() {
    let start = ReceiptChain::default();
    let Link::Next(first) = start.link(&receipt(1, [0; 32]), [1; 32]) else {
        panic!("the first receipt follows nothing")
    };
    assert_eq!(
        first,
        ReceiptChain {
            seq: 1,
            head: [1; 32]
        }
    );
    assert_eq!(first.link(&receipt(1, [0; 32]), [1; 32]), Link::Duplicate);
    assert_eq!(first.link(&receipt(1, [0; 32]), [9; 32]), Link::Alarm);
    assert_eq!(
        first.link(&receipt(3, [2; 32]), [3; 32]),
        Link::Gap { after: 1 }
    );
    assert_eq!(first.link(&receipt(2, [9; 32]), [2; 32]), Link::Alarm);
    let second = ReceiptChain {
        seq: 2,
        head: [2; 32],
    };
    assert_eq!(
        first.link(&receipt(2, [1; 32]), [2; 32]),
        Link::Next(second)
    );
    assert_eq!(second.link(&receipt(1, [0; 32]), [1; 32]), Link::Duplicate);
    assert_eq!(
        start.link(&receipt(u64::MAX, [0; 32]), [1; 32]),
        Link::Gap { after: 0 }
    );
}
