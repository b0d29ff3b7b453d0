//! Telemetry: the newest report of a device, its newest settings, and what became of it over time.

use std::sync::atomic::Ordering;

use http::StatusCode;
use scantrip_cloud_client::problem::ProblemKind;
use scantrip_cloud_client::wire::{EventKind, REPORT_EVENTS_MAX, Report};

use super::Core;
use super::answer::{Answer, Refusal, empty, refuse};
use super::jobs::RACES_MAX;
use super::principal::Principal;
use super::record::Telemetry;
use super::standing::{self, Happened, Standing};
use crate::sealed_store::VaultError;

/// Longest text in a history: what is longer is cut, whoever sent it.
const TEXT_CHARS_MAX: usize = 200;
/// Longest event: a refusal that names twenty settings.
const EVENT_BYTES_MAX: usize = 2048;

/// `POST /v1/device/reports`. A sequence that was seen before is ignored.
pub(crate) fn take(core: &Core, device: &Principal, body: &[u8]) -> Result<Answer, Refusal> {
    let report: Report = serde_json::from_slice(body).map_err(|error| {
        refuse(
            ProblemKind::BadRequest,
            format!("the report cannot be read: {error}"),
        )
    })?;
    for _ in 0..RACES_MAX {
        match try_take(core, device, &report) {
            Ok(()) => return Ok(empty(StatusCode::NO_CONTENT)),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(VaultError::Races.into())
}

fn try_take(core: &Core, device: &Principal, report: &Report) -> Result<(), VaultError> {
    let vault = &device.vault;
    let place = Telemetry::place(&device.device);
    let old = vault.get::<Telemetry>(&place)?;
    let before = old.as_ref().map(|old| &old.value.report);
    if before.is_some_and(|old| old.epoch == report.epoch && old.sequence >= report.sequence) {
        return Ok(());
    }
    let now_ms = vault.ports().clock.now_ms();
    let standing_place = Standing::place(&device.device);
    let stored = vault.get::<Standing>(&standing_place)?;
    let mut standing = stored
        .as_ref()
        .map(|old| old.value.clone())
        .unwrap_or_default();
    standing.seen_ms = now_ms;
    let mut happened = before.map_or_else(Vec::new, |before| versions(before, report));
    happened.extend(events(&mut standing, report));
    let known = old.as_ref().and_then(|old| old.value.settings.as_ref());
    let known = known.map(|(_, settings)| settings.as_slice());
    // A report without settings says that they are still the same.
    let same = known.filter(|_| standing.pending.is_some());
    if let Some(settings) = report.settings.as_deref().or(same) {
        let policy = standing::policy_of(vault)?;
        let certainty = standing::certainty(&policy, known, settings);
        let read = (settings, certainty);
        happened.extend(standing::judge(&mut standing, &policy, read, now_ms));
    }
    let mut kept = report.clone();
    kept.events.clear();
    let settings = kept
        .settings
        .take()
        .map(|settings| (kept.sequence, settings));
    let telemetry = Telemetry {
        settings: settings.or_else(|| old.as_ref().and_then(|old| old.value.settings.clone())),
        received_at_ms: now_ms,
        report: kept,
    };
    let mut batch = vault.batch();
    standing::tell(
        &mut batch,
        vault,
        &device.device,
        &mut standing,
        happened.clone(),
    )?;
    batch.put_over(&place, old.as_ref(), &telemetry)?;
    batch.put_over(&standing_place, stored.as_ref(), &standing)?;
    batch.commit()?;
    core.presence.judged(&device.device, standing.posture);
    core.metrics.reports.fetch_add(1, Ordering::Relaxed);
    let dropped = &core.metrics.events_dropped;
    dropped.fetch_add(report.events_dropped, Ordering::Relaxed);
    for one in &happened {
        standing::log(device.tenant(), &device.device, one);
    }
    Ok(())
}

/// The events that were not taken before, and how many the device had to drop.
fn events(standing: &mut Standing, report: &Report) -> Vec<Happened> {
    if standing.event.0 != report.epoch {
        standing.event = (report.epoch, 0);
    }
    let mut happened = Vec::new();
    if report.events_dropped > 0 {
        happened.push(Happened::Dropped {
            events: report.events_dropped,
        });
    }
    for event in report.events.iter().take(REPORT_EVENTS_MAX) {
        if event.seq > standing.event.1 {
            standing.event.1 = event.seq;
            happened.push(Happened::Event {
                device_at_ms: event.at_ms,
                event: bounded(&event.what),
            });
        }
    }
    happened
}

/// An event as it is kept: a device shall not fill the cloud's disk.
fn bounded(event: &EventKind) -> EventKind {
    let bytes = serde_json::to_vec(event).map_or(usize::MAX, |json| json.len());
    if bytes <= EVENT_BYTES_MAX {
        event.clone()
    } else {
        EventKind::Unknown
    }
}

fn versions(before: &Report, now: &Report) -> Vec<Happened> {
    let short = |text: &str| text.chars().take(TEXT_CHARS_MAX).collect::<String>();
    let all = [
        (
            "agent",
            &before.health.agent_version,
            &now.health.agent_version,
        ),
        ("firmware", &before.device.firmware, &now.device.firmware),
    ];
    let changed = all.into_iter().filter(|(_, from, to)| from != to);
    changed
        .map(|(of, from, to)| Happened::Version {
            of: of.to_owned(),
            from: short(from),
            to: short(to),
        })
        .collect()
}
