//! `net.snmp_v3_level`: what version 3 of SNMP asks for.

use super::{Facts, Method, Ports, Probe, Reading, Topic, V3, Why};

pub(super) const PROBE: Probe = (Method::Port, Topic::Snmp, read);

fn read(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    const EVIDENCE: &str = "SNMP version 3, engine discovery";
    Some(match facts.snmp.v3 {
        V3::Silent => Reading::value("off", EVIDENCE),
        V3::NoAuth => Reading::value("noauth", EVIDENCE),
        V3::Present => {
            let detail = "version 3 answers; what it asks for only the vendor's settings tell";
            Reading::unknown(Why::NotSupported, detail, EVIDENCE)
        }
    })
}
