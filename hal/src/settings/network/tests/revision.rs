//! Restarts and changes, as devices tell them.

use super::super::tlv::{OCTETS, OID, SEQUENCE, element, integer};
use super::*;
use crate::settings::Uptime;

/// An answer of IPP with these attributes: tag, name, value.
fn ipp_answer(attributes: &[(u8, &str, &[u8])]) -> Vec<u8> {
    let mut body = vec![1, 1, 0, 0, 0, 0, 0, 1, 4];
    for (tag, name, value) in attributes {
        body.extend([*tag, 0, name.len() as u8]);
        body.extend(name.as_bytes());
        body.extend([0, value.len() as u8]);
        body.extend(*value);
    }
    body.push(3);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), &body].concat()
}

/// An answer of SNMP to question 1 with these names and values as they are encoded.
fn snmp_answer(values: &[(&[u32], Vec<u8>)]) -> Vec<u8> {
    let binding = |(name, value): &(&[u32], Vec<u8>)| {
        let name = [
            &[0x2b],
            &name[2..].iter().map(|it| *it as u8).collect::<Vec<_>>()[..],
        ]
        .concat();
        element(SEQUENCE, &[element(OID, &name), value.clone()].concat())
    };
    let list: Vec<u8> = values.iter().flat_map(binding).collect();
    let list = element(SEQUENCE, &list);
    let pdu = element(0xa2, &[integer(1), integer(0), integer(0), list].concat());
    let message = [integer(1), element(OCTETS, b"public"), pdu].concat();
    element(SEQUENCE, &message)
}

const UP: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 3, 0];
const HOST_UP: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 1, 1, 0];
const CHANGES: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 5, 1, 1, 1, 1];
const COUNTER: u8 = 0x41;
const TICKS: u8 = 0x43;

fn asked(device: &mut Device) -> (Option<(&'static str, u32)>, Option<String>) {
    let told = super::super::revision::ask(device, &NetworkOptions::default(), "192.0.2.1");
    assert_eq!(told.boot_id, None);
    let up = told.up.map(|Uptime { by, seconds }| (by, seconds));
    (up, told.changes)
}

#[test]
fn ipp_tells_both_with_one_question() {
    let mut device = device(&[(631, |question| {
        let text = String::from_utf8_lossy(question);
        assert!(text.contains("printer-up-time") && text.contains("printer-config-changes"));
        ipp_answer(&[
            (0x21, "printer-up-time", &[0, 0, 1, 0]),
            (
                0x31,
                "printer-config-change-date-time",
                &[7, 0xea, 11, 27, 17, 0, 9, 0, b'+', 1, 0],
            ),
            (0x21, "printer-config-changes", &[0, 0, 0, 7]),
        ])
    })]);
    device.udp = Some(Box::new(|_question| panic!("SNMP is asked without need")));
    let changes = "printer-config-changes \"7\"".to_owned();
    assert_eq!(
        asked(&mut device),
        (Some(("printer-up-time", 256)), Some(changes))
    );
}

#[test]
fn a_date_of_the_last_change_is_as_good_as_a_counter() {
    let told = |second: fn(&[u8]) -> Vec<u8>| asked(&mut device(&[(631, second)])).1.unwrap();
    let first = told(|_| ipp_answer(&[(0x31, "printer-config-change-date-time", &[7, 0xea, 9])]));
    let again = told(|_| ipp_answer(&[(0x31, "printer-config-change-date-time", &[7, 0xea, 9])]));
    let later = told(|_| ipp_answer(&[(0x31, "printer-config-change-date-time", &[7, 0xea, 10])]));
    assert_eq!(first, again);
    assert_ne!(first, later);
    assert!(!later.contains(char::is_control), "{later:?}");
}

#[test]
fn snmp_tells_what_ipp_does_not_and_the_host_before_its_agent() {
    // CUPS tells the Unix time as the time that it is up.
    let mut device = device(&[(631, |_| {
        ipp_answer(&[(0x21, "printer-up-time", &1_795_800_000_u32.to_be_bytes())])
    })]);
    device.udp = Some(Box::new(|question: &[u8]| {
        assert!(!question.contains(&0xa3), "nothing is set");
        snmp_answer(&[
            (UP, element(TICKS, &[100])),
            // Without the zero byte that its sign asks for.
            (HOST_UP, element(TICKS, &[0xff, 0xff, 0xff, 0xff])),
            (CHANGES, element(COUNTER, &[0, 0x80, 0, 0, 0])),
        ])
    }));
    let changes = "prtGeneralConfigChanges 2147483648".to_owned();
    assert_eq!(
        asked(&mut device),
        (Some(("hrSystemUptime", 42_949_672)), Some(changes))
    );
    device.udp = Some(Box::new(|_| {
        snmp_answer(&[
            (UP, element(TICKS, &[100])),
            (CHANGES, element(COUNTER, &[3])),
            (CHANGES, element(0x82, &[])),
        ])
    }));
    assert_eq!(asked(&mut device), (Some(("sysUpTime", 1)), None));
}

#[test]
fn a_device_that_tells_nothing_has_no_revision() {
    assert_eq!(asked(&mut Device::default()), (None, None));
    let mut device = device(&[(631, |_| b"HTTP/1.1 404 X\r\n\r\n".to_vec())]);
    device.udp = Some(Box::new(|_| b"\x30\x03nonsense".to_vec()));
    assert_eq!(asked(&mut device), (None, None));
}
