//! What the format promises: it opens as it was sealed, and in no other way.

use proptest::prelude::*;

use super::*;
use crate::wire::OBJECT_BYTES_MAX;

const CHUNK: u32 = 16;
const SEALED_CHUNK: usize = 32;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::generate(&mut |bytes| bytes.fill(seed))
}

fn page(object: u32) -> ObjectId {
    ObjectId {
        kind: ObjectKind::Page,
        tenant: "tenant".to_owned(),
        device: "device".to_owned(),
        job: [3; 16],
        object,
    }
}

fn seal(private: &PrivateKey, id: &ObjectId, chunk: u32, pieces: &[&[u8]]) -> Vec<u8> {
    let mut random = |bytes: &mut [u8]| bytes.fill(9);
    let mut sealer = Sealer::new(private.public(), id, chunk, &mut random).unwrap();
    let mut out = sealer.header().to_vec();
    for piece in pieces {
        sealer.push(piece, &mut out).unwrap();
    }
    sealer.finish(&mut out);
    out
}

fn refused(private: &PrivateKey, id: &ObjectId, sealed: &[u8]) -> OpenError {
    open_to_vec(private, id, sealed).expect_err("must not open")
}

/// A sealed page of `chunks` chunks (the last one of five bytes), cut in header and chunks.
fn chunked(chunks: usize) -> (PrivateKey, Vec<u8>, Vec<Vec<u8>>) {
    let private = key(1);
    let plaintext = vec![7; (chunks - 1) * CHUNK as usize + 5];
    let sealed = seal(&private, &page(1), CHUNK, &[&plaintext]);
    let (header, body) = sealed.split_at(HEADER_BYTES);
    (
        private,
        header.to_vec(),
        body.chunks(SEALED_CHUNK).map(<[u8]>::to_vec).collect(),
    )
}

fn joined(header: &[u8], chunks: &[Vec<u8>]) -> Vec<u8> {
    [header, &chunks.concat()].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn opens_as_it_was_sealed_in_any_pieces(
        plaintext in proptest::collection::vec(any::<u8>(), 0..200),
        chunk in 16u32..80,
        cut_in in 1usize..90,
        cut_out in 1usize..90,
    ) {
        let private = key(1);
        let pieces: Vec<&[u8]> = plaintext.chunks(cut_in).collect();
        let sealed = seal(&private, &page(1), chunk, &pieces);
        prop_assert_eq!(&sealed, &seal(&private, &page(1), chunk, &[&plaintext]));
        prop_assert_eq!(sealed.len() as u64, sealed_len(plaintext.len() as u64, chunk));

        let (header, body) = sealed.split_first_chunk::<HEADER_BYTES>().unwrap();
        let mut opener = Opener::new(&private, &page(1), header).unwrap();
        let mut opened = Vec::new();
        for piece in body.chunks(cut_out) {
            opener.push(piece, &mut opened).unwrap();
        }
        opener.finish(&mut opened).unwrap();
        prop_assert_eq!(opened, plaintext);
    }

    #[test]
    fn no_bytes_make_the_header_parser_fail_otherwise(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = ObjectHeader::parse(&bytes);
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let private = key(1);
    let sealed = seal(&private, &page(1), CHUNK, &[&[7; 37]]);
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(
            open_to_vec(&private, &page(1), &flipped).is_err(),
            "bit {bit}"
        );
    }
}

#[test]
fn every_truncation_and_extension_is_refused() {
    let private = key(1);
    let sealed = seal(&private, &page(1), CHUNK, &[&[7; 48]]);
    for len in 0..sealed.len() {
        assert!(
            open_to_vec(&private, &page(1), &sealed[..len]).is_err(),
            "{len} bytes"
        );
    }
    for extra in 1..40 {
        let longer = [sealed.as_slice(), &vec![0; extra]].concat();
        assert!(
            open_to_vec(&private, &page(1), &longer).is_err(),
            "{extra} more"
        );
    }
}

#[test]
fn chunks_cannot_be_dropped_swapped_or_repeated() {
    let (private, header, chunks) = chunked(4);
    assert!(open_to_vec(&private, &page(1), &joined(&header, &chunks)).is_ok());
    for index in 0..chunks.len() {
        let mut dropped = chunks.clone();
        dropped.remove(index);
        let bytes = joined(&header, &dropped);
        assert!(matches!(
            refused(&private, &page(1), &bytes),
            OpenError::Chunk(_)
        ));
        let mut repeated = chunks.clone();
        repeated.insert(index, chunks[index].clone());
        let bytes = joined(&header, &repeated);
        assert!(matches!(
            refused(&private, &page(1), &bytes),
            OpenError::Chunk(_)
        ));
    }
    for (a, b) in [(0, 1), (1, 2), (0, 2), (2, 3)] {
        let mut swapped = chunks.clone();
        swapped.swap(a, b);
        assert_eq!(
            refused(&private, &page(1), &joined(&header, &swapped)),
            OpenError::Chunk(a as u64)
        );
    }
}

#[test]
fn chunks_of_another_object_are_refused() {
    let (private, header, mut chunks) = chunked(3);
    let other = seal(&private, &page(2), CHUNK, &[&[7; 37]]);
    chunks[1] = other[HEADER_BYTES + SEALED_CHUNK..HEADER_BYTES + 2 * SEALED_CHUNK].to_vec();
    assert_eq!(
        refused(&private, &page(1), &joined(&header, &chunks)),
        OpenError::Chunk(1)
    );
}

#[test]
fn only_plaintext_before_the_damage_is_released() {
    let (private, header, mut chunks) = chunked(4);
    chunks[2][0] ^= 1;
    let header: [u8; HEADER_BYTES] = header.try_into().unwrap();
    let mut opener = Opener::new(&private, &page(1), &header).unwrap();
    let mut out = Vec::new();
    assert_eq!(
        opener.push(&chunks.concat(), &mut out),
        Err(OpenError::Chunk(2))
    );
    assert_eq!(out, [7; 32]);
    assert_eq!(opener.push(&[0], &mut out), Err(OpenError::Chunk(2)));
    assert_eq!(opener.finish(&mut out), Err(OpenError::Chunk(2)));
    assert_eq!(out, [7; 32]);
}

#[test]
fn a_longer_object_may_not_end_with_an_empty_chunk() {
    let private = key(1);
    let mut random = |bytes: &mut [u8]| bytes.fill(9);
    let (private_id, id) = (private.public(), page(1));
    let header = *Sealer::new(private_id, &id, CHUNK, &mut random)
        .unwrap()
        .header();
    // A sealer that breaks the rule: its cipher seals one full chunk, then an empty last one.
    let parsed = ObjectHeader::parse(&header).unwrap();
    let mut cipher = suite::decapsulate(&private, &id, &parsed.bound(), &parsed.enc)
        .unwrap()
        .chunks;
    let mut full = [7; CHUNK as usize];
    let tag = cipher.seal(&mut full, false);
    let empty = cipher.seal(&mut [], true);
    let sealed = [&header[..], &full, &tag, &empty].concat();
    assert_eq!(refused(&private, &id, &sealed), OpenError::Chunk(1));
}

#[test]
fn an_object_opens_only_where_it_was_sealed_for() {
    let private = key(1);
    let sealed = seal(&private, &page(1), CHUNK, &[b"text"]);
    let of = |change: fn(&mut ObjectId)| {
        let mut id = page(1);
        change(&mut id);
        refused(&private, &id, &sealed)
    };
    assert_eq!(of(|id| id.kind = ObjectKind::Blob), OpenError::OtherObject);
    assert_eq!(of(|id| id.job = [4; 16]), OpenError::OtherObject);
    assert_eq!(of(|id| id.object = 2), OpenError::OtherObject);
    assert_eq!(
        of(|id| id.tenant = "other".to_owned()),
        OpenError::Commitment
    );
    assert_eq!(
        of(|id| id.device = "other".to_owned()),
        OpenError::Commitment
    );
    // The lengths keep the boundary between the two ids.
    let shifted = |id: &mut ObjectId| {
        id.tenant = "tenantd".to_owned();
        id.device = "evice".to_owned();
    };
    assert_eq!(of(shifted), OpenError::Commitment);
    assert_eq!(refused(&key(2), &page(1), &sealed), OpenError::OtherKey);
}

#[test]
fn a_renamed_object_does_not_open() {
    let private = key(1);
    let sealed = seal(&private, &page(1), CHUNK, &[b"text"]);
    let mut header = ObjectHeader::parse(&sealed).unwrap();
    header.object = 2;
    let renamed = [&header.to_bytes()[..], &sealed[HEADER_BYTES..]].concat();
    assert_eq!(refused(&private, &page(2), &renamed), OpenError::Commitment);
}

#[test]
fn a_foreign_commitment_is_refused_before_any_chunk() {
    let private = key(1);
    let mut sealed = seal(&private, &page(1), CHUNK, &[b"text"]);
    sealed[131..163].fill(0);
    let header: [u8; HEADER_BYTES] = sealed[..HEADER_BYTES].try_into().unwrap();
    assert!(matches!(
        Opener::new(&private, &page(1), &header),
        Err(OpenError::Commitment)
    ));
}

#[test]
fn hostile_headers_are_named() {
    let private = key(1);
    let good = seal(&private, &page(1), CHUNK, &[b"text"]);
    let with = |offset: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[offset..offset + bytes.len()].copy_from_slice(bytes);
        ObjectHeader::parse(&bad)
    };
    assert_eq!(
        ObjectHeader::parse(&good[..162]),
        Err(HeaderError::Short(162))
    );
    assert_eq!(with(0, b"STJR"), Err(HeaderError::Magic));
    assert_eq!(with(4, &[2]), Err(HeaderError::Version(2)));
    assert_eq!(with(5, &[0]), Err(HeaderError::Kind(0)));
    assert_eq!(with(5, &[5]), Err(HeaderError::Kind(5)));
    assert_eq!(with(6, &[0, 2]), Err(HeaderError::Suite(2)));
    for size in [0, 15, CHUNK_BYTES_MAX + 1, u32::MAX] {
        assert_eq!(
            with(8, &size.to_be_bytes()),
            Err(HeaderError::ChunkSize(size))
        );
    }
    assert_eq!(with(64, &[0, 64]), Err(HeaderError::EncLength(64)));
    let mut bad = good;
    bad[66..131].fill(0xFF);
    assert_eq!(refused(&private, &page(1), &bad), OpenError::Encapsulation);
}

#[test]
fn a_header_says_which_key_opens_it() {
    let private = key(1);
    let header = ObjectHeader::parse(&seal(&private, &page(1), CHUNK, &[])).unwrap();
    assert_eq!(header.key_id, private.public().key_id());
    assert_eq!(
        (header.kind, header.job, header.object),
        (ObjectKind::Page, [3; 16], 1)
    );
}

#[test]
fn the_limits_are_checked_before_anything_is_taken() {
    let private = key(1);
    let mut random = |bytes: &mut [u8]| bytes.fill(9);
    for size in [0, 15, CHUNK_BYTES_MAX + 1] {
        let made = Sealer::new(private.public(), &page(1), size, &mut random);
        assert_eq!(
            made.err(),
            Some(SealError::ChunkSize(HeaderError::ChunkSize(size)))
        );
    }
    let mut id = page(1);
    id.device = "x".repeat(ID_BYTES_MAX + 1);
    let made = Sealer::new(private.public(), &id, CHUNK, &mut random);
    assert_eq!(made.err(), Some(SealError::IdTooLong(257)));

    assert!(sealed_len(OBJECT_BYTES_MAX, CHUNK_BYTES) > OBJECT_BYTES_MAX);
    let mut sealer = Sealer::new(private.public(), &page(1), CHUNK, &mut random).unwrap();
    sealer.pretend_pushed(OBJECT_BYTES_MAX - 100);
    let mut out = Vec::new();
    assert_eq!(sealer.push(&[0; 50], &mut out), Err(SealError::TooLarge));
    assert!(out.is_empty());
}

#[test]
fn keys_survive_storage_and_other_encodings_are_refused() {
    let private = key(1);
    let read = PrivateKey::from_bytes(&*private.to_bytes()).unwrap();
    assert_eq!(read.public(), private.public());
    let spki = private.public().spki_der();
    assert_eq!(
        RecipientKey::from_spki_der(spki).as_ref(),
        Ok(private.public())
    );
    assert_eq!(spki.len(), 91);
    for bad in [&spki[..90], &[spki, &[0]].concat(), b""] {
        assert_eq!(RecipientKey::from_spki_der(bad), Err(KeyError::Public));
    }
    assert_eq!(
        PrivateKey::from_bytes(&[0; 32]).err(),
        Some(KeyError::Private)
    );
    assert_eq!(
        PrivateKey::from_bytes(&[0xFF; 32]).err(),
        Some(KeyError::Private)
    );
    assert_eq!(
        PrivateKey::from_bytes(&[1; 31]).err(),
        Some(KeyError::Private)
    );
}
