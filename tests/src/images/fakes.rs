//! Keys, randomness and sealed bytes that cost nothing: enough to see what is bound to what.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use scantrip_hal::entropy::{Entropy, EntropyError};
use scantrip_hal::keys::{KeyError, KeySlot, KeyStore, PublicKey};
use scantrip_hal::sim::disk::Dice;
use sha2::{Digest as _, Sha256};

/// Randomness that repeats.
#[derive(Clone, Debug)]
pub struct FakeEntropy(pub Dice);

impl Entropy for FakeEntropy {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        self.0.fill(out);
        Ok(())
    }
}

/// Seals by a tag and a mask.
#[derive(Clone, Copy, Debug)]
pub struct FakeKeys;

const TAG_BYTES: usize = 32;

impl KeyStore for FakeKeys {
    fn generate(&self, slot: KeySlot) -> Result<PublicKey, KeyError> {
        Err(KeyError::Empty(slot))
    }

    fn public(&self, _slot: KeySlot) -> Result<Option<PublicKey>, KeyError> {
        Ok(None)
    }

    fn sign(&self, slot: KeySlot, _message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Err(KeyError::Empty(slot))
    }

    fn remove(&self, _slot: KeySlot) -> Result<(), KeyError> {
        Ok(())
    }

    fn seal_local(&self, context: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut sealed = vec![0; TAG_BYTES];
        sealed.extend(plaintext.iter().map(|byte| byte ^ 0x5A));
        let tag = tag(context, &sealed[TAG_BYTES..]);
        sealed[..TAG_BYTES].copy_from_slice(&tag);
        Ok(sealed)
    }

    fn open_local(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        match sealed.split_first_chunk::<TAG_BYTES>() {
            Some((found, masked)) if *found == tag(context, masked) => {
                Ok(masked.iter().map(|byte| byte ^ 0x5A).collect())
            }
            _ => Err(KeyError::NotOurs),
        }
    }

    fn wipe(&self) -> Result<(), KeyError> {
        Ok(())
    }
}

fn tag(context: &[u8], masked: &[u8]) -> [u8; TAG_BYTES] {
    let hash = Sha256::new().chain_update(context).chain_update(masked);
    hash.finalize().into()
}

/// Bytes that look sealed. Every image is held against the same few, so they are made once.
#[must_use]
pub fn sealed_bytes(seed: u64, length: usize) -> Arc<[u8]> {
    thread_local!(static MADE: RefCell<HashMap<(u64, usize), Arc<[u8]>>> = RefCell::default());
    let make = || {
        let mut bytes = vec![0; length];
        Dice::new(seed.wrapping_mul(0x0100_0000_01B3)).fill(&mut bytes);
        bytes.into()
    };
    MADE.with_borrow_mut(|made| Arc::clone(made.entry((seed, length)).or_insert_with(make)))
}
