//! The log: one line on standard error for each message.
//!
//! Libraries underneath speak only from `warn` on: their finer messages may hold what passes
//! through them.

use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use log::{Level, LevelFilter, Log, Metadata, Record};
use scantrip_hal::backends::system::SystemClock;
use scantrip_hal::clock::Clock as _;

use crate::render::plain;

struct StderrLog;

/// Writes messages from `level` on to standard error. Later calls only change the level.
pub(crate) fn start(level: LevelFilter) {
    // Fails when there is a log already: in a test, or with the second command of a process.
    let _begun = log::set_logger(&StderrLog);
    log::set_max_level(level);
}

impl Log for StderrLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn || metadata.target().starts_with("scantrip")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = line(SystemClock::new().wall().as_seconds(), record);
            // With nobody there to read there is nobody to tell.
            let _written = std::io::stderr().lock().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

fn line(now: u64, record: &Record<'_>) -> String {
    let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(now));
    let level = record.level().as_str().to_lowercase();
    let target = record.target();
    format!(
        "{time} {level:5} {target}: {}\n",
        plain(&record.args().to_string())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_one_harmless_line() {
        let args = format_args!("a\nb\x1b[31m");
        let record = Record::builder()
            .level(Level::Warn)
            .target("scantrip::x")
            .args(args)
            .build();
        assert_eq!(
            line(0, &record),
            "1970-01-01T00:00:00Z warn  scantrip::x: a\\nb\\u{1b}[31m\n"
        );
    }

    #[test]
    fn libraries_are_quiet() {
        let of = |target, level| {
            let metadata = Metadata::builder().target(target).level(level).build();
            StderrLog.enabled(&metadata)
        };
        assert!(of("scantrip::outbox", Level::Debug));
        assert!(of("rustls::client", Level::Warn));
        assert!(!of("rustls::client", Level::Info));
    }
}
