//! `net.vendor_api_tls`: whether the vendor's interface for applications is encrypted.

use super::{Facts, Method, Ports, Probe, Reading, State, Topic, port_evidence};

pub(super) const PROBE: Probe = (Method::Port, Topic::VendorApi, read);

fn read(facts: &Facts, ports: &Ports) -> Option<Reading> {
    let open = facts.port(ports.vendor_api) == State::Open;
    let value = match (open, facts.vendor_api_tls) {
        (false, _) => "off",
        (true, true) => "tls",
        (true, false) => "open",
    };
    Some(Reading::value(value, port_evidence(ports.vendor_api)))
}
