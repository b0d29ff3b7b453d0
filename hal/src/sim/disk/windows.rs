//! Finds plaintext where it must not be: any 16 bytes in a row of what is watched.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Length of a window: long enough that random bytes never match by chance.
pub const WINDOW_BYTES: usize = 16;
/// Windows of fewer different bytes are left out: padding and tables are everywhere.
const DISTINCT_BYTES_MIN: u32 = 8;
/// What is looked up while searching: a window holds one of these at an offset divisible by it.
const WORD_BYTES: usize = 8;
const FILTER_BITS: usize = 1 << 22;

/// A set of 16-byte windows, searched at every offset for the price of one look per 8 bytes.
/// Clones are the same set.
#[derive(Clone, Debug, Default)]
pub struct Windows(Arc<Mutex<Set>>);

#[derive(Debug, Default)]
struct Set {
    exact: HashSet<[u8; WINDOW_BYTES]>,
    /// A bit for each word's hash, so that nearly all words are settled by one look.
    filter: Vec<u64>,
}

impl Windows {
    /// No windows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches every 16 bytes in a row of `plaintext`.
    pub fn add(&self, plaintext: &[u8]) {
        self.set().add(plaintext);
    }

    /// Where the first watched window starts in `bytes`.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Option<usize> {
        self.set().find(bytes)
    }
}

impl Set {
    fn add(&mut self, plaintext: &[u8]) {
        self.filter.resize(FILTER_BITS / 64, 0);
        for window in plaintext.array_windows() {
            if distinct(window) >= DISTINCT_BYTES_MIN && self.exact.insert(*window) {
                for word in window.array_windows() {
                    let (place, bit) = slot(*word);
                    if let Some(bits) = self.filter.get_mut(place) {
                        *bits |= bit;
                    }
                }
            }
        }
    }

    fn find(&self, bytes: &[u8]) -> Option<usize> {
        if self.exact.is_empty() {
            return None;
        }
        let (words, _) = bytes.as_chunks();
        let maybe = |word: [u8; WORD_BYTES]| {
            let (place, bit) = slot(word);
            self.filter.get(place).is_some_and(|bits| bits & bit != 0)
        };
        for (number, _) in words.iter().enumerate().filter(|(_, word)| maybe(**word)) {
            let at = number * WORD_BYTES;
            // Windows that hold the whole word.
            let first = at.saturating_sub(WINDOW_BYTES - WORD_BYTES);
            let around = bytes.get(first..).unwrap_or_default();
            let mut windows = around.array_windows().take(at - first + 1);
            if let Some(found) = windows.position(|window| self.exact.contains(window)) {
                return Some(first + found);
            }
        }
        None
    }
}

/// Place and bit of a word in the filter.
const fn slot(word: [u8; WORD_BYTES]) -> (usize, u64) {
    let hash = u64::from_le_bytes(word).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 42;
    ((hash / 64) as usize, 1 << (hash % 64))
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
        let windows = Windows::new();
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
        let windows = Windows::new();
        windows.add(&secret);
        let text = [&bytes(2, 50), &secret[..15], &bytes(3, 50), &[0; 99]].concat();
        assert_eq!(windows.find(&text), None);
    }
}
