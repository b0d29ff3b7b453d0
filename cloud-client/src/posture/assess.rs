//! Applies a policy to a reading: a result for each rule, in the words of XCCDF 1.2.

use serde::Serialize;

use super::expect::{Expectation, is_part};
use super::requirement::Requirement;
use super::score::{Score, score};
use crate::wire::{Policy, PolicyException, PolicyRule, ReportSetting, Severity, Verdict};

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As the policy asks.
    Pass,
    /// The device has no such part, or the rule is not for such a device.
    NotApplicable,
    /// The policy asks to show the setting only.
    Informational,
    /// This version does not know the setting or the rule. Never a pass.
    NotChecked,
    /// The value could not be read. Never a pass.
    Unknown,
    /// The value was read but makes no sense to the rule. Never a pass.
    Error,
    /// Not as the policy asks.
    Fail,
}

/// The result of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The setting.
    pub id: String,
    /// What became of the rule.
    pub outcome: Outcome,
    /// How much it matters.
    pub severity: Severity,
    /// The value; empty when there is none.
    pub value: String,
    /// What it should be, for people.
    pub expected: String,
    /// How to mend it.
    pub remedy: String,
    /// Why it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A failure that somebody accepted for a time; it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<PolicyException>,
}

impl Finding {
    /// Whether this is a failure that counts.
    #[must_use]
    pub const fn counts_as_failure(&self) -> bool {
        matches!(self.outcome, Outcome::Fail) && self.accepted.is_none()
    }
}

/// What a policy says of a reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assessment {
    /// The policy's name.
    pub policy: String,
    /// The policy's version.
    pub version: u32,
    /// All of it in a few numbers.
    pub score: Score,
    /// One for each rule, in the policy's order.
    pub findings: Vec<Finding>,
}

/// Applies `policy` to `readings`.
#[must_use]
pub fn assess(policy: &Policy, readings: &[ReportSetting], now_ms: u64) -> Assessment {
    let findings: Vec<Finding> = policy
        .rules
        .iter()
        .map(|rule| {
            let mut finding = apply(rule, readings, now_ms);
            if finding.outcome == Outcome::Fail {
                let mut all = policy.exceptions.iter();
                finding.accepted = all
                    .find(|one| one.id == rule.id && now_ms < one.until_ms)
                    .cloned();
            }
            finding
        })
        .collect();
    Assessment {
        policy: policy.name.clone(),
        version: policy.version,
        score: score(&findings),
        findings,
    }
}

fn apply(rule: &PolicyRule, readings: &[ReportSetting], now_ms: u64) -> Finding {
    let expect = Expectation::of(rule);
    let read = readings.iter().filter(|reading| reading.id == rule.id);
    // Of several readings of one setting the worst decides.
    let worst = read
        .map(|reading| (judge(expect.as_ref(), reading, now_ms), reading))
        .max_by_key(|(outcome, reading)| (*outcome, reading.value.as_str()));
    let (mut outcome, reading) = match worst {
        Some((outcome, reading)) => (outcome, Some(reading)),
        None => (Outcome::NotChecked, None),
    };
    if !rule.monitor {
        outcome = Outcome::Informational;
    } else if !applies(rule, readings, now_ms) {
        outcome = Outcome::NotApplicable;
    }
    let known_severity = reading.map(|reading| reading.severity);
    Finding {
        id: rule.id.clone(),
        outcome,
        severity: rule.severity.or(known_severity).unwrap_or_default(),
        value: reading
            .map(|reading| reading.value.clone())
            .unwrap_or_default(),
        expected: expect.map_or_else(
            || format!("{} {}", rule.operator, rule.expected.join(" ")),
            |expect| expect.to_string(),
        ),
        remedy: rule.remedy.clone(),
        reason: match reading {
            Some(reading) if outcome == Outcome::Unknown && is_part(&reading.value) => {
                Some("only a part of it was looked at".to_owned())
            }
            Some(reading) => reading.reason.clone(),
            None => Some("not read on this device".to_owned()),
        },
        accepted: None,
    }
}

fn judge(expect: Option<&Expectation>, reading: &ReportSetting, now_ms: u64) -> Outcome {
    let Some(expect) = expect else {
        return Outcome::NotChecked;
    };
    match reading.verdict {
        // Its reader may know a value and leave the judgement to the policy.
        Verdict::Unknown if reading.value.is_empty() || *expect == Expectation::Secure => {
            Outcome::Unknown
        }
        Verdict::NotApplicable => Outcome::NotApplicable,
        verdict => match expect.holds(&reading.value, verdict, now_ms) {
            Ok(true) => Outcome::Pass,
            Ok(false) => Outcome::Fail,
            Err(_unjudged) if is_part(&reading.value) => Outcome::Unknown,
            Err(_wrong_kind) => Outcome::Error,
        },
    }
}

/// A rule that is for other devices says nothing of this one; in doubt it is for this one.
fn applies(rule: &PolicyRule, readings: &[ReportSetting], now_ms: u64) -> bool {
    let Some(Ok(when)) = rule
        .applies_when
        .as_ref()
        .map(|text| text.parse::<Requirement>())
    else {
        return true;
    };
    let known = readings.iter().filter(|reading| reading.id == when.id);
    let known: Vec<_> = known
        .filter(|reading| reading.verdict != Verdict::Unknown || !reading.value.is_empty())
        .cloned()
        .collect();
    known.is_empty() || when.check(&known, now_ms).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(id: &str, value: &str, verdict: Verdict) -> ReportSetting {
        ReportSetting {
            id: id.to_owned(),
            value: value.to_owned(),
            severity: Severity::High,
            verdict,
            reason: None,
        }
    }

    fn rule(id: &str, operator: &str, expected: &str) -> PolicyRule {
        PolicyRule {
            id: id.to_owned(),
            operator: operator.to_owned(),
            expected: vec![expected.to_owned()],
            severity: None,
            monitor: true,
            remedy: String::new(),
            applies_when: None,
        }
    }

    fn policy(rule: PolicyRule) -> Policy {
        Policy {
            rules: vec![rule],
            ..Policy::default()
        }
    }

    fn outcome(rule: PolicyRule, readings: &[ReportSetting]) -> Outcome {
        assess(&policy(rule), readings, 0).findings[0].outcome
    }

    #[test]
    fn a_value_passes_or_fails_whatever_its_reader_thinks_of_it() {
        let is = |value, verdict| {
            let readings = [reading("net.ftp", value, verdict)];
            outcome(rule("net.ftp", "eq", "false"), &readings)
        };
        assert_eq!(is("false", Verdict::NotSecure), Outcome::Pass);
        assert_eq!(is("true", Verdict::Secure), Outcome::Fail);
        assert_eq!(is("", Verdict::Unknown), Outcome::Unknown);
        assert_eq!(is("", Verdict::NotApplicable), Outcome::NotApplicable);
    }

    #[test]
    fn what_this_version_does_not_know_is_kept_and_never_passes() {
        let readings = [reading("net.ftp", "false", Verdict::Secure)];
        assert_eq!(
            outcome(rule("net.new", "eq", "x"), &readings),
            Outcome::NotChecked
        );
        assert_eq!(
            outcome(rule("net.ftp", "like", "x"), &readings),
            Outcome::NotChecked
        );
        assert_eq!(
            outcome(rule("net.ftp", "gte", "3"), &readings),
            Outcome::Error
        );
    }

    #[test]
    fn a_value_that_only_a_policy_can_judge_is_judged_by_it() {
        let readings = [reading("fw.version_approved", "4.2", Verdict::Unknown)];
        let is = |operator: &str, expected| {
            outcome(rule("fw.version_approved", operator, expected), &readings)
        };
        assert_eq!(is("in", "4.2"), Outcome::Pass);
        assert_eq!(is("in", "4.1"), Outcome::Fail);
        let mut secure = rule("fw.version_approved", "secure", "");
        secure.expected.clear();
        assert_eq!(outcome(secure, &readings), Outcome::Unknown);
    }

    #[test]
    fn a_part_of_a_set_is_unknown_unless_it_is_wrong_already() {
        let is = |value, verdict| {
            let readings = [reading("net.listening_ports", value, verdict)];
            let rule = rule("net.listening_ports", "subset_of", "tcp/9100");
            let finding = assess(&policy(rule), &readings, 0).findings.remove(0);
            (finding.outcome, finding.reason.is_some())
        };
        for verdict in [Verdict::NotSecure, Verdict::Unknown] {
            assert_eq!(is("tcp/9100,+?", verdict), (Outcome::Unknown, true));
            assert_eq!(is("tcp/23,tcp/9100,+?", verdict).0, Outcome::Fail);
        }
    }

    #[test]
    fn of_two_readings_the_worse_decides_in_any_order() {
        let mut readings = [
            reading("net.ftp", "false", Verdict::Secure),
            reading("net.ftp", "true", Verdict::NotSecure),
        ];
        let rule = rule("net.ftp", "eq", "false");
        assert_eq!(outcome(rule.clone(), &readings), Outcome::Fail);
        readings.reverse();
        assert_eq!(outcome(rule, &readings), Outcome::Fail);
    }

    #[test]
    fn a_rule_for_other_devices_or_to_be_shown_only_does_not_count() {
        let readings = [
            reading("net.ftp", "true", Verdict::NotSecure),
            reading("net.fax_enabled", "false", Verdict::Secure),
        ];
        let mut other = rule("net.ftp", "eq", "false");
        other.applies_when = Some("net.fax_enabled=true".to_owned());
        assert_eq!(outcome(other.clone(), &readings), Outcome::NotApplicable);
        assert_eq!(
            outcome(other, &readings[..1]),
            Outcome::Fail,
            "in doubt it applies"
        );
        let mut shown = rule("net.ftp", "eq", "false");
        shown.monitor = false;
        assert_eq!(outcome(shown, &readings), Outcome::Informational);
    }

    #[test]
    fn an_accepted_failure_stops_counting_until_its_day() {
        let mut policy = policy(rule("net.ftp", "eq", "false"));
        policy.exceptions.push(PolicyException {
            id: "net.ftp".to_owned(),
            reason: "r".to_owned(),
            owner: "o".to_owned(),
            until_ms: 1000,
        });
        let readings = [reading("net.ftp", "true", Verdict::NotSecure)];
        let counts = |now_ms| {
            let assessment = assess(&policy, &readings, now_ms);
            assert_eq!(assessment.findings[0].outcome, Outcome::Fail);
            assessment.findings[0].counts_as_failure()
        };
        assert!(!counts(999));
        assert!(counts(1000));
    }
}
