//! What the runner remembers of a job.
//!
//! One item in the job's partition under `S#`, sealed like every item. The workflow is frozen in
//! it when the first step begins, so that a change of the workflow never mixes two versions in one
//! document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::KeptDocument;
use super::{KEPT, RETRY_FIRST_MS};
use crate::core::record::JobRef;
use crate::sealed_store::{Place, Stored, Vault, VaultError};

/// A job as the runner sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// How far it is.
    pub(super) stage: Stage,
    /// What keeps it from going on.
    pub(super) trouble: Option<Trouble>,
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stage {
    /// Nobody has looked into it.
    #[default]
    Unread,
    /// Its steps are being done.
    Steps(Steps),
    /// It is at its destination.
    Delivered {
        /// Where, for people.
        place: String,
        /// Under what name.
        name: String,
        /// When its sealed content is erased.
        erase_at_ms: u64,
    },
    /// It goes on only when a person says so.
    Failed {
        /// Why, for people.
        reason: String,
        /// Where it was; `None`: unread.
        steps: Option<Steps>,
    },
}

/// A job whose steps are being done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Steps {
    /// The workflow file's text.
    pub(super) workflow: String,
    /// The step to do next.
    pub(super) position: usize,
    /// What steps have saved, by position.
    pub(super) records: BTreeMap<usize, Value>,
    /// The document that the last step made.
    pub(super) document: Option<KeptDocument>,
    /// Where and under what name it was delivered last.
    pub(super) delivered: Option<(String, String)>,
}

/// A fault that may pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trouble {
    /// For people.
    pub(super) reason: String,
    /// Since when.
    pub(super) since_ms: u64,
    /// How often it was tried.
    pub(super) tries: u32,
    /// When it is tried again.
    pub(super) retry_at_ms: u64,
}

impl Trouble {
    /// What the device shows.
    pub(super) fn told(&self) -> String {
        format!("waiting: {}. It is tried again by itself", self.reason)
    }
}

impl Steps {
    /// All steps of this workflow are still to be done.
    #[must_use]
    pub(super) fn new(workflow: String) -> Self {
        Self {
            workflow,
            position: 0,
            records: BTreeMap::new(),
            document: None,
            delivered: None,
        }
    }
}

impl Run {
    /// When it may be tried again.
    #[must_use]
    pub(super) fn retry_at_ms(&self) -> u64 {
        self.trouble
            .as_ref()
            .map_or(0, |trouble| trouble.retry_at_ms)
    }

    /// Waits twice as long as the last time, or fails when it has waited for `patience_ms`.
    pub(super) fn delay(&mut self, reason: String, now_ms: u64, patience_ms: u64) {
        let (since_ms, tries) = self
            .trouble
            .as_ref()
            .map_or((now_ms, 0), |trouble| (trouble.since_ms, trouble.tries));
        if now_ms.saturating_sub(since_ms) >= patience_ms {
            return self.fail(format!(
                "{reason}. It was tried for 3 days. {KEPT}; the operator can let it run again"
            ));
        }
        let wait_ms = RETRY_FIRST_MS
            .saturating_mul(1 << tries.min(20))
            .min(RETRY_MS_MAX);
        let retry_at_ms = now_ms + wait_ms;
        self.trouble = Some(Trouble {
            reason,
            since_ms,
            tries: tries + 1,
            retry_at_ms,
        });
    }

    pub(super) fn fail(&mut self, reason: String) {
        let steps = match std::mem::take(&mut self.stage) {
            Stage::Steps(steps) => Some(steps),
            _ => None,
        };
        *self = Self {
            stage: Stage::Failed { reason, steps },
            trouble: None,
        };
    }

    /// A failed job goes on where it was.
    pub(super) fn revive(&mut self) {
        if let Stage::Failed { steps, .. } = &mut self.stage {
            self.stage = steps.take().map_or(Stage::Unread, Stage::Steps);
        }
    }
}

/// A [`Run`] and where it is stored.
#[derive(Debug)]
pub(super) struct RunItem {
    pub(super) run: Run,
    stored: Option<Stored<Run>>,
    place: Place,
}

impl RunItem {
    pub(super) fn load(vault: &Vault, job: &JobRef) -> Result<Self, VaultError> {
        let place = Place::new(job.partition(), "S#run");
        let stored = vault.get::<Run>(&place)?;
        let run = stored
            .as_ref()
            .map(|stored| stored.value.clone())
            .unwrap_or_default();
        Ok(Self { run, stored, place })
    }

    /// Changes it, durably when this returns.
    pub(super) fn change(
        &mut self,
        vault: &Vault,
        change: impl FnOnce(&mut Run),
    ) -> Result<(), VaultError> {
        let mut next = self.run.clone();
        change(&mut next);
        let mut batch = vault.batch();
        batch.put_over(&self.place, self.stored.as_ref(), &next)?;
        batch.commit()?;
        self.stored = vault.get(&self.place)?;
        self.run = next;
        Ok(())
    }
}

/// A person who repairs something does not want to wait longer.
const RETRY_MS_MAX: u64 = 15 * 60 * 1000;
