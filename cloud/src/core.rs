//! The cloud's core: synchronous, and free of sockets, threads and files.
//!
//! [`Core::route`] takes a request's head and gives an [`Exchange`]; the caller pushes the body's
//! bytes as they come and finishes for the answer. Finishing early, because the line broke, is as
//! good: what came in is kept as far as the route keeps anything. Every function below takes a
//! principal first: nothing is read before it is clear who asks.

pub mod admin;
pub mod answer;
pub mod authority;
mod cache;
mod caller;
mod codes;
mod commit;
mod desired;
mod est;
pub mod global;
pub mod jobs;
pub mod metrics;
mod outcomes;
mod principal;
pub mod record;
mod reports;
pub mod route;
pub mod standing;
pub mod tenants;
#[cfg(test)]
mod tests;
mod tries;
mod uploads;
pub mod workflows;

use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::request::Parts;
use scantrip_cloud_client::problem::ProblemKind;
use scantrip_cloud_client::wire;

use self::answer::{Answer, Refusal, refuse};
use self::authority::{Authority, AuthorityError, Credential};
use self::cache::{Cache, Revision};
use self::global::CertificateOwner;
use self::principal::Principal;
use self::record::CertificateOwnerState;
use self::route::{Access, Action, Route};
use crate::ports::Ports;
use crate::sealed_store::VaultError;

pub use self::caller::Caller;
pub use self::desired::Hold;

/// What an operator may set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The front doors.
    pub entry_points: Vec<wire::EntryPoint>,
    /// Life of a device certificate.
    pub certificate_lifetime_ms: u64,
    /// Life of an enrolment code that is not spent.
    pub code_lifetime_ms: u64,
    /// Time between two polls of a device.
    pub poll_interval_seconds: u32,
    /// Most bytes of unfinished uploads of one device.
    pub unfinished_bytes_max: u64,
}

const DAY_MS: u64 = 24 * 3600 * 1000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            entry_points: Vec::new(),
            certificate_lifetime_ms: 90 * DAY_MS,
            // A technician carries it to the device within the week.
            code_lifetime_ms: 7 * DAY_MS,
            poll_interval_seconds: 60,
            // Two objects of the largest size, or thousands of pages.
            unfinished_bytes_max: 4 * wire::OBJECT_BYTES_MAX / 2,
        }
    }
}

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The client certificate (DER) that the handshake proved, of the device CA. It may have
    /// expired; the core looks.
    pub certificate: Option<Vec<u8>>,
}

/// The cloud's core.
pub struct Core {
    ports: Ports,
    settings: Settings,
    authority: Authority,
    receipt_signer: Mutex<Option<Arc<Credential>>>,
    revision: Revision,
    certificates: Cache<String, Arc<CertificateOwnerState>>,
    desired: Cache<String, Arc<desired::TenantView>>,
    uploads: uploads::Local,
    committed: OnceLock<Box<dyn Fn() + Send + Sync>>,
    presence: standing::Presence,
    watching: AtomicBool,
    metrics: metrics::Metrics,
    changed: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Core")
    }
}

impl Core {
    /// The core over these ports; `admin::init` was done on them once.
    ///
    /// # Errors
    /// When the device CA's key is missing or damaged.
    pub fn open(ports: Ports, settings: Settings) -> Result<Arc<Self>, AuthorityError> {
        let authority = Authority::open(&ports)?;
        let metrics = metrics::Metrics::new(ports.clock.now_ms());
        Ok(Arc::new(Self {
            ports,
            settings,
            authority,
            receipt_signer: Mutex::new(None),
            revision: Revision::default(),
            certificates: Cache::new(),
            desired: Cache::new(),
            uploads: uploads::Local::default(),
            committed: OnceLock::new(),
            presence: standing::Presence::default(),
            watching: AtomicBool::new(false),
            metrics,
            changed: OnceLock::new(),
        }))
    }

    /// The world.
    #[must_use]
    pub const fn ports(&self) -> &Ports {
        &self.ports
    }

    /// What the operator has set.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The device CA.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Calls `notify` after every commit, so that the runner need not wait for its next look. Only
    /// the first call counts.
    pub fn on_commit(&self, notify: impl Fn() + Send + Sync + 'static) {
        drop(self.committed.set(Box::new(notify)));
    }

    /// Tells the runner that there may be work.
    pub fn wake_runner(&self) {
        if let Some(notify) = self.committed.get() {
            notify();
        }
    }

    /// The operator's numbers.
    #[must_use]
    pub const fn metrics(&self) -> &metrics::Metrics {
        &self.metrics
    }

    /// Calls `notify` after every change that devices may wait for. Only the first call counts.
    pub fn on_change(&self, notify: impl Fn() + Send + Sync + 'static) {
        drop(self.changed.set(Box::new(notify)));
    }

    /// Believes nothing that was read before: after a change in this process.
    pub fn refresh(&self) {
        self.revision.advance();
        self.tell_change();
    }

    /// Looks, once a second at most, whether another process changed something.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn look(&self) -> Result<(), VaultError> {
        if self.revision.look(&self.ports, self.now_ms())? {
            self.tell_change();
        }
        Ok(())
    }

    fn tell_change(&self) {
        if let Some(notify) = self.changed.get() {
            notify();
        }
    }

    /// Whose certificate a caller has; asks the store when it is not known yet.
    #[must_use]
    pub fn owner<'c>(&self, caller: &'c Caller) -> Option<&'c CertificateOwner> {
        caller.find_owner(self);
        caller.owner()
    }

    /// As [`Core::owner`], without touching the store.
    #[must_use]
    pub fn known_owner<'c>(&self, caller: &'c Caller) -> Option<&'c CertificateOwner> {
        if caller.owner().is_none() {
            caller.remember_owner(self);
        }
        caller.owner()
    }

    /// Begins a request.
    #[must_use]
    pub fn route(self: &Arc<Self>, peer: &Peer, head: &Parts) -> Exchange {
        let state = self
            .begin(peer, head)
            .unwrap_or_else(|refusal| State::Done(refusal.into_answer()));
        Exchange {
            core: Arc::clone(self),
            state,
        }
    }

    /// The answer to a poll out of memory, without touching the store; `None`: take
    /// [`Core::route`].
    #[must_use]
    pub fn cached_poll(&self, caller: &Caller, head: &Parts) -> Option<Answer> {
        let (route, _) = route::find(&head.method, head.uri.path())?;
        if route.action != Action::Desired {
            return None;
        }
        desired::cached(self, caller, &head.headers)
    }

    fn begin(self: &Arc<Self>, peer: &Peer, head: &Parts) -> Result<State, Refusal> {
        let nothing = || refuse(ProblemKind::NotFound, "there is nothing at this path");
        let (route, id) = route::find(&head.method, head.uri.path()).ok_or_else(nothing)?;
        let call = Call {
            route,
            address: peer.address,
            id: id.to_owned(),
            head: head.clone(),
        };
        self.look()?;
        let principal = match route.access {
            Access::Open => None,
            access => Some(principal::require(self, peer, access)?),
        };
        call.check_length()?;
        match (route.action, principal) {
            (Action::UploadCreate, Some(device)) => uploads::create(self, device, &call),
            (Action::UploadAppend, Some(device)) => uploads::append(self, device, &call),
            (_, principal) => Ok(State::Body(Box::new(Pending {
                call,
                principal,
                body: Vec::new(),
            }))),
        }
    }

    fn answer(&self, pending: &Pending) -> Result<Answer, Refusal> {
        let Pending {
            call,
            principal,
            body,
        } = pending;
        let Some(device) = principal else {
            return match call.route.action {
                Action::EntryPoints => Ok(desired::entry_points(self)),
                Action::CaCertificates => Ok(est::ca_certificates(self)),
                _ => est::enroll(self, call, body),
            };
        };
        match call.route.action {
            Action::Reenroll => est::reenroll(self, device, body),
            Action::Desired => desired::get(self, device, &call.head.headers),
            Action::Report => reports::take(self, device, body),
            Action::UploadOffset => uploads::offset(self, device, call),
            Action::UploadDelete => uploads::delete(self, device, call),
            Action::Commit => commit::commit(self, device, &call.id, body),
            Action::Discard => commit::discard(device, &call.id),
            Action::Outcomes => outcomes::after(device, call.head.uri.query()),
            _ => outcomes::receipts_after(device, call.head.uri.query()),
        }
    }

    /// The key that signs receipts; a new one when two thirds of its life are over.
    fn receipt_signer(&self) -> Result<Arc<Credential>, AuthorityError> {
        let mut signer = self
            .receipt_signer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = signer
            .as_ref()
            .filter(|signer| !signer.is_due(self.now_ms()))
        {
            return Ok(Arc::clone(current));
        }
        let fresh = Arc::new(self.authority.issue_receipt_signer(&self.ports)?);
        *signer = Some(Arc::clone(&fresh));
        drop(signer);
        Ok(fresh)
    }

    fn now_ms(&self) -> u64 {
        self.ports.clock.now_ms()
    }
}

/// A request under way.
pub struct Exchange {
    core: Arc<Core>,
    state: State,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exchange")
    }
}

enum State {
    Done(Answer),
    Body(Box<Pending>),
    Append(Box<uploads::Append>),
}

/// A request whose body is gathered.
struct Pending {
    call: Call,
    principal: Option<Principal>,
    body: Vec<u8>,
}

/// What every handler may know of a request.
struct Call {
    route: &'static Route,
    address: IpAddr,
    id: String,
    head: Parts,
}

impl Call {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.parse().ok()
    }

    fn check_length(&self) -> Result<(), Refusal> {
        let most = self.route.body_bytes_max;
        if self
            .number("content-length")
            .is_some_and(|length| length > most)
        {
            return Err(too_large(most));
        }
        Ok(())
    }
}

fn too_large(most: u64) -> Refusal {
    refuse(
        ProblemKind::TooLarge,
        format!("the body may have {most} bytes at most"),
    )
}

impl Exchange {
    /// Whether bytes of the body can still change the answer.
    #[must_use]
    pub const fn wants_body(&self) -> bool {
        !matches!(self.state, State::Done(_))
    }

    /// Takes the next bytes of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Done(_) => {}
            State::Append(append) => append.push(&self.core.ports, bytes),
            State::Body(pending) => {
                let most = pending.call.route.body_bytes_max;
                if pending.body.len() as u64 + bytes.len() as u64 > most {
                    self.state = State::Done(too_large(most).into_answer());
                } else {
                    pending.body.extend_from_slice(bytes);
                }
            }
        }
    }

    /// Ends the body and gives the answer.
    #[must_use]
    pub fn finish(self) -> Answer {
        let Self { core, state } = self;
        match state {
            State::Done(answer) => answer,
            State::Append(append) => append.finish(&core).unwrap_or_else(Refusal::into_answer),
            State::Body(pending) => core.answer(&pending).unwrap_or_else(Refusal::into_answer),
        }
    }
}
