//! What the tables of SNMP tell, of an agent made of rows.

use std::cell::Cell;
use std::rc::Rc;

use super::super::tlv::{INTEGER, NULL, OCTETS, OID, Reader, SEQUENCE, element, integer};
use super::*;

/// An agent: a version, a community, and its objects in order with their values as bytes.
pub(super) struct Agent {
    version: u32,
    community: &'static str,
    objects: BTreeMap<Vec<u32>, Vec<u8>>,
}

const SYS_DESCR: &str = "1.1.0";
/// A listener and an endpoint of any peer, of IPv4, IPv6 and both.
const TCP: &str = "6.20.1.4";
const UDP: &str = "7.7.1.8";
const ANY_PEER: &str = "1.4.0.0.0.0.0.7";
const V4: &str = "1.4.0.0.0.0";
const V4_LOOPBACK: &str = "1.4.127.0.0.1";
const V6: &str = "2.16.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0";
const V6_LOOPBACK: &str = "2.16.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1";

/// Numbers of a name below `mib-2`, or below the root when it begins with a dot.
fn name(text: &str) -> Vec<u32> {
    let (above, rest) = match text.strip_prefix('.') {
        Some(rest) => (&[][..], rest),
        None => (&[1, 3, 6, 1, 2, 1][..], text),
    };
    let rest = rest.split('.').map(|it| it.parse::<u32>().unwrap());
    above.iter().copied().chain(rest).collect()
}

pub(super) fn agent(community: &'static str, objects: &[(String, Vec<u8>)]) -> Agent {
    let described = (SYS_DESCR.to_owned(), element(OCTETS, b"Example"));
    let objects = objects.iter().chain([&described]).cloned();
    Agent {
        version: 1,
        community,
        objects: objects.map(|(text, value)| (name(&text), value)).collect(),
    }
}

/// A cell whose value says nothing: all is in its name.
fn cell(parts: &[&str]) -> (String, Vec<u8>) {
    (parts.join("."), element(0x42, &[0]))
}

/// TCP 443 and the agent itself, from the network.
fn plain() -> Vec<(String, Vec<u8>)> {
    vec![cell(&[TCP, V4, "443"]), cell(&[UDP, V4, "161", ANY_PEER])]
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    let mut numbers = vec![1, 3];
    let mut number = 0;
    for byte in &bytes[1..] {
        number = number << 7 | u32::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(std::mem::take(&mut number));
        }
    }
    numbers
}

impl Agent {
    pub(super) fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let mut message = Reader(question).enter(SEQUENCE)?;
        let is_mine = message.integer()? == i64::from(self.version)
            && message.expect(OCTETS)? == self.community.as_bytes();
        if !is_mine {
            return None;
        }
        let (kind, pdu) = message.next()?;
        let mut pdu = Reader(pdu);
        let id = pdu.integer()? as u32;
        let (_status, _index) = (pdu.integer()?, pdu.integer()?);
        let mut list = pdu.enter(SEQUENCE)?;
        let (mut bindings, mut status) = (Vec::new(), 0);
        while let Some(mut binding) = list.enter(SEQUENCE) {
            let asked = binding.expect(OID)?;
            let wanted = numbers(asked);
            let found = match kind {
                snmp::GET => self.objects.get_key_value(&wanted),
                snmp::GET_NEXT => self.objects.iter().find(|(it, _)| **it > wanted),
                _ => panic!("something is to be set"),
            };
            let (oid, value) = match found {
                Some((name, value)) => (encoded(name), value.clone()),
                None if self.version == 0 => {
                    status = 2;
                    (asked.to_vec(), element(NULL, &[]))
                }
                None => (asked.to_vec(), element(0x82, &[])),
            };
            let parts = [element(OID, &oid), value];
            bindings.extend(element(SEQUENCE, &parts.concat()));
        }
        let list = element(SEQUENCE, &bindings);
        let pdu = [integer(id), integer(status), integer(0), list].concat();
        let head = [
            integer(self.version),
            element(OCTETS, self.community.as_bytes()),
        ];
        let message = [head.concat(), element(0xa2, &pdu)].concat();
        Some(element(SEQUENCE, &message))
    }
}

fn encoded(name: &[u32]) -> Vec<u8> {
    let mut bytes = vec![(name[0] * 40 + name[1]) as u8];
    for number in &name[2..] {
        let mut groups = vec![(number & 0x7f) as u8];
        let mut rest = number >> 7;
        while rest > 0 {
            groups.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        bytes.extend(groups.iter().rev());
    }
    bytes
}

/// A device with this agent, and with TCP 443 open.
pub(super) fn with_agent(agent: Agent) -> Device {
    let silent: Service = |_| Vec::new();
    let mut device = device(&[(443, silent)]);
    device.udp = Some(Box::new(move |question| {
        agent.answer(question).unwrap_or_default()
    }));
    device
}

fn options(community: Option<&str>) -> NetworkOptions {
    NetworkOptions {
        community: community.map(Community::of),
        ..NetworkOptions::default()
    }
}

pub(super) fn read_with(
    device: &mut Device,
    community: Option<&str>,
) -> BTreeMap<&'static str, Setting> {
    let mut settings = BTreeMap::new();
    let address = (Ipv4Addr::LOCALHOST.into(), 0);
    read_address(
        device,
        &options(community),
        address,
        &|_id| true,
        &mut |it| {
            crate::settings::merge(&mut settings, it);
        },
    );
    settings
}

fn listening(objects: &[(String, Vec<u8>)]) -> Setting {
    let mut settings = read(&mut with_agent(agent("public", objects)));
    settings.remove("net.listening_ports").unwrap()
}

#[test]
fn who_listens_stands_in_the_tables() {
    let mut objects = plain();
    objects.extend([
        cell(&[TCP, V4_LOOPBACK, "631"]),
        cell(&[TCP, V6, "22"]),
        cell(&[TCP, V6_LOOPBACK, "8080"]),
        cell(&[TCP, "2.16.0.0.0.0.0.0.0.0.0.0.255.255.127.0.0.1", "25"]),
        cell(&[TCP, "0.0", "9100"]),
        cell(&[
            TCP,
            "4.20.254.128.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.2",
            "5000",
        ]),
        cell(&[UDP, V4_LOOPBACK, "323", ANY_PEER]),
        // To one peer, and to any.
        cell(&[UDP, V4, "40000", "1.4.192.0.2.1.53.7"]),
        cell(&[UDP, V6, "5353", "0.0.0.7"]),
    ]);
    let setting = listening(&objects);
    let ports = "tcp/22,tcp/443,tcp/5000,tcp/9100,udp/161,udp/5353";
    assert_eq!(setting.value, ports);
    assert_eq!(setting.method, Method::Snmp);
    assert_eq!(setting.verdict, Verdict::NotSecure);
}

#[test]
fn tables_that_were_read_to_their_ends_can_be_secure() {
    let agent = || cell(&[UDP, V4_LOOPBACK, "161", ANY_PEER]);
    let setting = listening(&[cell(&[TCP, V4, "443"]), agent()]);
    assert_eq!(setting.value, "tcp/443");
    assert_eq!(setting.verdict, Verdict::Secure);

    let half: &[(&str, &[(String, Vec<u8>)])] = &[
        ("no table", &[]),
        ("no table of TCP", &[agent()]),
        ("no table of UDP", &[cell(&[TCP, V4, "443"])]),
        (
            "an open port is not there",
            &[cell(&[TCP, V4, "631"]), agent()],
        ),
        (
            "the agent is not there",
            &[cell(&[TCP, V4, "443"]), cell(&[UDP, V4, "5353", ANY_PEER])],
        ),
        (
            "an address of a strange length",
            &[
                cell(&[TCP, V4, "443"]),
                cell(&[TCP, "1.3.0.0.0.80"]),
                agent(),
            ],
        ),
        (
            "a port beyond all",
            &[cell(&[TCP, V4, "443"]), cell(&[TCP, V4, "65616"]), agent()],
        ),
    ];
    for (what, objects) in half {
        let setting = listening(objects);
        assert!(
            matches!(setting.verdict, Verdict::Unknown(_)),
            "{what}: {setting:?}"
        );
    }
}

#[test]
fn an_old_device_tells_a_part_under_version_1() {
    let listen = |index: &str| (format!("6.13.1.1.{index}.0.0.0.0.0"), integer(2));
    let objects = [
        listen("0.0.0.0.443"),
        listen("127.0.0.1.25"),
        (
            "6.13.1.1.192.0.2.1.50001.192.0.2.9.80".to_owned(),
            integer(5),
        ),
        ("7.5.1.2.0.0.0.0.161".to_owned(), integer(161)),
        ("7.5.1.2.127.0.0.1.323".to_owned(), integer(323)),
    ];
    let old = Agent {
        version: 0,
        ..agent("public", &objects)
    };
    let setting = read(&mut with_agent(old))
        .remove("net.listening_ports")
        .unwrap();
    assert_eq!(setting.value, "tcp/443,udp/161,+?");
    assert_eq!(setting.verdict, Verdict::NotSecure);

    let loopback = |it: &(String, Vec<u8>)| it.0.contains("443") || it.0.contains("127.0.0.1.323");
    let part = objects.into_iter().filter(loopback).collect::<Vec<_>>();
    let old = Agent {
        version: 0,
        ..agent("public", &part)
    };
    let setting = read(&mut with_agent(old))
        .remove("net.listening_ports")
        .unwrap();
    let Verdict::Unknown(unknown) = &setting.verdict else {
        panic!("{setting:?}");
    };
    assert!(unknown.detail.contains("IPv4 alone"), "{unknown:?}");
}

#[test]
fn a_table_that_never_ends_or_breaks_off_is_a_part() {
    let agent_itself = || cell(&[UDP, V4_LOOPBACK, "161", ANY_PEER]);
    // All that is told is good.
    let many = (1..=1000).map(|port: u32| cell(&[TCP, V4_LOOPBACK, &port.to_string()]));
    let many: Vec<_> = many
        .chain([cell(&[TCP, V4, "443"]), agent_itself()])
        .collect();
    let two = [
        cell(&[TCP, V4, "443"]),
        cell(&[TCP, V4, "631"]),
        agent_itself(),
    ];
    let few = (1..=40).map(|port: u32| cell(&[TCP, V4_LOOPBACK, &port.to_string()]));
    let few: Vec<_> = few
        .chain([cell(&[TCP, V4, "443"]), agent_itself()])
        .collect();
    for (objects, rows_until_silence, datagram_ms) in [
        (many.as_slice(), u32::MAX, 0),
        (&two, 1, 0),
        // Its answers come late: there is an end to the time as well.
        (&few, u32::MAX, 1_900),
    ] {
        let mut device = Device {
            datagram_ms,
            ..with_agent(agent("public", objects))
        };
        let answers = device.udp.take().unwrap();
        let asked = Rc::new(Cell::new(0));
        let (counter, rows) = (Rc::clone(&asked), Cell::new(0));
        device.udp = Some(Box::new(move |question| {
            counter.set(counter.get() + 1);
            let is_row = question.windows(4).any(|it| it == [6, 20, 1, 4]);
            rows.set(rows.get() + u32::from(is_row));
            match is_row && rows.get() > rows_until_silence {
                true => Vec::new(),
                false => answers(question),
            }
        }));
        let setting = read(&mut device).remove("net.listening_ports").unwrap();
        let Verdict::Unknown(unknown) = &setting.verdict else {
            panic!("{setting:?}");
        };
        assert!(unknown.detail.contains("to their ends"), "{unknown:?}");
        assert!(asked.get() < 200, "{}", asked.get());
        assert!(device.now_ms < 90_000, "{}", device.now_ms);
    }
}

#[test]
fn a_community_of_its_own_opens_the_tables_and_is_not_one_of_the_factory() {
    let mut objects = plain();
    objects.push(("4.1.0".to_owned(), integer(1)));
    let read = |agent: Agent, community| read_with(&mut with_agent(agent), community);
    let with = read(agent("canary-name", &objects), Some("canary-name"));
    assert_eq!(
        value(&with, "net.ip_forwarding"),
        ("true".to_owned(), false)
    );
    assert_eq!(with["net.listening_ports"].value, "tcp/443,udp/161");
    assert_eq!(
        value(&with, "net.snmp_default_community"),
        ("none".to_owned(), true)
    );
    let open = &with["net.snmp_v1v2"];
    assert_eq!(open.value, "true");
    assert!(matches!(open.verdict, Verdict::Unknown(_)), "{open:?}");
    assert!(!format!("{with:?}").contains("canary"));

    let without = read(agent("canary-name", &objects), None);
    assert!(!without.contains_key("net.ip_forwarding"));

    // Whatever is configured, the factory's name is judged.
    for community in [Some("public"), Some("another"), None] {
        let settings = read(agent("public", &objects), community);
        assert_eq!(
            value(&settings, "net.snmp_v1v2"),
            ("true".to_owned(), false)
        );
        assert_eq!(
            value(&settings, "net.snmp_default_community"),
            ("read".to_owned(), false)
        );
        assert_eq!(
            value(&settings, "net.ip_forwarding"),
            ("true".to_owned(), false)
        );
    }
}

#[test]
fn supplies_are_read_with_the_configured_community() {
    let supply = |column: &str, value| (format!("43.11.1.1.{column}.1.1"), value);
    let objects = [
        supply("5", integer(3)),
        supply("6", element(OCTETS, b"Black")),
        supply("8", integer(100)),
        supply("9", integer(42)),
    ];
    for (community, supplies) in [(Some("our own"), 1), (None, 0)] {
        let mut device = with_agent(agent("our own", &objects));
        let status = printer::ask(&mut device, &options(community), "192.0.2.1");
        assert_eq!(status.map_or(0, |it| it.supplies.len()), supplies);
    }
}

#[test]
fn a_version_is_taken_from_ipp_else_from_a_description() {
    let describe = |text: &str| {
        let text = element(OCTETS, text.as_bytes());
        agent("public", &[("25.3.2.1.3.1".to_owned(), text)])
    };
    let answers: Service = |_question| {
        let (name, value) = ("printer-firmware-string-version", "9.9");
        let mut body = vec![1, 1, 0, 0, 0, 0, 0, 1, 4];
        for (text, tag) in [(name, 0x41_u8), (value, 0)] {
            body.extend((tag != 0).then_some(tag));
            body.extend((text.len() as u16).to_be_bytes());
            body.extend(text.as_bytes());
        }
        body.push(3);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), &body].concat()
    };
    for (text, ipp, version) in [
        ("Example MFP of canary, Firmware Ver.1.06", false, "1.06"),
        ("Example MFP of canary, Firmware Ver.1.06", true, "9.9"),
        ("Example MFP of canary 1.06", false, ""),
        ("firmware 1.06, canary firmware 1.07", false, ""),
    ] {
        let mut device = with_agent(describe(text));
        if ipp {
            let _none = device.services.insert(631, answers);
        }
        let setting = read(&mut device).remove("fw.version_approved").unwrap();
        assert_eq!(setting.value, version, "{text}");
        assert!(matches!(setting.verdict, Verdict::Unknown(_)));
        assert!(!format!("{setting:?}").contains("canary"), "{setting:?}");
    }
}

#[test]
fn the_end_of_all_objects_is_no_job() {
    let mut settings = read(&mut with_agent(agent("public", &plain())));
    let jobs = settings.remove("data.mib_personal_info_hidden").unwrap();
    assert!(matches!(jobs.verdict, Verdict::Unknown(_)), "{jobs:?}");
    let job = (
        ".1.3.6.1.4.1.2699.1.1.1.3.1.1.8.1.1".to_owned(),
        element(INTEGER, &[1]),
    );
    let settings = read(&mut with_agent(agent("public", &[job])));
    assert_eq!(
        value(&settings, "data.mib_personal_info_hidden"),
        ("false".to_owned(), false)
    );
}

proptest! {
    #[test]
    fn any_row_is_read_or_makes_a_part(
        table in 0..4_usize,
        index in proptest::collection::vec(prop_oneof![0..20_u32, any::<u32>()], 0..24),
        value in -1..12_i64,
    ) {
        let column = ["6.20.1.4", "7.7.1.8", "6.13.1.1", "7.5.1.2"][table];
        let row = [name(column), index].concat();
        let mut agent = agent("public", &plain());
        let value = element(INTEGER, &[value as u8]);
        let _before = agent.objects.insert(row, value);
        let options = options(None);
        let mut device = with_agent(agent);
        let wanted = |id: &str| id == "net.listening_ports";
        let address = (Ipv4Addr::LOCALHOST.into(), 0);
        read_address(&mut device, &options, address, &wanted, &mut |setting| {
            assert!(setting.verdict != Verdict::Secure, "{setting:?}");
        });
    }

    #[test]
    fn nothing_but_versions_is_told_of_any_description(text in "(firmware |version:|ver\\.|[a-z0-9.é@]{0,8} ){0,8}") {
        let described = element(OCTETS, text.as_bytes());
        let mut agent = agent("public", &[("25.3.2.1.3.1".to_owned(), described)]);
        let _before = agent.objects.insert(name(SYS_DESCR), element(OCTETS, b""));
        let settings = read(&mut with_agent(agent));
        let version = settings["fw.version_approved"].value.as_str();
        let parts = version.split('.');
        prop_assert!(version.is_empty() || parts.clone().all(|it| it.bytes().any(|it| it.is_ascii_digit())));
        prop_assert!(version.bytes().all(|it| it == b'.' || it.is_ascii_alphanumeric()));
    }
}
