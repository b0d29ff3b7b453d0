//! One device as an operator reads it: who, how it stands, what is wrong, what happened.

mod findings;
mod history;
pub(super) mod list;

use std::fmt::Write as _;

use scantrip_cloud_client::text;
use scantrip_cloud_client::wire::ReportPrinter;
use serde::Deserialize as _;
use serde_json::Value;

use crate::logger::rfc3339;

/// Widest line: a terminal as it opens.
const WIDTH: usize = 80;
/// Where values begin.
const INDENT: usize = 14;

/// The answer of `device show`.
pub(super) fn text(device: &Value) -> String {
    let mut page = Page(String::new());
    page.who(device);
    page.stands(device);
    page.health(&device["report"]);
    page.findings(&device["assessment"]);
    if let Some(rows) = device["history"].as_array() {
        let enrolled_ms = device["created_at_ms"].as_u64().unwrap_or(0);
        page.title("history");
        for line in history::lines(rows, enrolled_ms) {
            page.wrapped(&format!("  {}  ", line.at), &line.text);
        }
    }
    page.0
}

struct Page(String);

impl Page {
    fn line(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.wrapped(&format!("{name:INDENT$}"), value);
        }
    }

    fn title(&mut self, title: &str) {
        self.0.push_str(&format!("\n{title}\n"));
    }

    fn wrapped(&mut self, first: &str, value: &str) {
        self.0.push_str(&text::wrapped(first, &plain(value), WIDTH));
    }

    fn who(&mut self, device: &Value) {
        let what = device.pointer("/report/device").unwrap_or(&Value::Null);
        self.line("device", &word(&device["device"]));
        self.line("serial", &word(&device["serial"]));
        self.line(
            "kind",
            &text::kind(&word(&what["vendor"]), &word(&what["model"])),
        );
        self.line("firmware", &word(&what["firmware"]));
        let tenant = format!(
            "{} ({})",
            word(&device["tenant_name"]),
            word(&device["tenant"])
        );
        self.line("tenant", &tenant);
        let enrolled = format!(
            "{} since {}",
            word(&device["state"]),
            time(&device["created_at_ms"])
        );
        self.line("state", &enrolled);
        self.line("certificate", &until(&device["certificate_until_ms"]));
    }

    fn stands(&mut self, device: &Value) {
        let standing = &device["standing"];
        let seen = match standing["seen_ms"].as_u64() {
            None | Some(0) => "not since the cloud started".to_owned(),
            Some(_) => time(&standing["seen_ms"]),
        };
        let silent = match standing["silent_since_ms"].as_u64() {
            Some(since) => format!("{seen}; SILENT since {}", rfc3339(since)),
            None => seen,
        };
        self.line("heard of", &silent);
        self.line("reported", &time(&device["reported_at_ms"]));
        let mut posture = word(&standing["posture"]).replace('-', " ");
        if standing["posture_since_ms"].as_u64().unwrap_or(0) > 0 {
            let _ = write!(posture, " since {}", time(&standing["posture_since_ms"]));
        }
        self.line("security", &posture);
    }

    fn health(&mut self, report: &Value) {
        let health = &report["health"];
        if health.is_null() {
            return;
        }
        let number = |name: &str, unit: &str| {
            health[name]
                .as_i64()
                .map(|number| format!("{number}{unit}"))
        };
        let agent = [
            Some(word(&health["agent_version"])),
            health["uptime_seconds"]
                .as_u64()
                .map(|seconds| format!("{} up", text::span(seconds))),
            health["memory_bytes"]
                .as_u64()
                .map(|bytes| format!("{} kB of memory", bytes / 1000)),
        ];
        self.line("agent", &joined(agent, ", "));
        let spool = [
            number("queued_jobs", " jobs"),
            number("spool_bytes", " bytes"),
        ];
        self.line("to be sent", &joined(spool, ", "));
        let clock = health["skew_ms"].as_i64().map(text::clock);
        self.line("clock", &clock.unwrap_or_default());
        self.line("entry point", &entry_point(health));
        let scanner = &report["scanner"];
        let reasons = scanner["reasons"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| Some(word(one)));
        let scanner = [Some(word(&scanner["state"])), Some(joined(reasons, ", "))];
        self.line("scanner", &joined(scanner, ": "));
        if let Ok(printer) = ReportPrinter::deserialize(&report["printer"]) {
            self.line("printer", &printer.to_string());
        }
        let error = &health["last_error"];
        let error = [Some(time(&error["at_ms"])), Some(word(&error["message"]))];
        self.line("last error", &joined(error, " "));
    }
}

/// The entry point in use, and how far each is.
fn entry_point(health: &Value) -> String {
    let chosen = word(&health["entry_point"]);
    let doors = health["entry_points"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let far = |door: &Value| {
        let ms = door["connect_ms"].as_u64();
        ms.map_or_else(|| "no answer".to_owned(), |ms| format!("{ms} ms"))
    };
    if let [only] = doors
        && word(&only["name"]) == chosen
    {
        return format!("{chosen}, measured {}", far(only));
    }
    let each = |door: &Value| Some(format!("{} {}", word(&door["name"]), far(door)));
    let measured = joined(doors.iter().map(each), ", ");
    let measured = (!measured.is_empty()).then(|| format!("measured {measured}"));
    joined([Some(chosen), measured], "; ")
}

fn joined(parts: impl IntoIterator<Item = Option<String>>, with: &str) -> String {
    let parts: Vec<String> = parts
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(with)
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn time(ms: &Value) -> String {
    ms.as_u64().map(rfc3339).unwrap_or_default()
}

fn until(ms: &Value) -> String {
    let time = time(ms);
    if time.is_empty() {
        "none".to_owned()
    } else {
        format!("until {time}")
    }
}

/// Devices are others: what they say cannot move the cursor.
fn plain(words: &str) -> String {
    words.replace(text::is_hidden, " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_device_is_told_on_one_page() {
        let device = json!({
            "device": "d1", "tenant": "t1", "tenant_name": "Example AG", "serial": "SN-1",
            "state": "enrolled", "created_at_ms": 0, "certificate_until_ms": 86_400_000_u64,
            "reported_at_ms": 60_000,
            "standing": { "posture": "not-secure", "posture_since_ms": 60_000, "seen_ms": 120_000,
                          "silent_since_ms": 180_000 },
            "report": {
                "device": { "vendor": "V", "model": "M\u{1b}[2J", "firmware": "1.2" },
                "health": { "agent_version": "0.1.0", "uptime_seconds": 5, "queued_jobs": 0,
                            "spool_bytes": 0, "entry_point": "Frankfurt", "skew_ms": -613,
                            "entry_points": [{ "name": "Frankfurt", "connect_ms": 12 },
                                             { "name": "Tokyo", "connect_ms": null }] },
                "scanner": { "state": "stopped", "reasons": ["media-jam"] },
                "printer": { "state": "idle", "reasons": ["toner-low"], "supplies": [
                    { "name": "Black\u{1b}", "kind": "toner", "left_percent": 8, "low": true },
                    { "name": "Tray 1", "kind": "paper", "left_percent": null },
                ] },
            },
            "assessment": {
                "policy": "Baseline", "version": 1,
                "score": { "points": 49, "grade": "D", "coverage_percent": 90 },
                "findings": [
                    { "id": "net.ftp", "outcome": "fail", "severity": "high", "value": "true",
                      "expected": "false" },
                    { "id": "net.tftp", "outcome": "pass", "severity": "high" },
                    { "id": "fw.tpm", "outcome": "unknown", "severity": "low", "reason": "no-right" },
                ],
            },
            "history": [
                { "at_ms": 60_000, "happened": [
                    { "kind": "posture", "from": "unknown", "to": "not-secure", "wrong": ["net.ftp"] },
                    { "kind": "event", "device_at_ms": 59_000, "event": "setting-changed",
                      "setting": "net.ftp", "from": "false", "to": "true" },
                ] },
                { "at_ms": 180_000, "happened": [{ "kind": "silent", "seen_ms": 120_000 }] },
            ],
        });
        assert_eq!(
            text(&device),
            "device        d1\n\
             serial        SN-1\n\
             kind          V M [2J\n\
             firmware      1.2\n\
             tenant        Example AG (t1)\n\
             state         enrolled since 1970-01-01T00:00:00Z\n\
             certificate   until 1970-01-02T00:00:00Z\n\
             heard of      1970-01-01T00:02:00Z; SILENT since 1970-01-01T00:03:00Z\n\
             reported      1970-01-01T00:01:00Z\n\
             security      not secure since 1970-01-01T00:01:00Z\n\
             agent         0.1.0, 5 s up\n\
             to be sent    0 jobs, 0 bytes\n\
             clock         right\n\
             entry point   Frankfurt; measured Frankfurt 12 ms, Tokyo no answer\n\
             scanner       stopped: media-jam\n\
             printer       idle, toner-low; Black  8 % LOW, Tray 1, level not known\n\
             policy        Baseline, version 1\n\
             score         49 of 100, grade D; 90 % of the policy could be checked\n\
             \n\
             wrong\n\
             \x20 high        net.ftp is true, should be false\n\
             \n\
             not known\n\
             \x20 low         fw.tpm: the agent has no right to read it\n\
             \x20             `scantrip settings` on the device says what it needs\n\
             \n\
             history\n\
             \x20 1970-01-01T00:00:59Z  net.ftp: false -> true\n\
             \x20 1970-01-01T00:01:00Z  unknown -> not secure: net.ftp\n\
             \x20 1970-01-01T00:03:00Z  silent, last heard of 1970-01-01T00:02:00Z\n"
        );
    }

    #[test]
    fn the_entry_point_is_told_with_its_time_also_when_it_is_the_only_one() {
        let told = |name: Value, doors: Value| {
            entry_point(&json!({ "entry_point": name, "entry_points": doors }))
        };
        let here = json!({ "name": "Here", "connect_ms": 12 });
        let there = json!({ "name": "There", "connect_ms": null });
        assert_eq!(told("Here".into(), json!([here])), "Here, measured 12 ms");
        assert_eq!(
            told(Value::Null, json!([here, there])),
            "measured Here 12 ms, There no answer"
        );
        assert_eq!(told(Value::Null, Value::Null), "");
    }
}
