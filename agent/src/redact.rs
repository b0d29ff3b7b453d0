//! The last guard before a text leaves the device: what looks like a secret is hidden.
//!
//! No reading holds a secret in the first place; this is for what a backend or an error message
//! may carry along by mistake.

use scantrip_cloud_client::wire::{ReportPrinter, ReportSetting, ReportSupply, Severity, Verdict};
use scantrip_hal::printer::{PrinterStatus, Supply};
use scantrip_hal::settings::{self, Kind, Row, Setting};

/// What stands in the place of what looked like a secret.
const HIDDEN: &str = "(hidden)";
/// Longest text of an error in a report.
const TEXT_CHARS_MAX: usize = 200;
/// Runs of this many letters and digits are keys or hashes, not words.
const RUN_MAX: usize = 24;

/// A setting as it may leave the device: a value of the setting's shape or none, and why it is not
/// known as one of three words.
#[must_use]
pub fn setting(setting: &Setting) -> ReportSetting {
    let (verdict, reason) = match &setting.verdict {
        settings::Verdict::Secure => (Verdict::Secure, None),
        settings::Verdict::NotSecure => (Verdict::NotSecure, None),
        settings::Verdict::NotApplicable => (Verdict::NotApplicable, None),
        settings::Verdict::Unknown(unknown) => {
            (Verdict::Unknown, Some(unknown.why.as_str().to_owned()))
        }
    };
    ReportSetting {
        id: setting.id.to_owned(),
        value: value(setting),
        severity: severity(setting.severity),
        verdict,
        reason,
    }
}

/// The printer as it may leave the device: names and reasons are texts of others.
#[must_use]
pub fn printer(status: &PrinterStatus) -> ReportPrinter {
    ReportPrinter {
        state: status.state.as_str().to_owned(),
        reasons: status.reasons.iter().map(|it| text(it)).collect(),
        supplies: status.supplies.iter().map(supply).collect(),
    }
}

fn supply(supply: &Supply) -> ReportSupply {
    ReportSupply {
        name: text(&supply.name),
        kind: text(&supply.kind),
        left_percent: supply.left_percent,
        low: supply.is_low,
    }
}

/// A severity in the words of the wire.
#[must_use]
pub const fn severity(severity: settings::Severity) -> Severity {
    match severity {
        settings::Severity::Low => Severity::Low,
        settings::Severity::Medium => Severity::Medium,
        settings::Severity::High => Severity::High,
        settings::Severity::Critical => Severity::Critical,
    }
}

fn value(setting: &Setting) -> String {
    let value = setting.value.as_str();
    let Some(row) = Row::find(setting.id) else {
        return String::new();
    };
    // A set that was not told as a whole ends with how many more there are.
    let whole = match value.rsplit_once(",+") {
        Some((told, more)) if more == "?" || more.bytes().all(|byte| byte.is_ascii_digit()) => told,
        _ => value,
    };
    if value.is_empty() || (row.kind != Kind::Text && row.kind != Kind::Set && row.fits(whole)) {
        return value.to_owned();
    }
    if !row.fits(whole) {
        return HIDDEN.to_owned();
    }
    text(value)
}

/// A text without what looks like a secret, on one line.
#[must_use]
pub fn text(text: &str) -> String {
    let mut plain = String::new();
    for word in text.split(|found: char| found.is_whitespace() || found.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !plain.is_empty() {
            plain.push(' ');
        }
        plain.push_str(if is_suspect(word) { HIDDEN } else { word });
    }
    plain.chars().take(TEXT_CHARS_MAX).collect()
}

fn is_suspect(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let names = [
        "password",
        "passwd",
        "secret",
        "token",
        "community",
        "apikey",
        "api_key",
    ];
    let named = names.iter().any(|name| {
        let after = lower.find(name).and_then(|at| lower.get(at + name.len()..));
        after.is_some_and(|after| after.starts_with(['=', ':']) && after.len() > 1)
    });
    // `$6$...` of crypt(5), user:password@host of a URL, PEM.
    let crypt = lower.starts_with('$') && lower.matches('$').count() >= 2;
    let user = lower
        .split_once("://")
        .is_some_and(|(_, rest)| rest.split('/').next().unwrap_or_default().contains('@'));
    let long = word
        .split(|found: char| !found.is_ascii_alphanumeric() && !matches!(found, '+' | '='))
        .any(|run| run.len() >= RUN_MAX);
    named || crypt || user || long || lower.contains("-----")
}

#[cfg(test)]
mod tests {
    use super::*;
    use scantrip_hal::settings::{Method, Why};

    const CANARIES: [&str; 8] = [
        "$6$saltsalt$W8uCanaryCanaryCanary",
        "$1$abc$Canary",
        "https://admin:Canary@192.0.2.1/",
        "password=Canary",
        "community:Canary",
        "-----BEGIN-CANARY-----",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "Q2FuYXJ5Q2FuYXJ5Q2FuYXJ5Q2Fu==",
    ];

    #[test]
    fn canaries_do_not_leave_in_any_text() {
        for canary in CANARIES {
            assert_eq!(
                text(&format!("it said {canary} twice")),
                "it said (hidden) twice"
            );
        }
    }

    #[test]
    fn a_printer_that_names_its_toner_after_a_secret_is_not_quoted() {
        for canary in CANARIES {
            let supply = Supply {
                name: canary.to_owned(),
                kind: canary.to_owned(),
                ..Supply::default()
            };
            let status = PrinterStatus {
                reasons: vec![canary.to_owned()],
                supplies: vec![supply],
                ..PrinterStatus::default()
            };
            let told = format!("{:?}", printer(&status));
            assert!(!told.contains(canary), "{told}");
        }
    }

    #[test]
    fn ordinary_messages_stay_as_they_are() {
        for message in [
            "https://fra.example.com:443 does not answer: connection refused (os error 111)",
            "the device's certificate has ended; enroll again with a new code",
            "CVE-2026-1 in firmware 4.2.1-rc3, tcp/443,tcp/631",
        ] {
            assert_eq!(text(message), message);
        }
        assert_eq!(text(&"word ".repeat(100)).chars().count(), 200);
        assert_eq!(text("a\x1b[2Jb\r\nc"), "a [2Jb c");
    }

    #[test]
    fn a_value_of_another_shape_than_its_setting_does_not_leave() {
        let row = |id: &str| Row::find(id).expect("a setting");
        let forged = |id: &str, value: &str| {
            let mut forged = Setting::not_applicable(row(id), Method::Vendor, "x");
            forged.value.push_str(value).expect("it fits");
            setting(&forged).value
        };
        assert_eq!(forged("net.ftp", "true"), "true");
        assert_eq!(forged("net.ftp", "Canary"), "(hidden)");
        assert_eq!(forged("auth.lockout_tries", "Canary"), "(hidden)");
        assert_eq!(
            forged("net.listening_ports", "tcp/1,tcp/2,+12"),
            "tcp/1,tcp/2,+12"
        );
        assert_eq!(forged("net.listening_ports", "tcp/1,+?"), "tcp/1,+?");
        for canary in CANARIES {
            assert!(
                !forged("fw.version_approved", canary).contains("anary"),
                "{canary}"
            );
        }
    }

    #[test]
    fn the_detail_of_what_is_not_known_stays_on_the_device() {
        let row = Row::find("net.ftp").expect("a setting");
        let unknown = Setting::unknown(row, Why::NoRight, "for user canary", Method::Linux, "/x");
        assert_eq!(setting(&unknown).reason.as_deref(), Some("no-right"));
    }
}
