//! Goes wrong on purpose; only with the feature `fault`, only for tests.
//!
//! `SCANTRIP_FAULT` holds any of these, with commas between:
//! - `kill-at-op=N`: the process is killed in place of its N-th operation on the disk;
//! - `full-after=BYTES`: the disk is full after so many bytes written;
//! - `clock=SECONDS`: the wall clock is so much ahead, or behind if negative.

use std::sync::Arc;

use scantrip_hal::clock::{Clock, Instant, UnixTime};
use scantrip_hal::fault::{DiskFault, FaultDisk, FaultPlan, power_cut};

use crate::runtime::{Parts, StartError};

/// The parts with the faults that the environment asks for.
pub(crate) fn wrap(mut parts: Parts) -> Result<Parts, StartError> {
    for fault in std::env::var("SCANTRIP_FAULT")
        .unwrap_or_default()
        .split(',')
    {
        let unknown = || StartError::Fault(fault.to_owned());
        let plan = match fault.split_once('=') {
            None if fault.is_empty() => continue,
            Some(("clock", seconds)) => {
                let offset_ms = seconds.parse::<i64>().map_err(|_no_number| unknown())? * 1000;
                parts.clock = Arc::new(WrongClock {
                    right: parts.clock,
                    offset_ms,
                });
                continue;
            }
            Some(("kill-at-op", number)) => {
                let operation = number.parse().map_err(|_no_number| unknown())?;
                FaultPlan::at(operation, DiskFault::Before(power_cut))
            }
            Some(("full-after", bytes)) => {
                FaultPlan::full_after(bytes.parse().map_err(|_no_number| unknown())?)
            }
            _ => return Err(unknown()),
        };
        parts.disk = Arc::new(FaultDisk::new(parts.disk, plan));
    }
    Ok(parts)
}

struct WrongClock {
    right: Arc<dyn Clock>,
    offset_ms: i64,
}

impl Clock for WrongClock {
    fn boot(&self) -> Instant {
        self.right.boot()
    }

    fn wall(&self) -> UnixTime {
        UnixTime::from_millis(
            self.right
                .wall()
                .as_millis()
                .saturating_add_signed(self.offset_ms),
        )
    }
}
