//! A lane to the cloud: carries out one call at a time over a connection that is kept.

mod enroll;
mod transfer;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use scantrip_cloud_client::certificate::CertDer;
use scantrip_cloud_client::http::Purpose;
use scantrip_cloud_client::wire::{
    EntryPoint, Report, ReportEntryPoint, ReportError, ReportHealth, ReportSetting,
};
use scantrip_cloud_client::{desired, entry_points, outcomes, reports};

use super::network::{Network, Who, call_failure, local};
use super::posture::Gate;
use super::{Context, described};
use crate::engine::failure::Failure;
use crate::engine::session::Doors;
use crate::engine::{Answer, Answered, Call, Health, Lane, outbox};
use crate::redact;
use crate::spool::JobReader;
use crate::store::{Anchors, Identity};

/// Carries out calls of one lane.
pub struct CloudDriver<N> {
    context: Arc<Context>,
    network: N,
    lane: Lane,
    /// The job that is being sent, opened once.
    reader: Option<JobReader>,
    /// When the agent started, for its uptime.
    started_ms: u64,
}

impl<N: Network> CloudDriver<N> {
    /// A driver for `lane`.
    #[must_use]
    pub fn new(context: Arc<Context>, network: N, lane: Lane) -> Self {
        let started_ms = context.time.boot().as_millis();
        Self {
            context,
            network,
            lane,
            reader: None,
            started_ms,
        }
    }

    /// Carries out one call.
    pub fn run(&mut self, url: String, call: Call) -> Answered {
        // A look is at the device: what the cloud said last is old by now.
        let is_answered = !matches!(call, Call::Look);
        let answer = self.answer(&url, call);
        let cloud_time_ms = self.network.cloud_time_ms().filter(|_| is_answered);
        if let Some(cloud) = cloud_time_ms {
            self.context.time.hear(cloud);
        }
        Answered {
            lane: self.lane,
            url,
            cloud_time_ms,
            tls: self.network.tls(),
            answer,
        }
    }

    /// Gives back what an idle lane does not need: the connection and the open job.
    pub fn rest(&mut self) {
        self.network.close();
        self.reader = None;
    }

    fn answer(&mut self, url: &str, call: Call) -> Answer {
        match call {
            Call::Enroll {
                slot,
                code,
                only_device,
            } => Answer::Enrolled(self.enroll(url, slot, &code, only_device.as_deref())),
            Call::Renew { slot } => Answer::Renewed(self.renew(url, slot)),
            Call::Prove { slot } => {
                let proven = self.poll(url, Who::Slot(slot), None, 0).map(|_| ());
                Answer::Proven(proven)
            }
            Call::Measure => Answer::Measured(self.measure(url)),
            Call::Poll {
                etag,
                hold_seconds,
                hurried,
            } => {
                let result = self.poll(url, Who::Device, etag.as_deref(), hold_seconds);
                Answer::Polled { hurried, result }
            }
            Call::Report {
                sequence,
                dropped,
                epoch,
                known_settings,
                health,
            } => {
                let blank = Report {
                    sequence,
                    epoch,
                    dropped,
                    ..Report::default()
                };
                self.report(url, blank, known_settings, health)
            }
            Call::Look => Answer::Looked(self.context.look_for_changes()),
            Call::Outbox(call) => self.outbox(url, call),
        }
    }

    fn outbox(&mut self, url: &str, call: outbox::Call) -> Answer {
        match call {
            outbox::Call::Upload {
                job,
                after,
                wanted,
                resume,
            } => Answer::Uploaded(job, wanted, self.upload(url, job, after, wanted, resume)),
            outbox::Call::Commit { job, with_intent } => {
                Answer::Committed(job, self.commit(url, job, with_intent))
            }
            outbox::Call::Discard { job, with_intent } => {
                Answer::Discarded(job, self.discard(url, job, with_intent))
            }
            outbox::Call::Outcomes { after } => {
                let outcomes = self.call(url, Who::Device, Purpose::Call, |conn| {
                    outcomes::after(conn, after)
                });
                Answer::Outcomes(outcomes)
            }
            outbox::Call::Receipts { after } => Answer::Receipts(self.receipts(url, after)),
        }
    }

    /// One call over the kept connection; after a failure it is not kept.
    fn call<T, E: Into<CallFault>>(
        &mut self,
        url: &str,
        who: Who,
        purpose: Purpose,
        with: impl FnOnce(&mut N::Connection) -> Result<T, E>,
    ) -> Result<T, Failure> {
        let connection = self.network.connect(url, who, purpose)?;
        with(connection).map_err(|error| {
            let CallFault(failure) = error.into();
            // An answer that does not fit tells the time all the same: a clock that was set right
            // must not be taken for wrong until the next good answer, for there may be none.
            if let Some(cloud) = self.network.cloud_time_ms() {
                self.context.time.hear(cloud);
            }
            self.network.close();
            failure
        })
    }

    fn poll(
        &mut self,
        url: &str,
        who: Who,
        etag: Option<&str>,
        hold_seconds: u32,
    ) -> Result<desired::Polled, Failure> {
        let wait = Duration::from_secs(hold_seconds.into());
        self.call(url, who, Purpose::Poll { wait }, |conn| {
            desired::poll(conn, etag, hold_seconds)
        })
    }

    fn measure(&mut self, url: &str) -> Result<Doors, Failure> {
        let known = self.call(url, Who::Device, Purpose::Call, |conn| {
            entry_points::fetch(conn)
        })?;
        // The only door is measured too: people ask how far it is.
        let asked = [EntryPoint {
            name: String::new(),
            region: String::new(),
            url: url.to_owned(),
        }];
        let doors = if known.is_empty() { &asked } else { &known[..] };
        let measured = self.network.measure(doors)?;
        Ok(Doors { known, measured })
    }

    fn identity(&self) -> Result<Identity, Failure> {
        let identity = self.context.state.load::<Identity>().map_err(local)?;
        identity.ok_or_else(|| Failure::local("this device is not enrolled"))
    }

    fn anchors(&self) -> Result<Vec<CertDer>, Failure> {
        let anchors = self.context.state.load::<Anchors>().map_err(local)?;
        let anchors = anchors.unwrap_or_default().certificates;
        Ok(anchors.into_iter().map(|der| der.0).collect())
    }

    /// Fills in the device as it is now, and sends that.
    fn report(
        &mut self,
        url: &str,
        blank: Report,
        known_settings: Option<u64>,
        health: Health,
    ) -> Answer {
        let Gate {
            readings, unsure, ..
        } = self.context.read_settings(&mut |_setting| {});
        let settings = fingerprint(&readings);
        let (events, events_dropped) = self.context.with_events(|events| (events.next(), false));
        let last = events.last().map_or(0, |event| event.seq);
        let report = Report {
            at_ms: self.context.time.clock().as_millis(),
            device: described(&self.context.device),
            health: self.health(health),
            settings: (known_settings != Some(settings)).then(|| readings.to_vec()),
            scanner: self.context.scanner(),
            printer: self.context.read_printer(),
            events,
            events_dropped,
            ..blank
        };
        let result = self.call(url, Who::Device, Purpose::Call, |conn| {
            reports::send(conn, &report)
        });
        let told = result.is_ok() && (last > 0 || events_dropped > 0);
        let more = told
            && self
                .context
                .with_events(|events| (events.told(last, events_dropped), true));
        Answer::Reported {
            settings,
            more: more || unsure,
            result,
        }
    }

    fn health(&self, health: Health) -> ReportHealth {
        let now = self.context.time.boot().as_millis();
        let measured = health.measured.into_iter();
        ReportHealth {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: now.saturating_sub(self.started_ms) / 1000,
            queued_jobs: health.queued_jobs,
            spool_bytes: self.context.spool.usage().bytes,
            entry_point: health.entry_point,
            skew_ms: health.skew_ms,
            certificate_days: health.certificate_days,
            memory_bytes: memory_bytes(),
            entry_points: measured
                .map(|(name, connect_ms)| ReportEntryPoint { name, connect_ms })
                .collect(),
            last_error: health.last_error.map(|(message, at_ms)| ReportError {
                message: redact::text(&message),
                at_ms,
            }),
        }
    }
}

/// Memory of this process, as Linux counts it.
fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// What a failed call is to the engine.
pub(crate) struct CallFault(pub(crate) Failure);

impl From<scantrip_cloud_client::problem::CallError> for CallFault {
    fn from(error: scantrip_cloud_client::problem::CallError) -> Self {
        Self(call_failure(error))
    }
}

impl From<Failure> for CallFault {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

/// Tells whether settings changed within one run of the agent.
fn fingerprint(settings: &[ReportSetting]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for setting in settings {
        (&setting.id, &setting.value, &setting.verdict).hash(&mut hasher);
    }
    hasher.finish()
}
