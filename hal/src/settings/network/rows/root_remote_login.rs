//! `auth.root_remote_login`: what a closed port says of it.

use super::{Facts, Method, Ports, Probe, Reading, State, Topic, is_open};

pub(super) const PROBE: Probe = (Method::Port, Topic::Ports(&[22]), read);

fn read(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    // What an open port allows is for the one who can read its settings.
    (facts.port(22) != State::Open).then(|| is_open(facts, 22))
}
