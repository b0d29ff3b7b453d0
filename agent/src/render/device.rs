//! The scanner: who is there, what it can do, what it is doing.

use std::fmt::Write as _;

use scantrip_hal::backends::escl::Certificate;

use super::{plain, table, wrapped};
use crate::commands::device::{CapabilitiesView, FoundView, SourceView, StatusView, Used};

/// Scanners on the network, and how to choose one.
pub(crate) fn found(all: &[FoundView], used: Option<&Used<'_>>) -> String {
    let mut text = match all {
        [] => "no scanner answers on this network. Is it on? eSCL (AirPrint) is off by default\n\
               on Canon MF743, Sharp and HP M428: turn it on at the panel. From another\n\
               network, set device.options.url\n"
            .to_owned(),
        all => list(all, used),
    };
    match used {
        Some(used) => {
            let _ = writeln!(text, "configured: {}", plain(used.url));
            if let Some(sha256) = &used.fingerprint {
                let _ = writeln!(text, "SHA-256 {sha256}");
            }
        }
        None if !all.is_empty() => text.push_str(
            "to use one: [device] backend = \"escl\" and [device.options] url = \"...\"\n",
        ),
        _ => {}
    }
    text
}

fn list(all: &[FoundView], used: Option<&Used<'_>>) -> String {
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|it| {
            let mark = if used.is_some_and(|used| used.url == it.url) {
                "*"
            } else {
                " "
            };
            vec![
                mark.to_owned(),
                plain(&it.name),
                plain(&it.model),
                plain(&it.place),
                plain(&it.url),
            ]
        })
        .collect();
    table(&rows)
}

/// What to do about a scanner that cannot be asked, below the error.
pub(crate) fn advice(certificate: Option<&Certificate>) -> String {
    match certificate {
        Some(Certificate {
            shown,
            expected: Some(expected),
        }) if shown != expected => format!(
            "\nexpected SHA-256 {expected}\nshown    SHA-256 {shown}\n\
             if the scanner or its certificate was replaced, set in the configuration\n\
             [device.options]\nfingerprint = \"{shown}\""
        ),
        _ => "\nis the scanner on, and is device.options.url right? To see those that answer:\n\
              scantrip device discover"
            .to_owned(),
    }
}

/// What the scanner can do.
pub(crate) fn capabilities(can: &CapabilitiesView, width: usize) -> String {
    let mut text = who(&can.model, &can.serial, can.fingerprint.as_deref());
    let mut line = |name: &str, source: Option<&SourceView>| {
        let can = source.map_or_else(|| "none".to_owned(), abilities);
        text.push_str(&wrapped(&format!("{name:8}"), &can, width));
    };
    line("glass", can.platen.as_ref());
    line("feeder", can.adf.as_ref());
    if can.adf.is_some() {
        let sides = if can.adf_duplex {
            "both sides"
        } else {
            "one side"
        };
        let _ = writeln!(text, "{:8}{sides}", "");
    }
    text
}

/// What the scanner is doing.
pub(crate) fn status(status: &StatusView) -> String {
    let mut text = who(&status.model, &status.serial, status.fingerprint.as_deref());
    let state = match status.state {
        "idle" => "ready",
        "processing" => "at work",
        "stopped" => "stopped by a fault; its panel says more",
        "none" => "none is set up; to see those on the network: scantrip device discover",
        _ => "out of service; its panel says more",
    };
    let _ = writeln!(text, "scanner {state}");
    let feeder = status.feeder.map(|feeder| match feeder {
        "loaded" => "paper is loaded",
        "empty" => "empty",
        "jam" => "paper jam: open it, take the paper out, close it",
        "double-feed" => "two sheets went in at once: take the stack out, fan it, put it back",
        "cover-open" => "its cover is open: close it",
        "ready" => "ready",
        _ => "it has a fault; the scanner's panel says more",
    });
    if let Some(feeder) = feeder {
        let _ = writeln!(text, "feeder  {feeder}");
    }
    text
}

fn who(model: &str, serial: &str, fingerprint: Option<&str>) -> String {
    let model = match model {
        "" => "this machine".to_owned(),
        model => plain(model),
    };
    let mut text = format!("{model}, serial number {}\n", plain(serial));
    if let Some(sha256) = fingerprint {
        let _ = writeln!(text, "SHA-256 {sha256}");
    }
    text
}

fn abilities(source: &SourceView) -> String {
    let dpi: Vec<String> = source.resolutions_dpi.iter().map(u16::to_string).collect();
    format!(
        "{} x {} mm; {}; {} dpi; {}",
        source.max_width_mm,
        source.max_height_mm,
        source.color_modes.join(", "),
        dpi.join(", "),
        source.formats.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_scanner_can_do_is_told_by_source() {
        let view = CapabilitiesView {
            vendor: "HP".to_owned(),
            model: "HP M426".to_owned(),
            serial: "S1".to_owned(),
            fingerprint: None,
            platen: None,
            adf: Some(SourceView {
                max_width_mm: 216,
                max_height_mm: 356,
                color_modes: vec!["color", "gray"],
                resolutions_dpi: vec![75, 300],
                formats: vec!["image/jpeg"],
            }),
            adf_duplex: true,
        };
        assert_eq!(
            capabilities(&view, 80),
            "HP M426, serial number S1\nglass   none\n\
             feeder  216 x 356 mm; color, gray; 75, 300 dpi; image/jpeg\n        both sides\n"
        );
        let narrow = capabilities(&view, 40);
        assert!(narrow.lines().all(|line| line.len() <= 40), "{narrow}");
        assert!(
            narrow.contains("\n        300 dpi; image/jpeg\n"),
            "{narrow}"
        );
    }

    #[test]
    fn what_a_person_must_do_at_the_scanner_is_said() {
        let view = |state, feeder| StatusView {
            vendor: String::new(),
            model: String::new(),
            serial: "S1".to_owned(),
            fingerprint: Some("ab".repeat(32)),
            state,
            feeder,
        };
        let jam = status(&view("stopped", Some("jam")));
        assert!(
            jam.starts_with("this machine, serial number S1\nSHA-256 abab"),
            "{jam}"
        );
        assert!(
            jam.contains("feeder  paper jam: open it, take the paper out"),
            "{jam}"
        );
        assert!(status(&view("idle", Some("cover-open"))).contains("close it"));
        let none = status(&view("none", None));
        assert!(
            none.contains("none is set up") && none.contains("device discover"),
            "{none}"
        );
        for text in [jam, none] {
            assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        }
    }

    #[test]
    fn a_changed_certificate_is_told_with_the_key_to_set() {
        let (old, new) = ("0a".repeat(32), "1b".repeat(32));
        let mut certificate = Certificate {
            shown: new.clone(),
            expected: Some(old.clone()),
        };
        let text = advice(Some(&certificate));
        let line = format!("[device.options]\nfingerprint = \"{new}\"");
        assert!(text.contains(&old) && text.ends_with(&line), "{text}");
        certificate.shown = old;
        for same in [Some(&certificate), None] {
            assert!(advice(same).contains("scantrip device discover"));
        }
    }

    #[test]
    fn an_empty_network_says_what_to_do() {
        let text = found(&[], None);
        assert!(
            text.contains("panel") && text.contains("device.options.url"),
            "{text}"
        );
        let used = Used {
            url: "https://mfp/eSCL",
            fingerprint: Some("ab".repeat(32)),
        };
        let text = found(&[], Some(&used));
        assert!(
            text.contains("configured: https://mfp/eSCL\nSHA-256 abab"),
            "{text}"
        );
    }
}
