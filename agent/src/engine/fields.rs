//! Checks what a person entered against the workflow's fields, before paper moves.

use std::collections::BTreeMap;

use scantrip_cloud_client::posture::REQUIRES_FEATURE;
use scantrip_cloud_client::wire::{FIELD_BYTES_MAX, Field, FieldKind, Workflow};

use crate::api::{Refusal, RefusalKind};

/// Features of workflows that this version knows.
const KNOWN_FEATURES: &[&str] = &[REQUIRES_FEATURE];
/// Largest compiled pattern: enough for any form field, far too little to fill the memory.
const PATTERN_BYTES_MAX: usize = 64 * 1024;

/// Why the workflow cannot be used on this device, if so.
#[must_use]
pub fn unavailable(workflow: &Workflow) -> Option<String> {
    let unknown = workflow
        .must_understand
        .iter()
        .find(|feature| !KNOWN_FEATURES.contains(&feature.as_str()))?;
    Some(format!(
        "it needs `{unknown}`, which this version of the agent does not know; update the agent"
    ))
}

/// The workflow that a person means: by name or by id.
///
/// # Errors
/// When there is none, or it cannot be used here.
pub fn find<'a>(workflows: &'a [Workflow], wanted: &str) -> Result<&'a Workflow, Refusal> {
    let found = workflows
        .iter()
        .find(|each| each.id == wanted)
        .or_else(|| workflows.iter().find(|each| each.name == wanted));
    let Some(workflow) = found else {
        let known: Vec<_> = workflows.iter().map(|each| each.name.as_str()).collect();
        let known = match known.is_empty() {
            true => "this device has none yet; ask your administrator".to_owned(),
            false => format!("this device has: {}", known.join(", ")),
        };
        return Err(invalid(format!("there is no workflow `{wanted}`; {known}")));
    };
    match unavailable(workflow) {
        Some(why) => Err(invalid(format!(
            "workflow `{}` cannot be used: {why}",
            workflow.name
        ))),
        None => Ok(workflow),
    }
}

/// The values as the manifest shall hold them: defaults filled in, empty ones left out.
///
/// # Errors
/// When a value is missing, too long, of the wrong kind, or of no field; names the field's label.
pub fn check(
    workflow: &Workflow,
    entered: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let fields = &workflow.fields;
    if let Some(name) = entered
        .keys()
        .find(|name| fields.iter().all(|f| f.name != **name))
    {
        let known: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
        let known = match known.is_empty() {
            true => "it asks for nothing".to_owned(),
            false => format!("its fields are: {}", known.join(", ")),
        };
        return Err(invalid(format!(
            "workflow `{}` has no field `{name}`; {known}",
            workflow.name
        )));
    }
    let mut values = BTreeMap::new();
    for field in fields {
        let value = entered.get(&field.name).or(field.default.as_ref());
        let value = value.map_or("", String::as_str);
        if value.is_empty() {
            if field.required {
                let message = format!("{} is required (field `{}`)", field.label, field.name);
                return Err(invalid(message));
            }
            continue;
        }
        check_value(field, value).map_err(|wanted| invalid(format!("{} {wanted}", field.label)))?;
        values.insert(field.name.clone(), value.to_owned());
    }
    Ok(values)
}

fn check_value(field: &Field, value: &str) -> Result<(), String> {
    if value.len() > FIELD_BYTES_MAX {
        return Err(format!("is too long; at most {FIELD_BYTES_MAX} bytes"));
    }
    if value
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
    {
        return Err("must be one line without control characters".to_owned());
    }
    match field.kind {
        FieldKind::Number if !is_number(value) => {
            return Err("must be a number, like 12 or 12.5".to_owned());
        }
        FieldKind::Date if !is_date(value) => {
            return Err("must be a day, like 2026-01-31".to_owned());
        }
        FieldKind::Choice if !field.choices.iter().any(|choice| choice == value) => {
            return Err(format!("must be one of: {}", field.choices.join(", ")));
        }
        _ => {}
    }
    let Some(pattern) = &field.pattern else {
        return Ok(());
    };
    let regex = regex_lite::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(PATTERN_BYTES_MAX)
        .build();
    match regex {
        Ok(regex) if !regex.is_match(value) => Err(format!("must look like `{pattern}`")),
        Ok(_) => Ok(()),
        // The workflow is at fault, and the cloud checks it again: the person can still scan.
        Err(error) => {
            log::warn!("field {}: its pattern cannot be used: {error}", field.name);
            Ok(())
        }
    }
}

fn is_number(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, "0"));
    [whole, rest]
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_date(value: &str) -> bool {
    let mut parts = value.split('-');
    let mut number = |digits: usize| {
        let part = parts.next()?;
        (part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| part.parse::<u32>().ok())?
    };
    let (Some(year), Some(month), Some(day)) = (number(4), number(2), number(2)) else {
        return false;
    };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return false,
    };
    parts.next().is_none() && (1..=days).contains(&day)
}

pub(super) fn invalid(message: String) -> Refusal {
    Refusal {
        kind: RefusalKind::Invalid,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, kind: FieldKind) -> Field {
        Field {
            name: name.to_owned(),
            label: name.to_uppercase(),
            kind,
            default: None,
            required: false,
            pattern: None,
            choices: vec!["red".to_owned(), "blue".to_owned()],
        }
    }

    fn workflow(fields: Vec<Field>) -> Workflow {
        Workflow {
            id: "w-1".to_owned(),
            version: 1,
            name: "Invoices".to_owned(),
            fields,
            scan: scantrip_cloud_client::wire::ScanRules::default(),
            must_understand: Vec::new(),
            requires: Vec::new(),
        }
    }

    #[track_caller]
    fn refused(field: Field, value: &str, words: &str) {
        let entered = BTreeMap::from([(field.name.clone(), value.to_owned())]);
        let refusal = check(&workflow(vec![field]), &entered).unwrap_err();
        assert!(refusal.message.contains(words), "{refusal}");
        assert_eq!(refusal.kind, RefusalKind::Invalid);
    }

    #[track_caller]
    fn taken(field: Field, value: &str) {
        let entered = BTreeMap::from([(field.name.clone(), value.to_owned())]);
        assert_eq!(check(&workflow(vec![field]), &entered).unwrap(), entered);
    }

    #[test]
    fn a_missing_required_field_is_named_by_its_label() {
        let mut asked = field("customer", FieldKind::Text);
        asked.required = true;
        refused(asked, "", "CUSTOMER is required");
    }

    #[test]
    fn a_default_fills_in_and_an_empty_value_is_left_out() {
        let mut asked = field("a", FieldKind::Text);
        asked.default = Some("x".to_owned());
        let workflow = workflow(vec![asked, field("b", FieldKind::Text)]);
        let values = check(&workflow, &BTreeMap::new()).unwrap();
        assert_eq!(values, BTreeMap::from([("a".to_owned(), "x".to_owned())]));
    }

    #[test]
    fn values_are_one_short_line() {
        refused(field("a", FieldKind::Text), "a\nb", "A must be one line");
        refused(field("a", FieldKind::Text), "a\u{1b}[0m", "one line");
        refused(
            field("a", FieldKind::Text),
            &"x".repeat(FIELD_BYTES_MAX + 1),
            "too long",
        );
        taken(field("a", FieldKind::Text), "../../etc/passwd");
    }

    #[test]
    fn kinds_are_checked() {
        taken(field("a", FieldKind::Number), "-12.50");
        refused(field("a", FieldKind::Number), "12,5", "number");
        taken(field("a", FieldKind::Date), "2024-02-29");
        refused(field("a", FieldKind::Date), "2023-02-29", "day");
        refused(field("a", FieldKind::Date), "2023-2-1", "day");
        taken(field("a", FieldKind::Choice), "blue");
        refused(field("a", FieldKind::Choice), "green", "red, blue");
        taken(field("a", FieldKind::Unknown), "anything");
    }

    #[test]
    fn a_pattern_must_match_the_whole_value() {
        let mut asked = field("a", FieldKind::Text);
        asked.pattern = Some("[0-9]{3}|x".to_owned());
        taken(asked.clone(), "123");
        refused(asked.clone(), "1234", "look like");
        asked.pattern = Some("(".to_owned());
        taken(asked, "anything, for the cloud checks again");
    }

    #[test]
    fn an_unknown_field_or_workflow_lists_the_known_ones() {
        let workflow = workflow(vec![field("a", FieldKind::Text)]);
        let entered = BTreeMap::from([("b".to_owned(), "1".to_owned())]);
        assert!(
            check(&workflow, &entered)
                .unwrap_err()
                .message
                .contains("its fields are: a")
        );
        let refusal = find(&[workflow], "Taxes").unwrap_err();
        assert!(refusal.message.contains("Taxes") && refusal.message.contains("Invoices"));
    }

    #[test]
    fn a_workflow_with_an_unknown_feature_is_unavailable() {
        let mut newer = workflow(Vec::new());
        newer.must_understand = vec!["sign-on-glass".to_owned()];
        assert!(
            find(&[newer], "Invoices")
                .unwrap_err()
                .message
                .contains("sign-on-glass")
        );
    }
}
