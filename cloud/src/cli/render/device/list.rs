//! All devices on a few columns: which, how it stands, when it was heard of.

use scantrip_cloud_client::text;
use serde_json::Value;

use super::findings::grade;
use super::{joined, plain, time, word};

/// Widest line. Only the name is cut for it.
const WIDTH: usize = 100;
const NAME_MIN: usize = 10;
const HEAD: [&str; COLUMNS] = [
    "name",
    "serial",
    "state",
    "score",
    "heard of (UTC)",
    "device",
];
const COLUMNS: usize = 6;

/// A table for each tenant that has devices.
pub(in super::super) fn table(devices: &[Value]) -> String {
    let mut tenants: Vec<(String, String)> = devices.iter().map(tenant).collect();
    tenants.sort();
    tenants.dedup();
    let mut page = String::new();
    for one in &tenants {
        if !page.is_empty() {
            page.push('\n');
        }
        if tenants.len() > 1 {
            page.push_str(&plain(&format!("tenant {} ({})", one.0, one.1)));
            page.push('\n');
        }
        let of_tenant = devices.iter().filter(|device| tenant(device) == *one);
        let mut rows = vec![HEAD.map(str::to_owned)];
        rows.extend(of_tenant.map(row));
        aligned(&mut page, &rows);
    }
    page
}

fn tenant(device: &Value) -> (String, String) {
    (word(&device["tenant_name"]), word(&device["tenant"]))
}

fn row(device: &Value) -> [String; COLUMNS] {
    let what = device.pointer("/report/device").unwrap_or(&Value::Null);
    let standing = &device["standing"];
    let state = match (
        word(&device["state"]).as_str(),
        &standing["silent_since_ms"],
    ) {
        ("enrolled", Value::Null) => word(&standing["posture"]).replace('-', " "),
        ("enrolled", _) => "SILENT".to_owned(),
        (other, _) => other.to_owned(),
    };
    let score = &device["score"];
    let score = match (score["points"].as_u64(), grade(score)) {
        (Some(points), Some(grade)) => format!("{points} {grade}"),
        _ => "no grade".to_owned(),
    };
    let seen = match standing["seen_ms"].as_u64() {
        None | Some(0) => "not yet".to_owned(),
        Some(_) => time(&standing["seen_ms"])
            .replace('T', " ")
            .replace('Z', ""),
    };
    let name = text::kind(&word(&what["vendor"]), &word(&what["model"]));
    let (serial, id) = (word(&device["serial"]), word(&device["device"]));
    [name, serial, state, score, seen, id].map(|cell| plain(&cell))
}

fn aligned(page: &mut String, rows: &[[String; COLUMNS]]) {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let [name, rest @ ..] = &mut widths;
    let others: usize = rest.iter().map(|width| width + 2).sum();
    *name = (*name).min(WIDTH.saturating_sub(others).max(NAME_MIN));
    for row in rows {
        let cells = row.iter().zip(widths);
        let cells = cells.map(|(cell, width)| Some(format!("{cell:<width$.width$}")));
        page.push_str(joined(cells, "  ").trim_end());
        page.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn device(tenant: &str, serial: &str, model: &str) -> Value {
        json!({
            "device": "0123456789abcdef", "tenant": tenant, "tenant_name": tenant.to_uppercase(),
            "serial": serial, "state": "enrolled", "certificate_until_ms": 86_400_000,
            "standing": { "posture": "not-secure", "seen_ms": 60_000, "silent_since_ms": null },
            "score": { "points": 49, "grade": "D" },
            "report": { "device": { "vendor": "HP", "model": model } },
        })
    }

    #[test]
    fn the_list_begins_with_what_people_look_for_and_fits_100_columns() {
        let mut silent = device("t", "SN-2", "M1");
        silent["standing"]["silent_since_ms"] = 90_000.into();
        silent["score"]["grade"] = "not-enough-data".into();
        let mut revoked = device("t", "SN-3\u{1b}", "");
        revoked["state"] = "revoked".into();
        revoked["report"] = Value::Null;
        revoked["standing"]["seen_ms"] = 0.into();
        revoked["score"] = Value::Null;
        let long = "HP LaserJet Enterprise Flow MFP M880z Plus With Everything";
        let text = table(&[device("t", "CNB1-2345678", long), silent, revoked]);
        assert_eq!(
            text,
            "name                       serial        state       score     heard of (UTC)       \
             device\n\
             HP LaserJet Enterprise Fl  CNB1-2345678  not secure  49 D      1970-01-01 00:01:00  \
             0123456789abcdef\n\
             HP M1                      SN-2          SILENT      no grade  1970-01-01 00:01:00  \
             0123456789abcdef\n\
             \x20                          SN-3          revoked     no grade  not yet              \
             0123456789abcdef\n"
        );
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
    }

    #[test]
    fn devices_of_several_tenants_stand_under_their_names() {
        let text = table(&[
            device("b", "S2", "M"),
            device("a", "S1", "M"),
            device("b", "S3", "M"),
        ]);
        let firsts: Vec<_> = text.lines().map(|line| line.split("  ").next()).collect();
        assert_eq!(
            firsts.into_iter().flatten().collect::<Vec<_>>(),
            [
                "tenant A (a)",
                "name",
                "HP M",
                "",
                "tenant B (b)",
                "name",
                "HP M",
                "HP M"
            ]
        );
    }
}
