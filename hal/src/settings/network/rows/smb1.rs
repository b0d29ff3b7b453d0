//! `net.smb1`: whether the first version of SMB is agreed to.

use super::{Facts, Method, Ports, Probe, Reading, Topic, Why};

pub(super) const PROBE: Probe = (Method::Port, Topic::Smb, read);

fn read(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    let evidence = "TCP port 445: negotiation of NT LM 0.12";
    Some(match facts.smb1 {
        Some(is_on) => Reading::bool(is_on, evidence),
        None => Reading::unknown(
            Why::NotAnswered,
            "the port is open, but does not answer",
            evidence,
        ),
    })
}
