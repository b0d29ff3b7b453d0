//! Connections to a machine of this network, such as a scanner: plain HTTP, or TLS with a
//! certificate that nobody vouches for.

use std::fmt;
use std::io;
use std::time::Duration;

use super::https::HttpsStream;
use super::socket::{Socket, Stop};
use super::{BaseUrl, ConnectError, HttpClient, HttpConnection, Limit, Link, Stream};
use crate::certificate::CertDer;

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
            stop: None,
        };
        let stream = link.connect()?;
        Ok(HttpConnection::opened_for_one(link, stream))
    }
}

impl DeviceConnection {
    /// The certificates that the machine showed, its own first, whose key it has proven; none
    /// without TLS, or when the connection is closed.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertDer> {
        match self.stream() {
            Some(DeviceStream(Way::Tls(stream))) => stream.certificates(),
            _ => Vec::new(),
        }
    }

    /// Limits each exchange from the next one on.
    pub const fn set_limit(&mut self, limit: Limit) {
        self.link_mut().limit = limit;
    }

    /// What ends a wait for the other side early, from now on; that exchange then fails.
    pub fn set_stop(&mut self, stop: Option<Stop>) {
        if let Some(stream) = self.stream_mut() {
            stream.socket().set_stop(stop.clone());
        }
        self.link_mut().stop = stop;
    }
}

/// Opens streams to one machine.
pub struct DeviceLink {
    client: HttpClient,
    url: BaseUrl,
    connect: Duration,
    limit: Limit,
    stop: Option<Stop>,
}

impl fmt::Debug for DeviceLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeviceLink").field(&self.url).finish()
    }
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
        let mut stream = self
            .connect()
            .map_err(|error| io::Error::new(error.kind(), error))?;
        stream.socket().set_stop(self.stop.clone());
        Ok(stream)
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

impl DeviceStream {
    fn socket(&mut self) -> &mut Socket {
        match &mut self.0 {
            Way::Plain(socket) => socket,
            Way::Tls(stream) => stream.socket(),
        }
    }
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

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use embedded_svc::http::client::{Connection as _, Method};

    use super::*;
    use crate::http::{Clocks, Timeouts};
    use crate::testing::tls::{NOW_MS, listen, read_request, settings};
    use crate::tls::Roots;

    /// Asks a machine that never answers. The clock goes on by 100 ms whenever it is read; `stop` is
    /// asked with how often it was asked before.
    fn ask(stall: Duration, stop: fn(u64) -> bool) -> io::Error {
        let (address, server) = listen(1, |mut stream| {
            let _request = read_request(&mut stream).expect("a request");
            // Until the other side gives up.
            let _closed = stream.read(&mut [0]);
        });
        let (now, asked) = (AtomicU64::new(0), AtomicU64::new(0));
        let clocks = Clocks {
            boot: Arc::new(move || Duration::from_millis(now.fetch_add(100, Ordering::SeqCst))),
            unix_ms: Arc::new(|| NOW_MS),
        };
        let settings = settings(Roots::FirstSeen(Arc::default()), None);
        let client = HttpClient::new(settings, None, Timeouts::default(), clocks);
        let url = BaseUrl::of_device(&format!("http://{address}")).expect("a URL");
        let hour = Duration::from_secs(3600);
        let limit = Limit { total: hour, stall };
        let mut connection = client
            .expect("a client")
            .connect_device(&url, hour, limit)
            .expect("a connection");
        connection.set_stop(Some(Arc::new(move || {
            stop(asked.fetch_add(1, Ordering::SeqCst))
        })));
        connection
            .initiate_request(Method::Get, "/", &[])
            .expect("sent");
        let error = connection.initiate_response().expect_err("no answer");
        drop(connection);
        server.join().expect("the server");
        error
    }

    #[test]
    fn a_stop_ends_the_wait_for_a_machine_that_does_not_answer() {
        let hour = Duration::from_secs(3600);
        assert_eq!(ask(hour, |asked| asked == 2).kind(), io::ErrorKind::Other);
    }

    #[test]
    fn a_wait_with_a_stop_ends_when_one_without_would() {
        let stall = Duration::from_secs(1);
        assert_eq!(ask(stall, |_| false).kind(), io::ErrorKind::TimedOut);
    }
}
