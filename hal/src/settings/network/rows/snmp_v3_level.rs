//! `net.snmp_v3_level`: what version 3 of SNMP asks for.

use super::{Facts, Heard, Method, Ports, Probe, Reading, Topic, V3, Why, no_snmp};

pub(super) const PROBE: Probe = (Method::Port, Topic::Snmp, read);

/// An engine answers to its discovery (RFC 3414, 4): silence of an agent that is there is none.
fn read(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    const EVIDENCE: &str = "SNMP version 3, engine discovery";
    let snmp = &facts.snmp;
    let is_known = snmp.to_factory.max(snmp.to_own) == Heard::Answer;
    Some(match snmp.v3 {
        V3::Silent if is_known => Reading::value("off", EVIDENCE),
        _ if snmp.is_refused() => Reading::value("off", EVIDENCE),
        V3::NoAuth => Reading::value("noauth", EVIDENCE),
        V3::Present => {
            let detail = "version 3 answers; what it asks for only the vendor's settings tell";
            Reading::unknown(Why::NotSupported, detail, EVIDENCE)
        }
        V3::Silent | V3::Refused => no_snmp(EVIDENCE),
    })
}
