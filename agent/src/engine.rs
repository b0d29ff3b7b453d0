//! The agent's heart: five state machines and what connects them. No thread, file, socket or clock.
//!
//! Order of calls: [`Engine::handle`] for each [`Input`], then [`Engine::poll_action`] until it has
//! nothing more, then wait for the next input or [`Engine::poll_timeout`], whichever comes first. The
//! executor carries out each [`Action`]; one in a lane is answered by an input, and until then the
//! lane carries no other. Three lanes: calls (polls, certificates, reports), transfers (uploads,
//! commits, outcomes) and the scanner.

pub mod capture;
pub mod failure;
pub mod fields;
pub mod identity;
pub mod moment;
pub mod outbox;
pub mod report;
pub mod session;

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use scantrip_cloud_client::desired::Polled;
use scantrip_cloud_client::problem::Disposition;
use scantrip_cloud_client::wire::{DeviceTime, Outcome, SignedReceipt, Workflow};
use scantrip_hal::clock::Instant;
use scantrip_hal::keys::KeySlot;
use scantrip_hal::scanner::ScannerCapabilities;

use crate::api::{Edit, JobEvent, Refusal, RefusalKind, Reply, Request, ScanRequest};
use crate::job_id::JobId;
use crate::journal::JobState;
use crate::store::{
    DesiredState, EntryPointChoice, Identity, OutcomeCursor, ReceiptHead, ReportCursor,
};
use capture::{Draft, Fed, Recipient, Scan, World};
use failure::Failure;
use identity::SecretCode;
use moment::{Moment, earlier};

/// The time floor is remembered this often: flash wears.
const FLOOR_EVERY: Duration = Duration::from_secs(3600);

/// Names a request that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub u64);

/// One of the two lanes to the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Polls, certificates, reports. An answer may be held for a minute.
    Calls,
    /// Uploads, commits, outcomes.
    Transfers,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// Time passed.
    Tick,
    /// A person asks; `fresh` is a new job id. Only requests that change something come here.
    Request {
        /// Names the answer.
        token: Token,
        /// For a new job.
        fresh: JobId,
        /// What is asked for.
        request: Request,
    },
    /// A person enrols.
    Enroll(Token, SecretCode),
    /// A call was answered.
    Answered(Box<Answered>),
    /// The scanner's lane has done its action.
    Scanned(Scanned),
    /// A receipt is in the journal, or may not be.
    Kept(JobId, Result<(), String>),
    /// A job's file is erased, or may not be.
    Erased(JobId, Result<(), String>),
    /// Everything is wiped, or some may be left.
    Wiped(Token, Result<(), String>),
}

/// A call's answer and what else was learned by it.
#[derive(Debug)]
pub struct Answered {
    /// The lane that is free again.
    pub lane: Lane,
    /// The front door that was asked.
    pub url: String,
    /// The cloud's clock, Unix milliseconds, when it answered over verified TLS.
    pub cloud_time_ms: Option<u64>,
    /// TLS version and cipher suite.
    pub tls: Option<String>,
    /// The answer.
    pub answer: Answer,
}

/// The answer to a [`Call`].
#[derive(Debug)]
pub enum Answer {
    /// Of [`Call::Enroll`].
    Enrolled(identity::EnrollResult),
    /// Of [`Call::Renew`]: the identity with the new certificate staged.
    Renewed(Result<Identity, Failure>),
    /// Of [`Call::Prove`].
    Proven(Result<(), Failure>),
    /// Of [`Call::Measure`].
    Measured(Result<session::Doors, Failure>),
    /// Of [`Call::Poll`].
    Polled {
        /// As asked.
        hurried: bool,
        /// The answer.
        result: Result<Polled, Failure>,
    },
    /// Of [`Call::Report`], with the fingerprint of the settings that were read.
    Reported(u64, Result<(), Failure>),
    /// Of [`outbox::Call::Upload`].
    Uploaded(JobId, Option<u32>, Result<Option<outbox::Sent>, Failure>),
    /// Of [`outbox::Call::Commit`].
    Committed(JobId, Result<outbox::Verified, Failure>),
    /// Of [`outbox::Call::Discard`].
    Discarded(JobId, Result<outbox::DiscardAnswer, Failure>),
    /// Of [`outbox::Call::Outcomes`].
    Outcomes(Result<Vec<Outcome>, Failure>),
    /// Of [`outbox::Call::Receipts`].
    Receipts(Result<Vec<outbox::Verified>, Failure>),
}

/// The answer of the scanner's lane.
#[derive(Debug)]
pub enum Scanned {
    /// Of [`Scan::Look`].
    Looked(Result<ScannerCapabilities, String>),
    /// Of [`Scan::Begin`]: the highest object number used in the file.
    Begun(Result<u32, Refusal>),
    /// Of [`Scan::NextPage`].
    Fed(Fed),
    /// Of [`Scan::Halt`]: whether the feeder still holds paper.
    Halted(bool),
    /// Of [`Scan::Void`].
    Voided(Result<(), String>),
    /// Of [`Scan::Seal`].
    Sealed(Result<(), String>),
    /// Of [`Scan::Close`].
    Closed,
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// Call the cloud at `url` on a lane; answered by [`Input::Answered`].
    Call {
        /// The lane.
        lane: Lane,
        /// The front door.
        url: String,
        /// The call.
        call: Call,
    },
    /// For the scanner's lane; answered by [`Input::Scanned`].
    Scan(Scan),
    /// Write something down, now. Some are answered, as they say.
    Keep(Keep),
    /// Answer a request.
    Reply(Token, Result<Reply, Refusal>),
    /// Something happened to a job.
    Tell(JobId, JobEvent),
}

/// A call to the cloud.
#[derive(Debug)]
pub enum Call {
    /// Enrol: the only call without a certificate.
    Enroll {
        /// Where key and certificate go.
        slot: KeySlot,
        /// The code.
        code: SecretCode,
        /// The only device id that is accepted.
        only_device: Option<String>,
    },
    /// Renew into the slot.
    Renew {
        /// The spare slot.
        slot: KeySlot,
    },
    /// Poll once with the certificate of the slot.
    Prove {
        /// The staged slot.
        slot: KeySlot,
    },
    /// Fetch the front doors and measure each.
    Measure,
    /// Ask for the desired state.
    Poll {
        /// The state known.
        etag: Option<String>,
        /// How long the answer may be held.
        hold_seconds: u32,
        /// Whether it is asked beside another poll.
        hurried: bool,
    },
    /// Take a picture of the device and send it.
    Report {
        /// Its number.
        sequence: u64,
        /// Reports dropped before it.
        dropped: u64,
        /// Fingerprint of the settings that the cloud knows.
        known_settings: Option<u64>,
        /// What the engine knows of itself.
        health: Health,
    },
    /// For a job.
    Outbox(outbox::Call),
}

/// What the engine reports of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Jobs not yet receipted.
    pub queued_jobs: u32,
    /// Name of the entry point in use.
    pub entry_point: Option<String>,
    /// Cloud time minus device time.
    pub skew_ms: Option<i64>,
    /// Whole days until the certificate ends.
    pub certificate_days: Option<i64>,
}

/// Something to write down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The identity.
    Identity(Box<Identity>),
    /// The identity; then forget the key in the slot.
    Switch(Box<Identity>, KeySlot),
    /// The front door and why.
    Choice(EntryPointChoice),
    /// The desired state.
    Desired(Box<DesiredState>),
    /// How far reports are.
    Report(ReportCursor),
    /// How far outcomes are read.
    Outcome(OutcomeCursor),
    /// The end of the chain of receipts.
    Head(ReceiptHead),
    /// A time that is surely past, Unix milliseconds.
    Floor(u64),
    /// A job's new state, in the journal.
    Job(JobId, JobState),
    /// A job's receipt in the journal, then the end of the chain. Answered by [`Input::Kept`].
    Receipt(JobId, Box<SignedReceipt>, Option<ReceiptHead>),
    /// Erase a job's file. Answered by [`Input::Erased`].
    Erase(JobId),
    /// Wipe identity, spool, journal and keys. Answered by [`Input::Wiped`].
    Wipe(Token),
}

/// What an engine begins with.
#[derive(Debug)]
pub struct Start {
    /// How the session behaves.
    pub session: session::Settings,
    /// Whether the network may be used at all.
    pub online: bool,
    /// Whether reports are sent.
    pub telemetry: bool,
    /// How often the security settings are read.
    pub settings_every: Duration,
    /// Who the device is.
    pub identity: Option<Identity>,
    /// The front door in use.
    pub choice: Option<EntryPointChoice>,
    /// The last desired state.
    pub desired: Option<DesiredState>,
    /// How far reports are.
    pub report: ReportCursor,
    /// How far outcomes are read.
    pub outcome: OutcomeCursor,
    /// The end of the chain of receipts.
    pub head: ReceiptHead,
    /// Drafts found in the spool.
    pub drafts: Vec<Draft>,
    /// Other jobs that are not finished.
    pub found: Vec<outbox::Found>,
}

/// The engine.
#[derive(Debug)]
pub struct Engine {
    identity: identity::Machine,
    session: session::Machine,
    capture: capture::Machine,
    outbox: outbox::Machine,
    report: report::Machine,
    online: bool,
    calls_free: bool,
    transfers_free: bool,
    /// Whether the session has been told of a usable certificate.
    usable: bool,
    enrolling: Option<Token>,
    /// Scans that wait for a poll: the workflow was not known.
    waiting: Vec<(Token, JobId, ScanRequest)>,
    recipient: Option<Recipient>,
    floor_at: Instant,
    cloud_time_ms: Option<u64>,
    tls: Option<String>,
    last_error: Option<(String, u64)>,
    out: VecDeque<Action>,
}

impl Engine {
    /// An engine that goes on from what is remembered.
    #[must_use]
    pub fn new(start: Start, now: &Moment) -> Self {
        let Start {
            identity,
            drafts,
            found,
            ..
        } = start;
        let mut engine = Self {
            identity: identity::Machine::new(identity, now),
            session: session::Machine::new(start.session, start.choice, start.desired, now),
            capture: capture::Machine::new(drafts),
            outbox: outbox::Machine::new(found, &start.head, start.outcome.seq, now),
            report: report::Machine::new(start.telemetry, start.settings_every, start.report, now),
            online: start.online,
            calls_free: true,
            transfers_free: true,
            usable: false,
            enrolling: None,
            waiting: Vec::new(),
            recipient: None,
            floor_at: now.boot,
            cloud_time_ms: None,
            tls: None,
            last_error: None,
            out: VecDeque::new(),
        };
        engine.recipient = engine.read_recipient();
        engine.settle(now);
        engine
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: &Moment, input: Input) {
        match input {
            Input::Tick => {}
            Input::Request {
                token,
                fresh,
                request,
            } => self.request(now, token, fresh, request),
            Input::Enroll(token, code) => self.enroll(now, token, code),
            Input::Answered(answered) => self.answered(now, *answered),
            Input::Scanned(scanned) => self.scanned(now, scanned),
            Input::Kept(job, result) => self.outbox.handle_kept(now, job, result),
            Input::Erased(job, result) => self.outbox.handle_erased(now, job, result),
            Input::Wiped(token, result) => self.wiped(now, token, result),
        }
        self.settle(now);
    }

    /// What to do next.
    #[must_use]
    pub fn poll_action(&mut self, now: &Moment) -> Option<Action> {
        loop {
            if let Some(action) = self.out.pop_front() {
                return Some(action);
            }
            let moved = self.poll_capture(now)
                || self.poll_identity(now)
                || self.poll_session(now)
                || self.poll_report(now)
                || self.poll_outbox(now);
            if !moved {
                return None;
            }
        }
    }

    /// When to wake up though nothing happened.
    #[must_use]
    pub fn poll_timeout(&self, now: &Moment) -> Option<Instant> {
        if !self.online {
            return None;
        }
        let mut next = None;
        if self.calls_free || self.transfers_free {
            next = self.identity.poll_timeout(now);
        }
        if self.calls_free {
            next = earlier(next, self.session.poll_timeout());
        }
        if self.may_report() {
            next = earlier(next, self.report.poll_timeout());
        }
        if self.may_transfer() {
            next = earlier(next, self.outbox.poll_timeout());
        }
        next
    }

    /// Whether the network is used.
    #[must_use]
    pub const fn is_online(&self) -> bool {
        self.online
    }

    /// Jobs not yet receipted.
    #[must_use]
    pub fn queued(&self) -> u32 {
        u32::try_from(self.outbox.queued()).unwrap_or(u32::MAX)
    }

    /// Who the device is.
    #[must_use]
    pub const fn identity(&self) -> &identity::Machine {
        &self.identity
    }

    /// The session with the cloud.
    #[must_use]
    pub const fn session(&self) -> &session::Machine {
        &self.session
    }

    /// The jobs that are being scanned.
    #[must_use]
    pub const fn capture(&self) -> &capture::Machine {
        &self.capture
    }

    /// The workflows of this device.
    #[must_use]
    pub fn workflows(&self) -> &[Workflow] {
        self.session
            .desired()
            .map_or(&[], |desired| &desired.workflows)
    }

    /// The last error and when it was.
    #[must_use]
    pub const fn last_error(&self) -> Option<&(String, u64)> {
        self.last_error.as_ref()
    }

    /// TLS version and cipher suite of the last answer.
    #[must_use]
    pub fn tls(&self) -> Option<&str> {
        self.tls.as_deref()
    }

    /// Jobs that are not in the cloud and are not thrown away.
    #[must_use]
    pub fn unsent(&self) -> u32 {
        let jobs = self.capture.unfinished() + self.outbox.unsent();
        u32::try_from(jobs).unwrap_or(u32::MAX)
    }

    fn request(&mut self, now: &Moment, token: Token, fresh: JobId, request: Request) {
        match request {
            Request::Sync if self.identity.identity().is_none() => {
                self.reply(token, Err(not_enrolled()));
            }
            Request::Sync => self.session.handle_sync(now, token),
            Request::Scan(request) => self.scan(now, token, fresh, request),
            Request::Edit { job, edit } => self.edit(now, token, &job, edit),
            Request::Unenroll { confirmed } => self.unenroll(token, confirmed),
            Request::Status | Request::Jobs | Request::Workflows | Request::Settings => {
                let message = "this is answered beside the engine".to_owned();
                self.reply(token, Err(refusal(RefusalKind::Internal, message)));
            }
        }
    }

    fn scan(&mut self, now: &Moment, token: Token, fresh: JobId, request: ScanRequest) {
        if self.identity.identity().is_none() {
            return self.reply(token, Err(not_enrolled()));
        }
        let known = fields::find(self.workflows(), &request.workflow).is_ok();
        if self.online && !(known && self.recipient.is_some()) {
            self.session.handle_sync(now, token);
            self.waiting.push((token, fresh, request));
            return;
        }
        self.plan(now, token, fresh, request);
    }

    fn plan(&mut self, now: &Moment, token: Token, fresh: JobId, request: ScanRequest) {
        let world = world(&self.session, self.recipient.as_ref(), now);
        self.capture.handle_scan(token, fresh, request, &world);
    }

    fn edit(&mut self, now: &Moment, token: Token, job: &str, edit: Edit) {
        let Ok(id) = job.parse::<JobId>() else {
            return self.reply(token, Err(no_job(job)));
        };
        let world = world(&self.session, self.recipient.as_ref(), now);
        let discard = edit == Edit::Discard;
        let finish = edit == Edit::Finish;
        if self.capture.handle_edit(token, id, edit, &world) {
            return;
        }
        match self.outbox.knows(id) {
            true if discard => self.outbox.handle_discard(id, token),
            true if finish => {
                self.outbox.handle_retry(id);
                self.reply(token, Ok(Reply::Done));
            }
            true => {
                let message = "the job is finished and on its way; it can only be discarded";
                self.reply(token, Err(fields::invalid(message.to_owned())));
            }
            false => self.reply(token, Err(no_job(job))),
        }
    }

    fn unenroll(&mut self, token: Token, confirmed: bool) {
        let unsent_jobs = self.unsent();
        if !confirmed {
            let done = false;
            return self.reply(token, Ok(Reply::Unenroll { unsent_jobs, done }));
        }
        if !self.capture.is_idle() {
            let message = "a job is being scanned; wait for it, or stop it".to_owned();
            return self.reply(token, Err(refusal(RefusalKind::Busy, message)));
        }
        self.out.push_back(Action::Keep(Keep::Wipe(token)));
    }

    fn wiped(&mut self, now: &Moment, token: Token, result: Result<(), String>) {
        let unsent_jobs = self.unsent();
        let reply = match result {
            Ok(()) => {
                self.identity.handle_unenrolled();
                self.session.handle_unenrolled(now);
                self.capture.handle_unenrolled();
                self.outbox.handle_unenrolled();
                self.report.handle_unenrolled(now);
                self.recipient = None;
                let done = true;
                Ok(Reply::Unenroll { unsent_jobs, done })
            }
            Err(reason) => Err(refusal(
                RefusalKind::Internal,
                format!("not everything could be wiped: {reason}; try again"),
            )),
        };
        self.reply(token, reply);
    }

    fn enroll(&mut self, now: &Moment, token: Token, code: SecretCode) {
        let only_device = self
            .identity
            .identity()
            .filter(|_| self.unsent() > 0)
            .map(|identity| identity.device.clone());
        match self.identity.handle_enroll(now, code, only_device) {
            Ok(()) => self.enrolling = Some(token),
            Err(refusal) => self.reply(token, Err(refusal)),
        }
    }

    fn answered(&mut self, now: &Moment, answered: Answered) {
        let Answered {
            lane,
            url,
            cloud_time_ms,
            tls,
            answer,
        } = answered;
        match lane {
            Lane::Calls => self.calls_free = true,
            Lane::Transfers => self.transfers_free = true,
        }
        if tls.is_some() {
            self.tls = tls;
        }
        if let Some(cloud) = cloud_time_ms {
            let device = i64::try_from(now.clock.as_millis()).unwrap_or(i64::MAX);
            let skew = i64::try_from(cloud)
                .unwrap_or(i64::MAX)
                .saturating_sub(device);
            self.session.set_skew(Some(skew));
            self.cloud_time_ms = Some(cloud);
        }
        self.learn(now, &url, &answer);
        match answer {
            Answer::Enrolled(result) => self.enrolled(now, result),
            Answer::Renewed(result) => self.identity.handle_renewed(now, result),
            Answer::Proven(result) => self.identity.handle_proof(now, result),
            Answer::Measured(result) => self.session.handle_doors(now, &url, result),
            Answer::Polled { hurried, result } => self.polled(now, &url, hurried, result),
            Answer::Reported(settings, result) => self.report.handle_sent(now, settings, result),
            Answer::Uploaded(job, wanted, result) => {
                self.outbox.handle_uploaded(now, job, wanted, result);
            }
            Answer::Committed(job, result) => self.outbox.handle_committed(now, job, result),
            Answer::Discarded(job, result) => self.outbox.handle_discarded(now, job, result),
            Answer::Outcomes(result) => self.outbox.handle_outcomes(now, result),
            Answer::Receipts(result) => self.outbox.handle_receipts(result),
        }
    }

    /// What an answer says besides itself: about the identity, the front door, and for `status`.
    fn learn(&mut self, now: &Moment, url: &str, answer: &Answer) {
        let Some(failure) = answer.failure() else {
            return;
        };
        self.note(now, failure.message.clone());
        self.identity.strike(now, failure);
        if failure.unreachable && answer.is_transfer() && self.session.handle_shut_door(now, url) {
            self.outbox.handle_other_door();
            log::info!(
                "engine: {url} does not answer; going on at {}",
                self.session.url()
            );
        }
    }

    fn enrolled(&mut self, now: &Moment, result: identity::EnrollResult) {
        let before = self
            .identity
            .identity()
            .map(|identity| identity.device.clone());
        let Some(told) = self.identity.handle_enrolled(now, result) else {
            return;
        };
        if told.is_ok() {
            let device = self
                .identity
                .identity()
                .map(|identity| identity.device.clone());
            if before.is_some() && before != device {
                self.session.handle_unenrolled(now);
                self.outbox.handle_unenrolled();
                self.report.handle_unenrolled(now);
                self.recipient = None;
            }
            self.usable = false;
            self.outbox.handle_reachable(now);
            self.report.handle_change(now);
        }
        if let Some(token) = self.enrolling.take() {
            self.reply(token, told.map(Reply::Enrolled));
        }
    }

    fn polled(&mut self, now: &Moment, url: &str, hurried: bool, result: Result<Polled, Failure>) {
        if result.is_ok() {
            self.identity.forgive();
            self.outbox.handle_reachable(now);
        }
        if !self.session.handle_polled(now, url, hurried, result) {
            return;
        }
        self.recipient = self.read_recipient();
        let tenant = self.session.desired().map(|desired| desired.tenant.clone());
        let Some((identity, tenant)) = self.identity.identity().zip(tenant) else {
            return;
        };
        if identity.tenant.as_ref() != Some(&tenant) {
            self.identity.set_tenant(&tenant);
            if let Some(identity) = self.identity.identity() {
                let identity = Box::new(identity.clone());
                self.out.push_back(Action::Keep(Keep::Identity(identity)));
            }
        }
    }

    fn scanned(&mut self, now: &Moment, scanned: Scanned) {
        let world = world(&self.session, self.recipient.as_ref(), now);
        let capture = &mut self.capture;
        match scanned {
            Scanned::Looked(result) => capture.handle_looked(result, &world),
            Scanned::Begun(result) => capture.handle_begun(result),
            Scanned::Fed(fed) => {
                let fault = matches!(fed, Fed::Fault(..));
                capture.handle_fed(fed, &world);
                if fault {
                    self.report.handle_change(now);
                }
            }
            Scanned::Halted(paper_left) => capture.handle_halted(paper_left, &world),
            Scanned::Voided(result) => capture.handle_voided(result),
            Scanned::Sealed(result) => capture.handle_sealed(result),
            Scanned::Closed => capture.handle_closed(),
        }
    }

    fn poll_capture(&mut self, now: &Moment) -> bool {
        let Some(action) = self.capture.poll_action() else {
            return false;
        };
        let opened_at = now.wall.as_millis();
        match action {
            capture::Action::Scan(scan) => self.out.push_back(Action::Scan(scan)),
            capture::Action::Reply(token, reply) => self.reply(token, reply),
            capture::Action::Tell(job, event) => self.out.push_back(Action::Tell(job, event)),
            capture::Action::Opened(job) => self.outbox.handle_opened(job, opened_at),
            capture::Action::PageSaved(job) => self.outbox.handle_page_saved(job),
            capture::Action::Sealed { job, with_intent } => {
                self.outbox.handle_sealed(job, opened_at, with_intent);
            }
            capture::Action::Discard(job, token) => self.outbox.handle_discard(job, token),
        }
        true
    }

    fn poll_identity(&mut self, now: &Moment) -> bool {
        let free = self.online && (self.calls_free || self.transfers_free);
        let Some(action) = self.identity.poll_action(now, free) else {
            return false;
        };
        let call = match action {
            identity::Action::Switch { identity, forget } => {
                self.out
                    .push_back(Action::Keep(Keep::Switch(identity, forget)));
                self.report.handle_change(now);
                return true;
            }
            identity::Action::Enroll {
                slot,
                code,
                only_device,
            } => Call::Enroll {
                slot,
                code,
                only_device,
            },
            identity::Action::Renew { slot } => Call::Renew { slot },
            identity::Action::Prove { slot } => Call::Prove { slot },
        };
        let lane = if self.calls_free {
            Lane::Calls
        } else {
            Lane::Transfers
        };
        self.call(lane, self.session.url(), call);
        true
    }

    fn poll_session(&mut self, now: &Moment) -> bool {
        if !self.usable && !self.identity.is_recovering(now) {
            self.session.handle_hopeless(&self.no_certificate());
        }
        let calls = self.online && self.calls_free;
        let transfers = self.online && self.transfers_free;
        let Some(action) = self.session.poll_action(now, calls, transfers) else {
            return false;
        };
        match action {
            session::Action::Measure { url } => self.call(Lane::Calls, url, Call::Measure),
            session::Action::Poll {
                url,
                etag,
                hold_seconds,
            } => {
                let hurried = !self.calls_free;
                let lane = if hurried {
                    Lane::Transfers
                } else {
                    Lane::Calls
                };
                let call = Call::Poll {
                    etag,
                    hold_seconds,
                    hurried,
                };
                self.call(lane, url, call);
            }
            session::Action::KeepChoice(choice) => {
                self.out.push_back(Action::Keep(Keep::Choice(choice)));
            }
            session::Action::KeepDesired(desired) => {
                self.out
                    .push_back(Action::Keep(Keep::Desired(Box::new(desired))));
            }
            session::Action::Synced(token, result) => self.synced(now, token, result),
        }
        true
    }

    /// Why there is no certificate to poll with.
    fn no_certificate(&self) -> Failure {
        Failure::local(match &self.last_error {
            Some((error, _)) => format!("the device's certificate has ended: {error}"),
            None => "the device's certificate has ended; enroll again with a new code".to_owned(),
        })
    }

    fn synced(&mut self, now: &Moment, token: Token, result: Result<(), Failure>) {
        let waiting = self
            .waiting
            .iter()
            .position(|(waiting, ..)| *waiting == token);
        if let Some(index) = waiting {
            let (token, fresh, request) = self.waiting.swap_remove(index);
            return match result {
                Err(failure) if self.recipient.is_none() => {
                    self.reply(token, Err(refused(failure)));
                }
                _ => self.plan(now, token, fresh, request),
            };
        }
        let reply = result.map(|()| Reply::Done).map_err(refused);
        self.reply(token, reply);
    }

    fn poll_report(&mut self, now: &Moment) -> bool {
        match self.report.poll_action(now, self.may_report()) {
            Some(report::Action::Keep(cursor)) => {
                self.out.push_back(Action::Keep(Keep::Report(cursor)));
            }
            Some(report::Action::Send {
                sequence,
                dropped,
                known_settings,
            }) => {
                let health = self.health(now);
                let call = Call::Report {
                    sequence,
                    dropped,
                    known_settings,
                    health,
                };
                self.call(Lane::Calls, self.session.url(), call);
            }
            None => return false,
        }
        true
    }

    fn poll_outbox(&mut self, now: &Moment) -> bool {
        let Some(action) = self.outbox.poll_action(now, self.may_transfer()) else {
            return false;
        };
        let keep = match action {
            outbox::Action::Call(call) => {
                self.call(Lane::Transfers, self.session.url(), Call::Outbox(call));
                return true;
            }
            outbox::Action::Tell(job, event) => {
                self.out.push_back(Action::Tell(job, event));
                return true;
            }
            outbox::Action::Reply(token, reply) => {
                self.reply(token, reply);
                return true;
            }
            outbox::Action::Alarm(message) => {
                log::error!("outbox: {message}");
                self.note(now, message);
                return true;
            }
            outbox::Action::Note(job, state) => Keep::Job(job, state),
            outbox::Action::KeepReceipt { job, receipt, head } => {
                Keep::Receipt(job, Box::new(receipt), head)
            }
            outbox::Action::KeepHead(head) => Keep::Head(head),
            outbox::Action::Erase(job) => Keep::Erase(job),
            outbox::Action::KeepCursor(seq) => Keep::Outcome(OutcomeCursor { seq }),
        };
        self.out.push_back(Action::Keep(keep));
        true
    }

    /// The first poll comes before: it chooses the front door.
    fn may_report(&self) -> bool {
        let polled = self.session.last_poll_ms().is_some();
        self.online && self.calls_free && self.usable && polled && !self.identity.is_suspect()
    }

    fn may_transfer(&self) -> bool {
        self.online
            && self.transfers_free
            && self.usable
            && self.recipient.is_some()
            && !self.identity.is_suspect()
    }

    /// After each input: the session hears of the certificate, the floor is remembered.
    fn settle(&mut self, now: &Moment) {
        let usable = self.identity.is_usable(now);
        if usable != self.usable {
            self.usable = usable;
            let device = self.identity.identity().filter(|_| usable);
            let device = device.map(|identity| identity.device.clone());
            self.session.handle_credential(now, device.as_deref());
        }
        if self.floor_at <= now.boot
            && let Some(cloud) = self.cloud_time_ms
        {
            self.floor_at = now.after(FLOOR_EVERY);
            self.out.push_back(Action::Keep(Keep::Floor(cloud)));
        }
    }

    fn health(&self, now: &Moment) -> Health {
        let url = self.session.url();
        let choice = self.session.choice();
        let door = choice.and_then(|choice| choice.known.iter().find(|door| door.url == url));
        let identity = self.identity.identity();
        let certificate = identity.and_then(|identity| identity.certificate(identity.active));
        Health {
            queued_jobs: self.queued(),
            entry_point: door.map(|door| door.name.clone()),
            skew_ms: self.session.skew_ms(),
            certificate_days: certificate.map(|certificate| {
                let ends = i64::try_from(certificate.not_after_ms).unwrap_or(i64::MAX);
                let wall = i64::try_from(now.wall.as_millis()).unwrap_or(i64::MAX);
                ends.saturating_sub(wall).div_euclid(24 * 3600 * 1000)
            }),
        }
    }

    /// To whom to seal, from the desired state: the tenant's newest key.
    fn read_recipient(&self) -> Option<Recipient> {
        let desired = self.session.desired()?;
        let key = desired.keys.iter().max_by_key(|key| key.generation)?;
        let spki = STANDARD.decode(&key.spki).ok()?;
        Some(Recipient {
            tenant: desired.tenant.clone(),
            device: desired.device.clone(),
            spki,
        })
    }

    fn call(&mut self, lane: Lane, url: String, call: Call) {
        match lane {
            Lane::Calls => self.calls_free = false,
            Lane::Transfers => self.transfers_free = false,
        }
        self.out.push_back(Action::Call { lane, url, call });
    }

    fn reply(&mut self, token: Token, reply: Result<Reply, Refusal>) {
        self.out.push_back(Action::Reply(token, reply));
    }

    fn note(&mut self, now: &Moment, message: String) {
        self.last_error = Some((message, now.wall.as_millis()));
    }
}

impl Answer {
    fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Enrolled(_) => None,
            Self::Renewed(result) => result.as_ref().err(),
            Self::Proven(_) => None,
            Self::Measured(result) => result.as_ref().err(),
            Self::Polled { result, .. } => result.as_ref().err(),
            Self::Reported(_, result) => result.as_ref().err(),
            Self::Uploaded(_, _, result) => result.as_ref().err(),
            Self::Committed(_, result) => result.as_ref().err(),
            Self::Discarded(_, result) => result.as_ref().err(),
            Self::Outcomes(result) => result.as_ref().err(),
            Self::Receipts(result) => result.as_ref().err(),
        }
    }

    const fn is_transfer(&self) -> bool {
        matches!(
            self,
            Self::Uploaded(..)
                | Self::Committed(..)
                | Self::Discarded(..)
                | Self::Outcomes(_)
                | Self::Receipts(_)
                | Self::Reported(..)
        )
    }
}

/// What the capture must know of the rest; borrows the session only.
fn world<'a>(
    session: &'a session::Machine,
    recipient: Option<&'a Recipient>,
    now: &Moment,
) -> World<'a> {
    World {
        workflows: session.desired().map_or(&[], |desired| &desired.workflows),
        recipient,
        time: DeviceTime {
            unix_ms: now.clock.as_millis(),
            skew_ms: session.skew_ms(),
        },
    }
}

fn refused(failure: Failure) -> Refusal {
    let kind = match failure.disposition {
        Disposition::Retry { .. } => RefusalKind::Unreachable,
        _ => RefusalKind::Refused,
    };
    refusal(kind, failure.message)
}

fn not_enrolled() -> Refusal {
    let message = "this device is not enrolled; run `scantrip enroll` with a code from your \
                   administrator"
        .to_owned();
    refusal(RefusalKind::NotEnrolled, message)
}

fn no_job(job: &str) -> Refusal {
    let job: String = job.chars().filter(|c| !c.is_control()).take(64).collect();
    fields::invalid(format!(
        "there is no unfinished job `{job}`; `scantrip jobs` lists them"
    ))
}

const fn refusal(kind: RefusalKind, message: String) -> Refusal {
    Refusal { kind, message }
}

#[cfg(test)]
mod tests;
