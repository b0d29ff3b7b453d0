//! What polls are answered from: hot rows in memory, believed as long as nothing was changed.
//!
//! One row, `G#REVISION`, is written in the same transaction as every change by an operator that
//! devices must feel: a revocation, a workflow, a device that enrols again. Looking at that row
//! once a second is enough to know that every other row read since is still true, so that a
//! poll needs no row of its own. A change in this process counts at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::global;
use crate::ports::Ports;
use crate::sealed_store::{Batch, VaultError};
use crate::store::{Expect, Key};

/// How long a look at the revision is believed: a revocation works within this time everywhere.
const FRESH_MS: u64 = 1000;
/// A look is not repeated before this: sooner than it goes stale, so that polls need not wait.
const LOOK_MS: u64 = 500;
/// How long a row is believed without being read again. A renewal by another process is no change
/// of the revision: it retires a certificate that its own device has replaced.
const BELIEVED_MS: u64 = 60 * 1000;
/// Most entries of one cache: some 30 megabytes.
const ENTRIES_MAX: usize = 100_000;

/// The number of changes seen so far.
#[derive(Debug, Default)]
pub(crate) struct Revision {
    /// Changes with every change; what was read under another epoch is not believed.
    epoch: AtomicU64,
    /// When the row was read last.
    looked_at_ms: AtomicU64,
    /// The row's version then.
    version: AtomicU64,
}

impl Revision {
    /// The epoch to read under; take it before reading.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether the row was looked at within the last second.
    pub(crate) fn is_fresh(&self, now_ms: u64) -> bool {
        within(self.looked_at_ms.load(Ordering::Acquire), now_ms, FRESH_MS)
    }

    /// Begins a new epoch: after a change in this process.
    pub(crate) fn advance(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Looks at the row if it is time; `true` when something was changed.
    pub(crate) fn look(&self, ports: &Ports, now_ms: u64) -> Result<bool, VaultError> {
        if within(self.looked_at_ms.load(Ordering::Acquire), now_ms, LOOK_MS) {
            return Ok(false);
        }
        let version = read(ports)?;
        let changed = self.version.swap(version, Ordering::AcqRel) != version;
        if changed {
            self.advance();
        }
        // After the epoch: whoever sees a fresh look sees the new epoch too.
        self.looked_at_ms.store(now_ms, Ordering::Release);
        Ok(changed)
    }
}

fn key() -> Key {
    Key::new("G#REVISION", "-")
}

fn read(ports: &Ports) -> Result<u64, VaultError> {
    Ok(global::get::<()>(ports, &key())?.map_or(0, |((), version)| version))
}

/// Makes `batch` a change that every process sees within a second.
pub(crate) fn announce(batch: &mut Batch<'_>, ports: &Ports) -> Result<(), VaultError> {
    let expect = match read(ports)? {
        0 => Expect::Absent,
        version => Expect::Version(version),
    };
    batch.global(global::put(key(), expect, &(), None));
    Ok(())
}

/// Values by key, each with the epoch and time it was read in.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    entries: Mutex<HashMap<K, Entry<V>>>,
}

#[derive(Debug)]
struct Entry<V> {
    epoch: u64,
    read_at_ms: u64,
    value: V,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            entries: Mutex::new(HashMap::new()),
        }
    }

    /// The value of `key` and when it was read, if that was in this epoch and not too long ago.
    pub(crate) fn get<Q>(&self, key: &Q, epoch: u64, now_ms: u64) -> Option<(V, u64)>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entries = self.lock();
        let entry = entries.get(key)?;
        let true_still = entry.epoch == epoch && believed(entry.read_at_ms, now_ms);
        true_still.then(|| (entry.value.clone(), entry.read_at_ms))
    }

    /// Keeps a value that was read under `epoch`.
    pub(crate) fn put(&self, key: K, value: V, epoch: u64, now_ms: u64) {
        let mut entries = self.lock();
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, entry| entry.epoch == epoch && believed(entry.read_at_ms, now_ms));
        }
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        let entry = Entry {
            epoch,
            read_at_ms: now_ms,
            value,
        };
        entries.insert(key, entry);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Entry<V>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a row read at `read_at_ms` is believed without reading it again.
pub(crate) const fn believed(read_at_ms: u64, now_ms: u64) -> bool {
    within(read_at_ms, now_ms, BELIEVED_MS)
}

/// A clock that was set back proves nothing.
const fn within(then_ms: u64, now_ms: u64, most_ms: u64) -> bool {
    now_ms >= then_ms && now_ms - then_ms < most_ms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    #[test]
    fn an_entry_is_believed_for_a_minute_of_its_epoch() {
        let cache = Cache::new();
        cache.put("a", 1, 7, 5000);
        assert_eq!(cache.get(&"a", 7, 64_999), Some((1, 5000)));
        assert_eq!(cache.get(&"a", 7, 65_000), None);
        assert_eq!(cache.get(&"a", 8, 5000), None, "read before a change");
        assert_eq!(cache.get(&"a", 7, 4999), None, "the clock was set back");
    }

    #[test]
    fn a_cache_is_bounded() {
        let cache = Cache::new();
        for number in 0..=ENTRIES_MAX {
            cache.put(number, 1, 0, 5000);
        }
        assert!(cache.lock().len() <= ENTRIES_MAX);
    }

    #[test]
    fn a_change_by_another_process_begins_an_epoch_at_the_next_look() {
        let world = World::new();
        let vault = world.vault("t");
        let revision = Revision::default();
        let now = world.ports.clock.now_ms();
        assert!(!revision.look(&world.ports, now).unwrap());
        let before = revision.epoch();

        let mut batch = vault.batch();
        announce(&mut batch, &world.ports).unwrap();
        batch.commit().unwrap();
        assert!(!revision.look(&world.ports, now + 499).unwrap());
        assert_eq!(revision.epoch(), before);
        assert!(revision.is_fresh(now + 999));
        assert!(!revision.is_fresh(now + 1000));
        assert!(revision.look(&world.ports, now + 1000).unwrap());
        assert_ne!(revision.epoch(), before);
    }
}
