//! `auth.ipp_methods`: how IPP lets somebody prove who they are.

use super::{Facts, Method, Ports, Probe, Reading, Topic, words_of_uris};

pub(super) const PROBE: Probe = (Method::Ipp, Topic::Ipp, read);

fn read(facts: &Facts, ports: &Ports) -> Option<Reading> {
    const WORDS: &[&str] = &[
        "none",
        "requesting-user-name",
        "basic",
        "digest",
        "certificate",
        "negotiate",
        "oauth",
    ];
    words_of_uris(facts, ports, "uri-authentication-supported", WORDS)
}
