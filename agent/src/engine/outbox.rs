//! Sends jobs: pages as they come, then manifest, commit, receipt, erase, outcome.
//!
//! ```text
//! Filling --sealed--> Sending --all there--> Committing --receipt--> Keeping --kept--> Erasing
//!    |                   ^                       |                                        |
//!    |                   +---- objects-missing --+                       Delivered <-- Received
//!    +-- discard --> Discarding (from every state before Keeping) --> Erasing --> (gone)
//! ```
//!
//! One transfer at a time; the oldest sealed job first. A job leaves this device only when its
//! receipt is in the journal, or when a person discarded it and the cloud knows. A commit is never
//! sent for a job that is being discarded.

mod action;
mod job;
mod settle;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::time::Duration;

use scantrip_cloud_client::problem::Disposition;
use scantrip_cloud_client::receipt::ReceiptChain;
use scantrip_cloud_client::retry;
use scantrip_cloud_client::wire::Outcome;
use scantrip_hal::clock::Instant;

use super::Token;
use super::failure::Failure;
use super::moment::{Moment, earlier};
use crate::api::{JobEvent, Refusal, RefusalKind};
use crate::job_id::JobId;
use crate::journal::JobState;
use crate::store::ReceiptHead;
use job::{Job, Rest, Stage};
use settle::{chain_of, head_of};

pub use action::{Action, Call, DiscardAnswer, Found, FoundStage, Sent, Verified};

/// The number of the manifest among a job's objects.
const MANIFEST: u32 = 0;
/// While jobs are on their way through the cloud their outcome is asked for at these intervals.
const OUTCOME_FIRST: Duration = Duration::from_millis(250);
const OUTCOME_MAX: Duration = Duration::from_secs(60);
/// A commit whose objects are missing again and again is not put right by sending them.
const MISSING_MAX: u32 = 5;

/// The outbox machine. Call `handle_*`, then [`Machine::poll_action`] until it has nothing more.
#[derive(Debug)]
pub struct Machine {
    jobs: BTreeMap<JobId, Job>,
    /// The call under way, by its job.
    in_flight: Option<Option<JobId>>,
    out: VecDeque<Action>,
    /// No call before this: the cloud does not answer, or asked for a pause.
    pause_until: Option<Instant>,
    attempt: u32,
    chain: ReceiptChain,
    gap: bool,
    cursor: u64,
    outcome_at: Option<Instant>,
    outcome_wait: Duration,
    /// The door that failed last is not the last one: no reason to wait.
    other_door: bool,
}

impl Machine {
    /// The machine of an agent that remembers these jobs.
    #[must_use]
    pub fn new(found: Vec<Found>, head: &ReceiptHead, cursor: u64, now: &Moment) -> Self {
        let mut machine = Self {
            jobs: BTreeMap::new(),
            in_flight: None,
            out: VecDeque::new(),
            pause_until: None,
            attempt: 0,
            chain: chain_of(head),
            gap: false,
            cursor,
            outcome_at: None,
            outcome_wait: OUTCOME_FIRST,
            other_door: false,
        };
        for each in found {
            machine.find(each, now);
        }
        machine
    }

    /// A job is being scanned.
    pub fn handle_opened(&mut self, job: JobId, opened_at_ms: u64) {
        let stage = Stage::Filling { idle: true };
        self.jobs.insert(job, Job::new(opened_at_ms, stage));
    }

    /// A page of it is safe.
    pub fn handle_page_saved(&mut self, job: JobId) {
        if let Some(Job {
            stage: Stage::Filling { idle },
            ..
        }) = self.jobs.get_mut(&job)
        {
            *idle = false;
        }
    }

    /// It is sealed. A draft that was found at start-up is heard of here first.
    pub fn handle_sealed(&mut self, job: JobId, opened_at_ms: u64, with_intent: bool) {
        let held = self.jobs.entry(job).or_insert_with(|| Job {
            maybe_sent: true,
            resume: true,
            ..Job::new(opened_at_ms, Stage::Sending(Rest::Pages))
        });
        held.stage = Stage::Sending(Rest::Pages);
        held.with_intent = with_intent;
    }

    /// A person throws the job away; its file is closed. A draft found at start-up may be unknown
    /// here, and the cloud may know pages of it.
    pub fn handle_discard(&mut self, job: JobId, token: Token) {
        let held = self.jobs.entry(job).or_insert_with(|| Job {
            maybe_sent: true,
            ..Job::new(0, Stage::Filling { idle: true })
        });
        let refusal = match &held.stage {
            Stage::Keeping { .. } | Stage::Erasing | Stage::Received => {
                Some("the cloud has the job already; it can only be stopped there")
            }
            Stage::Discarding | Stage::ErasingDiscarded => Some("the job is discarded already"),
            _ => None,
        };
        if let Some(message) = refusal {
            let refusal = Refusal {
                kind: RefusalKind::Invalid,
                message: message.to_owned(),
            };
            self.out.push_back(Action::Reply(token, Err(refusal)));
            return;
        }
        held.discard = Some(token);
        held.retry_at = None;
        held.attempt = 0;
        // Written down first: from here on nothing of it is committed, restart or not.
        held.stage = Stage::Discarding;
        self.out.push_back(Action::Note(job, JobState::Discarding));
        let unsent = !held.maybe_sent && self.in_flight != Some(Some(job));
        if unsent {
            self.discarded(job);
        } else {
            self.answer_discard(job);
        }
    }

    /// A person wants a refused job to be tried again; content with any other.
    pub fn handle_retry(&mut self, job: JobId) {
        if let Some(job) = self.jobs.get_mut(&job)
            && job.stage == Stage::Refused
        {
            job.stage = Stage::Sending(Rest::Pages);
            job.after = MANIFEST;
            job.resume = true;
            job.missing_rounds = 0;
            job.told = 0;
            job.attempt = 0;
        }
    }

    /// An object was sent, or there is none to send, or it failed.
    pub fn handle_uploaded(
        &mut self,
        now: &Moment,
        id: JobId,
        wanted: Option<u32>,
        result: Result<Option<Sent>, Failure>,
    ) {
        self.in_flight = None;
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        match result {
            Ok(sent) => {
                self.attempt = 0;
                job.attempt = 0;
                job.sent_one(wanted, sent);
                self.progress(id);
            }
            Err(failure) => self.failed(now, id, &failure),
        }
    }

    /// The commit was answered.
    pub fn handle_committed(&mut self, now: &Moment, id: JobId, result: Result<Verified, Failure>) {
        self.in_flight = None;
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        match result {
            Ok(verified) => self.receipted(id, verified),
            Err(failure) if job.stage == Stage::Discarding => self.failed(now, id, &failure),
            Err(failure) => match &failure.disposition {
                Disposition::Missing(objects) if job.missing_rounds < MISSING_MAX => {
                    job.missing_rounds += 1;
                    job.missing = objects.iter().copied().collect();
                    job.resume = true;
                    job.stage = Stage::Sending(Rest::Pages);
                    if job.missing.is_empty() {
                        job.after = 0;
                    }
                }
                Disposition::Erase => {
                    self.tell_failed(id, "it was discarded in the cloud");
                    self.discarded(id);
                }
                _ => self.failed(now, id, &failure),
            },
        }
    }

    /// The discard was answered.
    pub fn handle_discarded(
        &mut self,
        now: &Moment,
        id: JobId,
        result: Result<DiscardAnswer, Failure>,
    ) {
        self.in_flight = None;
        match result {
            Ok(DiscardAnswer::Discarded) => self.discarded(id),
            Ok(DiscardAnswer::TooLate(verified)) => self.receipted(id, *verified),
            Err(failure) => self.failed(now, id, &failure),
        }
    }

    /// The receipt is in the journal, or may not be.
    pub fn handle_kept(&mut self, now: &Moment, id: JobId, result: Result<(), String>) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let Stage::Keeping { code } = &job.stage else {
            return;
        };
        match result {
            Ok(()) => {
                let event = JobEvent::Received {
                    receipt_code: code.clone(),
                    sealed_bytes: job.total.max(job.sent),
                };
                job.stage = Stage::Erasing;
                self.out.push_back(Action::Tell(id, event));
                self.out.push_back(Action::Erase(id));
                self.outcome_wait = OUTCOME_FIRST;
                self.outcome_at = Some(now.after(OUTCOME_FIRST));
            }
            // The commit can be asked again: the same receipt comes back.
            Err(reason) => {
                job.stage = Stage::Committing;
                let failure = Failure {
                    disposition: Disposition::Retry { after: None },
                    ..Failure::local(format!("the receipt could not be stored: {reason}"))
                };
                self.failed(now, id, &failure);
            }
        }
    }

    /// The job's file is erased, or may not be.
    pub fn handle_erased(&mut self, now: &Moment, id: JobId, result: Result<(), String>) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if let Err(reason) = result {
            log::error!("outbox: job {id} could not be erased: {reason}");
            job.retry_at = Some(now.after(retry::UPLOAD.limit(job.attempt)));
            job.attempt = job.attempt.saturating_add(1);
            return;
        }
        match job.stage {
            Stage::Erasing => job.stage = Stage::Received,
            Stage::ErasingDiscarded => {
                self.out.push_back(Action::Note(id, JobState::Discarded));
                self.out.push_back(Action::Tell(id, JobEvent::Discarded));
                self.answer_discard(id);
                self.jobs.remove(&id);
            }
            _ => log::warn!("outbox: job {id} was erased out of turn"),
        }
    }

    /// Outcomes came.
    pub fn handle_outcomes(&mut self, now: &Moment, result: Result<Vec<Outcome>, Failure>) {
        self.in_flight = None;
        let outcomes = match result {
            Ok(outcomes) => outcomes,
            Err(failure) => {
                log::warn!("outbox: outcomes: {}", failure.message);
                if std::mem::take(&mut self.other_door) {
                    self.outcome_at = Some(now.boot);
                    return;
                }
                self.outcome_wait = (self.outcome_wait * 2).min(OUTCOME_MAX);
                let wait = retry::UPLOAD.wait(self.attempt, now.random, failure.retry_after());
                self.attempt = self.attempt.saturating_add(1);
                self.outcome_at = Some(now.after(wait.max(OUTCOME_FIRST)));
                return;
            }
        };
        let last = outcomes.last().map(|outcome| outcome.seq);
        let full = outcomes.len() >= 100;
        for outcome in outcomes {
            self.take(outcome);
        }
        if let Some(seq) = last {
            self.cursor = seq;
            self.out.push_back(Action::KeepCursor(seq));
        }
        let wait = match (full, self.awaits_outcomes()) {
            (true, _) => Some(Duration::ZERO),
            (false, true) => Some(self.outcome_wait),
            (false, false) => None,
        };
        self.outcome_wait = (self.outcome_wait * 3 / 2).min(OUTCOME_MAX);
        self.outcome_at = wait.map(|wait| now.after(wait));
    }

    /// The receipts missing in the chain came.
    pub fn handle_receipts(&mut self, result: Result<Vec<Verified>, Failure>) {
        self.in_flight = None;
        self.gap = false;
        match result {
            Ok(receipts) => {
                let before = self.chain.seq;
                for receipt in &receipts {
                    if let Some(chain) = self.extends(receipt) {
                        self.chain = chain;
                    }
                }
                if self.chain.seq > before {
                    self.out.push_back(Action::KeepHead(head_of(&self.chain)));
                }
            }
            Err(failure) => log::warn!("outbox: receipts: {}", failure.message),
        }
    }

    /// The cloud answers again, or there is a fresh door or certificate.
    pub fn handle_reachable(&mut self, now: &Moment) {
        self.pause_until = None;
        self.attempt = 0;
        if self.awaits_outcomes() {
            self.outcome_at = Some(now.boot);
        }
    }

    /// The call that is about to fail has found a door shut, and there is another one.
    pub const fn handle_other_door(&mut self) {
        self.other_door = true;
    }

    /// Everything is forgotten.
    pub fn handle_unenrolled(&mut self) {
        self.jobs.clear();
        self.out.clear();
        self.chain = ReceiptChain::default();
        self.cursor = 0;
        self.gap = false;
        self.outcome_at = None;
    }

    /// What to do next; calls only while the lane is `free` and the identity is good.
    #[must_use]
    pub fn poll_action(&mut self, now: &Moment, free: bool) -> Option<Action> {
        if let Some(action) = self.out.pop_front() {
            return Some(action);
        }
        if let Some(erase) = self.erase_again(now) {
            return Some(erase);
        }
        if !free || self.in_flight.is_some() || self.pause_until.is_some_and(|at| at > now.boot) {
            return None;
        }
        self.pause_until = None;
        let call = match self.next_job(now) {
            Some(id) => {
                let (first, call) = self.jobs.get_mut(&id).and_then(|job| job.call(id))?;
                self.in_flight = Some(Some(id));
                if first {
                    self.out.push_back(Action::Call(call));
                    return Some(Action::Note(id, JobState::Sending));
                }
                call
            }
            None if self.outcome_at.is_some_and(|at| at <= now.boot) => {
                self.in_flight = Some(None);
                self.outcome_at = None;
                Call::Outcomes { after: self.cursor }
            }
            None if self.gap => {
                self.in_flight = Some(None);
                Call::Receipts {
                    after: self.chain.seq,
                }
            }
            None => return None,
        };
        Some(Action::Call(call))
    }

    /// When to look again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.in_flight.is_some() {
            return None;
        }
        let retries = self.jobs.values().filter_map(|job| job.retry_at).min();
        let next = earlier(retries, self.outcome_at);
        match self.pause_until {
            Some(pause) => Some(next.map_or(pause, |next| next.max(pause))),
            None => next,
        }
    }

    /// Jobs that are not yet receipted nor discarded.
    #[must_use]
    pub fn queued(&self) -> usize {
        let open = |job: &&Job| {
            !matches!(
                job.stage,
                Stage::Received | Stage::Erasing | Stage::ErasingDiscarded
            )
        };
        self.jobs.values().filter(open).count()
    }

    /// Sealed jobs that would be lost with this device.
    #[must_use]
    pub fn unsent(&self) -> usize {
        let unsent = |job: &&Job| {
            matches!(
                job.stage,
                Stage::Sending(_) | Stage::Committing | Stage::Refused
            )
        };
        self.jobs.values().filter(unsent).count()
    }

    /// Whether the machine knows the job.
    #[must_use]
    pub fn knows(&self, job: JobId) -> bool {
        self.jobs.contains_key(&job)
    }

    fn find(&mut self, found: Found, now: &Moment) {
        let Found {
            job: id,
            opened_at_ms,
            stage,
        } = found;
        let with_intent = stage == FoundStage::Sealed { with_intent: true };
        let stage = match stage {
            FoundStage::Sealed { .. } => Stage::Sending(Rest::Pages),
            FoundStage::Receipted => Stage::Erasing,
            FoundStage::Discarding => Stage::Discarding,
            FoundStage::Refused(_) => Stage::Refused,
            FoundStage::Received => Stage::Received,
        };
        match &stage {
            Stage::Erasing => self.out.push_back(Action::Erase(id)),
            Stage::Received => self.outcome_at = Some(now.boot),
            _ => {}
        }
        let job = Job {
            maybe_sent: true,
            resume: true,
            with_intent,
            ..Job::new(opened_at_ms, stage)
        };
        self.jobs.insert(id, job);
    }

    /// The job whose turn it is: sealed ones first, then by age.
    fn next_job(&self, now: &Moment) -> Option<JobId> {
        let ready = |job: &Job| {
            let due = job.retry_at.is_none_or(|at| at <= now.boot);
            due && matches!(
                job.stage,
                Stage::Filling { idle: false }
                    | Stage::Sending(_)
                    | Stage::Committing
                    | Stage::Discarding
            )
        };
        self.jobs
            .iter()
            .filter(|(_, job)| ready(job))
            .min_by_key(|(_, job)| (matches!(job.stage, Stage::Filling { .. }), job.opened_at_ms))
            .map(|(id, _)| *id)
    }

    fn erase_again(&mut self, now: &Moment) -> Option<Action> {
        let (id, job) = self.jobs.iter_mut().find(|(_, job)| {
            matches!(job.stage, Stage::Erasing | Stage::ErasingDiscarded)
                && job.retry_at.is_some_and(|at| at <= now.boot)
        })?;
        job.retry_at = None;
        Some(Action::Erase(*id))
    }
}

#[cfg(test)]
mod tests;
