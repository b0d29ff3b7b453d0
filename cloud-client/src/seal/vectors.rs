//! Known answers: the CFRG's for HPKE, ours for the whole format.

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::DhP256HkdfSha256;
use hpke::{OpModeR, OpModeS, Serializable};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::suite::Random;
use super::*;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HpkeVector {
    info: String,
    ikm_e: String,
    ikm_r: String,
    sk_rm: String,
    pk_rm: String,
    enc: String,
    plaintext: String,
    encryptions: Vec<Encryption>,
    exports: Vec<Export>,
}

#[derive(Deserialize)]
struct Encryption {
    aad: String,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Export {
    context: String,
    value: String,
}

#[test]
fn hpke_answers_as_the_cfrg_vectors_say() {
    let vector: HpkeVector =
        serde_json::from_str(include_str!("../../testdata/hpke-vectors.json")).unwrap();
    let private = PrivateKey::generate(&mut |bytes| bytes.copy_from_slice(&unhex(&vector.ikm_r)));
    assert_eq!(hex(&*private.to_bytes()), vector.sk_rm);
    assert_eq!(hex(&private.public().point.to_bytes()), vector.pk_rm);

    let info = unhex(&vector.info);
    let (enc, mut sender) = hpke::setup_sender_with_rng::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
        &OpModeS::Base,
        &private.public().point,
        &info,
        &mut Random(&mut |bytes| bytes.copy_from_slice(&unhex(&vector.ikm_e))),
    )
    .unwrap();
    assert_eq!(hex(&enc.to_bytes()), vector.enc);
    for encryption in &vector.encryptions {
        let sealed = sender
            .seal(&unhex(&vector.plaintext), &unhex(&encryption.aad))
            .unwrap();
        assert_eq!(hex(&sealed), encryption.ciphertext);
    }
    let receiver = hpke::setup_receiver::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
        &OpModeR::Base,
        &private.scalar,
        &enc,
        &info,
    )
    .unwrap();
    for export in &vector.exports {
        let mut value = [0; 32];
        sender.export(&unhex(&export.context), &mut value).unwrap();
        assert_eq!(hex(&value), export.value);
        receiver
            .export(&unhex(&export.context), &mut value)
            .unwrap();
        assert_eq!(hex(&value), export.value);
    }
}

/// One of our published vectors. The plaintext's byte `i` is `i mod 251`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SealVector {
    name: String,
    private_key: String,
    /// The random bytes that the KEM is given (`ikmE` of RFC 9180).
    random: String,
    kind: u8,
    tenant: String,
    device: String,
    job: String,
    object: u32,
    chunk_size: u32,
    plaintext_len: usize,
    sealed_len: usize,
    sealed_sha256: String,
    /// Absent where it would be long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SealVectors {
    note: String,
    vectors: Vec<SealVector>,
}

#[test]
fn our_vectors_are_what_we_seal() {
    let text = include_str!("../../testdata/seal-vectors.json");
    let made = SealVectors {
        note: NOTE.to_owned(),
        vectors: make_all(),
    };
    assert_eq!(text, serde_json::to_string_pretty(&made).unwrap() + "\n");
}

#[test]
fn our_vectors_open() {
    let text = include_str!("../../testdata/seal-vectors.json");
    let read: SealVectors = serde_json::from_str(text).unwrap();
    let mut opened = 0;
    for vector in &read.vectors {
        let Some(sealed) = &vector.sealed else {
            continue;
        };
        let private = PrivateKey::from_bytes(&unhex(&vector.private_key)).unwrap();
        let id = ObjectId {
            kind: ObjectKind::from_number(vector.kind).unwrap(),
            tenant: vector.tenant.clone(),
            device: vector.device.clone(),
            job: unhex(&vector.job).try_into().unwrap(),
            object: vector.object,
        };
        let plaintext = open_to_vec(&private, &id, &unhex(sealed)).unwrap();
        assert_eq!(*plaintext, pattern(vector.plaintext_len), "{}", vector.name);
        opened += 1;
    }
    assert_eq!(opened, 9);
}

const NOTE: &str = "Sealed objects of version 1, suite 1 (docs/formats.md). Byte i of each plaintext \
                    is i mod 251; random is what the KEM draws (ikmE of RFC 9180).";

fn make_all() -> Vec<SealVector> {
    let mut vectors: Vec<_> = [
        ("empty", ObjectKind::Page, 0),
        ("one byte", ObjectKind::Page, 1),
        ("a chunk less one", ObjectKind::Page, 15),
        ("a chunk", ObjectKind::Page, 16),
        ("a chunk and one", ObjectKind::Page, 17),
        ("three chunks and five", ObjectKind::Page, 53),
        ("a manifest", ObjectKind::Manifest, 40),
        ("an intent", ObjectKind::Intent, 40),
        ("a blob", ObjectKind::Blob, 40),
    ]
    .into_iter()
    .enumerate()
    .map(|(index, (name, kind, len))| make(name, index, kind, 16, len))
    .collect();
    let chunk = CHUNK_BYTES as usize;
    for (name, len) in [
        ("a product chunk", chunk),
        ("three product chunks and five", 3 * chunk + 5),
    ] {
        vectors.push(make(
            name,
            vectors.len(),
            ObjectKind::Page,
            CHUNK_BYTES,
            len,
        ));
    }
    vectors
}

fn make(name: &str, index: usize, kind: ObjectKind, chunk_size: u32, len: usize) -> SealVector {
    let seed = u8::try_from(index).unwrap();
    let private = PrivateKey::generate(&mut |bytes| bytes.fill(0xA0));
    let object = match kind {
        ObjectKind::Manifest => 0,
        ObjectKind::Intent => crate::wire::INTENT_OBJECT,
        ObjectKind::Page | ObjectKind::Blob => 1 + u32::from(seed),
    };
    let job = if kind == ObjectKind::Blob {
        [0; 16]
    } else {
        [0x10 + seed; 16]
    };
    let id = ObjectId {
        kind,
        tenant: "tenant-1".to_owned(),
        device: "device-1".to_owned(),
        job,
        object,
    };
    let random = [seed; 32];
    let mut draw = |bytes: &mut [u8]| bytes.copy_from_slice(&random);
    let mut sealer = Sealer::new(private.public(), &id, chunk_size, &mut draw).unwrap();
    let mut sealed = sealer.header().to_vec();
    sealer.push(&pattern(len), &mut sealed).unwrap();
    sealer.finish(&mut sealed);
    SealVector {
        name: name.to_owned(),
        private_key: hex(&*private.to_bytes()),
        random: hex(&random),
        kind: kind.number(),
        tenant: id.tenant,
        device: id.device,
        job: hex(&job),
        object,
        chunk_size,
        plaintext_len: len,
        sealed_len: sealed.len(),
        sealed_sha256: hex(&Sha256::digest(&sealed)),
        sealed: (sealed.len() < 1024).then(|| hex(&sealed)),
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
