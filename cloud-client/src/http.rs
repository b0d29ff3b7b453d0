//! HTTP/1.1: embedded-svc's `http::client::Connection` on ureq's connectors and `ureq-proto`.
//!
//! The same machine serves the cloud ([`HttpsConnection`]) and anything that reads and writes, such
//! as a Unix socket ([`PlainConnection`]). Bodies are streamed, buffers bounded, every wait of an
//! HTTPS connection ends. There are no redirects and no compression.
//!
//! A kept connection that turns out to be dead is replaced once, when nothing of the answer has
//! arrived and the request so far is small enough to be sent again; every call of the protocol may
//! be repeated. A bigger one fails with a transport error.
//!
//! `ureq` and `ureq-proto` log names, addresses and, at trace level, answers: a product's log takes
//! its own targets only.

pub(crate) mod call;
mod connection;
mod device;
mod exchange;
mod https;
mod link;
mod socket;
mod url;

#[cfg(test)]
mod tests;

pub use connection::{HttpConnection, ResponseHead};
pub use device::{DeviceConnection, DeviceLink, DeviceStream};
pub use exchange::Exchange;
pub use https::{
    Clocks, ConnectError, HttpClient, HttpsConnection, HttpsLink, HttpsStream, Purpose, Timeouts,
};
pub use link::{Limit, Link, Plain, PlainConnection, PlainLink, Stream};
pub use socket::Stop;
pub use url::{BaseUrl, UrlError};

/// Largest head of an answer, and the size of each buffer.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
