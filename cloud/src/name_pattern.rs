//! Turns `{date}-{workflow}-{customer}-{counter:04}.pdf` into the name of a delivered document.
//!
//! A name is made of what people type at a panel, so that none of it is trusted: whatever could
//! leave the folder, hide, confuse a file system or deceive a reader is replaced by `_`. The
//! result is one path component, valid on Linux, macOS and Windows, at most [`NAME_BYTES_MAX`]
//! bytes, never empty, and keeps its extension.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::pdf::date;

/// A checked pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Date,
    Time,
    Counter { digits: usize },
    Workflow,
    Device,
    Job,
    Field(String),
}

/// What a pattern may speak of.
#[derive(Clone, Copy, Debug)]
pub struct NameFacts<'a> {
    /// When the document was scanned; dates and times are in UTC.
    pub scanned_ms: u64,
    /// The workflow's number for this document.
    pub counter: u64,
    /// The workflow's name.
    pub workflow: &'a str,
    /// The device's id.
    pub device: &'a str,
    /// The job's id.
    pub job: &'a str,
    /// What was entered at the panel.
    pub fields: &'a BTreeMap<String, String>,
    /// Extension of the document, without the dot; added when the pattern does not end with it.
    pub extension: &'a str,
}

/// Why a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Neither a fixed name nor a field.
    #[error("`{{{name}}}` is unknown; known here are {known}")]
    UnknownName {
        /// What stands between the braces.
        name: String,
        /// What could stand there.
        known: String,
    },
    /// Not `0` and a width of 1 to 12.
    #[error("`{{counter:{format}}}` is no counter; write for example `{{counter:04}}`")]
    CounterFormat {
        /// What stands behind the colon.
        format: String,
    },
    /// Something behind a colon where only a counter can have it.
    #[error("`{{{name}}}` takes nothing after a colon; only `counter` does")]
    NoFormat {
        /// The name before the colon.
        name: String,
    },
    /// A brace without its partner.
    #[error("a brace has no partner; braces stand only around a name, as in `{{date}}`")]
    Brace,
    /// A path instead of a name.
    #[error("a name cannot hold `{found}`; put folders into `folder`")]
    Separator {
        /// The character.
        found: char,
    },
    /// Nothing at all.
    #[error("the name is empty; write for example `{{date}}-{{workflow}}-{{counter:04}}.pdf`")]
    Empty,
}

/// Names with a fixed meaning in a pattern; a field cannot be called like one of them.
pub const FIXED_NAMES: [&str; 6] = ["counter", "date", "device", "job", "time", "workflow"];
/// Longest name: leaves room for a number on a clash below the 143 bytes of encrypted file systems.
pub const NAME_BYTES_MAX: usize = 120;
/// Widest counter: 10^12 documents.
const COUNTER_DIGITS_MAX: usize = 12;
/// Longest extension kept when a name is cut.
const EXTENSION_BYTES_MAX: usize = 10;

impl NamePattern {
    /// Checks a pattern against the fields that the workflow asks for.
    ///
    /// # Errors
    ///
    /// If the pattern speaks of something unknown or is not a single file's name.
    pub fn parse<'a>(
        text: &str,
        fields: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, PatternError> {
        if text.trim().is_empty() {
            return Err(PatternError::Empty);
        }
        let fields: Vec<&str> = fields.into_iter().collect();
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let literal_len = rest.find(['{', '}']).unwrap_or(rest.len());
            let (literal, tail) = rest.split_at(literal_len);
            if let Some(found) = literal.chars().find(|found| matches!(found, '/' | '\\')) {
                return Err(PatternError::Separator { found });
            }
            if !literal.is_empty() {
                parts.push(Part::Text(literal.to_owned()));
            }
            if tail.is_empty() {
                break;
            }
            let inner = tail.strip_prefix('{').ok_or(PatternError::Brace)?;
            let (name, behind) = inner.split_once('}').ok_or(PatternError::Brace)?;
            if name.contains('{') {
                return Err(PatternError::Brace);
            }
            parts.push(part(name, &fields)?);
            rest = behind;
        }
        Ok(Self { parts })
    }

    /// The name of a document.
    #[must_use]
    pub fn render(&self, facts: &NameFacts<'_>) -> String {
        let at = date(facts.scanned_ms);
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Date => {
                    let month = u8::from(at.month());
                    text.push_str(&format!("{:04}-{month:02}-{:02}", at.year(), at.day()));
                }
                Part::Time => {
                    let (hour, minute, second) = at.to_hms();
                    text.push_str(&format!("{hour:02}{minute:02}{second:02}"));
                }
                Part::Counter { digits } => text.push_str(&format!("{:0digits$}", facts.counter)),
                Part::Workflow => text.push_str(facts.workflow),
                Part::Device => text.push_str(facts.device),
                Part::Job => text.push_str(facts.job),
                Part::Field(name) => {
                    text.push_str(facts.fields.get(name).map_or("", String::as_str));
                }
            }
        }
        FileName::new(&text, facts.extension).whole("")
    }
}

/// The next name to try when `name` is taken: `scan.pdf`, `scan (2).pdf`, `scan (3).pdf`.
#[must_use]
pub fn numbered(name: &str, number: u32) -> String {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    FileName::new(name, extension).whole(&format!(" ({number})"))
}

fn part(text: &str, fields: &[&str]) -> Result<Part, PatternError> {
    let (name, format) = text
        .split_once(':')
        .map_or((text, None), |(a, b)| (a, Some(b)));
    if let Some(format) = format
        && name == "counter"
    {
        let bad = || PatternError::CounterFormat {
            format: format.to_owned(),
        };
        let digits = format
            .strip_prefix('0')
            .and_then(|width| width.parse().ok());
        return match digits {
            Some(digits) if (1..=COUNTER_DIGITS_MAX).contains(&digits) => {
                Ok(Part::Counter { digits })
            }
            _ => Err(bad()),
        };
    }
    if format.is_some() {
        return Err(PatternError::NoFormat {
            name: name.to_owned(),
        });
    }
    Ok(match name {
        "date" => Part::Date,
        "time" => Part::Time,
        "counter" => Part::Counter { digits: 1 },
        "workflow" => Part::Workflow,
        "device" => Part::Device,
        "job" => Part::Job,
        field if fields.contains(&field) => Part::Field(field.to_owned()),
        _ => {
            let known = FIXED_NAMES
                .iter()
                .chain(fields)
                .map(|name| format!("`{name}`"));
            let known = known.collect::<Vec<_>>().join(", ");
            return Err(PatternError::UnknownName {
                name: name.to_owned(),
                known,
            });
        }
    })
}

/// A clean name in two pieces, so that cutting it never touches the extension.
struct FileName {
    stem: String,
    /// With its dot; may be empty.
    extension: String,
}

impl FileName {
    fn new(text: &str, extension: &str) -> Self {
        let clean: String = text.chars().map(clean).collect();
        let mut extension: String = extension
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        extension.truncate(EXTENSION_BYTES_MAX);
        if !extension.is_empty() {
            extension.insert(0, '.');
        }
        let stem = match clean.len().checked_sub(extension.len()) {
            Some(at)
                if clean
                    .get(at..)
                    .is_some_and(|end| end.eq_ignore_ascii_case(&extension)) =>
            {
                let (stem, end) = clean.split_at(at);
                end.clone_into(&mut extension);
                stem
            }
            _ => &clean,
        };
        Self {
            stem: stem.to_owned(),
            extension,
        }
    }

    /// The name with `suffix` before its extension.
    fn whole(&self, suffix: &str) -> String {
        let room = NAME_BYTES_MAX - self.extension.len() - suffix.len();
        let mut stem = self.stem.trim_start().to_owned();
        if stem.starts_with(['.', '-']) {
            stem.replace_range(..1, "_");
        }
        if is_reserved(&stem) {
            stem.insert(0, '_');
        }
        while stem.len() > room {
            stem.pop();
        }
        // Windows drops spaces and dots at the end of a name.
        stem.truncate(stem.trim_end_matches([' ', '.']).len());
        if stem.is_empty() {
            "document".clone_into(&mut stem);
        }
        format!("{stem}{suffix}{}", self.extension)
    }
}

/// Replaces a character that has no place in a name.
fn clean(found: char) -> char {
    match found {
        '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
        // Marks that turn or hide the text around them, so that `fdp.exe` reads `exe.pdf`.
        '\u{061C}'
        | '\u{180E}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{FEFF}'
        | '\u{FFF9}'..='\u{FFFB}'
        | '\u{E0000}'..='\u{E007F}' => '_',
        found if found.is_control() => '_',
        found if found.is_whitespace() => ' ',
        found => found,
    }
}

/// Whether Windows takes the name for a device, with any extension.
fn is_reserved(stem: &str) -> bool {
    let base = stem.split('.').next().unwrap_or_default().trim_end();
    let upper = base.to_uppercase();
    if matches!(
        upper.as_str(),
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$"
    ) {
        return true;
    }
    let port = upper
        .strip_prefix("COM")
        .or_else(|| upper.strip_prefix("LPT"));
    let mut digits = port.unwrap_or_default().chars();
    matches!(digits.next(), Some('0'..='9' | '¹' | '²' | '³')) && digits.next().is_none()
}

#[cfg(test)]
mod tests;
