//! `auth.print_without_auth`: whether a job without a password would be taken.

use super::{Facts, Method, Ports, Probe, Reading, Topic, Why, no_ipp};

pub(super) const PROBE: Probe = (Method::Ipp, Topic::Ipp, read);

fn read(facts: &Facts, ports: &Ports) -> Option<Reading> {
    if let Some(reading) = no_ipp(facts, ports) {
        return Some(reading);
    }
    const EVIDENCE: &str = "Validate-Job without a password";
    Some(match facts.ipp.job_taken {
        Some(taken) => Reading::bool(taken, EVIDENCE),
        None => Reading::unknown(Why::NotAnswered, "the printer does not tell", EVIDENCE),
    })
}
