//! What drivers share, on a disk in memory and at a time that a test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use scantrip_hal::clock::{Clock, Instant, UnixTime};
use scantrip_hal::identity::DeviceIdentity;
use scantrip_hal::settings::SettingsSource;
use scantrip_hal::storage::SealedStorage;

use super::time::Time;
use super::{Context, ContextParts};
use crate::journal::Journal;
use crate::spool::testing::{Counter, FakeKeys, MemoryDisk};
use crate::spool::{Spool, SpoolLimits};
use crate::store::State;

/// Stands still until it is set, in milliseconds.
#[derive(Default)]
pub(super) struct SetClock(pub(super) AtomicU64);

impl Clock for SetClock {
    fn boot(&self) -> Instant {
        Instant::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn wall(&self) -> UnixTime {
        UnixTime::from_millis(0)
    }
}

/// An agent as it starts, with what its disk remembers.
pub(super) fn context(
    disk: MemoryDisk,
    clock: Arc<SetClock>,
    settings: Option<Box<dyn SettingsSource>>,
) -> Context {
    let (disk, keys) = (Arc::new(disk), Arc::new(FakeKeys));
    let limits = SpoolLimits {
        bytes_max: 1 << 20,
        free_bytes_min: 0,
        reserve_bytes: 0,
    };
    let (spool, _jobs) = Spool::open(disk.clone(), "spool", limits).expect("a spool");
    let journal = Journal::open(disk.clone(), keys.clone(), "state", &mut Counter(1));
    Context::new(ContextParts {
        time: Time::new(clock, 0),
        state: State::new(SealedStorage::new(disk, keys.clone(), "state")),
        keys,
        spool,
        journal: journal.expect("a journal").0,
        device: DeviceIdentity {
            vendor: Default::default(),
            model: Default::default(),
            serial: Default::default(),
            firmware: Default::default(),
        },
        entropy: Box::new(Counter(1)),
        settings,
    })
}
