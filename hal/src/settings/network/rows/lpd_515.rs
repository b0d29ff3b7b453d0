//! `net.lpd_515`: whether LPD takes jobs.

use super::{Facts, Method, Ports, Probe, Reading, Topic, channel, is_open};

pub(super) const PORT: Probe = (Method::Port, Topic::Ports(&[515]), read_port);
pub(super) const SNMP: Probe = (Method::Snmp, Topic::Snmp, read_snmp);

fn read_port(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    Some(is_open(facts, 515))
}

fn read_snmp(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    channel(facts, &[8])
}
