//! Hostile and ordinary HTTP against the server's connection.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::*;

/// Gives the parts one read after the other, then ends; notes what is written.
#[derive(Debug, Clone, Default)]
struct Script {
    parts: VecDeque<Vec<u8>>,
    stalls: bool,
    written: Arc<Mutex<Vec<u8>>>,
}

impl io::Read for Script {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(mut part) = self.parts.pop_front() else {
            let stalled = Err(ErrorKind::TimedOut.into());
            return if self.stalls { stalled } else { Ok(0) };
        };
        let take = part.len().min(buf.len());
        buf[..take].copy_from_slice(&part[..take]);
        let rest = part.split_off(take);
        if !rest.is_empty() {
            self.parts.push_front(rest);
        }
        Ok(take)
    }
}

impl io::Write for Script {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.written.lock().unwrap().extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Script {
    fn limit(&mut self, _limit: Limit) {}

    fn is_open(&mut self) -> bool {
        true
    }
}

/// Answers with method, address and body.
struct Echo;

impl Handler<ServerConnection<Script>> for Echo {
    type Error = io::Error;

    fn handle(&self, connection: &mut ServerConnection<Script>) -> io::Result<()> {
        let mut body = format!("{:?} {} ", connection.method(), connection.uri()).into_bytes();
        let mut buffer = [0; 7];
        loop {
            match connection.read(&mut buffer)? {
                0 => break,
                read => body.extend_from_slice(&buffer[..read]),
            }
        }
        let len = body.len().to_string();
        connection.initiate_response(200, None, &[("Content-Length", &len)])?;
        connection.exchange.write_all_of(&body)
    }
}

fn served(script: Script) -> String {
    let written = Arc::clone(&script.written);
    serve(script, &Echo);
    let written = written.lock().unwrap();
    String::from_utf8_lossy(&written).into_owned()
}

fn serve_parts(parts: &[&[u8]]) -> String {
    served(Script {
        parts: parts.iter().map(|part| part.to_vec()).collect(),
        ..Script::default()
    })
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn requests_come_one_after_the_other() {
    let two = b"GET /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyz";
    assert_eq!(serve_parts(&[two]), ok("Get /a ") + &ok("Post /b xyz"));
}

#[test]
fn request_may_come_byte_by_byte() {
    let request = b"POST /b HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123456789";
    let parts: Vec<&[u8]> = request.chunks(1).collect();
    assert_eq!(serve_parts(&parts), ok("Post /b 0123456789"));
}

#[test]
fn connection_ends_when_asked() {
    let answer =
        serve_parts(&[b"GET /a HTTP/1.1\r\nconnection: Close\r\n\r\nGET /b HTTP/1.1\r\n\r\n"]);
    assert!(
        answer.contains("Connection: close") && !answer.contains("/b"),
        "{answer}"
    );
    assert!(serve_parts(&[b"GET /a HTTP/1.0\r\n\r\n"]).contains("Connection: close"));
}

#[test]
fn broken_requests_are_refused() {
    for (request, status) in [
        (&b"\x16\x03\x01\x02\x00hello\r\n\r\n"[..], "400"),
        (b"GET /a HTTP/2\r\n\r\n", "400"),
        (b"GET  /a HTTP/1.1\r\n\r\n", "400"),
        (b"GET /a HTTP/1.1\r\nno colon\r\n\r\n", "400"),
        (b"GET /a HTTP/1.1\r\nx: \xff\r\n\r\n", "400"),
        (b"GET /a HTTP/1.1\r\na: b\r\n folded\r\n\r\n", "400"),
        (b"BREW /a HTTP/1.1\r\n\r\n", "501"),
        (b"POST /a HTTP/1.1\r\n\r\n", "411"),
        (
            b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "411",
        ),
        (b"POST /a HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"),
        (b"POST /a HTTP/1.1\r\nContent-Length: +1\r\n\r\nx", "400"),
        (b"POST /a HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\nx", "400"),
        (
            b"POST /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            "400",
        ),
        (
            b"POST /a HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nx",
            "400",
        ),
    ] {
        let answer = serve_parts(&[request]);
        let text = String::from_utf8_lossy(request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{text}: {answer}"
        );
        assert!(answer.contains("Connection: close\r\n"), "{text}");
        assert_eq!(answer.matches("Content-Length: ").count(), 1, "{text}");
    }
}

#[test]
fn head_is_limited() {
    let long = format!(
        "GET /a HTTP/1.1\r\nx: {}\r\n\r\n",
        "y".repeat(HEAD_BYTES_MAX)
    );
    assert!(serve_parts(&[long.as_bytes()]).starts_with("HTTP/1.1 431 "));
    let many = format!("GET /a HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(65));
    assert!(serve_parts(&[many.as_bytes()]).starts_with("HTTP/1.1 431 "));
    let just = format!("GET /a HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(64));
    assert!(serve_parts(&[just.as_bytes()]).starts_with("HTTP/1.1 200 "));
}

#[test]
fn cut_off_request_gets_no_answer() {
    assert_eq!(serve_parts(&[]), "");
    assert_eq!(serve_parts(&[b"GET /a HT"]), "");
    let answer = serve_parts(&[b"POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\nshort"]);
    assert!(
        answer.starts_with("HTTP/1.1 500 ") && answer.contains("close"),
        "{answer}"
    );
}

#[test]
fn slow_head_is_told_and_a_rest_is_not() {
    let stalling = |parts: &[&[u8]]| {
        served(Script {
            parts: parts.iter().map(|part| part.to_vec()).collect(),
            stalls: true,
            ..Script::default()
        })
    };
    assert!(stalling(&[b"GET /a"]).starts_with("HTTP/1.1 408 "));
    assert_eq!(stalling(&[]), "");
    assert_eq!(stalling(&[b"GET /a HTTP/1.1\r\n\r\n"]), ok("Get /a "));
}

#[test]
fn unread_body_does_not_become_a_request() {
    struct Deaf;
    impl Handler<ServerConnection<Script>> for Deaf {
        type Error = io::Error;

        fn handle(&self, connection: &mut ServerConnection<Script>) -> io::Result<()> {
            connection.initiate_response(204, None, &[])
        }
    }
    let body = "GET /evil HTTP/1.1\r\n\r\n";
    let request = format!(
        "POST /a HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let script = Script {
        parts: [request.into_bytes()].into(),
        ..Script::default()
    };
    let written = Arc::clone(&script.written);
    serve(script, &Deaf);
    assert_eq!(*written.lock().unwrap(), b"HTTP/1.1 204 No Content\r\n\r\n");
}

#[test]
fn answer_headers_cannot_be_forged() {
    let mut connection = ServerConnection::new(Script {
        parts: [b"GET /a HTTP/1.1\r\n\r\n".to_vec()].into(),
        ..Script::default()
    });
    assert!(connection.next_request().unwrap());
    let forged = connection.initiate_response(200, None, &[("x", "a\r\ny: b")]);
    assert!(forged.is_err() && !connection.is_response_initiated());
}

#[test]
fn answer_is_no_longer_than_told() {
    let mut connection = ServerConnection::new(Script {
        parts: [b"GET /a HTTP/1.1\r\n\r\n".to_vec()].into(),
        ..Script::default()
    });
    assert!(connection.next_request().unwrap());
    connection
        .initiate_response(200, None, &[("Content-Length", "2")])
        .unwrap();
    assert_eq!(connection.write(b"abc").unwrap(), 2);
    assert!(connection.write(b"d").is_err());
    assert!(connection.finish());
}

#[test]
fn what_was_used_is_wiped() {
    let mut connection = ServerConnection::new(Script {
        parts: [b"POST /a HTTP/1.1\r\nContent-Length: 6\r\n\r\nSECRET".to_vec()].into(),
        ..Script::default()
    });
    assert!(connection.next_request().unwrap());
    let mut buffer = [0; 6];
    assert_eq!(connection.read(&mut buffer).unwrap(), 6);
    let input = &mut connection.exchange.input;
    let len = input.capacity().min(100);
    input.resize(len, b'.');
    assert!(!input.windows(6).any(|part| part == b"SECRET"));
}
