//! What people read: the answers of the agent in plain words.
//!
//! Everything here is a pure function from an answer to text. Whatever came from the cloud, the
//! device or a person goes through [`plain`], so that it cannot move the cursor.

pub(crate) mod device;
pub(crate) mod job;
pub(crate) mod posture;
pub(crate) mod progress;
pub(crate) mod status;
pub(crate) mod workflow;

use std::time::{Duration, UNIX_EPOCH};

pub(crate) use scantrip_cloud_client::text::{is_hidden, span, wrapped};

/// The text with what [`is_hidden`] made visible.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for symbol in text.chars() {
        if is_hidden(symbol) {
            plain.extend(symbol.escape_default());
        } else {
            plain.push(symbol);
        }
    }
    plain
}

/// Bytes in decimal units, as disks and networks are sold: `612 kB`, `20.1 MB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut scaled = bytes;
    let mut rest = 0;
    let mut unit = "B";
    for next in UNITS {
        if scaled < 1000 {
            break;
        }
        rest = scaled % 1000;
        scaled /= 1000;
        unit = next;
    }
    if unit == "kB" {
        return format!("{scaled} {unit}");
    }
    format!("{scaled}.{} {unit}", rest / 100)
}

/// `1 page`, `2 pages`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Unix milliseconds as `2026-11-22 19:07:00 UTC`.
pub(crate) fn time(unix_ms: u64) -> String {
    // Formatting ends with the year 9999; a wrong clock must not end the program.
    const LAST_SECOND: u64 = 253_402_300_799;
    let seconds = (unix_ms / 1000).min(LAST_SECOND);
    let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds));
    time.to_string().replace('T', " ").replace('Z', " UTC")
}

/// Rows with aligned columns, the last one unpadded; two spaces between.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row: &Vec<String>| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let pad = width.saturating_sub(cell.chars().count()) + 2;
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', pad));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_a_fitting_unit() {
        for (number, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1 kB"),
            (612_345, "612 kB"),
            (1_000_000, "1.0 MB"),
            (20_149_999, "20.1 MB"),
            (2_147_483_648, "2.1 GB"),
            (u64::MAX, "18446744.0 TB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn time_is_readable_and_never_fails() {
        assert_eq!(time(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(time(u64::MAX), "9999-12-31 23:59:59 UTC");
    }

    #[test]
    fn text_of_others_cannot_move_the_cursor() {
        assert_eq!(
            plain("a\x1b[2Jb\r\n\u{202e}c"),
            "a\\u{1b}[2Jb\\r\\n\\u{202e}c"
        );
        assert_eq!(plain("Größe 文書"), "Größe 文書");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["a".into(), "b".into()], vec!["ccc".into(), "d".into()]];
        assert_eq!(table(&rows), "a    b\nccc  d\n");
    }
}
