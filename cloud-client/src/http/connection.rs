//! embedded-svc's client `Connection` on an [`Exchange`].

use std::io::{self, ErrorKind};

use embedded_svc::http::client::Connection;
use embedded_svc::http::{Headers, Method, Status};
use embedded_svc::io::{ErrorType, Read, Write};
use ureq_proto::http::{self, HeaderMap, Request, StatusCode, Uri, header};

use super::exchange::{Exchange, invalid_input};
use super::link::Link;

/// Status and headers of an answer.
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    status: StatusCode,
    headers: HeaderMap,
}

impl Status for ResponseHead {
    fn status(&self) -> u16 {
        self.status.as_u16()
    }

    fn status_message(&self) -> Option<&str> {
        self.status.canonical_reason()
    }
}

impl Headers for ResponseHead {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// An HTTP connection that is kept between requests and opened again when need be.
///
/// `is_response_initiated` tells whether an answer is still to be read, so that
/// `embedded_svc::http::client::Client::wrap` does not panic on a connection at rest. A request
/// begun while another is unfinished closes the connection and opens a new one.
#[derive(Debug)]
pub struct HttpConnection<L: Link> {
    head: ResponseHead,
    exchange: Exchange<L>,
}

impl<L: Link> HttpConnection<L> {
    /// A connection that `link` opens with the first request.
    pub fn new(link: L) -> Self {
        Self {
            head: ResponseHead::default(),
            exchange: Exchange::new(link),
        }
    }

    /// A connection that is open already.
    pub(super) fn opened(link: L, stream: L::Stream) -> Self {
        let mut connection = Self::new(link);
        connection.exchange.set_stream(stream);
        connection
    }

    /// A connection that was opened just now for the next request, which is sent once.
    pub(super) fn opened_for_one(link: L, stream: L::Stream) -> Self {
        let mut connection = Self::new(link);
        connection.exchange.set_fresh_stream(stream);
        connection
    }

    /// What opens the streams.
    pub const fn link(&self) -> &L {
        self.exchange.link()
    }

    /// What opens the streams, to change it for the next request.
    pub const fn link_mut(&mut self) -> &mut L {
        self.exchange.link_mut()
    }

    /// The open stream, if there is one.
    pub const fn stream(&self) -> Option<&L::Stream> {
        self.exchange.stream()
    }

    /// The open stream, to change how it waits.
    pub(super) const fn stream_mut(&mut self) -> Option<&mut L::Stream> {
        self.exchange.stream_mut()
    }

    /// Closes the stream; the next request opens another.
    pub fn close(&mut self) {
        self.exchange.close();
    }

    fn target(&self, uri: &str) -> io::Result<Uri> {
        let origin = self.exchange.link().origin();
        let path = match uri.strip_prefix(origin) {
            Some(path) if path.starts_with('/') => path,
            _ => uri,
        };
        if !path.starts_with('/') || path.starts_with("//") {
            return Err(invalid_input("a path of this origin is needed"));
        }
        format!("{origin}{path}")
            .parse()
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))
    }
}

fn method_of(method: Method) -> Option<http::Method> {
    Some(match method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
        Method::Options => http::Method::OPTIONS,
        _ => return None,
    })
}

impl<L: Link> ErrorType for HttpConnection<L> {
    type Error = io::Error;
}

impl<L: Link> ErrorType for Exchange<L> {
    type Error = io::Error;
}

impl<L: Link> Read for Exchange<L> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_body(buf)
    }
}

impl<L: Link> Write for Exchange<L> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.send(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::flush(self)
    }
}

impl<L: Link> Read for HttpConnection<L> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.exchange.read_body(buf)
    }
}

impl<L: Link> Write for HttpConnection<L> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.exchange.send(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.exchange.flush()
    }
}

impl<L: Link> Status for HttpConnection<L> {
    fn status(&self) -> u16 {
        self.head.status()
    }

    fn status_message(&self) -> Option<&str> {
        self.head.status_message()
    }
}

impl<L: Link> Headers for HttpConnection<L> {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }
}

impl<L: Link> Connection for HttpConnection<L> {
    type Headers = ResponseHead;
    type Read = Exchange<L>;
    type RawConnectionError = io::Error;
    type RawConnection = Exchange<L>;

    fn initiate_request<'a>(
        &'a mut self,
        method: Method,
        uri: &'a str,
        headers: &'a [(&'a str, &'a str)],
    ) -> io::Result<()> {
        self.head = ResponseHead::default();
        let Some(method) = method_of(method) else {
            return Err(invalid_input("this method is not supported"));
        };
        let mut request = Request::builder().method(&method).uri(self.target(uri)?);
        let mut body_len = None;
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("content-length") {
                let len = value.parse::<u64>();
                body_len =
                    Some(len.map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(invalid_input("bodies are sent with a Content-Length"));
            } else {
                request = request.header(*name, *value);
            }
        }
        let wants_body = [http::Method::POST, http::Method::PUT, http::Method::PATCH];
        if body_len.is_some() || wants_body.contains(&method) {
            request = request.header(header::CONTENT_LENGTH, body_len.unwrap_or(0));
        }
        let request = request
            .body(())
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        self.exchange.begin(request, body_len.unwrap_or(0))
    }

    fn is_request_initiated(&self) -> bool {
        self.exchange.is_sending()
    }

    fn initiate_response(&mut self) -> io::Result<()> {
        let (parts, ()) = self.exchange.receive()?.into_parts();
        self.head = ResponseHead {
            status: parts.status,
            headers: parts.headers,
        };
        Ok(())
    }

    fn is_response_initiated(&self) -> bool {
        self.exchange.is_receiving()
    }

    fn split(&mut self) -> (&ResponseHead, &mut Exchange<L>) {
        (&self.head, &mut self.exchange)
    }

    fn raw_connection(&mut self) -> io::Result<&mut Exchange<L>> {
        Err(io::Error::new(
            ErrorKind::Unsupported,
            "the stream below HTTP is not handed out",
        ))
    }
}
