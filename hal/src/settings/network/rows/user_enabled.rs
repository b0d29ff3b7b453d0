//! `app.user_enabled`: whether there are applications that somebody has added.

use super::{Facts, Method, Ports, Probe, Reading, Topic, Why, no_ipp};

pub(super) const PROBE: Probe = (Method::Ipp, Topic::Ipp, read);

fn read(facts: &Facts, ports: &Ports) -> Option<Reading> {
    if let Some(reading) = no_ipp(facts, ports) {
        return Some(reading);
    }
    const NAMES: &str = "system-user-application-name";
    let system = facts.ipp.system.as_ref();
    Some(match system.and_then(|it| it.values(NAMES)) {
        Some(names) => Reading::bool(!names.is_empty(), format!("Get-System-Attributes: {NAMES}")),
        None => Reading::unknown(
            Why::NotSupported,
            "the printer does not list its applications",
            "Get-System-Attributes",
        ),
    })
}
