//! Anonymous memory of the agent, idle and at its peak during a job of 10,000 pages.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::bench::now;
use crate::program;
pub(super) use crate::program::rss_anon;
use crate::stage::{self, Stage};

/// The most that a job can have.
const PAGES: usize = 10_000;

/// Also the time from start to a first poll.
pub(super) fn of_a_long_job(stage: &Stage) -> anyhow::Result<Value> {
    let images = stage.path("images");
    draw_a_page(stage, &images)?;
    stage.configure_agent(&format!(
        "sheets = \"{PAGES}\"\nduplex_content = \"false\"\nimages = \"{}\"",
        images.display()
    ))?;
    let started = now();
    let agent = stage.run_agent(&[])?;
    program::run(stage.agent().arg("sync"))?;
    let first_poll = now() - started;
    let idle = rss_anon(agent.id()).context("the agent has gone")?;

    let peak = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| watch(agent.id(), &peak, &done));
        let scanned = program::run(stage.agent().args(["scan", "--workflow", "Bench"]));
        done.store(true, Ordering::SeqCst);
        scanned
    })?;
    let delivered = stage.delivered()?;
    ensure!(delivered.len() == 1, "{} documents", delivered.len());
    let images = crate::document::jpeg_streams(delivered.first().context("none")?)?;
    ensure!(images.len() == PAGES, "{} pages arrived", images.len());
    Ok(json!({
        "agent_rss_anon_idle_bytes": idle,
        "agent_rss_anon_peak_bytes": peak.load(Ordering::SeqCst),
        "start_to_first_poll_ms": u64::try_from(first_poll.as_millis())?,
    }))
}

/// Lets the simulated MFP draw one page, so that drawing is no part of the measurement.
fn draw_a_page(stage: &Stage, images: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(images)?;
    let record = format!(
        "sheets = \"1\"\nduplex_content = \"false\"\nrecord = \"{}\"",
        images.display()
    );
    stage.configure_agent(&record)?;
    let code = stage.enrollment_code()?;
    program::run_with_input(stage.agent().arg("enroll"), format!("{code}\n").as_bytes())?;
    program::run(stage.agent().args(["scan", "--workflow", "Bench"]))?;
    for document in stage.delivered()? {
        fs::remove_file(document)?;
    }
    ensure!(!stage::files(images)?.is_empty(), "no page was drawn");
    Ok(())
}

fn watch(process: u32, peak: &AtomicU64, done: &AtomicBool) {
    while !done.load(Ordering::SeqCst) {
        peak.fetch_max(rss_anon(process).unwrap_or(0), Ordering::SeqCst);
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "samples every few milliseconds")]
fn pause() {
    thread::sleep(Duration::from_millis(5));
}
