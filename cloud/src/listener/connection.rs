//! One connection: handshake, then request after request.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONNECTION, EXPECT, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use scantrip_cloud_client::problem::ProblemKind;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::server::TlsStream;

use super::Server;
use super::admission::{Visit, Wait};
use super::limits::HEAD_BYTES;
use super::line::{Doing, Line, Phase};
use crate::core::answer::{Answer, refuse};
use crate::core::route::find;
use crate::core::{Caller, Exchange, Hold, Peer};

/// A body is handed over in pieces of at least this: few hops, little memory.
const PIECE_BYTES: usize = 256 * 1024;
/// A refused body up to this is read to its end, so that the answer is not lost by a reset.
const DRAIN_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Serves a connection to its end.
pub(super) async fn run(server: Arc<Server>, stream: TcpStream, address: SocketAddr, visit: Visit) {
    drop(stream.set_nodelay(true));
    let phase = Phase::new();
    let line = Line::new(stream, Arc::clone(&phase));
    // Boxed, as the rest below: the two are not needed at the same time.
    let handshake = Box::pin(server.acceptor.accept(line));
    let stream = match handshake.await {
        Ok(stream) => stream,
        Err(error) => return log::debug!("handshake with {address} failed: {error}"),
    };
    let connection = Arc::new(Connection::new(server, &stream, address, visit, phase));
    Box::pin(exchange(connection, stream, address)).await;
}

async fn exchange(
    connection: Arc<Connection>,
    stream: TlsStream<Line<TcpStream>>,
    address: SocketAddr,
) {
    let mut stopping = connection.server.stopping.clone();
    // The line watches the clock, better than hyper's own timer could.
    let serving = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), Requests(connection));
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop_asked(&mut stopping) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        log::debug!("connection with {address} ended: {error}");
    }
}

/// A connection after its handshake.
struct Connection {
    server: Arc<Server>,
    caller: Caller,
    visit: Visit,
    phase: Arc<Phase>,
}

impl Connection {
    fn new(
        server: Arc<Server>,
        stream: &TlsStream<Line<TcpStream>>,
        address: SocketAddr,
        visit: Visit,
        phase: Arc<Phase>,
    ) -> Self {
        let tls = stream.get_ref().1;
        let certificate = tls.peer_certificates().and_then(<[_]>::first);
        if certificate.is_some() {
            phase.prove();
        }
        phase.set(Doing::Idle);
        let caller = Caller::new(Peer {
            address: address.ip().to_canonical(),
            certificate: certificate.map(|der| der.to_vec()),
        });
        Self {
            server,
            caller,
            visit,
            phase,
        }
    }

    /// Whether it is known whose connection it is, or that it is nobody's.
    fn is_known(&self) -> bool {
        if self.visit.is_proven() || self.caller.peer().certificate.is_none() {
            return true;
        }
        let owner = self.server.core.known_owner(&self.caller);
        if let Some(owner) = owner {
            self.visit.prove(owner, self.server.now());
        }
        owner.is_some()
    }

    /// Counts the request, and answers it if that needs no waiting.
    fn in_place(&self, head: &Parts, has_body: bool) -> Option<Answer> {
        if let Err(wait) = self.visit.request(self.server.now()) {
            return Some(busy(wait));
        }
        if has_body {
            return None;
        }
        let answer = self.server.core.cached_poll(&self.caller, head)?;
        answer
            .extensions()
            .get::<Hold>()
            .is_none()
            .then_some(answer)
    }
}

/// `429`, and when to come back.
fn busy(wait: Wait) -> Answer {
    let seconds = wait.time.as_secs() + 1;
    let detail = format!("{}: wait {seconds} s", wait.what);
    let mut answer = refuse(ProblemKind::Busy, detail)
        .retry_after(seconds)
        .into_answer();
    if wait.time > Duration::from_secs(1) {
        // The place is needed more than the connection.
        answer
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer was lost")]
struct Lost;

/// The requests of a connection.
struct Requests(Arc<Connection>);

type Reply = Response<Full<Bytes>>;

/// An answer, there already or under way: most polls need no box and no task.
enum Handling {
    Done(Option<Reply>),
    UnderWay(Pin<Box<dyn Future<Output = Result<Reply, Lost>> + Send>>),
}

impl Future for Handling {
    type Output = Result<Reply, Lost>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Done(reply) => Poll::Ready(reply.take().ok_or(Lost)),
            Self::UnderWay(handling) => handling.as_mut().poll(context),
        }
    }
}

impl Service<Request<Incoming>> for Requests {
    type Response = Reply;
    type Error = Lost;
    type Future = Handling;

    fn call(&self, request: Request<Incoming>) -> Handling {
        let (head, body) = request.into_parts();
        let connection = &self.0;
        let has_body = !body.is_end_stream();
        connection
            .phase
            .set(if has_body { Doing::Body } else { Doing::Work });
        if connection.is_known()
            && let Some(answer) = connection.in_place(&head, has_body)
        {
            return Handling::Done(told(connection, &head, answer).ok());
        }
        let handling = handle(Arc::clone(connection), head, body);
        if !has_body {
            return Handling::UnderWay(Box::pin(handling));
        }
        // A task of its own: when the line breaks, what came in is still kept.
        let task = tokio::spawn(handling);
        Handling::UnderWay(Box::pin(async move { task.await.unwrap_or(Err(Lost)) }))
    }
}

/// An answer on its way out.
fn told(connection: &Connection, head: &Parts, answer: Answer) -> Result<Reply, Lost> {
    let route = find(&head.method, head.uri.path()).map(|(route, _)| route);
    if let Some(route) = route {
        let metrics = connection.server.core.metrics();
        metrics.count(route, answer.status().as_u16());
    }
    let name = route.map_or("no route", |route| route.name);
    log::debug!("{name} {}", answer.status().as_u16());
    #[cfg(feature = "fault")]
    if crate::fault::loses_answer(name) {
        log::warn!("lost the answer to {name} on purpose");
        return Err(Lost);
    }
    #[cfg(feature = "fault")]
    let answer = crate::fault::spoil(answer);
    connection.phase.set(Doing::Answer);
    Ok(answer.map(|body| Full::new(Bytes::from(body))))
}

/// What is not answered in place.
async fn handle(connection: Arc<Connection>, head: Parts, body: Incoming) -> Result<Reply, Lost> {
    let has_body = !body.is_end_stream();
    if !connection.is_known() {
        let known = Arc::clone(&connection);
        blocking(move || {
            if let Some(owner) = known.server.core.owner(&known.caller) {
                known.visit.prove(owner, known.server.now());
            }
        })
        .await?;
        if let Some(answer) = connection.in_place(&head, has_body) {
            return told(&connection, &head, answer);
        }
    }
    let answer = if has_body {
        take(&connection, &head, body).await?
    } else {
        ask(&connection, &head).await?
    };
    told(&connection, &head, answer)
}

/// A request without a body; a poll may be held.
async fn ask(connection: &Arc<Connection>, head: &Parts) -> Result<Answer, Lost> {
    let server = &connection.server;
    let (mut changes, mut stopping) = (server.changes.clone(), server.stopping.clone());
    let mut until = None;
    loop {
        changes.mark_unchanged();
        let answer = match server.core.cached_poll(&connection.caller, head) {
            Some(answer) => answer,
            None => route(connection, head, Exchange::finish).await?,
        };
        let Some(Hold { seconds }) = answer.extensions().get::<Hold>() else {
            return Ok(answer);
        };
        let longest = Duration::from_secs(u64::from(*seconds));
        let until = *until.get_or_insert_with(|| Instant::now() + longest);
        tokio::select! {
            () = sleep_until(until) => return Ok(answer),
            () = stop_asked(&mut stopping) => return Ok(answer),
            // An error: the listener is gone, which is as good as a change.
            _ = changes.changed() => {}
        }
    }
}

/// Begins a request on the pool and does `more` there.
async fn route<T: Send + 'static>(
    connection: &Arc<Connection>,
    head: &Parts,
    more: impl FnOnce(Exchange) -> T + Send + 'static,
) -> Result<T, Lost> {
    let (connection, head) = (Arc::clone(connection), head.clone());
    blocking(move || {
        more(
            connection
                .server
                .core
                .route(connection.caller.peer(), &head),
        )
    })
    .await
}

/// A request with a body.
async fn take(
    connection: &Arc<Connection>,
    head: &Parts,
    mut body: Incoming,
) -> Result<Answer, Lost> {
    let mut exchange = route(connection, head, |exchange| exchange).await?;
    let piece_bytes = piece_bytes(head);
    let mut piece = Vec::new();
    while exchange.wants_body() {
        let more = next(&mut body, &mut piece, piece_bytes).await;
        let last = matches!(more, Next::End);
        if last {
            connection.phase.set(Doing::Work);
        }
        let full = std::mem::take(&mut piece);
        // Whether it ended or broke: the core keeps what came in.
        if last {
            return blocking(move || {
                exchange.push(&full);
                exchange.finish()
            })
            .await;
        }
        exchange = blocking(move || {
            exchange.push(&full);
            exchange
        })
        .await?;
    }
    if !head.headers.contains_key(EXPECT) {
        drain(&mut body).await;
    }
    connection.phase.set(Doing::Work);
    blocking(move || exchange.finish()).await
}

/// No more than the route takes is gathered before the core can refuse it.
fn piece_bytes(head: &Parts) -> usize {
    let route = find(&head.method, head.uri.path());
    let most = route.map_or(0, |(route, _)| route.body_bytes_max);
    usize::try_from(most).map_or(PIECE_BYTES, |most| PIECE_BYTES.min(most + 1))
}

async fn stop_asked(stopping: &mut watch::Receiver<bool>) {
    // An error: the listener is gone, which is as good.
    drop(stopping.wait_for(|stopping| *stopping).await);
}

enum Next {
    More,
    End,
}

/// Gathers the next piece of a body. The line ends a body that comes too slowly.
async fn next(body: &mut Incoming, piece: &mut Vec<u8>, piece_bytes: usize) -> Next {
    while piece.len() < piece_bytes {
        match body.frame().await {
            Some(Ok(frame)) => {
                if let Some(bytes) = frame.data_ref() {
                    piece.extend_from_slice(bytes);
                }
            }
            Some(Err(_)) | None => return Next::End,
        }
    }
    Next::More
}

async fn drain(body: &mut Incoming) {
    let mut left = DRAIN_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
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
