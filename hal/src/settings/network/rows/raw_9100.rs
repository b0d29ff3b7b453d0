//! `net.raw_9100`: whether what is sent to a port is printed as it is.

use super::{Facts, Method, Ports, Probe, Reading, State, Topic, channel, is_open};

pub(super) const PORT: Probe = (Method::Port, Topic::Ports(&[9100, 9101, 9102]), read_port);
pub(super) const SNMP: Probe = (Method::Snmp, Topic::Snmp, read_snmp);

fn read_port(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    let open = (9100..=9102).find(|port| facts.port(*port) == State::Open);
    Some(is_open(facts, open.unwrap_or(9100)))
}

fn read_snmp(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    channel(facts, &[11, 37, 38])
}
