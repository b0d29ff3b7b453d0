//! How long to wait before trying again.
//!
//! Pure functions of the attempt and a random number. The wait is drawn evenly between nothing and
//! a limit that doubles ("full jitter"), so that a thousand devices cut off at once do not come
//! back at once.

use std::time::{Duration, UNIX_EPOCH};

/// Longest wait that a server may ask for: a day, then we ask again.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Polling the desired state: 5 s to 15 min.
pub const POLL: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(15 * 60));
/// Enrolling and renewing: 10 s to 10 min, without an end.
pub const ENROLL: Backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(10 * 60));
/// Uploading: 2 s to 5 min, for as long as the job lives.
pub const UPLOAD: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(5 * 60));

/// Exponential backoff with full jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
}

impl Backoff {
    /// The first limit and the largest one.
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap }
    }

    /// The same, but no wait is longer than `cap`: whoever repeats a call every so often anyway
    /// relieves nobody by waiting longer than that.
    #[must_use]
    pub fn within(self, cap: Duration) -> Self {
        Self {
            base: self.base.min(cap),
            cap: self.cap.min(cap),
        }
    }

    /// The wait after failure number `attempt`, counted from 0.
    pub fn delay(&self, attempt: u32, random: u64) -> Duration {
        uniform(self.limit(attempt), random)
    }

    /// The wait after failure number `attempt`: what the server asked for if it did, spread by up
    /// to the base so that those who were told the same do not return together.
    pub fn wait(&self, attempt: u32, random: u64, retry_after: Option<Duration>) -> Duration {
        match retry_after {
            Some(asked) => asked.min(RETRY_AFTER_MAX) + uniform(self.base, random),
            None => self.delay(attempt, random),
        }
    }

    /// The longest wait after failure number `attempt`.
    pub fn limit(&self, attempt: u32) -> Duration {
        let factor = 2_u32.checked_pow(attempt).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }
}

/// Reads `Retry-After` (RFC 9110, section 10.2.3): seconds or a date. Negative seconds and dates
/// gone by mean now; more than a day means a day. `None` if it is neither.
///
/// Pass the `Date` of the same answer as `now` where there is one: the device's clock may be wrong.
pub fn parse_retry_after(value: &str, now_unix_s: u64) -> Option<Duration> {
    let value = value.trim();
    let (negative, digits) = match value.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that do not fit are a very long time.
        let seconds = if negative {
            0
        } else {
            digits.parse().unwrap_or(u64::MAX)
        };
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let date_unix_s = date
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    Some(Duration::from_secs(date_unix_s.saturating_sub(now_unix_s)).min(RETRY_AFTER_MAX))
}

/// A duration between zero and `limit`, both included, in milliseconds.
pub(crate) fn uniform(limit: Duration, random: u64) -> Duration {
    let steps = limit.as_millis().min(u128::from(u64::MAX)) + 1;
    let step = (u128::from(random) * steps) >> u64::BITS;
    Duration::from_millis(u64::try_from(step).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_700_000_000; // Tue, 14 Nov 2023 22:13:20 GMT

    fn seconds(value: &str) -> Option<u64> {
        parse_retry_after(value, NOW).map(|wait| wait.as_secs())
    }

    #[test]
    fn limits_double_up_to_the_cap() {
        let limits = |backoff: Backoff| {
            [0, 1, 2, 5, 8, 31, 32, u32::MAX].map(|attempt| backoff.limit(attempt).as_secs())
        };
        assert_eq!(limits(POLL), [5, 10, 20, 160, 900, 900, 900, 900]);
        assert_eq!(limits(ENROLL), [10, 20, 40, 320, 600, 600, 600, 600]);
        assert_eq!(limits(UPLOAD), [2, 4, 8, 64, 300, 300, 300, 300]);
    }

    #[test]
    fn no_wait_is_longer_than_the_period_of_the_call() {
        let minute = POLL.within(Duration::from_secs(60));
        let limits = [0, 3, 4, 9].map(|attempt| minute.limit(attempt).as_secs());
        assert_eq!(limits, [5, 40, 60, 60]);
        let day = POLL.within(Duration::from_secs(86_400));
        assert_eq!(day, POLL);
    }

    #[test]
    fn jitter_covers_all_from_nothing_to_the_limit() {
        assert_eq!(UPLOAD.delay(3, 0), Duration::ZERO);
        assert_eq!(UPLOAD.delay(3, u64::MAX / 2), Duration::from_secs(8));
        assert_eq!(UPLOAD.delay(3, u64::MAX), Duration::from_secs(16));
    }

    #[test]
    fn what_the_server_asks_for_is_kept_and_spread() {
        let asked = Some(Duration::from_secs(100));
        assert_eq!(UPLOAD.wait(9, 0, asked), Duration::from_secs(100));
        assert_eq!(UPLOAD.wait(9, u64::MAX, asked), Duration::from_secs(102));
        assert_eq!(UPLOAD.wait(3, u64::MAX, None), Duration::from_secs(16));
        assert_eq!(UPLOAD.wait(0, 0, Some(Duration::MAX)), RETRY_AFTER_MAX);
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("Tue, 14 Nov 2023 22:14:20 GMT"), Some(60));
    }

    #[test]
    fn absurd_retry_after_is_clamped() {
        assert_eq!(seconds("-5"), Some(0));
        assert_eq!(seconds("86401"), Some(86_400));
        assert_eq!(seconds("99999999999999999999999999"), Some(86_400));
        assert_eq!(seconds("Tue, 14 Nov 2023 22:00:00 GMT"), Some(0));
        assert_eq!(seconds("Thu, 14 Nov 2033 22:00:00 GMT"), None); // it was a Monday
        assert_eq!(seconds("Mon, 14 Nov 2033 22:00:00 GMT"), Some(86_400));
    }

    #[test]
    fn retry_after_that_is_neither_form_is_none() {
        for value in ["", "-", "soon", "1.5", "+3", "0x10", "1 2"] {
            assert_eq!(seconds(value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_wait_passes_its_limit(attempt: u32, random: u64) {
            prop_assert!(POLL.delay(attempt, random) <= POLL.limit(attempt));
            prop_assert!(POLL.limit(attempt) <= Duration::from_secs(900));
        }

        #[test]
        fn any_retry_after_is_at_most_a_day(value in "\\PC{0,40}", now: u64) {
            let wait = parse_retry_after(&value, now).unwrap_or_default();
            prop_assert!(wait <= RETRY_AFTER_MAX);
        }
    }
}
