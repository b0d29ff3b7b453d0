use std::io::{self, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use embedded_svc::http::Status as _;
use embedded_svc::http::client::{Connection as _, Method};
use embedded_svc::io::Read as _;

use super::*;
use crate::testing::tls::{
    Ca, NOW_MS, client, clocks_at, listen, listen_tls, read_request, settings, url_of,
};
use crate::tls::Roots;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\
    Date: Sun, 22 Nov 2026 18:40:02 GMT\r\n\r\nok";

fn get(conn: &mut HttpsConnection, path: &str) -> io::Result<u16> {
    conn.initiate_request(Method::Get, path, &[])?;
    conn.initiate_response()?;
    let mut body = [0; 8];
    while conn.read(&mut body)? > 0 {}
    Ok(conn.status())
}

fn trusting(ca: &Ca) -> TlsSettings {
    settings(Roots::Anchors(vec![ca.der.clone()]), None)
}

/// A server of `ca` that answers `requests` on each of `connections`.
fn serve(ca: &Ca, connections: usize, requests: usize) -> (BaseUrl, JoinHandle<()>) {
    listen_tls(
        connections,
        ca.server("127.0.0.1").config(None),
        move |stream| {
            for _ in 0..requests {
                if read_request(stream).is_ok_and(|request| !request.is_empty()) {
                    stream.write_all(OK).expect("answered");
                }
            }
        },
    )
}

#[test]
fn an_address_needs_no_lookup_and_one_of_a_link_keeps_its_interface() {
    for (url, address) in [
        ("http://10.0.0.9/", "10.0.0.9:80"),
        ("https://[fd00::1]/", "[fd00::1]:443"),
        ("http://[fe80::1%2]:8080/", "[fe80::1%2]:8080"),
    ] {
        let uri: Uri = url.parse().expect(url);
        let found = Resolve.resolve(&uri, &Config::default(), next(Duration::ZERO));
        let expected: SocketAddr = address.parse().expect(address);
        assert_eq!(found.expect(url)[..], [expected]);
    }
}

#[test]
fn tls_to_an_address_of_a_link_names_no_interface() {
    let ca = Ca::new("ca");
    client(trusting(&ca))
        .handshaker("fe80::1%2")
        .expect("a handshake");
}

#[test]
fn a_server_at_its_limit_is_heard_before_any_handshake() {
    let (address, server) = listen(1, |mut stream| {
        // The hello is on its way or here already, and stays unread.
        let told = b"HTTP/1.1 503 Busy\r\nRetry-After: 17\r\nConnection: close\r\n\r\n";
        stream.write_all(told).expect("told");
    });
    let ca = Ca::new("ca");
    let error = client(trusting(&ca))
        .connect(&url_of(address), Purpose::Call)
        .expect_err("turned away");
    let after = Duration::from_secs(17);
    let host = "127.0.0.1".to_owned();
    assert_eq!(error, ConnectError::Busy { host, after });
    server.join().expect("the server");
}

#[test]
fn a_connection_is_kept_and_opened_again_when_the_server_has_closed() {
    let ca = Ca::new("ca");
    let (url, server) = serve(&ca, 2, 2);
    let mut conn = client(trusting(&ca))
        .connect(&url, Purpose::Call)
        .expect("connected");
    for path in ["/1", "/2", "/3", "/4"] {
        assert_eq!(get(&mut conn, path).expect(path), 200);
        assert!(conn.tls_info().is_some());
    }
    assert_eq!(conn.url(), &url);
    drop(conn);
    server.join().expect("the server");
}

#[test]
fn the_date_of_the_server_is_told() {
    let ca = Ca::new("ca");
    let (url, server) = serve(&ca, 1, 1);
    let mut conn = client(trusting(&ca)).lazy(&url, Purpose::Call);
    assert_eq!((conn.server_date(), conn.tls_info()), (None, None));
    get(&mut conn, "/").expect("answered");
    assert_eq!(conn.server_date(), Some(1_795_372_802_000));
    drop(conn);
    server.join().expect("the server");
}

#[test]
fn a_lazy_connection_tells_why_it_cannot_open() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let (url, server) = serve(&ca, 1, 0);
    let mut conn = client(trusting(&other)).lazy(&url, Purpose::Call);
    let error = get(&mut conn, "/").expect_err("refused");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    let cause = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<ConnectError>());
    assert!(
        matches!(cause, Some(ConnectError::Untrusted { .. })),
        "{error}"
    );
    server.join().expect("the server");
}

#[test]
fn measuring_counts_from_after_the_look_up() {
    let ca = Ca::new("ca");
    let (url, server) = serve(&ca, 1, 0);
    let ticks = std::sync::atomic::AtomicU64::new(0);
    let boot =
        move || Duration::from_millis(ticks.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let clocks = Clocks {
        boot: Arc::new(boot),
        ..clocks_at(NOW_MS)
    };
    let client =
        HttpClient::new(trusting(&ca), None, Timeouts::default(), clocks).expect("a client");
    let took = client.measure(&url).expect("measured");
    assert!((1..1000).contains(&took.as_millis()), "{took:?}");
    server.join().expect("the server");
}

/// Passes bytes both ways until either side closes.
fn relay(near: TcpStream, far: TcpStream) {
    let (mut near_in, mut far_out) = (
        near.try_clone().expect("cloned"),
        far.try_clone().expect("cloned"),
    );
    let up = std::thread::spawn(move || {
        drop(io::copy(&mut near_in, &mut far_out));
        drop(far_out.shutdown(std::net::Shutdown::Write));
    });
    let (mut far_in, mut near_out) = (far, near);
    drop(io::copy(&mut far_in, &mut near_out));
    drop(near_out.shutdown(std::net::Shutdown::Both));
    up.join().expect("relayed");
}

#[expect(clippy::disallowed_methods, reason = "the test is its own proxy")]
fn dial(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).expect("connected")
}

fn through(ca: &Ca, proxy: &str, timeouts: Timeouts) -> HttpClient {
    HttpClient::new(trusting(ca), Some(proxy), timeouts, clocks_at(NOW_MS)).expect("a client")
}

#[test]
fn a_connect_proxy_is_passed_by_name() {
    let ca = Ca::new("ca");
    // The name has no address here: only the proxy resolves it.
    let config = ca.server("cloud.invalid").config(None);
    let (server_url, server) = listen_tls(1, config, |stream| {
        read_request(stream).expect("a request");
        stream.write_all(OK).expect("answered");
    });
    let (address, proxy) = listen(1, move |mut near| {
        let request = read_request(&mut near).expect("a request");
        assert!(
            request.starts_with("CONNECT cloud.invalid:8443 HTTP/1.1\r\n"),
            "{request}"
        );
        near.write_all(b"HTTP/1.1 200 OK\r\n\r\n")
            .expect("answered");
        relay(near, dial(server_url.port()));
    });
    let client = through(&ca, &format!("http://{address}"), Timeouts::default());
    let url = BaseUrl::parse("https://cloud.invalid:8443").expect("a URL");
    let mut conn = client.connect(&url, Purpose::Call).expect("connected");
    assert_eq!(get(&mut conn, "/").expect("answered"), 200);
    drop(conn);
    proxy.join().expect("the proxy");
    server.join().expect("the server");
}

#[test]
fn a_proxy_that_refuses_is_named() {
    let (address, proxy) = listen(1, |mut near| {
        read_request(&mut near).expect("a request");
        near.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            .expect("answered");
    });
    let client = through(
        &Ca::new("ca"),
        &format!("http://{address}"),
        Timeouts::default(),
    );
    let url = BaseUrl::parse("https://cloud.invalid").expect("a URL");
    let error = client.connect(&url, Purpose::Call).expect_err("refused");
    assert!(matches!(error, ConnectError::Proxy { .. }), "{error}");
    assert!(error.to_string().contains("403"), "{error}");
    proxy.join().expect("the proxy");
}

#[test]
fn only_a_plain_http_proxy_is_accepted() {
    for proxy in ["https://p:1", "socks5://p:1", "p:1", "http://"] {
        let made = HttpClient::new(
            trusting(&Ca::new("ca")),
            Some(proxy),
            Timeouts::default(),
            clocks_at(0),
        );
        assert_eq!(made.expect_err(proxy), TlsSettingsError::Proxy);
    }
}

#[test]
fn a_name_without_an_address_is_told() {
    let client = client(trusting(&Ca::new("ca")));
    let url = BaseUrl::parse("https://cloud.invalid").expect("a URL");
    let error = client
        .connect(&url, Purpose::Call)
        .expect_err("no such name");
    assert!(
        matches!(error, ConnectError::NameNotFound { .. }),
        "{error}"
    );
}

#[test]
fn a_silent_server_is_not_waited_for_for_ever() {
    let ca = Ca::new("ca");
    let (address, server) = listen(1, |mut stream| {
        drop(io::Read::read_to_end(&mut stream, &mut Vec::new()));
    });
    let timeouts = Timeouts {
        connect: Duration::from_millis(50),
        ..Timeouts::default()
    };
    let client =
        HttpClient::new(trusting(&ca), None, timeouts, clocks_at(NOW_MS)).expect("a client");
    let error = client
        .connect(&url_of(address), Purpose::Call)
        .expect_err("too late");
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
    server.join().expect("the server");
}

#[test]
fn a_stalled_answer_ends_by_the_purpose_and_the_whole_by_its_total() {
    let ca = Ca::new("ca");
    let config = ca.server("127.0.0.1").config(None);
    let (url, server) = listen_tls(2, config, |stream| {
        read_request(stream).expect("a request");
        drop(read_request(stream));
    });
    let stall = Timeouts {
        stall: Duration::from_millis(50),
        ..Timeouts::default()
    };
    let total = Timeouts {
        call: Duration::from_millis(50),
        ..Timeouts::default()
    };
    for timeouts in [stall, total] {
        let client =
            HttpClient::new(trusting(&ca), None, timeouts, clocks_at(NOW_MS)).expect("a client");
        let mut conn = client.connect(&url, Purpose::Call).expect("connected");
        let error = get(&mut conn, "/").expect_err("too late");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    }
    server.join().expect("the server");
}

#[test]
fn a_poll_may_be_silent_for_its_wait_and_no_other_call() {
    let timeouts = Timeouts::default();
    let wait = Duration::from_secs(60);
    assert!(timeouts.limit_for(Purpose::Poll { wait }).stall > wait);
    assert!(timeouts.limit_for(Purpose::Call).stall < wait);
    assert!(timeouts.limit_for(Purpose::Upload).stall < wait);
    assert!(timeouts.connect_for(Purpose::Measure) < timeouts.connect_for(Purpose::Call));
}

#[test]
fn a_large_body_passes_tls_unchanged() {
    let ca = Ca::new("ca");
    let body: Vec<u8> = (0..1_000_000_u32).map(|at| at.to_le_bytes()[1]).collect();
    let sent = body.clone();
    let (url, server) = listen_tls(1, ca.server("127.0.0.1").config(None), move |stream| {
        read_request(stream).expect("a request");
        let mut received = vec![0; sent.len()];
        io::Read::read_exact(stream, &mut received).expect("the body");
        assert!(received == sent);
        stream.write_all(OK).expect("answered");
    });
    let mut conn = client(trusting(&ca))
        .connect(&url, Purpose::Upload)
        .expect("connected");
    conn.initiate_request(Method::Put, "/", &[("Content-Length", "1000000")])
        .expect("begun");
    for piece in body.chunks(16 * 1024) {
        embedded_svc::io::Write::write_all(&mut conn, piece).expect("written");
    }
    conn.initiate_response().expect("answered");
    assert_eq!(conn.status(), 200);
    drop(conn);
    server.join().expect("the server");
}
