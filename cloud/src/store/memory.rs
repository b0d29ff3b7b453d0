//! The store in memory: for tests and the simulation.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Change, Expect, Item, Key, OPERATIONS_MAX, Operation, Range, Store, StoreError};

/// Items in a map. What a crash would leave is what is in it.
#[derive(Debug, Default)]
pub struct MemoryStore {
    items: Mutex<BTreeMap<Key, Row>>,
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
        }
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
        Ok(())
    }

    fn sweep(&self, now_ms: u64, limit: usize) -> Result<usize, StoreError> {
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
    use super::MemoryStore;

    #[test]
    fn memory_passes_the_store_suite() {
        super::super::conformance::check(&|| Box::new(MemoryStore::new()));
    }
}
