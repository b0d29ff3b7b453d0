//! The device's clock, and how far it can be trusted.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use scantrip_hal::clock::{Clock, Instant, UnixTime};

/// When this source was written, 2026-11-01: no earlier time is true. Moved with each release.
const RELEASED_MS: u64 = 1_793_491_200_000;
/// The cloud has told no time yet.
const UNKNOWN: i64 = i64::MIN;

/// The clocks, the floor below which no time is true, and the time that the cloud told.
pub struct Time {
    clock: Arc<dyn Clock>,
    floor_ms: AtomicU64,
    cloud_at_boot_ms: AtomicI64,
}

impl Time {
    /// Time by `clock`, but never before `floor_ms`, the last time remembered.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, floor_ms: u64) -> Self {
        Self {
            clock,
            floor_ms: AtomicU64::new(floor_ms.max(RELEASED_MS)),
            cloud_at_boot_ms: AtomicI64::new(UNKNOWN),
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

    /// The best guess: the cloud's time where it was heard, else the device's clock; never below
    /// the floor.
    #[must_use]
    pub fn wall(&self) -> UnixTime {
        let right = match self.cloud_at_boot_ms.load(Ordering::Relaxed) {
            UNKNOWN => self.clock.wall().as_millis(),
            at_boot => self.boot().as_millis().saturating_add_signed(at_boot),
        };
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

    /// The cloud told its time over verified TLS. It runs on with the time since boot, so that
    /// setting the device's clock afterwards does not move it.
    pub fn hear(&self, cloud_ms: u64) {
        let cloud = i64::try_from(cloud_ms).unwrap_or(i64::MAX);
        let boot = i64::try_from(self.boot().as_millis()).unwrap_or(i64::MAX);
        self.cloud_at_boot_ms
            .store(cloud.saturating_sub(boot), Ordering::Relaxed);
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
    fn the_clouds_time_sets_the_wall_right_but_not_the_checks() {
        let late = RELEASED_MS + 1_000_000;
        let time = Time::new(Arc::new(Fixed(late)), 0);
        time.hear(late - 600);
        assert_eq!(time.wall().as_millis(), late - 600);
        assert_eq!(time.for_certificates_ms(), late);
    }
    #[test]
    fn setting_the_clock_does_not_move_the_clouds_time() {
        let late = RELEASED_MS + 1_000_000;
        let clock = Arc::new(Settable(AtomicU64::new(5)));
        let time = Time::new(Arc::<Settable>::clone(&clock), 0);
        time.hear(late);
        clock.0.store(late, Ordering::Relaxed);
        assert_eq!(time.wall().as_millis(), late);
    }

    struct Settable(AtomicU64);

    impl Clock for Settable {
        fn boot(&self) -> Instant {
            Instant::default()
        }

        fn wall(&self) -> UnixTime {
            UnixTime::from_millis(self.0.load(Ordering::Relaxed))
        }
    }
}
