use std::io::ErrorKind;

use embedded_svc::http::client::{Client, Connection, Method};
use embedded_svc::http::{Headers as _, Status as _};
use embedded_svc::io::{Read as _, Write as _};
use proptest::prelude::*;

use super::PlainConnection;
use crate::testing::{Peer, Says};

type Conn = PlainConnection<Peer>;

fn get(conn: &mut Conn, path: &str) -> std::io::Result<(u16, String)> {
    conn.initiate_request(Method::Get, path, &[])?;
    conn.initiate_response()?;
    Ok((conn.status(), read_to_end(conn)?))
}

fn read_to_end(conn: &mut Conn) -> std::io::Result<String> {
    let mut body = Vec::new();
    let mut buf = [0; 7];
    loop {
        match conn.read(&mut buf)? {
            0 => return Ok(String::from_utf8_lossy(&body).into_owned()),
            count => body.extend_from_slice(&buf[..count]),
        }
    }
}

fn error_of(answer: &str) -> ErrorKind {
    get(&mut Peer::new(&[answer]).connect(), "/")
        .expect_err("an error")
        .kind()
}

#[test]
fn a_request_has_host_headers_and_length() {
    let peer = Peer::new(&["HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"]);
    let mut conn = peer.connect();
    let headers = [("X-One", "1"), ("content-length", "5")];
    conn.initiate_request(Method::Patch, "/a?b=c", &headers)
        .expect("begun");
    assert!(conn.is_request_initiated());
    conn.write_all(b"hello").expect("written");
    conn.initiate_response().expect("answered");
    assert_eq!(
        (conn.status(), conn.status_message()),
        (201, Some("Created"))
    );
    let heard = peer.heard();
    assert!(heard.starts_with("PATCH /a?b=c HTTP/1.1\r\n"), "{heard}");
    for part in [
        "host: localhost\r\n",
        "x-one: 1\r\n",
        "content-length: 5\r\n",
    ] {
        assert!(heard.contains(part), "{heard}");
    }
    assert!(heard.ends_with("\r\n\r\nhello"), "{heard}");
    assert!(!heard.contains("chunked"));
}

#[test]
fn a_method_with_a_body_always_has_a_length() {
    let peer = Peer::new(&["HTTP/1.1 204 No Content\r\n\r\n"]);
    let mut conn = peer.connect();
    conn.initiate_request(Method::Post, "/", &[])
        .expect("begun");
    conn.initiate_response().expect("answered");
    assert!(peer.heard().contains("content-length: 0\r\n"));
}

#[test]
fn more_or_less_body_than_declared_is_refused() {
    let answer = "HTTP/1.1 204 No Content\r\n\r\n";
    let mut conn = Peer::new(&[answer]).connect();
    conn.initiate_request(Method::Put, "/", &[("Content-Length", "3")])
        .expect("begun");
    assert_eq!(
        conn.write(b"four").expect_err("too much").kind(),
        ErrorKind::InvalidInput
    );

    let mut conn = Peer::new(&[answer]).connect();
    conn.initiate_request(Method::Put, "/", &[("Content-Length", "3")])
        .expect("begun");
    conn.write_all(b"no").expect("written");
    assert_eq!(
        conn.initiate_response().expect_err("too little").kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn a_large_body_passes_unchanged() {
    let peer = Peer::new(&["HTTP/1.1 204 No Content\r\n\r\n"]);
    let mut conn = peer.connect();
    let body = "0123456789".repeat(20_000);
    let len = body.len().to_string();
    conn.initiate_request(Method::Put, "/", &[("Content-Length", &len)])
        .expect("begun");
    let (small, rest) = body.as_bytes().split_at(10);
    let (large, rest) = rest.split_at(30_000);
    for piece in [small, large, &rest[..1], &rest[1..]] {
        conn.write_all(piece).expect("written");
    }
    conn.initiate_response().expect("answered");
    assert!(peer.heard().ends_with(&body));
}

#[test]
fn odd_requests_are_refused_without_a_panic() {
    let mut conn = Peer::new(&[]).connect();
    for path in [
        "",
        "a",
        "//other/",
        "https://other.example/",
        "http://localhostile/",
        "/a b",
    ] {
        assert!(
            conn.initiate_request(Method::Get, path, &[]).is_err(),
            "{path}"
        );
    }
    for header in [
        ("Bad Name", "1"),
        ("X", "a\r\nY: b"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "x"),
    ] {
        assert!(
            conn.initiate_request(Method::Post, "/", &[header]).is_err(),
            "{header:?}"
        );
    }
    assert!(conn.initiate_request(Method::Unlink, "/", &[]).is_err());
    let long = "x".repeat(20_000);
    assert!(
        conn.initiate_request(Method::Get, "/", &[("X", &long)])
            .is_err()
    );
    assert!(conn.initiate_response().is_err());
    assert!(conn.raw_connection().is_err());
}

#[test]
fn every_way_to_end_a_body_is_read() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5;x=y\r\nworld\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello world",
        "HTTP/1.0 200 OK\r\n\r\nhello world",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\
         Content-Length: 11\r\n\r\nhello world",
    ] {
        for peer in [Peer::new(&[answer]), Peer::slow(answer)] {
            let got = get(&mut peer.connect(), "/").expect(answer);
            assert_eq!(got, (200, "hello world".to_owned()), "{answer}");
        }
    }
}

#[test]
fn answers_without_a_body_end_at_once() {
    for (method, answer) in [
        (
            Method::Head,
            "HTTP/1.1 200 OK\r\nContent-Length: 500\r\nUpload-Offset: 7\r\n\r\n",
        ),
        (
            Method::Get,
            "HTTP/1.1 304 Not Modified\r\nUpload-Offset: 7\r\n\r\n",
        ),
        (
            Method::Delete,
            "HTTP/1.1 204 No Content\r\nUpload-Offset: 7\r\n\r\n",
        ),
    ] {
        let mut conn = Peer::new(&[answer]).connect();
        conn.initiate_request(method, "/", &[]).expect("begun");
        conn.initiate_response().expect("answered");
        assert_eq!(conn.header("upload-offset"), Some("7"));
        assert_eq!(read_to_end(&mut conn).expect("empty"), "");
    }
}

#[test]
fn a_redirect_is_an_answer_like_any_other() {
    let answer =
        "HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\nContent-Length: 2\r\n\r\nno";
    let got = get(&mut Peer::new(&[answer]).connect(), "/").expect("an answer");
    assert_eq!(got, (302, "no".to_owned()));
}

#[test]
fn truncated_and_malformed_answers_are_errors() {
    for answer in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        assert_eq!(error_of(answer), ErrorKind::UnexpectedEof, "{answer}");
    }
    for answer in [
        "HTTP/2 200 OK\r\n\r\n",
        "junk junk junk\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    ] {
        assert_eq!(error_of(answer), ErrorKind::InvalidData, "{answer}");
    }
}

#[test]
fn a_head_is_bounded_in_bytes_headers_and_interim_answers() {
    let huge = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(17_000));
    assert_eq!(error_of(&huge), ErrorKind::InvalidData);
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(200));
    assert_eq!(error_of(&many), ErrorKind::InvalidData);
    let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(100);
    assert_eq!(error_of(&interim), ErrorKind::InvalidData);
}

#[test]
fn a_connection_is_kept_between_requests() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let peer = Peer::new(&[answer, answer]);
    let mut conn = peer.connect();
    assert_eq!(get(&mut conn, "/1").expect("first").1, "ok");
    assert_eq!(get(&mut conn, "/2").expect("second").1, "ok");
    assert!(get(&mut conn, "/3").is_err());
}

#[test]
fn a_connection_is_not_kept_when_it_must_not_be() {
    for first in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad",
    ] {
        let second = Peer::new(&["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew"]);
        let mut conn = PlainConnection::over_each(vec![Peer::new(&[first]), second.clone()]);
        assert_eq!(get(&mut conn, "/1").expect("first").1, "ok");
        assert_eq!(get(&mut conn, "/2").expect("second").1, "new", "{first}");
        assert!(second.heard().starts_with("GET /2 "));
    }
}

#[test]
fn an_unread_answer_is_drained_when_small_and_dropped_when_not() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let small = "HTTP/1.1 500 Oh\r\nContent-Length: 20000\r\n\r\n".to_owned() + &"x".repeat(20_000);
    let mut conn = PlainConnection::over_each(vec![Peer::new(&[&small, ok]), Peer::new(&[])]);
    conn.initiate_request(Method::Get, "/", &[]).expect("begun");
    conn.initiate_response().expect("answered");
    assert!(conn.is_response_initiated());
    assert_eq!(get(&mut conn, "/").expect("the same connection").1, "ok");

    let big = "HTTP/1.1 500 Oh\r\nContent-Length: 900000\r\n\r\n".to_owned() + &"x".repeat(900_000);
    let mut conn = PlainConnection::over_each(vec![Peer::new(&[&big]), Peer::new(&[ok])]);
    conn.initiate_request(Method::Get, "/", &[]).expect("begun");
    conn.initiate_response().expect("answered");
    assert_eq!(get(&mut conn, "/").expect("another connection").1, "ok");
}

#[test]
fn a_dead_kept_connection_is_replaced_once() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for end in [None, Some(ErrorKind::ConnectionReset)] {
        let mut says = vec![Says::Bytes(ok.as_bytes().to_vec())];
        says.extend(end.map(Says::Fails));
        let second = Peer::new(&[ok]);
        let mut conn = PlainConnection::over_each(vec![Peer::script(says), second.clone()]);
        get(&mut conn, "/1").expect("first");
        conn.initiate_request(Method::Post, "/2", &[("Content-Length", "4")])
            .expect("begun");
        conn.write_all(b"body").expect("written");
        conn.initiate_response().expect("answered by the second");
        assert!(second.heard().starts_with("POST /2 ") && second.heard().ends_with("\r\n\r\nbody"));
        assert_eq!(second.heard().matches("POST").count(), 1);
    }
}

#[test]
fn the_first_request_to_a_device_is_sent_once() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let silent = Peer::script(vec![Says::Fails(ErrorKind::ConnectionReset)]);
    let second = Peer::new(&[ok]);
    let mut conn = PlainConnection::over_fresh(silent, vec![second.clone()]);
    assert!(get(&mut conn, "/1").is_err());
    assert_eq!(second.heard(), "");
    // One that has served a request is kept as any other.
    let says = vec![
        Says::Bytes(ok.as_bytes().to_vec()),
        Says::Fails(ErrorKind::ConnectionReset),
    ];
    let mut conn = PlainConnection::over_fresh(Peer::script(says), vec![second]);
    get(&mut conn, "/1").expect("first");
    get(&mut conn, "/2").expect("answered by the second");
}

#[test]
fn nothing_is_sent_again_once_an_answer_began_or_the_body_was_large() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let second = Peer::new(&[ok]);
    let mut conn = PlainConnection::over_each(vec![Peer::new(&[ok, "HTTP/1.1 2"]), second.clone()]);
    get(&mut conn, "/1").expect("first");
    assert!(get(&mut conn, "/2").is_err());
    assert_eq!(second.heard(), "");

    let mut conn = PlainConnection::over_each(vec![Peer::new(&[ok]), second.clone()]);
    get(&mut conn, "/1").expect("first");
    let body = vec![0; 100_000];
    conn.initiate_request(Method::Put, "/2", &[("Content-Length", "100000")])
        .expect("begun");
    conn.write_all(&body).expect("written");
    assert_eq!(
        conn.initiate_response().expect_err("lost").kind(),
        ErrorKind::UnexpectedEof
    );
    assert_eq!(second.heard(), "");
}

#[test]
fn a_timeout_is_no_reason_to_send_again() {
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
    let first = Peer::script(vec![Says::Bytes(ok), Says::Fails(ErrorKind::TimedOut)]);
    let second = Peer::new(&[]);
    let mut conn = PlainConnection::over_each(vec![first, second.clone()]);
    get(&mut conn, "/1").expect("first");
    assert_eq!(
        get(&mut conn, "/2").expect_err("late").kind(),
        ErrorKind::TimedOut
    );
    assert_eq!(second.heard(), "");
}

#[test]
fn an_answer_given_before_the_body_was_taken_is_found() {
    let early = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno";
    let peer = Peer::new(&[early]).deaf_after(1);
    let mut conn = peer.connect();
    conn.initiate_request(Method::Put, "/", &[("Content-Length", "100000")])
        .expect("begun");
    conn.write_all(&[0; 50_000]).expect("taken");
    conn.write_all(&[0; 50_000]).expect("taken");
    conn.initiate_response().expect("the early answer");
    assert_eq!(
        (conn.status(), read_to_end(&mut conn).expect("read")),
        (413, "no".to_owned())
    );
    assert!(
        get(&mut conn, "/").is_err(),
        "the connection is not used again"
    );
}

#[test]
fn a_request_begun_over_an_unfinished_one_takes_another_connection() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let first = Peer::new(&[ok]);
    let mut conn = PlainConnection::over_each(vec![first.clone(), Peer::new(&[ok])]);
    conn.initiate_request(Method::Put, "/", &[("Content-Length", "9")])
        .expect("begun");
    conn.write_all(b"half").expect("written");
    assert_eq!(get(&mut conn, "/").expect("answered").1, "ok");
    assert!(!first.heard().contains("GET"));
}

#[test]
fn a_hostile_length_does_not_panic_and_client_can_wrap_again() {
    let mut conn = Peer::new(&["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]).connect();
    get(&mut conn, "/").expect("answered");
    assert!(Client::wrap(&mut conn).get("/").is_ok());
    assert_eq!(
        error_of("HTTP/1.1 200 OK\r\nContent-Length: a\r\n\r\n"),
        ErrorKind::InvalidData
    );
}

proptest! {
    #[test]
    fn no_bytes_from_the_other_side_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        prefix in prop::sample::select(vec![
            "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello",
        ]),
        cut in 1usize..50,
    ) {
        let all = [prefix.as_bytes(), &bytes].concat();
        let says = all.chunks(cut).map(|piece| Says::Bytes(piece.to_vec())).collect();
        let mut conn = Peer::script(says).connect();
        drop(get(&mut conn, "/"));
        drop(get(&mut conn, "/"));
    }
}
