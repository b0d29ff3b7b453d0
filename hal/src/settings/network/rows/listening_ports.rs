//! `net.listening_ports`: which ports answer, by the device's tables and by trying the well-known.

use super::{Facts, Method, Ports, Probe, Reading, State, Topic};

pub(super) const SNMP: Probe = (Method::Snmp, Topic::Listeners, read_snmp);
pub(super) const PORT: Probe = (Method::Port, Topic::AllPorts, read_port);

/// Only some ports were tried: nothing is known of all others, nor of UDP.
fn read_port(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    let tried: Vec<String> = facts.ports.keys().map(u16::to_string).collect();
    Some(Reading::partial(
        open(facts),
        format!("only these TCP ports were tried: {}", tried.join(",")),
        "connections to well-known TCP ports",
    ))
}

fn open(facts: &Facts) -> impl Iterator<Item = String> {
    let ports = facts.ports.iter();
    let open = ports.filter(|(_, state)| **state == State::Open);
    open.map(|(port, _)| format!("tcp/{port}"))
}

/// The tables are believed to be whole when all that has just answered stands in them.
fn read_snmp(facts: &Facts, ports: &Ports) -> Option<Reading> {
    const EVIDENCE: &str = "SNMP tcpListenerTable, udpEndpointTable";
    let told = facts.snmp.listeners.as_ref()?;
    let agent = format!("udp/{}", ports.snmp);
    let mut answering = open(facts).chain([agent]);
    let missing = match answering.all(|it| told.all.contains(&it)) {
        true => told.missing,
        false => told
            .missing
            .or(Some("a port that answers is not in the tables")),
    };
    let exposed = told.exposed.iter().map(String::as_str);
    Some(match missing {
        None => Reading::set(exposed, EVIDENCE),
        Some(missing) => Reading::partial(exposed, missing, EVIDENCE),
    })
}
