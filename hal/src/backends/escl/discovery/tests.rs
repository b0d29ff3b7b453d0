use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::super::dns::tests::{labels, message};
use super::*;
use crate::backends::system::SystemClock;

fn srv(host: &str, port: u16) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 0];
    body.extend(port.to_be_bytes());
    body.extend(labels(host));
    body
}

fn txt(strings: &[&str]) -> Vec<u8> {
    let mut body = Vec::new();
    for text in strings {
        body.push(u8::try_from(text.len()).unwrap());
        body.extend(text.as_bytes());
    }
    body
}

/// The answer of a device with both services.
fn answer() -> Vec<u8> {
    let text = [
        "txtvers=1",
        "RS=eSCL",
        "ty=HP M426",
        "note=Room 4",
        "UUID=AB-1",
    ];
    message(&[
        (
            "_uscan|_tcp|local",
            Type::Ptr,
            labels("HP M426 [1.2]|_uscan|_tcp|local"),
        ),
        (
            "_uscans|_tcp|local",
            Type::Ptr,
            labels("HP M426 [1.2]|_uscans|_tcp|local"),
        ),
        (
            "HP M426 [1.2]|_uscan|_tcp|local",
            Type::Srv,
            srv("mfp|local", 80),
        ),
        (
            "HP M426 [1.2]|_uscans|_tcp|local",
            Type::Srv,
            srv("MFP|local", 443),
        ),
        ("HP M426 [1.2]|_uscan|_tcp|local", Type::Txt, txt(&text)),
        ("HP M426 [1.2]|_uscans|_tcp|local", Type::Txt, txt(&text)),
        (
            "mfp|local",
            Type::Aaaa,
            Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).octets().to_vec(),
        ),
        ("mfp|local", Type::A, vec![10, 0, 0, 9]),
    ])
}

/// A device with plain HTTP or TLS, as it tells.
fn announce(browser: &mut Browser, instance: &str, kind: &str, host: u8, uuid: &str) {
    let instance = format!("{instance}|{kind}|_tcp|local");
    let name = format!("h{host}|local");
    browser.handle(
        &message(&[
            (&format!("{kind}|_tcp|local"), Type::Ptr, labels(&instance)),
            (&instance, Type::Srv, srv(&name, 80)),
            (&instance, Type::Txt, txt(&[uuid])),
            (&name, Type::A, vec![10, 0, 0, host]),
        ]),
        0,
    );
}

fn names(browser: &Browser) -> Vec<String> {
    browser.found().into_iter().map(|it| it.name).collect()
}

#[test]
fn a_name_with_dots_is_whole_however_it_is_announced() {
    let mut browser = Browser::default();
    // As python-zeroconf writes it: a label ends at each dot.
    announce(&mut browser, "Acme v1|2 (lab)", "_uscan", 1, "x=");
    announce(&mut browser, "Acme v1|3", "_uscan", 2, "x=");
    announce(&mut browser, "Acme v1.4", "_uscan", 3, "x=");
    assert_eq!(
        names(&browser),
        ["Acme v1.2 (lab)", "Acme v1.3", "Acme v1.4"]
    );
}

#[test]
fn two_devices_of_one_name_are_told_apart_by_their_uuids() {
    for (second, count) in [("uuid=b", 2), ("uuid=A", 1), ("x=", 1)] {
        let mut browser = Browser::default();
        announce(&mut browser, "Office", "_uscan", 1, "uuid=a");
        announce(&mut browser, "Office", "_uscans", 2, second);
        assert_eq!(names(&browser).len(), count, "{second}");
    }
}

#[test]
fn a_device_that_says_goodbye_is_gone() {
    let instance = "HP M426 [1.2]|_uscans|_tcp|local";
    let mut goodbye = message(&[("_uscans|_tcp|local", Type::Ptr, labels(instance))]);
    // The time to live stands before the length and the name.
    let at = goodbye.len() - labels(instance).len() - 6;
    goodbye[at..at + 4].fill(0);
    let mut browser = Browser::default();
    browser.handle(&answer(), 0);
    browser.handle(&goodbye, 0);
    let urls: Vec<String> = browser
        .found()
        .iter()
        .map(|it| it.url.to_string())
        .collect();
    assert_eq!(urls, ["http://10.0.0.9/eSCL"]);
    browser.handle(&answer(), 0);
    assert_eq!(browser.found()[0].url.to_string(), "https://10.0.0.9/eSCL");
}

#[test]
fn a_device_is_found_once_and_by_tls() {
    let mut browser = Browser::default();
    browser.handle(&answer(), 0);
    browser.handle(&answer(), 0);
    assert!(browser.is_complete());
    let expected = Found {
        name: "HP M426 [1.2]".to_owned(),
        model: "HP M426".to_owned(),
        place: "Room 4".to_owned(),
        uuid: "ab-1".to_owned(),
        url: "https://10.0.0.9/eSCL".parse().unwrap(),
        others: Vec::new(),
    };
    assert_eq!(browser.found(), [expected]);
}

/// What is found of a device with these addresses and this root, by an answer over interface 3.
fn found_with(addresses: &[IpAddr], root: &str) -> Vec<Found> {
    let octets = |address: &IpAddr| match address {
        IpAddr::V4(address) => (Type::A, address.octets().to_vec()),
        IpAddr::V6(address) => (Type::Aaaa, address.octets().to_vec()),
    };
    let mut records = vec![
        (
            "_uscan|_tcp|local",
            Type::Ptr,
            labels("A|_uscan|_tcp|local"),
        ),
        ("A|_uscan|_tcp|local", Type::Srv, srv("a|local", 80)),
        ("A|_uscan|_tcp|local", Type::Txt, txt(&[root])),
    ];
    records.extend(addresses.iter().map(|address| {
        let (kind, octets) = octets(address);
        ("a|local", kind, octets)
    }));
    let mut browser = Browser::default();
    browser.handle(&message(&records), 3);
    browser.found()
}

#[test]
fn every_address_of_a_device_is_kept_those_of_the_link_last_and_with_their_interface() {
    let addresses = ["fe80::1", "fd00::9", "10.0.0.9", "192.168.1.9"];
    let addresses = addresses.map(|it| it.parse().unwrap());
    let found = found_with(&addresses, "rs=eSCL").remove(0);
    assert_eq!(found.url.to_string(), "http://10.0.0.9/eSCL");
    let others: Vec<String> = found.others.iter().map(ToString::to_string).collect();
    let expected = [
        "http://192.168.1.9/eSCL",
        "http://[fd00::9]/eSCL",
        "http://[fe80::1%3]/eSCL",
    ];
    assert_eq!(others, expected);
    let found = found_with(&addresses[..1], "rs=eSCL");
    assert_eq!(found[0].url.to_string(), "http://[fe80::1%3]/eSCL");
}

#[test]
fn a_root_that_is_no_path_is_encoded() {
    let address = ["10.0.0.9".parse().unwrap()];
    for (root, path) in [
        ("rs=my scanner", "/my%20scanner"),
        ("rs=a%20b/eSCL?x#y", "/a%20b/eSCL%3Fx%23y"),
        ("rs=\u{fc}", "/%C3%BC"),
        ("rs=/eSCL/", "/eSCL"),
    ] {
        let found = found_with(&address, root);
        assert_eq!(found[0].url.to_string(), format!("http://10.0.0.9{path}"));
    }
}

#[test]
fn what_is_missing_is_asked_for() {
    let mut browser = Browser::default();
    let first = browser.question().len();
    browser.handle(
        &message(&[(
            "_uscan|_tcp|local",
            Type::Ptr,
            labels("A|_uscan|_tcp|local"),
        )]),
        0,
    );
    assert!(!browser.is_complete() && browser.found().is_empty());
    assert!(browser.question().len() > first);
    browser.handle(
        &message(&[
            ("A|_uscan|_tcp|local", Type::Srv, srv("a|local", 8080)),
            ("a|local", Type::A, vec![10, 0, 0, 9]),
        ]),
        0,
    );
    let found = browser.found();
    assert_eq!(
        found[0].url.to_string(),
        "http://10.0.0.9:8080/eSCL",
        "TXT may be missing"
    );
}

#[test]
fn services_that_nobody_asked_for_are_not_kept() {
    let mut browser = Browser::default();
    browser.handle(
        &message(&[
            ("_ipp|_tcp|local", Type::Ptr, labels("A|_ipp|_tcp|local")),
            ("_uscan|_tcp|local", Type::Ptr, labels("A|_ipp|_tcp|local")),
            ("B|_uscan|_tcp|local", Type::Srv, srv("b|local", 80)),
        ]),
        0,
    );
    assert!(browser.services.is_empty());
    for number in 0..500 {
        let name = format!("{number}|_uscan|_tcp|local");
        let host = format!("{number}|local");
        browser.handle(
            &message(&[
                ("_uscan|_tcp|local", Type::Ptr, labels(&name)),
                (&host, Type::A, vec![10, 0, 0, 9]),
            ]),
            0,
        );
    }
    assert_eq!(
        (browser.services.len(), browser.hosts.len()),
        (KEPT_MAX, KEPT_MAX)
    );
    assert!(browser.question().len() < 1400);
}

#[test]
fn own_addresses_are_read_from_the_kernels_tables() {
    let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /24 link UNICAST\n     \
        |-- 10.0.0.7\n        /32 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\nLocal:\n\
             |-- 10.0.0.7\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n";
    assert_eq!(local_addresses(trie), [Ipv4Addr::new(10, 0, 0, 7)]);
    let six = "fe80000000000000000000000000aaaa 02 40 20 80     eth0\n\
               00000000000000000000000000000001 01 80 10 80       lo\n";
    assert_eq!(link_interfaces(six), [2]);
}

#[test]
fn a_device_that_answers_the_second_question_is_found() {
    let device = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = device.local_addr().unwrap();
    let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
    ours.set_nonblocking(true).unwrap();
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        device.recv_from(&mut buffer).unwrap();
        let (_, from) = device.recv_from(&mut buffer).unwrap();
        device.send_to(b"noise", from).unwrap();
        device.send_to(&answer(), from).unwrap();
    });
    let clock = Running(std::sync::Mutex::new(0), SystemClock::new());
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let found = browse(&clock, &|_| std::thread::yield_now(), vec![(ours, to)]).unwrap();
    thread.join().unwrap();
    assert_eq!(found.len(), 1);
}

/// A clock that runs with each look at it, a hundred times slower than the loop could be.
struct Running(std::sync::Mutex<u64>, SystemClock);

impl Clock for Running {
    fn boot(&self) -> crate::clock::Instant {
        let mut looks = self.0.lock().unwrap();
        *looks += 1;
        crate::clock::Instant::from_millis(*looks / 20)
    }

    fn wall(&self) -> crate::clock::UnixTime {
        self.1.wall()
    }
}

proptest! {
    #[test]
    fn damaged_answers_are_survived(
        changes in proptest::collection::vec((0_usize..600, any::<u8>()), 0..6),
    ) {
        let mut bytes = answer();
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        let mut browser = Browser::default();
        browser.handle(&bytes, 0);
        let _found = browser.found();
        let _question = browser.question();
    }
}
