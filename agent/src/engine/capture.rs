//! One scan job at a time, from the tap to the sealed file; any number of unfinished ones at rest.
//!
//! ```text
//! Free --scan--> Looking --> Opening --> Feeding <--> Feeding --end--> (at rest) --finish--> Sealing
//!                   ^                       |                             |  ^
//!                   +------ add more -------+--- jam, full, stop ---------+  +-- edits
//! ```
//!
//! The scanner's lane carries one action at a time; this machine decides the next one from what the
//! last one brought. A job at rest keeps its pages whatever happens; it waits for a person. Page
//! numbers are positions as shown: page 3 is the third of those that count.

mod action;
mod gate;
mod job;
mod manifest;
mod rules;
mod sheet;
mod words;

use std::collections::BTreeMap;

use scantrip_cloud_client::posture::requirement;
use scantrip_cloud_client::wire::{Intent, PAGES_MAX, ReportSetting, Workflow};
use scantrip_hal::scanner::{ScanSettings, ScannerCapabilities, ScannerErrorKind, StopFlag};

use super::Token;
use super::fields::invalid;
use crate::api::{Edit, JobEvent, Refusal, RefusalKind, Reply, ScanRequest};
use crate::job_id::JobId;

use job::{About, Job, no_key};

pub use action::{Action, Draft, Fed, NewJob, Page, Recipient, Scan, World};
pub use gate::reason as unmet_reason;
pub use manifest::ManifestPlan;
pub use rules::{color_name, memo};
pub use words::refusal as refusal_message;

/// What the scanner's lane is at.
#[derive(Debug)]
enum Lane {
    Free,
    Looking {
        token: Token,
        plan: Plan,
    },
    Opening {
        token: Token,
        job: JobId,
        new: Option<Box<Job>>,
        /// What the device does instead of what the workflow asks for.
        instead: Option<String>,
    },
    Feeding {
        job: JobId,
        stop: Option<Stop>,
        /// Tells the scanner not to wait for the page in hand.
        flag: StopFlag,
    },
    /// The scanner is being stopped; then the event is told.
    Halting {
        job: JobId,
        stop: Stop,
    },
    Voiding {
        job: JobId,
        token: Token,
        index: usize,
        /// Whether more is scanned after it.
        more: bool,
    },
    Sealing {
        job: JobId,
        token: Option<Token>,
    },
    Closing {
        job: JobId,
        token: Token,
    },
}

/// What is to be scanned once the scanner's abilities are known.
#[derive(Debug)]
enum Plan {
    New(JobId, Box<Job>, Box<NewJob>, ScanRequest),
    More(JobId, ScanRequest),
}

impl Plan {
    const fn job(&self) -> JobId {
        match self {
            Self::New(job, ..) | Self::More(job, _) => *job,
        }
    }
}

/// Why feeding stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Asked,
    Limit,
    Discard(Token),
}

/// The capture machine. Call `handle_*`, then [`Machine::poll_action`] until it has nothing more.
#[derive(Debug)]
pub struct Machine {
    jobs: BTreeMap<JobId, Job>,
    lane: Lane,
    /// Raised when nobody wants the job that is being opened any more.
    opening: StopFlag,
    out: std::collections::VecDeque<Action>,
}

impl Machine {
    /// A machine with the drafts found at start-up.
    #[must_use]
    pub fn new(drafts: Vec<Draft>) -> Self {
        let mut machine = Self {
            jobs: BTreeMap::new(),
            lane: Lane::Free,
            opening: StopFlag::default(),
            out: std::collections::VecDeque::new(),
        };
        for draft in drafts {
            let id = draft.job;
            let (job, offer) = Job::recovered(draft);
            machine.tell(id, offer);
            machine.jobs.insert(id, job);
        }
        machine
    }

    /// A person scans. `fresh` is a new job id.
    pub fn handle_scan(
        &mut self,
        token: Token,
        fresh: JobId,
        request: ScanRequest,
        world: &World<'_>,
    ) {
        match self.plan(fresh, request, world) {
            Ok(plan) => {
                self.opening = StopFlag::default();
                self.look(token, plan, world);
            }
            Err(refusal) => self.reply(token, Err(refusal)),
        }
    }

    /// A person edits an unfinished job. Gives the edit back when the job is none of this machine.
    pub fn handle_edit(&mut self, token: Token, job: JobId, edit: Edit, world: &World<'_>) -> bool {
        if !self.jobs.contains_key(&job) {
            return false;
        }
        if let Err(refusal) = self.edit(token, job, edit, world) {
            self.reply(token, Err(refusal));
        }
        true
    }

    /// A person does not wait for a job to be opened any more. It is refused as soon as the scanner lets
    /// go of it.
    pub fn handle_cancel(&mut self, token: Token) {
        self.opening.raise();
        self.reply(token, Ok(Reply::Done));
    }

    /// What the scanner can do, and the settings if they decide.
    pub fn handle_looked(
        &mut self,
        result: Result<ScannerCapabilities, String>,
        readings: Option<&[ReportSetting]>,
        world: &World<'_>,
    ) {
        let Lane::Looking { token, plan } = std::mem::replace(&mut self.lane, Lane::Free) else {
            log::warn!("capture: nobody asked what the scanner can do");
            return;
        };
        let job = plan.job();
        if self.opening.is_raised() {
            return self.refuse(token, job, stopped());
        }
        let rules = self.rules(&plan, world);
        if let Some(rules) = rules
            && let Err(refused) = gate::check(rules, readings, &world.time)
        {
            self.out.push_back(Action::Refused(refused.event));
            return self.refuse(token, job, refused.refusal);
        }
        let rules = rules.map(|each| &each.scan);
        let settings = result
            .map_err(|why| scanner(format!("the scanner does not answer: {why}")))
            .and_then(|can| match &plan {
                Plan::New(_, _, _, request) => rules::settings(rules, request, &can),
                Plan::More(_, request) => {
                    let request = rules::as_far_as_possible(rules, request, &can);
                    rules::settings(rules, &request, &can)
                }
            });
        match (settings, world.recipient) {
            (Ok(chosen), Some(recipient)) => self.begin(token, plan, chosen, recipient.clone()),
            (Ok(_), None) => self.refuse(token, job, no_key()),
            (Err(refusal), _) => self.refuse(token, job, refusal),
        }
    }

    /// The job's file is open and the scanner started, or neither. `last_object` is the highest
    /// number used in the file.
    pub fn handle_begun(&mut self, result: Result<u32, Refusal>) {
        let Lane::Opening {
            token,
            job,
            new,
            instead,
        } = std::mem::replace(&mut self.lane, Lane::Free)
        else {
            log::warn!("capture: nobody asked to begin");
            return;
        };
        let last_object = match result {
            Ok(last_object) => last_object,
            Err(refusal) => return self.refuse(token, job, refusal),
        };
        let reply = match new {
            Some(new) => {
                self.jobs.insert(job, *new);
                self.out.push_back(Action::Opened(job));
                Reply::Started {
                    job: job.to_string(),
                }
            }
            None => Reply::Done,
        };
        self.reply(token, Ok(reply));
        if let Some(message) = instead {
            self.tell(job, JobEvent::Adapted { message });
        }
        self.tell(job, JobEvent::Feeding);
        let object = last_object.saturating_add(1);
        if let Some(open) = self.jobs.get_mut(&job) {
            open.next_object = object;
            open.fed = 0;
        }
        match self.opening.is_raised() {
            true => self.halt(job, Stop::Asked),
            false => self.feed(job, object),
        }
    }

    /// A page came, or did not.
    pub fn handle_fed(&mut self, fed: Fed, world: &World<'_>) {
        let Lane::Feeding { job, stop, .. } = std::mem::replace(&mut self.lane, Lane::Free) else {
            log::warn!("capture: a page that nobody asked for");
            return;
        };
        match fed {
            Fed::Page(page, bytes) => self.page_saved(job, page, bytes, stop),
            Fed::End => self.stack_end(job, stop, world),
            Fed::Stopped => self.halt(job, stop.unwrap_or(Stop::Asked)),
            Fed::Fault {
                kind,
                message,
                doubts_last,
            } => {
                let Some(open) = self.jobs.get_mut(&job) else {
                    return;
                };
                let failed = open.next_page();
                let next = open.break_off();
                let mut message = words::fault(kind, &message, next, failed);
                message.push_str(&open.which(kind, next));
                let doubts = doubts_last.then(|| open.doubt_last()).flatten();
                if let Some((page, after)) = doubts {
                    message.push_str(&words::doubt(page, &open.place(page), after));
                }
                let doubts = doubts.map(|(page, _)| page);
                self.pause(job, stop, message, kind.is_resumable(), doubts);
            }
            Fed::NotKept { full, reason } => {
                let Some(open) = self.jobs.get_mut(&job) else {
                    return;
                };
                let next = open.break_off();
                let place = open.place(next);
                let message = format!(
                    "page {next} could not be saved: {reason}; the pages before it are safe. Put \
                     page {next}{place}, the sheet that came out last, back on the stack{}",
                    if full {
                        ", and finish or discard other jobs first"
                    } else {
                        ""
                    },
                );
                self.pause(job, stop, message, true, None);
            }
        }
    }

    /// The scanner is stopped; `paper_left`: the feeder is not empty.
    pub fn handle_halted(&mut self, paper_left: bool, world: &World<'_>) {
        let Lane::Halting { job, stop } = std::mem::replace(&mut self.lane, Lane::Free) else {
            log::warn!("capture: nobody asked to stop");
            return;
        };
        let Some(open) = self.jobs.get_mut(&job) else {
            return;
        };
        let next = match stop {
            Stop::Asked => open.break_off(),
            _ => open.next_page(),
        };
        let message = match stop {
            Stop::Asked => {
                let which = open.which(ScannerErrorKind::Cancelled, next);
                format!("stopped; put page {next} and what follows back to go on{which}")
            }
            // The last page of the stack was the last that fits.
            Stop::Limit if !paper_left => return self.stack_end(job, None, world),
            Stop::Limit => format!(
                "a job has at most {PAGES_MAX} pages; finish this one, and scan what is left from \
                 page {next} on into a new job"
            ),
            Stop::Discard(token) => return self.close(job, token),
        };
        let resumable = stop == Stop::Asked;
        self.rest(job, message, resumable, None);
    }

    /// A page was taken back, or not.
    pub fn handle_voided(&mut self, result: Result<(), String>, world: &World<'_>) {
        let Lane::Voiding {
            job,
            token,
            index,
            more,
        } = std::mem::replace(&mut self.lane, Lane::Free)
        else {
            log::warn!("capture: nobody asked to delete a page");
            return;
        };
        let reply = result.map_err(internal).map(|()| {
            if let Some(job) = self.jobs.get_mut(&job) {
                job.remove(index);
            }
            Reply::Done
        });
        match reply {
            Ok(_) if more && self.opening.is_raised() => {
                self.refuse(token, job, stopped());
            }
            Ok(_) if more => {
                if let Err(refusal) = self.add_more(token, job, world) {
                    self.refuse(token, job, refusal);
                }
            }
            reply => self.reply(token, reply),
        }
    }

    /// The job is sealed, or not.
    pub fn handle_sealed(&mut self, result: Result<(), String>) {
        let Lane::Sealing { job, token } = std::mem::replace(&mut self.lane, Lane::Free) else {
            log::warn!("capture: nobody asked to seal");
            return;
        };
        match result {
            Ok(()) => {
                let sealed = self.jobs.remove(&job);
                let pages = sealed.as_ref().map_or(0, |job| job.pages.len());
                let pages = u32::try_from(pages).unwrap_or(u32::MAX);
                let with_intent = sealed.is_some_and(|job| job.needs_intent());
                self.tell(job, JobEvent::Saved { pages });
                self.out.push_back(Action::Sealed { job, with_intent });
                if let Some(token) = token {
                    self.reply(token, Ok(Reply::Done));
                }
            }
            Err(reason) => {
                let message = format!("the job could not be finished: {reason}; finish it again");
                match token {
                    Some(token) => self.reply(token, Err(internal(message))),
                    None => self.rest(job, message, true, None),
                }
            }
        }
    }

    /// The job's file is closed.
    pub fn handle_closed(&mut self) {
        let Lane::Closing { job, token } = std::mem::replace(&mut self.lane, Lane::Free) else {
            log::warn!("capture: nobody asked to close");
            return;
        };
        self.jobs.remove(&job);
        self.out.push_back(Action::Discard(job, token));
    }

    /// Everything is forgotten. Only when [`Machine::is_idle`].
    pub fn handle_unenrolled(&mut self) {
        self.jobs.clear();
        self.out.clear();
    }

    /// What to do next.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.out.pop_front()
    }

    /// Whether the scanner's lane is free.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!(self.lane, Lane::Free)
    }

    /// The job whose paper moves, or which is being sealed.
    #[must_use]
    pub const fn busy_with(&self) -> Option<JobId> {
        match &self.lane {
            Lane::Feeding { job, .. } | Lane::Halting { job, .. } | Lane::Sealing { job, .. } => {
                Some(*job)
            }
            _ => None,
        }
    }

    /// Pages of an unfinished job.
    #[must_use]
    pub fn pages(&self, job: JobId) -> Option<u32> {
        let job = self.jobs.get(&job)?;
        Some(job.count())
    }

    /// Jobs that are not finished.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.jobs.len()
    }

    fn plan(&self, fresh: JobId, request: ScanRequest, world: &World<'_>) -> Result<Plan, Refusal> {
        self.expect_idle()?;
        let workflow = super::fields::find(world.workflows, &request.workflow)?;
        let fields = super::fields::check(workflow, &request.fields)?;
        let Some(recipient) = world.recipient else {
            return Err(no_key());
        };
        let job = Job {
            about: About::Fields(fields.clone()),
            workflow: workflow.id.clone(),
            workflow_version: workflow.version,
            tenant: Some(recipient.tenant.clone()),
            time: world.time,
            pages: Vec::new(),
            next_object: 1,
            settings: None,
            before: None,
            fed: 0,
            again: Vec::new(),
            taken_back: None,
            front_left: None,
            finish_at_end: request.finish_at_end,
        };
        let new = NewJob {
            intent: Intent {
                version: 1,
                job: fresh.to_string(),
                workflow: workflow.id.clone(),
                workflow_version: workflow.version,
                fields,
                member: None,
                scanned_at: world.time,
            },
            workflow_name: workflow.name.clone(),
        };
        Ok(Plan::New(fresh, Box::new(job), Box::new(new), request))
    }

    /// The workflow of a plan, if this device still has it.
    fn rules<'a>(&self, plan: &Plan, world: &World<'a>) -> Option<&'a Workflow> {
        let id = match plan {
            Plan::New(_, job, _, _) => &job.workflow,
            Plan::More(job, _) => &self.jobs.get(job)?.workflow,
        };
        world.workflows.iter().find(|each| each.id == *id)
    }

    fn look(&mut self, token: Token, plan: Plan, world: &World<'_>) {
        let rules = self.rules(&plan, world);
        let settings = rules.map(|rules| requirement::ids(&rules.requires));
        let settings = settings.unwrap_or_default();
        self.lane = Lane::Looking { token, plan };
        self.scan(Scan::Look { settings });
    }

    fn begin(
        &mut self,
        token: Token,
        plan: Plan,
        (settings, instead): (ScanSettings, Option<String>),
        recipient: Recipient,
    ) {
        let (job, new, held) = match plan {
            Plan::New(id, mut job, new, _) => {
                job.settings = Some(settings);
                (id, Some(new), Some(job))
            }
            Plan::More(id, _) => {
                if let Some(job) = self.jobs.get_mut(&id) {
                    job.settings = Some(settings);
                }
                (id, None, None)
            }
        };
        self.lane = Lane::Opening {
            token,
            job,
            new: held,
            instead,
        };
        self.scan(Scan::Begin {
            job,
            new,
            recipient,
            settings,
            stop: self.opening.clone(),
        });
    }

    fn edit(
        &mut self,
        token: Token,
        id: JobId,
        edit: Edit,
        world: &World<'_>,
    ) -> Result<(), Refusal> {
        if let Lane::Feeding { job, stop, flag } = &mut self.lane
            && *job == id
        {
            match edit {
                Edit::Stop => {
                    *stop = stop.or(Some(Stop::Asked));
                    flag.raise();
                    self.reply(token, Ok(Reply::Done));
                    return Ok(());
                }
                Edit::Discard if !matches!(stop, Some(Stop::Discard(_))) => {
                    *stop = Some(Stop::Discard(token));
                    flag.raise();
                    return Ok(());
                }
                _ => {}
            }
        }
        self.expect_idle()?;
        let Some(job) = self.jobs.get_mut(&id) else {
            return Ok(());
        };
        match edit {
            Edit::AddMore => {
                self.opening = StopFlag::default();
                return self.add_more(token, id, world);
            }
            Edit::Again { page } => {
                job.take_back(page)?;
                self.opening = StopFlag::default();
                return self.add_more(token, id, world);
            }
            Edit::Reorder { pages } => job.reorder(&pages)?,
            Edit::Rotate { page, degrees } => job.rotate(page, degrees)?,
            Edit::Delete { page } => {
                let index = job.index(page)?;
                let object = job.pages.get(index).map_or(0, |page| page.object);
                self.lane = Lane::Voiding {
                    job: id,
                    token,
                    index,
                    more: false,
                };
                self.scan(Scan::Void { job: id, object });
                return Ok(());
            }
            Edit::Stop => {}
            Edit::Finish => return self.finish(Some(token), id, world),
            Edit::Discard => {
                self.close(id, token);
                return Ok(());
            }
        }
        self.reply(token, Ok(Reply::Done));
        Ok(())
    }

    fn add_more(&mut self, token: Token, id: JobId, world: &World<'_>) -> Result<(), Refusal> {
        let Some(job) = self.jobs.get_mut(&id) else {
            return Ok(());
        };
        // What is fed again does not count: a front without its back, a sheet that is in doubt.
        if let Some((index, object)) = job.next_to_take_back() {
            self.lane = Lane::Voiding {
                job: id,
                token,
                index,
                more: true,
            };
            self.scan(Scan::Void { job: id, object });
            return Ok(());
        }
        if job.pages.len() >= PAGES_MAX as usize {
            let message = format!("a job has at most {PAGES_MAX} pages; finish this one");
            return Err(invalid(message));
        }
        let request = job.as_before();
        self.look(token, Plan::More(id, request), world);
        Ok(())
    }

    fn finish(
        &mut self,
        token: Option<Token>,
        id: JobId,
        world: &World<'_>,
    ) -> Result<(), Refusal> {
        let Some(job) = self.jobs.get(&id) else {
            return Ok(());
        };
        let plan = job.manifest(id, world)?;
        self.lane = Lane::Sealing { job: id, token };
        self.scan(Scan::Seal(Box::new(plan)));
        Ok(())
    }

    fn close(&mut self, job: JobId, token: Token) {
        self.lane = Lane::Closing { job, token };
        self.scan(Scan::Close { job });
    }

    fn page_saved(&mut self, id: JobId, page: Page, bytes: u64, stop: Option<Stop>) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.pages.push(page);
        job.fed += 1;
        (job.taken_back, job.front_left) = (None, None);
        job.next_object = page.object.saturating_add(1);
        let count = job.count();
        let object = job.next_object;
        self.tell(id, JobEvent::PageSaved { page: count, bytes });
        self.out.push_back(Action::PageSaved(id));
        // The limit comes before the sheet: no page is fed that could not be kept.
        let stop = stop.or_else(|| (count >= PAGES_MAX).then_some(Stop::Limit));
        match stop {
            None => self.feed(id, object),
            Some(stop) => self.halt(id, stop),
        }
    }

    fn feed(&mut self, job: JobId, object: u32) {
        let flag = StopFlag::default();
        let stop = flag.clone();
        self.lane = Lane::Feeding {
            job,
            stop: None,
            flag,
        };
        self.scan(Scan::NextPage { object, stop });
    }

    fn halt(&mut self, job: JobId, stop: Stop) {
        self.lane = Lane::Halting { job, stop };
        self.scan(Scan::Halt);
    }

    fn stack_end(&mut self, id: JobId, stop: Option<Stop>, world: &World<'_>) {
        if let Some(Stop::Discard(token)) = stop {
            return self.close(id, token);
        }
        self.tell(id, JobEvent::StackEnd);
        let finish = self.jobs.get(&id).is_some_and(|job| job.finish_at_end);
        if finish && let Err(refusal) = self.finish(None, id, world) {
            self.rest(id, refusal.message, true, None);
        }
    }

    fn pause(
        &mut self,
        id: JobId,
        stop: Option<Stop>,
        message: String,
        resumable: bool,
        doubts: Option<u32>,
    ) {
        if let Some(Stop::Discard(token)) = stop {
            return self.close(id, token);
        }
        self.rest(id, message, resumable, doubts);
    }

    fn rest(&mut self, job: JobId, message: String, resumable: bool, doubts: Option<u32>) {
        let event = JobEvent::Paused {
            message,
            resumable,
            doubts,
        };
        self.tell(job, event);
    }

    fn expect_idle(&self) -> Result<(), Refusal> {
        if self.is_idle() {
            return Ok(());
        }
        Err(Refusal {
            kind: RefusalKind::Busy,
            message: "a job is being scanned; wait for it, or stop it".to_owned(),
        })
    }

    fn scan(&mut self, scan: Scan) {
        self.out.push_back(Action::Scan(scan));
    }

    fn tell(&mut self, job: JobId, event: JobEvent) {
        self.out.push_back(Action::Tell(job, event));
    }

    /// Refuses to scan; of a job that waits, with what it lacks now.
    fn refuse(&mut self, token: Token, job: JobId, mut refusal: Refusal) {
        let lacks = self.jobs.get(&job).and_then(Job::gone);
        refusal.message.push_str(&lacks.unwrap_or_default());
        self.reply(token, Err(refusal));
    }

    fn reply(&mut self, token: Token, reply: Result<Reply, Refusal>) {
        self.out.push_back(Action::Reply(token, reply));
    }
}

fn scanner(message: String) -> Refusal {
    Refusal {
        kind: RefusalKind::Scanner,
        message,
    }
}

/// Nobody wants the job that was to be opened any more.
pub(super) fn stopped() -> Refusal {
    scanner(words::STOPPED.to_owned())
}

fn internal(message: String) -> Refusal {
    Refusal {
        kind: RefusalKind::Internal,
        message,
    }
}

#[cfg(test)]
mod tests;
