//! A peer for tests: says what it was told to say, and remembers what it heard.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

use crate::http::PlainConnection;

pub(crate) mod service;
pub(crate) mod tls;

/// One thing that happens on reading.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// These bytes arrive, all that fit.
    Bytes(Vec<u8>),
    /// Reading fails.
    Fails(ErrorKind),
}

/// A stream in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    says: VecDeque<Says>,
    heard: Arc<Mutex<Vec<u8>>>,
    /// Writing fails after so many bytes.
    deaf_after: Option<usize>,
}

impl Peer {
    /// Answers each of `answers` in turn, then closes.
    pub(crate) fn new(answers: &[&str]) -> Self {
        let says = answers
            .iter()
            .map(|answer| Says::Bytes(answer.as_bytes().to_vec()))
            .collect();
        Self {
            says,
            ..Self::default()
        }
    }

    pub(crate) fn script(says: Vec<Says>) -> Self {
        Self {
            says: says.into(),
            ..Self::default()
        }
    }

    /// As [`Peer::new`], one byte at a time.
    pub(crate) fn slow(answer: &str) -> Self {
        Self::script(answer.bytes().map(|byte| Says::Bytes(vec![byte])).collect())
    }

    pub(crate) const fn deaf_after(mut self, bytes: usize) -> Self {
        self.deaf_after = Some(bytes);
        self
    }

    /// What it heard so far.
    pub(crate) fn heard(&self) -> String {
        let heard = self.heard.lock().expect("not poisoned");
        String::from_utf8_lossy(&heard).into_owned()
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> PlainConnection<Self> {
        PlainConnection::over(self.clone())
    }
}

impl io::Read for Peer {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.says.pop_front() {
            None => Ok(0),
            Some(Says::Fails(kind)) => Err(kind.into()),
            Some(Says::Bytes(bytes)) => {
                let count = bytes.len().min(buf.len());
                buf[..count].copy_from_slice(&bytes[..count]);
                if count < bytes.len() {
                    self.says.push_front(Says::Bytes(bytes[count..].to_vec()));
                }
                Ok(count)
            }
        }
    }
}

impl io::Write for Peer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut heard = self.heard.lock().expect("not poisoned");
        if self.deaf_after.is_some_and(|limit| heard.len() >= limit) {
            return Err(ErrorKind::BrokenPipe.into());
        }
        heard.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
