//! One device as an operator reads it: who, how it stands, what is wrong, what happened.

use std::fmt::Write as _;

use scantrip_cloud_client::wire::ReportPrinter;
use serde::Deserialize as _;
use serde_json::Value;

use crate::logger::rfc3339;

/// The answer of `device show`.
pub(super) fn text(device: &Value) -> String {
    let mut page = Page(String::new());
    page.who(device);
    page.stands(device);
    page.health(&device["report"]);
    page.findings(&device["assessment"]);
    if let Some(rows) = device["history"].as_array() {
        page.history(rows);
    }
    page.0
}

struct Page(String);

impl Page {
    fn line(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            let line = writeln!(self.0, "{name:14}{}", plain(value));
            line.expect("writing to a String cannot fail");
        }
    }

    fn who(&mut self, device: &Value) {
        let what = device.pointer("/report/device").unwrap_or(&Value::Null);
        let kind = [&what["vendor"], &what["model"]].map(word).join(" ");
        self.line("device", &word(&device["device"]));
        self.line("serial", &word(&device["serial"]));
        self.line("kind", kind.trim());
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
        let mut posture = word(&standing["posture"]);
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
            number("uptime_seconds", " s up"),
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
        self.line("clock", &number("skew_ms", " ms off").unwrap_or_default());
        let doors = health["entry_points"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|door| {
                let ms = door["connect_ms"].as_u64();
                let ms = ms.map_or_else(|| "no answer".to_owned(), |ms| format!("{ms} ms"));
                Some(format!("{} {ms}", word(&door["name"])))
            });
        let measured = joined(doors, ", ");
        let door = [
            Some(word(&health["entry_point"])),
            (!measured.is_empty()).then_some(measured),
        ];
        self.line("entry point", &joined(door, "; measured "));
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

    fn findings(&mut self, assessment: &Value) {
        if assessment.is_null() {
            return self.line("policy", "no settings were reported yet");
        }
        let score = &assessment["score"];
        let points = score["points"]
            .as_u64()
            .map_or_else(|| "none".to_owned(), |p| p.to_string());
        let (grade, coverage) = (word(&score["grade"]), word(&score["coverage_percent"]));
        let (name, version) = (word(&assessment["policy"]), word(&assessment["version"]));
        self.line("policy", &format!("{name}, version {version}"));
        self.line(
            "score",
            &format!("{points} of 100, {grade}, {coverage} % checked"),
        );
        for finding in assessment["findings"].as_array().into_iter().flatten() {
            let (id, outcome) = (word(&finding["id"]), word(&finding["outcome"]));
            let told = match outcome.as_str() {
                "fail" => {
                    let accepted = if finding["accepted"].is_null() {
                        ""
                    } else {
                        " (accepted)"
                    };
                    let (is, wanted) = (word(&finding["value"]), word(&finding["expected"]));
                    format!("{id} is {is}, should be {wanted}{accepted}")
                }
                "unknown" | "error" | "notchecked" => {
                    format!("{id} is not known: {}", word(&finding["reason"]))
                }
                _ => continue,
            };
            self.line(&format!("  {}", word(&finding["severity"])), &told);
        }
    }

    fn history(&mut self, rows: &[Value]) {
        self.0.push_str("\nhistory\n");
        for row in rows {
            for happened in row["happened"].as_array().into_iter().flatten() {
                let line = writeln!(
                    self.0,
                    "  {}  {}",
                    time(&row["at_ms"]),
                    plain(&told(happened))
                );
                line.expect("writing to a String cannot fail");
            }
        }
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
            let text = format!("{} -> {}", of("from"), of("to"));
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
fn plain(text: &str) -> String {
    let hidden =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.replace(hidden, " ")
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
                            "spool_bytes": 0, "entry_point": "Frankfurt", "skew_ms": -3,
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
                    { "kind": "event", "device_at_ms": 1, "event": "setting-changed",
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
             security      not-secure since 1970-01-01T00:01:00Z\n\
             agent         0.1.0, 5 s up\n\
             to be sent    0 jobs, 0 bytes\n\
             clock         -3 ms off\n\
             entry point   Frankfurt; measured Frankfurt 12 ms, Tokyo no answer\n\
             scanner       stopped: media-jam\n\
             printer       idle, toner-low; Black  8 % LOW, Tray 1, level not known\n\
             policy        Baseline, version 1\n\
             score         49 of 100, D, 90 % checked\n\
             \x20 high        net.ftp is true, should be false\n\
             \x20 low         fw.tpm is not known: no-right\n\
             \n\
             history\n\
             \x20 1970-01-01T00:01:00Z  unknown -> not-secure: net.ftp\n\
             \x20 1970-01-01T00:01:00Z  net.ftp: false -> true\n\
             \x20 1970-01-01T00:03:00Z  silent, last heard of 1970-01-01T00:02:00Z\n"
        );
    }
}
