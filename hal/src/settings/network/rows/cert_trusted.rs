//! `net.cert_trusted`: who vouches for the certificate.

use super::{Facts, Method, Ports, Probe, Reading, Topic, Trust, Why, of_certificate};

pub(super) const PROBE: Probe = (Method::Tls, Topic::Tls, read);

fn read(facts: &Facts, ports: &Ports) -> Option<Reading> {
    of_certificate(facts, ports, "net.cert_trusted", |it, trust, evidence| {
        let evidence = format!("{evidence}, who vouches for it; its names are not compared");
        match trust {
            Trust::Pinned => Reading::value("pinned", evidence),
            Trust::Ca => Reading::value("ca", evidence),
            Trust::Unknown(_) if it.self_signed => Reading::value("selfsigned", evidence),
            // Anybody can name another as the issuer: that alone is not even a value.
            Trust::Unknown(why) => Reading::unknown(Why::NotSupported, why, evidence),
        }
    })
}
