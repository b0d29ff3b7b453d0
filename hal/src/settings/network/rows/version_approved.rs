//! `fw.version_approved`: the version of the firmware, as IPP tells it, else from a description.

use super::{Facts, Method, Ports, Probe, Reading, Topic, Why, attribute, printer_evidence};
use crate::sorted::sorted;

pub(super) const IPP: Probe = (Method::Ipp, Topic::Ipp, read_ipp);
pub(super) const SNMP: Probe = (Method::Snmp, Topic::Snmp, read_snmp);

fn read_ipp(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    let versions = attribute(facts, "printer-firmware-string-version")?;
    let text = versions.first().filter(|it| !it.is_empty())?;
    let evidence = printer_evidence(facts, "printer-firmware-string-version");
    Some(Reading::value(text, evidence))
}

/// Descriptions are free text, with names of hosts and people: nothing is told of them but the one
/// version that they name as such.
fn read_snmp(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    const EVIDENCE: &str = "SNMP hrDeviceDescr, sysDescr";
    let texts = &facts.snmp.descriptions;
    if texts.is_empty() {
        return None;
    }
    let found = sorted(texts.iter().flat_map(|it| versions(it)));
    let mut found = found.into_iter();
    Some(match (found.next(), found.next()) {
        (Some(version), None) => Reading::value(version, EVIDENCE),
        (first, _) => {
            let detail = match first {
                Some(_) => "the descriptions name more than one version",
                None => "the descriptions name no version that can be told from other text",
            };
            Reading::unknown(Why::NotSupported, detail, EVIDENCE)
        }
    })
}

/// Words such as `2.10.A7` that follow "firmware", "software" or "version". What a general
/// operating system says of itself is no version of a device.
fn versions(text: &str) -> Vec<&str> {
    const KEYS: [&str; 6] = ["firmware", "fw", "software", "ver", "ver.", "version"];
    const SYSTEMS: [&str; 2] = ["linux ", "hardware: "];
    let starts = |word: &str, with: &str| {
        let start = word.get(..with.len());
        start.is_some_and(|it| it.eq_ignore_ascii_case(with))
    };
    let mut found = Vec::new();
    if SYSTEMS.iter().any(|it| starts(text, it)) {
        return found;
    }
    let mut is_named = false;
    let is_edge = |it: char| it.is_whitespace() || ",;:()[]=".contains(it);
    for word in text.split(is_edge).filter(|it| !it.is_empty()) {
        let (prefix, is_joined) = match starts(word, "ver.") {
            true => ("ver.", true),
            false if starts(word, "v") => ("v", false),
            false => ("", false),
        };
        let rest = word.get(prefix.len()..).unwrap_or_default();
        let rest = rest.trim_end_matches('.');
        if (is_named || is_joined) && is_version(rest) {
            found.push(rest);
        }
        is_named = KEYS.iter().any(|key| word.eq_ignore_ascii_case(key));
    }
    found
}

/// Parts with dots between them and a digit in each: no name of a host or a person is like that.
fn is_version(word: &str) -> bool {
    let is_part = |part: &str| {
        let is_known = part.bytes().all(|it| it.is_ascii_alphanumeric());
        let has_digit = part.bytes().any(|it| it.is_ascii_digit());
        is_known && has_digit
    };
    word.len() <= 32 && word.contains('.') && word.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_told_and_nothing_else_of_a_description() {
        for (text, version) in [
            (
                "Brother NC-8600h, Firmware Ver.1.06  (16.01.15),MID 8CE",
                "1.06",
            ),
            (
                "Lexmark MS610dn version NH3.b4.N123 kernel 2.6.28 All-N-1",
                "NH3.b4.N123",
            ),
            (
                "Xerox WorkCentre 7855; System Software 072.040.004.09100, ESS 072.044",
                "072.040.004.09100",
            ),
            ("Example MFP, FW V2.10.", "2.10"),
            ("firmware version: 3.0", "3.0"),
            (
                "HP ETHERNET MULTI-ENVIRONMENT,ROM none,JETDIRECT,EEPROM JSI24240009",
                "",
            ),
            (
                "Linux miller-pc 5.10.0-18-amd64 #1 SMP Debian 5.10.140-1 x86_64",
                "",
            ),
            ("Linux version 5.10.140", ""),
            (
                "Hardware: Intel64 - Software: Windows Version 6.3 (Build 9600)",
                "",
            ),
            ("Office 2.1 of Miller", ""),
            ("version miller.example.com", ""),
            ("firmware miller@2.1", ""),
            ("firmware by miller 2.1", ""),
            ("firmware 2", ""),
            ("version 1.2.3-rc/miller", ""),
            ("software ver. 1..2", ""),
            ("vér 1.2 v\u{e9}rsion 3.4", ""),
        ] {
            assert_eq!(versions(text).join(" "), version, "{text}");
        }
        let two = versions("OkiLAN firmware 02.85: Attached to C610 firmware 06.16");
        assert_eq!(two, ["02.85", "06.16"]);
    }
}
