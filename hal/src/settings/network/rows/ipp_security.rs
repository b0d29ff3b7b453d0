//! `net.ipp_security`: whether IPP is spoken in clear, by what it says and by what it does.

use super::{Facts, Method, Ports, Probe, Reading, State, Topic, port_evidence, words_of_uris};

pub(super) const IPP: Probe = (Method::Ipp, Topic::Ipp, read);
pub(super) const PORT: Probe = (Method::Port, Topic::Ipp, read_port);

fn read(facts: &Facts, ports: &Ports) -> Option<Reading> {
    words_of_uris(facts, ports, "uri-security-supported", &["none", "tls"])
}

/// Whether the port speaks IPP in clear, whatever it says of itself.
fn read_port(facts: &Facts, ports: &Ports) -> Option<Reading> {
    let evidence = port_evidence(ports.ipp);
    let answers_over_tls = facts.ipp.tls_port.is_some();
    let tls = answers_over_tls || facts.speaks_tls(ports.ipp);
    if facts.ipp.is_clear {
        let words = if tls {
            vec!["none", "tls"]
        } else {
            vec!["none"]
        };
        return Some(Reading::set(words, evidence));
    }
    let refused = match facts.ipp.http_status {
        // Refused before a word of HTTP, or closed; not lost.
        None => !facts.ipp.is_clear_lost || facts.port(ports.ipp) == State::Closed,
        Some(400 | 426) => true,
        // A web page or a redirect: the printer is to be found over TLS.
        Some(status) => answers_over_tls && status < 500,
    };
    (tls && refused).then(|| Reading::set(["tls"], evidence))
}
