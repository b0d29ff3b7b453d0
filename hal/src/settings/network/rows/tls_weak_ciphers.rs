//! `net.tls_weak_ciphers`: which weak suites a port agrees to.

use super::{Facts, Method, Ports, Probe, Reading, Topic, of_tls, tls_evidence};

pub(super) const PROBE: Probe = (Method::Tls, Topic::Tls, read);

fn read(facts: &Facts, ports: &Ports) -> Option<Reading> {
    of_tls(
        facts,
        ports,
        "net.tls_weak_ciphers",
        |it| it.is_weak_sure,
        |ports| {
            let weak = ports.iter().flat_map(|it| it.weak.iter().copied());
            Reading::set(weak, tls_evidence(ports, "hello with weak suites alone"))
        },
    )
}
