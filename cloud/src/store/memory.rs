//! The store in memory: for tests and the simulation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Change, Expect, Item, Key, OPERATIONS_MAX, Operation, Range, Store, StoreError};

/// Items in a map. What a crash would leave is what is in it.
#[derive(Default)]
pub struct MemoryStore {
    items: Mutex<BTreeMap<Key, Row>>,
    power: Option<Arc<Power>>,
}

/// Asked before and after each commit whether the machine still has power, so that a simulation
/// can cut it on either side.
pub type Power = dyn Fn() -> bool + Send + Sync;

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryStore")
    }
}

#[derive(Clone, Debug)]
struct Row {
    version: u64,
    body: Vec<u8>,
    expires_at_ms: Option<u64>,
}

impl Row {
    fn lives(&self, now_ms: u64) -> bool {
        self.expires_at_ms.is_none_or(|end| now_ms < end)
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another store with the same items.
    #[cfg(feature = "fuzz")]
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            items: Mutex::new(self.lock().clone()),
            power: None,
        }
    }

    /// What a machine finds that starts again now: the same items, with a power of its own.
    #[must_use]
    pub fn restarted(&self, power: Option<Arc<Power>>) -> Self {
        Self {
            items: Mutex::new(self.lock().clone()),
            power,
        }
    }

    /// A crash point.
    fn powered(&self) -> Result<(), StoreError> {
        if self.power.as_ref().is_none_or(|power| power()) {
            return Ok(());
        }
        Err(StoreError::Engine {
            operation: "commit",
            source: "the power is off".into(),
        })
    }

    /// Every stored byte, keys and bodies: for tests that look for what must not be there.
    #[must_use]
    pub fn dump(&self) -> Vec<u8> {
        self.lock()
            .iter()
            .flat_map(|(key, row)| {
                [
                    key.partition.as_bytes(),
                    b" ",
                    key.sort.as_bytes(),
                    b" ",
                    &row.body,
                    b"\n",
                ]
                .concat()
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Row>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &Key, now_ms: u64) -> Result<Option<Item>, StoreError> {
        Ok(self
            .lock()
            .get(key)
            .filter(|row| row.lives(now_ms))
            .map(|row| item(key, row)))
    }

    fn range(&self, range: &Range<'_>, now_ms: u64) -> Result<Vec<Item>, StoreError> {
        let start = range.prefix.max(range.after);
        Ok(self
            .lock()
            .range(Key::new(range.partition, start)..)
            .take_while(|(key, _)| {
                key.partition == range.partition && key.sort.starts_with(range.prefix)
            })
            .filter(|(key, row)| {
                (range.after.is_empty() || key.sort.as_str() > range.after) && row.lives(now_ms)
            })
            .take(range.limit)
            .map(|(key, row)| item(key, row))
            .collect())
    }

    fn transact(&self, operations: &[Operation], now_ms: u64) -> Result<(), StoreError> {
        if operations.len() > OPERATIONS_MAX {
            return Err(StoreError::TooLarge(operations.len()));
        }
        self.powered()?;
        let mut items = self.lock();
        for (index, operation) in operations.iter().enumerate() {
            let found = items
                .get(&operation.key)
                .filter(|row| row.lives(now_ms))
                .map(|row| row.version);
            let holds = match operation.expect {
                Expect::Absent => found.is_none(),
                Expect::Version(version) => found == Some(version),
            };
            if !holds {
                return Err(StoreError::Conflict { index });
            }
        }
        for operation in operations {
            match &operation.change {
                Change::Put {
                    body,
                    expires_at_ms,
                } => {
                    items.insert(
                        operation.key.clone(),
                        Row {
                            version: operation.expect.next_version(),
                            body: body.clone(),
                            expires_at_ms: *expires_at_ms,
                        },
                    );
                }
                Change::Delete => {
                    items.remove(&operation.key);
                }
                Change::Check => {}
            }
        }
        drop(items);
        self.powered()
    }

    fn sweep(&self, now_ms: u64, limit: usize) -> Result<usize, StoreError> {
        self.powered()?;
        let mut items = self.lock();
        let dead: Vec<Key> = items
            .iter()
            .filter(|(_, row)| !row.lives(now_ms))
            .take(limit)
            .map(|(key, _)| key.clone())
            .collect();
        for key in &dead {
            items.remove(key);
        }
        drop(items);
        self.powered()?;
        Ok(dead.len())
    }
}

fn item(key: &Key, row: &Row) -> Item {
    Item {
        sort: key.sort.clone(),
        version: row.version,
        body: row.body.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::MemoryStore;

    #[test]
    fn memory_passes_the_store_suite() {
        super::super::conformance::check(&|| Box::new(MemoryStore::new()));
        let on = || MemoryStore::new().restarted(Some(Arc::new(|| true)));
        super::super::conformance::check(&|| Box::new(on()));
    }
}
