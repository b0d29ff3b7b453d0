//! Writes down what the engine wants remembered, in the order that survives a power cut.

use std::sync::Arc;

use scantrip_cloud_client::wire::{EventKind, SignedReceipt};

use super::Context;
use crate::engine::failure::chain;
use crate::engine::{Input, Keep};
use crate::job_id::JobId;
use crate::journal::{JobEntry, JobState, JournalError};
use crate::store::{ReceiptHead, StateError, TimeFloor};

/// Carries out [`Keep`].
pub struct Keeper {
    context: Arc<Context>,
}

impl Keeper {
    /// A keeper of what is in `context`.
    #[must_use]
    pub const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Writes it down; gives the input that answers it, if one does. What is not answered is
    /// harmless to lose: it is asked for again or measured again.
    pub fn keep(&self, keep: Keep) -> Option<Input> {
        let state = &self.context.state;
        let kept: Result<(), StateError> = match keep {
            Keep::Identity(identity) => state.save(&*identity),
            Keep::Switch(identity, forget) => self.context.save_identity(&identity).inspect(|()| {
                if let Err(error) = self.context.keys.remove(forget) {
                    log::warn!("keeper: the old key stays for now: {error}");
                }
            }),
            Keep::Choice(choice) => state.save(&choice),
            Keep::Desired(desired) => state.save(&*desired),
            Keep::Report(cursor) => state.save(&cursor),
            Keep::Outcome(cursor) => state.save(&cursor),
            Keep::Head(head) => state.save(&head),
            Keep::Floor(unix_ms) => {
                self.context.time.raise_floor(unix_ms);
                state.save(&TimeFloor { unix_ms })
            }
            Keep::Event(what) => {
                self.context.add_event(what);
                Ok(())
            }
            Keep::Job(job, job_state) => {
                match job_state {
                    JobState::Refused { .. } => self.ended(job, "refused"),
                    JobState::Discarded => self.ended(job, "discarded"),
                    _ => {}
                }
                self.note(job, job_state);
                Ok(())
            }
            Keep::Receipt(job, receipt, head) => {
                let kept = self.receipt(job, *receipt, head);
                if kept.is_ok() {
                    self.ended(job, "received");
                }
                return Some(Input::Kept(job, kept.map_err(|error| chain(&error))));
            }
            Keep::Erase(job) => {
                let erased = self.context.spool.remove(job);
                return Some(Input::Erased(job, erased.map_err(|error| chain(&error))));
            }
            Keep::Wipe(token) => return Some(Input::Wiped(token, self.wipe())),
        };
        if let Err(error) = kept {
            log::error!("keeper: {}", chain(&error));
        }
        None
    }

    /// The receipt first, then the chain's end: a receipt that is not in the journal must not be
    /// taken for known.
    fn receipt(
        &self,
        job: JobId,
        receipt: SignedReceipt,
        head: Option<ReceiptHead>,
    ) -> Result<(), KeepError> {
        let mut entry = self.entry(job)?;
        entry.state = JobState::Received;
        entry.receipt = Some(receipt);
        self.context.journal.put(&entry)?;
        if let Some(head) = head {
            self.context.state.save(&head)?;
        }
        Ok(())
    }

    fn ended(&self, job: JobId, state: &str) {
        self.context.add_event(EventKind::JobEnded {
            job: job.to_string(),
            state: state.to_owned(),
        });
    }

    fn note(&self, job: JobId, state: JobState) {
        let noted = self.entry(job).and_then(|mut entry| {
            if entry.state == state {
                return Ok(());
            }
            entry.state = state;
            self.context.journal.put(&entry)
        });
        if let Err(error) = noted {
            log::error!("keeper: job {job} is not noted: {}", chain(&error));
        }
    }

    fn entry(&self, job: JobId) -> Result<JobEntry, JournalError> {
        let now = self.context.time.wall().as_millis();
        let known = self.context.journal.get(job)?;
        let mut entry = known.unwrap_or_else(|| unknown_entry(job, now));
        entry.changed_at_ms = now;
        Ok(entry)
    }

    /// Identity first: whatever is left after a power cut belongs to nobody and is wiped next time.
    fn wipe(&self) -> Result<(), String> {
        let context = &self.context;
        context.state.wipe().map_err(|error| chain(&error))?;
        context.forget_posture();
        context.identity_changed();
        for job in context.spool.jobs() {
            context.spool.remove(job).map_err(|error| chain(&error))?;
        }
        context.journal.wipe().map_err(|error| chain(&error))?;
        context.keys.wipe().map_err(|error| chain(&error))
    }
}

/// Why a receipt is not kept.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    State(#[from] StateError),
}

/// What is told of a job that the journal lost.
#[must_use]
pub fn unknown_entry(job: JobId, now_ms: u64) -> JobEntry {
    JobEntry {
        job,
        workflow_id: String::new(),
        workflow_version: 0,
        workflow_name: "not known".to_owned(),
        member: None,
        pages: 0,
        opened_at_ms: now_ms,
        changed_at_ms: now_ms,
        state: JobState::Queued,
        // Harmless if it was not needed, and the job cannot be delivered without it if it was.
        sends_intent: true,
        scan: None,
        receipt: None,
    }
}
