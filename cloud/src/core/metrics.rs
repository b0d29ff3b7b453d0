//! Numbers for the operator's monitoring, in the Prometheus text format (version 0.0.4).
//!
//! Labels come from closed lists: routes, classes of statuses, states. No tenant, device or job is
//! named.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Core;
use super::route::{ROUTES, Route};
use super::standing::Posture;

/// Classes of HTTP statuses.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Counters since the start.
#[derive(Debug)]
pub struct Metrics {
    requests: [[AtomicU64; CLASSES.len()]; ROUTES.len()],
    /// Reports taken.
    pub(crate) reports: AtomicU64,
    /// Events that devices had to drop.
    pub(crate) events_dropped: AtomicU64,
    /// Jobs that the runner may do now, and those that it tries again later.
    queued: [AtomicU64; 2],
    started_ms: u64,
}

impl Metrics {
    pub(crate) fn new(now_ms: u64) -> Self {
        Self {
            requests: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
            reports: AtomicU64::new(0),
            events_dropped: AtomicU64::new(0),
            queued: Default::default(),
            started_ms: now_ms,
        }
    }

    /// The runner's queue is so long: jobs it may do now, jobs to be tried again later.
    pub fn set_queue(&self, due: usize, later: usize) {
        for (cell, count) in self.queued.iter().zip([due, later]) {
            cell.store(count as u64, Ordering::Relaxed);
        }
    }

    /// A request on `route` was answered.
    pub fn count(&self, route: &Route, status: u16) {
        let row = ROUTES.iter().position(|known| known.action == route.action);
        let class = usize::from(status / 100).checked_sub(1);
        let cell = row.and_then(|row| self.requests.get(row)).zip(class);
        if let Some(cell) = cell.and_then(|(row, class)| row.get(class)) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Everything, as `GET /metrics` answers it; `resident_bytes` is the memory of the process, if the
/// system tells it.
#[must_use]
pub fn text(core: &Core, resident_bytes: Option<u64>) -> String {
    let metrics = &core.metrics;
    let mut page = Page::default();
    page.family("scantrip_build_info", "gauge", "The version that runs.");
    let version = concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
    page.sample("scantrip_build_info", version, 1);
    let uptime = core.now_ms().saturating_sub(metrics.started_ms) / 1000;
    page.family(
        "scantrip_uptime_seconds",
        "gauge",
        "Seconds since the start.",
    );
    page.sample("scantrip_uptime_seconds", "", uptime);
    let name = "scantrip_requests_total";
    page.family(
        name,
        "counter",
        "Requests answered, by route and class of status.",
    );
    for (route, row) in ROUTES.iter().zip(&metrics.requests) {
        for (class, cell) in CLASSES.iter().zip(row) {
            let count = cell.load(Ordering::Relaxed);
            // Most routes have two or three classes of answers.
            if count > 0 {
                let labels = format!("{{route=\"{}\",code=\"{class}\"}}", route.name);
                page.sample(name, &labels, count);
            }
        }
    }
    let name = "scantrip_devices";
    page.family(
        name,
        "gauge",
        "Enrolled devices by whether they are heard of.",
    );
    for (state, silent) in [("present", false), ("silent", true)] {
        let count = core.presence.count(silent) as u64;
        page.sample(name, &format!("{{state=\"{state}\"}}"), count);
    }
    let name = "scantrip_devices_posture";
    page.family(
        name,
        "gauge",
        "Enrolled devices by whether they are as their policy asks.",
    );
    for posture in [Posture::Secure, Posture::NotSecure, Posture::Unknown] {
        let count = core.presence.count_posture(posture) as u64;
        page.sample(name, &format!("{{state=\"{}\"}}", posture.as_str()), count);
    }
    let reports = metrics.reports.load(Ordering::Relaxed);
    page.family(
        "scantrip_reports_total",
        "counter",
        "Reports taken from devices.",
    );
    page.sample("scantrip_reports_total", "", reports);
    let name = "scantrip_report_events_dropped_total";
    page.family(name, "counter", "Events that devices had no room for.");
    page.sample(name, "", metrics.events_dropped.load(Ordering::Relaxed));
    let name = "scantrip_runner_jobs";
    page.family(name, "gauge", "Received jobs that are not delivered yet.");
    for (state, cell) in ["due", "later"].into_iter().zip(&metrics.queued) {
        let count = cell.load(Ordering::Relaxed);
        page.sample(name, &format!("{{state=\"{state}\"}}"), count);
    }
    if let Some(bytes) = resident_bytes {
        let name = "process_resident_memory_bytes";
        page.family(name, "gauge", "Memory that the process holds.");
        page.sample(name, "", bytes);
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let lines = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        lines.expect("writing to a String cannot fail");
    }

    fn sample(&mut self, name: &str, labels: &str, value: u64) {
        let line = writeln!(self.0, "{name}{labels} {value}");
        line.expect("writing to a String cannot fail");
    }
}
