//! `net.telnet`: whether somebody may sign in in clear.

use super::{Facts, Method, Ports, Probe, Reading, Topic, is_open};

pub(super) const PROBE: Probe = (Method::Port, Topic::Ports(&[23]), read);

fn read(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    Some(is_open(facts, 23))
}
