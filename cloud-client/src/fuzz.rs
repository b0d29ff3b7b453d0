//! What `tests/fuzz` feeds with arbitrary bytes; only with the feature `fuzz`.

use std::io;
use std::sync::LazyLock;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::certificate::Facts;
use crate::code::EnrollmentCode;
use crate::http::{BaseUrl, PlainConnection};
use crate::posture::requirement::Requirement;
use crate::problem::CallError;
use crate::seal::{ObjectHeader, ObjectId, ObjectKind, PrivateKey, open_to_vec, seal_to_vec};
use crate::{
    commit, desired, entry_points, est, outcomes, posture, receipt, reports, retry, upload, wire,
};

/// One line per decoder: none may panic, whatever it is given.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("base-url", base_url),
    ("certificate", certificate),
    ("enrollment-code", enrollment_code),
    ("est-answer", est_answer),
    ("http-answer", http_answer),
    ("policy", policy),
    ("receipt", signed_receipt),
    ("requirement", requirement),
    ("retry-after", retry_after),
    ("sealed-header", sealed_header),
    ("sealed-object", sealed_object),
    ("wire-desired", wire::<wire::Desired>),
    ("wire-entry-points", wire::<wire::EntryPoints>),
    ("wire-envelope", wire::<wire::Envelope>),
    ("wire-intent", wire::<wire::Intent>),
    ("wire-manifest", wire::<wire::Manifest>),
    ("wire-outcomes", wire::<wire::Outcomes>),
    ("wire-problem", wire_problem),
    ("wire-report", wire::<wire::Report>),
];

/// A document that can be read is the same after it was written and read again.
fn wire<T: DeserializeOwned + Serialize + PartialEq>(data: &[u8]) {
    if let Ok(document) = serde_json::from_slice::<T>(data) {
        let written = serde_json::to_vec(&document).expect("what was read can be written");
        let again = serde_json::from_slice::<T>(&written);
        assert!(again.is_ok_and(|again| again == document));
    }
}

fn wire_problem(data: &[u8]) {
    wire::<wire::Problem>(data);
    for status in [400, 409, 410, 503] {
        let error = CallError::from_answer(status, None, data);
        drop((error.disposition(), error.to_string()));
    }
}

fn base_url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(url) = BaseUrl::parse(&text) {
        let again = BaseUrl::parse(&url.to_string());
        assert!(again.is_ok_and(|again| again == url), "{url}");
    }
}

fn certificate(data: &[u8]) {
    drop(Facts::read(data));
}

fn enrollment_code(data: &[u8]) {
    if let Ok(code) = EnrollmentCode::parse(&String::from_utf8_lossy(data)) {
        let again = EnrollmentCode::parse(&code.format());
        assert!(again.is_ok_and(|again| again.as_bytes() == code.as_bytes()));
    }
}

/// The certs-only answer, and with PEM or base64 in front of it as servers send it.
fn est_answer(data: &[u8]) {
    use base64::Engine as _;
    for text in [
        data,
        base64::engine::general_purpose::STANDARD
            .encode(data)
            .as_bytes(),
    ] {
        for der in est::certificates(text).unwrap_or_default() {
            drop(Facts::read(&der));
        }
    }
}

fn policy(data: &[u8]) {
    drop(posture::policy::parse(
        &String::from_utf8_lossy(data),
        "fuzz",
    ));
}

fn requirement(data: &[u8]) {
    drop(String::from_utf8_lossy(data).parse::<Requirement>());
}

fn retry_after(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let wait = retry::parse_retry_after(&text, 1_700_000_000);
    assert!(wait.is_none_or(|wait| wait.as_secs() <= 24 * 3600));
}

fn signed_receipt(data: &[u8]) {
    let anchor = include_bytes!("../../tests/fuzz/corpus/certificate/device-ca.der");
    let anchors = [anchor.as_slice()];
    if let Ok(signed) = serde_json::from_slice::<wire::SignedReceipt>(data) {
        drop(receipt::verify(&signed, &anchors));
    }
    // The parts on their own, so that one wrong symbol of base64 does not hide the rest.
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let signed = wire::SignedReceipt {
        receipt: base64.encode(
            br#"{"version":1,"tenant":"t","device":"d","seq":1,"prev":"","job":"j",
            "envelope":"","objects":1,"received_at_ms":1700000000000}"#,
        ),
        signature: base64.encode(data),
        certificate: base64.encode(data),
    };
    assert!(receipt::verify(&signed, &anchors).is_err());
}

fn sealed_header(data: &[u8]) {
    if let Ok(header) = ObjectHeader::parse(data) {
        assert!(data.starts_with(&header.to_bytes()));
    }
}

/// An object for a known key, altered, cut or spliced: it opens only if it is the one that was
/// sealed, and then to what was sealed.
fn sealed_object(data: &[u8]) {
    static KEY: LazyLock<PrivateKey> =
        LazyLock::new(|| PrivateKey::from_bytes(&[7; 32]).expect("a number below the order"));
    let id = ObjectId {
        kind: ObjectKind::Page,
        tenant: "tenant".to_owned(),
        device: "device".to_owned(),
        job: [1; 16],
        object: 1,
    };
    let plain = b"A page of a document, in chunks of sixteen bytes.".as_slice();
    if let Ok(opened) = open_to_vec(&KEY, &id, data) {
        assert_eq!(opened.as_slice(), plain, "a forged object");
    }
    // The same bytes as the plaintext of an object.
    let mut number = 0_u8;
    let mut random = |out: &mut [u8]| {
        for byte in out {
            number = number.wrapping_mul(31).wrapping_add(7);
            *byte = number;
        }
    };
    let sealed = seal_to_vec(KEY.public(), &id, data, &mut random).expect("a short object");
    let opened = open_to_vec(&KEY, &id, &sealed);
    assert!(opened.is_ok_and(|opened| opened.as_slice() == data));
}

/// What a server may answer to each kind of call. The first byte picks the call.
fn http_answer(data: &[u8]) {
    let Some((call, answer)) = data.split_first() else {
        return;
    };
    let mut conn = PlainConnection::over(Canned(io::Cursor::new(answer.to_vec())));
    let conn = &mut conn;
    match call % 10 {
        0 => drop(desired::poll(conn, None, 0)),
        1 => drop(outcomes::after(conn, 0)),
        2 => drop(outcomes::receipts_after(conn, 0)),
        3 => drop(entry_points::fetch(conn)),
        4 => drop(est::cacerts(conn)),
        5 => drop(commit::discard(
            conn,
            "01234567-89ab-4def-8123-456789abcdef",
        )),
        6 => drop(upload::offset(conn, "/v1/device/uploads/x")),
        7 => drop(commit::put(conn, "job", 2, &mut |body| {
            body.write_all(b"{}")
        })),
        8 => drop(est::simple_reenroll(conn, b"", 0)),
        _ => {
            if let Ok(report) = serde_json::from_slice(answer) {
                drop(reports::send(conn, &report));
            }
        }
    }
}

/// Says what it has to say and hears nothing.
#[derive(Debug)]
struct Canned(io::Cursor<Vec<u8>>);

impl io::Read for Canned {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        // In small pieces, as networks do.
        let few = buf.len().min(61);
        self.0.read(buf.split_at_mut(few).0)
    }
}

impl io::Write for Canned {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
