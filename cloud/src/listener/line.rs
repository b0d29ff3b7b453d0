//! A connection that watches the clock: below TLS, so that it sees every byte.
//!
//! What the peer may take its time for depends on the phase. [`Phase`] is shared with the
//! connection's service, which knows when a head was whole and when an answer is ready; the line
//! itself sees the first byte of a head and the last of an answer. One timer serves all; it is
//! set only when the peer keeps us waiting, so that a fast peer costs no timer.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::limits::{HANDSHAKE, HEAD, IDLE, IDLE_UNPROVEN};
use super::pace::Pace;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Doing {
    /// Until TLS is up.
    Handshake,
    /// Between two requests.
    Idle,
    /// A head has begun.
    Head,
    /// We want the body.
    Body,
    /// We work, or hold a poll: the peer owes nothing.
    Work,
    /// The answer is on its way out.
    Answer,
}

impl Doing {
    const ALL: [Self; 6] = [
        Self::Handshake,
        Self::Idle,
        Self::Head,
        Self::Body,
        Self::Work,
        Self::Answer,
    ];
}

/// The phase of a connection, shared between its line and its service.
#[derive(Debug)]
pub(crate) struct Phase {
    doing: AtomicU8,
    proven: AtomicBool,
}

impl Phase {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            doing: AtomicU8::new(Doing::Handshake as u8),
            proven: AtomicBool::new(false),
        })
    }

    pub(crate) fn set(&self, doing: Doing) {
        self.doing.store(doing as u8, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Doing {
        let index = usize::from(self.doing.load(Ordering::Relaxed));
        *Doing::ALL.get(index).unwrap_or(&Doing::Work)
    }

    /// The peer has shown a certificate: it may stay for longer.
    pub(crate) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    fn idle(&self) -> Duration {
        if self.proven.load(Ordering::Relaxed) {
            IDLE
        } else {
            IDLE_UNPROVEN
        }
    }
}

/// A connection whose reads and writes fail once the peer has taken too long.
#[derive(Debug)]
pub(crate) struct Line<S> {
    stream: S,
    phase: Arc<Phase>,
    /// The phase as it was seen last, and since when.
    doing: Doing,
    since: Instant,
    /// The body's pace, and since when we wait for more of it.
    body: Pace,
    body_waits: Option<Instant>,
    /// The answer's pace, and since when we wait to write more of it.
    answer: Pace,
    answer_waits: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<S> Line<S> {
    /// A connection just accepted.
    pub(crate) fn new(stream: S, phase: Arc<Phase>) -> Self {
        Self {
            stream,
            doing: phase.get(),
            phase,
            since: Instant::now(),
            body: Pace::new(),
            body_waits: None,
            answer: Pace::new(),
            answer_waits: None,
            alarm: None,
        }
    }

    fn enter(&mut self, doing: Doing) {
        self.phase.set(doing);
        self.doing = doing;
        self.since = Instant::now();
    }

    /// Follows a change of phase by the service.
    fn follow(&mut self) {
        let doing = self.phase.get();
        if doing == self.doing {
            return;
        }
        self.doing = doing;
        match doing {
            Doing::Body => self.body = Pace::new(),
            Doing::Idle => self.since = Instant::now(),
            Doing::Handshake | Doing::Head | Doing::Work | Doing::Answer => {}
        }
        self.body_waits = None;
    }

    /// Bytes came in.
    fn took(&mut self, bytes: usize) {
        match self.doing {
            Doing::Idle if bytes > 0 => self.enter(Doing::Head),
            Doing::Body => {
                if let Some(since) = self.body_waits.take() {
                    self.body.waited(since.elapsed());
                }
                self.body.moved(bytes);
            }
            _ => {}
        }
    }

    /// Bytes went out.
    fn gave(&mut self, bytes: usize) {
        if let Some(since) = self.answer_waits.take() {
            self.answer.waited(since.elapsed());
        }
        self.answer.moved(bytes);
    }

    /// Bytes went out, or have to wait.
    fn wrote(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.follow();
        match written {
            Poll::Ready(result) => {
                self.gave(*result.as_ref().unwrap_or(&0));
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.answer_waits.get_or_insert_with(Instant::now);
                self.wait(context)
            }
        }
    }

    /// When the peer has taken too long.
    fn deadline(&self) -> Option<Instant> {
        let read = match self.doing {
            Doing::Handshake => Some(self.since + HANDSHAKE),
            Doing::Idle => Some(self.since + self.phase.idle()),
            Doing::Head => Some(self.since + HEAD),
            Doing::Body => self.body_waits.map(|since| since + self.body.credit()),
            Doing::Work | Doing::Answer => None,
        };
        let write = self.answer_waits.map(|since| since + self.answer.credit());
        [read, write].into_iter().flatten().min()
    }

    /// The peer keeps us waiting: pending until the deadline, an error from then on.
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let Some(deadline) = self.deadline() else {
            return Poll::Pending;
        };
        loop {
            let alarm = self
                .alarm
                .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            // One that goes off too early is set again then; most never go off.
            if alarm.deadline() > deadline {
                alarm.as_mut().reset(deadline);
            }
            ready!(alarm.as_mut().poll(context));
            if Instant::now() >= deadline {
                let slow = match self.doing {
                    Doing::Handshake => "the handshake took too long",
                    Doing::Idle => "it was idle for too long",
                    Doing::Head => "a request's head took too long",
                    Doing::Body => "a request's body came too slowly",
                    Doing::Work | Doing::Answer => "an answer was read too slowly",
                };
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, slow)));
            }
            alarm.as_mut().reset(deadline);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Line<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        line.follow();
        let before = buffer.filled().len();
        match Pin::new(&mut line.stream).poll_read(context, buffer) {
            Poll::Ready(result) => {
                line.took(buffer.filled().len() - before);
                Poll::Ready(result)
            }
            Poll::Pending => {
                if line.doing == Doing::Body && line.body_waits.is_none() {
                    line.body_waits = Some(Instant::now());
                }
                line.wait(context)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        let written = Pin::new(&mut line.stream).poll_write(context, bytes);
        line.wrote(written, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        let written = Pin::new(&mut line.stream).poll_write_vectored(context, buffers);
        line.wrote(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        line.follow();
        // Whoever flushes has written all there is: the answer has ended.
        if line.doing == Doing::Answer && line.answer_waits.is_none() {
            line.enter(Doing::Idle);
            line.answer = Pace::new();
        }
        Pin::new(&mut line.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
