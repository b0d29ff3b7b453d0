//! The way to a device by HTTP: embedded-svc's `http::client::Connection`, opened by the program.
//!
//! A backend knows neither sockets nor TLS. It asks a [`Connector`] for a connection and gets any
//! embedded-svc connection behind [`Exchange`], as [`Over`] wraps it.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use embedded_svc::http::Method;
use embedded_svc::http::client::Connection;

use crate::clock::Clock;
use crate::scanner::StopFlag;

/// The SHA-256 of the only certificate that is accepted; empty until the first one was seen.
pub type Pin = Arc<OnceLock<[u8; 32]>>;

/// How long an exchange may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Name, TCP and TLS together.
    pub connect: Duration,
    /// Each wait for the other side.
    pub stall: Duration,
    /// The whole exchange.
    pub total: Duration,
}

/// Why an exchange failed below HTTP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WebError {
    /// The class of the failure.
    pub kind: WebErrorKind,
    /// What happened, for people; lower case, no full stop.
    pub message: String,
}

/// The classes of [`WebError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebErrorKind {
    /// No connection, or one that broke.
    Unreachable,
    /// Nothing came in time.
    TimedOut,
    /// Another certificate than the one that is pinned.
    OtherCertificate,
    /// The other side does not speak HTTP as it should.
    Protocol,
}

/// Opens connections to devices of this network.
pub trait Connector: Send + Sync {
    /// A connection to `origin` (`http://HOST[:PORT]` or `https://...`). With TLS, any certificate
    /// is taken while `pin` is empty, and kept there.
    ///
    /// # Errors
    /// When there is no way, or the certificate is another one.
    fn connect(
        &self,
        origin: &str,
        pin: &Pin,
        patience: Patience,
    ) -> Result<Box<dyn Exchange>, WebError>;
}

/// One connection, one exchange at a time; it may open itself anew between two.
pub trait Exchange: Send {
    /// How long what follows may take, and what ends it early: it then fails, and the connection
    /// is of no more use.
    fn set_patience(&mut self, patience: Patience, stop: Option<StopFlag>);
    /// Sends a request with its whole body and waits for the head of the answer.
    ///
    /// # Errors
    /// When the connection fails before it.
    fn ask(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), WebError>;
    /// The status of the answer.
    fn code(&self) -> u16;
    /// A header of the answer.
    fn field(&self, name: &str) -> Option<&str>;
    /// The next bytes of the answer's body; 0 at its end.
    ///
    /// # Errors
    /// When the body is cut off.
    fn take(&mut self, buf: &mut [u8]) -> Result<usize, WebError>;
    /// The certificates (DER) that the other side showed when the connection was opened, its own
    /// first, whose key it has proven; none without TLS.
    fn certificates(&self) -> Vec<Vec<u8>>;
}

/// Any embedded-svc connection as an [`Exchange`], how its patience is set, and the certificates
/// of the other side.
#[derive(Debug)]
pub struct Over<C>(
    pub C,
    pub fn(&mut C, Patience, Option<StopFlag>),
    pub fn(&C) -> Vec<Vec<u8>>,
);

impl<C: Connection + Send> Exchange for Over<C> {
    fn set_patience(&mut self, patience: Patience, stop: Option<StopFlag>) {
        (self.1)(&mut self.0, patience, stop);
    }

    fn ask(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), WebError> {
        let length = body.len().to_string();
        let mut all = headers.to_vec();
        if !body.is_empty() {
            all.push(("Content-Length", &length));
        }
        self.0
            .initiate_request(method, path, &all)
            .map_err(|error| failed(&error))?;
        let mut left = body;
        while !left.is_empty() {
            let count = self.0.write(left).map_err(|error| failed(&error))?;
            left = left.get(count..).unwrap_or_default();
        }
        self.0.initiate_response().map_err(|error| failed(&error))
    }

    fn code(&self) -> u16 {
        self.0.status()
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.0.header(name)
    }

    fn take(&mut self, buf: &mut [u8]) -> Result<usize, WebError> {
        self.0.read(buf).map_err(|error| failed(&error))
    }

    fn certificates(&self) -> Vec<Vec<u8>> {
        (self.2)(&self.0)
    }
}

fn failed<E: embedded_svc::io::Error>(error: &E) -> WebError {
    let kind = match io::ErrorKind::from(error.kind()) {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => WebErrorKind::TimedOut,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => WebErrorKind::Protocol,
        _ => WebErrorKind::Unreachable,
    };
    WebError {
        kind,
        message: error.to_string(),
    }
}

/// Nobody that is trusted vouches for a certificate; says why, lower case, no full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotVouched(pub String);

/// Whether an authority that is trusted vouches for the first of these certificates (DER), by the
/// others: signatures and dates up to it. The name of the server is not compared.
pub type Vouch = dyn Fn(&[Vec<u8>]) -> Result<(), NotVouched> + Send + Sync;

/// Remembers small values from one start to the next.
pub trait Memory: Send + Sync {
    /// The value of that name, if there is one.
    fn recall(&self, name: &str) -> Option<Vec<u8>>;
    /// Keeps a value; that it cannot be kept is logged and no fault.
    fn keep(&self, name: &str, value: &[u8]);
}

/// What the program lends to a backend that talks to a device over the network.
#[derive(Clone)]
pub struct Ports {
    /// Connections.
    pub connector: Arc<dyn Connector>,
    /// What was learned before; none: nothing is remembered.
    pub memory: Option<Arc<dyn Memory>>,
    /// Time for waits.
    pub clock: Arc<dyn Clock>,
    /// Lets time pass.
    pub sleep: Arc<dyn Fn(Duration) + Send + Sync>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ports")
    }
}
