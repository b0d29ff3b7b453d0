//! `net.cert_strength`: the certificate's key and signature.

use super::{Facts, Method, Ports, Probe, Reading, Topic, of_certificate};

pub(super) const PROBE: Probe = (Method::Tls, Topic::Tls, read);

fn read(facts: &Facts, ports: &Ports) -> Option<Reading> {
    of_certificate(facts, ports, "net.cert_strength", |it, _trust, evidence| {
        Reading::Judged {
            value: format!("{} {} {}", it.algorithm, it.bits, it.hash),
            secure: it.is_strong(),
            evidence,
        }
    })
}
