//! What it says that a TCP service does not answer: nothing. Only who refuses or ends says no.

use super::over_tls::{TLS13, http, with_tls};
use super::*;

/// Agrees to TLS 1.2 with a good suite.
const TLS12: Service = |question| {
    if offer(question) != (3, false) {
        return vec![21, 3, 3, 0, 2, 2, 40];
    }
    agree(3, [0xc0, 0x2f])
};

/// Agrees to SSL 3.0 with RC4.
const SSL3: Service = |question| match question.get(10) {
    Some(0) => agree(0, [0, 5]),
    _ => Vec::new(),
};

fn agree(version: u8, suite: [u8; 2]) -> Vec<u8> {
    let hello = [&[3, version][..], &[1; 32], &[0], &suite, &[0]].concat();
    let message = [&[2, 0, 0, hello.len() as u8][..], &hello, &[14, 0, 0, 0]].concat();
    [&[22, 3, 3, 0, message.len() as u8][..], &message].concat()
}

/// The version and whether only weak suites are offered.
fn offer(question: &[u8]) -> (u8, bool) {
    let is_tls13 = question.windows(4).any(|it| it == [0, 43, 0, 3]);
    let version = question.get(10).map_or(0, |it| it + u8::from(is_tls13));
    let common = [[0xc0, 0x2f], [0x13, 0x01]];
    let is_common = |it: &[u8]| common.iter().any(|suite| it == suite);
    (version, !question.windows(2).any(is_common))
}

fn is_unknown(settings: &BTreeMap<&'static str, Setting>, id: &str) -> bool {
    matches!(settings[id].verdict, Verdict::Unknown(_))
}

#[test]
fn a_hello_that_got_lost_is_no_refusal() {
    let ids = ["net.tls_min_version", "net.tls_weak_ciphers"];
    let told = |stalls| {
        let mut device = Device {
            stalls,
            ..device(&[(443, TLS12)])
        };
        let settings = read(&mut device);
        ids.map(|id| value(&settings, id))
    };
    let secure = |value: &str| (value.to_owned(), true);
    let unknown = || (String::new(), false);
    assert_eq!(told(None), [secure("1.2"), secure("")]);
    for (what, stalls, wanted) in [
        (
            "TLS 1.0",
            (|_, it| offer(it) == (1, false)) as fn(u16, &[u8]) -> bool,
            [unknown(), unknown()],
        ),
        (
            "weak suites",
            |_, it| offer(it).1,
            [secure("1.2"), unknown()],
        ),
        ("each", |_, _| true, [unknown(), unknown()]),
    ] {
        assert_eq!(told(Some(stalls)), wanted, "{what}");
    }
}

#[test]
fn a_bad_answer_counts_though_others_got_lost() {
    let mut device = Device {
        stalls: Some(|_, question| question.get(10) == Some(&3)),
        ..device(&[(443, SSL3)])
    };
    let settings = read(&mut device);
    for (id, told) in [
        ("net.tls_min_version", "ssl3"),
        ("net.tls_weak_ciphers", "rc4"),
    ] {
        assert_eq!(settings[id].verdict, Verdict::NotSecure, "{id}");
        assert_eq!(settings[id].value, told);
    }
}

#[test]
fn only_of_closed_ports_it_is_known_that_they_do_not_speak_tls() {
    let ids = [
        "net.tls_min_version",
        "net.tls_weak_ciphers",
        "net.cert_expires",
        "net.cert_strength",
        "net.cert_trusted",
    ];
    let ended: Service = |_| Vec::new();
    let refuses: Service = |_| vec![21, 3, 3, 0, 2, 2, 40];
    for (what, mut device, is_known) in [
        ("closed", device(&[]), true),
        ("it ends connections", device(&[(443, ended)]), false),
        ("it refuses every hello", device(&[(443, refuses)]), false),
        ("one does not answer", filtered(&[631]), false),
    ] {
        is_absent(&read(&mut device), &ids, is_known, what);
    }
    // A port that speaks something else does not spoil what another one tells.
    let settings = read(&mut device(&[(443, TLS12), (631, ended)]));
    let told = value(&settings, "net.tls_min_version");
    assert_eq!(told, ("1.2".to_owned(), true));
}

fn filtered(filtered: &'static [u16]) -> Device {
    Device {
        filtered,
        ..device(&[])
    }
}

/// The device has no such part, or it is not known whether it has.
fn is_absent(settings: &BTreeMap<&'static str, Setting>, ids: &[&str], is_known: bool, what: &str) {
    for id in ids {
        let is_told = settings[id].verdict == Verdict::NotApplicable;
        assert_eq!(is_told, is_known, "{what}: {:?}", settings[id]);
        assert_ne!(is_unknown(settings, id), is_known, "{what} {id}");
    }
}

#[test]
fn a_service_that_does_not_answer_is_not_known_to_be_secure() {
    let ended: Service = |_| Vec::new();
    for (is_lost, smb, api) in [(false, "false", "open"), (true, "", "")] {
        let mut device = Device {
            stalls: is_lost.then_some(|_, _| true),
            ..device(&[(445, ended), (50001, ended)])
        };
        let settings = read(&mut device);
        assert_eq!(settings["net.smb1"].value, smb);
        assert_eq!(settings["net.vendor_api_tls"].value, api);
        for id in ["net.smb1", "net.vendor_api_tls"] {
            assert_eq!(is_unknown(&settings, id), is_lost, "{id}");
        }
    }
    // TLS that is newer than the hello is not "in clear".
    let settings = read(&mut device(&[(50001, TLS13)]));
    assert!(is_unknown(&settings, "net.vendor_api_tls"));
    let settings = read(&mut device(&[(50001, TLS12)]));
    let told = value(&settings, "net.vendor_api_tls");
    assert_eq!(told, ("tls".to_owned(), true));
}

#[test]
fn a_question_in_clear_that_got_lost_is_not_refused() {
    let service: Service = |question| match question.first() {
        Some(22) => TLS12(question),
        _ => Vec::new(),
    };
    for is_lost in [false, true] {
        let mut device = Device {
            stalls: is_lost.then_some(|_, question| question.first() == Some(&b'P')),
            ..device(&[(631, service)])
        };
        let settings = read(&mut device);
        let id = "net.ipp_security";
        let wanted = if is_lost { ("", false) } else { ("tls", true) };
        assert_eq!(value(&settings, id), (wanted.0.to_owned(), wanted.1));
        assert_eq!(is_unknown(&settings, id), is_lost);
    }
}

#[test]
fn a_printer_is_absent_only_when_every_port_says_so() {
    let ids = [
        "auth.ipp_methods",
        "auth.print_without_auth",
        "app.user_enabled",
    ];
    let page: Service = |_| http(404, b"");
    let busy: Service = |_| http(503, b"");
    let behind = |service| with_tls(&[(443, TLS13)], &[(443, service)]);
    for (what, mut device, is_known) in [
        ("closed", device(&[]), true),
        ("its own does not answer", filtered(&[631]), false),
        ("another does not answer", filtered(&[443]), false),
        ("a page over TLS", behind(page), true),
        ("busy over TLS", behind(busy), false),
        ("no handshake", with_tls(&[(443, TLS13)], &[]), false),
    ] {
        is_absent(&read(&mut device), &ids, is_known, what);
    }
}

#[test]
fn who_is_forbidden_has_no_right_to_know() {
    let forbidden: Service = |_| http(403, b"");
    let sign_in: Service = |_| http(401, b"");
    for service in [forbidden, sign_in] {
        for mut device in [
            device(&[(631, service)]),
            with_tls(&[(443, TLS13)], &[(443, service)]),
        ] {
            let settings = read(&mut device);
            for id in ["auth.ipp_methods", "auth.print_without_auth"] {
                let verdict = &settings[id].verdict;
                assert!(
                    matches!(verdict, Verdict::Unknown(it) if it.why == Why::NoRight),
                    "{id}: {verdict:?}"
                );
            }
        }
    }
    // Others may print in clear.
    let service: Service = |question| match question.first() {
        Some(22) => TLS12(question),
        _ => http(403, b""),
    };
    let settings = read(&mut device(&[(631, service)]));
    assert!(is_unknown(&settings, "net.ipp_security"));
}
