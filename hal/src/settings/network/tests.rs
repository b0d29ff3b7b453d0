//! A device made of canned answers, and decoders under arbitrary bytes.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::trust::Trust;
use super::wire::{Connected, Datagram, Wire};
use super::*;
use crate::settings::Method;
use crate::web::Exchange;

mod certificates;
mod over_tls;

mod lost;

mod silence;

mod tables;

mod revision;

/// What a port answers to the bytes that were sent.
type Service = fn(&[u8]) -> Vec<u8>;

/// What comes back to a datagram; nothing: silence.
type Datagrams = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// Comes back where the host says that nobody listens.
const REFUSED: &[u8] = b"refused";

/// A device: open ports by number, and what each was sent.
#[derive(Default)]
struct Device {
    services: BTreeMap<u16, Service>,
    /// Nothing listens elsewhere; `false`: nothing answers at all.
    is_up: bool,
    udp: Option<Datagrams>,
    /// How long each datagram takes, and what has passed.
    datagram_ms: u64,
    now_ms: u64,
    /// What a port answers to HTTP after a handshake, and the certificates it shows.
    tls: BTreeMap<u16, (Service, Vec<Vec<u8>>)>,
    /// Where nothing comes after what was sent, not even an end.
    stalls: Option<fn(u16, &[u8]) -> bool>,
    /// Ports that do not answer at all.
    filtered: &'static [u16],
    /// Who vouches for which.
    trust: BTreeMap<Vec<Vec<u8>>, Trust>,
    sent: Arc<Mutex<BTreeMap<u16, usize>>>,
}

struct Conversation {
    port: u16,
    service: Service,
    asked: Vec<u8>,
    answer: Option<io::Cursor<Vec<u8>>>,
    stalls: Option<fn(u16, &[u8]) -> bool>,
    sent: Arc<Mutex<BTreeMap<u16, usize>>>,
}

impl Write for Conversation {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        *self.sent.lock().unwrap().entry(self.port).or_default() += bytes.len();
        self.asked.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Conversation {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let answer = || io::Cursor::new((self.service)(&self.asked));
        match self.stalls.is_some_and(|it| it(self.port, &self.asked)) {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => self.answer.get_or_insert_with(answer).read(buffer),
        }
    }
}

impl Wire for Device {
    fn connect(&mut self, port: u16) -> Connected {
        match (self.services.get(&port), self.is_up) {
            (Some(service), _) => Connected::Open(Box::new(Conversation {
                port,
                service: *service,
                asked: Vec::new(),
                answer: None,
                stalls: self.stalls,
                sent: Arc::clone(&self.sent),
            })),
            (None, true) if !self.filtered.contains(&port) => Connected::Closed,
            (None, _) => Connected::Silent,
        }
    }

    fn ask(&mut self, _port: u16, question: &[u8]) -> Datagram {
        self.now_ms += self.datagram_ms;
        match (&self.udp, self.is_up) {
            (Some(service), _) => match service(question) {
                silence if silence.is_empty() => Datagram::Silent,
                refused if refused == REFUSED => Datagram::Refused,
                answer => Datagram::Answer(answer),
            },
            (None, true) => Datagram::Refused,
            (None, false) => Datagram::Silent,
        }
    }

    fn tls(&mut self, port: u16) -> Option<Box<dyn Exchange>> {
        let (service, chain) = self.tls.get(&port)?.clone();
        Some(Box::new(over_tls::Handshaken::new(service, chain)))
    }

    fn trust(&self, chain: &[Vec<u8>]) -> Trust {
        let trust = self.trust.get(chain).cloned();
        trust.unwrap_or_else(|| Trust::Unknown("of nobody".to_owned()))
    }

    fn wait(&self) {}

    fn now_ms(&self) -> u64 {
        self.now_ms
    }
}

fn read(device: &mut Device) -> BTreeMap<&'static str, Setting> {
    read_wanted(device, &|_id| true)
}

fn read_wanted(device: &mut Device, wanted: Wanted<'_>) -> BTreeMap<&'static str, Setting> {
    let mut settings = BTreeMap::new();
    let address = Ipv4Addr::LOCALHOST.into();
    let options = NetworkOptions::default();
    read_address(device, &options, (address, 0), wanted, &mut |it| {
        crate::settings::merge(&mut settings, it);
    });
    settings
}

fn device(services: &[(u16, Service)]) -> Device {
    Device {
        services: services.iter().copied().collect(),
        is_up: true,
        ..Device::default()
    }
}

fn value(settings: &BTreeMap<&'static str, Setting>, id: &str) -> (String, bool) {
    let setting = &settings[id];
    (
        setting.value.as_str().to_owned(),
        setting.verdict == Verdict::Secure,
    )
}

#[test]
fn rows_are_those_of_the_catalogue_in_order() {
    assert!(rows::ROWS.is_sorted_by_key(|row| row.0));
    for (id, (method, ..)) in rows::ROWS {
        let row = Row::find(id).unwrap();
        assert!(row.methods.contains(method), "{id} {method:?}");
    }
    let network = [Method::Ipp, Method::Tls, Method::Port];
    for row in crate::settings::CATALOGUE {
        let readable = row.methods.iter().any(|it| network.contains(it));
        assert!(
            !readable || rows::ROWS.iter().any(|it| it.0 == row.id),
            "{}",
            row.id
        );
    }
}

#[test]
fn a_device_with_nothing_open_is_secure_where_silence_says_so() {
    let settings = read(&mut device(&[]));
    for id in [
        "net.telnet",
        "net.ftp",
        "net.http_admin_plain",
        "net.lpd_515",
        "net.raw_9100",
        "net.smb1",
        "net.snmp_v1v2",
        "net.snmp_default_community",
        "net.snmp_v3_level",
        "net.vendor_api_tls",
    ] {
        assert_eq!(settings[id].verdict, Verdict::Secure, "{id}");
    }
    assert_eq!(
        settings["net.tls_min_version"].verdict,
        Verdict::NotApplicable
    );
}

#[test]
fn of_two_addresses_what_is_not_known_of_one_is_worse_than_what_is_good_of_the_other() {
    let silent: Service = |_| Vec::new();
    let closed = || device(&[]);
    let open = || device(&[(23, silent)]);
    let away = Device::default;
    let merged = |mut addresses: [Device; 2]| {
        let mut settings = BTreeMap::new();
        for address in &mut addresses {
            for setting in read(address).into_values() {
                merge_address(&mut settings, setting);
            }
        }
        let verdict = settings.remove("net.telnet").unwrap().verdict;
        (verdict == Verdict::Secure, verdict == Verdict::NotSecure)
    };
    assert_eq!(merged([closed(), closed()]), (true, false));
    for addresses in [[closed(), away()], [away(), closed()]] {
        assert_eq!(merged(addresses), (false, false), "secure and unknown");
    }
    for addresses in [[open(), away()], [away(), open()], [closed(), open()]] {
        assert_eq!(merged(addresses), (false, true), "bad and anything");
    }
}

#[test]
fn no_port_tells_that_root_is_kept_out() {
    for services in [&[][..], &[(22, (|_| Vec::new()) as Service)]] {
        let settings = read(&mut device(services));
        let verdict = &settings["auth.root_remote_login"].verdict;
        assert!(matches!(verdict, Verdict::Unknown(_)), "{verdict:?}");
    }
}

#[test]
fn a_device_that_does_not_answer_at_all_is_unknown() {
    for (id, setting) in read(&mut Device::default()) {
        assert!(
            matches!(&setting.verdict, Verdict::Unknown(it) if it.why == Why::NotAnswered),
            "{id}"
        );
    }
}

#[test]
fn an_open_port_is_told_and_a_printing_port_gets_no_byte() {
    let silent: Service = |_| Vec::new();
    let mut device = device(&[(21, silent), (23, silent), (515, silent), (9100, silent)]);
    let settings = read(&mut device);
    for id in ["net.ftp", "net.telnet", "net.lpd_515", "net.raw_9100"] {
        assert_eq!(value(&settings, id), ("true".to_owned(), false), "{id}");
    }
    assert_eq!(
        settings["net.listening_ports"].value,
        "tcp/21,tcp/23,tcp/515,tcp/9100,+?"
    );
    assert!(device.sent.lock().unwrap().is_empty());
}

const TRIED: &str = "21,22,23,80,139,443,445,515,631,8080,9100,9101,9102,50001";

#[test]
fn ports_that_were_not_tried_are_never_taken_for_closed() {
    let silent: Service = |_| Vec::new();
    let listening = |services: &[(u16, Service)]| {
        read(&mut device(services))
            .remove("net.listening_ports")
            .unwrap()
    };
    for (services, value) in [
        (&[][..], ""),
        (&[(443, silent), (631, silent)], "tcp/443,tcp/631,+?"),
    ] {
        let setting = listening(services);
        let Verdict::Unknown(unknown) = &setting.verdict else {
            panic!("{setting:?}");
        };
        assert_eq!(setting.value, value);
        assert_eq!(
            unknown.detail.as_str(),
            format!("only these TCP ports were tried: {TRIED}")
        );
    }
    // What is open beyond is certain.
    let setting = listening(&[(23, silent), (443, silent)]);
    assert_eq!(setting.verdict, Verdict::NotSecure);
    assert_eq!(setting.value, "tcp/23,tcp/443,+?");
    let every = TRIED.split(',').map(|port| (port.parse().unwrap(), silent));
    let every = listening(&Vec::from_iter(every));
    assert_eq!(every.verdict, Verdict::NotSecure);
    assert!(every.value.ends_with(",+?"), "{}", every.value);
}

#[test]
fn a_web_page_in_clear_is_not_secure_unless_it_only_redirects() {
    for (answer, plain) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "true"),
        ("HTTP/1.1 401 Sign in\r\nContent-Length: 0\r\n\r\n", "true"),
        (
            "HTTP/1.1 301 X\r\nLocation: https://x/\r\nContent-Length: 0\r\n\r\n",
            "false",
        ),
        (
            "HTTP/1.1 302 X\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n",
            "true",
        ),
        ("HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n", "false"),
        ("SSH-2.0-x\r\n", ""),
    ] {
        static ANSWER: Mutex<&str> = Mutex::new("");
        *ANSWER.lock().unwrap() = answer;
        let settings = read(&mut device(&[(80, |_| {
            ANSWER.lock().unwrap().as_bytes().to_vec()
        })]));
        assert_eq!(settings["net.http_admin_plain"].value, plain, "{answer}");
    }
}

#[test]
fn the_first_version_of_smb_is_told_by_the_dialect_chosen() {
    let chosen: Service = |_| [&b"\0\0\0\x25\xffSMB"[..], &[0; 28], &[17, 0, 0]].concat();
    let refused: Service = |_| [&b"\0\0\0\x25\xffSMB"[..], &[0; 28], &[1, 0xff, 0xff]].concat();
    let newer: Service = |_| [&b"\0\0\0\x25\xfeSMB"[..], &[0; 40]].concat();
    for (service, on) in [(chosen, "true"), (refused, "false"), (newer, "false")] {
        assert_eq!(read(&mut device(&[(445, service)]))["net.smb1"].value, on);
    }
}

#[test]
fn an_ssl_3_server_with_rc4_is_found() {
    // It agrees to SSL 3.0 alone, with the suite RSA_WITH_RC4_128_SHA, when that is offered.
    let service: Service = |hello| {
        if hello.get(9..11) != Some(&[3, 0]) || !hello.windows(2).any(|it| it == [0, 5]) {
            return vec![21, 3, 0, 0, 2, 2, 40];
        }
        let mut body = vec![3, 0];
        body.extend([1; 32]);
        body.extend([0, 0, 5, 0]);
        let mut message = vec![2, 0, 0, body.len() as u8];
        message.extend(body);
        message.extend([14, 0, 0, 0]);
        [&[22, 3, 0, 0, message.len() as u8][..], &message].concat()
    };
    let settings = read(&mut device(&[(443, service)]));
    assert_eq!(
        value(&settings, "net.tls_min_version"),
        ("ssl3".to_owned(), false)
    );
    assert_eq!(
        value(&settings, "net.tls_weak_ciphers"),
        ("rc4".to_owned(), false)
    );
}

#[test]
fn what_services_say_of_people_is_not_told() {
    let canary: Service = |question| {
        let body = ipp::question(0, 1, "canary://user:canary@x/", &["canary-user"]);
        let _asked = question;
        let head = format!(
            "HTTP/1.1 200 canary\r\nServer: canary\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), &body].concat()
    };
    let mut device = device(&[(80, canary), (631, canary), (443, |_| b"canary".to_vec())]);
    device.udp = Some(Box::new(|_| b"canary canary canary".to_vec()));
    for (id, setting) in read(&mut device) {
        assert!(
            !format!("{setting:?}").contains("canary"),
            "{id}: {setting:?}"
        );
    }
}

#[test]
fn endless_answers_end() {
    let endless: Service = |_| [22, 3, 1, 0x40, 0].repeat(200_000);
    let settings = read(&mut device(&[
        (80, endless),
        (443, endless),
        (631, endless),
    ]));
    assert_eq!(settings["net.http_admin_plain"].value, "");
}

#[test]
fn a_setting_asked_for_alone_is_told_as_with_all_others() {
    let page: Service = |_| b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec();
    let silent: Service = |_| Vec::new();
    let some = [
        (21, silent),
        (23, silent),
        (80, page),
        (445, silent),
        (631, page),
        (50001, silent),
    ];
    for services in [&some[..], &[]] {
        for is_up in [true, false] {
            let make = || Device {
                is_up,
                ..device(services)
            };
            for (id, setting) in read(&mut make()) {
                let alone = read_wanted(&mut make(), &|wanted| wanted == id);
                assert_eq!(alone.len(), 1, "{id}");
                assert_eq!(alone[id], setting, "{id}");
            }
        }
    }
}

#[test]
fn a_setting_asked_for_alone_asks_for_no_more() {
    let silent: Service = |_| Vec::new();
    let mut device = device(&[(80, silent), (631, silent), (443, silent)]);
    let _telnet = read_wanted(&mut device, &|id| id == "net.telnet");
    assert!(device.sent.lock().unwrap().is_empty());
    let _web = read_wanted(&mut device, &|id| id == "net.http_admin_plain");
    let asked = Vec::from_iter(device.sent.lock().unwrap().keys().copied());
    assert_eq!(asked, [80]);
}

#[test]
fn an_address_without_a_way_to_it_casts_no_doubt_on_the_others() {
    // Which network a link-local address is on, nobody says here.
    let (near, far): (IpAddr, IpAddr) = (
        Ipv4Addr::LOCALHOST.into(),
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).into(),
    );
    assert_eq!(with_a_way(vec![far, near]), [near]);
    assert_eq!(with_a_way(vec![far]), [far]);
}

#[test]
fn an_address_of_another_machine_is_never_asked() {
    let mut source = NetworkSource::new(NetworkOptions {
        address: Some("192.0.2.77".to_owned()),
        ..NetworkOptions::default()
    });
    let mut seen = 0;
    source.read(&mut |setting| {
        seen += 1;
        assert_eq!(setting.evidence, "settings.address", "{}", setting.id);
        assert!(matches!(setting.verdict, Verdict::Unknown(_)));
    });
    assert!(seen > 20);
    // The address of the device itself is its own, wherever this program runs.
    let of_device = NetworkSource::new(NetworkOptions {
        device: Some("192.0.2.77".to_owned()),
        ..NetworkOptions::default()
    });
    assert_eq!(
        of_device.addresses(),
        Ok(vec![IpAddr::from([192, 0, 2, 77])])
    );
}

#[test]
fn a_printer_whose_tables_never_end_is_asked_a_bounded_number_of_times() {
    static ASKED: Mutex<u32> = Mutex::new(0);
    let mut device = device(&[]);
    // Answers each question with itself: one row after the other, all with the same names.
    device.udp = Some(Box::new(|question| {
        *ASKED.lock().unwrap() += 1;
        let mut answer = question.to_vec();
        for byte in &mut answer {
            if [snmp::GET, snmp::GET_NEXT].contains(byte) {
                *byte = 0xa2;
            }
        }
        answer
    }));
    assert_eq!(
        printer::ask(&mut device, &NetworkOptions::default(), "192.0.2.1"),
        None
    );
    assert!(*ASKED.lock().unwrap() < 10);
}

#[test]
fn a_printer_that_floods_with_supplies_is_cut() {
    let flood: Service = |_question| {
        let mut body = vec![1, 1, 0, 0, 0, 0, 0, 1, 2];
        for at in 0..190_u32 {
            let name: &[u8] = if at == 0 { b"marker-names" } else { b"" };
            let value = [b'x'; 1000];
            body.extend([&[0x42, 0, name.len() as u8][..], name, &[3, 0xe8], &value].concat());
        }
        body.push(3);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), &body].concat()
    };
    let mut device = device(&[(631, flood)]);
    let status = printer::ask(&mut device, &NetworkOptions::default(), "192.0.2.1").unwrap();
    assert_eq!(status.supplies.len(), crate::printer::SUPPLIES_MAX);
    let names = status.supplies.iter().map(|it| it.name.chars().count());
    assert_eq!(names.max(), Some(crate::printer::NAME_CHARS_MAX));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn decoders_survive_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _answer = ipp::answer(&bytes, 1);
        let _answer = snmp::answer(&bytes, 1);
        let _answer = snmp::answer_v3(&bytes, 1);
        let _answer = http::answer(&bytes, true);
        let _answer = tls::answer(&bytes, true);
        let _facts = certificate::facts(&bytes);
    }

    #[test]
    fn decoders_survive_changed_answers(at in any::<proptest::sample::Index>(), byte: u8) {
        let mut message = ipp::question(0, 1, "ipp://x/", &["a"]);
        let place = at.index(message.len());
        message[place] = byte;
        let _answer = ipp::answer(&message, 1);
        let mut message = snmp::question_v3(1, b"engine", "", &[]);
        let place = at.index(message.len());
        message[place] = byte;
        let _answer = snmp::answer_v3(&message, 1);
    }
}
