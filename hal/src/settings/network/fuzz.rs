//! The decoders of answers from the network, for a fuzzer.

use super::{certificate, http, ipp, snmp, tls};

/// IPP within HTTP, and alone.
pub(crate) fn ipp(bytes: &[u8]) {
    if let Some(answer) = http::answer(bytes, true) {
        let _answer = ipp::answer(&answer.body, 1);
    }
    let _answer = ipp::answer(bytes, 1);
}

/// SNMP of every version.
pub(crate) fn snmp(bytes: &[u8]) {
    for (name, _value) in snmp::answer(bytes, 1).into_iter().flatten() {
        let _numbers = name.below(&snmp::ObjectId::new(&[1, 3]));
    }
    let _answer = snmp::answer_v3(bytes, 1);
}

/// A server's first flight of TLS, and the certificate in it. More bytes never change an answer.
pub(crate) fn tls(bytes: &[u8]) {
    let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
    if bytes.len() < tls::ANSWER_BYTES_MAX
        && let Some(early) = tls::answer(half, false)
    {
        assert_eq!(tls::answer(bytes, true), Some(early));
    }
    if let Some(tls::Answer::Agreed {
        certificate: Some(der),
        ..
    }) = tls::answer(bytes, true)
    {
        let _facts = certificate::facts(&der);
    }
}

/// A certificate.
pub(crate) fn certificate(bytes: &[u8]) {
    if let Some(facts) = certificate::facts(bytes) {
        assert_eq!(facts.not_after.len(), "2027-01-31T00:00:00Z".len());
    }
}
