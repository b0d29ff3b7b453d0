//! The workflow runner: takes committed jobs one after the other and does their workflow's steps.
//!
//! A job is a state machine over the ordered steps (`runner/run.rs`); what it has done is an item
//! of the tenant, durable before anything depends on it, so that a job goes on after a crash where
//! it was. Pages are opened here and nowhere else, one at a time, with the tenant's key; what lies
//! between two steps is sealed again. Only a destination ever holds a document in clear.
//!
//! ```text
//!   Unread --manifest opened, workflow frozen--> Steps --all done--> Delivered --retention--> erased
//!      |                                           |
//!      +---------- refused, or out of tries -------+--> Failed --retry--> where it was
//! ```
//!
//! Faults that may pass are tried again after 10 s, 20 s and so on up to 15 min, for 3 days; then
//! a person is told. Nothing is erased before delivery. The runner does no waiting: it says when
//! it wants to be called again.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use scantrip_cloud_client::wire::OutcomeState;
use serde::{Deserialize, Serialize};

use self::keyring::Keyring;
use self::run::{Run, RunItem, Stage, Steps, Trouble};
use self::work::JobWork;
use crate::core::global;
use crate::core::jobs::{self, NewOutcome};
use crate::core::record::JobRef;
use crate::core::workflows;
use crate::ports::Ports;
use crate::sealed_store::{Place, Vault, VaultError};
use crate::steps::folders::Folders;
use crate::steps::{Done, StepFault};
use crate::workflow::Workflow;

mod document;
mod keyring;
mod manifest;
mod opening;
mod run;
mod work;

/// Does the steps of committed jobs.
///
/// Call [`Runner::step`] at start, after each commit, and at the time that it returns.
pub struct Runner {
    ports: Ports,
    folders: Arc<dyn Folders>,
    /// Jobs that can be done now.
    due: VecDeque<JobRef>,
    /// When the other jobs of the queue may be tried again.
    retry_at_ms: BTreeMap<JobRef, u64>,
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Runner")
    }
}

/// What all work on one job needs.
#[derive(Clone, Copy)]
struct Context<'a> {
    ports: &'a Ports,
    folders: &'a Arc<dyn Folders>,
    vault: &'a Vault,
    keyring: &'a Keyring,
    job: &'a JobRef,
}

/// A delivered job whose sealed content is to be erased.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Erasure {
    job: JobRef,
    due_ms: u64,
}

impl Erasure {
    const PREFIX: &'static str = "X#";

    fn place(&self) -> Place {
        let JobRef { device, job, .. } = &self.job;
        Place::new(
            "",
            format!("{}{:016}#{device}#{job}", Self::PREFIX, self.due_ms),
        )
    }
}

impl Runner {
    /// A runner that delivers into `folders`.
    #[must_use]
    pub fn new(ports: Ports, folders: Arc<dyn Folders>) -> Self {
        Self {
            ports,
            folders,
            due: VecDeque::new(),
            retry_at_ms: BTreeMap::new(),
        }
    }

    /// Does at most one job, or what else is due. Returns when to call again; `None`: when a job
    /// is committed.
    pub fn step(&mut self, now_ms: u64) -> Option<u64> {
        let mut tenants_at_ms = None;
        if self.due.is_empty() {
            tenants_at_ms = self.visit_tenants(now_ms);
        }
        let Some(job) = self.due.pop_front() else {
            let retry_at_ms = self.retry_at_ms.values().min().copied();
            return retry_at_ms.into_iter().chain(tenants_at_ms).min();
        };
        if let Err(error) = self.run_job(&job, now_ms) {
            log::error!("runner: job {}: {}", job.job, chain(&error));
            self.retry_at_ms.insert(job, now_ms + RETRY_FIRST_MS);
        }
        Some(now_ms)
    }

    /// How many jobs may be done now, and how many are to be tried again later.
    #[must_use]
    pub fn queue(&self) -> (usize, usize) {
        (self.due.len(), self.retry_at_ms.len())
    }

    /// Reads the queues and does what is due besides; what fails for one tenant holds up no other.
    /// Returns when to come again.
    fn visit_tenants(&mut self, now_ms: u64) -> Option<u64> {
        let tenants = match global::tenants(&self.ports) {
            Ok(tenants) => tenants,
            Err(error) => {
                log::error!("runner: {}", chain(&error));
                return Some(now_ms + RETRY_FIRST_MS);
            }
        };
        let known = std::mem::take(&mut self.retry_at_ms);
        let mut next_ms = None;
        for tenant in tenants {
            let visit = self.visit(&tenant, &known, now_ms).unwrap_or_else(|error| {
                log::error!("runner: tenant {tenant}: {}", chain(&error));
                Some(now_ms + RETRY_FIRST_MS)
            });
            next_ms = next_ms.into_iter().chain(visit).min();
        }
        next_ms
    }

    fn visit(
        &mut self,
        tenant: &str,
        known: &BTreeMap<JobRef, u64>,
        now_ms: u64,
    ) -> Result<Option<u64>, VaultError> {
        let vault = Vault::open(&self.ports, tenant)?;
        for job in jobs::pending(&vault, QUEUE_MAX)? {
            let retry_at_ms = match known.get(&job) {
                Some(&known_ms) => known_ms,
                None => RunItem::load(&vault, &job).map_or(0, |item| item.run.retry_at_ms()),
            };
            if retry_at_ms <= now_ms {
                self.due.push_back(job);
            } else {
                self.retry_at_ms.insert(job, retry_at_ms);
            }
        }
        self.erase_one(&vault, now_ms)
    }

    /// Erases the content of one job whose time has come. Returns when the next one's comes.
    fn erase_one(&self, vault: &Vault, now_ms: u64) -> Result<Option<u64>, VaultError> {
        let first = vault.list::<Erasure>("", Erasure::PREFIX, "", 1)?;
        let Some(stored) = first.first() else {
            return Ok(None);
        };
        if stored.value.due_ms > now_ms {
            return Ok(Some(stored.value.due_ms));
        }
        jobs::erase_content(&self.ports, &stored.value.job)?;
        let mut batch = vault.batch();
        batch.remove(stored);
        batch.commit()?;
        Ok(Some(now_ms))
    }

    fn run_job(&mut self, job: &JobRef, now_ms: u64) -> Result<(), VaultError> {
        let vault = Vault::open(&self.ports, &job.tenant)?;
        let mut item = RunItem::load(&vault, job)?;
        match self.advance(&vault, job, &mut item, now_ms) {
            Ok(()) => {}
            Err(StepFault::Refused { reason }) => {
                item.change(&vault, |run| run.fail(format!("{reason}. {KEPT}")))?;
            }
            Err(StepFault::Retry { reason }) => {
                item.change(&vault, |run| run.delay(reason, now_ms, RETRY_FOR_MS))?;
            }
            Err(StepFault::Internal(error)) => {
                log::error!("runner: job {}: {}", job.job, chain(error.as_ref()));
                let reason = "the cloud's storage does not answer as it should".to_owned();
                item.change(&vault, |run| run.delay(reason, now_ms, u64::MAX))?;
            }
        }
        self.tell(job, &vault, &item.run)
    }

    /// Goes as far as possible.
    fn advance(
        &self,
        vault: &Vault,
        job: &JobRef,
        item: &mut RunItem,
        now_ms: u64,
    ) -> Result<(), StepFault> {
        if matches!(
            item.run.stage,
            Stage::Delivered { .. } | Stage::Failed { .. }
        ) {
            return Ok(());
        }
        let keyring = Keyring::load(&self.ports, &job.tenant)?;
        let (ports, folders) = (&self.ports, &self.folders);
        let context = Context {
            ports,
            folders,
            vault,
            keyring: &keyring,
            job,
        };
        let mut content = manifest::read(&context)?;
        if matches!(item.run.stage, Stage::Unread) {
            let stored = workflows::get(vault, &content.workflow)?.ok_or_else(|| {
                let id = &content.workflow;
                let reason = format!("the workflow `{id}` is not there any more; add it again");
                StepFault::Retry { reason }
            })?;
            item.change(vault, |run| {
                run.stage = Stage::Steps(Steps::new(stored.source))
            })?;
            jobs::set_outcome(&self.ports, job, &outcome(OutcomeState::Running))?;
        }
        let Stage::Steps(steps) = &item.run.stage else {
            return Ok(());
        };
        let workflow = Workflow::parse(&steps.workflow, "workflow").map_err(|error| {
            let reason = format!("the workflow does not work any more ({error}); mend it");
            StepFault::Refused { reason }
        })?;
        workflow.name.clone_into(&mut content.facts.workflow);
        let mut work = JobWork::new(context, content, item);
        while let Some(planned) = workflow.steps.get(work.position()) {
            match planned.step.run(&mut work)? {
                Done::Document => work.step_made_document()?,
                Done::Delivered { place, name } => work.step_delivered(place, name)?,
            }
        }
        work.end(now_ms + u64::from(workflow.retention_days) * DAY_MS)
    }

    /// Tells the device and the operator how the job stands, and keeps the queue.
    fn tell(&mut self, job: &JobRef, vault: &Vault, run: &Run) -> Result<(), VaultError> {
        let new = match &run.stage {
            Stage::Delivered {
                place,
                name,
                erase_at_ms,
            } => {
                document::erase(&self.ports, job)?;
                let erasure = Erasure {
                    job: job.clone(),
                    due_ms: *erase_at_ms,
                };
                let mut batch = vault.batch();
                batch.create(&erasure.place(), &erasure)?;
                match batch.commit() {
                    Err(error) if !error.is_conflict() => return Err(error),
                    _ => {}
                }
                NewOutcome {
                    place: Some(place.clone()),
                    name: Some(name.clone()),
                    ..outcome(OutcomeState::Delivered)
                }
            }
            Stage::Failed { reason, .. } => NewOutcome {
                reason: Some(reason.clone()),
                ..outcome(OutcomeState::Failed)
            },
            Stage::Unread | Stage::Steps(_) => {
                self.retry_at_ms.insert(job.clone(), run.retry_at_ms());
                let reason = run.trouble.as_ref().map(Trouble::told);
                NewOutcome {
                    reason,
                    ..outcome(OutcomeState::Running)
                }
            }
        };
        jobs::set_outcome(&self.ports, job, &new)
    }
}

/// Puts a failed job into the queue again, where it was. `false`: it did not fail.
///
/// # Errors
///
/// When it cannot be read or stored.
pub fn retry(ports: &Ports, job: &JobRef) -> Result<bool, VaultError> {
    let vault = Vault::open(ports, &job.tenant)?;
    let mut item = RunItem::load(&vault, job)?;
    if !matches!(item.run.stage, Stage::Failed { .. }) {
        return Ok(false);
    }
    let mut batch = vault.batch();
    batch.create(&job.queue_place(), job)?;
    match batch.commit() {
        Err(error) if !error.is_conflict() => return Err(error),
        _ => {}
    }
    item.change(&vault, Run::revive)?;
    Ok(true)
}

fn outcome(state: OutcomeState) -> NewOutcome {
    NewOutcome {
        state,
        place: None,
        name: None,
        reason: None,
    }
}

/// An error with its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Jobs read from each tenant's queue at once.
const QUEUE_MAX: usize = 10_000;
/// A person may be mounting the share right now.
const RETRY_FIRST_MS: u64 = 10_000;
/// How long a fault that may pass is given: a long weekend.
const RETRY_FOR_MS: u64 = 3 * DAY_MS;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const KEPT: &str = "The pages are kept in the cloud";

#[cfg(test)]
mod tests;
