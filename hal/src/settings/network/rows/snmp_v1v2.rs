//! `net.snmp_v1v2`: whether SNMP answers in clear.

use super::{Facts, Heard, Method, Ports, Probe, Reading, SNMP, Topic, Why};

pub(super) const PROBE: Probe = (Method::Port, Topic::Snmp, read);

fn read(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    let snmp = &facts.snmp;
    let is_open = snmp.to_factory == Heard::Answer;
    Some(if is_open || snmp.is_refused() {
        Reading::bool(is_open, SNMP)
    } else if snmp.to_own == Heard::Answer {
        // It may be good enough, but nobody tries whether that community can write.
        let detail =
            "it answers to your own community alone; whether that one may write is not tried";
        Reading::Unjudged {
            value: "true".to_owned(),
            detail: detail.to_owned(),
            evidence: "SNMP versions 1 and 2c, the configured community".to_owned(),
        }
    } else {
        let detail = "no community that was tried is answered to; another one may be";
        Reading::unknown(Why::NotAnswered, detail, SNMP)
    })
}
