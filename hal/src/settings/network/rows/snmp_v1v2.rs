//! `net.snmp_v1v2`: whether SNMP answers in clear.

use super::{Facts, Method, Ports, Probe, Reading, SNMP, Topic};

pub(super) const PROBE: Probe = (Method::Port, Topic::Snmp, read);

fn read(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    if facts.snmp.is_from_factory || !facts.snmp.is_configured {
        return Some(Reading::bool(facts.snmp.is_from_factory, SNMP));
    }
    // It may be good enough, but nobody tries whether that community can write.
    let detail = "it answers to your own community alone; whether that one may write is not tried";
    Some(Reading::Unjudged {
        value: "true".to_owned(),
        detail: detail.to_owned(),
        evidence: "SNMP versions 1 and 2c, the configured community".to_owned(),
    })
}
