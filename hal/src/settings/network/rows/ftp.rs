//! `net.ftp`: whether files go in and out in clear.

use super::{Facts, Method, Ports, Probe, Reading, Topic, is_open};

pub(super) const PROBE: Probe = (Method::Port, Topic::Ports(&[21]), read);

fn read(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    Some(is_open(facts, 21))
}
