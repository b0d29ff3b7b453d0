//! What the HTTP machine stands on: a stream of bytes, and a way to open one.

use std::fmt;
use std::io;
use std::time::Duration;

use super::HttpConnection;

/// How long an exchange may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// From the start of the request to the end of the answer.
    pub total: Duration,
    /// For each single wait for the other side.
    pub stall: Duration,
}

/// A stream of bytes whose waits can be limited.
pub trait Stream: io::Read + io::Write + fmt::Debug {
    /// Limits what follows, counted from now.
    fn limit(&mut self, limit: Limit);
    /// Whether it is worth sending a request; false once the other side has closed or sent what
    /// nobody asked for.
    fn is_open(&mut self) -> bool;
}

/// Opens streams to one origin.
pub trait Link {
    /// What it opens.
    type Stream: Stream;
    /// Opens a stream.
    ///
    /// # Errors
    /// When there is no way to the other side.
    fn open(&mut self) -> io::Result<Self::Stream>;
    /// Scheme, host and port of the other side, such as `https://a.example:8443`.
    fn origin(&self) -> &str;
    /// Limits of one exchange.
    fn limit(&self) -> Limit;
}

/// A stream without limits of its own, for one that is local or has its limits set by its owner.
#[derive(Debug)]
pub struct Plain<S>(S);

impl<S: io::Read> io::Read for Plain<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl<S: io::Write> io::Write for Plain<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<S: io::Read + io::Write + fmt::Debug> Stream for Plain<S> {
    fn limit(&mut self, _limit: Limit) {}

    fn is_open(&mut self) -> bool {
        true
    }
}

/// A [`Link`] made of streams that are at hand, used one after the other.
#[derive(Debug)]
pub struct PlainLink<S> {
    streams: std::vec::IntoIter<S>,
}

impl<S: io::Read + io::Write + fmt::Debug> Link for PlainLink<S> {
    type Stream = Plain<S>;

    fn open(&mut self) -> io::Result<Plain<S>> {
        self.streams
            .next()
            .map(Plain)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the connection is closed"))
    }

    fn origin(&self) -> &'static str {
        "http://localhost"
    }

    fn limit(&self) -> Limit {
        Limit {
            total: Duration::MAX,
            stall: Duration::MAX,
        }
    }
}

/// HTTP over anything that reads and writes.
pub type PlainConnection<S> = HttpConnection<PlainLink<S>>;

impl<S: io::Read + io::Write + fmt::Debug> PlainConnection<S> {
    /// A connection over `stream`; once that is closed, every call fails.
    pub fn over(stream: S) -> Self {
        Self::over_each(vec![stream])
    }

    /// A connection over `stream`, opened for one request, and then over `streams`.
    #[cfg(test)]
    pub(super) fn over_fresh(stream: S, streams: Vec<S>) -> Self {
        let streams = streams.into_iter();
        Self::opened_for_one(PlainLink { streams }, Plain(stream))
    }

    /// A connection over `streams`, each opened when the one before it is closed.
    pub fn over_each(streams: Vec<S>) -> Self {
        Self::new(PlainLink {
            streams: streams.into_iter(),
        })
    }
}
