//! `net.snmp_default_community`: whether SNMP answers to a community's name from the factory.

use super::{Facts, Method, Ports, Probe, Reading, SNMP, Topic};

pub(super) const PROBE: Probe = (Method::Port, Topic::Snmp, read);

/// Silence of SNMP says something only when the host is there.
fn read(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    let value = match facts.snmp.is_from_factory {
        true => "read",
        false => "none",
    };
    Some(Reading::value(value, SNMP))
}
