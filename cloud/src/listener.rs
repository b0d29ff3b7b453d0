//! The listener: TLS and HTTP for the core. It pumps bytes and decides nothing but who may come in.
//!
//! Polls that the core can answer out of memory are answered in place; everything else runs on a
//! bounded pool of threads that may block. A slow sender holds no thread: its bytes are gathered
//! and handed over in pieces. Every wait for a peer has an end (`limits`, `line`), and every
//! peer a share (`admission`); who is over it is turned away before the handshake.

mod admission;
mod connection;
mod limits;
mod line;
mod pace;
mod rate;
#[cfg(test)]
mod tests;
mod tls;

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use self::admission::{Admission, Full, Visit};
use crate::core::Core;
use crate::core::answer::chain;
use crate::shedding::Shedding;

pub use self::limits::{Limits, Rate};
pub use self::tls::{ServerIdentity, TlsError};

/// How often we look for changes by other processes: a look is believed for a second, and polls
/// shall not have to wait for one.
const LOOK: Duration = Duration::from_millis(250);
/// Turning away many is told this often.
const TELL: Duration = Duration::from_secs(10);

/// What all connections share.
struct Server {
    core: Arc<Core>,
    acceptor: TlsAcceptor,
    admission: Arc<Admission>,
    started: Instant,
    /// Changes with every change that a held poll may wait for.
    changes: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
}

impl Server {
    /// Since the start.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Answers devices on `listener` until `stop`, then lets requests under way end.
pub async fn serve(
    core: Arc<Core>,
    listener: TcpListener,
    identity: Arc<ServerIdentity>,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let (stop_all, stopping) = watch::channel(false);
    let (change, changes) = watch::channel(0_u64);
    core.on_change(move || change.send_modify(|number| *number = number.wrapping_add(1)));
    let looking = tokio::spawn(look(Arc::clone(&core)));
    let connections = limits.connections;
    let server = Arc::new(Server {
        core,
        acceptor: TlsAcceptor::from(identity.config()),
        admission: Admission::new(limits),
        started: Instant::now(),
        changes,
        stopping,
    });
    let places = Arc::new(Semaphore::new(connections as usize));
    tokio::select! {
        () = accept(&server, &listener, &places) => {}
        () = stop => {}
    }
    drop(listener);
    let _told = stop_all.send(true);
    let all = places.acquire_many(connections);
    if timeout(limits::SHUTDOWN, all).await.is_err() {
        log::warn!("some requests were cut off; devices will repeat them");
    }
    looking.abort();
}

/// Notices changes by other processes.
async fn look(core: Arc<Core>) {
    let mut every = interval(LOOK);
    loop {
        every.tick().await;
        let core = Arc::clone(&core);
        let looked = spawn_blocking(move || core.look()).await;
        if let Ok(Err(error)) = looked {
            log::error!("cannot look for changes: {}", chain(&error));
        }
    }
}

async fn accept(server: &Arc<Server>, listener: &TcpListener, places: &Arc<Semaphore>) {
    let mut turned_away = TurnedAway::new(server.started);
    let mut shedding = Shedding::default();
    loop {
        match listener.accept().await {
            Ok((stream, address)) => match admit(server, places, address) {
                Ok((visit, place)) => {
                    shedding.serve(server.now().as_secs());
                    let server = Arc::clone(server);
                    tokio::spawn(async move {
                        connection::run(server, stream, address, visit).await;
                        drop(place);
                    });
                }
                Err(why) => {
                    turned_away.count(why, address);
                    turn_away(&stream, why, || shedding.turn_away(server.now().as_secs()));
                }
            },
            // It has gone before we came.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => {
                // Out of file descriptors or memory: others have to end first.
                log::warn!("cannot accept a connection: {error}");
                sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(
    server: &Arc<Server>,
    places: &Arc<Semaphore>,
    address: SocketAddr,
) -> Result<(Visit, OwnedSemaphorePermit), Full> {
    let place = Arc::clone(places).try_acquire_owned();
    let place = place.map_err(|_cause| Full::All)?;
    let visit = server
        .admission
        .connect(address.ip().to_canonical(), server.now())?;
    Ok((visit, place))
}

/// Before the handshake, which costs twenty times as much. Who comes when everything is full is
/// told in clear when there is room; who takes too much is reset, so that nothing stays in our
/// kernel.
fn turn_away(stream: &TcpStream, why: Full, seconds: impl FnOnce() -> u64) {
    if why == Full::All {
        let seconds = seconds();
        let answer = format!(
            "HTTP/1.1 503 Busy\r\nRetry-After: {seconds}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        );
        // A new connection has room for it; whoever does not get it waits by its own measure.
        drop(stream.try_write(answer.as_bytes()));
    } else {
        drop(stream.set_zero_linger());
    }
}

/// Tells of those who were turned away, without filling the log.
struct TurnedAway {
    since: u64,
    told: Instant,
}

impl TurnedAway {
    const fn new(now: Instant) -> Self {
        Self {
            since: 0,
            told: now,
        }
    }

    fn count(&mut self, why: Full, address: SocketAddr) {
        self.since += 1;
        if self.since == 1 || self.told.elapsed() >= TELL {
            let number = self.since;
            log::warn!("turned away {number} connections, the last from {address}: {why}");
            self.since = 1;
            self.told = Instant::now();
        }
    }
}

/// Binds the address to listen on.
///
/// # Errors
/// When it is in use or not ours.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // As `TcpListener::bind` does: the port may be taken again at once after a restart.
    socket.set_reuseaddr(true)?;
    // Connections inherit it.
    socket.set_send_buffer_size(limits::SEND_BUFFER_BYTES)?;
    sockopt::set_tcp_user_timeout(&socket, limits::UNACKNOWLEDGED_MS)?;
    socket.bind(address)?;
    socket.listen(limits::BACKLOG)
}
