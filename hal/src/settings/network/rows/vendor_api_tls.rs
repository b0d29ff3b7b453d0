//! `net.vendor_api_tls`: whether the vendor's interface for applications is encrypted.

use super::{Facts, Method, Ports, Probe, Reading, State, Topic, Why, port_evidence};

pub(super) const PROBE: Probe = (Method::Port, Topic::VendorApi, read);

fn read(facts: &Facts, ports: &Ports) -> Option<Reading> {
    let open = facts.port(ports.vendor_api) == State::Open;
    let evidence = port_evidence(ports.vendor_api);
    Some(match (open, facts.vendor_api_tls) {
        (false, _) => Reading::value("off", evidence),
        (true, Some(true)) => Reading::value("tls", evidence),
        (true, Some(false)) => Reading::value("open", evidence),
        (true, None) => {
            let detail = "the port is open, but a hello of TLS 1.2 is lost or refused";
            Reading::unknown(Why::NotAnswered, detail, evidence)
        }
    })
}
