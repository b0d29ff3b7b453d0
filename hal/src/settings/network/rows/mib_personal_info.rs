//! `data.mib_personal_info_hidden`: whether SNMP lists jobs.

use super::{Facts, Method, Ports, Probe, Reading, Topic, Why};

pub(super) const PROBE: Probe = (Method::Snmp, Topic::Snmp, read);

fn read(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    const EVIDENCE: &str = "SNMP jobMonMIB";
    Some(match facts.snmp.jobs_shown {
        Some(shown) => Reading::bool(!shown, EVIDENCE),
        None => {
            let detail = "no job is listed now, so that nothing shows what would be";
            Reading::unknown(Why::NotSupported, detail, EVIDENCE)
        }
    })
}
