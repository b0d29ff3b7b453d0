//! `auth.root_remote_login`: a port never tells that it is safe, only that nothing tells.

use super::{Facts, Method, Ports, Probe, Reading, State, Topic, Why, port_evidence};

pub(super) const PROBE: Probe = (Method::Port, Topic::Ports(&[22]), read);

fn read(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    let detail = match facts.port(22) {
        State::Open => "an open port does not tell who may sign in",
        State::Closed | State::Silent => "SSH may listen on another port",
    };
    Some(Reading::unknown(
        Why::NotSupported,
        detail,
        port_evidence(22),
    ))
}
