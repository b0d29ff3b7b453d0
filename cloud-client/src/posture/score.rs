//! One number for a device, and how much of the policy it rests on.
//!
//! Whole numbers only, rounded down, so that every machine says the same. What is not known is
//! never good: it lowers the coverage, and below 80 % of it there is no grade.

use serde::Serialize;

use super::assess::{Finding, Outcome};
use crate::wire::Severity;

/// Below this share of the policy nothing can be said, in percent.
pub const COVERAGE_MIN_PERCENT: u8 = 80;
/// Most points of a device with a critical failure.
const CRITICAL_CAP: u8 = 49;
/// Most points of a device with a failure of high severity.
const HIGH_CAP: u8 = 79;

/// All findings in a few numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Score {
    /// 0 to 100; `None` when nothing was checked.
    pub points: Option<u8>,
    /// What the points are called.
    pub grade: Grade,
    /// Share of the applicable rules, by weight, that could be checked, in percent.
    pub coverage_percent: u8,
    /// The failure that keeps the points down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capped_by: Option<Severity>,
    /// Rules that pass.
    pub passed: u32,
    /// Rules that fail and count.
    pub failed: u32,
    /// Rules that fail and are accepted.
    pub accepted: u32,
    /// Rules that could not be decided: unknown, error, not checked.
    pub undecided: u32,
}

/// What the points are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Grade {
    /// 90 points and more.
    A,
    /// 75 points and more.
    B,
    /// 50 points and more.
    C,
    /// Fewer.
    D,
    /// Too little is known.
    #[default]
    #[serde(rename = "not-enough-data")]
    NotEnoughData,
}

/// Counts findings together; their order has no effect.
#[must_use]
pub fn score(findings: &[Finding]) -> Score {
    let mut score = Score::default();
    let (mut good, mut counted, mut checked, mut applicable) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut worst: Option<Severity> = None;
    for finding in findings {
        let weight = weight(finding.severity);
        match finding.outcome {
            Outcome::NotApplicable | Outcome::Informational => continue,
            Outcome::Pass => {
                score.passed += 1;
                good += weight;
                counted += weight;
                checked += weight;
            }
            Outcome::Fail => {
                checked += weight;
                if finding.counts_as_failure() {
                    score.failed += 1;
                    counted += weight;
                    worst = worst.max(Some(finding.severity));
                } else {
                    score.accepted += 1;
                }
            }
            Outcome::Unknown | Outcome::Error | Outcome::NotChecked => score.undecided += 1,
        }
        applicable += weight;
    }
    let percent = |part: u64, whole: u64| {
        let share = (100 * part).checked_div(whole)?;
        u8::try_from(share).ok()
    };
    let cap = match worst {
        Some(Severity::Critical) => CRITICAL_CAP,
        Some(Severity::High) => HIGH_CAP,
        _ => 100,
    };
    let points = percent(good, counted);
    score.capped_by = worst.filter(|_| points.is_some_and(|points| points > cap));
    score.points = points.map(|points| points.min(cap));
    score.coverage_percent = percent(checked, applicable).unwrap_or(0);
    score.grade = match score.points {
        Some(_) if score.coverage_percent < COVERAGE_MIN_PERCENT => Grade::NotEnoughData,
        Some(90..) => Grade::A,
        Some(75..) => Grade::B,
        Some(50..) => Grade::C,
        Some(_) => Grade::D,
        None => Grade::NotEnoughData,
    };
    score
}

const fn weight(severity: Severity) -> u64 {
    match severity {
        Severity::Critical => 10,
        Severity::High => 6,
        Severity::Medium => 3,
        Severity::Low => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::PolicyException;

    fn finding(outcome: Outcome, severity: Severity) -> Finding {
        Finding {
            id: "net.ftp".to_owned(),
            outcome,
            severity,
            value: String::new(),
            expected: String::new(),
            remedy: String::new(),
            reason: None,
            accepted: None,
        }
    }

    fn any_finding() -> impl Strategy<Value = Finding> {
        let outcomes = prop_oneof![
            Just(Outcome::Pass),
            Just(Outcome::Fail),
            Just(Outcome::Unknown),
            Just(Outcome::Error),
            Just(Outcome::NotApplicable),
            Just(Outcome::NotChecked),
            Just(Outcome::Informational),
        ];
        let severities = prop_oneof![
            Just(Severity::Low),
            Just(Severity::Medium),
            Just(Severity::High),
            Just(Severity::Critical),
        ];
        (outcomes, severities, any::<bool>()).prop_map(|(outcome, severity, accepted)| Finding {
            accepted: (accepted && outcome == Outcome::Fail).then(|| PolicyException {
                id: String::new(),
                reason: String::new(),
                owner: String::new(),
                until_ms: 0,
            }),
            ..finding(outcome, severity)
        })
    }

    #[test]
    fn numbers_are_rounded_down_and_failures_cap_them() {
        use Outcome::{Fail, Pass, Unknown};
        use Severity::{Critical, High, Low, Medium};
        let check = |findings: &[(Outcome, Severity)], points, coverage, grade, capped| {
            let findings: Vec<_> = findings.iter().map(|(o, s)| finding(*o, *s)).collect();
            let score = score(&findings);
            assert_eq!(score.points, points, "{findings:?}");
            assert_eq!(score.coverage_percent, coverage, "{findings:?}");
            assert_eq!(
                (score.grade, score.capped_by),
                (grade, capped),
                "{findings:?}"
            );
        };
        check(&[], None, 0, Grade::NotEnoughData, None);
        check(&[(Pass, Low)], Some(100), 100, Grade::A, None);
        check(
            &[(Pass, Critical), (Fail, Low)],
            Some(90),
            100,
            Grade::A,
            None,
        );
        check(
            &[(Pass, Medium), (Fail, Medium), (Pass, Medium)],
            Some(66),
            100,
            Grade::C,
            None,
        );
        let many = [(Pass, Critical); 9];
        let with = |more| [many.as_slice(), &[more]].concat();
        check(&with((Fail, High)), Some(79), 100, Grade::B, Some(High));
        check(
            &with((Fail, Critical)),
            Some(49),
            100,
            Grade::D,
            Some(Critical),
        );
        check(&[(Pass, Low), (Fail, High)], Some(14), 100, Grade::D, None);
        check(
            &[(Pass, Low), (Unknown, Critical)],
            Some(100),
            9,
            Grade::NotEnoughData,
            None,
        );
        check(&[(Unknown, Low)], None, 0, Grade::NotEnoughData, None);
    }

    proptest! {
        #[test]
        fn the_score_is_a_percentage(findings in prop::collection::vec(any_finding(), 0..30)) {
            let score = score(&findings);
            prop_assert!(score.points.is_none_or(|points| points <= 100));
            prop_assert!(score.coverage_percent <= 100);
        }

        #[test]
        fn a_pass_never_lowers_it(
            mut findings in prop::collection::vec(any_finding(), 0..30),
            one in any_finding(),
        ) {
            let before = score(&findings);
            findings.push(finding(Outcome::Pass, one.severity));
            let after = score(&findings);
            prop_assert!(after.points >= before.points);
            prop_assert!(after.coverage_percent >= before.coverage_percent);
        }

        #[test]
        fn the_order_has_no_effect(
            findings in prop::collection::vec(any_finding(), 0..30),
            turn in 0_usize..30,
        ) {
            let mut turned = findings.clone();
            turned.rotate_left(turn.min(findings.len()));
            prop_assert_eq!(score(&turned), score(&findings));
            turned.reverse();
            prop_assert_eq!(score(&turned), score(&findings));
        }

        #[test]
        fn what_is_not_known_never_raises_it(
            mut findings in prop::collection::vec(any_finding(), 1..30),
            index in 0_usize..30,
            outcome in prop_oneof![
                Just(Outcome::Unknown), Just(Outcome::Error), Just(Outcome::NotChecked),
            ],
        ) {
            let before = score(&findings);
            let index = index % findings.len();
            // Beside the others, or in the place of a pass.
            if findings[index].outcome == Outcome::Pass {
                findings[index].outcome = outcome;
            } else {
                findings.push(finding(outcome, Severity::High));
            }
            let after = score(&findings);
            prop_assert!(after.points <= before.points);
            prop_assert!(after.coverage_percent <= before.coverage_percent);
        }
    }
}
