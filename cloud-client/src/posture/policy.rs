//! The policy file: what each setting of a device should be.
//!
//! It is TOML of at most 64 KiB; `policies/baseline.toml` of this crate shows the form.
//! `docs/operations/policy.md` explains every key to people. Every fault names file, line and
//! column.

use std::ops::Range;

use serde::Deserialize;
use toml::{Spanned, Value};

use super::expect::{Expectation, OPERATORS, time};
use super::requirement::{Requirement, is_id};
use crate::wire::{Policy, PolicyException, PolicyRule, Severity};

/// Largest file: far more than one rule for each setting there is.
pub const POLICY_BYTES_MAX: usize = 64 * 1024;
/// What fits into one line of a terminal.
const NAME_CHARS_MAX: usize = 80;
const TEXT_CHARS_MAX: usize = 400;
const RULES_MAX: usize = 300;

/// A policy that comes with the program.
#[derive(Clone, Copy, Debug)]
pub struct ReadyMade {
    /// What `--policy` calls it.
    pub name: &'static str,
    /// The file.
    pub source: &'static str,
}

/// The policies that come with the program; the first one is used where none is named.
pub const READY_MADE: &[ReadyMade] = &[
    ReadyMade {
        name: "baseline",
        source: include_str!("../../policies/baseline.toml"),
    },
    ReadyMade {
        name: "strict",
        source: include_str!("../../policies/strict.toml"),
    },
    ReadyMade {
        name: "konica-minolta-enhanced-security",
        source: include_str!("../../policies/konica-minolta-enhanced-security.toml"),
    },
];

/// Why a policy file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct PolicyError {
    /// As given by the caller.
    pub file: String,
    /// 1 and up.
    pub line: usize,
    /// In characters, 1 and up.
    pub column: usize,
    /// What is wrong and what was expected.
    pub message: String,
}

/// The ready-made policy of that name.
#[must_use]
pub fn ready_made(name: &str) -> Option<Policy> {
    let found = READY_MADE.iter().find(|policy| policy.name == name)?;
    parse(found.source, found.name).ok()
}

/// The policy for devices whose tenant has set none.
#[must_use]
pub fn baseline() -> Policy {
    ready_made("baseline").unwrap_or_default()
}

/// Checks a policy file; `file` is its name in errors.
///
/// # Errors
/// The first fault, with its place and what was expected.
pub fn parse(text: &str, file: &str) -> Result<Policy, PolicyError> {
    read(text).map_err(|fault| {
        let at = fault.span.map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        PolicyError {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            message: fault.message,
        }
    })
}

struct Fault {
    message: String,
    span: Option<Range<usize>>,
}

fn fault(message: impl Into<String>, span: Range<usize>) -> Fault {
    Fault {
        message: message.into(),
        span: Some(span),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: Spanned<String>,
    #[serde(default)]
    version: u32,
    #[serde(default)]
    secure: Vec<Spanned<String>>,
    #[serde(default)]
    rules: Vec<Spanned<RawRule>>,
    #[serde(default)]
    exceptions: Vec<Spanned<RawException>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: Spanned<String>,
    severity: Option<Severity>,
    monitor: Option<bool>,
    remedy: Option<Spanned<String>>,
    applies_when: Option<Spanned<String>>,
    eq: Option<Spanned<Value>>,
    ne: Option<Spanned<Value>>,
    r#in: Option<Spanned<Value>>,
    not_in: Option<Spanned<Value>>,
    subset_of: Option<Spanned<Value>>,
    gte: Option<Spanned<Value>>,
    lte: Option<Spanned<Value>>,
    between: Option<Spanned<Value>>,
    version_gte: Option<Spanned<Value>>,
    expires_after: Option<Spanned<Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawException {
    id: Spanned<String>,
    reason: Spanned<String>,
    owner: Spanned<String>,
    until: Spanned<String>,
}

fn read(text: &str) -> Result<Policy, Fault> {
    if text.len() > POLICY_BYTES_MAX {
        return Err(Fault {
            message: format!("a policy has at most {POLICY_BYTES_MAX} bytes"),
            span: None,
        });
    }
    let raw: Raw = toml::from_str(text).map_err(|error| Fault {
        message: error.message().to_owned(),
        span: error.span(),
    })?;
    let mut policy = Policy {
        name: line(&raw.name, NAME_CHARS_MAX)?,
        version: raw.version,
        rules: Vec::new(),
        exceptions: Vec::new(),
    };
    for text in &raw.secure {
        add(&mut policy, secure(id(text)?), text)?;
    }
    for raw in &raw.rules {
        add(&mut policy, rule(raw)?, &raw.get_ref().id)?;
    }
    for raw in &raw.exceptions {
        policy.exceptions.push(exception(raw.get_ref(), &policy)?);
    }
    Ok(policy)
}

fn add(policy: &mut Policy, rule: PolicyRule, id: &Spanned<String>) -> Result<(), Fault> {
    if policy.rules.iter().any(|known| known.id == rule.id) {
        let message = format!("there is a rule for `{}` already", rule.id);
        return Err(fault(message, id.span()));
    }
    if policy.rules.len() >= RULES_MAX {
        let message = format!("expected at most {RULES_MAX} rules");
        return Err(fault(message, id.span()));
    }
    policy.rules.push(rule);
    Ok(())
}

/// The rule of a setting that shall be as secure as its reader asks.
fn secure(id: String) -> PolicyRule {
    let (operator, expected) = Expectation::Secure.parts();
    PolicyRule {
        id,
        operator: operator.to_owned(),
        expected,
        severity: None,
        monitor: true,
        remedy: String::new(),
        applies_when: None,
    }
}

fn rule(raw: &Spanned<RawRule>) -> Result<PolicyRule, Fault> {
    let span = raw.span();
    let raw = raw.get_ref();
    let given = [
        &raw.eq,
        &raw.ne,
        &raw.r#in,
        &raw.not_in,
        &raw.subset_of,
        &raw.gte,
        &raw.lte,
        &raw.between,
        &raw.version_gte,
        &raw.expires_after,
    ];
    let mut given = OPERATORS
        .iter()
        .zip(given)
        .filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let expect = match (given.next(), given.next()) {
        (None, _) => Expectation::Secure,
        (Some((name, value)), None) => {
            let expected = words(value)?;
            Expectation::new(name, &expected).ok_or_else(|| {
                let wanted = match *name {
                    "gte" | "lte" => "a whole number",
                    "between" => "two whole numbers in order, such as [30, 300]",
                    "version_gte" => "a version such as \"1.2\"",
                    "expires_after" => "a number of days",
                    "in" | "not_in" => "a list of values",
                    _ => "one value",
                };
                fault(format!("`{name}` expects {wanted}"), value.span())
            })?
        }
        (Some((one, _)), Some((other, value))) => {
            let message = format!("a rule has one operator, this has `{one}` and `{other}`");
            return Err(fault(message, value.span()));
        }
    };
    let applies_when = raw.applies_when.as_ref().map(|text| {
        let parsed = text.get_ref().parse::<Requirement>();
        parsed
            .map(|parsed| parsed.to_string())
            .map_err(|error| fault(error.to_string(), text.span()))
    });
    let (operator, expected) = expect.parts();
    if expected
        .iter()
        .any(|value| value.chars().any(char::is_control))
    {
        return Err(fault("expected values in one line", span));
    }
    Ok(PolicyRule {
        id: id(&raw.id)?,
        operator: operator.to_owned(),
        expected,
        severity: raw.severity,
        monitor: raw.monitor.unwrap_or(true),
        remedy: match &raw.remedy {
            Some(text) => line(text, TEXT_CHARS_MAX)?,
            None => String::new(),
        },
        applies_when: applies_when.transpose()?,
    })
}

fn exception(raw: &RawException, policy: &Policy) -> Result<PolicyException, Fault> {
    let id = id(&raw.id)?;
    if policy.rules.iter().all(|rule| rule.id != id) {
        let message = format!("there is no rule for `{id}` that this could be an exception of");
        return Err(fault(message, raw.id.span()));
    }
    let until = time(raw.until.get_ref()).and_then(|seconds| u64::try_from(seconds).ok());
    let until = until.ok_or_else(|| {
        fault(
            "expected the last day, such as \"2027-01-31\"",
            raw.until.span(),
        )
    })?;
    const DAY_MS: u64 = 24 * 3600 * 1000;
    Ok(PolicyException {
        id,
        reason: line(&raw.reason, TEXT_CHARS_MAX)?,
        owner: line(&raw.owner, NAME_CHARS_MAX)?,
        // The last day counts as a whole.
        until_ms: (until * 1000 / DAY_MS + 1) * DAY_MS,
    })
}

fn id(text: &Spanned<String>) -> Result<String, Fault> {
    if is_id(text.get_ref()) {
        return Ok(text.get_ref().clone());
    }
    let message = "expected the id of a setting, such as \"net.ftp\"";
    Err(fault(message, text.span()))
}

fn line(text: &Spanned<String>, chars_max: usize) -> Result<String, Fault> {
    let trimmed = text.get_ref().trim();
    let count = trimmed.chars().count();
    if count == 0 || count > chars_max || trimmed.contains(char::is_control) {
        let message = format!("expected 1 to {chars_max} characters in one line");
        return Err(fault(message, text.span()));
    }
    Ok(trimmed.to_owned())
}

/// The argument of an operator as texts: one value, or a list of values.
fn words(value: &Spanned<Value>) -> Result<Vec<String>, Fault> {
    let word = |one: &Value| match one {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    };
    let all: Option<Vec<String>> = match value.get_ref() {
        Value::Array(list) => list.iter().map(word).collect(),
        one => word(one).map(|one| vec![one]),
    };
    all.ok_or_else(|| {
        fault(
            "expected a text, a whole number, true or false",
            value.span(),
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ready_made_policies_are_whole() {
        for made in READY_MADE {
            let policy = parse(made.source, made.name).unwrap();
            assert!(policy.rules.len() >= 20, "{}", made.name);
            assert!(policy.exceptions.is_empty(), "{}", made.name);
        }
        assert!(!baseline().rules.is_empty());
    }

    #[test]
    fn a_bizhub_is_mended_at_its_own_menus() {
        let policy = ready_made("konica-minolta-enhanced-security").unwrap();
        // Has no menu of one name on all models.
        let rules = policy.rules.iter();
        for rule in rules.filter(|rule| rule.id != "net.tls_min_version") {
            assert!(!rule.remedy.is_empty(), "{}", rule.id);
        }
    }

    #[test]
    fn strict_asks_for_all_that_the_baseline_asks_for() {
        let strict = ready_made("strict").unwrap();
        for rule in baseline().rules {
            assert!(
                strict.rules.iter().any(|one| one.id == rule.id),
                "{}",
                rule.id
            );
        }
    }

    #[test]
    fn a_file_becomes_a_policy() {
        let text = r#"
            name = "House rules"
            version = 3
            [[rules]]
            id = "net.tls_min_version"
            version_gte = "1.2"
            severity = "high"
            [[rules]]
            id = "auth.lockout_tries"
            between = [1, 5]
            monitor = false
            applies_when = "auth.user_authentication != off"
            [[rules]]
            id = "net.raw_9100"
            eq = false
            [[exceptions]]
            id = "net.raw_9100"
            reason = "the warehouse prints there"
            owner = "it@example.com"
            until = "1970-01-02"
        "#;
        let policy = parse(text, "house.toml").unwrap();
        assert_eq!((policy.name.as_str(), policy.version), ("House rules", 3));
        let rules: Vec<_> = policy
            .rules
            .iter()
            .map(|rule| {
                (
                    rule.operator.as_str(),
                    rule.expected.join(" "),
                    rule.monitor,
                )
            })
            .collect();
        assert_eq!(
            rules,
            [
                ("version_gte", "1.2".to_owned(), true),
                ("between", "1 5".to_owned(), false),
                ("eq", "false".to_owned(), true),
            ]
        );
        let applies = policy.rules[1].applies_when.as_deref();
        assert_eq!(applies, Some("auth.user_authentication!=off"));
        assert_eq!(policy.exceptions[0].until_ms, 2 * 24 * 3600 * 1000);
    }

    #[test]
    fn every_fault_names_its_place() {
        let rule = |lines: &str| format!("name = \"x\"\n[[rules]]\n{lines}");
        for (text, place, words) in [
            ("", "1:1", "missing field `name`"),
            ("name = \"\"", "1:8", "characters in one line"),
            (&rule("id = \"ftp\""), "3:6", "the id of a setting"),
            (
                &rule("id = \"net.ftp\"\nlike = 1"),
                "4:1",
                "unknown field `like`",
            ),
            (
                &rule("id = \"net.ftp\"\ngte = \"x\""),
                "4:7",
                "a whole number",
            ),
            (
                &rule("id = \"net.ftp\"\ngte = 1.5"),
                "4:7",
                "a text, a whole number",
            ),
            (
                &rule("id = \"net.ftp\"\neq = 1\nne = 2"),
                "5:6",
                "one operator",
            ),
            (
                &rule("id = \"net.ftp\"\nseverity = \"bad\""),
                "4:12",
                "unknown variant",
            ),
            (
                &rule("id = \"net.ftp\"\napplies_when = \"?\""),
                "4:16",
                "write for example",
            ),
            (
                &rule("id = \"net.ftp\"\n[[rules]]\nid = \"net.ftp\""),
                "5:6",
                "already",
            ),
            (
                &rule(
                    "id = \"net.ftp\"\n[[exceptions]]\nid = \"net.lpd\"\nreason = \"r\"\n\
                    owner = \"o\"\nuntil = \"2027-01-01\"",
                ),
                "5:6",
                "no rule for",
            ),
            (
                &rule(
                    "id = \"net.ftp\"\n[[exceptions]]\nid = \"net.ftp\"\nreason = \"r\"\n\
                    owner = \"o\"\nuntil = \"soon\"",
                ),
                "8:9",
                "the last day",
            ),
        ] {
            let error = parse(text, "p.toml").unwrap_err();
            assert_eq!(
                format!("{}:{}", error.line, error.column),
                place,
                "{error} in {text}"
            );
            assert!(error.message.contains(words), "{error} in {text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            drop(parse(&text, "p.toml"));
        }
    }
}
