//! Clock and entropy of the operating system.

use rustix::time::{ClockId, clock_gettime};

use crate::clock::{Clock, Instant, UnixTime};
use crate::entropy::{Entropy, EntropyError};

/// The kernel's clocks: `CLOCK_BOOTTIME`, which counts through suspend, and `CLOCK_REALTIME`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The system's clocks.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Clock for SystemClock {
    fn boot(&self) -> Instant {
        Instant::from_millis(milliseconds(ClockId::Boottime))
    }

    fn wall(&self) -> UnixTime {
        UnixTime::from_millis(milliseconds(ClockId::Realtime))
    }
}

/// A clock set before 1970 reads as 1970.
fn milliseconds(id: ClockId) -> u64 {
    let time = clock_gettime(id);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1000 + nanoseconds / 1_000_000
}

/// The kernel's random generator (`getrandom(2)`).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl SystemEntropy {
    /// The system's generator.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Entropy for SystemEntropy {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(out).map_err(|cause| {
            log::error!("getrandom: {cause}");
            EntropyError
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_does_not_run_backwards() {
        let clock = SystemClock::new();
        let first = clock.boot();
        assert!(clock.boot() >= first);
    }

    #[test]
    fn wall_time_is_after_this_was_written() {
        assert!(SystemClock::new().wall() > UnixTime::from_seconds(1_750_000_000));
    }

    #[test]
    fn two_draws_differ() {
        let (mut first, mut second) = ([0; 32], [0; 32]);
        SystemEntropy::new().fill(&mut first).unwrap();
        SystemEntropy::new().fill(&mut second).unwrap();
        assert_ne!(first, second);
    }
}
