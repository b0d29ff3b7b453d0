//! The workflow file: what a panel asks, how it may scan, and what becomes of the pages.
//!
//! It is TOML of at most 64 KiB; `testdata/invoices.toml` shows every part:
//!
//! | Key | Meaning |
//! |---|---|
//! | `name` | for people; at most 80 characters |
//! | `id` | stable, `[a-z0-9-]`; made of the name if left out |
//! | `retention_days` | how long sealed pages are kept after delivery, 0 to 3650; 30 if left out |
//! | `requires` | what the device's settings must be, such as `"storage.encryption=all"` |
//! | `[[fields]]` | `name`, `label`, `type` (text, number, date, choice), `required`, ... |
//! | `[scan]` | `sources`, `color_modes` (color, gray, bw), `resolutions_dpi`, `duplex`, `must` |
//! | `[[steps]]` | `use` names one of [`STEPS`]; the other keys are its options |
//!
//! The lists of `[scan]` are what a person may choose from; the first that the device has is used
//! when nobody chooses. A device that has nothing of a list takes the nearest that it has (200 dpi
//! for 300, color for gray, the glass for a feeder), and says so in one line before the first page;
//! the manifest tells the resolution that was used. With `must = true` it refuses instead, before
//! paper moves. `duplex = true` on a feeder that takes one side is always refused until the person
//! says one side: half of the document would be missing.
//!
//! Fields may also have `default`, `pattern` and, of type choice, `choices`.
//! A `pattern` is a regular expression in the dialect of the crate `regex-lite`, which devices use
//! too, and must match the whole value. Every fault names file, line and column, and what was
//! expected. A workflow whose steps would lose the document is refused.

use std::ops::Range;

use scantrip_cloud_client::posture::REQUIRES_FEATURE;
use scantrip_cloud_client::wire;
use serde::Deserialize;
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::steps::{STEPS, Shape, Step, StepMeta, StepOptions};

mod fields;
mod requires;

/// A checked workflow.
#[derive(Debug)]
pub struct Workflow {
    /// Stable id, `[a-z0-9-]`.
    pub id: String,
    /// For people.
    pub name: String,
    /// How long sealed pages are kept after delivery.
    pub retention_days: u32,
    /// What the device's settings must be.
    pub requires: Vec<String>,
    /// What the panel asks.
    pub fields: Vec<wire::Field>,
    /// How it may scan.
    pub scan: wire::ScanRules,
    /// What becomes of the pages, in order.
    pub steps: Vec<PlannedStep>,
}

/// A step of a workflow.
#[derive(Debug)]
pub struct PlannedStep {
    /// Its name in the registry.
    pub name: &'static str,
    /// With its options.
    pub step: Box<dyn Step>,
}

/// Why a workflow file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct WorkflowError {
    /// As given by the caller.
    pub file: String,
    /// 1 and up.
    pub line: usize,
    /// In characters, 1 and up.
    pub column: usize,
    /// What is wrong and what was expected.
    pub message: String,
}

/// What is wrong, before it is known in which line.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) span: Option<Range<usize>>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>, span: Range<usize>) -> Self {
        Self {
            message: message.into(),
            span: Some(span),
        }
    }
}

impl From<toml::de::Error> for Fault {
    fn from(error: toml::de::Error) -> Self {
        Self {
            message: error.message().to_owned(),
            span: error.span(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: Spanned<String>,
    id: Option<Spanned<String>>,
    retention_days: Option<Spanned<i64>>,
    #[serde(default)]
    requires: Vec<Spanned<String>>,
    #[serde(default)]
    fields: Vec<Spanned<fields::RawField>>,
    #[serde(default)]
    scan: RawScan,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScan {
    #[serde(default)]
    sources: Vec<Spanned<String>>,
    #[serde(default)]
    color_modes: Vec<Spanned<String>>,
    #[serde(default)]
    resolutions_dpi: Vec<Spanned<i64>>,
    duplex: Option<bool>,
    #[serde(default)]
    must: bool,
}

impl Workflow {
    /// Checks a workflow file; `file` is its name in errors.
    ///
    /// # Errors
    ///
    /// The first fault, with its place and what was expected.
    pub fn parse(text: &str, file: &str) -> Result<Self, WorkflowError> {
        parse(text).map_err(|fault| {
            let at = fault.span.map_or(0, |span| span.start);
            let before = text.get(..at).unwrap_or(text);
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            WorkflowError {
                file: file.to_owned(),
                line: before.matches('\n').count() + 1,
                column: before.chars().count()
                    - text.get(..line_start).map_or(0, |b| b.chars().count())
                    + 1,
                message: fault.message,
            }
        })
    }

    /// What devices see: everything but the steps.
    #[must_use]
    pub fn to_wire(&self, version: u64) -> wire::Workflow {
        wire::Workflow {
            id: self.id.clone(),
            version,
            name: self.name.clone(),
            fields: self.fields.clone(),
            scan: self.scan.clone(),
            // An agent that cannot check must not scan.
            must_understand: match self.requires.is_empty() {
                true => Vec::new(),
                false => vec![REQUIRES_FEATURE.to_owned()],
            },
            requires: self.requires.clone(),
        }
    }
}

fn parse(text: &str) -> Result<Workflow, Fault> {
    if text.len() > wire::WORKFLOW_BYTES_MAX {
        let message = format!(
            "the file has {} bytes; a workflow can have {} at most",
            text.len(),
            wire::WORKFLOW_BYTES_MAX
        );
        return Err(Fault {
            message,
            span: None,
        });
    }
    let mut table = DeTable::parse(text)?;
    // Steps differ in their options, so that each reads its own.
    let steps = table.get_mut().remove("steps");
    let span = table.span();
    let raw = Raw::deserialize(ValueDeserializer::from(Spanned::new(
        span,
        DeValue::Table(table.into_inner()),
    )))?;
    let name = raw.name.get_ref().trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.contains(char::is_control) {
        let message = format!("expected a name of 1 to {NAME_CHARS_MAX} characters in one line");
        return Err(Fault::new(message, raw.name.span()));
    }
    let fields = fields::check(&raw.fields)?;
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    let steps = parse_steps(steps, &names)?;
    Ok(Workflow {
        id: id(&raw)?,
        name: name.to_owned(),
        retention_days: retention_days(raw.retention_days.as_ref())?,
        requires: requires::check(&raw.requires)?,
        scan: scan(&raw.scan)?,
        steps,
        fields,
    })
}

fn id(raw: &Raw) -> Result<String, Fault> {
    if let Some(id) = &raw.id {
        let text = id.get_ref();
        let fits = text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if text.is_empty() || text.len() > ID_BYTES_MAX || !fits {
            let message = format!(
                "expected an id of at most {ID_BYTES_MAX} lower-case letters, digits and dashes"
            );
            return Err(Fault::new(message, id.span()));
        }
        return Ok(text.clone());
    }
    let lower = raw.name.get_ref().to_lowercase();
    let words = lower.split(|found: char| !found.is_ascii_alphanumeric());
    let mut slug = words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-");
    slug.truncate(ID_BYTES_MAX);
    if slug.is_empty() {
        let message = "the name has no letters to make an id of; write for example id = \"scans\"";
        return Err(Fault::new(message, raw.name.span()));
    }
    Ok(slug)
}

fn retention_days(raw: Option<&Spanned<i64>>) -> Result<u32, Fault> {
    let Some(days) = raw else {
        return Ok(RETENTION_DAYS_DEFAULT);
    };
    u32::try_from(*days.get_ref())
        .ok()
        .filter(|&days| days <= RETENTION_DAYS_MAX)
        .ok_or_else(|| {
            Fault::new(
                format!("expected 0 to {RETENTION_DAYS_MAX} days"),
                days.span(),
            )
        })
}

fn scan(raw: &RawScan) -> Result<wire::ScanRules, Fault> {
    let dpi = |value: &Spanned<i64>| {
        let dpi = u16::try_from(*value.get_ref()).ok();
        dpi.filter(|dpi| DPI_RANGE.contains(dpi)).ok_or_else(|| {
            let (low, high) = (DPI_RANGE.start(), DPI_RANGE.end());
            Fault::new(
                format!("expected a resolution of {low} to {high} dpi"),
                value.span(),
            )
        })
    };
    Ok(wire::ScanRules {
        sources: one_of(&raw.sources, &["adf", "platen"])?,
        color_modes: one_of(&raw.color_modes, &["color", "gray", "bw"])?,
        resolutions_dpi: raw
            .resolutions_dpi
            .iter()
            .map(dpi)
            .collect::<Result<_, _>>()?,
        duplex: raw.duplex,
        must: raw.must,
    })
}

fn one_of(values: &[Spanned<String>], known: &[&str]) -> Result<Vec<String>, Fault> {
    let check = |value: &Spanned<String>| {
        if known.contains(&value.get_ref().as_str()) {
            return Ok(value.get_ref().clone());
        }
        let known = known.join("`, `");
        let message = format!("unknown `{}`, expected one of `{known}`", value.get_ref());
        Err(Fault::new(message, value.span()))
    };
    values.iter().map(check).collect()
}

fn parse_steps(
    steps: Option<Spanned<DeValue<'_>>>,
    fields: &[&str],
) -> Result<Vec<PlannedStep>, Fault> {
    let Some(steps) = steps else {
        return Err(Fault {
            message: NO_STEPS.to_owned(),
            span: None,
        });
    };
    let span = steps.span();
    let DeValue::Array(list) = steps.into_inner() else {
        return Err(Fault::new("expected steps as [[steps]]", span));
    };
    if list.len() > STEPS_MAX {
        return Err(Fault::new(
            format!("expected at most {STEPS_MAX} steps"),
            span,
        ));
    }
    let mut order = Order {
        at: Shape::Pages,
        delivered: false,
        last: span,
    };
    let mut planned = Vec::new();
    for value in list {
        let (meta, step) = parse_step(value, fields, &mut order)?;
        planned.push(PlannedStep {
            name: meta.name,
            step,
        });
    }
    if !order.delivered {
        return Err(Fault::new(NO_DELIVERY, order.last));
    }
    Ok(planned)
}

/// What the steps so far have made.
struct Order {
    at: Shape,
    delivered: bool,
    last: Range<usize>,
}

impl Order {
    fn add(&mut self, meta: &StepMeta, span: Range<usize>) -> Result<(), Fault> {
        if meta.takes != self.at {
            let makers = STEPS
                .iter()
                .filter(|step| step.gives == meta.takes && step.takes == self.at);
            let makers = makers
                .map(|step| format!("`{}`", step.name))
                .collect::<Vec<_>>();
            let advice = match makers.as_slice() {
                [] => "remove it".to_owned(),
                makers => format!("put {} before it", makers.join(" or ")),
            };
            let message = format!(
                "`{}` needs {}, but so far there {}: {advice}",
                meta.name,
                meta.takes,
                match self.at {
                    Shape::Pages => "are single pages",
                    Shape::Document => "is one document",
                }
            );
            return Err(Fault::new(message, span));
        }
        self.at = meta.gives;
        self.delivered |= meta.delivers;
        self.last = span;
        Ok(())
    }
}

fn parse_step(
    value: Spanned<DeValue<'_>>,
    fields: &[&str],
    order: &mut Order,
) -> Result<(&'static StepMeta, Box<dyn Step>), Fault> {
    let span = value.span();
    let DeValue::Table(mut table) = value.into_inner() else {
        return Err(Fault::new("expected a step as [[steps]]", span));
    };
    let known = || {
        STEPS
            .iter()
            .map(|step| step.name)
            .collect::<Vec<_>>()
            .join("`, `")
    };
    let Some(name) = table.remove("use") else {
        let message = format!("missing key `use`, expected one of `{}`", known());
        return Err(Fault::new(message, span));
    };
    let found = name.get_ref().as_str().unwrap_or_default();
    let Some(meta) = STEPS.iter().find(|step| step.name == found) else {
        let message = format!("unknown step `{found}`, expected one of `{}`", known());
        return Err(Fault::new(message, name.span()));
    };
    order.add(meta, name.span())?;
    let table = ValueDeserializer::from(Spanned::new(span, DeValue::Table(table)));
    let step = (meta.parse)(StepOptions { table, fields }).map_err(|error| Fault {
        message: error.message,
        span: error.span,
    })?;
    Ok((meta, step))
}

/// What fits into one line of a panel.
const NAME_CHARS_MAX: usize = 80;
/// Ids are parts of store keys.
const ID_BYTES_MAX: usize = 40;
/// A month to notice that a document went astray.
pub const RETENTION_DAYS_DEFAULT: u32 = 30;
/// Ten years, the longest that tax law asks for.
pub const RETENTION_DAYS_MAX: u32 = 3650;
/// What scanners do.
const DPI_RANGE: std::ops::RangeInclusive<u16> = 50..=2400;
/// Far more than any workflow needs.
const STEPS_MAX: usize = 20;
const NO_STEPS: &str = "there are no steps, so that documents would be lost; write [[steps]] with \
                        use = \"assemble_pdf\" and [[steps]] with use = \"deliver_folder\"";
const NO_DELIVERY: &str = "no step delivers the document, so that it would be lost; add [[steps]] \
                           with use = \"deliver_folder\"";

#[cfg(test)]
mod tests;
