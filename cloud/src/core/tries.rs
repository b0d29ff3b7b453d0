//! Slows down whoever guesses enrolment codes.
//!
//! Wrong tries are counted per address and per serial number. After a few, each further one
//! doubles the time before the next is looked at; right codes wait too, so that guessing gains
//! nothing. A count is forgotten an hour after the last wrong try.

use scantrip_cloud_client::problem::ProblemKind;
use serde::{Deserialize, Serialize};

use super::Core;
use super::answer::{Refusal, refuse};
use super::global;
use super::jobs::RACES_MAX;
use crate::sealed_store::VaultError;
use crate::store::{Expect, Key, StoreError};

/// People mistype; this many wrong tries cost nothing.
const FREE: u32 = 5;
/// The longest wait: a person at a printer can still get in the same day.
const WAIT_SECONDS_MAX: u64 = 15 * 60;
const FORGET_MS: u64 = 3600 * 1000;

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Tries {
    wrong: u32,
    next_at_ms: u64,
}

/// Who tries: the rows to count in.
pub(crate) struct Tryer {
    keys: [Key; 2],
}

impl Tryer {
    /// Whoever tries from this address for this serial number.
    pub(crate) fn new(core: &Core, address: &str, serial: &str) -> Result<Self, VaultError> {
        let row = |purpose, text: &str| {
            let hash = global::index(&core.ports, purpose, text.as_bytes())?;
            Ok::<_, VaultError>(global::tries_key(&hash))
        };
        Ok(Self {
            keys: [row("address", address)?, row("serial tries", serial)?],
        })
    }

    /// Refuses while it is too early.
    pub(crate) fn check(&self, core: &Core) -> Result<(), Refusal> {
        for key in &self.keys {
            let tries = global::get::<Tries>(&core.ports, key)?
                .unwrap_or_default()
                .0;
            let wait = tries
                .next_at_ms
                .saturating_sub(core.now_ms())
                .div_ceil(1000);
            if wait > 0 {
                let detail = format!("too many wrong codes: wait {wait} seconds, then try again");
                return Err(refuse(ProblemKind::TooManyTries, detail).retry_after(wait));
            }
        }
        Ok(())
    }

    /// Counts a wrong try.
    pub(crate) fn count(&self, core: &Core) -> Result<(), VaultError> {
        self.keys.iter().try_for_each(|key| count(core, key))
    }
}

fn count(core: &Core, key: &Key) -> Result<(), VaultError> {
    for _ in 0..RACES_MAX {
        let now = core.now_ms();
        let old = global::get::<Tries>(&core.ports, key)?;
        let wrong = old.map_or(0, |(tries, _)| tries.wrong).saturating_add(1);
        let wait = if wrong < FREE {
            0
        } else {
            (1_u64 << (wrong - FREE).min(20)).min(WAIT_SECONDS_MAX)
        };
        let new = Tries {
            wrong,
            next_at_ms: now + wait * 1000,
        };
        let expect = old.map_or(Expect::Absent, |(_, version)| Expect::Version(version));
        let put = global::put(key.clone(), expect, &new, Some(now + FORGET_MS));
        match core.ports.store.transact(&[put], now) {
            Err(StoreError::Conflict { .. }) => {}
            other => return Ok(other?),
        }
    }
    Err(VaultError::Races)
}
