//! `net.smb1`: whether the first version of SMB is agreed to.

use super::{Facts, Method, Ports, Probe, Reading, Topic};

pub(super) const PROBE: Probe = (Method::Port, Topic::Smb, read);

fn read(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    let evidence = "TCP port 445: negotiation of NT LM 0.12";
    Some(Reading::bool(facts.smb1, evidence))
}
