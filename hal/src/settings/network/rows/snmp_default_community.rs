//! `net.snmp_default_community`: whether SNMP answers to a community's name from the factory.

use super::{Facts, Heard, Method, Ports, Probe, Reading, SNMP, Topic, no_snmp};

pub(super) const PROBE: Probe = (Method::Port, Topic::Snmp, read);

/// Silence to these names says something only of an agent that answers in another way.
fn read(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    let snmp = &facts.snmp;
    Some(match snmp.to_factory {
        Heard::Answer => Reading::value("read", SNMP),
        Heard::Silence if snmp.is_there() => Reading::value("none", SNMP),
        _ if snmp.is_refused() => Reading::value("none", SNMP),
        _ => no_snmp(SNMP),
    })
}
