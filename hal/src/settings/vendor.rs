//! Settings that the vendor's interface exports as names and values, and the mapping file that says
//! what they mean here: vendor's name, our id, what each value stands for.
//!
//! An export is text: `name = value` in lines, or `name: value`, or `"name","value"`; `#` and `;`
//! begin comments, `[...]` headings. Values are never repeated anywhere: an export may hold
//! passwords, and a value that the mapping does not know may be one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{CATALOGUE, Kind, Method, Reading, Row, Setting, SettingsSource, Why};

/// Largest file that is read: some thousand settings.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What the vendor's names and values mean.
#[derive(Debug)]
pub struct Mapping {
    /// In the order of ids.
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    row: &'static Row,
    /// The vendor's name.
    key: String,
    /// Our value for each of the vendor's, whose letters are lower case.
    values: BTreeMap<String, String>,
    /// What a number is multiplied by, such as 60 for minutes.
    times: u32,
}

/// A mapping cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not TOML.
    #[error("not TOML")]
    Toml(#[from] Box<toml::de::Error>),
    /// An entry is not as it must be.
    #[error("[[setting]] number {number}: {problem}")]
    Entry {
        /// Which one, from 1.
        number: usize,
        /// What is wrong.
        problem: String,
    },
}

impl Mapping {
    /// Konica Minolta's names, as the manuals of bizhub devices print them.
    ///
    /// # Errors
    /// Never; a test reads it.
    pub fn konica_minolta() -> Result<Self, MappingError> {
        Self::parse(include_str!("../../mappings/konica-minolta.toml"))
    }

    /// Reads a mapping file.
    ///
    /// # Errors
    /// When it cannot be read or is not a mapping.
    pub fn load(path: &Path) -> Result<Self, MappingError> {
        let text = read_bounded(path).map_err(|source| MappingError::File {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text)
    }

    /// Reads the text of a mapping file.
    ///
    /// # Errors
    /// When it is not a mapping; tells which entry and why.
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        let table: Table = text.parse().map_err(Box::new)?;
        let entries = table.get("setting").and_then(Value::as_array);
        let mut lines = Vec::new();
        for (index, entry) in entries.into_iter().flatten().enumerate() {
            let line = line(entry).map_err(|problem| MappingError::Entry {
                number: index + 1,
                problem,
            })?;
            let at = lines.partition_point(|it: &Line| it.row.id <= line.row.id);
            lines.insert(at, line);
        }
        if let Some(name) = table
            .keys()
            .find(|name| !["setting", "vendor"].contains(&name.as_str()))
        {
            let problem = format!("unknown key {name:?} before it");
            return Err(MappingError::Entry { number: 1, problem });
        }
        Ok(Self { lines })
    }

    /// What an export says.
    ///
    /// # Errors
    /// When it is not an export; tells the line.
    fn read<'a>(
        &'a self,
        export: &str,
    ) -> Result<impl Iterator<Item = (&'static Row, Reading)> + use<'a>, String> {
        let values = pairs(export)?;
        Ok(self
            .lines
            .iter()
            .map(move |line| (line.row, line.read(&values))))
    }
}

fn line(entry: &Value) -> Result<Line, String> {
    let entry = entry.as_table().ok_or("expected a section")?;
    let text = |name: &str| {
        let value = entry.get(name).and_then(Value::as_str);
        value.ok_or_else(|| format!("expected {name} = \"...\""))
    };
    const KEYS: &[&str] = &["id", "key", "times", "values"];
    if let Some(name) = entry.keys().find(|name| !KEYS.contains(&name.as_str())) {
        return Err(format!(
            "unknown key {name:?}; known are {}",
            KEYS.join(", ")
        ));
    }
    let (id, key) = (text("id")?, text("key")?);
    let row = Row::find(id).ok_or_else(|| format!("there is no setting {id:?}"))?;
    if !row.methods.contains(&Method::Vendor) {
        let known = CATALOGUE
            .iter()
            .filter(|it| it.methods.contains(&Method::Vendor));
        let known: Vec<_> = known.map(|it| it.id).collect();
        let known = known.join(", ");
        return Err(format!(
            "{id} is not read from a vendor; those that are: {known}"
        ));
    }
    let times = match entry.get("times") {
        None => 1,
        Some(times) => times
            .as_integer()
            .and_then(|it| u32::try_from(it).ok())
            .filter(|it| *it > 0 && row.kind == Kind::Int)
            .ok_or("times: expected a whole number from 1, of a setting that is a number")?,
    };
    let mut values = BTreeMap::new();
    if let Some(table) = entry.get("values") {
        let table = table
            .as_table()
            .ok_or("values: expected { \"theirs\" = \"ours\" }")?;
        for (theirs, ours) in table {
            let ours = ours.as_str().filter(|it| row.fits(it));
            let ours = ours.ok_or_else(|| format!("values.{theirs:?}: not a value of {id}"))?;
            let _same = values.insert(theirs.to_lowercase(), ours.to_owned());
        }
    }
    if values.is_empty() && matches!(row.kind, Kind::Choice(_) | Kind::Set | Kind::Time) {
        return Err(format!("{id} needs values = {{ ... }}"));
    }
    Ok(Line {
        row,
        key: key.to_owned(),
        values,
        times,
    })
}

impl Line {
    fn read(&self, values: &BTreeMap<String, String>) -> Reading {
        let evidence = format!("vendor export: {}", self.key);
        let Some(value) = values.get(&self.key.to_lowercase()) else {
            return Reading::unknown(Why::NotAnswered, "the export does not name it", evidence);
        };
        match self.ours(value) {
            Some(ours) => Reading::value(ours, evidence),
            None => {
                let detail = "the export has a value that the mapping does not know";
                Reading::unknown(Why::NotAnswered, detail, evidence)
            }
        }
    }

    fn ours(&self, theirs: &str) -> Option<String> {
        let lower = theirs.to_lowercase();
        if let Some(ours) = self.values.get(&lower) {
            return Some(ours.clone());
        }
        match self.row.kind {
            Kind::Bool if self.values.is_empty() => match lower.as_str() {
                "on" | "yes" | "true" | "enable" | "enabled" | "1" => Some("true".to_owned()),
                "off" | "no" | "false" | "disable" | "disabled" | "0" => Some("false".to_owned()),
                _ => None,
            },
            Kind::Int => {
                let digits = lower.split_whitespace().next()?;
                let number = digits.parse::<u32>().ok()?;
                Some((u64::from(number) * u64::from(self.times)).to_string())
            }
            Kind::Text => Some(theirs.to_owned()),
            _ => None,
        }
    }
}

/// Names, in lower case, and values.
fn pairs(export: &str) -> Result<BTreeMap<String, String>, String> {
    let mut values = BTreeMap::new();
    for (index, line) in export.lines().enumerate() {
        let line = line.trim().trim_start_matches('\u{feff}');
        if line.is_empty() || line.starts_with(['#', ';', '[']) {
            continue;
        }
        let number = index + 1;
        let pair = match line.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').map(|(name, rest)| {
                (
                    name,
                    rest.trim_start_matches([',', ';', '=', ':', ' ', '\t']),
                )
            }),
            None => ['=', ':', '\t', ',']
                .iter()
                .find_map(|it| line.split_once(*it)),
        };
        let (name, value) = pair.ok_or_else(|| format!("line {number} has no name and value"))?;
        let value = value.trim().trim_matches('"').trim();
        let before = values.insert(name.trim().to_lowercase(), value.to_owned());
        if before.is_some_and(|before| before != value) {
            return Err(format!("line {number} contradicts a line before"));
        }
    }
    if values.is_empty() {
        return Err("it has no names and values".to_owned());
    }
    Ok(values)
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(path)?.take(FILE_BYTES_MAX + 1);
    let read = io::BufReader::new(file).read_to_string(&mut text)?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

/// The settings that the vendor exports.
#[derive(Debug)]
pub(super) struct VendorSource {
    export: PathBuf,
    mapping: Mapping,
}

impl VendorSource {
    pub(super) const fn new(export: PathBuf, mapping: Mapping) -> Self {
        Self { export, mapping }
    }
}

impl SettingsSource for VendorSource {
    fn read(&mut self, each: &mut dyn FnMut(Setting)) {
        let text = read_bounded(&self.export).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => (Why::NotAnswered, "there is no such file".to_owned()),
            io::ErrorKind::PermissionDenied => (Why::NoRight, "may not be read".to_owned()),
            io::ErrorKind::InvalidData => (Why::NotAnswered, "is not text (UTF-8)".to_owned()),
            kind => (Why::NotAnswered, format!("cannot be read: {kind}")),
        });
        let read = text.and_then(|text| {
            let read = self.mapping.read(&text);
            read.map_err(|problem| (Why::NotAnswered, problem))
        });
        let mut settings = BTreeMap::new();
        match read {
            Ok(readings) => {
                for (row, reading) in readings {
                    super::merge(&mut settings, reading.setting(row, Method::Vendor, 0));
                }
            }
            Err((why, problem)) => {
                let detail = format!("the vendor's export: {problem}");
                let evidence = format!("settings.vendor_export: {}", self.export.display());
                for line in &self.mapping.lines {
                    let reading = Reading::unknown(why, detail.as_str(), evidence.as_str());
                    super::merge(&mut settings, reading.setting(line.row, Method::Vendor, 0));
                }
            }
        }
        settings.into_values().for_each(each);
    }
}

/// For the fuzzer: a mapping and an export, with a zero between.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (mapping, export) = text.split_once('\0').unwrap_or((&text, ""));
    if let Ok(mapping) = Mapping::parse(mapping)
        && let Ok(readings) = mapping.read(export)
    {
        readings.for_each(drop);
    }
    if let Ok(mapping) = Mapping::konica_minolta()
        && let Ok(readings) = mapping.read(export)
    {
        readings.for_each(drop);
    }
}

#[cfg(test)]
mod tests;
