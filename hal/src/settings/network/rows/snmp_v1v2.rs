//! `net.snmp_v1v2`: whether SNMP answers in clear.

use super::{Facts, Method, Ports, Probe, Reading, SNMP, Topic};

pub(super) const PROBE: Probe = (Method::Port, Topic::Snmp, read);

fn read(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    Some(Reading::bool(facts.snmp.is_from_factory, SNMP))
}
