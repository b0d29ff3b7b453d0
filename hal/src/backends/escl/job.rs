//! The life of one scan job on the device, without sockets and clocks.
//!
//! ```text
//! Checking -> Creating -> Open --load--> Loading -> Looking -> Open ... -> Cleaning -> Over
//!                 |                         ^  (no page) |
//!                 +-> Finding               +------------+
//! ```
//!
//! Call [`Job::start`], [`Job::load`] or [`Job::cancel`], then carry out what [`Job::step`] says
//! and tell the outcome with [`Job::handle_answer`] or [`Job::handle_waited`], until it is
//! [`Step::Done`]. [`Job::handle_stop`] may come at any time.
//!
//! Three rules make a document complete or a person asked:
//! - A page counts when its image is whole ([`super::image`]), never by the status code alone.
//! - The end is believed when the scanner's status does not speak against it: the job is not
//!   aborted, no load broke off before, nothing that was counted is missing, no back of a sheet
//!   is, and a job that vanished left no paper behind. A job that ended well and left paper
//!   behind is followed by another one for the same document (Epson WF-2930 ends after each page).
//!   When that one brings no page, the status lied and it was the end, unless the feeder is one
//!   that tells when it is empty, or the job was given up for something else than want of paper.
//! - Status may lie (a jam that is cleared, counters that never agree): it can raise a doubt,
//!   it can never take a whole page away. What it does not say raises one as well: a page that
//!   comes after a load that failed may be the next sheet.

mod fault;
mod load;
mod place;
mod start;

use std::time::Duration;

use super::image::Facts;
use super::quirks::Quirks;
use super::settings::Ticket;
use super::status::{AdfState, JobInfo, JobState, Status, bare, bare_path};
use crate::scanner::{InputSource, ScannerErrorKind};

pub(crate) use fault::Fault;
use fault::PAPER_LEFT;
use place::Places;

/// The wait when a device says "later" and not when.
const LATER: Duration = Duration::from_secs(1);
/// Tries for a device that is busy, warms up, or answers a new job with 503.
const BUSY_TRIES: u32 = 10;
/// How long a page may be not ready: as long as the first byte of one may take. HP M28w says
/// thirty times that it is not.
const NOT_READY: Duration = Duration::from_secs(120);
/// How long a cancelled job may take to end.
const CANCEL: Duration = Duration::from_secs(10);

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask the device.
    Ask(Ask),
    /// Let so much time pass.
    Wait(Duration),
    /// Done with what was called for.
    Done(Result<Done, Fault>),
}

/// A request to the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// `GET ScannerStatus`.
    Status,
    /// `POST ScanJobs` with this document.
    Create(String),
    /// `GET {job}/NextDocument`.
    Next(String),
    /// `DELETE {job}`.
    Delete(String),
}

/// What was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// The device has the job.
    Started,
    /// A page is whole.
    Page(Facts),
    /// There are no more pages.
    End,
    /// The job is over.
    Stopped,
}

/// What the device answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Its status.
    Status(Status),
    /// A job, at this path.
    Created(String),
    /// A whole page, and how long it took.
    Page(Facts, Duration),
    /// A page that is none: why, and whether bytes of it have left.
    NoPage(String, bool),
    /// The sink took no more.
    Refused,
    /// The page is larger than any may be.
    TooLarge,
    /// Another status code, and after how many seconds to ask again.
    Code(u16, Option<u64>),
    /// No answer: why.
    Failed(String),
    /// Nobody to ask for a page: why. No sheet was fed for it.
    Unsent(String),
}

/// Where the job is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Before the job: is the device ready?
    Checking { tries: u32 },
    /// Asking for the job.
    Creating { tries: u32 },
    /// The answer to that was lost, or was no: why?
    Finding { code: u16, why: String },
    /// Between pages.
    Open,
    /// Asking for a page.
    Loading,
    /// After a page or instead of one: what does the status say?
    Looking(After),
    /// Ending the job after what is the outcome.
    Cleaning { tries: u32 },
    /// Ending the job because somebody asked to.
    Cancelling { waited: Duration },
    /// Nothing to do.
    Over,
}

/// Why the status is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
enum After {
    Page(Facts),
    Code(u16),
    /// No whole page came: why, and whether bytes of it have left.
    NoPage(String, bool),
}

/// What the device counted, as far as it can be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    /// Whether it has always agreed with what was received.
    agreed: bool,
    disagreed: bool,
    /// Images scanned, as told last.
    completed: u32,
    /// Images scanned and not fetched, as told last.
    to_transfer: u32,
    /// Whether it was seen to count what it had not given yet, and so does not count what was taken.
    ahead: bool,
}

/// One scan job.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    tickets: Vec<Ticket>,
    quirks: Quirks,
    /// A fault of the feeder that a person has been told of already: it may be an old one.
    told: Option<ScannerErrorKind>,
    /// Whether this feeder was ever seen to say that it is empty, or is known to.
    tells_empty: bool,
    /// Whether it was seen to rest without a word of paper: then `Loaded` means something.
    rests: bool,
    /// Whether it tells now that it is empty, in the one way or the other.
    is_empty: bool,
    state: State,
    wait: Option<Duration>,
    path: String,
    /// Whether the feeder felt paper before the job.
    felt_paper: bool,
    /// Paths of jobs that were there before.
    before: Vec<String>,
    /// Whole pages.
    received: u32,
    /// Images in them: a PDF has several.
    images: u32,
    /// Whether some came as PDF.
    in_pdf: bool,
    /// Whole pages of the jobs before this one, which has followed them.
    earlier: u32,
    /// Whether another job is to follow, for the paper that is left.
    follows: bool,
    /// Tries since the last whole page.
    tries: u32,
    /// Whether the device has listed the job.
    listed: bool,
    counted: Counted,
    /// Why a load has failed since the last whole page.
    broken: Option<String>,
    /// Whether a sheet may be missing before the last whole page: it came after a load that failed,
    /// and the counters do not show that it is the same sheet.
    gap: bool,
    /// Whether that is proven.
    skipped: bool,
    places: Places,
    /// How long the page was waited for that is not ready.
    not_ready: Duration,
    /// How often it was not.
    laters: u32,
    /// Whether the device has given the last page up after all.
    doubtful: bool,
    /// Whether the status could be read in this job, or before it.
    status_works: bool,
    last_load: Duration,
    /// What was reached last.
    outcome: Result<Done, Fault>,
}

impl Job {
    /// A job that asks for the ticket. `told` is the fault that a person was told of last.
    pub(crate) fn new(ticket: Ticket, quirks: Quirks, told: Option<ScannerErrorKind>) -> Self {
        let gray = ticket.in_gray();
        Self::of(gray.into_iter().chain([ticket]).collect(), quirks, told)
    }

    /// Takes over what is known of the feeder from before.
    pub(crate) const fn with_feeder(mut self, tells_empty: bool, rests: bool) -> Self {
        self.tells_empty |= tells_empty;
        self.rests = rests;
        self
    }

    fn of(tickets: Vec<Ticket>, quirks: Quirks, told: Option<ScannerErrorKind>) -> Self {
        Self {
            tickets,
            quirks,
            told,
            tells_empty: quirks.processing_is_paper,
            rests: false,
            is_empty: false,
            state: State::Over,
            wait: None,
            path: String::new(),
            felt_paper: false,
            before: Vec::new(),
            received: 0,
            images: 0,
            in_pdf: false,
            earlier: 0,
            follows: false,
            tries: 0,
            listed: false,
            counted: Counted::default(),
            broken: None,
            gap: false,
            skipped: false,
            places: Places::default(),
            not_ready: Duration::ZERO,
            laters: 0,
            doubtful: false,
            status_works: false,
            last_load: Duration::ZERO,
            outcome: Ok(Done::Stopped),
        }
    }

    /// Begins.
    pub(crate) fn start(&mut self) {
        self.state = State::Checking { tries: 0 };
    }

    /// Goes for the next page.
    pub(crate) fn load(&mut self) {
        if self.state != State::Open {
            return;
        }
        self.tries = 0;
        self.not_ready = Duration::ZERO;
        self.laters = 0;
        if self.glass() && self.received > 0 {
            return self.clean(Ok(Done::End));
        }
        if self.gap {
            return self.clean(Err(self.gap_fault()));
        }
        self.state = State::Loading;
        if self.quirks.early_404 {
            let half = self.last_load / 2;
            self.wait = Some(if half.is_zero() {
                LATER
            } else {
                half.min(LATER)
            });
        }
        if self.received == 0 && self.quirks.first_page_after_ms > 0 {
            self.wait = Some(Duration::from_millis(
                self.quirks.first_page_after_ms.into(),
            ));
        }
    }

    /// Ends the job.
    pub(crate) fn cancel(&mut self) {
        self.wait = None;
        self.follows = false;
        self.outcome = Ok(Done::Stopped);
        if self.state == State::Over || self.path.is_empty() {
            self.state = State::Over;
        } else {
            self.state = State::Cancelling {
                waited: Duration::ZERO,
            };
        }
    }

    /// What the answer to [`Ask::Next`] that follows says to be (`Content-Location`).
    pub(crate) fn handle_place(&mut self, place: Option<String>) {
        self.places.hear(place);
    }

    /// A person wants no more: the job that is not begun or the page in hand is given up and the job
    /// ended. A whole page stays. False when the stop is to come again, for the device may have the
    /// job and its path is being looked for.
    pub(crate) fn handle_stop(&mut self) -> bool {
        let in_hand = match &self.state {
            State::Checking { .. } | State::Creating { .. } | State::Loading => true,
            State::Looking(after) => !matches!(after, After::Page(_)),
            State::Open => self.outcome == Ok(Done::Started),
            // The look before the job was given up.
            State::Over => self.path.is_empty() && self.outcome.is_err(),
            State::Finding { .. } => return false,
            // Another job was to follow.
            State::Cleaning { .. } => self.follows,
            State::Cancelling { .. } => false,
        };
        if in_hand {
            self.cancel();
            self.outcome = Err(Fault::new(ScannerErrorKind::SinkRefused, "it was stopped"));
        }
        true
    }

    /// Whether what is asked now may be given up and leaves nothing behind: never a new job.
    pub(crate) const fn only_waits(&self) -> bool {
        matches!(self.state, State::Checking { .. } | State::Loading)
    }

    /// Whether the device has, or may have, the job.
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Whether this feeder was ever seen to say that it is empty.
    pub(crate) const fn tells_empty(&self) -> bool {
        self.tells_empty
    }

    /// Whole pages so far.
    pub(crate) const fn pages(&self) -> u32 {
        self.earlier.saturating_add(self.received)
    }

    /// What is scanned: the wish, clamped, or in gray when the device takes no black and white.
    pub(crate) fn ticket(&self) -> Option<&Ticket> {
        self.tickets.last()
    }

    /// What to do next.
    #[must_use]
    pub(crate) fn step(&self) -> Step {
        if let Some(wait) = self.wait {
            return Step::Wait(wait);
        }
        match &self.state {
            State::Checking { .. } | State::Finding { .. } | State::Looking(_) => {
                Step::Ask(Ask::Status)
            }
            State::Creating { .. } => {
                let ticket = self.tickets.last().map(Ticket::to_xml);
                Step::Ask(Ask::Create(ticket.unwrap_or_default()))
            }
            State::Loading => Step::Ask(Ask::Next(self.path.clone())),
            State::Cleaning { .. } => Step::Ask(Ask::Delete(self.path.clone())),
            State::Cancelling { waited } if waited.is_zero() => {
                Step::Ask(Ask::Delete(self.path.clone()))
            }
            State::Cancelling { .. } => Step::Ask(Ask::Status),
            State::Open | State::Over => Step::Done(self.outcome.clone()),
        }
    }

    /// Time has passed as asked for.
    pub(crate) fn handle_waited(&mut self) {
        self.wait = None;
    }

    /// What the device answered.
    pub(crate) fn handle_answer(&mut self, answer: Answer) {
        if let Answer::Status(status) = &answer {
            let says_empty = status.adf == Some(AdfState::Empty);
            // AirSane cannot see paper, and says so once when it found none.
            let found_none = self.state == State::Looking(After::Code(409));
            self.tells_empty |= says_empty && !found_none;
            self.is_empty = says_empty || !self.tells_empty && status.rests();
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Checking { tries } => self.checked(tries, answer),
            State::Creating { tries } => self.created(tries, answer),
            State::Finding { code, why } => self.found(code, why, answer),
            State::Loading => self.loaded(answer),
            State::Looking(after) => self.looked(after, answer),
            State::Cleaning { tries } => self.cleaned(tries, &answer),
            State::Cancelling { waited } => self.cancelled(waited, &answer),
            state @ (State::Open | State::Over) => {
                log::warn!("escl: an answer that nobody asked for");
                self.state = state;
            }
        }
    }
}

impl Job {
    /// Ends the job on the device; then `outcome` is told.
    fn clean(&mut self, outcome: Result<Done, Fault>) {
        let ended_by_itself = outcome == Ok(Done::End);
        self.outcome = self.at_the_end(outcome);
        if self.path.is_empty() || (ended_by_itself && self.quirks.slow_delete) {
            self.over();
        } else {
            self.state = State::Cleaning { tries: 0 };
        }
    }

    /// No paper for a job that has followed another one: that was the end. A feeder that tells when
    /// it is empty, and does not, has paper that was not taken in.
    fn at_the_end(&self, outcome: Result<Done, Fault>) -> Result<Done, Fault> {
        match outcome {
            Err(fault) if fault.kind == ScannerErrorKind::FeederEmpty && self.earlier > 0 => {
                match (self.tells_empty || self.rests) && !self.is_empty {
                    true => Err(Fault::new(ScannerErrorKind::Interrupted, PAPER_LEFT)),
                    false => Ok(Done::End),
                }
            }
            outcome => outcome,
        }
    }

    /// The job is over, and another one follows if that is due.
    fn over(&mut self) {
        self.state = State::Over;
        if self.follows {
            log::info!("escl: the job left paper in the feeder; another one follows");
            let tickets = std::mem::take(&mut self.tickets);
            *self = Self {
                earlier: self.pages(),
                tells_empty: self.tells_empty,
                rests: self.rests,
                status_works: self.status_works,
                last_load: self.last_load,
                state: State::Checking { tries: 0 },
                // The feeder may need a moment to feel that it is empty.
                wait: Some(LATER),
                ..Self::of(tickets, self.quirks, None)
            };
        }
    }

    fn cleaned(&mut self, tries: u32, answer: &Answer) {
        // 404 and 410: it is gone already. What cannot be ended ends by itself.
        if matches!(answer, Answer::Code(503, _)) && tries < 3 {
            self.wait = Some(LATER);
            self.state = State::Cleaning { tries: tries + 1 };
        } else {
            self.over();
        }
    }

    fn cancelled(&mut self, waited: Duration, answer: &Answer) {
        let ended = match answer {
            Answer::Status(status) => {
                let job = self.find(status);
                job.and_then(|job| job.state)
                    .is_none_or(|state| !matches!(state, JobState::Pending | JobState::Processing))
            }
            _ => false,
        };
        // Not to answer has taken longer than that.
        let spent = match answer {
            Answer::Failed(_) => CANCEL,
            _ => LATER,
        };
        let waited = waited + spent;
        if !ended && waited <= CANCEL {
            self.wait = Some(LATER);
            self.state = State::Cancelling { waited };
        }
    }

    /// Our job among those of the device: by its path, else by its name at the end of it or as its
    /// UUID, for some devices change what stands before (HP Smart Tank 570).
    fn find<'a>(&self, status: &'a Status) -> Option<&'a JobInfo> {
        let path = bare_path(&self.path);
        let name = bare(path);
        let mut jobs = status.jobs.iter();
        let by_path = jobs.clone().find(|job| bare_path(&job.path) == path);
        by_path.or_else(|| {
            let is_named = |job: &&JobInfo| bare(bare_path(&job.path)) == name || job.uuid == name;
            jobs.find(is_named).filter(|_| !name.is_empty())
        })
    }

    fn glass(&self) -> bool {
        let source = self.ticket().map(|ticket| ticket.settings.source);
        source == Some(InputSource::Platen)
    }

    /// Asks again after a while, unless that was done too often.
    fn again(&mut self, most: u32, state: State) -> bool {
        self.tries += 1;
        if self.tries > most {
            return false;
        }
        self.wait = Some(LATER);
        self.state = state;
        true
    }
}

/// As long as the device asks for, within reason.
fn later(retry_after: Option<u64>) -> Duration {
    retry_after.map_or(LATER, |seconds| Duration::from_secs(seconds.clamp(1, 30)))
}

#[cfg(test)]
mod tests;
