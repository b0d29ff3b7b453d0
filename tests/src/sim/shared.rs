//! What every part of the world may write into: the trace, what went wrong, and what was seen of
//! keys and plaintext.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use scantrip_hal::sim::disk::Windows;
use sha2::{Digest as _, Sha256};

use super::clock::{START_MS, Timeline};
use super::report::Wrong;

/// Trouble of one seed that is kept in words.
const WRONGS_MAX: usize = 20;

/// Shared by all parts of one world. Clones are the same.
#[derive(Clone)]
pub(crate) struct Shared {
    /// The true time.
    pub(crate) time: Timeline,
    /// Pages, which nobody may see anywhere.
    pub(crate) secrets: Windows,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    loud: bool,
    hash: Sha256,
    wrongs: Vec<(Wrong, String)>,
    faults: BTreeMap<&'static str, u64>,
    /// Texts that no wire, disk or log may show.
    texts: Vec<Vec<u8>>,
    /// Encapsulated keys and local nonces, each with what was sealed under it.
    pairs: BTreeMap<Vec<u8>, [u8; 32]>,
}

impl Shared {
    pub(crate) fn new(loud: bool) -> Self {
        Self {
            time: Timeline::new(),
            secrets: Windows::new(),
            inner: Arc::new(Mutex::new(Inner {
                loud,
                hash: Sha256::new(),
                wrongs: Vec::new(),
                faults: BTreeMap::new(),
                texts: Vec::new(),
                pairs: BTreeMap::new(),
            })),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes one line of the trace.
    pub(crate) fn trace(&self, who: &str, what: &str) {
        let passed = self.time.now() - START_MS;
        let line = format!("{} {who}: {what}\n", clock_text(passed));
        let mut inner = self.inner();
        inner.hash.update(line.as_bytes());
        if inner.loud {
            use std::io::Write as _;
            drop(std::io::stdout().write_all(line.as_bytes()));
        }
    }

    /// A log line: shown with the trace, no part of it.
    pub(crate) fn log(&self, line: &str) {
        if self.inner().loud {
            use std::io::Write as _;
            let passed = self.time.now() - START_MS;
            drop(writeln!(
                std::io::stdout(),
                "{}   | {line}",
                clock_text(passed)
            ));
        }
        self.look("a log line", line.as_bytes());
    }

    /// A fault has happened.
    pub(crate) fn fault(&self, name: &'static str) {
        *self.inner().faults.entry(name).or_default() += 1;
    }

    /// Something is wrong.
    pub(crate) fn wrong(&self, kind: Wrong, text: impl Into<String>) {
        let text = text.into();
        self.trace("!!!", &format!("{kind:?}: {text}"));
        let mut inner = self.inner();
        if inner.wrongs.len() < WRONGS_MAX {
            inner.wrongs.push((kind, text));
        }
    }

    /// This text must not be seen anywhere.
    pub(crate) fn keep_text_secret(&self, text: &str) {
        self.inner().texts.push(text.as_bytes().to_vec());
    }

    /// Looks for what must not be seen.
    pub(crate) fn look(&self, place: &str, bytes: &[u8]) {
        let text = |text: &Vec<u8>| contains(bytes, text);
        let leak = if self.inner().texts.iter().any(text) {
            Some("a secret text")
        } else {
            let page = self.secrets.find(bytes);
            page.map(|_| "plaintext of a page")
        };
        if let Some(what) = leak {
            self.wrong(Wrong::Readable, format!("{place} shows {what}"));
        }
    }

    /// Something was sealed under `pair`, a key and nonce that may be used for it alone.
    pub(crate) fn sealed(&self, pair: &[u8], what: &[u8]) {
        let digest: [u8; 32] = Sha256::digest(what).into();
        let before = self.inner().pairs.insert(pair.to_vec(), digest);
        if before.is_some_and(|before| before != digest) {
            self.wrong(
                Wrong::Readable,
                "a key and nonce were used for two messages",
            );
        }
    }

    /// The trace's hash, what went wrong, and the faults.
    pub(crate) fn end(&self) -> (String, Vec<(Wrong, String)>, BTreeMap<&'static str, u64>) {
        let inner = self.inner();
        let hash: [u8; 32] = inner.hash.clone().finalize().into();
        let hash = scantrip_cloud::ports::hex(&hash);
        (hash, inner.wrongs.clone(), inner.faults.clone())
    }
}

fn clock_text(passed_ms: u64) -> String {
    let (seconds, ms) = (passed_ms / 1000, passed_ms % 1000);
    let (minutes, s) = (seconds / 60, seconds % 60);
    let (hours, m) = (minutes / 60, minutes % 60);
    format!("{:3}d {:02}:{m:02}:{s:02}.{ms:03}", hours / 24, hours % 24)
}

pub(crate) fn contains(bytes: &[u8], text: &[u8]) -> bool {
    memchr::memmem::find(bytes, text).is_some()
}
