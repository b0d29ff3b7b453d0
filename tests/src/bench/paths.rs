//! The hot paths whose instructions are counted. To add one: a function that sets up and then
//! does its operation that many times, a line in [`PATHS`], a line in `tests/budgets.toml`.

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
pub(super) const PATHS: &[Path] = &[Path {
    name: "poll-core",
    operations: 10_000,
    run: poll_core,
}];

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
