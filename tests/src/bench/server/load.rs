//! Devices that poll: the client's side of the measurements. Every answer is checked.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::attack::handshake;

/// What polls send and what must come back.
#[derive(Clone)]
pub(super) struct Poll {
    request: Vec<u8>,
    tag: String,
}

impl Poll {
    /// A poll by a device that knows the state with this tag.
    pub(super) fn with(tag: &str) -> Self {
        let request = format!(
            "GET /v1/device/desired HTTP/1.1\r\nhost: localhost\r\nif-none-match: {tag}\r\n\r\n"
        );
        Self {
            request: request.into_bytes(),
            tag: format!("etag: {tag}\r\n"),
        }
    }

    /// Asks once over an open connection.
    pub(super) async fn ask(&self, stream: &mut TlsStream<TcpStream>) -> anyhow::Result<()> {
        stream.write_all(&self.request).await?;
        let mut buffer = [0; 2048];
        let mut filled = 0;
        loop {
            let room = buffer.get_mut(filled..).context("a long head")?;
            let bytes = stream.read(room).await?;
            ensure!(bytes > 0, "the connection was closed");
            filled += bytes;
            let head = buffer.get(..filled).unwrap_or_default();
            // Another answer than 304 has a body.
            if head.windows(4).any(|end| end == b"\r\n\r\n") {
                let head = std::str::from_utf8(head)?;
                let right = head.starts_with("HTTP/1.1 304 ") && head.contains(&self.tag);
                ensure!(right, "not the right answer: {head}");
                return Ok(());
            }
        }
    }
}

/// An open connection that has polled once.
pub(super) async fn open(
    address: SocketAddr,
    device: &TlsConnector,
    poll: &Poll,
) -> anyhow::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut stream = handshake(device, stream).await?;
    poll.ask(&mut stream).await?;
    Ok(stream)
}

/// A connection for each of `devices`, some at a time.
pub(super) async fn open_all(
    address: SocketAddr,
    devices: &[TlsConnector],
    poll: &Poll,
) -> anyhow::Result<Vec<TlsStream<TcpStream>>> {
    const AT_ONCE: usize = 16;
    let mut open_streams = Vec::new();
    for some in devices.chunks(AT_ONCE) {
        let mut opening = JoinSet::new();
        for device in some {
            let (device, poll) = (device.clone(), poll.clone());
            opening.spawn(async move { open(address, &device, &poll).await });
        }
        while let Some(stream) = opening.join_next().await {
            open_streams.push(stream??);
        }
    }
    Ok(open_streams)
}

/// Polls `each` times on every connection, all of them at the same time.
pub(super) async fn poll_all(
    streams: Vec<TlsStream<TcpStream>>,
    poll: &Poll,
    each: usize,
) -> anyhow::Result<()> {
    let mut polling = JoinSet::new();
    for mut stream in streams {
        let poll = poll.clone();
        polling.spawn(async move {
            for _ in 0..each {
                poll.ask(&mut stream).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = polling.join_next().await {
        done??;
    }
    Ok(())
}

/// New connections that poll once, by `workers` at a time; each handshake is of this kind.
pub(super) async fn connect_all(
    address: SocketAddr,
    devices: &[TlsConnector],
    poll: &Poll,
    kind: HandshakeKind,
) -> anyhow::Result<()> {
    const WORKERS: usize = 8;
    let mut connecting = JoinSet::new();
    for some in devices.chunks(devices.len().div_ceil(WORKERS)) {
        let (some, poll) = (some.to_vec(), poll.clone());
        connecting.spawn(async move {
            for device in &some {
                let stream = open(address, device, &poll).await?;
                let found = stream.get_ref().1.handshake_kind();
                ensure!(found == Some(kind), "{found:?} in place of {kind:?}");
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = connecting.join_next().await {
        done??;
    }
    Ok(())
}
