//! A socket each of whose waits ends.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use scantrip_cloud_client::http::{Limit, Stream};
use scantrip_hal::clock::{Clock, Instant};

/// A socket of the operating system.
pub trait Socket: io::Read + io::Write + fmt::Debug {
    /// Sets how long a single read or write may wait.
    ///
    /// # Errors
    /// When the system refuses.
    fn set_timeout(&self, timeout: Duration) -> io::Result<()>;
}

impl Socket for UnixStream {
    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(timeout))?;
        self.set_write_timeout(Some(timeout))
    }
}

impl Socket for TcpStream {
    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(timeout))?;
        self.set_write_timeout(Some(timeout))
    }
}

/// A [`Socket`] as a [`Stream`]: every wait is limited, and all waits of an exchange together.
pub struct Timed<S> {
    socket: S,
    clock: Arc<dyn Clock>,
    ends_at: Instant,
    stall: Duration,
}

impl<S: Socket> Timed<S> {
    /// Wraps a socket; until a limit is set, every read and write times out.
    pub fn new(socket: S, clock: Arc<dyn Clock>) -> Self {
        let ends_at = clock.boot();
        Self {
            socket,
            clock,
            ends_at,
            stall: Duration::ZERO,
        }
    }

    fn prepare(&self) -> io::Result<()> {
        let left = self.ends_at.since(self.clock.boot()).min(self.stall);
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.socket.set_timeout(left)
    }
}

/// Linux tells a timeout of a socket as "would block".
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
        _ => error,
    }
}

impl<S: Socket> io::Read for Timed<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.prepare()?;
        self.socket.read(buf).map_err(timed_out)
    }
}

impl<S: Socket> io::Write for Timed<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.prepare()?;
        self.socket.write(buf).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

impl<S: Socket> Stream for Timed<S> {
    fn limit(&mut self, limit: Limit) {
        self.ends_at = self.clock.boot() + limit.total;
        self.stall = limit.stall;
    }

    fn is_open(&mut self) -> bool {
        true
    }
}

impl<S: fmt::Debug> fmt::Debug for Timed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
