//! Virtual time and seeded randomness behind the ports of both sides.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use scantrip_cloud::ports;
use scantrip_hal::clock::{Clock, Instant, UnixTime};
use scantrip_hal::entropy::{Entropy, EntropyError};
use scantrip_hal::sim::disk::Dice;

/// Noon of 1 January 2027, UTC.
pub(crate) const START_MS: u64 = 1_798_804_800_000;
/// A second.
pub(crate) const SECOND_MS: u64 = 1000;
/// An hour.
pub(crate) const HOUR_MS: u64 = 3600 * SECOND_MS;
/// A day.
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;

/// The true time. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Timeline(Arc<AtomicU64>);

impl Timeline {
    /// Time at its start.
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(START_MS)))
    }

    /// Milliseconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Goes on to `ms`.
    pub(crate) fn set(&self, ms: u64) {
        self.0.store(ms, Ordering::Relaxed);
    }
}

impl ports::Clock for Timeline {
    fn now_ms(&self) -> u64 {
        self.now()
    }
}

/// A device's clocks: time since its boot, and a wall clock that may be wrong.
#[derive(Clone, Debug)]
pub(crate) struct DeviceClock {
    /// The true time.
    pub(crate) time: Timeline,
    /// When it was switched on.
    pub(crate) booted_ms: u64,
    /// How far its wall clock is off.
    pub(crate) off_ms: Arc<AtomicI64>,
}

impl Clock for DeviceClock {
    fn boot(&self) -> Instant {
        Instant::from_millis(self.time.now().saturating_sub(self.booted_ms))
    }

    fn wall(&self) -> UnixTime {
        let off = self.off_ms.load(Ordering::Relaxed);
        UnixTime::from_millis(self.time.now().saturating_add_signed(off))
    }
}

/// A device's randomness.
#[derive(Debug)]
pub(crate) struct DeviceRandom(pub(crate) Dice);

impl Entropy for DeviceRandom {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        self.0.fill(out);
        Ok(())
    }
}

/// The cloud's randomness.
#[derive(Debug)]
pub(crate) struct CloudRandom(pub(crate) Mutex<Dice>);

impl ports::Random for CloudRandom {
    fn fill(&self, out: &mut [u8]) {
        let mut dice = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        dice.fill(out);
    }
}
