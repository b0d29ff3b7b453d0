//! How slow a peer may be: time in which it keeps us waiting is paid for with bytes.

use std::time::Duration;

use super::limits::{CREDIT_MAX, FLOOR_BYTES_PER_SECOND, GRACE};

/// The stillness that a body or an answer has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    credit: Duration,
}

impl Pace {
    /// At the start.
    pub(crate) const fn new() -> Self {
        Self { credit: GRACE }
    }

    /// How much longer it may stand still.
    pub(crate) const fn credit(&self) -> Duration {
        self.credit
    }

    /// It stood still for so long.
    pub(crate) const fn waited(&mut self, time: Duration) {
        self.credit = self.credit.saturating_sub(time);
    }

    /// So many bytes moved.
    pub(crate) fn moved(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let paid = Duration::from_secs(1) * bytes / FLOOR_BYTES_PER_SECOND;
        self.credit = (self.credit + paid).min(CREDIT_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Seconds until a peer that sends `bytes` each second has no credit left, up to `most`.
    fn lasts(bytes: usize, most: u64) -> u64 {
        let mut pace = Pace::new();
        (0..most)
            .find(|_| {
                pace.waited(SECOND);
                let over = pace.credit().is_zero();
                pace.moved(bytes);
                over
            })
            .unwrap_or(most)
    }

    #[test]
    fn a_byte_a_second_lasts_ten_seconds_and_the_floor_lasts_for_ever() {
        assert_eq!(lasts(0, 100_000), 9);
        assert_eq!(lasts(1, 100_000), 10);
        assert!((15..25).contains(&lasts(512, 100_000)));
        assert_eq!(lasts(1024, 100_000), 100_000);
    }

    #[test]
    fn having_been_fast_pays_for_half_a_minute_and_not_more() {
        let mut pace = Pace::new();
        pace.moved(1 << 30);
        pace.waited(29 * SECOND);
        assert_eq!(pace.credit(), SECOND);
    }
}
