//! As much HTTP/1.1 as scanners speak, on a thread for each connection.

use std::io::{self, BufRead, BufReader, Read, Write};

/// More than any client of a scanner sends.
const HEAD_BYTES_MAX: u64 = 16 * 1024;
const BODY_BYTES_MAX: u64 = 1024 * 1024;

/// A request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads the next request; none when the client has closed.
    pub(crate) fn read(stream: &mut BufReader<&mut dyn Stream>) -> io::Result<Option<Self>> {
        let mut head = stream.take(HEAD_BYTES_MAX);
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let (method, path) = (method.to_owned(), path.to_owned());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            head.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut request = Self {
            method,
            path,
            headers,
            body: Vec::new(),
        };
        let length = request.header("content-length").unwrap_or("0");
        let length: u64 = length.parse().unwrap_or(0);
        if request.header("transfer-encoding").is_some() {
            request.body = read_chunks(stream)?;
        } else {
            let mut body = stream.take(length.min(BODY_BYTES_MAX));
            body.read_to_end(&mut request.body)?;
        }
        Ok(Some(request))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn read_chunks(stream: &mut BufReader<&mut dyn Stream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim(), 16).unwrap_or(0);
        stream.take(size).read_to_end(&mut body)?;
        stream.read_line(&mut line)?;
        if size == 0 || body.len() as u64 > BODY_BYTES_MAX {
            return Ok(body);
        }
    }
}

/// A connection, plain or with TLS.
pub(crate) trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// How the length of a body is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By `Content-Length`.
    #[default]
    Length,
    /// By chunks.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// Where an answer is broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// Before its first byte.
    Nothing,
    /// After the head.
    Head,
    /// Half-way through the body.
    Half,
}

/// An answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) framing: Framing,
    pub(crate) broken: Option<Break>,
    /// Zeros after the body, never in memory.
    pub(crate) zeros: u64,
    pub(crate) close: bool,
}

impl Answer {
    pub(crate) fn code(code: u16) -> Self {
        Self {
            code,
            ..Self::default()
        }
    }

    pub(crate) fn xml(body: String) -> Self {
        Self {
            code: 200,
            body: body.into_bytes(),
            ..Self::default()
        }
        .with("Content-Type", "text/xml")
    }

    /// Whether it is one of [`Answer::xml`].
    pub(crate) fn is_document(&self) -> bool {
        self.headers.iter().any(|(_, value)| value == "text/xml")
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Writes it; `Ok(false)` when the connection ends with it.
    pub(crate) fn write(&self, stream: &mut dyn Stream) -> io::Result<bool> {
        if self.broken == Some(Break::Nothing) {
            return Ok(false);
        }
        let length = self.body.len() as u64 + self.zeros;
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.code, reason(self.code));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let closes = self.close || self.framing == Framing::Close;
        match self.framing {
            Framing::Length => head.push_str(&format!("Content-Length: {length}\r\n")),
            Framing::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
            Framing::Close => {}
        }
        if closes {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        if self.broken == Some(Break::Head) {
            return Ok(false);
        }
        let end = match self.broken {
            Some(Break::Half) => self.body.len() / 2,
            _ => self.body.len(),
        };
        for piece in self.body[..end].chunks(16 * 1024) {
            self.piece(stream, piece)?;
        }
        if self.broken.is_some() {
            stream.flush()?;
            return Ok(false);
        }
        let zeros = vec![0; 64 * 1024];
        let mut left = self.zeros;
        while left > 0 {
            let count = left.min(zeros.len() as u64);
            self.piece(stream, &zeros[..usize::try_from(count).unwrap_or(0)])?;
            left -= count;
        }
        if self.framing == Framing::Chunked {
            stream.write_all(b"0\r\n\r\n")?;
        }
        stream.flush()?;
        Ok(!closes)
    }

    fn piece(&self, stream: &mut dyn Stream, piece: &[u8]) -> io::Result<()> {
        if self.framing != Framing::Chunked {
            return stream.write_all(piece);
        }
        stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
        stream.write_all(piece)?;
        stream.write_all(b"\r\n")
    }
}

const fn reason(code: u16) -> &'static str {
    match code {
        200 => "OK",
        201 => "Created",
        301 => "Moved Permanently",
        400 => "Bad Request",
        404 => "Not Found",
        409 => "Conflict",
        410 => "Gone",
        503 => "Service Unavailable",
        _ => "Error",
    }
}
