//! The walk over a parsed file: every key is known, of the right type and within its range.

use std::ops::Range;

use toml::de::{DeString, DeTable, DeValue};
use toml::{Spanned, Value};

use crate::error::Fault;
use crate::keys::{KEYS, Key, Refusal, is_secret_name};
use crate::{Config, SettingsSource};

/// Most characters of a wrong value that a message repeats.
const SHOWN_CHARS_MAX: usize = 60;

type Name<'a> = Spanned<DeString<'a>>;
type Item<'a> = Spanned<DeValue<'a>>;

/// Reads and checks the text, collecting every mistake.
pub(crate) fn config(text: &str) -> Result<Config, Vec<Fault>> {
    let mut reader = Reader {
        text,
        config: Config::default(),
        faults: Vec::new(),
    };
    match DeTable::parse(text) {
        Ok(file) => reader.file(file.get_ref()),
        Err(error) => reader.fault(error.span().unwrap_or(0..0), one_line(error.message())),
    }
    if reader.faults.is_empty() {
        Ok(reader.config)
    } else {
        Err(reader.faults)
    }
}

struct Reader<'a> {
    text: &'a str,
    config: Config,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn file(&mut self, file: &DeTable<'_>) {
        for (name, item) in file {
            let section = name.get_ref().as_ref();
            let known = KEYS.iter().any(|key| key.section == section);
            match item.get_ref() {
                DeValue::Table(table) if known => self.section(section, table),
                _ if known => {
                    let message = format!("{section} is a section: write it as [{section}]");
                    self.fault(name.span(), message);
                }
                _ => self.unknown_section(name),
            }
        }
        self.key_folder(file);
        self.vendor_export(file);
    }

    fn section(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, item) in table {
            let wanted = name.get_ref().as_ref();
            let known = |key: &&Key| key.section == section && key.name == wanted;
            if let Some(key) = KEYS.iter().find(known) {
                self.key(key, item);
            } else if section == "device" && wanted == "options" {
                self.options(item);
            } else if section == "settings" && wanted == "declared" {
                self.declared(item);
            } else {
                self.unknown_key(section, name);
            }
        }
    }

    fn key(&mut self, key: &Key, item: &Item<'_>) {
        let place = format!("{}.{}", key.section, key.name);
        match (key.set)(&mut self.config, item.get_ref()) {
            Ok(()) => {}
            Err(Refusal::Because(reason)) => {
                self.fault(item.span(), format!("{place}: {reason}"));
            }
            Err(Refusal::Unexpected) => {
                let found = found(item.get_ref());
                let message = format!("{place}: expected {}, found {found}", key.expected);
                self.fault(item.span(), message);
            }
        }
    }

    /// `[device.options]`: text by name; the backend checks names and values itself.
    fn options(&mut self, item: &Item<'_>) {
        let DeValue::Table(table) = item.get_ref() else {
            let message = "device.options is a section: write it as [device.options]";
            return self.fault(item.span(), message.to_owned());
        };
        for (name, item) in table {
            let option = name.get_ref().as_ref();
            if is_secret_name(option) {
                self.fault(name.span(), secret_message(option));
                continue;
            }
            let value = match item.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Boolean(truth) => truth.to_string(),
                other => {
                    let message = format!(
                        "device.options.{option}: expected a text, a whole number, true or \
                         false, found {}",
                        found(other)
                    );
                    self.fault(item.span(), message);
                    continue;
                }
            };
            self.config.device.options.insert(option.to_owned(), value);
        }
    }

    /// `[settings.declared]`: values by the setting's id; the HAL checks both.
    fn declared(&mut self, item: &Item<'_>) {
        let DeValue::Table(table) = item.get_ref() else {
            let message = "settings.declared is a section: write it as [settings.declared]";
            return self.fault(item.span(), message.to_owned());
        };
        for (name, item) in table {
            let id = name.get_ref().as_ref();
            let Some(value) = setting_text(item.get_ref()) else {
                let message = format!(
                    "settings.declared: expected \"{id}\" = a text, a whole number, true, false \
                     or a list of texts, found {}",
                    found(item.get_ref())
                );
                self.fault(item.span(), message);
                continue;
            };
            let declared = &mut self.config.settings.declared;
            declared.insert(id.to_owned(), value);
        }
    }

    fn unknown_section(&mut self, name: &Name<'_>) {
        let mut sections: Vec<&str> = KEYS.iter().map(|key| key.section).collect();
        sections.dedup();
        let all = format!("the sections are {}", sections.join(", "));
        self.unknown("section", name, None, &sections, &all);
    }

    fn unknown_key(&mut self, section: &str, name: &Name<'_>) {
        let keys = KEYS.iter().filter(|key| key.section == section);
        let names: Vec<&str> = keys.map(|key| key.name).collect();
        let all = format!("[{section}] has {}", names.join(", "));
        self.unknown("key", name, Some(section), &names, &all);
    }

    fn unknown(
        &mut self,
        what: &str,
        name: &Name<'_>,
        of: Option<&str>,
        known: &[&str],
        all: &str,
    ) {
        let wrong = name.get_ref().as_ref();
        let message = if is_secret_name(wrong) {
            secret_message(wrong)
        } else {
            let of = of
                .map(|section| format!(" in [{section}]"))
                .unwrap_or_default();
            let help = match nearest(wrong, known) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => all.to_owned(),
            };
            format!("unknown {what} {}{of}; {help}", shown(wrong))
        };
        self.fault(name.span(), message);
    }

    /// Keys and sealed pages lie apart: who copies the spool must not copy the keys.
    fn key_folder(&mut self, file: &DeTable<'_>) {
        let paths = &self.config.paths;
        let spool = paths.state.join("spool");
        let saved = paths.state.join("state");
        let apart = !paths.keys.starts_with(&spool)
            && !paths.keys.starts_with(&saved)
            && !paths.state.starts_with(&paths.keys);
        if apart {
            return;
        }
        let section = file.get("paths").and_then(|item| item.get_ref().as_table());
        let span = section.and_then(|table| table.get("keys").or_else(|| table.get("state")));
        let message = format!(
            "paths.keys: expected a folder apart from the spool and the saved state, which are \
             {} and {}; whoever copies those must not copy the keys",
            spool.display(),
            saved.display()
        );
        self.fault(span.map_or(0..0, Spanned::span), message);
    }

    /// The vendor's settings are read from somewhere.
    fn vendor_export(&mut self, file: &DeTable<'_>) {
        let settings = &self.config.settings;
        if !settings.sources.contains(&SettingsSource::Vendor) || settings.vendor_export.is_some() {
            return;
        }
        let section = file.get("settings");
        let section = section.and_then(|item| item.get_ref().as_table());
        let span = section.and_then(|table| table.get("sources"));
        let message = "settings.sources: \"vendor\" needs settings.vendor_export, the file that \
                       the vendor's settings are exported to";
        self.fault(span.map_or(0..0, Spanned::span), message.to_owned());
    }

    fn fault(&mut self, span: Range<usize>, message: String) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let in_line = before.get(line_start..).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = in_line.chars().count() + 1;
        let faults = &mut self.faults;
        let at = faults.partition_point(|it| (it.line, it.column) <= (line, column));
        faults.insert(
            at,
            Fault {
                line,
                column,
                message,
            },
        );
    }
}

/// A setting's value as its canonical text.
fn setting_text(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Array(list) => {
            let words = list.iter().map(|it| it.get_ref().as_str());
            let mut words: Vec<&str> = words.collect::<Option<_>>()?;
            words.sort_unstable();
            words.dedup();
            words.join(",")
        }
        _ => return None,
    })
}

/// A text as a TOML value.
pub(crate) fn toml_text(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// A name as a TOML key.
pub(crate) fn bare_or_quoted(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        toml_text(name)
    }
}

fn secret_message(name: &str) -> String {
    if matches!(name, "code" | "enrollment_code" | "enrolment_code") {
        return format!(
            "{name} is a secret and never stands in this file; `scantrip enroll` asks for the \
             enrolment code"
        );
    }
    format!(
        "{name} is a secret and never stands in this file; write it into a file that only the \
         agent can read (mode 0600), and see whether the backend takes {name}_file with its path"
    )
}

/// What stands in the file, for a message: kind and value, without line breaks, not too long.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => shown(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => format!("the decimal fraction {number}"),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(list) => {
            let items: Vec<String> = list.iter().take(4).map(|it| found(it.get_ref())).collect();
            let more = if list.len() > 4 { ", ..." } else { "" };
            format!("[{}{more}]", items.join(", "))
        }
        DeValue::Table(_) => "a section".to_owned(),
    }
}

fn shown(text: &str) -> String {
    let short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    let more = if short.len() < text.len() { "..." } else { "" };
    format!("\"{}{more}\"", short.escape_debug())
}

/// The known name that was probably meant: at most two slips, and fewer for a short name.
fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let slips = |name: &str| strsim::damerau_levenshtein(wrong, name);
    let near = known.iter().min_by_key(|name| slips(name))?;
    (slips(near) <= (near.len() / 3).min(2)).then_some(*near)
}

/// The parser's message as one lower-case line.
fn one_line(message: &str) -> String {
    let line: Vec<&str> = message.lines().map(str::trim).collect();
    format!("not TOML: {}", line.join("; "))
}
