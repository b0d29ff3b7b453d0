//! What a rule expects of a value.
//!
//! Values are canonical text: `true`, `12`, one word, a version such as `1.2`, a time in RFC 3339
//! or Unix seconds, or a set as words with commas between (`none` and nothing are the empty set).

use std::fmt;

use crate::wire::{PolicyRule, Verdict};

/// Names of the operators, as they stand in a policy file and on the wire.
pub const OPERATORS: [&str; 10] = [
    "eq",
    "ne",
    "in",
    "not_in",
    "subset_of",
    "gte",
    "lte",
    "between",
    "version_gte",
    "expires_after",
];

/// The last word of a set of which the device could look at a part only.
const MORE: &str = "+?";

const DAY_SECONDS: i64 = 24 * 3600;

/// What a value must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// As secure as the device's reader of that setting asks for.
    Secure,
    /// This value.
    Eq(String),
    /// Any other value.
    Ne(String),
    /// One of these.
    In(Vec<String>),
    /// None of these; of a set: no member is one of these.
    NotIn(Vec<String>),
    /// A set whose members are all among these.
    SubsetOf(Vec<String>),
    /// A number of at least this.
    Gte(i64),
    /// A number of at most this.
    Lte(i64),
    /// A number from the first to the second.
    Between(i64, i64),
    /// This version or a newer one.
    VersionGte(String),
    /// A time that is at least so many days away.
    ExpiresAfter(u16),
}

/// The value is not of the kind that the rule needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value is not of the kind that the rule needs")]
pub struct WrongKind;

impl Expectation {
    /// The expectation of `operator` with its arguments; `None`: this version does not know it, or
    /// the arguments do not fit.
    #[must_use]
    pub fn new(operator: &str, expected: &[String]) -> Option<Self> {
        let all = || expected.to_vec();
        let number = |text: &String| text.parse::<i64>().ok();
        Some(match (operator, expected) {
            ("secure", []) => Self::Secure,
            ("eq", [value]) => Self::Eq(value.clone()),
            ("ne", [value]) => Self::Ne(value.clone()),
            ("in", [_, ..]) => Self::In(all()),
            ("not_in", [_, ..]) => Self::NotIn(all()),
            ("subset_of", _) => Self::SubsetOf(all()),
            ("gte", [least]) => Self::Gte(number(least)?),
            ("lte", [most]) => Self::Lte(number(most)?),
            ("between", [least, most]) => {
                let (least, most) = (number(least)?, number(most)?);
                (least <= most).then_some(Self::Between(least, most))?
            }
            ("version_gte", [oldest]) => {
                version(oldest)?;
                Self::VersionGte(oldest.clone())
            }
            ("expires_after", [days]) => Self::ExpiresAfter(days.parse().ok()?),
            _ => return None,
        })
    }

    /// The expectation of a rule; `None` as in [`Expectation::new`].
    #[must_use]
    pub fn of(rule: &PolicyRule) -> Option<Self> {
        Self::new(&rule.operator, &rule.expected)
    }

    /// The operator and its arguments.
    #[must_use]
    pub fn parts(&self) -> (&'static str, Vec<String>) {
        match self {
            Self::Secure => ("secure", Vec::new()),
            Self::Eq(value) => ("eq", vec![value.clone()]),
            Self::Ne(value) => ("ne", vec![value.clone()]),
            Self::In(values) => ("in", values.clone()),
            Self::NotIn(values) => ("not_in", values.clone()),
            Self::SubsetOf(values) => ("subset_of", values.clone()),
            Self::Gte(least) => ("gte", vec![least.to_string()]),
            Self::Lte(most) => ("lte", vec![most.to_string()]),
            Self::Between(least, most) => ("between", vec![least.to_string(), most.to_string()]),
            Self::VersionGte(oldest) => ("version_gte", vec![oldest.clone()]),
            Self::ExpiresAfter(days) => ("expires_after", vec![days.to_string()]),
        }
    }

    /// Whether a known `value`, of which its reader says `verdict`, is as expected.
    ///
    /// # Errors
    /// When the value is not of the kind that this needs; that is never a pass.
    pub fn holds(&self, value: &str, verdict: Verdict, now_ms: u64) -> Result<bool, WrongKind> {
        // A set that was too long to be told ends with how many more there are.
        let cut = members(value).iter().any(|one| one.starts_with('+'));
        let part = is_part(value);
        let number = || value.trim().parse::<i64>().map_err(|_text| WrongKind);
        Ok(match self {
            Self::Secure if verdict == Verdict::Unknown => return Err(WrongKind),
            Self::Secure => verdict == Verdict::Secure,
            Self::Eq(_) | Self::Ne(_) | Self::In(_) if part => return Err(WrongKind),
            Self::Eq(wanted) => same(value, wanted),
            Self::Ne(unwanted) => !same(value, unwanted),
            Self::In(wanted) => wanted.iter().any(|one| same(value, one)),
            Self::NotIn(unwanted) => {
                let set = members(value);
                let found = |one: &String| same(value, one) || set.contains(&one.as_str());
                match unwanted.iter().any(found) {
                    false if cut => return Err(WrongKind),
                    found => !found,
                }
            }
            Self::SubsetOf(allowed) => {
                let mut known = members(value).into_iter().filter(|one| *one != MORE);
                match known.all(|one| allowed.iter().any(|other| other == one)) {
                    true if part => return Err(WrongKind),
                    within => within,
                }
            }
            Self::Gte(least) => number()? >= *least,
            Self::Lte(most) => number()? <= *most,
            Self::Between(least, most) => (*least..=*most).contains(&number()?),
            Self::VersionGte(oldest) => {
                let oldest = version(oldest).ok_or(WrongKind)?;
                version(value).ok_or(WrongKind)? >= oldest
            }
            Self::ExpiresAfter(days) => {
                let now = i64::try_from(now_ms / 1000).map_err(|_far| WrongKind)?;
                time(value).ok_or(WrongKind)? >= now.saturating_add(i64::from(*days) * DAY_SECONDS)
            }
        })
    }
}

/// For people: what the value should be.
impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secure => f.write_str("secure"),
            Self::Eq(value) => f.write_str(value),
            Self::Ne(value) => write!(f, "not {value}"),
            Self::In(values) => f.write_str(&values.join(" or ")),
            Self::NotIn(values) => write!(f, "none of {}", values.join(", ")),
            Self::SubsetOf(values) if values.is_empty() => f.write_str("none"),
            Self::SubsetOf(values) => write!(f, "nothing but {}", values.join(", ")),
            Self::Gte(least) => write!(f, "{least} or more"),
            Self::Lte(most) => write!(f, "{most} or less"),
            Self::Between(least, most) => write!(f, "{least} to {most}"),
            Self::VersionGte(oldest) => write!(f, "{oldest} or newer"),
            Self::ExpiresAfter(days) => write!(f, "at least {days} days away"),
        }
    }
}

/// The members of a set.
#[must_use]
pub fn members(value: &str) -> Vec<&str> {
    let all = value.split(',').map(str::trim);
    let mut members: Vec<&str> = all.filter(|one| !matches!(*one, "" | "none")).collect();
    members.sort_unstable();
    members.dedup();
    members
}

/// Whether this is a part of a set, of which the rest is not known.
#[must_use]
pub fn is_part(value: &str) -> bool {
    members(value).contains(&MORE)
}

/// Equal as they are, or as sets.
fn same(a: &str, b: &str) -> bool {
    a.trim() == b.trim() || ((a.contains(',') || b.contains(',')) && members(a) == members(b))
}

/// `1.2`, `v2.0.1`, `TLS 1.2`; trailing zeros do not count.
fn version(text: &str) -> Option<Vec<u32>> {
    let digits = text
        .trim()
        .trim_start_matches(|found: char| found.is_ascii_alphabetic() || found == ' ');
    let parts: Option<Vec<u32>> = digits.split('.').map(|part| part.parse().ok()).collect();
    let mut parts = parts?;
    while parts.last() == Some(&0) && parts.len() > 1 {
        parts.pop();
    }
    // SSL 3 came before TLS 1.0.
    let ssl = text
        .trim()
        .get(..3)
        .is_some_and(|name| name.eq_ignore_ascii_case("ssl"));
    if ssl {
        parts.insert(0, 0);
    }
    Some(parts)
}

/// Unix seconds of `2026-11-22`, `2026-11-22T19:07:00Z` or a number of seconds.
pub(crate) fn time(text: &str) -> Option<i64> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let (date, clock) = match text.split_once(['T', ' ']) {
        Some((date, clock)) => (date, clock.strip_suffix('Z').unwrap_or(clock)),
        None => (text, "00:00:00"),
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(clock.get(..8)?, ':')?;
    let fits = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    if !fits {
        return None;
    }
    // Days since the epoch, counting years from March (Howard Hinnant's `days_from_civil`).
    let shifted = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year - 719_468;
    Some(days * DAY_SECONDS + hour * 3600 + minute * 60 + second)
}

fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    let parts: Option<Vec<i64>> = text
        .split(between)
        .map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse().ok())?
        })
        .collect();
    parts?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(operator: &str, expected: &[&str], value: &str) -> Result<bool, WrongKind> {
        let expected: Vec<String> = expected.iter().map(|&one| one.to_owned()).collect();
        let expectation = Expectation::new(operator, &expected).expect("an operator");
        assert_eq!(expectation.parts(), (operator_name(operator), expected));
        expectation.holds(value, Verdict::NotSecure, 1_700_000_000_000)
    }

    fn operator_name(name: &str) -> &'static str {
        OPERATORS
            .into_iter()
            .find(|known| *known == name)
            .expect("a known operator")
    }

    #[test]
    fn each_operator_says_what_it_means() {
        for (operator, expected, good, bad) in [
            ("eq", &["all"][..], "all", "partial"),
            ("eq", &["a,b"], "b, a", "a"),
            ("ne", &["off"], "local", "off"),
            ("in", &["auth", "off"], "off", "noauth"),
            ("not_in", &["none", "rc4"], "aes,3des", "aes,rc4"),
            ("subset_of", &["mdns", "slp"], "mdns", "mdns,ssdp"),
            ("subset_of", &[], "none", "mdns"),
            ("gte", &["12"], "12", "11"),
            ("lte", &["600"], "600", "601"),
            ("between", &["1", "5"], "5", "0"),
            ("version_gte", &["1.2"], "TLS 1.10", "1.1"),
            ("version_gte", &["1.0"], "1", "SSL 3.0"),
            ("expires_after", &["30"], "2023-12-15", "1702000000"),
        ] {
            assert_eq!(
                judge(operator, expected, good),
                Ok(true),
                "{operator} {good}"
            );
            assert_eq!(
                judge(operator, expected, bad),
                Ok(false),
                "{operator} {bad}"
            );
        }
    }

    #[test]
    fn a_value_of_another_kind_is_neither_good_nor_bad() {
        for (operator, expected) in [
            ("gte", "1"),
            ("lte", "1"),
            ("version_gte", "1"),
            ("expires_after", "1"),
        ] {
            for value in ["", "many", "12x"] {
                assert_eq!(
                    judge(operator, &[expected], value),
                    Err(WrongKind),
                    "{operator}"
                );
            }
        }
    }

    #[test]
    fn a_set_that_was_cut_is_never_taken_for_free_of_something() {
        assert_eq!(judge("not_in", &["rc4"], "aes,+12"), Err(WrongKind));
        assert_eq!(judge("not_in", &["rc4"], "rc4,+12"), Ok(false));
        assert_eq!(judge("subset_of", &["aes"], "aes,+12"), Ok(false));
    }

    #[test]
    fn a_part_of_a_set_can_be_wrong_but_never_right() {
        for (operator, expected) in [
            ("subset_of", &["tcp/443"][..]),
            ("not_in", &["tcp/23"]),
            ("eq", &["tcp/443"]),
            ("eq", &["tcp/443,+?"]),
            ("ne", &["tcp/23"]),
            ("in", &["tcp/443", "tcp/443,+?"]),
        ] {
            let found = judge(operator, expected, "tcp/443,+?");
            assert_eq!(found, Err(WrongKind), "{operator}");
        }
        let wrong = "tcp/23,tcp/443,+?";
        assert_eq!(judge("subset_of", &["tcp/443"], wrong), Ok(false));
        assert_eq!(judge("not_in", &["tcp/23"], wrong), Ok(false));
    }

    #[test]
    fn arguments_that_do_not_fit_make_no_expectation() {
        let none: &[&str] = &[];
        for (operator, expected) in [
            ("like", &["x"][..]),
            ("eq", none),
            ("eq", &["a", "b"]),
            ("gte", &["many"]),
            ("between", &["5", "1"]),
            ("version_gte", &["new"]),
            ("expires_after", &["-1"]),
        ] {
            let expected: Vec<String> = expected.iter().map(|&one| one.to_owned()).collect();
            assert_eq!(Expectation::new(operator, &expected), None, "{operator}");
        }
    }

    #[test]
    fn times_are_read_as_the_calendar_has_them() {
        assert_eq!(time("1970-01-01"), Some(0));
        assert_eq!(time("9223372036854775807-01-31"), None);
        assert_eq!(time("2000-01-9223372036854775807"), None);
        assert_eq!(time("2000-02-29T00:00:01Z"), Some(951_782_401));
        assert_eq!(time("2023-11-14T22:13:20Z"), Some(1_700_000_000));
        assert_eq!(time("1700000000"), Some(1_700_000_000));
        for wrong in [
            "",
            "2023-13-01",
            "2023-1x-01",
            "2023-01-01T25:00:00Z",
            "-5-1-1",
        ] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }
}
