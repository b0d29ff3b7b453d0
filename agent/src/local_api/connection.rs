//! embedded-svc's server `Connection` over any stream of bytes.
//!
//! ```text
//! next_request -> (handler reads the body) -> initiate_response -> (writes) -> finish -> ...
//! ```

use std::io::{self, ErrorKind};
use std::time::Duration;

use embedded_svc::http::server::{Connection, Handler};
use embedded_svc::http::{Headers, Method, Query};
use embedded_svc::io::{ErrorType, Read, Write};
use scantrip_cloud_client::http::{Limit, Stream};
use zeroize::{Zeroize as _, Zeroizing};

use super::head::{HEAD_BYTES_MAX, RequestError, RequestHead};

/// How long a kept connection may rest between two requests: a person's pause.
const IDLE: Limit = Limit {
    total: Duration::from_secs(30),
    stall: Duration::from_secs(30),
};
/// How long one request may take, from its first byte to the last of its answer. An enrolment
/// behind a slow network is the longest.
const EXCHANGE: Limit = Limit {
    total: Duration::from_secs(600),
    stall: Duration::from_secs(10),
};
/// How long a head may take. A browser sends it in one go.
const HEAD: Limit = Limit {
    total: Duration::from_secs(10),
    stall: Duration::from_secs(10),
};
/// How much of an unread body is read to keep the connection.
const DRAIN_BYTES_MAX: u64 = 64 * 1024;

/// One connection of a server. Requests come one after the other.
#[derive(Debug)]
pub struct ServerConnection<S> {
    head: RequestHead,
    exchange: ServerExchange<S>,
}

/// The two bodies: the request's is read, the answer's is written.
#[derive(Debug)]
pub struct ServerExchange<S> {
    stream: S,
    /// Received and not yet used; wiped, since a code may pass through.
    input: Zeroizing<Vec<u8>>,
    /// Bytes of the request's body that are still to come.
    body_left: u64,
    answer: Answer,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    /// Not yet begun.
    None,
    /// Begun; so many bytes are still to be written.
    Sized(u64),
    /// Begun; ends with the connection.
    UntilClose,
}

/// Serves a connection until it is closed, rests too long or breaks the rules.
pub fn serve<S: Stream, H: Handler<ServerConnection<S>>>(stream: S, handler: &H) {
    let mut connection = ServerConnection::new(stream);
    loop {
        match connection.next_request() {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return connection.refuse(&error),
        }
        if let Err(error) = handler.handle(&mut connection) {
            log::debug!("local request failed: {error:?}");
        }
        if !connection.finish() {
            return;
        }
    }
}

impl<S: Stream> ServerConnection<S> {
    /// A connection at rest.
    pub fn new(stream: S) -> Self {
        Self {
            head: RequestHead::none(),
            exchange: ServerExchange {
                stream,
                input: Zeroizing::new(Vec::with_capacity(HEAD_BYTES_MAX)),
                body_left: 0,
                answer: Answer::None,
            },
        }
    }

    /// Waits for the next request and reads its head. False: there is none, the other side has
    /// closed or rests too long.
    ///
    /// # Errors
    /// When what came is no request that can be handled.
    pub fn next_request(&mut self) -> Result<bool, RequestError> {
        let exchange = &mut self.exchange;
        exchange.answer = Answer::None;
        exchange.body_left = 0;
        if exchange.input.is_empty() {
            exchange.stream.limit(IDLE);
            match exchange.fill() {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        exchange.stream.limit(HEAD);
        loop {
            if let Some((head, len)) = RequestHead::parse(&exchange.input)? {
                exchange.consume(len);
                exchange.body_left = head.body_len;
                self.head = head;
                break;
            }
            if exchange.input.len() >= HEAD_BYTES_MAX {
                return Err(RequestError::HeadTooLarge);
            }
            match exchange.fill() {
                Ok(0) => return Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    return Err(RequestError::TimedOut);
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.exchange.stream.limit(EXCHANGE);
        Ok(true)
    }

    /// Ends an exchange. False: the connection cannot be kept.
    pub fn finish(&mut self) -> bool {
        if matches!(self.exchange.answer, Answer::None) {
            self.head.keep_alive = false;
            let _sent = self.initiate_response(500, None, &[("Content-Length", "0")]);
        }
        let complete = matches!(self.exchange.answer, Answer::Sized(0));
        let flushed = self.exchange.stream.flush().is_ok();
        self.head.keep_alive && complete && flushed && self.exchange.drain().is_ok()
    }

    /// Tells what is wrong with a request, as far as anybody can still read it.
    fn refuse(&mut self, error: &RequestError) {
        log::debug!("local request refused: {error}");
        let Some(status) = error.status() else { return };
        self.head.keep_alive = false;
        let text = format!("{error}\n");
        let len = text.len().to_string();
        let headers = [("Content-Type", "text/plain"), ("Content-Length", &len)];
        let told = self.initiate_response(status, None, &headers);
        let _told = told.and_then(|()| self.exchange.write_all_of(text.as_bytes()));
    }
}

impl<S: Stream> ServerExchange<S> {
    /// Receives more; 0: the other side has closed.
    fn fill(&mut self) -> io::Result<usize> {
        let filled = self.input.len();
        self.input.resize(HEAD_BYTES_MAX.max(filled), 0);
        let room = self.input.get_mut(filled..).unwrap_or_default();
        let read = self.stream.read(room);
        self.input.truncate(filled + *read.as_ref().unwrap_or(&0));
        read
    }

    /// Drops what has been used and wipes where it was.
    fn consume(&mut self, len: usize) {
        let rest = self.input.len().saturating_sub(len);
        self.input.rotate_left(len.min(rest + len));
        if let Some(used) = self.input.get_mut(rest..) {
            used.zeroize();
        }
        self.input.truncate(rest);
    }

    fn read_body(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.body_left).unwrap_or(usize::MAX);
        let want = left.min(buf.len());
        if want == 0 {
            return Ok(0);
        }
        if self.input.is_empty() && self.fill()? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let take = want.min(self.input.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..take), self.input.get(..take)) {
            to.copy_from_slice(from);
        }
        self.consume(take);
        self.body_left -= take as u64;
        Ok(take)
    }

    /// Reads what the handler left of the body.
    fn drain(&mut self) -> io::Result<()> {
        if self.body_left > DRAIN_BYTES_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut waste = Zeroizing::new([0; 1024]);
        while self.body_left > 0 {
            self.read_body(&mut *waste)?;
        }
        Ok(())
    }

    fn write_body(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let take = match &mut self.answer {
            Answer::None => return Err(ErrorKind::InvalidInput.into()),
            Answer::UntilClose => bytes.len(),
            Answer::Sized(left) => {
                let take = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                if take == 0 && !bytes.is_empty() {
                    return Err(ErrorKind::InvalidInput.into());
                }
                take
            }
        };
        let written = self.stream.write(bytes.get(..take).unwrap_or_default())?;
        if let Answer::Sized(left) = &mut self.answer {
            *left = left.saturating_sub(written as u64);
        }
        if written == 0 && take > 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        Ok(written)
    }

    fn write_all_of(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.write_body(bytes)?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        self.stream.flush()
    }
}

/// The usual words of a status (RFC 9110, section 15); only people read them.
const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        507 => "Insufficient Storage",
        _ => "Status",
    }
}

fn is_header_text(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_control())
}

impl<S: Stream> ErrorType for ServerExchange<S> {
    type Error = io::Error;
}

impl<S: Stream> Read for ServerExchange<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_body(buf)
    }
}

impl<S: Stream> Write for ServerExchange<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_body(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<S: Stream> ErrorType for ServerConnection<S> {
    type Error = io::Error;
}

impl<S: Stream> Read for ServerConnection<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.exchange.read_body(buf)
    }
}

impl<S: Stream> Write for ServerConnection<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.exchange.write_body(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.exchange.stream.flush()
    }
}

impl<S> Query for ServerConnection<S> {
    fn uri(&self) -> &str {
        self.head.uri()
    }

    fn method(&self) -> Method {
        self.head.method()
    }
}

impl<S> Headers for ServerConnection<S> {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }
}

impl<S: Stream> Connection for ServerConnection<S> {
    type Headers = RequestHead;
    type Read = ServerExchange<S>;
    type RawConnectionError = io::Error;
    type RawConnection = ServerExchange<S>;

    fn split(&mut self) -> (&RequestHead, &mut ServerExchange<S>) {
        (&self.head, &mut self.exchange)
    }

    fn initiate_response<'a>(
        &'a mut self,
        status: u16,
        message: Option<&'a str>,
        headers: &'a [(&'a str, &'a str)],
    ) -> io::Result<()> {
        if self.is_response_initiated() || !(200..600).contains(&status) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let mut head = format!(
            "HTTP/1.1 {status} {}\r\n",
            message.unwrap_or_else(|| reason(status))
        );
        let mut answer = if matches!(status, 204 | 304) {
            Answer::Sized(0)
        } else {
            Answer::UntilClose
        };
        for (name, value) in headers {
            if !is_header_text(name) || !is_header_text(value) {
                return Err(ErrorKind::InvalidInput.into());
            }
            if name.eq_ignore_ascii_case("content-length") {
                let len = value.parse().or(Err(ErrorKind::InvalidInput))?;
                answer = Answer::Sized(len);
            }
            head.extend([*name, ": ", *value, "\r\n"]);
        }
        if matches!(answer, Answer::UntilClose) {
            self.head.keep_alive = false;
        }
        if !self.head.keep_alive {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        self.exchange.stream.write_all(head.as_bytes())?;
        self.exchange.answer = answer;
        Ok(())
    }

    fn is_response_initiated(&self) -> bool {
        !matches!(self.exchange.answer, Answer::None)
    }

    fn raw_connection(&mut self) -> io::Result<&mut ServerExchange<S>> {
        Err(ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests;
