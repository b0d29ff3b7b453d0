//! Bytes that are almost right: deterministic mutations of a corpus, for decoders.

use crate::seeded::Seeded;

/// Longest input: decoders of more are met by their limits.
const BYTES_MAX: usize = 256 * 1024;
/// Numbers that lengths and counts like to be wrong with.
const LIES: [u64; 12] = [
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0x7FFF_FFFF_FFFF_FFFF,
    u64::MAX,
];
/// Pieces that text formats are made of.
const WORDS: [&[u8]; 16] = [
    b"\r\n",
    b"\n\n",
    b": ",
    b"{",
    b"}",
    b"[[",
    b"\"",
    b"\\u0000",
    b"null",
    b"-1",
    b"1e999",
    b"%%",
    b"\0",
    b"\xF0\x9F\x96\xA8",
    b"999999999999999999999",
    b"../",
];

/// One of `corpus`, changed in one to four places.
///
/// # Panics
/// When the corpus is empty.
#[must_use]
pub fn mutated(corpus: &[Vec<u8>], random: &mut Seeded) -> Vec<u8> {
    let mut bytes = pick(corpus, random).clone();
    for _ in 0..=random.below(4) {
        change(&mut bytes, corpus, random);
    }
    bytes.truncate(BYTES_MAX);
    bytes
}

fn pick<'a, T>(all: &'a [T], random: &mut Seeded) -> &'a T {
    &all[random.below(all.len())]
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Seeded) {
    let at = random.below(bytes.len() + 1);
    let end = (at + 1 + random.below(64)).min(bytes.len()).max(at);
    match random.below(10) {
        0 => flip(bytes, at, random),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(at..end)),
        3 => {
            let piece = bytes[at..end].to_vec();
            insert(bytes, at, &piece);
        }
        4 => insert(bytes, at, WORDS[random.below(WORDS.len())]),
        5 => lie(bytes, at, random),
        6 => {
            let other = pick(corpus, random);
            let from = random.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        7 => {
            // A block over another one, as a misdirected write would do.
            let from = random.below(bytes.len() / 4096 + 1) * 4096;
            let block = bytes[from.min(bytes.len())..(from + 4096).min(bytes.len())].to_vec();
            overwrite(bytes, at / 4096 * 4096, &block);
        }
        8 => bytes
            .iter_mut()
            .take(end)
            .skip(at)
            .for_each(|byte| *byte = 0),
        _ => {
            let noise = random.draw().to_le_bytes();
            overwrite(bytes, at, &noise);
        }
    }
}

fn flip(bytes: &mut [u8], at: usize, random: &mut Seeded) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

/// A number of one to eight bytes, of either byte order, where a number may stand; or digits.
fn lie(bytes: &mut Vec<u8>, at: usize, random: &mut Seeded) {
    let number = *pick(&LIES, random);
    let width = 1 << random.below(4);
    match random.below(3) {
        0 => overwrite(bytes, at, &number.to_le_bytes()[..width]),
        1 => overwrite(bytes, at, &number.to_be_bytes()[8 - width..]),
        _ => {
            let Some(start) = bytes.iter().skip(at).position(u8::is_ascii_digit) else {
                return;
            };
            let start = at + start;
            let digits = bytes[start..].iter().take_while(|b| b.is_ascii_digit());
            let end = start + digits.count();
            drop(bytes.splice(start..end, number.to_string().bytes()));
        }
    }
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(with) {
        *to = *from;
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    drop(bytes.splice(at..at, piece.iter().copied()));
}
