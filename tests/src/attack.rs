//! Slow and greedy clients: thousands of them, a byte a second each, on loopback.
//!
//! They come from many addresses of 127.0.0.0/8, as a botnet would; each watches how long it
//! lasts. One thread plays them all.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Where somebody is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In the TLS handshake.
    Handshake,
    /// In the head of a request.
    Head,
    /// In the body of an open route.
    Body,
    /// In reading a large answer; needs a device.
    Answer,
}

/// What all attackers need.
#[derive(Clone)]
pub struct Target {
    /// The listener.
    pub address: SocketAddr,
    stranger: TlsConnector,
    /// Handshakes at once: one thread plays all clients, and whoever it leaves waiting is cut off
    /// before it could be slow on purpose.
    hellos: Arc<Semaphore>,
}

impl Target {
    /// A listener, and TLS without a client certificate.
    #[must_use]
    pub fn new(address: SocketAddr, stranger: TlsConnector) -> Self {
        Self {
            address,
            stranger,
            hellos: Arc::new(Semaphore::new(HELLOS)),
        }
    }
}

/// TLS that trusts `ca` (DER), with or without a device's certificate and key; version 1.2, as the
/// agent's default.
///
/// # Errors
/// When a certificate or a key is none.
pub fn connector(ca: &[u8], device: Option<(Vec<u8>, Vec<u8>)>) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ca.to_vec()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])?
        .with_root_certificates(roots);
    let config = match device {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => config.with_client_auth_cert(
            vec![CertificateDer::from(certificate)],
            PrivatePkcs8KeyDer::from(key).into(),
        )?,
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// An attacker's end.
#[derive(Clone, Copy, Debug)]
pub struct Gone {
    /// What it did.
    pub kind: Kind,
    /// From its first slow byte to its end.
    pub after: Duration,
}

/// How long a reader of a large answer stands still; the limit is 30 s.
const STILL_SECONDS: u64 = 33;
/// Handshakes at once.
const HELLOS: usize = 32;
/// Every attacker shares an address with so many others.
const PER_ADDRESS: usize = 200;
/// Give up waiting for a connection to be closed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The address from which attacker `number` comes.
#[must_use]
pub fn source(number: usize) -> Ipv4Addr {
    let index = u32::try_from(number / PER_ADDRESS).unwrap_or(0);
    Ipv4Addr::from_bits(u32::from_be_bytes([127, 1, 0, 1]) + index)
}

/// Starts `count` attackers of a kind, the first of which is attacker `first`.
pub fn start(
    attackers: &mut JoinSet<anyhow::Result<Gone>>,
    target: &Target,
    kind: Kind,
    (first, count): (usize, usize),
) {
    for number in first..first + count {
        let target = target.clone();
        attackers.spawn(async move { attack(&target, kind, number).await });
    }
}

/// One attacker from its connection to its end.
async fn attack(target: &Target, kind: Kind, number: usize) -> anyhow::Result<Gone> {
    if kind == Kind::Handshake {
        let stream = connect(target.address, source(number)).await?;
        // The beginning of a record that would hold 512 bytes.
        return drip(stream, kind, &[22, 3, 1, 2, 0]).await;
    }
    let hello = target.hellos.acquire().await?;
    let stream = connect(target.address, source(number)).await?;
    let stream = handshake(&target.stranger, stream).await?;
    drop(hello);
    let begin: &[u8] = match kind {
        Kind::Body => {
            b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nhost: localhost\r\n\
              content-length: 8000\r\n\r\n"
        }
        _ => b"GET /v1/entry-points HTTP/1.1\r\nhost: local",
    };
    drip(stream, kind, begin).await
}

/// Sends `begin` and then a byte a second until the other side ends it.
async fn drip(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite,
    kind: Kind,
    begin: &[u8],
) -> anyhow::Result<Gone> {
    let (mut reading, mut writing) = tokio::io::split(stream);
    let started = now();
    let begun = writing.write_all(begin).await.is_ok();
    let mut buffer = [0; 512];
    loop {
        tokio::select! {
            read = reading.read(&mut buffer) => {
                if !begun || read.map_or(0, |bytes| bytes) == 0 {
                    return Ok(Gone { kind, after: now() - started });
                }
            }
            () = sleep(Duration::from_secs(1)) => {
                // Once the other side is gone reading says so.
                drop(writing.write_all(b"a").await);
            }
        }
        ensure!(now() - started < PATIENCE, "{kind:?} is still there");
    }
}

/// A device that asks for a large answer and then reads a byte a second; says when it was cut off.
///
/// # Errors
/// When the whole answer came, or it cannot connect.
pub async fn read_slowly(
    address: SocketAddr,
    device: &TlsConnector,
    number: usize,
    answer_bytes: usize,
) -> anyhow::Result<Gone> {
    let stream = connect(address, source(number)).await?;
    let mut stream = handshake(device, stream).await?;
    stream
        .write_all(b"GET /v1/device/desired HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await?;
    let started = now();
    // Below TLS, which would read a whole record for every byte.
    let (mut raw, _) = stream.into_inner();
    let mut received = 0;
    // Longer than an answer may stand still that went into the kernel's buffers fast. A sender that cannot send is not told of a reader
    // that has little room, so that only reading everything tells how it ended.
    for _ in 0..STILL_SECONDS {
        received += raw.read(&mut [0; 1]).await.unwrap_or(0);
        sleep(Duration::from_secs(1)).await;
    }
    let after = now() - started;
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, raw.read_to_end(&mut rest)).await;
    received += rest.len();
    ensure!(
        read.is_ok(),
        "the connection stayed open: {received} bytes of {answer_bytes} came"
    );
    ensure!(
        received < answer_bytes,
        "{received} bytes of {answer_bytes} came: the answer was not cut off"
    );
    Ok(Gone {
        kind: Kind::Answer,
        after,
    })
}

/// A connection from `source` with small buffers.
async fn connect(address: SocketAddr, source: Ipv4Addr) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_recv_buffer_size(4096)?;
    socket.bind((source, 0).into())?;
    let stream = socket.connect(address).await;
    stream.with_context(|| format!("cannot connect from {source}"))
}

/// TLS over a connection.
///
/// # Errors
/// When the handshake fails.
pub async fn handshake(
    connector: &TlsConnector,
    stream: TcpStream,
) -> anyhow::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost")?;
    let stream = connector.connect(name, stream).await;
    stream.context("the handshake failed")
}

#[expect(clippy::disallowed_methods, reason = "measures how long others take")]
fn now() -> Instant {
    Instant::now()
}
