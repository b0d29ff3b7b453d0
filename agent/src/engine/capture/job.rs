//! One unfinished job: its pages as a person has put them.

use std::collections::BTreeMap;

use scantrip_cloud_client::wire::{DeviceTime, INTENT_OBJECT};
use scantrip_hal::scanner::{ScanSettings, Side};

use super::action::{Draft, Page, World};
use super::manifest::ManifestPlan;
use super::{rules, words};
use crate::api::{JobEvent, Refusal, RefusalKind, ScanRequest};
use crate::engine::fields::invalid;
use crate::job_id::JobId;

#[derive(Debug)]
pub(super) struct Job {
    pub(super) about: About,
    pub(super) workflow: String,
    pub(super) workflow_version: u64,
    pub(super) tenant: Option<String>,
    pub(super) time: DeviceTime,
    pub(super) pages: Vec<Page>,
    pub(super) next_object: u32,
    /// As scanned last; the rest of a stack is scanned in the same way.
    pub(super) settings: Option<ScanSettings>,
    /// How an earlier run of this program scanned it.
    pub(super) before: Option<ScanRequest>,
    /// Pages since the scanner was started last.
    pub(super) fed: u32,
    /// Objects that are taken back before more is scanned: the front of a sheet whose back is missing
    /// because feeding broke off, or a sheet that is scanned again.
    pub(super) again: Vec<u32>,
    /// The page that a person wanted scanned again, until one is saved.
    pub(super) taken_back: Option<u32>,
    /// The front of that page, where a power cut came between the two: a person may have deleted the
    /// back alone, so it goes only when the page is wanted again.
    pub(super) front_left: Option<u32>,
    pub(super) finish_at_end: bool,
}

/// Where a job's fields are.
#[derive(Debug)]
pub(super) enum About {
    /// Scanned by this process: they are known.
    Fields(BTreeMap<String, String>),
    /// Found after a restart: in the sealed intent, which only the cloud can read.
    Intent { lost: bool },
}

impl Job {
    /// The job, and what is told of it.
    pub(super) fn recovered(draft: Draft) -> (Self, JobEvent) {
        let damaged = draft.damaged;
        let doubted = draft.scan.as_ref().and_then(|scan| scan.doubtful);
        let mut job = Self {
            about: About::Intent {
                lost: draft.intent_lost,
            },
            workflow: draft.workflow,
            workflow_version: draft.workflow_version,
            tenant: None,
            time: DeviceTime {
                unix_ms: draft.opened_at.as_millis(),
                skew_ms: None,
            },
            next_object: draft.pages.last().map_or(1, |page| page.object + 1),
            pages: draft.pages,
            settings: None,
            before: draft.scan.as_ref().map(rules::again),
            fed: 0,
            again: Vec::new(),
            taken_back: None,
            front_left: None,
            finish_at_end: false,
        };
        let page = job.pages.iter_mut().find(|it| Some(it.object) == doubted);
        let is_kept = page.map(|page| page.doubtful = true).is_some();
        let event = job.offer(damaged);
        if let Some(object) = doubted.filter(|_| !is_kept) {
            job.doubt_is_gone(object);
        }
        (job, event)
    }

    /// What is told of a draft found at start-up.
    fn offer(&mut self, damaged: u32) -> JobEvent {
        let mut message = format!("this job was cut off; {} pages are safe", self.count());
        if damaged > 0 {
            message.push_str(&format!(", {damaged} cannot be read any more"));
        }
        let half = self.half_sheet();
        if let Some(page) = half {
            message.push_str(&format!(
                "; the back of page {page} is not among them: to have it, put that sheet back and scan \
                 page {page} again"
            ));
        }
        message.push_str("; add the rest, finish or discard it");
        let doubts = self.pages.last().is_some_and(|page| page.doubtful);
        let doubts = doubts.then(|| self.doubt_last()).flatten();
        if let Some((page, after)) = doubts {
            message.push_str(&words::doubt(page, &self.place(page), after));
        }
        JobEvent::Paused {
            message,
            resumable: true,
            doubts: doubts.map(|(page, _)| page).or(half),
        }
    }

    pub(super) const fn needs_intent(&self) -> bool {
        matches!(self.about, About::Intent { .. })
    }

    pub(super) fn index(&self, page: u32) -> Result<usize, Refusal> {
        let index = (page as usize).checked_sub(1);
        index
            .filter(|index| *index < self.pages.len())
            .ok_or_else(|| {
                invalid(format!(
                    "there is no page {page}; the job has {}",
                    self.pages.len()
                ))
            })
    }

    pub(super) fn reorder(&mut self, order: &[u32]) -> Result<(), Refusal> {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        let count = u32::try_from(self.pages.len()).unwrap_or(u32::MAX);
        if !sorted.into_iter().eq(1..=count) {
            return Err(invalid(format!("name each page from 1 to {count} once")));
        }
        let pages = order.iter().map(|page| self.index(*page));
        let indices = pages.collect::<Result<Vec<_>, _>>()?;
        let reordered = indices
            .iter()
            .filter_map(|index| self.pages.get(*index).copied());
        self.pages = reordered.collect();
        Ok(())
    }

    pub(super) fn rotate(&mut self, page: u32, degrees: u16) -> Result<(), Refusal> {
        if !matches!(degrees, 90 | 180 | 270) {
            return Err(invalid("a page turns by 90, 180 or 270 degrees".to_owned()));
        }
        let index = self.index(page)?;
        if let Some(page) = self.pages.get_mut(index) {
            page.rotation = (page.rotation + degrees) % 360;
        }
        Ok(())
    }

    /// A request for more pages like those there are.
    pub(super) fn as_before(&self) -> ScanRequest {
        match (&self.settings, &self.before) {
            (Some(settings), _) => rules::request(settings),
            (None, Some(before)) => before.clone(),
            (None, None) => ScanRequest {
                duplex: Some(self.pages.iter().any(|page| page.side == Side::Back)),
                resolution_dpi: self.pages.last().map(|page| page.dpi),
                ..ScanRequest::default()
            },
        }
    }

    pub(super) fn manifest(&self, id: JobId, world: &World<'_>) -> Result<ManifestPlan, Refusal> {
        let recipient = world.recipient.ok_or_else(no_key)?;
        if self
            .tenant
            .as_ref()
            .is_some_and(|tenant| *tenant != recipient.tenant)
        {
            return Err(invalid(
                "the job belongs to another tenant; discard it and scan again".to_owned(),
            ));
        }
        if self.pages.is_empty() {
            return Err(invalid(
                "the job has no page yet; add some, or discard it".to_owned(),
            ));
        }
        let (fields, intent) = match &self.about {
            About::Fields(fields) => (fields.clone(), None),
            About::Intent { lost: false } => (BTreeMap::new(), Some(INTENT_OBJECT)),
            About::Intent { lost: true } => {
                return Err(invalid(
                    "what was entered for this job cannot be read any more; discard it and scan \
                     it again"
                        .to_owned(),
                ));
            }
        };
        Ok(ManifestPlan {
            job: id,
            workflow: self.workflow.clone(),
            workflow_version: self.workflow_version,
            fields,
            intent,
            scanned_at: self.time,
            pages: self.pages.clone(),
            recipient: recipient.clone(),
        })
    }
}

pub(super) fn no_key() -> Refusal {
    Refusal {
        kind: RefusalKind::Unreachable,
        message: "the cloud has not yet told this device to whom to seal; try again when it is \
                  reachable"
            .to_owned(),
    }
}
