//! The agent's small values (`hal::storage`): what was stored is there, old or new and never half.

use std::collections::BTreeMap;
use std::sync::Arc;

use embedded_svc::storage::{RawStorage as _, StorageBase as _};
use scantrip_hal::disk::Disk;
use scantrip_hal::sim::disk::{SimDisk, SimDiskConfig};
use scantrip_hal::storage::SealedStorage;

use super::fakes::{FakeKeys, sealed_bytes};
use super::{Broken, Promise, Stopped, Workload, require};

/// One step: a value is stored, or removed.
#[derive(Clone, Copy, Debug)]
enum Step {
    Set(&'static str, usize),
    Remove(&'static str),
}

const STEPS: [Step; 9] = [
    Step::Set("identity", 700),
    Step::Set("desired", 12_000),
    Step::Set("identity", 900),
    Step::Set("desired", 20_000),
    Step::Set("floor", 20),
    Step::Set("floor", 21),
    Step::Remove("identity"),
    Step::Set("desired", 300),
    Step::Set("identity", 5_000),
];

/// What a value may be: what was acknowledged, or what was under way since.
#[derive(Clone, Debug)]
struct Told {
    /// Lengths tell the values apart; 0 is none.
    known: usize,
    since: Vec<usize>,
}

/// The steps above.
#[derive(Clone, Copy, Debug)]
pub struct Script;

/// What the steps have told.
#[derive(Clone, Debug, Default)]
pub struct Promises(BTreeMap<&'static str, Told>);

struct Machine {
    disk: SimDisk,
    told: Promises,
}

/// A new disk for it.
#[must_use]
pub fn disk() -> SimDisk {
    let config = SimDiskConfig {
        trace: true,
        ..SimDiskConfig::default()
    };
    SimDisk::new(config, 4)
}

impl Workload for Script {
    fn name(&self) -> String {
        "state".to_owned()
    }

    fn run(&self, stop: Option<u64>) -> Box<dyn Stopped> {
        let disk = disk();
        if let Some(stop) = stop {
            disk.stop_at(stop);
        }
        let told = play(&(Arc::new(disk.clone()) as Arc<dyn Disk>));
        Box::new(Machine { disk, told })
    }
}

impl Stopped for Machine {
    fn disk(&self) -> &SimDisk {
        &self.disk
    }

    fn check(&self, image: &SimDisk, _thorough: bool) -> Result<(), Broken> {
        self.told.check(image)
    }

    fn recover(&self, _image: &SimDisk) {}
}

fn value(length: usize) -> Arc<[u8]> {
    sealed_bytes(length as u64, length)
}

fn storage(disk: &Arc<dyn Disk>) -> SealedStorage {
    SealedStorage::new(Arc::clone(disk), Arc::new(FakeKeys), "state")
}

/// Does the steps, each whether or not the one before went well.
#[must_use]
pub fn play(disk: &Arc<dyn Disk>) -> Promises {
    let mut told = Promises::default();
    let mut storage = storage(disk);
    for step in STEPS {
        let (name, length) = match step {
            Step::Set(name, length) => (name, length),
            Step::Remove(name) => (name, 0),
        };
        let told = told.0.entry(name).or_insert(Told {
            known: 0,
            since: Vec::new(),
        });
        told.since.push(length);
        let done = match step {
            Step::Set(..) => storage.set_raw(name, &value(length)).is_ok(),
            Step::Remove(_) => storage.remove(name).is_ok(),
        };
        if done {
            told.known = length;
            told.since.clear();
        }
    }
    told
}

impl Promises {
    /// Reads every value.
    ///
    /// # Errors
    /// When one is neither what was acknowledged nor what was under way.
    pub fn check(&self, image: &SimDisk) -> Result<(), Broken> {
        let disk: Arc<dyn Disk> = Arc::new(image.clone());
        let storage = storage(&disk);
        for (name, told) in &self.0 {
            let found = storage
                .value(name)
                .map_err(|error| Broken::new(Promise::Lost, format!("{name}: {error}")))?;
            let found = found.unwrap_or_default();
            let may_be = |&length: &usize| *found == *value(length);
            let legal = may_be(&told.known) || told.since.iter().any(may_be);
            require(legal, Promise::Lost, || {
                format!("{name} has {} bytes, not {told:?}", found.len())
            })?;
        }
        Ok(())
    }
}
