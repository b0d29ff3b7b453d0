//! The device listener seen from outside: who gets how far, over a real socket.

use std::net::SocketAddr;
use std::process::Output;
use std::time::Duration;

use rustls::HandshakeKind;
use scantrip_tests::peer::{Peer, status};
use scantrip_tests::program;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use crate::attack;
use crate::world::{World, words};

/// Every route that needs a device, with a method that it takes.
const DEVICE_ROUTES: &[(&str, &str)] = &[
    ("POST", "/.well-known/est/simplereenroll"),
    ("GET", "/v1/device/desired"),
    ("POST", "/v1/device/reports"),
    ("POST", "/v1/device/uploads"),
    ("HEAD", "/v1/device/uploads/0000"),
    ("PATCH", "/v1/device/uploads/0000"),
    ("DELETE", "/v1/device/uploads/0000"),
    (
        "PUT",
        "/v1/device/jobs/00000000-0000-4000-8000-000000000000",
    ),
    (
        "DELETE",
        "/v1/device/jobs/00000000-0000-4000-8000-000000000000",
    ),
    ("GET", "/v1/device/jobs?after=0"),
    ("GET", "/v1/device/receipts?after=0"),
];

fn enrolled<'a>(world: &'a World, name: &'static str) -> Peer<'a> {
    let peer = Peer::new(&world.stage, name);
    let code = world.stage.enrollment_code().expect("a code");
    let answer = peer.enroll(name, &code);
    assert_eq!(status(&answer), "200", "{}", words(&answer));
    peer
}

fn expect_problem(output: &Output, code: &str, name: &str) {
    assert_eq!(status(output), code, "{}", words(output));
    let text = words(output);
    assert!(
        text.contains(&format!("urn:scantrip:problem:{name}")),
        "{text}"
    );
}

#[test]
fn a_device_enrolled_by_curl_polls_over_tls_1_2_with_ecdhe_and_aead() {
    let world = World::new();
    let peer = enrolled(&world, "curl-device");
    let answer = peer.request(&["-v"], "/v1/device/desired");
    assert_eq!(status(&answer), "200", "{}", words(&answer));
    let text = words(&answer);
    assert!(
        text.contains("TLSv1.2") && text.contains("ECDHE-") && text.contains("GCM"),
        "{text}"
    );
}

#[test]
fn no_certificate_reaches_only_the_open_routes() {
    let world = World::new();
    let peer = Peer::new(&world.stage, "nobody");
    assert_eq!(status(&peer.curl(&[], "/v1/entry-points")), "200");
    assert_eq!(status(&peer.curl(&[], "/.well-known/est/cacerts")), "200");
    for (method, path) in DEVICE_ROUTES {
        let method = if *method == "HEAD" {
            vec!["-I"]
        } else {
            vec!["-X", method]
        };
        let answer = peer.curl(&method, path);
        assert_eq!(status(&answer), "401", "{path}: {}", words(&answer));
    }
}

#[test]
fn a_certificate_of_another_ca_ends_the_handshake() {
    let world = World::new();
    let peer = Peer::new(&world.stage, "stranger");
    peer.openssl(&[
        "req",
        "-x509",
        "-new",
        "-key",
        &peer.file("key.pem"),
        "-subj",
        "/CN=device",
        "-days",
        "30",
        "-out",
        &peer.file("cert.pem"),
    ]);
    let answer = peer.request(&[], "/v1/entry-points");
    assert_eq!(status(&answer), "000", "{}", words(&answer));
    assert!(words(&answer).contains("alert"), "{}", words(&answer));
}

#[test]
fn a_revoked_device_is_refused_within_a_second_on_every_route() {
    let world = World::new();
    let peer = enrolled(&world, "revoked");
    assert_eq!(status(&peer.request(&[], "/v1/device/desired")), "200");
    let devices = world.cloud_json(&["device", "list"]);
    let id = devices
        .pointer("/0/device")
        .and_then(|id| id.as_str())
        .expect("a device");
    world.cloud_json(&["device", "revoke", id]);
    // Fresh within one second is the contract; curl's own start is part of that second.
    let answer = peer.request(
        &["--retry", "1", "--retry-delay", "1"],
        "/v1/device/desired",
    );
    expect_problem(&answer, "403", "device-revoked");
    expect_problem(&peer.renew(), "403", "device-revoked");
}

#[test]
fn a_resumed_session_of_a_revoked_device_is_refused_within_a_second() {
    let world = World::new();
    let ca = attack::der(
        &world,
        &world.folder().join("cloud/ca.pem").display().to_string(),
    );
    let device = attack::device(&world, "resumed", &ca);
    let address = attack::cloud_address(&world);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let poll = || runtime.block_on(poll_once(address, &device));
    let (kind, answer) = poll();
    assert_eq!(kind, Some(HandshakeKind::Full));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let (kind, answer) = poll();
    assert_eq!(kind, Some(HandshakeKind::Resumed));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    let devices = world.cloud_json(&["device", "list"]);
    let id = devices
        .pointer("/0/device")
        .and_then(|id| id.as_str())
        .expect("a device");
    world.cloud_json(&["device", "revoke", id]);
    // The contract grants the cloud one second to hear of it.
    runtime.block_on(async { tokio::time::sleep(Duration::from_secs(1)).await });
    let (kind, answer) = poll();
    assert_eq!(kind, Some(HandshakeKind::Resumed));
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

/// A poll over a new connection: how its handshake went, and the beginning of the answer.
async fn poll_once(address: SocketAddr, device: &TlsConnector) -> (Option<HandshakeKind>, String) {
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("a way in");
    let mut stream = scantrip_tests::attack::handshake(device, stream)
        .await
        .expect("TLS");
    let kind = stream.get_ref().1.handshake_kind();
    stream
        .write_all(b"GET /v1/device/desired HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .expect("an open connection");
    let mut buffer = [0; 1024];
    let length = stream.read(&mut buffer).await.expect("an answer");
    let answer = buffer.get(..length).unwrap_or_default();
    (kind, String::from_utf8_lossy(answer).into_owned())
}

#[test]
fn a_certificate_expired_300_days_may_renew_and_nothing_else() {
    let last_year = program::clock_off_by("-390d").expect("faketime");
    let mut world = World::at(last_year.clone());
    let code = world.stage.enrollment_code().expect("a code");
    let answer = Peer::new(&world.stage, "summer")
        .at(last_year)
        .enroll("summer", &code);
    assert_eq!(status(&answer), "200", "{}", words(&answer));

    world.stage.serve_today().expect("a cloud of today");
    let peer = Peer::again(&world.stage, "summer");
    expect_problem(
        &peer.request(&[], "/v1/device/desired"),
        "403",
        "certificate-expired",
    );
    let answer = peer.renew();
    assert_eq!(status(&answer), "200", "{}", words(&answer));
    assert_eq!(status(&peer.request(&[], "/v1/device/desired")), "200");
}

#[test]
fn tls_1_0_tls_1_1_cbc_suites_and_no_extended_master_secret_are_refused() {
    let world = World::new();
    let peer = Peer::new(&world.stage, "old");
    let good = peer.s_client(&["-tls1_2", "-cipher", "ECDHE"], "");
    assert!(
        words(&good).contains("Extended master secret: yes"),
        "{}",
        words(&good)
    );
    let weak = "DEFAULT:@SECLEVEL=0";
    refused(&peer.s_client(&["-tls1", "-cipher", weak], ""));
    refused(&peer.s_client(&["-tls1_1", "-cipher", weak], ""));
    let cbc = "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA";
    refused(&peer.s_client(&["-tls1_2", "-cipher", cbc], ""));
    refused(&peer.s_client(&["-tls1_2"], NO_EXTENDED_MASTER_SECRET));
}

const NO_EXTENDED_MASTER_SECRET: &str = "openssl_conf = init\n[init]\nssl_conf = ssl\n\
    [ssl]\nsystem_default = client\n[client]\nOptions = -ExtendedMasterSecret\n";

/// A refused handshake: an alert from the server, and no cipher agreed on.
fn refused(output: &Output) {
    let text = words(output);
    let alert = text.contains("alert handshake failure") || text.contains("alert protocol version");
    assert!(alert && text.contains("Cipher is (NONE)"), "{text}");
}
