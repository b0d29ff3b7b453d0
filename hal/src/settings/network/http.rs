//! As much of HTTP/1.1 as one question needs.

/// Largest answer that is read; what is asked for is far smaller.
pub(super) const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// An answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    pub(super) body: Vec<u8>,
}

pub(super) fn get(host: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").into_bytes()
}

pub(super) fn post(host: &str, path: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Reads what has come; `None` while more must come. `at_end`: nothing more will.
pub(super) fn answer(mut bytes: &[u8], at_end: bool) -> Option<Answer> {
    // Any number of `100 Continue` may come first.
    let (status, head, body) = loop {
        let end = bytes.windows(4).position(|it| it == b"\r\n\r\n")?;
        let (head, rest) = bytes.split_at_checked(end)?;
        let body = rest.get(4..)?;
        let head = String::from_utf8_lossy(head);
        let status = head.lines().next()?.strip_prefix("HTTP/1.")?.get(2..5)?;
        match status.parse().ok()? {
            100 => bytes = body,
            status => break (status, head, body),
        }
    };
    let (mut length, mut chunked, mut location) = (None, false, None);
    for line in head.lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse::<usize>().ok(),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "location" => location = Some(value.to_owned()),
            _ => {}
        }
    }
    let body = if chunked {
        unchunked(body)?
    } else {
        match length {
            Some(length) => body.get(..length)?.to_vec(),
            None if at_end => body.to_vec(),
            None => return None,
        }
    };
    Some(Answer {
        status,
        location,
        body,
    })
}

/// The body of an answer in chunks; `None` when its last one has not come.
fn unchunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|it| it == b"\r\n")?;
        let (line, rest) = bytes.split_at_checked(end)?;
        let size = str::from_utf8(line).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(2..)?.get(..size)?);
        bytes = rest.get(2..)?.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_ends_where_it_says() {
        let sized = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd";
        assert_eq!(answer(sized, false).unwrap().body, b"abc");
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n";
        assert_eq!(answer(chunked, false).unwrap().body, b"abc");
        let open = b"HTTP/1.0 200 OK\r\n\r\nabc";
        assert_eq!(answer(open, false), None);
        assert_eq!(answer(open, true).unwrap().body, b"abc");
    }

    #[test]
    fn a_redirect_tells_where_to() {
        let bytes = b"HTTP/1.1 301 Moved\r\nlocation: https://x/\r\nContent-Length: 0\r\n\r\n";
        let answer = answer(bytes, false).unwrap();
        assert_eq!(
            (answer.status, answer.location.unwrap().as_str()),
            (301, "https://x/")
        );
    }

    #[test]
    fn any_number_of_continues_before_an_answer_does_no_harm() {
        let mut bytes = b"HTTP/1.1 100\r\n\r\n".repeat(ANSWER_BYTES_MAX / 16);
        assert_eq!(answer(&bytes, true), None);
        bytes.extend(b"HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n");
        assert!(bytes.len() > ANSWER_BYTES_MAX);
        assert_eq!(answer(&bytes, false).unwrap().status, 204);
    }

    #[test]
    fn lengths_that_lie_do_no_harm() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nx"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
            b"HTTP/1.1 2\r\n\r\n",
            b"\r\n\r\n",
        ] {
            assert_eq!(answer(bytes, true), None);
        }
    }
}
