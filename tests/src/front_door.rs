//! A regional front door on loopback: passes bytes through with a delay each way, and can be
//! unplugged, slowed or cut. TLS goes through untouched, as it does through a CDN's TCP relay.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A running front door. Ends with the process.
#[derive(Clone)]
pub struct FrontDoor {
    address: SocketAddr,
    state: Arc<State>,
}

/// What the line does to every byte besides its own delay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Added to the delay, each way.
    pub delay: Duration,
    /// Bytes that pass in a second, each way and connection; `None`: all.
    pub bytes_per_second: Option<u32>,
}

struct State {
    target: Mutex<Option<SocketAddr>>,
    delay: Duration,
    unplugged: AtomicBool,
    unplug_when_closed: AtomicBool,
    cut_after_bytes: AtomicU64,
    weather: Mutex<Weather>,
    connections: AtomicU64,
    deaf_up_to: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl FrontDoor {
    /// Listens on a free loopback port; `delay` is added to every byte, each way.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn open(delay: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let state = Arc::new(State {
            target: Mutex::new(None),
            delay,
            unplugged: AtomicBool::new(false),
            unplug_when_closed: AtomicBool::new(false),
            cut_after_bytes: AtomicU64::new(u64::MAX),
            weather: Mutex::default(),
            connections: AtomicU64::new(0),
            deaf_up_to: AtomicU64::new(0),
            open: Mutex::new(Vec::new()),
        });
        let address = listener.local_addr()?;
        let accepting = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                accepting.accept(client);
            }
        });
        Ok(Self { address, state })
    }

    /// The address to connect to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Relays to `target` from now on; before this, connections are closed at once.
    pub fn relay_to(&self, target: SocketAddr) {
        *self.state.target.lock().expect("no holder panics") = Some(target);
    }

    /// Pulls or plugs the cable: open connections are cut, new ones closed.
    pub fn set_unplugged(&self, unplugged: bool) {
        self.state.unplugged.store(unplugged, Ordering::SeqCst);
        if unplugged {
            self.state.cut_all();
        }
    }

    /// Pulls the cable for good as soon as the cloud closes a connection by itself.
    pub fn unplug_when_closed(&self) {
        self.state.unplug_when_closed.store(true, Ordering::SeqCst);
    }

    /// Cuts the connection that carries the `bytes`-th byte from now towards the cloud, once.
    pub fn cut_after(&self, bytes: u64) {
        self.state.cut_after_bytes.store(bytes, Ordering::SeqCst);
    }

    /// Slows the line, from the next bytes on.
    pub fn set_weather(&self, weather: Weather) {
        *self.state.weather.lock().expect("no holder panics") = weather;
    }

    /// Leaves the open connections half-open: nothing passes any more and nobody is told, as when
    /// a router forgets them. New ones are well.
    pub fn forget_connections(&self) {
        let opened = self.state.connections.load(Ordering::SeqCst);
        self.state.deaf_up_to.store(opened, Ordering::SeqCst);
    }
}

impl State {
    fn accept(self: &Arc<Self>, client: TcpStream) {
        let target = *self.target.lock().expect("no holder panics");
        let Some(target) = target.filter(|_| !self.unplugged.load(Ordering::SeqCst)) else {
            return;
        };
        let state = Arc::clone(self);
        thread::spawn(move || {
            // A connect through a far door takes a round trip longer.
            wait(state.delay * 2);
            let Ok(server) = connect(target) else { return };
            drop(client.set_nodelay(true));
            let ends = (client.try_clone(), server.try_clone());
            let (Ok(client_copy), Ok(server_copy)) = ends else {
                return;
            };
            state.remember(&client, &server);
            let number = state.connections.fetch_add(1, Ordering::SeqCst) + 1;
            let towards = Arc::clone(&state);
            thread::spawn(move || towards.pump((client_copy, server), number, true));
            state.pump((server_copy, client), number, false);
            if state.unplug_when_closed.load(Ordering::SeqCst) {
                state.unplugged.store(true, Ordering::SeqCst);
                state.cut_all();
            }
        });
    }

    fn remember(&self, client: &TcpStream, server: &TcpStream) {
        let mut open = self.open.lock().expect("no holder panics");
        open.retain(|stream| stream.peer_addr().is_ok());
        open.extend(client.try_clone().into_iter().chain(server.try_clone()));
    }

    fn cut_all(&self) {
        for stream in self.open.lock().expect("no holder panics").drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// Reads here, writes there, each chunk `delay` later, until either end closes.
    fn pump(
        self: &Arc<Self>,
        (mut from, to): (TcpStream, TcpStream),
        number: u64,
        towards_cloud: bool,
    ) {
        let (sender, receiver) = mpsc::channel();
        let writer = thread::spawn(move || write_when_due(&receiver, to));
        self.read_all(&mut from, &sender, number, towards_cloud);
        drop(sender);
        drop(writer.join());
        drop(from.shutdown(Shutdown::Both));
    }

    fn read_all(
        &self,
        from: &mut TcpStream,
        sender: &Sender<Chunk>,
        number: u64,
        towards_cloud: bool,
    ) {
        let mut buffer = vec![0; 64 * 1024];
        let mut busy_until = now();
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if towards_cloud && self.is_cut_here(length as u64) {
                return;
            }
            if number <= self.deaf_up_to.load(Ordering::SeqCst) {
                continue;
            }
            let weather = *self.weather.lock().expect("no holder panics");
            if let Some(rate) = weather.bytes_per_second {
                let takes = Duration::from_secs_f64(length as f64 / f64::from(rate.max(1)));
                busy_until = busy_until.max(now()) + takes;
            }
            let bytes = buffer.get(..length).unwrap_or_default().to_vec();
            let due = now().max(busy_until) + self.delay + weather.delay;
            if sender.send(Chunk { due, bytes }).is_err() {
                return;
            }
        }
    }

    fn is_cut_here(&self, length: u64) -> bool {
        let left = self.cut_after_bytes.load(Ordering::SeqCst);
        if left == u64::MAX {
            return false;
        }
        let cut = left <= length;
        self.cut_after_bytes
            .store(if cut { u64::MAX } else { left - length }, Ordering::SeqCst);
        cut
    }
}

struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
}

fn write_when_due(receiver: &Receiver<Chunk>, mut to: TcpStream) {
    for chunk in receiver {
        wait(chunk.due.saturating_duration_since(now()));
        if to.write_all(&chunk.bytes).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Both));
}

#[expect(
    clippy::disallowed_methods,
    reason = "a front door is a real network of its own"
)]
fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(target)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the delay of a real line, not a wait for a result"
)]
fn wait(time: Duration) {
    thread::sleep(time);
}

#[expect(
    clippy::disallowed_methods,
    reason = "the delay of a real line is real time"
)]
fn now() -> Instant {
    Instant::now()
}
