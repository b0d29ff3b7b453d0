//! What silence of SNMP says: nothing, but of an agent that is known to be there.

use super::super::tlv::{OCTETS, Reader, SEQUENCE, element, integer};
use super::tables::{agent, read_with, with_agent};
use super::*;

fn settings_of(datagrams: Datagrams, community: Option<&str>) -> BTreeMap<&'static str, Setting> {
    let mut device = device(&[]);
    device.udp = Some(datagrams);
    read_with(&mut device, community)
}

/// What is told of the versions of SNMP; `?`: unknown.
fn told(settings: &BTreeMap<&'static str, Setting>) -> [String; 3] {
    let ids = [
        "net.snmp_v1v2",
        "net.snmp_default_community",
        "net.snmp_v3_level",
    ];
    ids.map(|id| match &settings[id].verdict {
        Verdict::Unknown(_) => "?".to_owned(),
        _ => settings[id].value.as_str().to_owned(),
    })
}

fn version(question: &[u8]) -> i64 {
    let message = Reader(question).enter(SEQUENCE);
    message.and_then(|mut it| it.integer()).unwrap()
}

fn is_public(question: &[u8]) -> bool {
    question.windows(6).any(|it| it == b"public")
}

/// The report of an engine that was asked for its id.
fn report(question: &[u8]) -> Vec<u8> {
    let mut message = Reader(question).enter(SEQUENCE).unwrap();
    let (_version, mut header) = (message.integer(), message.enter(SEQUENCE).unwrap());
    let id = header.integer().unwrap() as u32;
    let usm = element(SEQUENCE, &element(OCTETS, b"engine"));
    let scoped = [
        element(OCTETS, b""),
        element(OCTETS, b""),
        element(0xa8, &integer(id)),
    ];
    let parts = [
        integer(3),
        element(SEQUENCE, &integer(id)),
        element(OCTETS, &usm),
        element(SEQUENCE, &scoped.concat()),
    ];
    element(SEQUENCE, &parts.concat())
}

/// An answer in version 2c that tells an error.
fn error(question: &[u8], status: u32) -> Vec<u8> {
    let mut message = Reader(question).enter(SEQUENCE).unwrap();
    let (_version, community) = (message.integer(), message.expect(OCTETS).unwrap());
    let (_kind, pdu) = message.next().unwrap();
    let id = Reader(pdu).integer().unwrap() as u32;
    let pdu = [
        integer(id),
        integer(status),
        integer(0),
        element(SEQUENCE, &[]),
    ];
    let parts = [
        integer(1),
        element(OCTETS, community),
        element(0xa2, &pdu.concat()),
    ];
    element(SEQUENCE, &parts.concat())
}

#[test]
fn silence_of_snmp_is_not_known_to_be_secure() {
    let silent = settings_of(Box::new(|_| Vec::new()), None);
    assert_eq!(told(&silent), ["?", "?", "?"]);
    let refused = settings_of(Box::new(|_| REFUSED.to_vec()), None);
    assert_eq!(told(&refused), ["false", "none", "off"]);
}

#[test]
fn who_answers_otherwise_does_not_know_the_names_from_the_factory() {
    let v3: Datagrams = Box::new(|question| match version(question) {
        3 => report(question),
        _ => Vec::new(),
    });
    // Under a name that was not tried it may speak in clear.
    assert_eq!(told(&settings_of(v3, None)), ["?", "none", "?"]);
    let own = read_with(&mut with_agent(agent("our own", &[])), Some("our own"));
    assert_eq!(told(&own), ["?", "none", "off"]);
    assert_eq!(own["net.snmp_v1v2"].value, "true");
    let other = read_with(&mut with_agent(agent("our own", &[])), Some("another"));
    assert_eq!(told(&other), ["?", "?", "?"]);
}

#[test]
fn an_agent_that_tells_an_error_answers() {
    for status in [1, 5, 6, 13, 16] {
        let datagrams: Datagrams =
            Box::new(
                move |question| match version(question) == 1 && is_public(question) {
                    true => error(question, status),
                    false => Vec::new(),
                },
            );
        let settings = settings_of(datagrams, None);
        assert_eq!(told(&settings), ["true", "read", "off"], "{status}");
        let jobs = &settings["data.mib_personal_info_hidden"];
        assert!(matches!(jobs.verdict, Verdict::Unknown(_)), "{jobs:?}");
    }
}

#[test]
fn what_is_not_understood_is_not_silence() {
    let strange = settings_of(Box::new(|_| b"what?".to_vec()), None);
    assert_eq!(told(&strange), ["?", "?", "?"]);
    let v3: Datagrams = Box::new(|question| match version(question) {
        3 => b"what?".to_vec(),
        _ => Vec::new(),
    });
    assert_eq!(told(&settings_of(v3, None)), ["?", "none", "?"]);
    // Values that are an error are none.
    let error_v3: Datagrams = Box::new(|question| match version(question) {
        3 => {
            let told = report(question);
            told.iter()
                .map(|it| if *it == 0xa8 { 0xa2 } else { *it })
                .collect()
        }
        _ => Vec::new(),
    });
    assert_eq!(told(&settings_of(error_v3, None)), ["?", "none", "?"]);
}

#[test]
fn a_refusal_does_not_take_back_an_answer() {
    let public = agent("public", &[]);
    let datagrams: Datagrams = Box::new(move |question| match is_public(question) {
        true => public.answer(question).unwrap_or_default(),
        false => REFUSED.to_vec(),
    });
    let settings = settings_of(datagrams, Some("our own"));
    assert_eq!(told(&settings), ["true", "read", "?"]);
    let own = agent("our own", &[]);
    let datagrams: Datagrams = Box::new(move |question| match is_public(question) {
        true => REFUSED.to_vec(),
        false => own.answer(question).unwrap_or_default(),
    });
    let settings = settings_of(datagrams, Some("our own"));
    assert_eq!(told(&settings), ["?", "?", "off"]);
}

#[test]
fn channels_that_were_not_all_told_prove_nothing_absent() {
    let channel = |column: u32, index: u32, value: u32| {
        let name = format!("43.14.1.1.{column}.1.{index}");
        (name, integer(value))
    };
    let objects: Vec<_> = (1..=2)
        .flat_map(|index| [channel(2, index, 7 + index), channel(6, index, 3)])
        .collect();
    let raw = |(id, (method, ..)): &&rows::Row| *id == "net.raw_9100" && *method == Method::Snmp;
    let (_id, (_method, topic, read)) = rows::ROWS.iter().find(raw).unwrap();
    for is_cut in [false, true] {
        let told = agent("public", &objects);
        let asked = std::cell::Cell::new(0);
        let mut device = device(&[]);
        device.udp = Some(Box::new(move |question| {
            let is_row = question.windows(4).any(|it| it == [43, 14, 1, 1]);
            asked.set(asked.get() + u32::from(is_row));
            match is_cut && is_row && asked.get() > 2 {
                true => Vec::new(),
                false => told.answer(question).unwrap_or_default(),
            }
        }));
        let ports = Ports::default();
        let facts = ask::ask(&mut device, &ports, None, "192.0.2.1", &[*topic]);
        assert!(!facts.snmp.channels.is_empty());
        assert_eq!(read(&facts, &ports).is_none(), is_cut);
    }
}
