//! `net.ip_forwarding`: whether the device joins two networks.

use super::{Facts, Method, Ports, Probe, Reading, Topic};

pub(super) const PROBE: Probe = (Method::Snmp, Topic::Snmp, read);

fn read(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    const FORWARDS: i64 = 1;
    let value = facts.snmp.forwarding?;
    Some(Reading::bool(value == FORWARDS, "SNMP ipForwarding"))
}
