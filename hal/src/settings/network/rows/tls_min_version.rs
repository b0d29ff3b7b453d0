//! `net.tls_min_version`: the oldest version of TLS that a port agrees to.

use super::{Facts, Method, Ports, Probe, Reading, Topic, of_tls, tls, tls_evidence};

pub(super) const PROBE: Probe = (Method::Tls, Topic::Tls, read);

fn read(facts: &Facts, ports: &Ports) -> Option<Reading> {
    of_tls(
        facts,
        ports,
        "net.tls_min_version",
        |it| it.is_oldest_sure,
        |ports| {
            let oldest = ports.iter().filter_map(|it| it.oldest).min();
            let text = oldest.map_or("", tls::Version::as_str);
            Reading::value(text, tls_evidence(ports, "hello for one version each"))
        },
    )
}
