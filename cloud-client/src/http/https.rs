//! HTTPS connections to the cloud: ureq's TCP and CONNECT connectors, our TLS on top.

use std::fmt;
use std::io;
use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use embedded_svc::http::Headers as _;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::time::{Duration as Wait, Instant};
use ureq::unversioned::transport::{
    ConnectProxyConnector, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport,
};
use ureq_proto::http::Uri;

use super::socket::Socket;
use super::{BaseUrl, HttpConnection, Limit, Link, Stream};
use crate::certificate::CertDer;
use crate::tls::{TlsInfo, TlsSettings, TlsSettingsError};

mod error;
pub use error::ConnectError;

/// The clocks that the client needs, given by its owner.
#[derive(Clone)]
pub struct Clocks {
    /// Time since any fixed point, never set back; for timeouts and measurements.
    pub boot: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// Milliseconds since 1970-01-01 00:00 UTC, for the validity of certificates.
    pub unix_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for Clocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clocks")
    }
}

/// What a connection is for; decides how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Only connecting, to compare entry points.
    Measure,
    /// A request whose answer the cloud may hold back for `wait`.
    Poll {
        /// The longest that the cloud holds the answer.
        wait: Duration,
    },
    /// Appends of 1 MiB.
    Upload,
    /// Anything else: small bodies both ways.
    Call,
}

/// How long each part may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name, TCP, proxy and TLS together.
    pub connect: Duration,
    /// As `connect`, when measuring.
    pub measure: Duration,
    /// Each wait for the other side.
    pub stall: Duration,
    /// A small call as a whole; added to the wait of a poll.
    pub call: Duration,
    /// One append as a whole: 1 MiB over the slowest line worth having.
    pub upload: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            measure: Duration::from_secs(5),
            stall: Duration::from_secs(30),
            call: Duration::from_secs(60),
            upload: Duration::from_secs(600),
        }
    }
}

impl Timeouts {
    const fn connect_for(&self, purpose: Purpose) -> Duration {
        match purpose {
            Purpose::Measure => self.measure,
            _ => self.connect,
        }
    }

    fn limit_for(&self, purpose: Purpose) -> Limit {
        let (total, stall) = match purpose {
            Purpose::Measure => (self.measure, self.measure),
            Purpose::Poll { wait } => (
                wait.saturating_add(self.call),
                wait.saturating_add(self.stall),
            ),
            Purpose::Upload => (self.upload, self.stall),
            Purpose::Call => (self.call, self.stall),
        };
        Limit { total, stall }
    }
}

/// Opens HTTPS connections with one credential, one set of roots and one proxy. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpClient {
    tls: Arc<ClientConfig>,
    config: Arc<Config>,
    timeouts: Timeouts,
    clocks: Clocks,
}

impl HttpClient {
    /// A client; `proxy` is the `http://host:port` of a CONNECT proxy.
    ///
    /// # Errors
    /// When an anchor or certificate of `tls` cannot be used, or the proxy is no such URL.
    pub fn new(
        tls: TlsSettings,
        proxy: Option<&str>,
        timeouts: Timeouts,
        clocks: Clocks,
    ) -> Result<Self, TlsSettingsError> {
        let proxy = proxy
            .map(|url| match url.strip_prefix("http://") {
                Some(_) => ureq::Proxy::new(url).map_err(|_no_url| TlsSettingsError::Proxy),
                None => Err(TlsSettingsError::Proxy),
            })
            .transpose()?;
        let config = Config::builder()
            .proxy(proxy)
            .no_delay(true)
            .user_agent("scantrip")
            .input_buffer_size(16 * 1024)
            .output_buffer_size(64 * 1024)
            .build();
        Ok(Self {
            tls: Arc::new(tls.into_config(Arc::clone(&clocks.unix_ms))?),
            config: Arc::new(config),
            timeouts,
            clocks,
        })
    }

    /// Connects to `url`. The connection opens itself again when it was closed between requests.
    ///
    /// # Errors
    /// When the way, the proxy, the handshake or the server's certificate fails; says which.
    pub fn connect(
        &self,
        url: &BaseUrl,
        purpose: Purpose,
    ) -> Result<HttpsConnection, ConnectError> {
        let link = HttpsLink {
            client: self.clone(),
            url: url.clone(),
            purpose,
        };
        let (stream, _) = self.open(url, purpose)?;
        Ok(HttpConnection::opened(link, stream))
    }

    /// A connection to `url` that opens with its first request; its errors then hold a
    /// [`ConnectError`].
    #[must_use]
    pub fn lazy(&self, url: &BaseUrl, purpose: Purpose) -> HttpsConnection {
        HttpConnection::new(HttpsLink {
            client: self.clone(),
            url: url.clone(),
            purpose,
        })
    }

    /// How long TCP and TLS take to `url`; the lookup of its name does not count.
    ///
    /// # Errors
    /// As [`HttpClient::connect`].
    pub fn measure(&self, url: &BaseUrl) -> Result<Duration, ConnectError> {
        self.open(url, Purpose::Measure).map(|(_, took)| took)
    }

    fn open(
        &self,
        url: &BaseUrl,
        purpose: Purpose,
    ) -> Result<(HttpsStream, Duration), ConnectError> {
        self.open_tls(url, self.timeouts.connect_for(purpose))
    }

    /// TCP and TLS, and how long they took without the lookup of the name.
    pub(super) fn open_tls(
        &self,
        url: &BaseUrl,
        whole: Duration,
    ) -> Result<(HttpsStream, Duration), ConnectError> {
        let host = url.host();
        let (mut socket, resolved) = self.open_tcp(url, whole)?;
        let mut tls = self.handshaker(host)?;
        while tls.is_handshaking() {
            if let Err(error) = tls.complete_io(&mut socket) {
                if matches!(error.kind(), BrokenPipe | ConnectionReset) {
                    // Our hello came too late; what was said before may still be there.
                    let _nothing_more = io::Read::read(&mut socket, &mut [0; 512]);
                }
                let busy = ConnectError::of_greeting(host, &socket.take_greeting());
                return Err(busy.unwrap_or_else(|| ConnectError::of_io(host, &error)));
            }
        }
        drop(socket.take_greeting());
        let took = (self.clocks.boot)().saturating_sub(resolved);
        let stream = HttpsStream {
            tls: StreamOwned::new(tls, socket),
        };
        Ok((stream, took))
    }

    /// TCP, limited to what is left of `whole`, and when the name was known.
    pub(super) fn open_tcp(
        &self,
        url: &BaseUrl,
        whole: Duration,
    ) -> Result<(Socket, Duration), ConnectError> {
        let host = url.host();
        let fail = |error| ConnectError::of_ureq(host, error);
        let uri: Uri = format!("{url}/")
            .parse()
            .map_err(|error| ConnectError::of_io(host, &io::Error::other(error)))?;
        let start = (self.clocks.boot)();
        let addrs = if self.config.proxy().is_some() {
            Resolve.empty()
        } else {
            Resolve
                .resolve(&uri, &self.config, next(whole))
                .map_err(|error| ConnectError::of_lookup(host, error))?
        };
        let resolved = (self.clocks.boot)();
        let left = whole.saturating_sub(resolved.saturating_sub(start));
        let details = self.details(&uri, addrs, next(left));
        let transport =
            ().chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .connect(&details, None)
                .map_err(fail)?
                .ok_or_else(|| fail(ureq::Error::ConnectionFailed))?;
        let spent = (self.clocks.boot)().saturating_sub(start);
        let left = whole.saturating_sub(spent);
        let limit = Limit {
            total: left,
            stall: left,
        };
        let socket = Socket::new(Box::new(transport), self.clocks.clone(), limit);
        Ok((socket, resolved))
    }

    fn handshaker(&self, host: &str) -> Result<ClientConnection, ConnectError> {
        // Of an address of a link, the interface is ours alone.
        let address = host.split('%').next().unwrap_or_default();
        let name = ServerName::try_from(address.to_owned())
            .map_err(|error| ConnectError::of_io(host, &io::Error::other(error)))?;
        ClientConnection::new(Arc::clone(&self.tls), name)
            .map_err(|error| ConnectError::of_tls(host, &error))
    }

    fn details<'a>(
        &'a self,
        uri: &'a Uri,
        addrs: ResolvedSocketAddrs,
        timeout: NextTimeout,
    ) -> ConnectionDetails<'a> {
        let (boot, base, zero) = (
            Arc::clone(&self.clocks.boot),
            Instant::now(),
            (self.clocks.boot)(),
        );
        let current_time: Arc<dyn Fn() -> Instant + Send + Sync> =
            Arc::new(move || base + Wait::Exact(boot().saturating_sub(zero)));
        ConnectionDetails {
            uri,
            addrs,
            config: &self.config,
            request_level: false,
            resolver: &Resolve,
            now: current_time(),
            timeout,
            current_time,
            run_connector: Arc::new(run_tcp),
            register_shutdown: Arc::new(|_| Ok(())),
        }
    }
}

/// Connects to the proxy itself.
fn run_tcp(details: &ConnectionDetails<'_>) -> Result<Box<dyn Transport>, ureq::Error> {
    let transport = ().chain(TcpConnector::default()).connect(details, None)?;
    transport.map_or(Err(ureq::Error::ConnectionFailed), |transport| {
        Ok(Box::new(transport))
    })
}

const fn next(after: Duration) -> NextTimeout {
    NextTimeout {
        after: Wait::Exact(after),
        reason: ureq::Timeout::Connect,
        per_read: None,
        per_write: None,
    }
}

/// The system's resolver; an address needs no lookup (and no thread).
#[derive(Debug)]
struct Resolve;

impl Resolver for Resolve {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let default_port = if uri.scheme_str() == Some("http") {
            80
        } else {
            443
        };
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(default_port);
        // As a whole, for an address of a link is read with its interface: `[fe80::1%2]:80`.
        match format!("{host}:{port}").parse::<SocketAddr>() {
            Ok(address) => {
                let mut addrs = self.empty();
                addrs.push(address);
                Ok(addrs)
            }
            Err(_name) => DefaultResolver::default().resolve(uri, config, timeout),
        }
    }
}

/// Opens HTTPS streams to one entry point.
#[derive(Debug)]
pub struct HttpsLink {
    client: HttpClient,
    url: BaseUrl,
    purpose: Purpose,
}

impl Link for HttpsLink {
    type Stream = HttpsStream;

    fn open(&mut self) -> io::Result<HttpsStream> {
        match self.client.open(&self.url, self.purpose) {
            Ok((stream, _)) => Ok(stream),
            Err(error) => Err(io::Error::new(error.kind(), error)),
        }
    }

    fn origin(&self) -> &str {
        self.url.as_str()
    }

    fn limit(&self) -> Limit {
        self.client.timeouts.limit_for(self.purpose)
    }
}

/// TLS over TCP.
#[derive(Debug)]
pub struct HttpsStream {
    tls: StreamOwned<ClientConnection, Socket>,
}

impl HttpsStream {
    pub(super) const fn socket(&mut self) -> &mut Socket {
        &mut self.tls.sock
    }

    /// The certificates of the other side, its own first.
    pub(super) fn certificates(&self) -> Vec<CertDer> {
        let shown = self.tls.conn.peer_certificates().unwrap_or_default();
        shown.iter().map(|der| der.as_ref().to_vec()).collect()
    }
}

impl io::Read for HttpsStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.tls.read(buf)
    }
}

impl io::Write for HttpsStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.tls.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tls.flush()
    }
}

impl Stream for HttpsStream {
    fn limit(&mut self, limit: Limit) {
        self.tls.sock.limit(limit);
    }

    fn is_open(&mut self) -> bool {
        let waiting = io::Read::read(&mut self.tls.conn.reader(), &mut [0]);
        waiting.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            && self.tls.sock.is_open()
    }
}

/// HTTP/1.1 over TLS to one entry point.
pub type HttpsConnection = HttpConnection<HttpsLink>;

impl HttpsConnection {
    /// Changes what the connection is used for, from the next request on.
    pub const fn set_purpose(&mut self, purpose: Purpose) {
        self.link_mut().purpose = purpose;
    }

    /// Where it leads.
    #[must_use]
    pub const fn url(&self) -> &BaseUrl {
        &self.link().url
    }

    /// TLS version and cipher suite, while it is open.
    #[must_use]
    pub fn tls_info(&self) -> Option<TlsInfo> {
        self.stream()
            .and_then(|stream| TlsInfo::of(&stream.tls.conn))
    }

    /// The `Date` of the last answer, in milliseconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub fn server_date(&self) -> Option<u64> {
        let date = httpdate::parse_http_date(self.header("Date")?).ok()?;
        let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
        u64::try_from(since.as_millis()).ok()
    }
}

#[cfg(test)]
mod tests;
