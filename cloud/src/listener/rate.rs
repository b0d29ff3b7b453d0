//! A rate limit in one number (the generic cell rate algorithm): the moment up to which what came
//! so far would have been in time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::limits::Rate;

const SECOND_NS: u64 = 1_000_000_000;

/// One that is limited. Times are since the listener's start.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    taken_until_ns: AtomicU64,
}

impl Meter {
    /// Takes one; or how long to wait for it.
    pub(crate) fn take(&self, rate: Rate, now: Duration) -> Result<(), Duration> {
        let now = nanoseconds(now);
        let each = SECOND_NS / u64::from(rate.per_second.max(1));
        let ahead = each.saturating_mul(u64::from(rate.burst.max(1)));
        let next = |until: u64| {
            let until = until.max(now).saturating_add(each);
            (until.saturating_sub(now) <= ahead).then_some(until)
        };
        self.taken_until_ns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .map(drop)
            .map_err(|until| Duration::from_nanos((until + each).saturating_sub(now + ahead)))
    }

    /// Whether it is as if nothing had ever been taken.
    pub(crate) fn is_rested(&self, now: Duration) -> bool {
        self.taken_until_ns.load(Ordering::Relaxed) <= nanoseconds(now)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 3,
    };

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_burst_passes_and_then_one_per_tenth_of_a_second() {
        let meter = Meter::default();
        for _ in 0..3 {
            assert_eq!(meter.take(RATE, ms(5000)), Ok(()));
        }
        assert_eq!(meter.take(RATE, ms(5000)), Err(ms(100)));
        assert_eq!(meter.take(RATE, ms(5040)), Err(ms(60)));
        assert_eq!(meter.take(RATE, ms(5100)), Ok(()));
        assert_eq!(meter.take(RATE, ms(5100)), Err(ms(100)));
        assert!(!meter.is_rested(ms(5399)));
        assert!(meter.is_rested(ms(5400)));
        for _ in 0..3 {
            assert_eq!(meter.take(RATE, ms(9000)), Ok(()));
        }
        assert!(
            meter.take(RATE, ms(9000)).is_err(),
            "a pause saves up one burst"
        );
    }
}
