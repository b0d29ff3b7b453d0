//! An HTTP service in memory: answers each whole request as its function says.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

use crate::http::PlainConnection;

/// A request as the service hears it.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A whole request at the start of `bytes`, and how long it is.
    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let head_end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        let mut lines = head.lines();
        let mut first = lines.next()?.split(' ');
        let mut heard = Self {
            method: first.next()?.to_owned(),
            path: first.next()?.to_owned(),
            headers: lines
                .filter_map(|line| line.split_once(": "))
                .map(|(key, value)| (key.to_lowercase(), value.to_owned()))
                .collect(),
            body: Vec::new(),
        };
        let len = heard
            .header("content-length")
            .map_or(0, |len| len.parse().expect("a number"));
        heard.body = bytes.get(head_end..head_end + len)?.to_vec();
        Some((heard, head_end + len))
    }
}

/// An answer; `None` closes the connection without one.
pub(crate) type Answer = Option<String>;

type Serve = Arc<Mutex<dyn FnMut(&Heard) -> Answer + Send>>;

/// The stream to a service.
pub(crate) struct Service {
    serve: Serve,
    received: Vec<u8>,
    answers: Vec<u8>,
    closed: bool,
}

impl Service {
    /// Connections (as many as are needed) to a service that answers by `serve`.
    pub(crate) fn connect(
        serve: impl FnMut(&Heard) -> Answer + Send + 'static,
    ) -> PlainConnection<Self> {
        let serve: Serve = Arc::new(Mutex::new(serve));
        let stream = || Self {
            serve: Arc::clone(&serve),
            received: Vec::new(),
            answers: Vec::new(),
            closed: false,
        };
        PlainConnection::over_each((0..20).map(|_| stream()).collect())
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

impl io::Write for Service {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        self.received.extend_from_slice(buf);
        while let Some((heard, len)) = Heard::parse(&self.received) {
            self.received.drain(..len);
            let mut serve = self.serve.lock().expect("not poisoned");
            match serve(&heard) {
                Some(answer) => self.answers.extend_from_slice(answer.as_bytes()),
                None => self.closed = true,
            }
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl io::Read for Service {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = io::Read::read(&mut self.answers.as_slice(), buf)?;
        self.answers.drain(..count);
        Ok(count)
    }
}

/// An answer with `headers` (each with its line end) and `body`.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Answer {
    let len = body.len();
    Some(match status {
        204 | 304 => format!("HTTP/1.1 {status} X\r\n{headers}\r\n"),
        _ => format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {len}\r\n\r\n{body}"),
    })
}

/// An answer with a JSON body.
pub(crate) fn json(status: u16, body: &impl serde::Serialize) -> Answer {
    let body = serde_json::to_string(body).expect("JSON");
    answer(
        status,
        "Content-Type: application/json; charset=utf-8\r\n",
        &body,
    )
}

/// A problem answer.
pub(crate) fn problem(problem: &crate::wire::Problem) -> Answer {
    let body = serde_json::to_string(problem).expect("JSON");
    answer(
        problem.status,
        "Content-Type: application/problem+json\r\n",
        &body,
    )
}
