//! Answers as people read them.

mod device;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::logger::rfc3339;

/// A block of PEM (RFC 7468).
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    const LINE: usize = 64;
    let encoded = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in encoded.as_bytes().chunks(LINE) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// A list as a table, a code or a file as it is, anything else as lines of `key: value`.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Array(rows) if rows.is_empty() => "none\n".to_owned(),
        Value::Array(rows) if rows.iter().all(|row| row.get("standing").is_some()) => {
            device::list::table(rows)
        }
        Value::Array(rows) => table(rows),
        Value::Object(fields) => {
            // What somebody wants to copy stands alone.
            if let Some(alone) = fields.get("code").or_else(|| fields.get("source")) {
                return format!("{}\n", cell("", alone).trim_end());
            }
            if fields.contains_key("standing") {
                return device::text(value);
            }
            let mut text = String::new();
            for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                writeln!(text, "{}: {}", title(name), cell(name, value))
                    .expect("writing to a String cannot fail");
            }
            text
        }
        other => format!("{}\n", cell("", other)),
    }
}

fn table(rows: &[Value]) -> String {
    let names: Vec<&String> = rows
        .iter()
        .filter_map(Value::as_object)
        .flat_map(|row| {
            row.iter()
                .filter(|(_, value)| is_plain(value))
                .map(|(name, _)| name)
        })
        .fold(Vec::new(), |mut names, name| {
            if !names.contains(&name) {
                names.push(name);
            }
            names
        });
    let head: Vec<String> = names.iter().map(|name| title(name)).collect();
    let body = rows.iter().map(|row| {
        let value = |name: &&String| {
            row.get(name.as_str())
                .map_or_else(String::new, |value| cell(name, value))
        };
        names.iter().map(value).collect::<Vec<_>>()
    });
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn is_plain(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}

fn title(name: &str) -> String {
    name.trim_end_matches("_ms").replace('_', " ")
}

fn cell(name: &str, value: &Value) -> String {
    match value {
        Value::Number(number) if name.ends_with("_ms") => {
            number.as_u64().map_or_else(|| number.to_string(), rfc3339)
        }
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_tables_with_readable_times() {
        let rows = json!([
            { "device": "a", "created_at_ms": 1_700_000_000_000_u64, "report": null },
            { "device": "long", "created_at_ms": 1_700_000_001_000_u64, "report": { "x": 1 } },
        ]);
        let expected = "created at            device\n\
                        2023-11-14T22:13:20Z  a\n\
                        2023-11-14T22:13:21Z  long\n";
        assert_eq!(text(&rows), expected);
        assert_eq!(text(&json!([])), "none\n");
    }

    #[test]
    fn a_code_stands_alone() {
        assert_eq!(text(&json!({ "code": "A-B", "tenant": "t" })), "A-B\n");
    }

    #[test]
    fn certificates_are_pem() {
        let text = pem("CERTIFICATE", &[0; 60]);
        assert_eq!(text.lines().nth(1).map(str::len), Some(64));
        assert!(text.ends_with("\n-----END CERTIFICATE-----\n"));
    }
}
