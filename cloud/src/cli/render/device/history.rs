//! What became of a device, in the order in which it happened there.

use serde_json::Value;

use super::{joined, time, word};
use crate::logger::rfc3339;

/// An event that the cloud heard of later than this is told with the time it was heard of.
const LATE_MS: u64 = 60_000;

/// One line: when, and what.
pub(super) struct Line {
    pub(super) at: String,
    pub(super) text: String,
}

/// The lines of the rows, oldest first. What the device told of itself stands at the time it
/// happened, for a device that was cut off tells it much later.
pub(super) fn lines(rows: &[Value], enrolled_ms: u64) -> Vec<Line> {
    let mut all: Vec<(u64, Line)> = rows
        .iter()
        .flat_map(|row| {
            let heard_ms = row["at_ms"].as_u64().unwrap_or(0);
            let happened = row["happened"].as_array().into_iter().flatten();
            happened.map(move |one| line(one, heard_ms, enrolled_ms))
        })
        .collect();
    all.sort_by_key(|(at_ms, _)| *at_ms);
    all.into_iter().map(|(_, line)| line).collect()
}

fn line(happened: &Value, heard_ms: u64, enrolled_ms: u64) -> (u64, Line) {
    let told = told(happened);
    let (at_ms, text) = match happened["device_at_ms"].as_u64() {
        // Before it enrolled, or not yet: its clock is wrong, ours is not.
        Some(device_ms)
            if device_ms.saturating_add(LATE_MS) < enrolled_ms
                || device_ms > heard_ms.saturating_add(LATE_MS) =>
        {
            let clock = rfc3339(device_ms);
            (
                heard_ms,
                format!("{told} (told then; its clock said {clock})"),
            )
        }
        Some(device_ms) if heard_ms.saturating_sub(device_ms) >= LATE_MS => (
            device_ms,
            format!("{told} (told at {})", later(device_ms, heard_ms)),
        ),
        Some(device_ms) => (device_ms, told),
        None => (heard_ms, told),
    };
    let at = rfc3339(at_ms);
    (at_ms, Line { at, text })
}

/// A later time, without the day when it is the same.
fn later(first_ms: u64, later_ms: u64) -> String {
    let (first, later) = (rfc3339(first_ms), rfc3339(later_ms));
    match (first.split_once('T'), later.split_once('T')) {
        (Some((day, _)), Some((same, hour))) if day == same => hour.to_owned(),
        _ => later,
    }
}

/// One thing of a history in words.
fn told(happened: &Value) -> String {
    let of = |name: &str| word(&happened[name]);
    let list = |name: &str| {
        let all = happened[name].as_array().into_iter().flatten();
        joined(all.map(|one| Some(word(one))), ", ")
    };
    match of("kind").as_str() {
        "posture" => {
            let text =
                format!("{} -> {}", of("from"), of("to")).replace("not-secure", "not secure");
            joined([Some(text), Some(list("wrong"))], ": ")
        }
        "silent" => format!("silent, last heard of {}", time(&happened["seen_ms"])),
        "back" => "back".to_owned(),
        "version" => format!("{} {} -> {}", of("of"), of("from"), of("to")),
        "dropped" => format!("the device had no room for {} events", of("events")),
        _ => match of("event").as_str() {
            "setting-changed" => format!("{}: {} -> {}", of("setting"), of("from"), of("to")),
            "workflow-refused" => {
                format!("workflow {} refused: {}", of("workflow"), list("settings"))
            }
            "job-ended" => format!("job {} {}", of("job"), of("state")),
            "scanner-fault" => format!("scanner: {}", of("reason")),
            _ => "something that this version does not know".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn jam(device_at_ms: u64) -> Value {
        json!({ "kind": "event", "device_at_ms": device_at_ms, "event": "scanner-fault",
                "reason": "media-jam" })
    }

    fn shown(rows: &[Value], enrolled_ms: u64) -> Vec<String> {
        let lines = lines(rows, enrolled_ms);
        lines
            .iter()
            .map(|line| format!("{} {}", line.at, line.text))
            .collect()
    }

    #[test]
    fn what_was_told_after_an_outage_stands_where_it_happened() {
        let rows = [
            json!({ "at_ms": 2 * HOUR_MS, "happened": [{ "kind": "silent", "seen_ms": HOUR_MS }] }),
            json!({ "at_ms": 3 * HOUR_MS, "happened": [
                { "kind": "back" }, jam(3 * HOUR_MS / 2), jam(3 * HOUR_MS - 5_000),
            ] }),
            json!({ "at_ms": 30 * HOUR_MS, "happened": [jam(4 * HOUR_MS)] }),
        ];
        assert_eq!(
            shown(&rows, 0),
            [
                "1970-01-01T01:30:00Z scanner: media-jam (told at 03:00:00Z)",
                "1970-01-01T02:00:00Z silent, last heard of 1970-01-01T01:00:00Z",
                "1970-01-01T02:59:55Z scanner: media-jam",
                "1970-01-01T03:00:00Z back",
                "1970-01-01T04:00:00Z scanner: media-jam (told at 1970-01-02T06:00:00Z)",
            ]
        );
    }

    #[test]
    fn a_clock_that_cannot_be_right_moves_nothing() {
        let row = |device_ms| json!({ "at_ms": 50 * HOUR_MS, "happened": [jam(device_ms)] });
        assert_eq!(
            shown(&[row(HOUR_MS), row(90 * HOUR_MS)], 40 * HOUR_MS),
            [
                "1970-01-03T02:00:00Z scanner: media-jam (told then; its clock said \
                 1970-01-01T01:00:00Z)",
                "1970-01-03T02:00:00Z scanner: media-jam (told then; its clock said \
                 1970-01-04T18:00:00Z)",
            ]
        );
    }
}
