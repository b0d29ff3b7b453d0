//! Reading the head of a request, strictly.

use embedded_svc::http::{Headers, Method, Query};

/// Largest head of a request: what the cloud allows too.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most headers of a request; a browser sends about 20.
const HEADERS_MAX: usize = 64;

/// Request line and headers.
#[derive(Clone, Debug)]
pub struct RequestHead {
    method: Method,
    uri: String,
    headers: Vec<(String, String)>,
    pub(super) body_len: u64,
    pub(super) keep_alive: bool,
}

/// Why a request is not handled; the connection is closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The connection failed or was closed inside of a request.
    #[error("the connection failed")]
    Io(#[from] std::io::Error),
    /// The request did not arrive in time.
    #[error("the request did not arrive in time")]
    TimedOut,
    /// The head is larger than [`HEAD_BYTES_MAX`] or has too many headers.
    #[error("the request's head is too large")]
    HeadTooLarge,
    /// It is not HTTP.
    #[error("this is no HTTP/1.1 request: {0}")]
    Malformed(&'static str),
    /// The body's length is not told beforehand.
    #[error("a body needs a Content-Length")]
    LengthRequired,
    /// A verb that nobody serves.
    #[error("this method is not supported")]
    MethodUnknown,
}

impl RequestError {
    /// Status to answer with; `None`: nobody is there to read it.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        Some(match self {
            Self::Io(_) => return None,
            Self::TimedOut => 408,
            Self::HeadTooLarge => 431,
            Self::Malformed(_) => 400,
            Self::LengthRequired => 411,
            Self::MethodUnknown => 501,
        })
    }
}

impl RequestHead {
    pub(super) const fn none() -> Self {
        Self {
            method: Method::Get,
            uri: String::new(),
            headers: Vec::new(),
            body_len: 0,
            keep_alive: false,
        }
    }

    /// Parses a head; `None`: more bytes are needed. Also tells the head's length.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, RequestError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        let len = match request.parse(bytes) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(RequestError::HeadTooLarge),
            Err(_) => return Err(RequestError::Malformed("its head cannot be read")),
        };
        let method = method_of(request.method.unwrap_or_default())?;
        let mut head = Self {
            method,
            uri: request.path.unwrap_or_default().to_owned(),
            headers: Vec::with_capacity(request.headers.len()),
            body_len: 0,
            keep_alive: request.version == Some(1),
        };
        for header in request.headers.iter() {
            let value = str::from_utf8(header.value)
                .or(Err(RequestError::Malformed("a header is not UTF-8")))?;
            head.headers
                .push((header.name.to_owned(), value.trim().to_owned()));
        }
        head.read_framing()?;
        Ok(Some((head, len)))
    }

    /// Length of the body and fate of the connection. What two readers could read differently is
    /// refused.
    fn read_framing(&mut self) -> Result<(), RequestError> {
        if self.header("transfer-encoding").is_some() {
            return Err(RequestError::LengthRequired);
        }
        let mut lengths = self.all("content-length");
        if let Some(length) = lengths.next() {
            let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
            let wrong = RequestError::Malformed("its Content-Length is no number");
            let parsed = length.parse().ok().filter(|_| digits).ok_or(wrong)?;
            if lengths.next().is_some() {
                return Err(RequestError::Malformed("it has two Content-Lengths"));
            }
            drop(lengths);
            self.body_len = parsed;
        } else {
            drop(lengths);
            if matches!(self.method, Method::Post | Method::Put | Method::Patch) {
                return Err(RequestError::LengthRequired);
            }
        }
        let close = |value: &str| {
            value
                .split(',')
                .any(|it| it.trim().eq_ignore_ascii_case("close"))
        };
        if self.all("connection").any(close) {
            self.keep_alive = false;
        }
        Ok(())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        let named = move |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .filter(named)
            .map(|(_, value)| value.as_str())
    }
}

fn method_of(name: &str) -> Result<Method, RequestError> {
    Ok(match name {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        _ => return Err(RequestError::MethodUnknown),
    })
}

impl Query for RequestHead {
    fn uri(&self) -> &str {
        &self.uri
    }

    fn method(&self) -> Method {
        self.method
    }
}

impl Headers for RequestHead {
    fn header(&self, name: &str) -> Option<&str> {
        let named = |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .find(named)
            .map(|(_, value)| value.as_str())
    }
}
