//! What a workflow requires of a device, as an expression such as `storage.encryption=all`.
//!
//! | Expression | Holds when the setting |
//! |---|---|
//! | `ID` | is secure as its reader says |
//! | `ID=VALUE`, `ID=A\|B` | has this value, or one of these |
//! | `ID!=VALUE` | has another value |
//! | `ID>=VALUE`, `ID<=NUMBER` | is at least, at most; `>=` with a dot compares versions |
//!
//! A setting that is not known does not meet a requirement; one that the device does not have
//! (not applicable) does.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::expect::Expectation;
use crate::wire::{ReportSetting, Verdict};

/// Longest expression: an id, and some words.
const BYTES_MAX: usize = 200;

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The setting's id.
    pub id: String,
    /// What its value must be.
    pub expect: Expectation,
}

/// Why a text is no requirement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RequirementError(String);

/// Why a device does not meet a requirement; one part of a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The setting's id.
    pub id: String,
    /// For people: what is, and what should be.
    pub why: String,
}

impl Requirement {
    /// Whether the reading meets it.
    ///
    /// # Errors
    /// With what is and what should be.
    pub fn check(&self, readings: &[ReportSetting], now_ms: u64) -> Result<(), Unmet> {
        let unmet = |why| Unmet {
            id: self.id.clone(),
            why,
        };
        let id = &self.id;
        let mut known = readings
            .iter()
            .filter(|reading| reading.id == *id)
            .peekable();
        if known.peek().is_none() {
            return Err(unmet(format!("`{id}` is not read on this device")));
        }
        // Of several readings of one setting the worst decides.
        known.try_for_each(|reading| match reading.verdict {
            Verdict::NotApplicable => Ok(()),
            Verdict::Unknown if reading.value.is_empty() || self.expect == Expectation::Secure => {
                let why = reading.reason.as_deref().unwrap_or("not read");
                Err(unmet(format!("`{id}` is not known ({why})")))
            }
            verdict => match self.expect.holds(&reading.value, verdict, now_ms) {
                Ok(true) => Ok(()),
                _ if self.expect == Expectation::Secure => {
                    Err(unmet(format!("`{id}` is {}", shown(&reading.value))))
                }
                _ => {
                    let (is, wanted) = (shown(&reading.value), &self.expect);
                    Err(unmet(format!("`{id}` is {is}, it must be {wanted}")))
                }
            },
        })
    }
}

impl FromStr for Requirement {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Self, RequirementError> {
        let wrong = |what: &str| {
            let text: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
            let usage = "write for example \"storage.encryption=all\"";
            RequirementError(format!("`{text}` {what}; {usage}"))
        };
        if text.len() > BYTES_MAX || text.chars().any(char::is_control) {
            return Err(wrong("is too long or no plain text"));
        }
        let at = text.find(['=', '!', '<', '>']).unwrap_or(text.len());
        let (id, rest) = text.split_at_checked(at).unwrap_or((text, ""));
        let id = id.trim();
        if !is_id(id) {
            return Err(wrong("does not begin with the id of a setting"));
        }
        let (operator, value) = match rest.as_bytes() {
            [] => ("", ""),
            [b'=', ..] => ("=", rest.get(1..).unwrap_or("")),
            [_, b'=', ..] => (rest.get(..2).unwrap_or(""), rest.get(2..).unwrap_or("")),
            _ => return Err(wrong("has none of the operators =, !=, >= and <=")),
        };
        let value = value.trim();
        if !operator.is_empty() && (value.is_empty() || value.contains(['=', '!', '<', '>'])) {
            return Err(wrong("has no value after the operator"));
        }
        let words = |text: &str| -> Vec<String> {
            text.split('|').map(|word| word.trim().to_owned()).collect()
        };
        let (operator, expected) = match operator {
            "" => ("secure", Vec::new()),
            "=" if value.contains('|') => ("in", words(value)),
            "=" => ("eq", vec![value.to_owned()]),
            "!=" => ("ne", vec![value.to_owned()]),
            ">=" if value.contains('.') => ("version_gte", vec![value.to_owned()]),
            ">=" => ("gte", vec![value.to_owned()]),
            "<=" => ("lte", vec![value.to_owned()]),
            _ => return Err(wrong("has none of the operators =, !=, >= and <=")),
        };
        if expected.iter().any(String::is_empty) {
            return Err(wrong("has an empty value"));
        }
        let expect = Expectation::new(operator, &expected);
        let expect = expect.ok_or_else(|| wrong("needs a number or a version after >= and <="))?;
        Ok(Self {
            id: id.to_owned(),
            expect,
        })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operator, expected) = self.expect.parts();
        let sign = match operator {
            "eq" | "in" => "=",
            "ne" => "!=",
            "gte" | "version_gte" => ">=",
            "lte" => "<=",
            _ => "",
        };
        write!(f, "{}{sign}{}", self.id, expected.join("|"))
    }
}

/// The first requirement that the reading does not meet; one that cannot be read is not met.
///
/// # Errors
/// With what is and what should be.
pub fn check_all(
    requires: &[String],
    readings: &[ReportSetting],
    now_ms: u64,
) -> Result<(), Vec<Unmet>> {
    let unmet: Vec<Unmet> = requires
        .iter()
        .filter_map(|text| match text.parse::<Requirement>() {
            Ok(requirement) => requirement.check(readings, now_ms).err(),
            Err(error) => Some(Unmet {
                id: String::new(),
                why: error.to_string(),
            }),
        })
        .collect();
    if unmet.is_empty() { Ok(()) } else { Err(unmet) }
}

/// The ids of the settings that expressions name, each once.
#[must_use]
pub fn ids(requires: &[String]) -> BTreeSet<String> {
    let parsed = requires.iter().map(|text| text.parse::<Requirement>());
    let mut ids = BTreeSet::new();
    ids.extend(parsed.flatten().map(|requirement| requirement.id));
    ids
}

/// Known ids that look like `id`: the same but for a slip or two, or with the same last word.
#[must_use]
pub fn near<'a>(id: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    const NEAR_MAX: usize = 3;
    let mut found: Vec<(usize, &str)> = known
        .map(|candidate| (distance(id, candidate), candidate))
        .filter(|(distance, candidate)| {
            let last = |id: &str| id.rsplit('.').next().unwrap_or_default().to_owned();
            *distance <= 3 || last(candidate) == last(id) || candidate.contains(id)
        })
        .collect();
    found.sort_unstable();
    found.truncate(NEAR_MAX);
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

/// What to tell about an id that is none of `known`.
#[must_use]
pub fn unknown<'a>(id: &str, known: impl Iterator<Item = &'a str>) -> String {
    match near(id, known).join("`, `").as_str() {
        "" => format!("there is no setting `{id}`; docs/settings.md lists them"),
        near => format!("there is no setting `{id}`; did you mean `{near}`?"),
    }
}

/// Letters, digits, dots and underscores, with a dot inside: `net.tls_min_version`.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() <= 64
        && text.split('.').count() >= 2
        && text.split('.').all(|part| {
            let fits = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
            !part.is_empty() && part.bytes().all(fits)
        })
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "none" } else { value }
}

/// How many letters must be put in, left out or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut corner = i;
        let mut before = i + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(b.bytes()) {
            let here = (corner + usize::from(left != right))
                .min(before + 1)
                .min(*cell + 1);
            corner = *cell;
            *cell = here;
            before = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Severity;

    fn reading(value: &str, verdict: Verdict) -> Vec<ReportSetting> {
        vec![ReportSetting {
            id: "storage.encryption".to_owned(),
            value: value.to_owned(),
            severity: Severity::Critical,
            verdict,
            reason: (verdict == Verdict::Unknown).then(|| "no right".to_owned()),
        }]
    }

    fn met(text: &str, value: &str, verdict: Verdict) -> bool {
        let requirement: Requirement = text.parse().expect("a requirement");
        requirement.check(&reading(value, verdict), 0).is_ok()
    }

    #[test]
    fn each_form_means_what_it_says() {
        for (text, good, bad) in [
            ("storage.encryption=all", "all", "none"),
            ("storage.encryption = all | partial", "partial", "none"),
            ("storage.encryption!=none", "all", "none"),
            ("storage.encryption>=12", "12", "9"),
            ("storage.encryption<=5", "5", "9"),
            ("storage.encryption>=1.2", "1.10", "1.1"),
        ] {
            assert!(met(text, good, Verdict::NotSecure), "{text} {good}");
            assert!(!met(text, bad, Verdict::Secure), "{text} {bad}");
        }
        assert!(met("storage.encryption", "x", Verdict::Secure));
        assert!(!met("storage.encryption", "x", Verdict::NotSecure));
    }

    #[test]
    fn what_is_not_known_or_not_read_is_not_met_and_what_is_not_there_is() {
        for text in ["storage.encryption!=none", "storage.encryption"] {
            assert!(!met(text, "", Verdict::Unknown), "{text}");
            assert!(met(text, "", Verdict::NotApplicable), "{text}");
        }
        let requirement: Requirement = "net.ftp=false".parse().expect("a requirement");
        let unmet = requirement
            .check(&reading("all", Verdict::Secure), 0)
            .unwrap_err();
        assert_eq!(unmet.why, "`net.ftp` is not read on this device");
    }

    #[test]
    fn the_reason_is_a_sentence_for_people() {
        let requirement: Requirement = "storage.encryption=all".parse().expect("one");
        let why = |value, verdict| {
            requirement
                .check(&reading(value, verdict), 0)
                .unwrap_err()
                .why
        };
        assert_eq!(
            why("none", Verdict::NotSecure),
            "`storage.encryption` is none, it must be all"
        );
        assert_eq!(
            why("", Verdict::Unknown),
            "`storage.encryption` is not known (no right)"
        );
    }

    #[test]
    fn what_is_no_requirement_says_how_to_write_one() {
        for text in [
            "",
            "=",
            "encryption=all",
            "a.b>",
            "a.b>=",
            "a.b>=many",
            "a.b==x",
            "a.b=x|",
            "a.b=x\ny",
            "A.b=x",
            "a.b<3",
            "a..b=1",
        ] {
            let error = text.parse::<Requirement>().expect_err(text);
            assert!(
                error.to_string().contains("write for example"),
                "{text}: {error}"
            );
        }
        assert!(check_all(&["?".to_owned()], &[], 0).is_err());
    }

    #[test]
    fn a_slip_finds_what_was_meant() {
        let known = [
            "net.ftp",
            "net.tls_min_version",
            "storage.encryption",
            "net.telnet",
        ];
        let found = |id| near(id, known.into_iter());
        assert_eq!(found("storage.encription"), ["storage.encryption"]);
        assert_eq!(found("tls.tls_min_version"), ["net.tls_min_version"]);
        assert_eq!(found("auth.something_else"), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_comes_back(text in "[a-z.=!<>|0-9 _]{0,40}") {
            if let Ok(requirement) = text.parse::<Requirement>() {
                let again: Requirement = requirement.to_string().parse().expect("its own form");
                prop_assert_eq!(again, requirement);
            }
        }
    }
}
