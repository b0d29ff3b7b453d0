//! The agent's heart: five state machines and what connects them. No thread, file, socket or clock.
//!
//! Order of calls: [`Engine::handle`] for each [`Input`], then [`Engine::poll_action`] until it has
//! nothing more, then wait for the next input or [`Engine::poll_timeout`], whichever comes first. The
//! executor carries out each [`Action`]; one in a lane is answered by an input, and until then the
//! lane carries no other. Three lanes: calls (polls, certificates, reports), transfers (uploads,
//! commits, outcomes) and the scanner.

pub mod capture;
mod dispatch;
pub mod failure;
pub mod fields;
pub mod identity;
mod message;
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
use scantrip_cloud_client::wire::{DeviceTime, Workflow};
use scantrip_hal::clock::Instant;

use crate::api::{Edit, Refusal, RefusalKind, Reply, Request, ScanRequest};
use crate::job_id::JobId;
use capture::{Fed, Recipient, World};
use failure::Failure;
use identity::SecretCode;
use moment::{Moment, earlier};

pub use message::{
    Action, Answer, Answered, Call, Health, Input, Keep, Lane, Scanned, Start, Token,
};

/// The time floor is remembered this often: flash wears.
const FLOOR_EVERY: Duration = Duration::from_secs(3600);

/// A scan that waits for a poll.
#[derive(Debug)]
struct Waiting {
    token: Token,
    fresh: JobId,
    request: ScanRequest,
    is_cancelled: bool,
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
    waiting: Vec<Waiting>,
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
            Input::SettingsChanged => self.report.handle_change(now),
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
            Request::Cancel => {
                for scan in &mut self.waiting {
                    scan.is_cancelled = true;
                }
                self.capture.handle_cancel(token);
            }
            Request::Edit { job, edit } => self.edit(now, token, &job, edit),
            Request::Unenroll { confirmed } => self.unenroll(token, confirmed),
            Request::Status
            | Request::Jobs
            | Request::Workflows
            | Request::Settings
            | Request::AcceptSettings => {
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
            self.waiting.push(Waiting {
                token,
                fresh,
                request,
                is_cancelled: false,
            });
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
            Answer::Reported {
                settings,
                more,
                result,
            } => self.report.handle_sent(now, settings, more, result),
            Answer::Looked(changed) => self.report.handle_looked(now, changed),
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
        self.identity.strike(failure);
        if failure.unreachable && answer.is_transfer() && self.session.handle_shut_door(url) {
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
        let policy = |session: &session::Machine| session.desired().map(|it| it.policy.clone());
        let before = policy(&self.session);
        if !self.session.handle_polled(now, url, hurried, result) {
            return;
        }
        if before.is_some() && before != policy(&self.session) {
            self.report.handle_policy(now);
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
            Scanned::Looked(result, gate) => {
                let changed = gate.as_ref().is_some_and(|gate| gate.changed);
                let readings = gate.as_ref().map(|gate| &*gate.readings);
                capture.handle_looked(result, readings, &world);
                if changed {
                    self.report.handle_change(now);
                }
            }
            Scanned::Begun(result) => capture.handle_begun(result),
            Scanned::Fed(fed) => {
                let fault = matches!(fed, Fed::Fault { .. });
                capture.handle_fed(fed, &world);
                if fault {
                    self.report.handle_change(now);
                }
            }
            Scanned::Halted(paper_left) => capture.handle_halted(paper_left, &world),
            Scanned::Voided(result) => capture.handle_voided(result, &world),
            Scanned::Sealed(result) => capture.handle_sealed(result),
            Scanned::Closed => capture.handle_closed(),
        }
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
            measured: choice.map_or_else(Vec::new, |choice| {
                let times = choice.measured_ms.iter().copied();
                let doors = choice.known.iter().map(|door| door.name.clone());
                doors.zip(times).collect()
            }),
            last_error: self.last_error.clone(),
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
