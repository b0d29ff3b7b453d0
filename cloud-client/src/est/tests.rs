use std::time::Duration;

use der::{Decode as _, Encode as _};
use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa};
use x509_cert::request::CertReq;

use super::*;
use crate::problem::{CallError, ProblemKind};
use crate::testing::Peer;
use crate::testing::tls::{Ca, NOW_MS, TestKey, key, params};
use crate::tls::{SignError, Signer};

const TWO: &[u8] = include_bytes!("../../testdata/pkcs7/two.b64");
const CA_DER: &[u8] = include_bytes!("../../testdata/pkcs7/ca.der");
const LEAF_DER: &[u8] = include_bytes!("../../testdata/pkcs7/leaf.der");

fn code() -> EnrollmentCode {
    let mut drawn = 0;
    EnrollmentCode::generate(&mut |bytes| {
        drawn += 1;
        bytes.fill(drawn);
    })
}

fn device_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// A certs-only answer.
fn certs_only(certificates: &[CertDer]) -> String {
    const SIGNED_DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
    const DATA: &[u8] = b"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
    let parts: Vec<&[u8]> = certificates.iter().map(Vec::as_slice).collect();
    let certificates = tlv(0xa0, &parts.concat());
    let signed_data = [b"\x02\x01\x01\x31\x00", DATA, &certificates, b"\x31\x00"].concat();
    let content = tlv(0xa0, &tlv(0x30, &signed_data));
    let info = tlv(0x30, &[SIGNED_DATA, &content].concat());
    lines(&STANDARD.encode(info))
}

/// DER of `body` under `tag`.
fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).expect("short").to_be_bytes();
    let header = match body.len() {
        0..=127 => vec![tag, len[1]],
        128..=255 => vec![tag, 0x81, len[1]],
        _ => vec![tag, 0x82, len[0], len[1]],
    };
    [&header, body].concat()
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let len = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {len}\r\n\r\n{body}")
}

fn certs_answer(certificates: &[CertDer]) -> String {
    let headers = "Content-Type: application/pkcs7-mime; smime-type=certs-only\r\n";
    answer("200 OK", headers, &certs_only(certificates))
}

fn enrolled_with(key: &TestKey, answer: &str) -> Result<Issued, EnrollError> {
    let csr = csr(key, "S-1").expect("a request");
    simple_enroll(
        &mut Peer::new(&[answer]).connect(),
        "S-1",
        &code(),
        &csr,
        NOW_MS,
    )
}

#[test]
fn a_request_names_the_subject_and_is_signed_by_its_key() {
    let key = key();
    let der = csr(&key, "SN 1, <x>+\"ü\"").expect("a request");
    let request = CertReq::from_der(&der).expect("it parses");
    assert_eq!(request.to_der().expect("it encodes"), der);
    let (name, public) = csr::name_and_key(&der).expect("read");
    assert_eq!(name.as_deref(), Some("SN 1, <x>+\"ü\""));
    assert_eq!(request.info.subject.len(), 1);
    assert_eq!(public, key.public_key());
    // Another library reads it too, and verifies the signature.
    rcgen::CertificateSigningRequestParams::from_der(&der.into()).expect("it verifies");
}

#[test]
fn a_name_that_does_not_fit_and_a_key_that_fails_are_told() {
    struct Gone;
    impl Signer for Gone {
        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignError> {
            Err(SignError("gone".to_owned()))
        }
        fn public_key(&self) -> [u8; 65] {
            [4; 65]
        }
    }
    assert_eq!(csr(&key(), ""), Err(CsrError::Name));
    assert_eq!(csr(&key(), &"x".repeat(65)), Err(CsrError::Name));
    assert_eq!(
        csr(&Gone, "x"),
        Err(CsrError::Sign(SignError("gone".to_owned())))
    );
}

#[test]
fn base64_goes_out_in_lines_of_64_with_an_end() {
    for (len, expected) in [(0, 1), (63, 1), (64, 1), (65, 2), (128, 2), (129, 3)] {
        let text = lines(&"A".repeat(len));
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{len}");
        assert_eq!(text.lines().count(), expected, "{len}");
        assert!(text.lines().all(|line| line.len() <= 64));
    }
}

#[test]
fn what_openssl_writes_is_read() {
    let two = [CA_DER.to_vec(), LEAF_DER.to_vec()];
    let mut read = certificates(TWO).expect("two");
    read.sort_by_key(Vec::len);
    assert_eq!(read, two);
    let mut pem = certificates(include_bytes!("../../testdata/pkcs7/two.pem")).expect("two");
    pem.sort_by_key(Vec::len);
    assert_eq!(pem, two);
    let signed = certificates(include_bytes!("../../testdata/pkcs7/signed.b64")).expect("one");
    assert_eq!(signed, [LEAF_DER.to_vec()]);
}

#[test]
fn line_breaks_tails_and_padding_do_not_matter() {
    let plain: String = String::from_utf8_lossy(TWO).lines().collect();
    for text in [
        plain.clone(),
        plain.trim_end_matches('=').to_owned(),
        format!("{plain}\0\0"),
        format!("\r\n {plain} \r\n\r\n"),
        plain.replace('A', "A\r\n"),
    ] {
        assert_eq!(certificates(text.as_bytes()).expect("two").len(), 2);
    }
}

#[test]
fn an_answer_without_certificates_is_an_error_and_no_crash() {
    for text in [
        &include_bytes!("../../testdata/pkcs7/none.b64")[..],
        include_bytes!("../../testdata/pkcs7/nothing.b64"),
    ] {
        assert_eq!(certificates(text), Err(Pkcs7Error::Empty));
    }
    assert!(matches!(certificates(b""), Err(Pkcs7Error::Structure(_))));
    assert_eq!(certificates(b"<html>"), Err(Pkcs7Error::Base64));
    assert_eq!(certificates(&[b'A'; 70_000]), Err(Pkcs7Error::TooLong));
    let many = certs_only(&vec![LEAF_DER.to_vec(); 17]);
    assert_eq!(certificates(many.as_bytes()), Err(Pkcs7Error::TooMany));
}

#[test]
fn the_code_goes_out_as_the_password_of_the_serial() {
    let (ca, key) = (Ca::new("ca"), key());
    let leaf = ca.issue(&device_params("dev-1"), &key);
    let peer = Peer::new(&[&certs_answer(&[ca.der, leaf.clone()])]);
    let csr = csr(&key, "S-1").expect("a request");
    let issued = simple_enroll(&mut peer.connect(), "S-1", &code(), &csr, NOW_MS).expect("issued");
    assert_eq!(issued.device, "dev-1");
    assert_eq!(issued.chain, [leaf], "the root is not part of the chain");
    assert!(issued.not_before_ms < NOW_MS && NOW_MS < issued.not_after_ms);
    let heard = peer.heard();
    assert!(heard.starts_with("POST /.well-known/est/simpleenroll HTTP/1.1\r\n"));
    assert!(heard.contains("content-type: application/pkcs10\r\n"));
    let symbols = code();
    let basic = STANDARD.encode([b"S-1:", &symbols.as_bytes()[..]].concat());
    assert!(heard.contains(&format!("authorization: Basic {basic}\r\n")));
    assert!(heard.ends_with(&lines(&STANDARD.encode(&csr))));
}

#[test]
fn the_chain_is_put_in_order() {
    let (root, key) = (Ca::new("root"), key());
    let mut middle = params("middle");
    middle.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let middle_key = crate::testing::tls::key();
    let middle_der = root.issue(&middle, &middle_key);
    let issuer = rcgen::Issuer::new(middle, middle_key.0);
    let leaf = device_params("dev-1")
        .signed_by(&key.0, &issuer)
        .expect("signed")
        .der()
        .to_vec();
    let sent = [root.der, middle_der.clone(), leaf.clone()];
    let issued = enrolled_with(&key, &certs_answer(&sent)).expect("issued");
    assert_eq!(issued.chain, [leaf, middle_der]);
}

#[test]
fn what_does_not_fit_is_not_accepted() {
    let (ca, key) = (Ca::new("ca"), key());
    let issue = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = device_params("dev-1");
        change(&mut params);
        match enrolled_with(&key, &certs_answer(&[ca.issue(&params, &key)])) {
            Err(EnrollError::Issued(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        issue(&|params| params.extended_key_usages.clear()),
        IssuedError::Usage
    );
    assert_eq!(
        issue(&|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        IssuedError::Usage
    );
    assert_eq!(
        issue(&|params| params.not_after = rcgen::date_time_ymd(2026, 11, 1)),
        IssuedError::Validity
    );
    assert_eq!(
        issue(&|params| params.distinguished_name.push(DnType::CountryName, "DE")),
        IssuedError::Subject
    );
    let other = ca.device("dev-1").chain.remove(0);
    let error = enrolled_with(&key, &certs_answer(&[other])).expect_err("another key");
    assert!(
        matches!(error, EnrollError::Issued(IssuedError::Key)),
        "{error}"
    );
    let error = enrolled_with(&key, &certs_answer(&[b"\x30\x03\x02\x01\x01".to_vec()]));
    assert!(matches!(
        error,
        Err(EnrollError::Issued(IssuedError::Unreadable(_)))
    ));
}

#[test]
fn each_refusal_says_what_to_do() {
    let key = key();
    let problem = |kind: ProblemKind, headers: &str| {
        let body = serde_json::to_string(&kind.problem("why")).expect("JSON");
        let headers = format!("Content-Type: application/problem+json\r\n{headers}");
        answer(&format!("{} No", kind.status()), &headers, &body)
    };
    let refused = enrolled_with(&key, &problem(ProblemKind::CodeRefused, "")).expect_err("refused");
    assert!(matches!(refused, EnrollError::CodeRefused { .. }));
    assert_eq!(refused.to_string(), "the enrolment code is refused: why");
    let tries = problem(ProblemKind::TooManyTries, "Retry-After: 90\r\n");
    let after = Some(Duration::from_secs(90));
    let error = enrolled_with(&key, &tries).expect_err("too often");
    assert!(matches!(error, EnrollError::TooManyTries { after: told } if told == after));
    let pending = answer("202 Accepted", "Retry-After: 7\r\n", "");
    let error = enrolled_with(&key, &pending).expect_err("pending");
    assert!(matches!(error, EnrollError::Pending { after: Some(told) } if told.as_secs() == 7));
    let html = answer("200 OK", "Content-Type: text/html\r\n", "<html>");
    let error = enrolled_with(&key, &html).expect_err("a captive portal");
    assert!(
        matches!(error, EnrollError::Call(CallError::Protocol(_))),
        "{error}"
    );
    let huge = answer(
        "200 OK",
        "Content-Type: application/pkcs7-mime\r\n",
        &"A".repeat(70_000),
    );
    assert!(matches!(
        enrolled_with(&key, &huge).expect_err("too long"),
        EnrollError::Call(CallError::Protocol(_))
    ));
    let csr = csr(&key, "S").expect("a request");
    let mut conn = Peer::new(&[]).connect();
    let error = simple_enroll(&mut conn, "a:b", &code(), &csr, NOW_MS).expect_err("a colon");
    assert!(matches!(error, EnrollError::Serial));
}

#[test]
fn a_date_in_retry_after_counts_from_the_date_of_the_answer() {
    let headers = "Date: Sun, 22 Nov 2026 18:40:02 GMT\r\n\
        Retry-After: Sun, 22 Nov 2026 18:41:02 GMT\r\n";
    let error = enrolled_with(&key(), &answer("202 Accepted", headers, "")).expect_err("pending");
    assert!(matches!(error, EnrollError::Pending { after: Some(told) } if told.as_secs() == 60));
}

#[test]
fn renewal_keeps_the_name() {
    let (ca, key) = (Ca::new("ca"), key());
    let csr = csr(&key, "dev-1").expect("a request");
    for (name, accepted) in [("dev-1", true), ("dev-2", false)] {
        let peer = Peer::new(&[&certs_answer(&[ca.issue(&device_params(name), &key)])]);
        let renewed = simple_reenroll(&mut peer.connect(), &csr, NOW_MS);
        assert_eq!(renewed.is_ok(), accepted, "{name}");
        assert!(
            peer.heard()
                .starts_with("POST /.well-known/est/simplereenroll ")
        );
        assert!(!peer.heard().contains("authorization"));
    }
}

#[test]
fn only_authorities_become_anchors() {
    let ca = Ca::new("ca");
    let leaf = ca.device("dev-1").chain.remove(0);
    let peer = Peer::new(&[&certs_answer(&[leaf.clone(), ca.der.clone()])]);
    assert_eq!(cacerts(&mut peer.connect()).expect("one"), [ca.der]);
    assert!(peer.heard().starts_with("GET /.well-known/est/cacerts "));
    let none = Peer::new(&[&certs_answer(&[leaf])]);
    assert!(cacerts(&mut none.connect()).is_err());
}

#[test]
fn validity_is_read_in_milliseconds() {
    let leaf = Ca::new("ca").device("dev-1").chain.remove(0);
    let validity = Validity::of(&leaf).expect("a certificate");
    assert_eq!(validity.not_before_ms, 1_767_225_600_000);
    assert_eq!(validity.not_after_ms, 1_798_761_600_000);
    assert!(Validity::of(b"junk").is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(certificates(&bytes));
        drop(certificates(STANDARD.encode(&bytes).as_bytes()));
        drop(Facts::read(&bytes));
        drop(csr::name_and_key(&bytes));
    }

    #[test]
    fn no_change_of_good_bytes_makes_the_readers_panic(at in 0usize..800, byte in any::<u8>()) {
        let mut der = STANDARD
            .decode(TWO.iter().copied().filter(|byte| *byte != b'\n').collect::<Vec<_>>())
            .expect("base64");
        let at = at % der.len();
        der[at] = byte;
        if let Ok(certificates) = certificates(STANDARD.encode(&der).as_bytes()) {
            drop(accept(&certificates, &[4; 65], NOW_MS));
        }
    }
}
