//! What every input comes with: the time by both clocks and a random number.

use std::time::Duration;

use scantrip_hal::clock::{Instant, UnixTime};

/// The moment of an input. Machines take time and chance from here and from nowhere else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// For every interval and deadline.
    pub boot: Instant,
    /// For certificates and for what people read: the device's clock, set right by the cloud's
    /// where that is known, and never before what is surely past.
    pub wall: UnixTime,
    /// The device's clock as it is set.
    pub clock: UnixTime,
    /// For jitter.
    pub random: u64,
}

impl Moment {
    /// A deadline `after` this moment.
    #[must_use]
    pub fn after(&self, after: Duration) -> Instant {
        self.boot + after
    }
}

/// The earlier of two deadlines, if there is any.
#[must_use]
pub fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
