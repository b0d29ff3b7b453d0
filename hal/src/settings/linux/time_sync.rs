//! `time.synchronised`: whether a time service keeps the clock, as the kernel sees it.

use super::{Reading, Root, Unread};

const EVIDENCE: &str = "adjtimex";
/// `STA_UNSYNC`: nobody keeps the clock.
const UNSYNC: i32 = 0x40;
/// `TIME_ERROR`: the clock is not synchronised.
const ERROR: i32 = 5;
const OFFSET_US_MAX: libc::c_long = 1_000_000;

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    let clock = root
        .kernel
        .clock()
        .map_err(|error| Unread::new(EVIDENCE, &error))?;
    let kept = clock.state != ERROR && clock.status & UNSYNC == 0;
    let near = clock.offset_us.saturating_abs() < OFFSET_US_MAX;
    Ok(Reading::bool(kept && near, EVIDENCE))
}
