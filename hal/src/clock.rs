//! Time as an argument: boot time for intervals, wall time for people.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A point on the boot clock: milliseconds since an arbitrary origin, never set back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The point `ms` milliseconds after the clock's origin.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the clock's origin.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Time passed since `earlier`, zero when `earlier` lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(rhs.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, rhs: Self) -> Duration {
        self.since(rhs)
    }
}

/// Wall-clock time: milliseconds since 1970-01-01 00:00 UTC. May be wrong, may jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The point `ms` milliseconds after 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// The point `seconds` seconds after 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn as_seconds(self) -> u64 {
        self.0 / 1000
    }
}

/// Where the time comes from. A real clock, or a number in a test.
pub trait Clock: Send + Sync {
    /// Time since boot, suspend included. For every interval and deadline.
    fn boot(&self) -> Instant;
    /// The wall clock as it is set. For what people read; never for an interval.
    fn wall(&self) -> UnixTime;
}
