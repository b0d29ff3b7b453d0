//! The catalogue as a page for people: `docs/settings.md`.

use std::fmt::Write as _;

use super::{CATALOGUE, Kind};

const HEAD: &str = "\
# Security settings

Every setting that ScanTrip knows, made from `hal/src/settings/catalogue.rs` by
`make settings-doc`; a test keeps the two the same. Severity and secure value are the defaults; a
policy may say otherwise.

Read by, the best way first: **linux** files and system calls of the device; **ipp**, **snmp**,
**tls**, **port** the device's own addresses over the network; **vendor** settings that the vendor's
interface exports; **declared** `[settings.declared]` in the configuration; **compared** what the agent
sees in two readings. What none of them can tell is *unknown*, with the reason, and never counts as
secure. An answer that got lost is unknown too; a device with two addresses is as good as the worse,
and of an agent beside the device **linux** tells only what is bad there.
";

/// The page as Markdown.
#[must_use]
pub fn settings_page() -> String {
    let mut page = String::from(HEAD);
    let mut group = "";
    for row in CATALOGUE {
        let (subject, _) = row.id.split_once('.').unwrap_or((row.id, ""));
        if subject != group {
            group = subject;
            let _ = write!(page, "\n## {}\n", heading(subject));
        }
        let methods: Vec<_> = row.methods.iter().map(|it| it.as_str()).collect();
        let _ = write!(
            page,
            "\n### `{}`\n\n{}: {}. Secure: {}. Severity: {}.\n\nRead by: {}. Asked for by: {}.\n\n\
             To mend: {}\n",
            row.id,
            row.title,
            shape(row.kind),
            row.secure_value,
            row.severity.as_str(),
            methods.join(", "),
            row.reference,
            row.remedy,
        );
    }
    page
}

fn heading(subject: &str) -> &str {
    match subject {
        "app" => "Applications",
        "auth" => "Signing in",
        "config" => "Configuration",
        "data" => "Personal data",
        "fw" => "Firmware",
        "log" => "Logs",
        "net" => "Network",
        "pdl" => "Print languages",
        "storage" => "Storage",
        "time" => "Time",
        "usb" => "USB",
        other => other,
    }
}

fn shape(kind: Kind) -> String {
    match kind {
        Kind::Bool => "`true` or `false`".into(),
        Kind::Int => "a number".into(),
        Kind::Choice(words) => format!("`{}`", words.join("`, `")),
        Kind::Set => "words, sorted, with commas".into(),
        Kind::Text => "a text".into(),
        Kind::Time => "a moment (RFC 3339, UTC)".into(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_in_docs_is_the_one_made_from_the_catalogue() {
        let page = include_str!("../../../docs/settings.md");
        assert!(page == super::settings_page(), "run `make settings-doc`");
    }
}
