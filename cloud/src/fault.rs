//! Dies or loses an answer on purpose; only with the feature `fault`, only for tests.
//!
//! `SCANTRIP_FAULT` holds any of these, with commas between:
//! - `kill-at-op=N`: the process kills itself at the N-th moment around a durable operation: odd
//!   moments lie before one, even ones behind it;
//! - `lose-answer=ROUTE:N`: the N-th request of that route is done, then the connection ends
//!   without the answer;
//! - `refuse-every=N`: each N-th request is done and answered 503 or 500, in turn.

use std::io::Read;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Signal, getpid, kill_process};
use scantrip_cloud_client::problem::ProblemKind;

use crate::blobs::{BlobError, Blobs, Folder, PartWriter};
use crate::core::answer::{Answer, refuse};
use crate::ports::Ports;
use crate::store::{Item, Key, Operation, Range, Store, StoreError};

#[derive(Debug, Default)]
struct Plan {
    kill_at: Option<u64>,
    lose: Option<(String, u64)>,
    refuse_every: Option<u64>,
    heard: AtomicU64,
    moments: AtomicU64,
    requests: AtomicU64,
}

fn plan() -> &'static Plan {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    PLAN.get_or_init(|| {
        let mut plan = Plan::default();
        for fault in std::env::var("SCANTRIP_FAULT")
            .unwrap_or_default()
            .split(',')
        {
            match fault.split_once('=') {
                Some(("kill-at-op", number)) => plan.kill_at = number.parse().ok(),
                Some(("refuse-every", number)) => plan.refuse_every = number.parse().ok(),
                Some(("lose-answer", which)) => {
                    plan.lose = which
                        .split_once(':')
                        .and_then(|(route, number)| Some((route.to_owned(), number.parse().ok()?)));
                }
                _ => {}
            }
        }
        plan
    })
}

/// Whether the answer to this request is to be lost.
#[must_use]
pub(crate) fn loses_answer(route: &str) -> bool {
    let plan = plan();
    plan.lose.as_ref().is_some_and(|(lost, number)| {
        lost == route && plan.requests.fetch_add(1, Ordering::SeqCst) + 1 == *number
    })
}

/// The answer, or a failure in its place although the request was done.
#[must_use]
pub(crate) fn spoil(answer: Answer) -> Answer {
    let plan = plan();
    let Some(every) = plan.refuse_every else {
        return answer;
    };
    let number = plan.heard.fetch_add(1, Ordering::SeqCst) + 1;
    let kind = match (number % every, number / every % 2) {
        (0, 0) => ProblemKind::Internal,
        (0, _) => ProblemKind::Unavailable,
        _ => return answer,
    };
    refuse(kind, "on purpose").retry_after(1).into_answer()
}

/// Puts the moments at which the process may die around every durable operation.
#[must_use]
pub(crate) fn wrap(ports: Ports) -> Ports {
    Ports {
        store: Arc::new(FaultStore(ports.store)),
        blobs: Arc::new(FaultBlobs(ports.blobs)),
        ..ports
    }
}

fn moment() {
    let plan = plan();
    let now = plan.moments.fetch_add(1, Ordering::SeqCst) + 1;
    if plan.kill_at == Some(now) {
        let _sent = kill_process(getpid(), Signal::KILL);
    }
}

fn durable<T>(operation: impl FnOnce() -> T) -> T {
    moment();
    let result = operation();
    moment();
    result
}

struct FaultStore(Arc<dyn Store>);

impl Store for FaultStore {
    fn get(&self, key: &Key, now_ms: u64) -> Result<Option<Item>, StoreError> {
        self.0.get(key, now_ms)
    }

    fn range(&self, range: &Range<'_>, now_ms: u64) -> Result<Vec<Item>, StoreError> {
        self.0.range(range, now_ms)
    }

    fn transact(&self, operations: &[Operation], now_ms: u64) -> Result<(), StoreError> {
        durable(|| self.0.transact(operations, now_ms))
    }

    fn sweep(&self, now_ms: u64, limit: usize) -> Result<usize, StoreError> {
        self.0.sweep(now_ms, limit)
    }
}

struct FaultBlobs(Arc<dyn Blobs>);

impl Blobs for FaultBlobs {
    fn begin(&self, folder: &Folder, name: &str) -> Result<Box<dyn PartWriter>, BlobError> {
        Ok(Box::new(FaultPart(self.0.begin(folder, name)?)))
    }

    fn open(&self, folder: &Folder, name: &str) -> Result<Box<dyn Read + Send>, BlobError> {
        self.0.open(folder, name)
    }

    fn remove(&self, folder: &Folder, name: &str) -> Result<(), BlobError> {
        durable(|| self.0.remove(folder, name))
    }

    fn remove_folder(&self, folder: &Folder) -> Result<(), BlobError> {
        durable(|| self.0.remove_folder(folder))
    }
}

struct FaultPart(Box<dyn PartWriter>);

impl PartWriter for FaultPart {
    fn push(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.0.push(bytes)
    }

    fn finish(self: Box<Self>) -> Result<(), BlobError> {
        durable(|| self.0.finish())
    }
}
