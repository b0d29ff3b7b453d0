//! What a policy says of a device: what is wrong and how to mend it, what is not known and how to
//! know it; the worst first.

use std::cmp::Reverse;

use scantrip_cloud_client::wire::Severity;
use scantrip_hal::settings::Row;
use serde::Deserialize as _;
use serde_json::Value;

use super::{INDENT, Page, joined, time, word};

impl Page {
    pub(super) fn findings(&mut self, assessment: &Value) {
        if assessment.is_null() {
            return self.line("policy", "no settings were reported yet");
        }
        let (name, version) = (word(&assessment["policy"]), word(&assessment["version"]));
        self.line("policy", &format!("{name}, version {version}"));
        self.line("score", &score(&assessment["score"]));
        let mut all: Vec<&Value> = assessment["findings"]
            .as_array()
            .into_iter()
            .flatten()
            .collect();
        all.sort_by_key(|finding| Reverse(severity(finding)));
        let with = |wanted: fn(&Value) -> bool| all.iter().copied().filter(move |it| wanted(it));
        self.group(
            "wrong",
            with(|it| is(it, "fail") && it["accepted"].is_null()),
            wrong,
        );
        let undecided = |it: &Value| {
            ["unknown", "error", "notchecked"]
                .iter()
                .any(|one| is(it, one))
        };
        self.group("not known", with(undecided), unknown);
        self.group("accepted", with(|it| !it["accepted"].is_null()), accepted);
    }

    fn group<'v>(
        &mut self,
        title: &str,
        findings: impl Iterator<Item = &'v Value>,
        told: fn(&Value) -> (String, String),
    ) {
        for (at, finding) in findings.enumerate() {
            if at == 0 {
                self.title(title);
            }
            let (text, more) = told(finding);
            self.wrapped(&format!("  {:12}", severity(finding).as_str()), &text);
            if !more.is_empty() {
                self.wrapped(&" ".repeat(INDENT), &more);
            }
        }
    }
}

fn is(finding: &Value, outcome: &str) -> bool {
    finding["outcome"] == outcome
}

fn severity(finding: &Value) -> Severity {
    Severity::deserialize(&finding["severity"]).unwrap_or_default()
}

fn wrong(finding: &Value) -> (String, String) {
    let (id, wanted) = (word(&finding["id"]), word(&finding["expected"]));
    let remedy = word(&finding["remedy"]);
    let mend = if remedy.is_empty() {
        remedy
    } else {
        format!("mend: {remedy}")
    };
    (
        format!("{id} is {}, should be {wanted}", value(finding)),
        mend,
    )
}

fn unknown(finding: &Value) -> (String, String) {
    let id = word(&finding["id"]);
    let reason = word(&finding["reason"]);
    let (why, more) = match reason.as_str() {
        _ if is(finding, "error") => (
            "the device told what makes no sense here",
            format!("it is {}", value(finding)),
        ),
        "no-right" => (
            "the agent has no right to read it",
            "`scantrip settings` on the device says what it needs".to_owned(),
        ),
        "not-answered" => (
            "the device was asked and gave no answer that can be used",
            String::new(),
        ),
        // What nobody knows how to know is of a later version of the agent.
        "not-supported" => (
            Row::find(&id).map_or("this device has no way to tell it", Row::how_to_know),
            String::new(),
        ),
        "" => ("not read", String::new()),
        other => (other, String::new()),
    };
    (format!("{id}: {why}"), more)
}

fn accepted(finding: &Value) -> (String, String) {
    let (id, accepted) = (word(&finding["id"]), &finding["accepted"]);
    let (owner, until) = (word(&accepted["owner"]), time(&accepted["until_ms"]));
    let by = format!("by {owner} until {until}: {}", word(&accepted["reason"]));
    (format!("{id} is {}", value(finding)), by)
}

fn value(finding: &Value) -> String {
    let value = word(&finding["value"]);
    if value.is_empty() {
        "none".to_owned()
    } else {
        value
    }
}

/// The points in one sentence.
fn score(score: &Value) -> String {
    let coverage = format!(
        "{} % of the policy could be checked",
        word(&score["coverage_percent"])
    );
    let points = score["points"]
        .as_u64()
        .map(|points| format!("{points} of 100"));
    let grade = match grade(score) {
        Some(grade) => format!("grade {grade}"),
        None => "not enough data for a grade".to_owned(),
    };
    format!("{}; {coverage}", joined([points, Some(grade)], ", "))
}

/// The letter; `None` when too little is known.
pub(super) fn grade(score: &Value) -> Option<String> {
    let grade = word(&score["grade"]);
    (!grade.is_empty() && grade != "not-enough-data").then_some(grade)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(findings: &Value) -> String {
        let mut page = Page(String::new());
        page.findings(&json!({
            "policy": "Baseline", "version": 1, "findings": findings,
            "score": { "points": 83, "grade": "not-enough-data", "coverage_percent": 61 },
        }));
        page.0
    }

    #[test]
    fn the_worst_stands_first_with_its_remedy_in_80_columns() {
        let ports = [
            "tcp/21", "tcp/23", "tcp/445", "tcp/515", "tcp/631", "tcp/9100", "udp/161",
        ];
        let text = shown(&json!([
            { "id": "net.listening_ports", "outcome": "fail", "severity": "high",
              "value": ports.join(","), "expected": "nothing but tcp/443, tcp/631",
              "remedy": "Turn off the services that are not needed." },
            { "id": "fw.tpm", "outcome": "fail", "severity": "low", "value": "",
              "expected": "2.0", "remedy": "", "accepted": { "owner": "it", "reason": "old",
              "until_ms": 86_400_000 } },
            { "id": "storage.encryption", "outcome": "fail", "severity": "critical",
              "value": "none", "expected": "all", "remedy": "Turn it on." },
            { "id": "net.telnet", "outcome": "pass", "severity": "critical" },
        ]));
        assert_eq!(
            text,
            "policy        Baseline, version 1\n\
             score         83 of 100, not enough data for a grade; 61 % of the policy could\n\
             \x20             be checked\n\
             \n\
             wrong\n\
             \x20 critical    storage.encryption is none, should be all\n\
             \x20             mend: Turn it on.\n\
             \x20 high        net.listening_ports is tcp/21,tcp/23,tcp/445,tcp/515,tcp/631,\n\
             \x20             tcp/9100,udp/161, should be nothing but tcp/443, tcp/631\n\
             \x20             mend: Turn off the services that are not needed.\n\
             \n\
             accepted\n\
             \x20 low         fw.tpm is none\n\
             \x20             by it until 1970-01-02T00:00:00Z: old\n"
        );
    }

    #[test]
    fn what_is_not_known_is_told_in_sentences_with_how_to_know_it() {
        let unknown = |id: &str, reason: &str| {
            json!({ "id": id, "outcome": "unknown", "severity": "medium", "value": "",
                    "reason": reason })
        };
        let text = shown(&json!([
            unknown("auth.user_authentication", "not-supported"),
            unknown("storage.wipe_ready", "not-supported"),
            unknown("net.unheard_of", "not-supported"),
            unknown("fw.tpm", "no-right"),
            unknown("net.smb1", "not-answered"),
            unknown("net.ftp", "only a part of it was looked at"),
            { "id": "auth.lockout_tries", "outcome": "error", "severity": "low", "value": "x" },
        ]));
        for line in [
            "  medium      auth.user_authentication: the vendor's export may tell it; see",
            "              [settings] vendor_export",
            "  medium      storage.wipe_ready: the vendor's export may tell it, or you",
            "              declare it; see [settings]",
            "  medium      net.unheard_of: this device has no way to tell it",
            "  medium      fw.tpm: the agent has no right to read it",
            "              `scantrip settings` on the device says what it needs",
            "  medium      net.smb1: the device was asked and gave no answer that can be used",
            "  medium      net.ftp: only a part of it was looked at",
            "  low         auth.lockout_tries: the device told what makes no sense here",
            "              it is x",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line:?} in\n{text}"
            );
        }
        for code in ["not-supported", "no-right", "not-answered"] {
            assert!(!text.contains(code), "{text}");
        }
    }
}
