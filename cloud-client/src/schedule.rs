//! When to poll and when to renew.
//!
//! Pure functions. Ask them on every wake-up with the current time instead of sleeping until a time
//! computed once: a clock may jump either way. Times are milliseconds since 1970, intervals are to
//! be measured on a clock that does not jump.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::retry::uniform;

/// Fastest polling that a cloud may ask for.
pub const POLL_INTERVAL_MIN: Duration = Duration::from_secs(30);
/// Slowest polling: a changed key must reach a device within a day.
pub const POLL_INTERVAL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// A fleet that starts together polls first within this time.
pub const FIRST_POLL_MAX: Duration = Duration::from_secs(10 * 60);
/// In the last tenth of a certificate's life, tries are at most this far apart.
pub const RENEW_RETRY_MAX_LATE: Duration = Duration::from_secs(60 * 60);
/// Certificates that live for minutes (tests) are not tried without a pause.
const RENEW_RETRY_MIN: Duration = Duration::from_secs(1);

/// The poll interval that the cloud asked for, within our bounds.
pub fn poll_interval(asked_seconds: u32) -> Duration {
    Duration::from_secs(asked_seconds.into()).clamp(POLL_INTERVAL_MIN, POLL_INTERVAL_MAX)
}

/// How long after the start the first poll comes: spread over the interval, at most 10 minutes.
pub fn first_poll(interval: Duration, random: u64) -> Duration {
    uniform(interval.min(FIRST_POLL_MAX), random)
}

/// When a certificate is to be renewed: at two thirds of its life, moved by up to 5 % of it either
/// way. The move comes from the device's id, so a fleet enrolled on one day does not renew on one,
/// and a device keeps its time over restarts.
pub fn renew_due(not_before_ms: u64, not_after_ms: u64, device_id: &str) -> u64 {
    let life = not_after_ms.saturating_sub(not_before_ms);
    let spread = Duration::from_millis(life / 10);
    let random = Sha256::digest(device_id)
        .first_chunk()
        .map_or(0, |head| u64::from_be_bytes(*head));
    let moved = u64::try_from(uniform(spread, random).as_millis()).unwrap_or(0);
    let earliest = u128::from(life) * 2 / 3 - u128::from(life / 20);
    let earliest = u64::try_from(earliest).unwrap_or(life);
    not_before_ms.saturating_add(earliest).saturating_add(moved)
}

/// How long after a failed renewal to try again: 4 % of the life, at most an hour once the last
/// tenth has begun, and for ever after the end: an expired certificate can still be renewed.
pub fn renew_retry(not_before_ms: u64, not_after_ms: u64, now_ms: u64) -> Duration {
    let life = not_after_ms.saturating_sub(not_before_ms);
    let step = Duration::from_millis(life / 25);
    let late = now_ms >= not_after_ms.saturating_sub(life / 10);
    let step = if late {
        step.min(RENEW_RETRY_MAX_LATE)
    } else {
        step
    };
    step.max(RENEW_RETRY_MIN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;

    #[test]
    fn the_cloud_cannot_ask_for_too_much_or_too_little() {
        let seconds = |asked| poll_interval(asked).as_secs();
        assert_eq!(
            [0, 29, 30, 300, 86_400, u32::MAX].map(seconds),
            [30, 30, 30, 300, 86_400, 86_400]
        );
    }

    #[test]
    fn first_polls_spread_over_at_most_ten_minutes() {
        let at = |interval, random| first_poll(Duration::from_secs(interval), random).as_secs();
        assert_eq!(at(60, 0), 0);
        assert_eq!(at(60, u64::MAX), 60);
        assert_eq!(at(3600, u64::MAX / 2), 300);
        assert_eq!(at(3600, u64::MAX), 600);
    }

    #[test]
    fn a_device_keeps_its_time_and_devices_differ() {
        let due = |device: &str| renew_due(0, 90 * DAY, device) / HOUR;
        assert_eq!(due("device-1"), due("device-1"));
        let times: std::collections::BTreeSet<_> =
            (0..20).map(|n| due(&format!("device-{n}"))).collect();
        assert!(times.len() > 15, "{times:?}");
    }

    proptest! {
        #[test]
        fn renewal_is_between_61_and_72_percent(device in "[a-z0-9-]{1,40}", days in 1u64..4000) {
            let life = days * DAY;
            let due = renew_due(1_000, 1_000 + life, &device) - 1_000;
            prop_assert!(due * 100 >= life * 61 && due * 100 <= life * 72, "{due} of {life}");
        }

        #[test]
        fn no_certificate_breaks_the_schedule(from: u64, to: u64, now: u64) {
            prop_assert!(renew_due(from, to, "d") >= from);
            prop_assert!(renew_retry(from, to, now) >= RENEW_RETRY_MIN);
        }
    }

    /// Wakes every hour of boot time; `wall` tells the wall clock. Returns the hours of the tries.
    fn tries(hours: u64, wall: impl Fn(u64) -> u64) -> Vec<u64> {
        let (from, to) = (0, 100 * DAY);
        let due = renew_due(from, to, "device-1");
        let mut again_at_boot = 0;
        let mut tried = Vec::new();
        for boot in 0..hours {
            let now = wall(boot) * HOUR;
            if now >= due && boot * HOUR >= again_at_boot {
                tried.push(boot);
                let wait = renew_retry(from, to, now).as_millis();
                again_at_boot = boot * HOUR + u64::try_from(wait).unwrap();
            }
        }
        tried
    }

    #[test]
    fn tries_come_every_four_days_then_every_hour() {
        let first = renew_due(0, 100 * DAY, "device-1").div_ceil(HOUR);
        let tried = tries(2500, |boot| boot);
        let regular: Vec<_> = (0..)
            .map(|n| first + n * 96)
            .take_while(|at| *at < 2160)
            .collect();
        assert_eq!(tried[..regular.len()], regular);
        // The step begun before the last tenth ends in it; from there on it is an hour.
        let late = regular.last().unwrap() + 96;
        assert_eq!(tried[regular.len()..], (late..2500).collect::<Vec<_>>());
    }

    #[test]
    fn a_clock_set_forward_renews_at_the_next_wake_up() {
        assert_eq!(tries(12, |boot| if boot < 10 { 0 } else { 2000 }), [10]);
    }

    #[test]
    fn a_clock_set_back_does_not_hold_up_the_retry() {
        // Tried at 2100 h, then the wall clock falls back by 300 h: still due, four days later.
        let tried = tries(120, |boot| if boot == 0 { 2100 } else { 1800 + boot });
        assert_eq!(tried, [0, 96]);
    }
}
