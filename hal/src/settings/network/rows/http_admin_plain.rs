//! `net.http_admin_plain`: whether the web page is there in clear.

use super::{Facts, Method, Ports, Probe, Reading, State, Topic, Why, port_evidence};

pub(super) const PROBE: Probe = (Method::Port, Topic::Http, read);

fn read(facts: &Facts, ports: &Ports) -> Option<Reading> {
    let evidence = port_evidence(ports.http);
    if facts.port(ports.http) != State::Open {
        return Some(Reading::bool(false, evidence));
    }
    let Some(answer) = &facts.http else {
        let detail = "the port is open, but does not answer as a web page";
        return Some(Reading::unknown(Why::NotAnswered, detail, evidence));
    };
    let target = answer.location.as_deref().unwrap_or_default();
    let safe = match answer.status {
        300..=399 => target.starts_with("https://"),
        404 | 410 => true,
        _ => false,
    };
    Some(Reading::bool(
        !safe,
        format!("{evidence}: status {}", answer.status),
    ))
}
