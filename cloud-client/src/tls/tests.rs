use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;

use sha2::{Digest as _, Sha256};

use super::*;
use crate::http::{ConnectError, HttpClient, Purpose, Timeouts};
use crate::testing::tls::{
    Ca, NOW_MS, client, clocks_at, key, listen, listen_tls, settings, url_of,
};

fn anchors(ca: &Ca) -> Roots {
    Roots::Anchors(vec![ca.der.clone()])
}

/// Connects with `settings` to a server of `ca` that asks for certificates of the same.
fn connect(ca: &Ca, settings: TlsSettings, unix_ms: u64) -> Result<TlsInfo, ConnectError> {
    let config = ca.server("127.0.0.1").config(None);
    let (url, server) = listen_tls(1, config, |_| {});
    let client =
        HttpClient::new(settings, None, Timeouts::default(), clocks_at(unix_ms)).expect("a client");
    let connected = client.connect(&url, Purpose::Call);
    let info = connected.map(|conn| conn.tls_info().expect("it is open"));
    server.join().expect("the server");
    info
}

#[test]
fn tls_1_2_with_ecdhe_and_aead_is_the_default() {
    let ca = Ca::new("ca");
    let info = connect(&ca, settings(anchors(&ca), None), NOW_MS).expect("connected");
    assert_eq!(info.version, "TLS 1.2");
    assert_eq!(info.cipher_suite, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
}

#[test]
fn tls_1_3_is_one_setting_away() {
    let ca = Ca::new("ca");
    let mut settings = settings(anchors(&ca), None);
    settings.versions = TlsVersions::Tls12AndTls13;
    let info = connect(&ca, settings, NOW_MS).expect("connected");
    assert_eq!(
        (info.version, info.cipher_suite.as_str()),
        ("TLS 1.3", "TLS_AES_256_GCM_SHA384")
    );
}

#[test]
fn every_suite_is_ecdhe_with_aes_gcm() {
    for suite in provider::CIPHER_SUITES {
        let name = format!("{:?}", suite.suite());
        let ecdhe = name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_");
        assert!(ecdhe && name.contains("_GCM_"), "{name}");
    }
}

#[test]
fn a_server_of_another_authority_is_refused() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let error = connect(&ca, settings(anchors(&other), None), NOW_MS).expect_err("refused");
    assert!(matches!(error, ConnectError::Untrusted { .. }), "{error}");
    assert!(error.to_string().contains("ca_file"));
    let error = connect(&ca, settings(Roots::WebPki, None), NOW_MS).expect_err("refused");
    assert!(matches!(error, ConnectError::Untrusted { .. }), "{error}");
}

#[test]
fn a_wrong_clock_is_named_as_the_cause() {
    let ca = Ca::new("ca");
    let year_ms = 365 * 24 * 60 * 60 * 1000;
    for (unix_ms, late) in [(NOW_MS - 3 * year_ms, false), (NOW_MS + 3 * year_ms, true)] {
        let error = connect(&ca, settings(anchors(&ca), None), unix_ms).expect_err("refused");
        assert!(
            matches!(error, ConnectError::Clock { expired, .. } if expired == late),
            "{error}"
        );
        assert!(error.to_string().contains("check the clock"));
    }
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let ca = Ca::new("ca");
    let (url, server) = listen_tls(1, ca.server("other.example").config(None), |_| {});
    let error = client(settings(anchors(&ca), None))
        .connect(&url, Purpose::Call)
        .expect_err("refused");
    assert!(matches!(error, ConnectError::WrongName { .. }), "{error}");
    server.join().expect("the server");
}

#[test]
fn a_fingerprint_of_the_server_or_its_authority_is_trusted() {
    let ca = Ca::new("ca");
    let sha256 = |der: &[u8]| <[u8; 32]>::from(Sha256::digest(der));
    for (pinned, trusted) in [(Some(0), true), (Some(1), true), (None, false)] {
        let mut leaf = ca.server("127.0.0.1");
        leaf.chain.push(ca.der.clone());
        let pin = pinned.map_or([7; 32], |at: usize| sha256(&leaf.chain[at]));
        let (url, server) = listen_tls(1, leaf.config(None), |_| {});
        let connected =
            client(settings(Roots::Fingerprint(pin), None)).connect(&url, Purpose::Call);
        assert_eq!(connected.is_ok(), trusted, "{pinned:?}");
        drop(connected);
        server.join().expect("the server");
    }
}

#[test]
fn a_pinned_authority_vouches_only_for_its_own() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let mut leaf = other.server("127.0.0.1");
    leaf.chain.push(ca.der.clone());
    let pin = Roots::Fingerprint(Sha256::digest(&ca.der).into());
    let (url, server) = listen_tls(1, leaf.config(None), |_| {});
    let error = client(settings(pin, None))
        .connect(&url, Purpose::Call)
        .expect_err("refused");
    assert!(matches!(error, ConnectError::Untrusted { .. }), "{error}");
    server.join().expect("the server");
}

#[test]
fn the_certificate_is_presented_and_its_signature_verifies() {
    let ca = Ca::new("ca");
    for versions in [TlsVersions::Tls12, TlsVersions::Tls12AndTls13] {
        let device = ca.device("device-1");
        let presented = device.chain.clone();
        let (tell, told) = mpsc::channel();
        let config = ca.server("127.0.0.1").config(Some(&ca));
        let (url, server) = listen_tls(1, config, move |stream| {
            let chain = stream.conn.peer_certificates().unwrap_or_default();
            tell.send(chain.iter().map(|der| der.to_vec()).collect::<Vec<_>>())
                .expect("told");
        });
        let mut settings = settings(anchors(&ca), Some(device.credential()));
        settings.versions = versions;
        let conn = client(settings)
            .connect(&url, Purpose::Call)
            .expect("connected");
        assert_eq!(told.recv().expect("a chain"), presented);
        drop(conn);
        server.join().expect("the server");
    }
}

#[test]
fn a_certificate_the_server_does_not_know_ends_the_handshake() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let (url, server) = listen_tls(1, ca.server("127.0.0.1").config(Some(&ca)), |_| {});
    let stranger = other.device("device-1").credential();
    let error = client(settings(anchors(&ca), Some(stranger)))
        .connect(&url, Purpose::Call)
        .expect_err("refused");
    assert!(
        matches!(error, ConnectError::CertificateRefused { .. }),
        "{error}"
    );
    server.join().expect("the server");
}

#[test]
fn a_signature_of_another_key_is_refused_and_a_failing_key_is_told() {
    struct Broken([u8; 65]);
    impl Signer for Broken {
        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignError> {
            Err(SignError("the chip is gone".to_owned()))
        }
        fn public_key(&self) -> [u8; 65] {
            self.0
        }
    }
    let ca = Ca::new("ca");
    let signers: [Arc<dyn Signer>; 2] = [Arc::new(key()), Arc::new(Broken([4; 65]))];
    for signer in signers {
        let (url, server) = listen_tls(1, ca.server("127.0.0.1").config(Some(&ca)), |_| {});
        let mut credential = ca.device("device-1").credential();
        credential.signer = signer;
        let error = client(settings(anchors(&ca), Some(credential)))
            .connect(&url, Purpose::Call)
            .expect_err("refused");
        let told = matches!(error, ConnectError::CertificateRefused { .. })
            || error.to_string().contains("the chip is gone");
        assert!(told, "{error}");
        server.join().expect("the server");
    }
}

#[test]
fn credentials_and_keys_are_not_printed() {
    let leaf = Ca::new("ca").device("device-1");
    assert_eq!(
        format!("{:?}", leaf.credential()),
        "Credential { slot: 0, .. }"
    );
}

#[test]
fn anchors_that_cannot_be_used_are_named() {
    let build = |anchors| {
        let settings = settings(Roots::Anchors(anchors), None);
        HttpClient::new(settings, None, Timeouts::default(), clocks_at(NOW_MS))
            .expect_err("no client")
    };
    assert_eq!(build(Vec::new()), TlsSettingsError::NoAnchor);
    let error = build(vec![Ca::new("ca").der, b"junk".to_vec()]);
    assert!(
        matches!(error, TlsSettingsError::Anchor { number: 2, .. }),
        "{error}"
    );
}

/// Takes the extended master secret out of the ServerHello at the start of `flight`.
fn strip_ems(flight: &mut Vec<u8>) {
    let session = usize::from(flight[43]);
    let extensions = 44 + session + 3;
    let at = (extensions + 2..flight.len())
        .find(|&at| flight[at..].starts_with(&[0, 0x17, 0, 0]))
        .expect("the extension");
    flight.drain(at..at + 4);
    for (high, low) in [(3, 4), (7, 8), (extensions, extensions + 1)] {
        let len = u16::from_be_bytes([flight[high], flight[low]]) - 4;
        flight[high..=low].copy_from_slice(&len.to_be_bytes());
    }
}

#[test]
fn a_server_without_extended_master_secret_is_refused() {
    let ca = Ca::new("ca");
    let config = ca.server("127.0.0.1").config(None);
    let (server_url, server) = listen_tls(1, config, |_| {});
    let (address, middle) = listen(1, move |mut near| {
        let mut far = dial(server_url.port());
        let mut buf = vec![0; 16 * 1024];
        let count = near.read(&mut buf).expect("a ClientHello");
        far.write_all(&buf[..count]).expect("passed on");
        let count = far.read(&mut buf).expect("a ServerHello");
        buf.truncate(count);
        strip_ems(&mut buf);
        near.write_all(&buf).expect("passed back");
        drop(near.read(&mut [0; 64]));
    });
    let error = client(settings(anchors(&ca), None))
        .connect(&url_of(address), Purpose::Call)
        .expect_err("refused");
    assert!(
        error.to_string().contains("ExtendedMasterSecret"),
        "{error}"
    );
    middle.join().expect("the middle");
    server.join().expect("the server");
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test is its own man in the middle"
)]
fn dial(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).expect("connected")
}

#[test]
fn a_server_that_speaks_no_tls_is_told_apart() {
    let (address, server) = listen(1, |mut stream| {
        drop(stream.read(&mut [0; 512]));
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .expect("written");
    });
    let error = client(settings(anchors(&Ca::new("ca")), None))
        .connect(&url_of(address), Purpose::Call)
        .expect_err("no TLS");
    assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
    server.join().expect("the server");
    let closed = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("known");
    let error = client(settings(anchors(&Ca::new("ca")), None))
        .connect(&url_of(closed), Purpose::Call)
        .expect_err("nobody there");
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
}

#[test]
fn the_certificate_seen_first_is_the_only_one_from_then_on() {
    let (first, second) = (Ca::new("first"), Ca::new("second"));
    let pin = Arc::new(OnceLock::new());
    // For another name and outside its validity: nobody vouches for a scanner's certificate.
    let year_later = NOW_MS + 400 * 24 * 3600 * 1000;
    let reach = |ca: &Ca, name: &str| {
        let (url, server) = listen_tls(1, ca.server(name).config(None), |_| {});
        let settings = settings(Roots::FirstSeen(Arc::clone(&pin)), None);
        let client = HttpClient::new(settings, None, Timeouts::default(), clocks_at(year_later));
        let limit = crate::http::Limit {
            total: Duration::from_secs(5),
            stall: Duration::from_secs(5),
        };
        let reached = client
            .expect("a client")
            .connect_device(&url, limit.total, limit)
            .map(drop);
        server.join().expect("the server");
        reached
    };
    assert_eq!(reach(&first, "scanner.example"), Ok(()));
    assert!(pin.get().is_some());
    let other = reach(&second, "127.0.0.1");
    assert!(
        matches!(other, Err(ConnectError::Untrusted { .. })),
        "{other:?}"
    );
}
