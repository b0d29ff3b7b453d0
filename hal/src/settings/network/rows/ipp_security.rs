//! `net.ipp_security`: whether IPP is spoken in clear, by what it says and by what it does.

use super::{Facts, Method, Ports, Probe, Reading, Topic, port_evidence, words_of_uris};

pub(super) const IPP: Probe = (Method::Ipp, Topic::Ipp, read);
pub(super) const PORT: Probe = (Method::Port, Topic::Ipp, read_port);

fn read(facts: &Facts, ports: &Ports) -> Option<Reading> {
    words_of_uris(facts, ports, "uri-security-supported", &["none", "tls"])
}

/// Whether the port speaks IPP in clear, whatever it says of itself.
fn read_port(facts: &Facts, ports: &Ports) -> Option<Reading> {
    let evidence = port_evidence(ports.ipp);
    let tls = facts.tls.iter().any(|it| it.port == ports.ipp);
    if facts.ipp.printer.is_some() {
        let words = if tls {
            vec!["none", "tls"]
        } else {
            vec!["none"]
        };
        return Some(Reading::set(words, evidence));
    }
    let refused = matches!(facts.ipp.http_status, None | Some(400 | 403 | 426));
    (tls && refused).then(|| Reading::set(["tls"], evidence))
}
