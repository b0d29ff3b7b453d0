//! `pdl.file_access`: why nobody asks for it.

use super::{Facts, Method, Ports, Probe, Reading, Topic, Why};

pub(super) const PROBE: Probe = (Method::Port, Topic::Ports(&[]), read);

fn read(_facts: &Facts, _ports: &Ports) -> Option<Reading> {
    let detail = "asked for on request only: what is sent to port 9100 may be printed";
    Some(Reading::unknown(Why::NotSupported, detail, "not sent"))
}
