//! A whole cloud in memory with virtual time and seeded randomness, for the tests of this crate.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};

use crate::blobs::memory::MemoryBlobs;
use crate::keys::memory::MemoryKeys;
use crate::ports::{Clock, Ports, Random};
use crate::sealed_store::{Vault, data_key_name};
use crate::store::memory::MemoryStore;
use crate::store::{Change, Expect, Item, Key, Operation, Store as _};

/// The address that requests come from.
pub(crate) const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// Virtual time.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// SHA-256 in counter mode over a seed.
#[derive(Debug)]
pub(crate) struct SeededRandom(Mutex<u64>);

impl Random for SeededRandom {
    fn fill(&self, out: &mut [u8]) {
        let mut counter = self.0.lock().unwrap();
        for chunk in out.chunks_mut(32) {
            *counter += 1;
            let block = Sha256::digest(counter.to_be_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

/// The ports in memory.
pub(crate) struct World {
    /// Items.
    pub(crate) store: Arc<MemoryStore>,
    /// Parts.
    pub(crate) blobs: MemoryBlobs,
    /// Time.
    pub(crate) clock: Arc<TestClock>,
    /// All of it.
    pub(crate) ports: Ports,
}

impl World {
    /// A fresh world in which it is November 2023.
    pub(crate) fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let blobs = MemoryBlobs::new();
        let clock = Arc::new(TestClock(AtomicU64::new(1_700_000_000_000)));
        let ports = Ports {
            store: Arc::<MemoryStore>::clone(&store),
            blobs: Arc::new(blobs.clone()),
            keys: Arc::new(MemoryKeys::new()),
            clock: Arc::<TestClock>::clone(&clock),
            random: Arc::new(SeededRandom(Mutex::new(0))),
        };
        Self {
            store,
            blobs,
            clock,
            ports,
        }
    }

    /// Lets time pass.
    pub(crate) fn advance_seconds(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    /// A vault of a tenant with a fresh data key.
    pub(crate) fn vault(&self, tenant: &str) -> Vault {
        self.ports
            .keys
            .create(&data_key_name(tenant), &[7; 32])
            .unwrap();
        Vault::open(&self.ports, tenant).unwrap()
    }

    /// An item as it is stored.
    pub(crate) fn store_get(&self, partition: &str, sort: &str) -> Option<Item> {
        self.store
            .get(&Key::new(partition, sort), self.ports.clock.now_ms())
            .unwrap()
    }

    /// Stores bytes as an item.
    pub(crate) fn store_put(&self, partition: &str, sort: &str, body: &[u8]) {
        let operation = Operation {
            key: Key::new(partition, sort),
            expect: Expect::Absent,
            change: Change::Put {
                body: body.to_vec(),
                expires_at_ms: None,
            },
        };
        self.store
            .transact(&[operation], self.ports.clock.now_ms())
            .unwrap();
    }

    /// Every byte in store and blobs.
    pub(crate) fn everything_stored(&self) -> Vec<u8> {
        [self.store.dump(), self.blobs.dump()].concat()
    }
}
