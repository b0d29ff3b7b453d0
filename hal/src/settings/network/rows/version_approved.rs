//! `fw.version_approved`: the version of the firmware.

use super::{Facts, Method, Ports, Probe, Reading, Topic, attribute, printer_evidence};

pub(super) const PROBE: Probe = (Method::Ipp, Topic::Ipp, read);

fn read(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    let versions = attribute(facts, "printer-firmware-string-version")?;
    let text = versions.first().filter(|it| !it.is_empty())?;
    let evidence = printer_evidence(facts, "printer-firmware-string-version");
    Some(Reading::value(text, evidence))
}
