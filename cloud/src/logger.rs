//! Log lines on standard error. They hold ids at most: no field, name, code or key.

use std::io::Write as _;

use log::{LevelFilter, Log, Metadata, Record};
use time::OffsetDateTime;

use crate::ports::{Clock as _, SystemClock};

struct Logger;

static LOGGER: Logger = Logger;

/// Sends log lines of `level` and above to standard error. Only the first call counts.
pub fn start(level: LevelFilter) {
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(level);
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries speak only when something is wrong.
        metadata.target().starts_with("scantrip") || metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = record.level().as_str().to_lowercase();
        let now = rfc3339(SystemClock.now_ms());
        // Nobody to tell when standard error is gone.
        drop(writeln!(
            std::io::stderr(),
            "{now} {level} {}",
            record.args()
        ));
    }

    fn flush(&self) {}
}

/// A time as people and machines read it.
#[must_use]
pub fn rfc3339(unix_ms: u64) -> String {
    let seconds = i64::try_from(unix_ms / 1000).unwrap_or(i64::MAX);
    let Ok(at) = OffsetDateTime::from_unix_timestamp(seconds) else {
        return format!("{unix_ms} ms");
    };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(super::rfc3339(1_700_000_000_999), "2023-11-14T22:13:20Z");
    }
}
