//! From one page to the next, and to the end.

use super::super::status::{AdfState, JobInfo, JobState, Status};
use super::fault::{Fault, NO_PAPER};
use super::place::Proof;
use super::start::refusal;
use super::{After, Answer, Counted, Done, Job, NOT_READY, State, later};
use crate::scanner::{DocumentFormat, ScannerErrorKind};

/// Tries after an answer that says the end too early, or an error that may pass.
const DOUBT_TRIES: u32 = 3;
/// Tries while the device says that it is still scanning.
const SCANNING_TRIES: u32 = 10;
/// The status is looked at after so many answers that the page is not ready: a jam looks so as well.
const LOOK_EVERY: u32 = 5;

impl Job {
    pub(super) fn loaded(&mut self, answer: Answer) {
        match answer {
            Answer::Page(facts, took) => {
                self.received = self.received.saturating_add(1);
                self.images = self.images.saturating_add(facts.images.into());
                self.in_pdf |= facts.format == DocumentFormat::Pdf;
                self.last_load = took;
                self.tries = 0;
                let proof = self.places.succeed();
                let doubted = self.broken.take().is_some() && !self.glass();
                self.gap = doubted && proof != Proof::Same;
                self.skipped = doubted && proof == Proof::Other;
                self.state = State::Looking(After::Page(facts));
            }
            Answer::Refused => {
                let fault = Fault::new(ScannerErrorKind::SinkRefused, "the page was not taken");
                self.clean(Err(fault));
            }
            Answer::TooLarge => {
                let message = "more than 255 MiB";
                self.clean(Err(Fault::new(ScannerErrorKind::PageTooLarge, message)));
            }
            Answer::Code(503, after) => {
                self.laters += 1;
                self.not_ready += later(after);
                self.wait = Some(later(after));
                let look = self.laters.is_multiple_of(LOOK_EVERY) || self.not_ready > NOT_READY;
                self.state = match look {
                    true => State::Looking(After::Code(503)),
                    false => State::Loading,
                };
            }
            Answer::Code(code @ (401 | 403), _) => self.clean(Err(refusal(code))),
            Answer::Code(code, _) => self.state = State::Looking(After::Code(code)),
            Answer::NoPage(why, passed) => {
                self.places.fail();
                self.broken = Some(why.clone());
                self.state = State::Looking(After::NoPage(why, passed));
            }
            Answer::Failed(why) => {
                self.broken = Some(why.clone());
                self.state = State::Looking(After::NoPage(why, false));
            }
            Answer::Unsent(why) => self.state = State::Looking(After::NoPage(why, false)),
            Answer::Status(_) | Answer::Created(_) => {
                let fault = Fault::new(ScannerErrorKind::Protocol, "a strange answer to a page");
                self.clean(Err(fault));
            }
        }
    }

    pub(super) fn looked(&mut self, after: After, answer: Answer) {
        let Answer::Status(status) = answer else {
            return self.blind(after, answer);
        };
        self.status_works = true;
        let job = self.find(&status).cloned();
        let was_listed = self.listed;
        if let Some(job) = &job {
            self.listed = true;
            self.counted.see(job, self.received);
        }
        let seen = Seen {
            forgotten: was_listed && job.is_none(),
            job,
            status,
        };
        match after {
            After::Page(facts) => self.after_page(facts, &seen),
            After::Code(404) => self.after_404(&seen),
            After::Code(410) => self.after_410(&seen),
            After::Code(503) => self.after_503(Some(&seen)),
            After::Code(code) => self.after_error(code, &seen),
            After::NoPage(why, passed) => self.after_no_page(why, passed, &seen),
        }
    }

    /// A whole page. That the job has been given up since may be because of the next sheet, or
    /// because this one ended early: then a person should look at it.
    fn after_page(&mut self, facts: super::Facts, seen: &Seen) {
        let given_up = matches!(
            seen.job.as_ref().and_then(|job| job.state),
            Some(JobState::Aborted | JobState::Canceled)
        );
        let job = seen.job.as_ref();
        let counted = job.and_then(|job| job.completed);
        let waiting = job.and_then(|job| job.to_transfer).unwrap_or(0);
        let all_here = counted == Some(self.received.saturating_add(waiting));
        if all_here && self.counted.ahead && !self.skipped {
            self.gap = false;
        }
        self.doubtful = given_up && counted.is_none_or(|count| count < self.received);
        self.page_is_in(facts);
    }

    /// The page is not ready yet, or the device has come to a stop and says no more than that.
    fn after_503(&mut self, seen: Option<&Seen>) {
        let too_long = self.not_ready > NOT_READY;
        let fault = seen.and_then(|seen| self.told_fault(&seen.status, seen.job.as_ref()));
        // What a person was told of before may still be told until paper moves.
        let old = |fault: &Fault| self.received == 0 && Some(fault.kind) == self.told && !too_long;
        if let Some(fault) = fault.filter(|fault| !old(fault)) {
            return self.clean(Err(fault));
        }
        if too_long {
            let message = "the scanner says for too long that the page is not ready";
            let fault = Fault::new(ScannerErrorKind::Interrupted, message);
            return self.clean(Err(self.with_counts(fault)));
        }
        self.state = State::Loading;
    }

    /// What speaks against a whole page that came after a load that failed.
    pub(super) fn gap_fault(&self) -> Fault {
        let message = match self.skipped {
            true => "a sheet is missing before the last page: an attempt at it failed",
            false => {
                "the last page came after an attempt that failed; a sheet may be missing before it"
            }
        };
        let mut fault = Fault::new(ScannerErrorKind::Interrupted, message);
        fault.doubts_last_page = true;
        self.with_counts(fault)
    }

    fn page_is_in(&mut self, facts: super::Facts) {
        self.outcome = Ok(Done::Page(facts));
        self.state = State::Open;
    }

    /// The device says that there is no further page. Is that so?
    fn after_404(&mut self, seen: &Seen) {
        if let Some(fault) = self.told_fault(&seen.status, seen.job.as_ref()) {
            return self.clean(Err(fault));
        }
        let state = seen.job.as_ref().and_then(|job| job.state);
        let scanning = matches!(state, Some(JobState::Pending | JobState::Processing));
        let completed = state == Some(JobState::Completed);
        let waiting = self.counted.to_transfer > 0 || self.received == 0;
        if scanning || self.quirks.gone_is_not_yet {
            let paper = seen.status.adf == Some(AdfState::Loaded) && !self.glass();
            let most = match (waiting || paper, self.quirks.gone_is_not_yet) {
                (true, _) => SCANNING_TRIES,
                (false, true) => DOUBT_TRIES,
                (false, false) => 1,
            };
            if self.again(most, State::Loading) {
                return;
            }
        }
        // Once more, for those that answer before they know.
        if self.received == 0 && self.again(DOUBT_TRIES, State::Loading) {
            return;
        }
        if let Some(doubt) = self.missing(seen, completed) {
            if self.again(DOUBT_TRIES, State::Loading) {
                return;
            }
            return self.clean(Err(self.with_counts(doubt)));
        }
        if self.received > 0 {
            return self.end(seen);
        }
        let fault = match self.glass() {
            false => Fault::new(ScannerErrorKind::FeederEmpty, NO_PAPER),
            true => Fault::new(ScannerErrorKind::Interrupted, "the glass gave no page"),
        };
        self.clean(Err(fault));
    }

    /// What speaks against the end, if anything.
    fn missing(&self, seen: &Seen, completed: bool) -> Option<Fault> {
        let interrupted = |message: &str| Fault::new(ScannerErrorKind::Interrupted, message);
        let believed = self.counted.is_believed() && self.counted.completed > self.received;
        if believed || self.keeps_a_page(seen.job.as_ref()) {
            return Some(interrupted(
                "the scanner has scanned more pages than it gave",
            ));
        }
        let counted = seen.job.as_ref().and_then(|job| job.completed);
        if let Some(why) = &self.broken
            && (self.received == 0 || counted != Some(self.received) || !self.counted.ahead)
        {
            return Some(interrupted(&format!("it did not come: {why}")));
        }
        if self.received == 0 {
            return None;
        }
        if self.is_half_a_sheet() {
            return Some(interrupted("the back of the last sheet did not come"));
        }
        let loaded = self.is_loaded(seen);
        // It may go on feeding, and give nobody what it scans: nothing follows by itself.
        let feeding = self.quirks.processing_is_paper
            && seen.status.adf == Some(AdfState::Processing)
            && !self.glass();
        let paper = loaded || feeding;
        let all_here = counted.is_some_and(|it| it == self.received || it == self.images);
        if completed && (!paper || (loaded && all_here)) {
            return None;
        }
        // It vanished while its page was not ready, and the feeder does not say that it is empty.
        let unsure = self.laters > 0 && seen.status.adf != Some(AdfState::Empty) && !self.glass();
        if seen.forgotten && (paper || unsure) {
            return Some(interrupted(
                "the scanner has forgotten the job; was it restarted?",
            ));
        }
        if seen.forgotten && self.counted.is_believed() && self.counted.to_transfer > 0 {
            return Some(interrupted(
                "the scanner has forgotten a page that it had scanned",
            ));
        }
        paper.then(|| interrupted("the scanner ended the job with paper left in the feeder"))
    }

    /// The end is believed. What is in the feeder still are the pages after those.
    fn end(&mut self, seen: &Seen) {
        self.follows = self.is_loaded(seen);
        self.clean(Ok(Done::End));
    }

    /// Ends a job that was completed, when nothing speaks against it. One that has followed another
    /// one may have brought no page.
    fn has_ended_well(&mut self, seen: &Seen) -> bool {
        let completed = seen.job.as_ref().and_then(|job| job.state) == Some(JobState::Completed);
        let ended = completed && self.pages() > 0 && self.missing(seen, true).is_none();
        if ended && self.received > 0 {
            self.end(seen);
        } else if ended {
            self.clean(Err(Fault::new(ScannerErrorKind::FeederEmpty, NO_PAPER)));
        }
        ended
    }

    fn is_loaded(&self, seen: &Seen) -> bool {
        seen.status.adf == Some(AdfState::Loaded) && !self.glass()
    }

    /// Whether the last front has no back. How many sides are in a PDF is not always known.
    fn is_half_a_sheet(&self) -> bool {
        let duplex = self.ticket().is_some_and(|ticket| ticket.settings.duplex);
        duplex && !self.in_pdf && self.images % 2 == 1
    }

    /// The job is gone. Some devices end every job so, some mean that the page is not ready yet.
    fn after_410(&mut self, seen: &Seen) {
        if let Some(fault) = self.told_fault(&seen.status, seen.job.as_ref()) {
            return self.clean(Err(fault));
        }
        if self.quirks.gone_is_not_yet && self.again(SCANNING_TRIES, State::Loading) {
            return;
        }
        if self.has_ended_well(seen) {
            return;
        }
        let fault = Fault::new(
            ScannerErrorKind::Cancelled,
            "the job was ended at the device",
        );
        self.clean(Err(self.with_counts(fault)));
    }

    /// 409 says trouble with the feeder, or the end on some devices; 500 an error that may pass.
    fn after_error(&mut self, code: u16, seen: &Seen) {
        if let Some(fault) = self.told_fault(&seen.status, seen.job.as_ref()) {
            return self.clean(Err(fault));
        }
        if self.again(DOUBT_TRIES, State::Loading) {
            return;
        }
        if self.has_ended_well(seen) {
            return;
        }
        let message = format!("the scanner answers HTTP {code}");
        let fault = Fault::new(ScannerErrorKind::Interrupted, message);
        self.clean(Err(self.with_counts(fault)));
    }

    fn after_no_page(&mut self, why: String, passed: bool, seen: &Seen) {
        if let Some(fault) = self.told_fault(&seen.status, seen.job.as_ref()) {
            return self.clean(Err(fault));
        }
        if passed {
            let fault = Fault::new(ScannerErrorKind::Truncated, why);
            return self.clean(Err(self.with_counts(fault)));
        }
        if seen.forgotten {
            let message = "the scanner has forgotten the job; was it restarted?";
            let fault = Fault::new(ScannerErrorKind::Interrupted, message);
            return self.clean(Err(self.with_counts(fault)));
        }
        if !self.again(DOUBT_TRIES, State::Loading) {
            let fault = Fault::new(ScannerErrorKind::Interrupted, why);
            self.clean(Err(self.with_counts(fault)));
        }
    }

    /// The status could not be read.
    fn blind(&mut self, after: After, answer: Answer) {
        let why = match (&after, answer) {
            (After::NoPage(why, _), _) => why.clone(),
            (_, Answer::Failed(why) | Answer::NoPage(why, _)) => why,
            (_, Answer::Code(code, _)) => format!("its status answers HTTP {code}"),
            _ => "its status cannot be read".to_owned(),
        };
        if let After::Page(facts) = after {
            // The page is whole; the next step will show what is wrong.
            return self.page_is_in(facts);
        }
        if after == After::Code(503) {
            return self.after_503(None);
        }
        let passed = matches!(after, After::NoPage(_, true));
        // A device without a status from the start is believed as far as it goes.
        if after == After::Code(404)
            && !self.status_works
            && self.received > 0
            && self.broken.is_none()
        {
            return self.clean(Ok(Done::End));
        }
        if !passed && self.again(DOUBT_TRIES, State::Looking(after)) {
            return;
        }
        let kind = if passed {
            ScannerErrorKind::Truncated
        } else {
            ScannerErrorKind::Interrupted
        };
        self.clean(Err(self.with_counts(Fault::new(kind, why))));
    }
}

/// A look at the status.
struct Seen {
    status: Status,
    /// Our job in it.
    job: Option<JobInfo>,
    /// Whether it was there before and is not any more.
    forgotten: bool,
}

impl Counted {
    /// Takes the counters of a job of which so many pages were received.
    fn see(&mut self, job: &JobInfo, received: u32) {
        let Some(completed) = job.completed else {
            return;
        };
        self.completed = completed;
        self.to_transfer = job.to_transfer.unwrap_or(0);
        self.ahead |= completed > received;
        let runs = matches!(
            job.state,
            Some(JobState::Pending | JobState::Processing) | None
        );
        if !runs {
            return;
        }
        // Of all that was scanned, what is not here waits to be fetched.
        if completed == received.saturating_add(self.to_transfer) {
            self.agreed |= received > 0;
        } else {
            self.disagreed = true;
        }
    }

    /// Whether the counters have agreed with what was received whenever that could be told.
    pub(super) const fn is_believed(self) -> bool {
        self.agreed && !self.disagreed
    }
}
