//! `net.cert_trusted`: who vouches for the certificate.

use super::{Facts, Method, Ports, Probe, Reading, Topic, of_certificate};

pub(super) const PROBE: Probe = (Method::Tls, Topic::Tls, read);

fn read(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    of_certificate(facts, |it, evidence| {
        let evidence = format!("{evidence}, issuer and subject");
        if it.self_signed {
            return Reading::value("selfsigned", evidence);
        }
        // Anybody can name another as the issuer: no signature was checked.
        let detail = "another one is named as its issuer; whether to trust that one is not checked";
        Reading::Unjudged {
            value: "ca".to_owned(),
            detail: detail.to_owned(),
            evidence,
        }
    })
}
