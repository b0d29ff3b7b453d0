//! Connections to the device's own address, behind a trait so that tests feed bytes.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use super::http;
use super::trust::{TlsOptions, Trust};
use crate::backends::system::SystemClock;
use crate::clock::Clock as _;
use crate::web::{Exchange, Patience, Pin};

/// How a port answers.
pub(super) enum Connected {
    Open(Box<dyn Stream>),
    /// Refused: the host is there, nobody listens.
    Closed,
    /// No answer at all.
    Silent,
}

/// A connection.
pub(super) trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// What came back to a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Datagram {
    Answer(Vec<u8>),
    /// The host says that nobody listens.
    Refused,
    Silent,
}

/// One address of the device.
pub(super) trait Wire {
    fn connect(&mut self, port: u16) -> Connected;
    /// Sends one datagram and waits for one, with one retry.
    fn ask(&mut self, port: u16, question: &[u8]) -> Datagram;
    /// HTTP over TLS; `None`: no handshake comes about.
    fn tls(&mut self, port: u16) -> Option<Box<dyn Exchange>>;
    /// Who vouches for a chain that was shown there.
    fn trust(&self, chain: &[Vec<u8>]) -> Trust;
    /// Lets the time between two questions pass.
    fn wait(&self);
    /// Time since the start of this machine.
    fn now_ms(&self) -> u64;
}

/// No connection came about, or nothing more came in time: that says nothing.
#[derive(Debug)]
pub(super) struct Lost;

/// Sends a question on a new connection and reads until `answer` has enough; `None`: the other side
/// ended the connection without an answer.
pub(super) fn exchange<T>(
    wire: &mut dyn Wire,
    port: u16,
    question: &[u8],
    answer: fn(&[u8], bool) -> Option<T>,
) -> Result<Option<T>, Lost> {
    let mut found = None;
    talk(wire, port, question, &mut |bytes, at_end| {
        found = answer(bytes, at_end);
        found.is_some()
    })?;
    Ok(found)
}

/// Hands what has come to `is_enough` until that is so, or until nothing more will come.
fn talk(
    wire: &mut dyn Wire,
    port: u16,
    question: &[u8],
    is_enough: &mut dyn FnMut(&[u8], bool) -> bool,
) -> Result<(), Lost> {
    let Connected::Open(mut stream) = wire.connect(port) else {
        return Err(Lost);
    };
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let mut sent = stream.write_all(question).and_then(|()| stream.flush());
    while bytes.len() < http::ANSWER_BYTES_MAX {
        match sent.and_then(|()| stream.read(&mut buffer)) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if is_end(&error) => break,
            Err(_) => return Err(Lost),
        }
        if is_enough(&bytes, false) {
            return Ok(());
        }
        sent = Ok(());
    }
    let _enough = is_enough(&bytes, true);
    Ok(())
}

/// Whether the other side has ended the connection.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset)
}

/// Real sockets.
pub(super) struct LiveWire {
    pub(super) address: IpAddr,
    /// Between one question and the next.
    pub(super) pace: Duration,
    pub(super) tls: Option<TlsOptions>,
}

const TIMEOUT: Duration = Duration::from_secs(2);
/// A whole exchange, however slowly the bytes come.
const EXCHANGE: Duration = Duration::from_secs(6);
const PATIENCE: Patience = Patience {
    connect: EXCHANGE,
    stall: EXCHANGE,
    total: EXCHANGE,
};
const DATAGRAM_BYTES_MAX: usize = 8 * 1024;

impl Wire for LiveWire {
    fn connect(&mut self, port: u16) -> Connected {
        self.wait();
        let address = SocketAddr::new(self.address, port);
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => {
                let clock = SystemClock::new();
                let until_ms = clock.boot().as_millis() + EXCHANGE.as_millis() as u64;
                Connected::Open(Box::new(Bounded {
                    stream,
                    clock,
                    until_ms,
                }))
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Connected::Closed,
            Err(_) => Connected::Silent,
        }
    }

    fn ask(&mut self, port: u16, question: &[u8]) -> Datagram {
        self.wait();
        ask(SocketAddr::new(self.address, port), question).unwrap_or_else(|error| {
            match error.kind() {
                io::ErrorKind::ConnectionRefused => Datagram::Refused,
                _ => Datagram::Silent,
            }
        })
    }

    fn tls(&mut self, port: u16) -> Option<Box<dyn Exchange>> {
        let connector = Arc::clone(&self.tls.as_ref()?.connector);
        // One that does not answer at all is not waited for any longer.
        let Connected::Open(_) = self.connect(port) else {
            return None;
        };
        self.wait();
        let origin = format!("https://{}", SocketAddr::new(self.address, port));
        // Whoever it is: trust in its certificate is what is asked for.
        connector.connect(&origin, &Pin::default(), PATIENCE).ok()
    }

    fn trust(&self, chain: &[Vec<u8>]) -> Trust {
        match &self.tls {
            Some(tls) => tls.trust(chain),
            None => Trust::Unknown("whether to trust its issuer is not checked".to_owned()),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a device is asked at a gentle pace, on the thread of the one who asks"
    )]
    fn wait(&self) {
        std::thread::sleep(self.pace);
    }

    fn now_ms(&self) -> u64 {
        SystemClock::new().boot().as_millis()
    }
}

fn ask(address: SocketAddr, question: &[u8]) -> io::Result<Datagram> {
    let own: IpAddr = match address {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((own, 0))?;
    // Connected: answers of others are dropped by the kernel.
    socket.connect(address)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    for _ in 0..2 {
        let _sent = socket.send(question)?;
        match socket.recv(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(Datagram::Answer(buffer));
            }
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Datagram::Silent)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// A connection that ends at a moment, whatever the other side does.
struct Bounded {
    stream: TcpStream,
    clock: SystemClock,
    until_ms: u64,
}

impl Bounded {
    fn left(&self) -> io::Result<Option<Duration>> {
        match self.until_ms.saturating_sub(self.clock.boot().as_millis()) {
            0 => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(Some(Duration::from_millis(left).min(TIMEOUT))),
        }
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
