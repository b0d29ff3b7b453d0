//! Following a job from event to event until there is nothing more to wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use scantrip_hal::clock::Instant;
use serde::Serialize;

use super::access::Access;
use super::failure::Failure;
use super::{Exit, World};
use crate::api::{Edit, JobEvent, Refusal, RefusalKind, Reply, Request};
use crate::render::job;
use crate::render::progress::Progress;

/// One look for events; as long as a person may wait for the answer to Ctrl-C.
const LOOK: Duration = Duration::from_millis(250);
/// How long a waiting job may be silent until the person is sent away: long enough for the first
/// tries.
const WAITING_QUIET: Duration = Duration::from_secs(5);
/// How long a saved job may be silent altogether: longer than any one try of a transfer takes. No
/// door to the cloud answers then, so that not even the first try begins.
const SAVED_QUIET: Duration = Duration::from_secs(30);
/// How long to wait for the delivery once the cloud has signed for the job.
const DELIVERY_QUIET: Duration = Duration::from_secs(60);

/// Up to where a job is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The stack is through; the job stays open.
    StackEnd,
    /// The job is delivered, or received, or saved and the cloud is away.
    Sent,
    /// As [`Goal::Sent`], for a job that does not finish by itself.
    Finished,
    /// The job is delivered, however long it takes.
    Delivered,
}

/// A job that is followed.
pub(crate) struct Follow<'a> {
    access: &'a Access,
    job: String,
    interrupted: Arc<AtomicBool>,
    next: usize,
    progress: Progress,
    stage: Stage,
    stop_asked: bool,
    finish_due: bool,
    waiting: bool,
    heard_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    Feeding,
    Saved,
    Received,
}

/// What an event means for the one who follows.
enum Step {
    GoOn,
    Over(&'static str),
}

#[derive(Serialize)]
struct EventLine<'a> {
    job: &'a str,
    #[serde(flatten)]
    event: &'a JobEvent,
}

#[derive(Serialize)]
struct ResultLine<'a> {
    job: &'a str,
    result: &'a str,
}

impl<'a> Follow<'a> {
    /// Follows a job from its first event.
    pub(crate) fn new(access: &'a Access, job: String, interrupted: Arc<AtomicBool>) -> Self {
        Self {
            access,
            job,
            interrupted,
            next: 0,
            progress: Progress::default(),
            stage: Stage::Open,
            stop_asked: false,
            finish_due: false,
            waiting: false,
            heard_at: Instant::default(),
        }
    }

    /// Passes over what has happened so far, but for the last `keep` events; gives the last one. Of a
    /// draft of an earlier run that is what it is offered with.
    pub(crate) fn skip_past(&mut self, world: &World<'_>, keep: usize) -> Option<JobEvent> {
        let past = self.access.service.events(&self.job, 0, Duration::ZERO);
        let past = past.unwrap_or_default();
        self.next = past.len().saturating_sub(keep);
        for event in past.iter().take(self.next) {
            let _shown = self.progress.handle(event, world.clock.boot());
            self.note(event);
        }
        past.into_iter().last()
    }

    /// Shows events until `goal`.
    pub(crate) fn to(mut self, world: &mut World<'_>, goal: Goal) -> Result<(), Failure> {
        self.heard_at = world.clock.boot();
        loop {
            let looked_at = world.clock.boot();
            let events = self.look()?;
            let now = world.clock.boot();
            if !events.is_empty() {
                self.heard_at = now;
            } else if now.since(looked_at) < LOOK / 2 {
                // A job of the past is answered for at once; it must not keep this one busy.
                std::thread::park_timeout(LOOK);
            }
            for event in &events {
                self.next += 1;
                self.show(world, event, now);
                if let Step::Over(result) = self.take(world, event, goal)? {
                    return self.over(world, result);
                }
            }
            // A job that finishes by itself has told so by now.
            if events.is_empty() && std::mem::take(&mut self.finish_due) {
                self.edit(Edit::Finish)?;
            }
            if let Some(result) = self.give_up(goal, now) {
                return self.over(world, result);
            }
            if self.interrupted.load(Ordering::SeqCst)
                && let Some(result) = self.interrupt(world)?
            {
                return self.over(world, result);
            }
        }
    }

    fn look(&self) -> Result<Vec<JobEvent>, Failure> {
        let events = self.access.service.events(&self.job, self.next, LOOK);
        events.map_err(|refusal| {
            let mut failure = Failure::from(refusal);
            if failure.exit == Exit::Unreachable {
                failure
                    .message
                    .push_str("; saved pages stay saved, see: scantrip jobs");
            }
            failure
        })
    }

    fn show(&mut self, world: &mut World<'_>, event: &JobEvent, now: Instant) {
        let shown = self.progress.handle(event, now);
        // A failure is told once, as the end of the command.
        if world.output.is_json() {
            let job = &self.job;
            world.output.document(&EventLine { job, event });
        } else if !matches!(event, JobEvent::Failed { .. }) {
            world.output.progress(&shown);
        }
    }

    fn take(
        &mut self,
        world: &mut World<'_>,
        event: &JobEvent,
        goal: Goal,
    ) -> Result<Step, Failure> {
        self.note(event);
        match event {
            JobEvent::Paused {
                resumable, doubts, ..
            } => return self.paused(world, *resumable, *doubts),
            JobEvent::StackEnd if goal == Goal::StackEnd => return Ok(Step::Over("draft")),
            JobEvent::StackEnd => self.finish_due = goal == Goal::Finished,
            JobEvent::Saved { .. } => self.finish_due = false,
            JobEvent::Adapted { .. }
            | JobEvent::Feeding
            | JobEvent::PageSaved { .. }
            | JobEvent::Sending { .. }
            | JobEvent::Waiting { .. }
            | JobEvent::Received { .. }
            | JobEvent::Other => {}
            JobEvent::Delivered { .. } => return Ok(Step::Over("delivered")),
            JobEvent::Discarded => return Ok(Step::Over("discarded")),
            JobEvent::Failed { message } => {
                return Err(Failure::new(Exit::Refused, message.clone()));
            }
        }
        Ok(Step::GoOn)
    }

    /// Remembers how far the job is.
    const fn note(&mut self, event: &JobEvent) {
        self.waiting = matches!(event, JobEvent::Waiting { .. });
        match event {
            JobEvent::Feeding => self.stage = Stage::Feeding,
            JobEvent::Paused { .. } | JobEvent::StackEnd => self.stage = Stage::Open,
            JobEvent::Saved { .. } => self.stage = Stage::Saved,
            JobEvent::Received { .. } => self.stage = Stage::Received,
            _ => {}
        }
    }

    /// Whether the rest can happen without the person who waits.
    fn give_up(&self, goal: Goal, now: Instant) -> Option<&'static str> {
        let quiet = now.since(self.heard_at);
        match self.stage {
            _ if goal == Goal::Delivered => None,
            Stage::Saved if self.waiting && quiet >= WAITING_QUIET => Some("saved"),
            Stage::Saved if quiet >= SAVED_QUIET => Some("saved"),
            Stage::Received if quiet >= DELIVERY_QUIET => Some("received"),
            _ => None,
        }
    }

    /// The first Ctrl-C stops the feeder; after that it ends the wait.
    fn interrupt(&mut self, world: &mut World<'_>) -> Result<Option<&'static str>, Failure> {
        match self.stage {
            Stage::Saved => return Ok(Some("saved")),
            Stage::Received => return Ok(Some("received")),
            Stage::Open | Stage::Feeding if self.stop_asked => {}
            Stage::Open | Stage::Feeding => self.stop(world)?,
        }
        Ok(None)
    }

    fn stop(&mut self, world: &mut World<'_>) -> Result<(), Failure> {
        match self.call(Edit::Stop) {
            // The paper is about to move: asked again with the next look.
            Err(refusal) if refusal.kind == RefusalKind::Busy => return Ok(()),
            // It is through already; its events tell.
            Err(refusal) if refusal.kind == RefusalKind::Invalid => {}
            Err(refusal) => return Err(refusal.into()),
            Ok(_) => world
                .output
                .line("stopping the feeder; saved pages stay saved"),
        }
        self.stop_asked = true;
        Ok(())
    }

    /// Feeding stopped early: a person who is there decides, else the job waits.
    fn paused(
        &mut self,
        world: &mut World<'_>,
        resumable: bool,
        doubts: Option<u32>,
    ) -> Result<Step, Failure> {
        let asked = !self.stop_asked && world.person.is_there() && !world.output.is_json();
        if asked {
            let go_on = if resumable { "[Enter] go on   " } else { "" };
            let again = doubts.map_or_else(String::new, |page| format!("[l] page {page} again   "));
            let question =
                format!("{go_on}{again}[s] send what is saved   [d] throw away   [q] later: ");
            loop {
                let answer = world.person.ask(&question);
                let answer = answer.map_err(|error| Failure::caused(Exit::Internal, &error))?;
                match (answer.as_deref(), doubts) {
                    (Some(""), _) if resumable => return self.go_on(Edit::AddMore),
                    (Some("l"), Some(page)) => return self.go_on(Edit::Again { page }),
                    (Some("s"), _) => {
                        self.edit(Edit::Finish)?;
                        return Ok(Step::GoOn);
                    }
                    (Some("d"), _) => {
                        self.edit(Edit::Discard)?;
                        return Ok(Step::GoOn);
                    }
                    (Some("q") | None, _) => break,
                    (Some(_), _) => {}
                }
            }
        }
        let choices = job::choices(&self.job, doubts);
        let message = format!("the job waits for a decision:\n{choices}");
        Err(Failure::new(Exit::Person, message.trim_end()))
    }

    fn call(&self, edit: Edit) -> Result<Reply, Refusal> {
        let job = self.job.clone();
        self.access.service.call(Request::Edit { job, edit })
    }

    /// Paper moves again, if nobody presses Ctrl-C before.
    fn go_on(&self, edit: Edit) -> Result<Step, Failure> {
        let job = self.job.clone();
        let request = Request::Edit { job, edit };
        expect(self.access.open_job(request, &self.interrupted))?;
        Ok(Step::GoOn)
    }

    fn edit(&self, edit: Edit) -> Result<(), Failure> {
        expect(self.call(edit))
    }

    fn over(&self, world: &mut World<'_>, result: &str) -> Result<(), Failure> {
        let id = job::short_id(&self.job);
        if world.output.is_json() {
            let job = &self.job;
            world.output.document(&ResultLine { job, result });
            return Ok(());
        }
        match result {
            "draft" => world.output.line(&format!(
                "the job stays open\n{}",
                job::choices(&self.job, None).trim_end()
            )),
            "saved" if self.access.remote => world.output.line(&format!(
                "saved here, will be sent as soon as the cloud answers; see: scantrip jobs show {id}"
            )),
            "saved" => world.output.line(
                "saved here, will be sent as soon as an agent runs and the cloud answers: \
                 scantrip run",
            ),
            "received" => world.output.line(&format!(
                "the cloud has it; where it was delivered tells: scantrip jobs show {id}"
            )),
            _ => {}
        }
        Ok(())
    }
}

fn expect(reply: Result<Reply, Refusal>) -> Result<(), Failure> {
    match reply {
        // It has just gone on by itself; the next event tells where to.
        Err(refusal) if refusal.kind == RefusalKind::Busy => Ok(()),
        Err(refusal) => Err(refusal.into()),
        Ok(_) => Ok(()),
    }
}
