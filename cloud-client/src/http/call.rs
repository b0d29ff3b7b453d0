//! What every call of the protocol does: send, check the answer, read it within bounds.

use std::fmt::Display;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use embedded_svc::http::client::{Connection, Method};
use serde::de::DeserializeOwned;

use crate::problem::{CallError, PROBLEM_MEDIA_TYPE};
use crate::retry;

/// Largest problem document.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;
/// Media type of the documents of [`crate::wire`].
pub(crate) const JSON_TYPE: &str = "application/json";

/// Sends a request with `body` and waits for the head of the answer. `None` sends no
/// Content-Length where the method has no body.
pub(crate) fn send<C: Connection>(
    conn: &mut C,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Result<(), CallError> {
    let Some(body) = body else {
        conn.initiate_request(method, path, headers)
            .map_err(|error| transport(&error))?;
        return conn.initiate_response().map_err(|error| transport(&error));
    };
    let len = u64::try_from(body.len()).unwrap_or(u64::MAX);
    send_with(conn, method, path, headers, len, &mut |out| {
        out.write_all(body)
    })
}

/// Sends a request whose body `write` writes: exactly `len` bytes.
pub(crate) fn send_with<C: Connection>(
    conn: &mut C,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    len: u64,
    write: &mut dyn FnMut(&mut dyn io::Write) -> io::Result<()>,
) -> Result<(), CallError> {
    let len = len.to_string();
    let mut all = headers.to_vec();
    all.push(("Content-Length", &len));
    conn.initiate_request(method, path, &all)
        .map_err(|error| transport(&error))?;
    write(&mut BodyWriter(conn)).map_err(|error| transport(&error))?;
    conn.initiate_response().map_err(|error| transport(&error))
}

/// The body of a request as std's `Write`.
pub(crate) struct BodyWriter<'a, C>(pub(crate) &'a mut C);

impl<C: Connection> io::Write for BodyWriter<'_, C> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf).map_err(|error| io_error(&error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(|error| io_error(&error))
    }
}

fn io_error<E: embedded_svc::io::Error>(error: &E) -> io::Error {
    io::Error::new(error.kind().into(), error.to_string())
}

/// A failure below HTTP.
pub(crate) fn transport<E: embedded_svc::io::Error>(error: &E) -> CallError {
    CallError::transport("the call to the cloud", io_error(error))
}

/// An answer that the protocol does not know.
pub(crate) fn protocol(reason: impl Display) -> CallError {
    CallError::Protocol(reason.to_string())
}

/// Whether the answer has one of `statuses`; any other becomes an error. A `media_type` that is
/// not empty is checked too, without its parameters.
pub(crate) fn expect<C: Connection>(
    conn: &mut C,
    statuses: &[u16],
    media_type: &str,
) -> Result<(), CallError> {
    if !statuses.contains(&conn.status()) {
        return Err(problem(conn));
    }
    if media_type.is_empty() || is_type(conn, media_type) {
        return Ok(());
    }
    Err(protocol(format_args!(
        "an answer of another type than {media_type}"
    )))
}

fn is_type<C: Connection>(conn: &C, media_type: &str) -> bool {
    conn.content_type()
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(media_type))
}

/// The answer's body, at most `max` bytes of it.
pub(crate) fn read_all<C: Connection>(conn: &mut C, max: usize) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    let mut buf = [0; 8 * 1024];
    loop {
        let count = conn.read(&mut buf).map_err(|error| transport(&error))?;
        if count == 0 {
            return Ok(body);
        }
        if body.len().saturating_add(count) > max {
            return Err(protocol(format_args!("an answer of more than {max} bytes")));
        }
        body.extend_from_slice(buf.get(..count).unwrap_or_default());
    }
}

/// The answer's JSON document.
pub(crate) fn json<C: Connection, T: DeserializeOwned>(
    conn: &mut C,
    max: usize,
) -> Result<T, CallError> {
    let body = read_all(conn, max)?;
    serde_json::from_slice(&body).map_err(protocol)
}

/// The error that an answer is.
pub(crate) fn problem<C: Connection>(conn: &mut C) -> CallError {
    let status = conn.status();
    let after = retry_after(conn);
    let body = match is_type(conn, PROBLEM_MEDIA_TYPE) {
        true => read_all(conn, PROBLEM_BYTES_MAX).unwrap_or_default(),
        false => Vec::new(),
    };
    CallError::from_answer(status, after, &body)
}

/// The answer's `Retry-After`, a date counted from the answer's own `Date`.
pub(crate) fn retry_after<C: Connection>(conn: &C) -> Option<Duration> {
    let now = conn
        .header("Date")
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .and_then(|date| date.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_secs());
    retry::parse_retry_after(conn.header("Retry-After")?, now)
}
