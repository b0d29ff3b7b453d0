//! Connections to a machine of this network, such as a scanner: plain HTTP, or TLS with a
//! certificate that nobody vouches for.

use std::io;
use std::time::Duration;

use super::https::HttpsStream;
use super::socket::Socket;
use super::{BaseUrl, ConnectError, HttpClient, HttpConnection, Limit, Link, Stream};

/// HTTP/1.1 to a machine of this network.
pub type DeviceConnection = HttpConnection<DeviceLink>;

impl HttpClient {
    /// Connects to `url`, plain or with TLS as it says, for exchanges within `limit`. The first
    /// request is never sent a second time: to a scanner it may be one more sheet.
    ///
    /// # Errors
    /// As [`HttpClient::connect`].
    pub fn connect_device(
        &self,
        url: &BaseUrl,
        connect: Duration,
        limit: Limit,
    ) -> Result<DeviceConnection, ConnectError> {
        let mut link = DeviceLink {
            client: self.clone(),
            url: url.clone(),
            connect,
            limit,
        };
        let stream = link.connect()?;
        Ok(HttpConnection::opened_for_one(link, stream))
    }
}

impl DeviceConnection {
    /// Limits each exchange from the next one on.
    pub const fn set_limit(&mut self, limit: Limit) {
        self.link_mut().limit = limit;
    }
}

/// Opens streams to one machine.
#[derive(Debug)]
pub struct DeviceLink {
    client: HttpClient,
    url: BaseUrl,
    connect: Duration,
    limit: Limit,
}

impl DeviceLink {
    fn connect(&mut self) -> Result<DeviceStream, ConnectError> {
        if self.url.is_tls() {
            let (stream, _took) = self.client.open_tls(&self.url, self.connect)?;
            return Ok(DeviceStream(Way::Tls(Box::new(stream))));
        }
        let (mut socket, _resolved) = self.client.open_tcp(&self.url, self.connect)?;
        drop(socket.take_greeting());
        Ok(DeviceStream(Way::Plain(socket)))
    }
}

impl Link for DeviceLink {
    type Stream = DeviceStream;

    fn open(&mut self) -> io::Result<DeviceStream> {
        self.connect()
            .map_err(|error| io::Error::new(error.kind(), error))
    }

    fn origin(&self) -> &str {
        self.url.as_str()
    }

    fn limit(&self) -> Limit {
        self.limit
    }
}

/// TCP, with TLS or without.
#[derive(Debug)]
pub struct DeviceStream(Way);

#[derive(Debug)]
enum Way {
    Plain(Socket),
    Tls(Box<HttpsStream>),
}

impl io::Read for DeviceStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Way::Plain(socket) => socket.read(buf),
            Way::Tls(stream) => stream.read(buf),
        }
    }
}

impl io::Write for DeviceStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Way::Plain(socket) => socket.write(buf),
            Way::Tls(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Way::Plain(socket) => socket.flush(),
            Way::Tls(stream) => stream.flush(),
        }
    }
}

impl Stream for DeviceStream {
    fn limit(&mut self, limit: Limit) {
        match &mut self.0 {
            Way::Plain(socket) => socket.limit(limit),
            Way::Tls(stream) => stream.limit(limit),
        }
    }

    fn is_open(&mut self) -> bool {
        match &mut self.0 {
            Way::Plain(socket) => socket.is_open(),
            Way::Tls(stream) => stream.is_open(),
        }
    }
}
