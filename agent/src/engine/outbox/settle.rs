//! What an answer means for a job: receipts, failures, outcomes.

use scantrip_cloud_client::problem::Disposition;
use scantrip_cloud_client::receipt::{Link, ReceiptChain};
use scantrip_cloud_client::retry;
use scantrip_cloud_client::wire::{Outcome, OutcomeState};

use super::Machine;
use super::action::{Action, Verified};
use super::job::Stage;
use crate::api::{JobEvent, Refusal, RefusalKind, Reply};
use crate::engine::failure::Failure;
use crate::engine::moment::Moment;
use crate::job_id::JobId;
use crate::journal::JobState;
use crate::store::ReceiptHead;

impl Machine {
    pub(super) fn receipted(&mut self, id: JobId, verified: Verified) {
        self.attempt = 0;
        let next = self.extends(&verified);
        let head = next.map(|chain| {
            self.chain = chain;
            head_of(&chain)
        });
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if let Some(token) = job.discard.take() {
            let refusal = Refusal {
                kind: RefusalKind::Refused,
                message: "it was too late: the cloud has the job already".to_owned(),
            };
            self.out.push_back(Action::Reply(token, Err(refusal)));
        }
        job.retry_at = None;
        job.stage = Stage::Keeping {
            code: verified.code,
        };
        self.out.push_back(Action::KeepReceipt {
            job: id,
            receipt: verified.signed,
            head,
        });
    }

    /// The chain's new end, if the receipt is the next in it. A gap is closed by fetching.
    pub(super) fn extends(&mut self, verified: &Verified) -> Option<ReceiptChain> {
        match self.chain.link(&verified.receipt, verified.hash) {
            Link::Next(chain) => return Some(chain),
            Link::Gap { .. } => self.gap = true,
            Link::Duplicate => {}
            Link::Alarm => self.alarm(verified.receipt.seq),
        }
        None
    }

    pub(super) fn alarm(&mut self, seq: u64) {
        self.out.push_back(Action::Alarm(format!(
            "the chain of receipts does not fit at number {seq}; tell your administrator"
        )));
    }

    pub(super) fn discarded(&mut self, id: JobId) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.stage = Stage::ErasingDiscarded;
            job.retry_at = None;
            self.out.push_back(Action::Erase(id));
        }
    }

    pub(super) fn answer_discard(&mut self, id: JobId) {
        if let Some(token) = self.jobs.get_mut(&id).and_then(|job| job.discard.take()) {
            self.out.push_back(Action::Reply(token, Ok(Reply::Done)));
        }
    }

    /// A call for a job failed.
    pub(super) fn failed(&mut self, now: &Moment, id: JobId, failure: &Failure) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.resume = true;
        let hopeless = matches!(
            failure.disposition,
            // What does not match its hash was sent three times already.
            Disposition::Final
                | Disposition::Missing(_)
                | Disposition::TooLate(_)
                | Disposition::SendAgain
        );
        if matches!(failure.disposition, Disposition::Erase) {
            self.tell_failed(id, "it was discarded in the cloud");
            return self.discarded(id);
        }
        if matches!(failure.disposition, Disposition::TooLate(_))
            && matches!(job.stage, Stage::Sending(_))
        {
            // Power was cut between commit and receipt: asking again brings the same receipt.
            job.stage = Stage::Committing;
            return;
        }
        if hopeless && job.stage != Stage::Discarding {
            if matches!(job.stage, Stage::Filling { .. }) {
                // It is told when the job is finished; scanning goes on meanwhile.
                job.stage = Stage::Filling { idle: true };
                return;
            }
            job.stage = Stage::Refused;
            let reason = failure.message.clone();
            self.out.push_back(Action::Note(
                id,
                JobState::Refused {
                    reason: reason.clone(),
                },
            ));
            self.tell_failed(id, &reason);
            return;
        }
        if std::mem::take(&mut self.other_door) && failure.unreachable {
            return;
        }
        let attempt = if failure.unreachable {
            self.attempt
        } else {
            job.attempt
        };
        let wait = retry::UPLOAD.wait(attempt, now.random, failure.retry_after());
        // A dead line is no fault of this job: all wait together.
        if failure.unreachable || failure.retry_after().is_some() {
            self.attempt = self.attempt.saturating_add(1);
            self.pause_until = Some(now.after(wait));
        } else {
            job.attempt = job.attempt.saturating_add(1);
            job.retry_at = Some(now.after(wait));
        }
        let message = format!("{}; next try in {} s", failure.message, wait.as_secs() + 1);
        self.out
            .push_back(Action::Tell(id, JobEvent::Waiting { message }));
    }

    pub(super) fn tell_failed(&mut self, id: JobId, reason: &str) {
        let message = reason.to_owned();
        self.out
            .push_back(Action::Tell(id, JobEvent::Failed { message }));
    }

    /// Tells progress, at most a hundred times a job.
    pub(super) fn progress(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let step = job.total / 100;
        if matches!(job.stage, Stage::Filling { .. }) || job.sent < job.told.saturating_add(step) {
            return;
        }
        job.told = job.sent;
        let event = JobEvent::Sending {
            sent: job.sent.min(job.total),
            total: job.total,
        };
        self.out.push_back(Action::Tell(id, event));
    }

    pub(super) fn awaits_outcomes(&self) -> bool {
        self.jobs
            .values()
            .any(|job| matches!(job.stage, Stage::Received | Stage::Erasing))
    }

    pub(super) fn take(&mut self, outcome: Outcome) {
        let Ok(id) = outcome.job.parse::<JobId>() else {
            return;
        };
        let (state, event) = match outcome.state {
            OutcomeState::Delivered => {
                let place = outcome.place.unwrap_or_default();
                let name = outcome.name.unwrap_or_default();
                let event = JobEvent::Delivered {
                    place: place.clone(),
                    name: name.clone(),
                };
                (JobState::Delivered { place, name }, event)
            }
            OutcomeState::Failed => {
                let reason = outcome
                    .reason
                    .unwrap_or_else(|| "no reason given".to_owned());
                let message = reason.clone();
                (JobState::Failed { reason }, JobEvent::Failed { message })
            }
            OutcomeState::Received | OutcomeState::Running | OutcomeState::Unknown => return,
            _ => return,
        };
        self.out.push_back(Action::Note(id, state));
        self.out.push_back(Action::Tell(id, event));
        if self
            .jobs
            .get(&id)
            .is_some_and(|job| job.stage == Stage::Received)
        {
            self.jobs.remove(&id);
        }
    }
}

pub(super) fn head_of(chain: &ReceiptChain) -> ReceiptHead {
    ReceiptHead {
        seq: chain.seq,
        hash: base16ct::lower::encode_string(&chain.head),
    }
}

pub(super) fn chain_of(head: &ReceiptHead) -> ReceiptChain {
    let mut hash = [0; 32];
    match base16ct::lower::decode(&head.hash, &mut hash) {
        Ok(bytes) if bytes.len() == 32 => ReceiptChain {
            seq: head.seq,
            head: hash,
        },
        _ => ReceiptChain::default(),
    }
}
