//! A bounded cache whose entries are believed for one second.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long an entry is believed: a revocation works within this time in every process.
const FRESH_MS: u64 = 1000;
/// Most entries: some megabytes.
const ENTRIES_MAX: usize = 10_000;

/// Values by key, each with the time it was read.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    entries: Mutex<HashMap<K, (u64, V)>>,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            entries: Mutex::new(HashMap::new()),
        }
    }

    /// The value of `key` if it was read less than a second before `now_ms`.
    pub(crate) fn get(&self, key: &K, now_ms: u64) -> Option<V> {
        let entries = self.lock();
        let (read_at, value) = entries.get(key)?;
        fresh(*read_at, now_ms).then(|| value.clone())
    }

    pub(crate) fn put(&self, key: K, value: V, now_ms: u64) {
        let mut entries = self.lock();
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, (read_at, _)| fresh(*read_at, now_ms));
        }
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(key, (now_ms, value));
    }

    /// Forgets everything: after a change in this process.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, (u64, V)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn fresh(read_at_ms: u64, now_ms: u64) -> bool {
    now_ms >= read_at_ms && now_ms - read_at_ms < FRESH_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_believed_for_a_second() {
        let cache = Cache::new();
        cache.put("a", 1, 5000);
        assert_eq!(cache.get(&"a", 5999), Some(1));
        assert_eq!(cache.get(&"a", 6000), None);
        assert_eq!(
            cache.get(&"a", 4999),
            None,
            "a clock set back proves nothing"
        );
        for number in 0..=ENTRIES_MAX {
            cache.put(Box::leak(number.to_string().into_boxed_str()), 1, 5000);
        }
        assert!(cache.lock().len() <= ENTRIES_MAX);
    }
}
