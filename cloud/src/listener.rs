//! The listener: TLS and HTTP for the core. It pumps bytes and decides nothing.
//!
//! Polls that the core can answer out of its cache are answered in place; everything else runs on
//! a bounded pool of threads that may block. A slow sender holds no thread: its bytes are gathered
//! and handed over in pieces. Every wait has an end: handshake, head, each piece of a body.

mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::EXPECT;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::core::answer::Answer;
use crate::core::{Core, Exchange, Hold, Peer};

pub use self::tls::{ServerIdentity, TlsError};

/// Connections at once: each may hold some hundred kilobytes.
const CONNECTIONS_MAX: u32 = 4096;
/// A handshake is two round trips and a signature.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// From the end of an answer to the end of the next head; longer silence closes the connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two pieces of a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Request line and headers.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// A body is handed over in pieces of at least this: few hops, little memory.
const PIECE_BYTES: usize = 256 * 1024;
/// A refused body up to this is read to its end, so that the answer is not lost by a reset.
const DRAIN_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How often a held poll looks again.
const HOLD_LOOK: Duration = Duration::from_secs(1);
/// Requests under way may end; held polls are answered at once.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(20);

/// Answers devices on `listener` until `stop`, then lets requests under way end.
pub async fn serve(
    core: Arc<Core>,
    listener: TcpListener,
    identity: Arc<ServerIdentity>,
    stop: impl Future<Output = ()>,
) {
    let acceptor = TlsAcceptor::from(identity.config());
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
    let (stopping, stopped) = watch::channel(false);
    let mut stop = std::pin::pin!(stop);
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let Ok(place) = place.await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, address)) => {
                let connection = connection(
                    Arc::clone(&core),
                    acceptor.clone(),
                    (stream, address),
                    stopped.clone(),
                );
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of file descriptors, mostly: others have to end first.
                log::warn!("cannot accept a connection: {error}");
                sleep(HOLD_LOOK).await;
            }
        }
    }
    drop(listener);
    let _told = stopping.send(true);
    if timeout(SHUTDOWN_TIMEOUT, places.acquire_many(CONNECTIONS_MAX))
        .await
        .is_err()
    {
        log::warn!("some requests were cut off; devices will repeat them");
    }
}

async fn connection(
    core: Arc<Core>,
    acceptor: TlsAcceptor,
    (stream, address): (TcpStream, SocketAddr),
    mut stopped: watch::Receiver<bool>,
) {
    drop(stream.set_nodelay(true));
    let stream = match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return log::debug!("handshake with {address} failed: {error}"),
        Err(_) => return log::debug!("handshake with {address} took too long"),
    };
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(<[_]>::first);
    let peer = Arc::new(Peer {
        address: address.ip().to_canonical(),
        certificate: certificate.map(|der| der.to_vec()),
    });
    let stop = stopped.clone();
    let service = service_fn(move |request| {
        // A task of its own: when the line breaks, what came in is still kept.
        let handling = tokio::spawn(handle(
            Arc::clone(&core),
            Arc::clone(&peer),
            request,
            stop.clone(),
        ));
        async move { handling.await.unwrap_or(Err(Lost)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop_asked(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        log::debug!("connection with {address} ended: {error}");
    }
}

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer was lost")]
struct Lost;

async fn handle(
    core: Arc<Core>,
    peer: Arc<Peer>,
    request: Request<Incoming>,
    stopped: watch::Receiver<bool>,
) -> Result<Response<Full<Bytes>>, Lost> {
    let (head, body) = request.into_parts();
    let answer = if body.is_end_stream() {
        ask(&core, &peer, &head, stopped).await?
    } else {
        take(&core, &peer, &head, body).await?
    };
    let route = crate::core::route::find(&head.method, head.uri.path());
    if let Some((route, _)) = route {
        core.metrics().count(route, answer.status().as_u16());
    }
    let name = route.map_or("no route", |(route, _)| route.name);
    log::debug!("{name} {}", answer.status().as_u16());
    #[cfg(feature = "fault")]
    if crate::fault::loses_answer(name) {
        log::warn!("lost the answer to {name} on purpose");
        return Err(Lost);
    }
    #[cfg(feature = "fault")]
    let answer = crate::fault::spoil(answer);
    Ok(answer.map(|body| Full::new(Bytes::from(body))))
}

/// A request without a body; a poll may be held.
async fn ask(
    core: &Arc<Core>,
    peer: &Arc<Peer>,
    head: &Parts,
    mut stopped: watch::Receiver<bool>,
) -> Result<Answer, Lost> {
    let mut left: Option<Duration> = None;
    loop {
        let answer = match core.cached_poll(peer, head) {
            Some(answer) => answer,
            None => {
                let (core, peer, head) = (Arc::clone(core), Arc::clone(peer), head.clone());
                blocking(move || core.route(&peer, &head).finish()).await?
            }
        };
        let Some(Hold { seconds }) = answer.extensions().get::<Hold>() else {
            return Ok(answer);
        };
        let remaining = left.unwrap_or_else(|| Duration::from_secs(u64::from(*seconds)));
        let pause = remaining.min(HOLD_LOOK);
        if pause.is_zero() || *stopped.borrow() {
            return Ok(answer);
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = stop_asked(&mut stopped) => return Ok(answer),
        }
        left = Some(remaining - pause);
    }
}

/// A request with a body.
async fn take(
    core: &Arc<Core>,
    peer: &Arc<Peer>,
    head: &Parts,
    mut body: Incoming,
) -> Result<Answer, Lost> {
    let mut exchange: Exchange = {
        let (core, peer, head) = (Arc::clone(core), Arc::clone(peer), head.clone());
        blocking(move || core.route(&peer, &head)).await?
    };
    let mut piece = Vec::new();
    while exchange.wants_body() {
        match next(&mut body, &mut piece).await {
            Next::More => {
                let full = std::mem::take(&mut piece);
                exchange = blocking(move || {
                    exchange.push(&full);
                    exchange
                })
                .await?;
            }
            // Whether it ended or broke: the core keeps what came in.
            Next::End => {
                return blocking(move || {
                    exchange.push(&piece);
                    exchange.finish()
                })
                .await;
            }
        }
    }
    if !head.headers.contains_key(EXPECT) {
        drain(&mut body).await;
    }
    blocking(move || exchange.finish()).await
}

async fn stop_asked(stopped: &mut watch::Receiver<bool>) {
    // An error: the listener is gone, which is as good.
    drop(stopped.wait_for(|stopped| *stopped).await);
}

enum Next {
    More,
    End,
}

/// Gathers the next piece of a body.
async fn next(body: &mut Incoming, piece: &mut Vec<u8>) -> Next {
    while piece.len() < PIECE_BYTES {
        match timeout(BODY_TIMEOUT, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                if let Some(bytes) = frame.data_ref() {
                    piece.extend_from_slice(bytes);
                }
            }
            Ok(Some(Err(_)) | None) | Err(_) => return Next::End,
        }
    }
    Next::More
}

async fn drain(body: &mut Incoming) {
    let mut left = DRAIN_BYTES_MAX;
    while let Ok(Some(Ok(frame))) = timeout(HANDSHAKE_TIMEOUT, body.frame()).await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// Runs what may block on the pool for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Lost> {
    spawn_blocking(work).await.map_err(|error| {
        log::error!("a request ended in a defect of this program: {error}");
        Lost
    })
}

/// Binds the address to listen on.
///
/// # Errors
/// When it is in use or not ours.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}
