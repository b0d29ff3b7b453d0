//! One job on its way: what of it is in the cloud, and what comes next.

use std::collections::VecDeque;

use scantrip_cloud_client::wire::INTENT_OBJECT;
use scantrip_hal::clock::Instant;

use super::MANIFEST;
use super::action::{Call, Sent};
use crate::engine::Token;
use crate::job_id::JobId;

#[derive(Debug)]
pub(super) struct Job {
    pub(super) opened_at_ms: u64,
    pub(super) stage: Stage,
    /// Pages up to this one are in the cloud.
    pub(super) after: u32,
    /// Objects that the cloud asked for.
    pub(super) missing: VecDeque<u32>,
    pub(super) missing_rounds: u32,
    /// Whether the cloud may know of this job.
    pub(super) maybe_sent: bool,
    /// Whether the next object may be there in part.
    pub(super) resume: bool,
    pub(super) with_intent: bool,
    pub(super) attempt: u32,
    pub(super) retry_at: Option<Instant>,
    pub(super) sent: u64,
    pub(super) total: u64,
    pub(super) told: u64,
    /// A person who waits for the discard.
    pub(super) discard: Option<Token>,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Pages are still added. `idle`: all that are there are sent.
    Filling {
        idle: bool,
    },
    Sending(Rest),
    Committing,
    /// The receipt is being written into the journal.
    Keeping {
        code: String,
    },
    Erasing,
    /// A person decides.
    Refused,
    Discarding,
    /// Discarded, and the cloud knows.
    ErasingDiscarded,
    Received,
}

/// What is left to send of a sealed job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Pages,
    Manifest,
    Intent,
}

impl Job {
    pub(super) const fn new(opened_at_ms: u64, stage: Stage) -> Self {
        Self {
            opened_at_ms,
            stage,
            after: MANIFEST,
            missing: VecDeque::new(),
            missing_rounds: 0,
            maybe_sent: false,
            resume: false,
            with_intent: false,
            attempt: 0,
            retry_at: None,
            sent: 0,
            total: 0,
            told: 0,
            discard: None,
        }
    }

    /// The next call, and whether it is the first since the job was sealed.
    pub(super) fn call(&mut self, job: JobId) -> Option<(bool, Call)> {
        self.retry_at = None;
        let with_intent = self.with_intent;
        let first =
            self.stage == Stage::Sending(Rest::Pages) && self.told == 0 && self.attempt == 0;
        if first {
            self.told = 1;
        }
        let wanted = match &self.stage {
            Stage::Discarding => return Some((false, Call::Discard { job, with_intent })),
            Stage::Committing => return Some((false, Call::Commit { job, with_intent })),
            Stage::Filling { .. } => None,
            Stage::Sending(Rest::Pages) => self.missing.front().copied(),
            Stage::Sending(Rest::Manifest) => Some(MANIFEST),
            Stage::Sending(Rest::Intent) => Some(INTENT_OBJECT),
            _ => return None,
        };
        self.maybe_sent = true;
        let call = Call::Upload {
            job,
            after: self.after,
            wanted,
            resume: self.resume,
        };
        Some((first, call))
    }

    /// An object is there, or (`None`) there was none to send.
    pub(super) fn sent_one(&mut self, wanted: Option<u32>, sent: Option<Sent>) {
        if let Some(sent) = sent {
            self.sent = self.sent.saturating_add(sent.size);
            self.total = sent.job_bytes;
            if wanted.is_none() {
                self.after = self.after.max(sent.object);
            }
        }
        self.stage = match std::mem::replace(&mut self.stage, Stage::Committing) {
            Stage::Filling { .. } => Stage::Filling {
                idle: sent.is_none(),
            },
            Stage::Sending(Rest::Pages) if wanted.is_some() => {
                self.missing.pop_front();
                match self.missing.is_empty() {
                    true => Stage::Committing,
                    false => Stage::Sending(Rest::Pages),
                }
            }
            // What was sent while the job was filling was not asked for by a restart.
            Stage::Sending(Rest::Pages) if sent.is_some() => Stage::Sending(Rest::Pages),
            Stage::Sending(Rest::Pages) => Stage::Sending(Rest::Manifest),
            Stage::Sending(Rest::Manifest) if self.with_intent => Stage::Sending(Rest::Intent),
            Stage::Sending(_) => Stage::Committing,
            other => other,
        };
        // Once nothing of an object was there, nothing of the next ones is.
        if sent.is_some_and(|sent| sent.fresh) {
            self.resume = false;
        }
    }
}
