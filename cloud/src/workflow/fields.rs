//! The questions of a workflow, checked before any person sees them.

use std::ops::Range;

use regex_lite::{Regex, RegexBuilder};
use scantrip_cloud_client::wire::{FIELD_BYTES_MAX, Field, FieldKind};
use serde::Deserialize;
use toml::Spanned;

use super::Fault;
use crate::name_pattern::FIXED_NAMES;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawField {
    name: Spanned<String>,
    label: Option<Spanned<String>>,
    #[serde(rename = "type")]
    kind: Option<Kind>,
    #[serde(default)]
    required: bool,
    default: Option<Spanned<String>>,
    pattern: Option<Spanned<String>>,
    #[serde(default)]
    choices: Vec<Spanned<String>>,
}

/// The kinds that a file may name; the wire knows one more, for newer versions.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Text,
    Number,
    Date,
    Choice,
}

/// Checks all fields of a workflow.
pub(super) fn check(raw: &[Spanned<RawField>]) -> Result<Vec<Field>, Fault> {
    let mut fields: Vec<Field> = Vec::new();
    for field in raw {
        if fields.len() == FIELDS_MAX {
            let message = format!("expected at most {FIELDS_MAX} fields: people stand at a panel");
            return Err(Fault::new(message, field.span()));
        }
        let checked = one(field.get_ref(), field.span())?;
        if fields.iter().any(|other| other.name == checked.name) {
            let message = format!("the field `{}` is there twice", checked.name);
            return Err(Fault::new(message, field.get_ref().name.span()));
        }
        fields.push(checked);
    }
    Ok(fields)
}

fn one(raw: &RawField, span: Range<usize>) -> Result<Field, Fault> {
    let name = check_name(&raw.name)?;
    let kind = match raw.kind.unwrap_or(Kind::Text) {
        Kind::Text => FieldKind::Text,
        Kind::Number => FieldKind::Number,
        Kind::Date => FieldKind::Date,
        Kind::Choice => FieldKind::Choice,
    };
    match (kind, raw.choices.first()) {
        (FieldKind::Choice, None) => {
            return Err(Fault::new(
                "a choice needs choices, for example [\"a\", \"b\"]",
                span,
            ));
        }
        (FieldKind::Choice, _) | (_, None) => {}
        (_, Some(first)) => {
            return Err(Fault::new(
                "choices belong to type = \"choice\"",
                first.span(),
            ));
        }
    }
    for value in raw.label.iter().chain(&raw.choices) {
        if !is_line(value.get_ref(), LABEL_CHARS_MAX) {
            let message = format!("expected 1 to {LABEL_CHARS_MAX} characters in one line");
            return Err(Fault::new(message, value.span()));
        }
    }
    let regex = raw.pattern.as_ref().map(compile).transpose()?;
    let field = Field {
        label: raw
            .label
            .as_ref()
            .map_or(&name, |label| label.get_ref())
            .clone(),
        name,
        kind,
        default: raw.default.as_ref().map(|value| value.get_ref().clone()),
        required: raw.required,
        pattern: raw
            .pattern
            .as_ref()
            .map(|pattern| pattern.get_ref().clone()),
        choices: raw
            .choices
            .iter()
            .map(|choice| choice.get_ref().clone())
            .collect(),
    };
    if let Some(default) = &raw.default {
        check_value(&field, regex.as_ref(), default.get_ref())
            .map_err(|message| Fault::new(message, default.span()))?;
    }
    Ok(field)
}

fn check_name(raw: &Spanned<String>) -> Result<String, Fault> {
    let name = raw.get_ref();
    let fits = name
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if name.len() > FIELD_NAME_BYTES_MAX
        || !name.starts_with(|c: char| c.is_ascii_lowercase())
        || !fits
    {
        let message = format!(
            "expected a name of at most {FIELD_NAME_BYTES_MAX} lower-case letters, digits and `_`, \
             a letter first"
        );
        return Err(Fault::new(message, raw.span()));
    }
    if FIXED_NAMES.contains(&name.as_str()) {
        let message = format!(
            "`{name}` has a fixed meaning in the names of documents; call the field for example \
             `document_{name}`"
        );
        return Err(Fault::new(message, raw.span()));
    }
    Ok(name.clone())
}

fn compile(raw: &Spanned<String>) -> Result<Regex, Fault> {
    if raw.get_ref().len() > PATTERN_BYTES_MAX {
        let message = format!("expected a pattern of at most {PATTERN_BYTES_MAX} bytes");
        return Err(Fault::new(message, raw.span()));
    }
    // As devices do: the whole value must match.
    RegexBuilder::new(&format!("^(?:{})$", raw.get_ref()))
        .size_limit(PATTERN_COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| Fault::new(format!("the pattern cannot be used: {error}"), raw.span()))
}

fn check_value(field: &Field, regex: Option<&Regex>, value: &str) -> Result<(), &'static str> {
    if value.len() > FIELD_BYTES_MAX || value.contains(char::is_control) {
        return Err("the default must be one line of at most 4096 bytes");
    }
    match field.kind {
        FieldKind::Number if value.parse::<f64>().is_err() => {
            return Err("the default of a number must be a number, for example \"1.5\"");
        }
        FieldKind::Date if !is_date(value) => {
            return Err("the default of a date must be a day, for example \"2026-11-30\"");
        }
        FieldKind::Choice if !field.choices.iter().any(|choice| choice == value) => {
            return Err("the default must be one of the choices");
        }
        _ => {}
    }
    match regex {
        Some(regex) if !regex.is_match(value) => Err("the default does not match the pattern"),
        _ => Ok(()),
    }
}

fn is_date(value: &str) -> bool {
    let mut parts = value.split('-');
    let mut number = |digits: usize| {
        let part = parts.next().filter(|part| part.len() == digits)?;
        part.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| part.parse::<u16>().ok())?
    };
    let (Some(year), Some(month), Some(day)) = (number(4), number(2), number(2)) else {
        return false;
    };
    let (Ok(month), Ok(day)) = (u8::try_from(month), u8::try_from(day)) else {
        return false;
    };
    let date = time::Month::try_from(month)
        .and_then(|month| time::Date::from_calendar_date(i32::from(year), month, day));
    parts.next().is_none() && date.is_ok()
}

fn is_line(text: &str, chars_max: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= chars_max && !text.contains(char::is_control)
}

/// What a person fills in while standing.
const FIELDS_MAX: usize = 20;
const FIELD_NAME_BYTES_MAX: usize = 32;
/// What fits into one line of a panel.
const LABEL_CHARS_MAX: usize = 80;
/// Devices compile patterns too; they are small.
const PATTERN_BYTES_MAX: usize = 256;
const PATTERN_COMPILED_BYTES_MAX: usize = 64 * 1024;
