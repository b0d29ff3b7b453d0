//! Finds plaintext where it must not be: any 16 bytes in a row of what is watched.

use std::collections::HashSet;

/// Length of a window: long enough that random bytes never match by chance.
pub const WINDOW_BYTES: usize = 16;
/// Windows of fewer different bytes are left out: padding and tables are everywhere.
const DISTINCT_BYTES_MIN: u32 = 8;
const FILTER_BITS: usize = 1 << 20;

/// A set of 16-byte windows, searched at every offset for the price of a multiplication a byte.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    exact: HashSet<u128>,
    /// A bit for each window's hash, so that nearly all offsets are settled by one look.
    filter: Vec<u64>,
}

impl Windows {
    /// No windows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches every 16 bytes in a row of `plaintext`.
    pub fn add(&mut self, plaintext: &[u8]) {
        self.filter.resize(FILTER_BITS / 64, 0);
        for window in plaintext.windows(WINDOW_BYTES) {
            if distinct(window) < DISTINCT_BYTES_MIN {
                continue;
            }
            let value = window.iter().fold(0, |value, &byte| push(value, byte));
            let (word, bit) = slot(value);
            if let Some(word) = self.filter.get_mut(word) {
                *word |= bit;
            }
            self.exact.insert(value);
        }
    }

    /// Where the first watched window starts in `bytes`.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Option<usize> {
        if self.exact.is_empty() {
            return None;
        }
        let mut value = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            value = push(value, byte);
            let (word, bit) = slot(value);
            let maybe = self.filter.get(word).is_some_and(|word| word & bit != 0);
            if maybe && at + 1 >= WINDOW_BYTES && self.exact.contains(&value) {
                return Some(at + 1 - WINDOW_BYTES);
            }
        }
        None
    }
}

const fn push(value: u128, byte: u8) -> u128 {
    (value << 8) | byte as u128
}

const fn slot(value: u128) -> (usize, u64) {
    let folded = (value as u64) ^ ((value >> 64) as u64).rotate_left(29);
    let hash = (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44) as usize;
    (hash / 64, 1 << (hash % 64))
}

fn distinct(window: &[u8]) -> u32 {
    let mut seen = [0_u64; 4];
    for &byte in window {
        if let Some(word) = seen.get_mut(usize::from(byte / 64)) {
            *word |= 1 << (byte % 64);
        }
    }
    seen.iter().map(|word| word.count_ones()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(seed: u64, count: usize) -> Vec<u8> {
        let mut dice = super::super::dice::Dice::new(seed);
        (0..count).map(|_| dice.next() as u8).collect()
    }

    #[test]
    fn sixteen_bytes_in_a_row_are_found_at_any_offset() {
        let secret = bytes(1, 4000);
        let mut windows = Windows::new();
        windows.add(&secret);
        for start in [0, 1, 977, 3984] {
            let mut text = bytes(2, 500);
            text.splice(33..33, secret[start..start + 16].iter().copied());
            assert_eq!(windows.find(&text), Some(33));
        }
    }

    #[test]
    fn fifteen_bytes_and_padding_are_not() {
        let secret = [bytes(1, 400), vec![0; 400]].concat();
        let mut windows = Windows::new();
        windows.add(&secret);
        let text = [&bytes(2, 50), &secret[..15], &bytes(3, 50), &[0; 99]].concat();
        assert_eq!(windows.find(&text), None);
    }
}
