//! `net.cert_expires`: how long the certificate is valid.

use super::{Facts, Method, Ports, Probe, Reading, Topic, of_certificate};

pub(super) const PROBE: Probe = (Method::Tls, Topic::Tls, read);

fn read(facts: &Facts, ports: &Ports) -> Option<Reading> {
    of_certificate(facts, ports, "net.cert_expires", |it, _trust, evidence| {
        Reading::value(it.not_after.as_str(), evidence)
    })
}
