//! The hot paths whose instructions are counted. To add one: a function that sets up and then
//! does its operation that many times, a line in [`PATHS`], a line in `tests/budgets.toml`.

mod agent;

use anyhow::{Context, ensure};
use http::{Request, StatusCode};
use scantrip_cloud::core::Caller;

use super::fleet;

/// A hot path.
pub(super) struct Path {
    /// Its name, here and among the budgets.
    pub(super) name: &'static str,
    /// So many that start-up is small beside them under valgrind.
    pub(super) operations: u32,
    /// Sets up, then does it so many times.
    pub(super) run: fn(u32) -> anyhow::Result<()>,
}

/// Every hot path.
pub(super) const PATHS: &[Path] = &[
    path("poll-core", 10_000, poll_core),
    path("seal-piece", 20, agent::seal_piece),
    path("save-page", 3, agent::save_page),
    path("read-page", 10, agent::read_page),
    path("journal-put", 200, agent::journal_put),
    path("append-step", 10, agent::append_step),
];

const fn path(name: &'static str, operations: u32, run: fn(u32) -> anyhow::Result<()>) -> Path {
    Path {
        name,
        operations,
        run,
    }
}

/// A poll that changes nothing, through the core alone.
fn poll_core(operations: u32) -> anyhow::Result<()> {
    let core = fleet::core_in_memory()?;
    let members = fleet::enroll(&core, 1)?;
    let caller = Caller::new(members.first().context("no device")?.peer());
    let request = || Request::get("/v1/device/desired");
    let (head, ()) = request().body(())?.into_parts();
    let answer = core.route(caller.peer(), &head).finish();
    let etag = answer.headers().get("etag").context("no ETag")?.clone();
    let (head, ()) = request()
        .header("if-none-match", etag)
        .body(())?
        .into_parts();
    for _ in 0..operations {
        let answer = core
            .cached_poll(&caller, &head)
            .context("not in the cache")?;
        ensure!(answer.status() == StatusCode::NOT_MODIFIED);
    }
    Ok(())
}
