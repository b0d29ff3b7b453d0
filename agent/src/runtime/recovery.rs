//! What start-up makes of spool and journal together: which jobs go on, and from where.

use scantrip_cloud_client::wire::INTENT_OBJECT;
use scantrip_hal::clock::UnixTime;

use super::events::Events;
use super::view;
use crate::drivers::Context;
use crate::drivers::keeper::unknown_entry;
use crate::engine::capture::{Draft, Page};
use crate::engine::outbox::{Found, FoundStage};
use crate::journal::{JobEntry, JobState, JournalError};
use crate::spool::{RecoveredJob, RecoveredKind};

/// Jobs that are not finished.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    pub(super) drafts: Vec<Draft>,
    pub(super) found: Vec<Found>,
}

/// Brings the journal up to what the spool holds, and tells the followers what was.
pub(super) fn reconcile(
    context: &Context,
    recovered: Vec<RecoveredJob>,
    events: &Events,
) -> Result<Jobs, JournalError> {
    let now = context.time.wall();
    let mut jobs = Jobs::default();
    let mut entries = context.journal.take_read();
    for recovered in recovered {
        let entry = entries.remove(&recovered.job);
        let entry = entry.unwrap_or_else(|| unknown_entry(recovered.job, now.as_millis()));
        one(context, &mut jobs, recovered.kind, entry, events)?;
    }
    for entry in entries.into_values() {
        without_file(context, &mut jobs, entry, events)?;
    }
    if let Err(error) = context.journal.tidy(now) {
        log::warn!("the journal is not tidied: {error}");
    }
    Ok(jobs)
}

/// A job whose file is there.
fn one(
    context: &Context,
    jobs: &mut Jobs,
    kind: RecoveredKind,
    mut entry: JobEntry,
    events: &Events,
) -> Result<(), JournalError> {
    let discarding = matches!(entry.state, JobState::Discarding | JobState::Discarded);
    let receipted = entry.receipt.is_some();
    let stage = match kind {
        _ if receipted => FoundStage::Receipted,
        _ if discarding => FoundStage::Discarding,
        RecoveredKind::Draft { pages, damaged } => {
            let draft = draft(&entry, pages.iter().map(Page::from).collect(), &damaged);
            entry.pages = u32::try_from(draft.pages.len()).unwrap_or(u32::MAX);
            set(context, &mut entry, JobState::Draft)?;
            jobs.drafts.push(draft);
            return Ok(());
        }
        RecoveredKind::Complete => match &entry.state {
            JobState::Refused { reason } => FoundStage::Refused(reason.clone()),
            JobState::Sending => sealed(&entry),
            _ => {
                set(context, &mut entry, JobState::Queued)?;
                sealed(&entry)
            }
        },
        RecoveredKind::Newer { version } => {
            let reason = format!("a later version of the agent wrote it (format {version})");
            set(
                context,
                &mut entry,
                JobState::Refused {
                    reason: reason.clone(),
                },
            )?;
            FoundStage::Refused(reason)
        }
        RecoveredKind::Unreadable { reason } => {
            set(
                context,
                &mut entry,
                JobState::Refused {
                    reason: reason.clone(),
                },
            )?;
            FoundStage::Refused(reason)
        }
    };
    events.seed(entry.job, view::events(&entry));
    jobs.found.push(found(&entry, stage));
    Ok(())
}

/// A job that only the journal knows.
fn without_file(
    context: &Context,
    jobs: &mut Jobs,
    mut entry: JobEntry,
    events: &Events,
) -> Result<(), JournalError> {
    match entry.state {
        // Its outcome is awaited.
        JobState::Received => {
            events.seed(entry.job, view::events(&entry));
            jobs.found.push(found(&entry, FoundStage::Received));
            Ok(())
        }
        // The cloud was told before the file was erased.
        JobState::Discarding => set(context, &mut entry, JobState::Discarded),
        JobState::Scanning | JobState::Draft | JobState::Queued | JobState::Sending => {
            log::error!("job {} has no file any more", entry.job);
            let reason = "its file is gone from this device; scan it again".to_owned();
            set(context, &mut entry, JobState::Failed { reason })
        }
        JobState::Refused { .. } => {
            let reason = "its file is gone from this device".to_owned();
            set(context, &mut entry, JobState::Failed { reason })
        }
        JobState::Delivered { .. } | JobState::Failed { .. } | JobState::Discarded => Ok(()),
    }
}

fn draft(entry: &JobEntry, pages: Vec<Page>, damaged: &[u32]) -> Draft {
    let intent_lost = damaged.contains(&INTENT_OBJECT);
    let damaged = damaged
        .iter()
        .filter(|object| **object != INTENT_OBJECT)
        .count();
    Draft {
        job: entry.job,
        workflow: entry.workflow_id.clone(),
        workflow_version: entry.workflow_version,
        opened_at: UnixTime::from_millis(entry.opened_at_ms),
        scan: entry.scan.clone(),
        pages,
        damaged: u32::try_from(damaged).unwrap_or(u32::MAX),
        intent_lost,
    }
}

const fn sealed(entry: &JobEntry) -> FoundStage {
    FoundStage::Sealed {
        with_intent: entry.sends_intent,
    }
}

const fn found(entry: &JobEntry, stage: FoundStage) -> Found {
    Found {
        job: entry.job,
        opened_at_ms: entry.opened_at_ms,
        stage,
    }
}

fn set(context: &Context, entry: &mut JobEntry, state: JobState) -> Result<(), JournalError> {
    if entry.state == state && state != JobState::Draft {
        return Ok(());
    }
    entry.state = state;
    entry.changed_at_ms = context.time.wall().as_millis();
    context.journal.put(entry)
}
