//! What changed between two readings.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::expect::members;
use crate::wire::{ReportSetting, Verdict};

/// Settings that change by themselves, without anybody changing the device.
const VOLATILE: &[&str] = &["time.offset_ms"];

/// A setting that has another value than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The setting.
    pub id: String,
    /// What it was, in the words of [`state`].
    pub from: String,
    /// What it is now.
    pub to: String,
}

/// The changes from one reading to a later one, in the order of the ids. A value that can no longer
/// be read is a change; another reason for not knowing it is none.
#[must_use]
pub fn changes(before: &[ReportSetting], after: &[ReportSetting]) -> Vec<Change> {
    const ABSENT: &str = "not read";
    let (before, after) = (listed(before), listed(after));
    let of = |list: &[(&str, String)], id: &str| {
        let found: Vec<&str> = list
            .iter()
            .filter(|(known, _)| *known == id)
            .map(|(_, state)| state.as_str())
            .collect();
        if found.is_empty() {
            ABSENT.to_owned()
        } else {
            found.join(" / ")
        }
    };
    let mut ids: Vec<&str> = before.iter().chain(&after).map(|(id, _)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter()
        .map(|id| Change {
            id: id.to_owned(),
            from: of(&before, id),
            to: of(&after, id),
        })
        .filter(|change| change.from != change.to)
        .collect()
}

/// SHA-256 over the canonical list of settings, hexadecimal: the same if and only if nothing
/// changed. PWG 5110.1 calls it ConfigurationState. `docs/protocol.md` has its form.
#[must_use]
pub fn config_state(readings: &[ReportSetting]) -> String {
    let mut hash = Sha256::new();
    for (id, state) in listed(readings) {
        for part in [id, "\u{1f}", state.as_str(), "\n"] {
            hash.update(part.as_bytes());
        }
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A setting's value in canonical form, or why there is none.
#[must_use]
pub fn state(reading: &ReportSetting) -> String {
    match reading.verdict {
        Verdict::NotApplicable => "not applicable".to_owned(),
        Verdict::Unknown if reading.value.is_empty() => "unknown".to_owned(),
        _ if reading.value.is_empty() => "none".to_owned(),
        _ if reading.value.contains(',') => members(&reading.value).join(","),
        _ => reading.value.replace(char::is_control, " "),
    }
}

fn listed(readings: &[ReportSetting]) -> Vec<(&str, String)> {
    let lasting = readings
        .iter()
        .filter(|reading| !VOLATILE.contains(&reading.id.as_str()));
    let mut list: Vec<_> = lasting
        .map(|reading| (reading.id.as_str(), state(reading)))
        .collect();
    list.sort_unstable();
    list.dedup();
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Severity;

    fn reading(id: &str, value: &str, verdict: Verdict) -> ReportSetting {
        ReportSetting {
            id: id.to_owned(),
            value: value.to_owned(),
            severity: Severity::Low,
            verdict,
            reason: None,
        }
    }

    fn told(before: &[ReportSetting], after: &[ReportSetting]) -> Vec<String> {
        let all = changes(before, after);
        assert_eq!(
            all.is_empty(),
            config_state(before) == config_state(after),
            "the state's hash says the same"
        );
        let line = |change: &Change| format!("{}: {} -> {}", change.id, change.from, change.to);
        all.iter().map(line).collect()
    }

    #[test]
    fn changes_are_told_by_what_was_and_what_is() {
        let before = [
            reading("a.a", "true", Verdict::Secure),
            reading("a.b", "x,y", Verdict::Secure),
            reading("a.c", "1", Verdict::Secure),
            reading("a.d", "1", Verdict::Secure),
            reading("a.e", "", Verdict::Secure),
        ];
        let after = [
            reading("a.f", "", Verdict::NotApplicable),
            reading("a.e", "mdns", Verdict::NotSecure),
            reading("a.d", "1", Verdict::NotSecure),
            reading("a.c", "", Verdict::Unknown),
            reading("a.b", "y, x", Verdict::Secure),
        ];
        assert_eq!(
            told(&before, &after),
            [
                "a.a: true -> not read",
                "a.c: 1 -> unknown",
                "a.e: none -> mdns",
                "a.f: not read -> not applicable",
            ]
        );
    }

    #[test]
    fn the_order_and_another_reason_for_not_knowing_are_no_change() {
        let mut before = vec![
            reading("a.a", "1", Verdict::Secure),
            reading("a.b", "", Verdict::Unknown),
            reading("time.offset_ms", "12", Verdict::Secure),
        ];
        let mut after = before.clone();
        after.reverse();
        after[0].value = "13".to_owned();
        before[1].reason = Some("no-right".to_owned());
        assert!(told(&before, &after).is_empty());
    }

    #[test]
    fn the_hash_is_over_the_list_as_it_is_documented() {
        let list = [
            reading("b.b", "x", Verdict::NotSecure),
            reading("a.a", "", Verdict::Unknown),
        ];
        let mut hash = Sha256::new();
        hash.update(b"a.a\x1funknown\nb.b\x1fx\n");
        let expected: String = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(config_state(&list), expected);
    }
}
