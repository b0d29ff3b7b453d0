//! Questions and answers of IPP (RFC 8010): `Get-Printer-Attributes`, `Get-System-Attributes` and
//! `Validate-Job`, which checks a job and creates none.

use std::collections::BTreeMap;

pub(super) const VALIDATE_JOB: u16 = 0x0004;
pub(super) const GET_PRINTER_ATTRIBUTES: u16 = 0x000b;
pub(super) const GET_SYSTEM_ATTRIBUTES: u16 = 0x005b;

const OPERATION_GROUP: u8 = 1;
const END: u8 = 3;
const INTEGER: u8 = 0x21;
const ENUM: u8 = 0x23;
const KEYWORD: u8 = 0x44;
const URI: u8 = 0x45;
const CHARSET: u8 = 0x47;
const LANGUAGE: u8 = 0x48;
const NAME: u8 = 0x42;
/// Most names and values of an answer that are kept.
const VALUES_MAX: usize = 512;
/// Longest value that is kept; nothing asked for is longer.
const VALUE_BYTES_MAX: usize = 1024;

/// A question about `uri`; `wanted` names attributes.
pub(super) fn question(operation: u16, id: u32, uri: &str, wanted: &[&str]) -> Vec<u8> {
    let mut bytes = vec![1, 1];
    bytes.extend_from_slice(&operation.to_be_bytes());
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.push(OPERATION_GROUP);
    let mut add = |tag: u8, name: &str, value: &str| {
        bytes.push(tag);
        for text in [name, value] {
            bytes.extend_from_slice(&(text.len() as u16).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
    };
    add(CHARSET, "attributes-charset", "utf-8");
    add(LANGUAGE, "attributes-natural-language", "en");
    let target = match operation {
        GET_SYSTEM_ATTRIBUTES => "system-uri",
        _ => "printer-uri",
    };
    add(URI, target, uri);
    if operation == VALIDATE_JOB {
        add(NAME, "requesting-user-name", "scantrip-settings-check");
    }
    for (index, name) in wanted.iter().enumerate() {
        let first = if index == 0 {
            "requested-attributes"
        } else {
            ""
        };
        add(KEYWORD, first, name);
    }
    bytes.push(END);
    bytes
}

/// A status and the attributes of all groups, values in their order, numbers in decimal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) attributes: BTreeMap<String, Vec<String>>,
}

impl Answer {
    /// Whether the printer did what was asked.
    pub(super) fn is_success(&self) -> bool {
        self.status < 0x0100
    }

    pub(super) fn values(&self, name: &str) -> Option<&[String]> {
        self.attributes.get(name).map(Vec::as_slice)
    }
}

/// The answer to question `id`; `None` when it is not one.
pub(super) fn answer(bytes: &[u8], id: u32) -> Option<Answer> {
    let mut reader = bytes;
    let version = *take(&mut reader, 2)?.first()?;
    let status = u16::from_be_bytes(*take(&mut reader, 2)?.first_chunk()?);
    let found = u32::from_be_bytes(*take(&mut reader, 4)?.first_chunk()?);
    if found != id || !(1..=2).contains(&version) {
        return None;
    }
    let mut attributes = BTreeMap::<String, Vec<String>>::new();
    let (mut name, mut count) = (String::new(), 0);
    loop {
        let tag = *take(&mut reader, 1)?.first()?;
        match tag {
            END => return Some(Answer { status, attributes }),
            0x00..=0x0f => continue,
            _ => {}
        }
        let (new, value) = (text(&mut reader)?, text(&mut reader)?);
        if !new.is_empty() {
            name = String::from_utf8_lossy(new).into_owned();
        }
        count += 1;
        let out_of_band = (0x10..=0x1f).contains(&tag);
        if count > VALUES_MAX || value.len() > VALUE_BYTES_MAX || name.is_empty() {
            continue;
        }
        let values = attributes.entry(name.clone()).or_default();
        if !out_of_band {
            values.push(value_text(tag, value));
        }
    }
}

/// A value as text: numbers in decimal.
fn value_text(tag: u8, value: &[u8]) -> String {
    match (tag, value.first_chunk()) {
        (INTEGER | ENUM, Some(number)) => i32::from_be_bytes(*number).to_string(),
        _ => String::from_utf8_lossy(value).into_owned(),
    }
}

fn take<'a>(reader: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = reader.split_at_checked(length)?;
    *reader = rest;
    Some(taken)
}

fn text<'a>(reader: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_be_bytes(*take(reader, 2)?.first_chunk()?);
    take(reader, usize::from(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_with_its_lists() {
        // A question has the shape of an answer, its operation in place of the status.
        let bytes = question(0, 7, "ipp://x/", &["a", "b"]);
        let answer = answer(&bytes, 7).unwrap();
        assert_eq!(answer.values("requested-attributes").unwrap(), ["a", "b"]);
        assert_eq!(answer.values("attributes-charset").unwrap(), ["utf-8"]);
        assert!(answer.is_success());
    }

    #[test]
    fn what_is_cut_short_or_of_another_question_is_none() {
        let bytes = question(0, 7, "ipp://x/", &["a", "b"]);
        for end in 0..bytes.len() {
            assert_eq!(answer(&bytes[..end], 7), None, "{end}");
        }
        assert_eq!(answer(&bytes, 8), None);
    }

    #[test]
    fn a_flood_of_values_is_not_kept() {
        let wanted = vec!["x"; 60_000];
        let bytes = question(0, 1, "ipp://x/", &wanted);
        let answer = answer(&bytes, 1).unwrap();
        let kept: usize = answer.attributes.values().map(Vec::len).sum();
        assert_eq!(kept, VALUES_MAX);
    }
}
