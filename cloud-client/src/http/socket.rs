//! A ureq transport as a plain stream whose waits end.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use ureq::unversioned::transport::time::Duration as Wait;
use ureq::unversioned::transport::{NextTimeout, Transport};

use super::https::Clocks;
use super::link::Limit;

/// Whether nobody waits for the answer any more; asked several times a second while one is waited for.
pub type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

/// How soon a stop is seen: a person waits for it.
const GLANCE: Duration = Duration::from_millis(200);

/// Reads and writes a transport under a deadline.
pub(crate) struct Socket {
    transport: Box<dyn Transport>,
    clocks: Clocks,
    deadline: Duration,
    stall: Duration,
    /// What ends a wait early.
    stop: Option<Stop>,
    /// The first bytes that came, until the handshake is through.
    greeting: Option<Vec<u8>>,
}

/// An answer in clear before the handshake is kept up to here.
const GREETING_BYTES_MAX: usize = 512;

impl Socket {
    pub(super) fn new(transport: Box<dyn Transport>, clocks: Clocks, limit: Limit) -> Self {
        let mut socket = Self {
            transport,
            clocks,
            deadline: Duration::ZERO,
            stall: Duration::ZERO,
            stop: None,
            greeting: Some(Vec::new()),
        };
        socket.limit(limit);
        socket
    }

    pub(super) fn limit(&mut self, limit: Limit) {
        self.deadline = (self.clocks.boot)().saturating_add(limit.total);
        self.stall = limit.stall;
    }

    pub(super) fn set_stop(&mut self, stop: Option<Stop>) {
        self.stop = stop;
    }

    /// The first bytes that came; not kept any longer.
    pub(super) fn take_greeting(&mut self) -> Vec<u8> {
        self.greeting.take().unwrap_or_default()
    }

    pub(super) fn is_open(&mut self) -> bool {
        self.transport.buffers().input().is_empty() && self.transport.is_open()
    }

    fn timeout(&self) -> NextTimeout {
        let left = self.deadline.saturating_sub((self.clocks.boot)());
        NextTimeout {
            after: Wait::Exact(left),
            reason: ureq::Timeout::PerCall,
            per_read: Some(Wait::Exact(self.stall)),
            per_write: Some(Wait::Exact(self.stall)),
        }
    }

    /// Waits for bytes. With a stop in short pieces, which together take no longer than without.
    fn await_input(&mut self) -> io::Result<()> {
        let Some(stop) = self.stop.clone() else {
            let timeout = self.timeout();
            self.transport.await_input(timeout).map_err(io_error)?;
            return Ok(());
        };
        let until = (self.clocks.boot)().saturating_add(self.stall);
        loop {
            if stop() {
                return Err(io::Error::other("nobody waits for the answer any more"));
            }
            let left = until.saturating_sub((self.clocks.boot)());
            let piece = NextTimeout {
                per_read: Some(Wait::Exact(left.min(GLANCE))),
                ..self.timeout()
            };
            let is_last = left <= GLANCE || *piece.after <= GLANCE;
            match self.transport.await_input(piece) {
                Err(ureq::Error::Timeout(_)) if !is_last => {}
                result => return result.map(drop).map_err(io_error),
            }
        }
    }

    fn transmit(&mut self, amount: usize) -> io::Result<usize> {
        let timeout = self.timeout();
        self.transport
            .transmit_output(amount, timeout)
            .map_err(io_error)?;
        Ok(amount)
    }
}

/// The cause in std's terms.
pub(super) fn io_error(error: ureq::Error) -> io::Error {
    match error {
        ureq::Error::Io(error) => error,
        ureq::Error::Timeout(_) => io::Error::new(ErrorKind::TimedOut, "no answer in time"),
        error => io::Error::other(error),
    }
}

impl io::Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.transport.buffers().input().is_empty() {
            self.await_input()?;
        }
        let buffers = self.transport.buffers();
        let count = io::Read::read(&mut buffers.input(), buf)?;
        buffers.input_consume(count);
        if let Some(greeting) = &mut self.greeting {
            let room = GREETING_BYTES_MAX.saturating_sub(greeting.len());
            greeting.extend(buf.iter().take(count.min(room)));
        }
        Ok(count)
    }
}

impl io::Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut room = self.transport.buffers().output();
        let amount = room.write(buf)?;
        self.transmit(amount)
    }

    /// Sends several TLS records with one call to the system.
    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let mut room = self.transport.buffers().output();
        let amount = room.write_vectored(bufs)?;
        self.transmit(amount)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(&self.transport).finish()
    }
}
