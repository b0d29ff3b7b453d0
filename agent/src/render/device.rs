//! The scanner: who is there, what it can do, what it is doing.

use std::fmt::Write as _;

use super::{plain, table};
use crate::commands::device::{CapabilitiesView, FoundView, SourceView, StatusView};

/// Scanners on the network, and how to choose one.
pub(crate) fn found(all: &[FoundView], used: Option<&str>) -> String {
    if all.is_empty() {
        return "no scanner answers on this network. Is it on? eSCL (AirPrint) is off by default \
                on Canon MF743, Sharp and HP M428: turn it on at the panel. From another network, \
                set device.options.url\n"
            .to_owned();
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|it| {
            let mark = if used == Some(it.url.as_str()) {
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
    let mut text = table(&rows);
    if used.is_none() {
        text.push_str(
            "to use one: [device] backend = \"escl\" and [device.options] url = \"...\"\n",
        );
    }
    text
}

/// What the scanner can do.
pub(crate) fn capabilities(can: &CapabilitiesView) -> String {
    let mut text = who(&can.model, &can.serial);
    let mut line = |name: &str, source: Option<&SourceView>| {
        let _ = match source {
            Some(source) => writeln!(text, "{name:8}{}", abilities(source)),
            None => writeln!(text, "{name:8}none"),
        };
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
    let mut text = who(&status.model, &status.serial);
    let _ = writeln!(text, "scanner {}", status.state);
    if let Some(feeder) = status.feeder {
        let _ = writeln!(text, "feeder  {feeder}");
    }
    text
}

fn who(model: &str, serial: &str) -> String {
    format!("{}, serial number {}\n", plain(model), plain(serial))
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
            capabilities(&view),
            "HP M426, serial number S1\nglass   none\n\
             feeder  216 x 356 mm; color, gray; 75, 300 dpi; image/jpeg\n        both sides\n"
        );
    }

    #[test]
    fn an_empty_network_says_what_to_do() {
        let text = found(&[], None);
        assert!(
            text.contains("panel") && text.contains("device.options.url"),
            "{text}"
        );
    }
}
