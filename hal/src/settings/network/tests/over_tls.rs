//! Devices that speak TLS: what is behind it.

use std::io::Read as _;

use super::*;
use crate::web::{Patience, WebError, WebErrorKind};

/// A connection whose handshake is finished.
pub(super) struct Handshaken {
    service: Service,
    chain: Vec<Vec<u8>>,
    answer: http::Answer,
    body: io::Cursor<Vec<u8>>,
}

impl Handshaken {
    pub(super) fn new(service: Service, chain: Vec<Vec<u8>>) -> Self {
        Self {
            service,
            chain,
            answer: http::Answer::default(),
            body: io::Cursor::default(),
        }
    }
}

impl Exchange for Handshaken {
    fn set_patience(&mut self, _patience: Patience, _stop: Option<crate::scanner::StopFlag>) {}

    fn ask(
        &mut self,
        method: crate::web::Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), WebError> {
        let question = [format!("{method:?} {path} {headers:?}\n").as_bytes(), body].concat();
        let answer = http::answer(&(self.service)(&question), true);
        self.answer = answer.ok_or_else(broken)?;
        self.body = io::Cursor::new(self.answer.body.clone());
        Ok(())
    }

    fn code(&self) -> u16 {
        self.answer.status
    }

    fn field(&self, _name: &str) -> Option<&str> {
        None
    }

    fn take(&mut self, buf: &mut [u8]) -> Result<usize, WebError> {
        self.body.read(buf).map_err(|_error| broken())
    }

    fn certificates(&self) -> Vec<Vec<u8>> {
        self.chain.clone()
    }
}

pub(super) fn broken() -> WebError {
    WebError {
        kind: WebErrorKind::Protocol,
        message: "no answer".to_owned(),
    }
}

/// Agrees to TLS 1.3 alone, of which nothing but the hello is in clear.
pub(super) const TLS13: Service = |question| {
    let offered = question.windows(7).any(|it| it == [0, 43, 0, 3, 2, 3, 4]);
    if question.first() != Some(&22) || !offered {
        return vec![21, 3, 3, 0, 2, 2, 70];
    }
    let mut hello = vec![3, 3];
    hello.extend([1; 32]);
    hello.extend([0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4]);
    let message = [&[2, 0, 0, hello.len() as u8][..], &hello].concat();
    [&[22, 3, 3, 0, message.len() as u8][..], &message].concat()
};

pub(super) fn http(status: u16, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn ipp_answer(status: u16, lists: &[(&str, &[&str])]) -> Vec<u8> {
    http(200, &ipp_body(status, lists))
}

/// An answer of IPP with lists of words.
fn ipp_body(status: u16, lists: &[(&str, &[&str])]) -> Vec<u8> {
    let mut body = [&[1, 1][..], &status.to_be_bytes(), &[0, 0, 0, 1, 4]].concat();
    for (name, words) in lists {
        for (at, word) in words.iter().enumerate() {
            let name = if at == 0 { *name } else { "" };
            body.push(0x44);
            for text in [name, word] {
                body.extend((text.len() as u16).to_be_bytes());
                body.extend(text.as_bytes());
            }
        }
    }
    body.push(3);
    body
}

/// A printer that takes jobs, has one application, and says that it speaks TLS alone.
const PRINTER: Service = |question| {
    let has = |text: &str| question.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(
        has("application/ipp"),
        "{}",
        String::from_utf8_lossy(question)
    );
    match (has("/ipp/print"), has("/ipp/system")) {
        (true, _) => ipp_answer(
            0,
            &[
                ("printer-firmware-string-version", &["7.1"]),
                ("printer-uri-supported", &["ipps://x/ipp/print"]),
                ("uri-authentication-supported", &["requesting-user-name"]),
                ("uri-security-supported", &["tls"]),
                ("printer-state-reasons", &["media-low"]),
                ("marker-names", &["Black"]),
            ],
        ),
        (_, true) => ipp_answer(0, &[("system-user-application-name", &["app"])]),
        _ => http(404, b""),
    }
};

pub(super) fn with_tls(clear: &[(u16, Service)], tls: &[(u16, Service)]) -> Device {
    let with_chain =
        |(port, service): &(u16, Service)| (*port, (*service, vec![certificates::EC.der()]));
    Device {
        tls: tls.iter().map(with_chain).collect(),
        ..device(clear)
    }
}

#[test]
fn a_printer_that_speaks_tls_alone_is_asked_over_it() {
    for port in [631, 443] {
        let settings = read(&mut with_tls(&[(port, TLS13)], &[(port, PRINTER)]));
        for (id, told) in [
            ("net.ipp_security", ("tls", true)),
            ("auth.ipp_methods", ("requesting-user-name", false)),
            ("auth.print_without_auth", ("true", false)),
            ("app.user_enabled", ("true", false)),
        ] {
            let (value, is_secure) = value(&settings, id);
            assert_eq!((value.as_str(), is_secure), told, "{port} {id}");
        }
        assert_eq!(settings["fw.version_approved"].value, "7.1");
        assert_eq!(
            settings["auth.ipp_methods"].evidence.as_str(),
            format!(
                "Get-Printer-Attributes over TLS, TCP port {port}: uri-authentication-supported"
            )
        );
    }
}

#[test]
fn what_a_port_says_in_clear_counts_beside_what_it_says_over_tls() {
    for (clear, told) in [
        (http(426, b""), "tls"),
        (http(301, b""), "tls"),
        (http(404, b""), "tls"),
        // A password would go in clear.
        (http(401, b""), "none,tls"),
        (ipp_answer(0x0403, &[]), "none,tls"),
        (ipp_answer(0, &[]), "none"),
    ] {
        static CLEAR: Mutex<Vec<u8>> = Mutex::new(Vec::new());
        *CLEAR.lock().unwrap() = clear.clone();
        let service: Service = |question| match question.first() {
            Some(22) => TLS13(question),
            _ => CLEAR.lock().unwrap().clone(),
        };
        let settings = read(&mut with_tls(&[(631, service)], &[(631, PRINTER)]));
        let text = String::from_utf8_lossy(&clear);
        let is_clear = told != "tls";
        let wanted = if is_clear { "none,tls" } else { told };
        let (value, is_secure) = value(&settings, "net.ipp_security");
        assert_eq!((value.as_str(), is_secure), (wanted, !is_clear), "{text}");
    }
}

#[test]
fn a_port_with_tls_and_no_printer_behind_it_is_not_taken_for_one() {
    let page: Service = |_| http(404, b"no such page");
    let settings = read(&mut with_tls(&[(443, TLS13)], &[(443, page)]));
    assert_eq!(settings["net.ipp_security"].verdict, Verdict::NotApplicable);
    // Behind a password there may be one.
    let guarded: Service = |_| http(401, b"");
    for port in [443, 631] {
        let settings = read(&mut with_tls(&[(port, TLS13)], &[(port, guarded)]));
        let setting = &settings["auth.ipp_methods"];
        assert!(
            matches!(&setting.verdict, Verdict::Unknown(it) if it.detail.contains("password")),
            "{setting:?}"
        );
    }
    let endless: Service = |_| {
        let mut body = ipp_body(0, &[("uri-authentication-supported", &["digest"])]);
        body.resize(http::ANSWER_BYTES_MAX + 1, 0);
        http(200, &body)
    };
    let settings = read(&mut with_tls(&[(631, TLS13)], &[(631, endless)]));
    let setting = &settings["auth.ipp_methods"];
    assert!(
        matches!(setting.verdict, Verdict::Unknown(_)),
        "{setting:?}"
    );
}

#[test]
fn state_and_supplies_are_told_over_tls() {
    let mut device = with_tls(&[(631, TLS13)], &[(631, PRINTER)]);
    let status = printer::ask(&mut device, &NetworkOptions::default(), "192.0.2.1").unwrap();
    assert_eq!(status.reasons, ["media-low"]);
    assert_eq!(status.supplies[0].name, "Black");
}
