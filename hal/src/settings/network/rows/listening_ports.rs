//! `net.listening_ports`: which of the well-known ports are open.

use super::{Facts, Method, Ports, Probe, Reading, State, Topic};

pub(super) const PORT: Probe = (Method::Port, Topic::AllPorts, read_port);

/// Only some ports were tried: nothing is known of all others, nor of UDP.
fn read_port(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    let tried: Vec<String> = facts.ports.keys().map(u16::to_string).collect();
    let open = facts
        .ports
        .iter()
        .filter(|(_, state)| **state == State::Open);
    Some(Reading::partial(
        open.map(|(port, _)| format!("tcp/{port}")),
        format!("only these TCP ports were tried: {}", tried.join(",")),
        "connections to well-known TCP ports",
    ))
}
