//! The device's clock, and how far it can be trusted.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use scantrip_hal::clock::{Clock, Instant, UnixTime};

/// When this source was written, 2026-11-01: no earlier time is true. Moved with each release.
const RELEASED_MS: u64 = 1_793_491_200_000;
/// No skew was measured.
const UNKNOWN: i64 = i64::MIN;

/// The clocks, the floor below which no time is true, and the skew that was measured.
pub struct Time {
    clock: Arc<dyn Clock>,
    floor_ms: AtomicU64,
    skew_ms: AtomicI64,
}

impl Time {
    /// Time by `clock`, but never before `floor_ms`, the last time remembered.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, floor_ms: u64) -> Self {
        Self {
            clock,
            floor_ms: AtomicU64::new(floor_ms.max(RELEASED_MS)),
            skew_ms: AtomicI64::new(UNKNOWN),
        }
    }

    /// Time since boot.
    #[must_use]
    pub fn boot(&self) -> Instant {
        self.clock.boot()
    }

    /// The device's clock as it is set.
    #[must_use]
    pub fn clock(&self) -> UnixTime {
        self.clock.wall()
    }

    /// The best guess: the device's clock, set right by the measured skew, never below the floor.
    #[must_use]
    pub fn wall(&self) -> UnixTime {
        let clock = self.clock.wall().as_millis();
        let skew = match self.skew_ms.load(Ordering::Relaxed) {
            UNKNOWN => 0,
            skew => skew,
        };
        let right = clock.saturating_add_signed(skew);
        UnixTime::from_millis(right.max(self.floor_ms()))
    }

    /// What certificates are checked against: the device's clock, never below the floor.
    #[must_use]
    pub fn for_certificates_ms(&self) -> u64 {
        self.clock.wall().as_millis().max(self.floor_ms())
    }

    /// A time that is surely past.
    #[must_use]
    pub fn floor_ms(&self) -> u64 {
        self.floor_ms.load(Ordering::Relaxed)
    }

    /// It is later than `unix_ms`.
    pub fn raise_floor(&self, unix_ms: u64) {
        self.floor_ms.fetch_max(unix_ms, Ordering::Relaxed);
    }

    /// Takes back a floor that turned out to be a lie.
    pub(crate) fn restore_floor(&self, unix_ms: u64) {
        self.floor_ms.store(unix_ms, Ordering::Relaxed);
    }

    /// The cloud told its time over verified TLS.
    pub fn hear(&self, cloud_ms: u64) {
        let cloud = i64::try_from(cloud_ms).unwrap_or(i64::MAX);
        let device = i64::try_from(self.clock.wall().as_millis()).unwrap_or(i64::MAX);
        self.skew_ms
            .store(cloud.saturating_sub(device), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u64);

    impl Clock for Fixed {
        fn boot(&self) -> Instant {
            Instant::default()
        }

        fn wall(&self) -> UnixTime {
            UnixTime::from_millis(self.0)
        }
    }

    #[test]
    fn a_clock_that_is_behind_is_lifted_to_the_floor() {
        let time = Time::new(Arc::new(Fixed(5)), 0);
        assert_eq!(time.for_certificates_ms(), RELEASED_MS);
        time.raise_floor(RELEASED_MS + 7);
        time.raise_floor(RELEASED_MS);
        assert_eq!(time.wall().as_millis(), RELEASED_MS + 7);
        assert_eq!(time.clock().as_millis(), 5);
    }

    #[test]
    fn the_measured_skew_sets_the_wall_right_but_not_the_checks() {
        let late = RELEASED_MS + 1_000_000;
        let time = Time::new(Arc::new(Fixed(late)), 0);
        time.hear(late - 600);
        assert_eq!(time.wall().as_millis(), late - 600);
        assert_eq!(time.for_certificates_ms(), late);
    }
}
