//! Who the device is to the cloud: enrolment, renewal, and what happens when it is refused.
//!
//! ```text
//! Unenrolled --enroll--> Enrolling --issued--> Active --due--> Renewing --issued--> Proving
//!     ^                      |                 ^    ^             |                    |
//!     +------- refused ------+                 |    +--- failed --+                    |
//!                                              +------- proven, or given up -----------+
//! ```
//!
//! The old certificate is kept until the new one has completed an authenticated exchange. Renewal
//! is judged anew at every wake-up from the time it is then, never by one long sleep. Whatever
//! happens here, no job is touched.

use std::time::Duration;

use scantrip_cloud_client::code::EnrollmentCode;
use scantrip_cloud_client::problem::{Disposition, ProblemKind};
use scantrip_cloud_client::schedule;
use scantrip_hal::clock::Instant;
use scantrip_hal::keys::KeySlot;

use super::failure::Failure;
use super::moment::Moment;
use crate::api::{EnrolledView, Refusal, RefusalKind};
use crate::store::{Identity, Slot};

/// An expired certificate may be renewed this long: a printer off over the summer, and a year.
const RENEW_AFTER_EXPIRY: Duration = Duration::from_secs(400 * 24 * 3600);
/// How often in a row the cloud refuses us before a person is told. No time limit: when the
/// certificate has expired as well, an hour passes between two calls.
const STRIKES: u32 = 3;
/// How often a staged certificate is tried before it is thrown away.
const PROOFS_MAX: u32 = 5;
/// A lost answer to the enrolment is asked for again this often, with the same key.
const ENROLL_TRIES: u32 = 3;
/// Between two looks at the calendar; a device may sleep through any of them.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// An enrolment code that no log shows. Wiped from memory when dropped.
#[derive(Clone)]
pub struct SecretCode(pub EnrollmentCode);

impl std::fmt::Debug for SecretCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretCode")
    }
}

/// What the machine wants done.
#[derive(Debug)]
pub enum Action {
    /// Enrol with a key in `slot`: trust, key, request, certificate, all saved when it succeeds.
    Enroll {
        /// Where the new key and certificate go.
        slot: KeySlot,
        /// The code, for this call only.
        code: SecretCode,
        /// The tenant may not change when jobs are queued: then only this device id is accepted.
        only_device: Option<String>,
    },
    /// Ask for the next certificate with a new key in `slot`; staged there when it succeeds.
    Renew {
        /// Where the new key and certificate go.
        slot: KeySlot,
    },
    /// Poll once with the certificate in `slot`.
    Prove {
        /// The staged slot.
        slot: KeySlot,
    },
    /// Remember the identity; then forget the key in the slot.
    Switch {
        /// The identity from now on.
        identity: Box<Identity>,
        /// The key that is not needed any more.
        forget: KeySlot,
    },
}

/// How an enrolment ended.
#[derive(Debug)]
pub enum EnrollResult {
    /// Enrolled; everything is saved.
    Enrolled(Box<Identity>, EnrolledView),
    /// No answer after the code was sent, or a short wait asked for: the same again is harmless.
    TryAgain(Failure),
    /// Not enrolled.
    Refused(Refusal),
}

/// Where the identity stands.
#[derive(Debug)]
enum State {
    Unenrolled,
    Enrolling(Enrolling),
    Active(Active),
    Renewing(Renewing),
    Proving(Proving),
}

#[derive(Debug)]
struct Enrolling {
    before: Option<Box<Identity>>,
    slot: KeySlot,
    code: SecretCode,
    only_device: Option<String>,
    tries: u32,
    /// When to ask (again); `None` while asking.
    ask_at: Option<Instant>,
}

#[derive(Debug)]
struct Active {
    identity: Box<Identity>,
    /// No renewal before this, after one that failed.
    not_before: Instant,
    /// The cloud said that the certificate has expired: the calendar is not asked.
    told_to_renew: bool,
}

#[derive(Debug)]
struct Renewing {
    identity: Box<Identity>,
    asked: bool,
}

#[derive(Debug)]
struct Proving {
    identity: Box<Identity>,
    failures: u32,
    ask_at: Option<Instant>,
}

/// The identity machine. Call `handle_*` for what happened, then [`Machine::poll_action`] until it
/// has nothing more.
#[derive(Debug)]
pub struct Machine {
    state: State,
    /// Refusals since the last call that went well.
    strikes: u32,
    revoked: bool,
    /// What to save when the new certificate is proven.
    switch: Option<Action>,
    tries: u32,
}

impl Machine {
    /// The machine of an agent that remembers `identity`. A certificate in the slot that is not in
    /// use was staged and is to be proven.
    #[must_use]
    pub fn new(identity: Option<Identity>, now: &Moment) -> Self {
        let state = match identity.map(Box::new) {
            None => State::Unenrolled,
            Some(identity) if staged(&identity).is_some() => State::Proving(Proving {
                identity,
                failures: 0,
                ask_at: Some(now.boot),
            }),
            Some(identity) => State::active(identity, now.boot),
        };
        Self {
            state,
            strikes: 0,
            revoked: false,
            switch: None,
            tries: 0,
        }
    }

    /// A person enrols. With `only_device` no other device id is accepted.
    ///
    /// # Errors
    /// When an enrolment is under way.
    pub fn handle_enroll(
        &mut self,
        now: &Moment,
        code: SecretCode,
        only_device: Option<String>,
    ) -> Result<(), Refusal> {
        let before = match std::mem::replace(&mut self.state, State::Unenrolled) {
            State::Unenrolled => None,
            State::Active(Active { identity, .. })
            | State::Proving(Proving { identity, .. })
            | State::Renewing(Renewing {
                identity,
                asked: false,
            }) => Some(identity),
            busy @ (State::Enrolling(_) | State::Renewing(_)) => {
                self.state = busy;
                return Err(Refusal {
                    kind: RefusalKind::Busy,
                    message: "the device is asking for a certificate already; wait for it"
                        .to_owned(),
                });
            }
        };
        let slot = before.as_ref().map_or(KeySlot::A, |identity| {
            KeySlot::from(identity.active).other()
        });
        self.state = State::Enrolling(Enrolling {
            before,
            slot,
            code,
            only_device,
            tries: 0,
            ask_at: Some(now.boot),
        });
        Ok(())
    }

    /// The enrolment's answer. Gives what to tell the person, unless it is asked again.
    pub fn handle_enrolled(
        &mut self,
        now: &Moment,
        result: EnrollResult,
    ) -> Option<Result<EnrolledView, Refusal>> {
        let State::Enrolling(enrolling) = &mut self.state else {
            log::warn!("identity: an enrolment's answer that nobody waits for");
            return None;
        };
        let refusal = match result {
            EnrollResult::Enrolled(identity, view) => {
                self.state = State::active(identity, now.boot);
                self.forgive();
                return Some(Ok(view));
            }
            EnrollResult::TryAgain(failure) if enrolling.tries < ENROLL_TRIES => {
                log::info!("identity: asking again: {}", failure.message);
                let wait = failure.retry_after().unwrap_or(Duration::from_secs(1));
                enrolling.ask_at = Some(now.after(wait.min(Duration::from_secs(10))));
                return None;
            }
            EnrollResult::TryAgain(failure) => Refusal {
                kind: RefusalKind::Unreachable,
                message: format!("{}; the same code can be used again", failure.message),
            },
            EnrollResult::Refused(refusal) => refusal,
        };
        self.state = match enrolling.before.take() {
            Some(identity) => State::active(identity, now.boot),
            None => State::Unenrolled,
        };
        Some(Err(refusal))
    }

    /// The renewal's answer: the identity with the new certificate staged.
    pub fn handle_renewed(&mut self, now: &Moment, result: Result<Identity, Failure>) {
        let State::Renewing(renewing) = &mut self.state else {
            log::warn!("identity: a renewal's answer that nobody waits for");
            return;
        };
        match result {
            Ok(identity) => {
                self.tries = 0;
                self.state = State::Proving(Proving {
                    identity: Box::new(identity),
                    failures: 0,
                    ask_at: Some(now.boot),
                });
            }
            Err(failure) => {
                log::warn!("identity: not renewed: {}", failure.message);
                self.tries += 1;
                let identity = std::mem::take(&mut renewing.identity);
                let wait = failure
                    .retry_after()
                    .unwrap_or_else(|| retry_renewal(&identity, now, self.tries));
                self.state = State::Active(Active {
                    identity,
                    not_before: now.after(wait),
                    told_to_renew: failure.disposition == Disposition::Renew,
                });
            }
        }
    }

    /// The staged certificate was tried.
    pub fn handle_proof(&mut self, now: &Moment, result: Result<(), Failure>) {
        let State::Proving(proving) = &mut self.state else {
            log::warn!("identity: a proof that nobody waits for");
            return;
        };
        let active = proving.identity.active;
        let keep = match result {
            Ok(()) => KeySlot::from(active).other(),
            Err(failure) if failure.unreachable || failure.retry_after().is_some() => {
                proving.ask_at = Some(now.after(Duration::from_secs(60)));
                return;
            }
            Err(failure) if proving.failures + 1 < PROOFS_MAX => {
                log::warn!(
                    "identity: the new certificate is refused: {}",
                    failure.message
                );
                proving.failures += 1;
                proving.ask_at = Some(now.after(Duration::from_secs(60)));
                return;
            }
            Err(_) => KeySlot::from(active),
        };
        let mut identity = std::mem::take(&mut proving.identity);
        identity.active = Slot::from(keep);
        identity.set_certificate(Slot::from(keep.other()), None);
        self.switch = Some(Action::Switch {
            identity: identity.clone(),
            forget: keep.other(),
        });
        self.state = State::Active(Active {
            identity,
            not_before: now.after(LOOK_EVERY),
            told_to_renew: false,
        });
        self.forgive();
    }

    /// A call failed; counts what speaks against the identity.
    pub fn strike(&mut self, failure: &Failure) {
        match failure.disposition {
            Disposition::Renew => {
                if let State::Active(active) = &mut self.state {
                    active.told_to_renew = true;
                }
            }
            Disposition::Suspect => {
                self.revoked = failure.kind == Some(ProblemKind::DeviceRevoked);
                self.strikes = self.strikes.saturating_add(1);
            }
            _ => {}
        }
    }

    /// An authenticated call went well.
    pub const fn forgive(&mut self) {
        self.strikes = 0;
        self.revoked = false;
    }

    /// Everything is forgotten.
    pub fn handle_unenrolled(&mut self) {
        self.state = State::Unenrolled;
        self.switch = None;
        self.forgive();
    }

    /// The tenant became known.
    pub fn set_tenant(&mut self, tenant: &str) {
        if let Some(identity) = self.identity_mut() {
            identity.tenant = Some(tenant.to_owned());
        }
    }

    /// What to do next. Nothing that needs the network while it is not `free`.
    #[must_use]
    pub fn poll_action(&mut self, now: &Moment, free: bool) -> Option<Action> {
        if let Some(switch) = self.switch.take() {
            return Some(switch);
        }
        if !free {
            return None;
        }
        if let State::Active(active) = &mut self.state
            && is_renewal_due(active, now)
        {
            self.state = State::Renewing(Renewing {
                identity: std::mem::take(&mut active.identity),
                asked: false,
            });
        }
        match &mut self.state {
            State::Enrolling(enrolling) => {
                take_due(&mut enrolling.ask_at, now)?;
                enrolling.tries += 1;
                Some(Action::Enroll {
                    slot: enrolling.slot,
                    code: enrolling.code.clone(),
                    only_device: enrolling.only_device.clone(),
                })
            }
            State::Renewing(renewing) if !renewing.asked => {
                renewing.asked = true;
                let slot = KeySlot::from(renewing.identity.active).other();
                Some(Action::Renew { slot })
            }
            State::Proving(proving) => {
                take_due(&mut proving.ask_at, now)?;
                let slot = KeySlot::from(proving.identity.active).other();
                Some(Action::Prove { slot })
            }
            _ => None,
        }
    }

    /// When to look again.
    #[must_use]
    pub fn poll_timeout(&self, now: &Moment) -> Option<Instant> {
        match &self.state {
            State::Unenrolled | State::Renewing(_) => None,
            State::Enrolling(enrolling) => enrolling.ask_at,
            State::Proving(proving) => proving.ask_at,
            State::Active(active) if active.not_before > now.boot => Some(active.not_before),
            State::Active(_) => Some(now.after(LOOK_EVERY)),
        }
    }

    /// The identity in use.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        match &self.state {
            State::Unenrolled => None,
            State::Enrolling(Enrolling { before, .. }) => before.as_deref(),
            State::Active(Active { identity, .. })
            | State::Renewing(Renewing { identity, .. })
            | State::Proving(Proving { identity, .. }) => Some(identity),
        }
    }

    /// Whether calls with the certificate make sense now.
    #[must_use]
    pub fn is_usable(&self, now: &Moment) -> bool {
        match &self.state {
            State::Unenrolled | State::Enrolling(_) => false,
            State::Active(active) => !active.told_to_renew && !is_expired(&active.identity, now),
            State::Renewing(Renewing { identity, .. })
            | State::Proving(Proving { identity, .. }) => !is_expired(identity, now),
        }
    }

    /// Whether a certificate is being asked for, or will be at the next step.
    #[must_use]
    pub fn is_recovering(&self, now: &Moment) -> bool {
        match &self.state {
            State::Unenrolled => false,
            State::Active(active) => is_renewal_due(active, now),
            State::Enrolling(_) | State::Renewing(_) | State::Proving(_) => true,
        }
    }

    /// Whether the cloud has refused us often enough that jobs wait for a person.
    #[must_use]
    pub const fn is_suspect(&self) -> bool {
        self.strikes >= STRIKES
    }

    /// The state in the words of [`StatusView`](crate::api::StatusView).
    #[must_use]
    pub fn word(&self, now: &Moment) -> &'static str {
        match &self.state {
            State::Unenrolled => "not-enrolled",
            State::Enrolling(_) => "enrolling",
            _ if self.is_suspect() && self.revoked => "revoked",
            _ if self.is_suspect() => "suspect",
            _ if !self.is_usable(now) => "expired",
            State::Renewing(_) | State::Proving(_) => "renewing",
            State::Active(_) => "enrolled",
        }
    }

    fn identity_mut(&mut self) -> Option<&mut Identity> {
        match &mut self.state {
            State::Unenrolled => None,
            State::Enrolling(Enrolling { before, .. }) => before.as_deref_mut(),
            State::Active(Active { identity, .. })
            | State::Renewing(Renewing { identity, .. })
            | State::Proving(Proving { identity, .. }) => Some(identity),
        }
    }
}

impl State {
    fn active(identity: Box<Identity>, now: Instant) -> Self {
        Self::Active(Active {
            identity,
            not_before: now,
            told_to_renew: false,
        })
    }
}

/// The slot with a certificate that is not in use.
fn staged(identity: &Identity) -> Option<Slot> {
    let other = Slot::from(KeySlot::from(identity.active).other());
    identity.certificate(other).map(|_| other)
}

/// Takes a deadline that has come.
fn take_due(at: &mut Option<Instant>, now: &Moment) -> Option<Instant> {
    at.take_if(|at| *at <= now.boot)
}

fn is_expired(identity: &Identity, now: &Moment) -> bool {
    identity
        .certificate(identity.active)
        .is_some_and(|certificate| now.wall.as_millis() > certificate.not_after_ms)
}

fn is_renewal_due(active: &Active, now: &Moment) -> bool {
    let identity = &active.identity;
    if now.boot < active.not_before {
        return false;
    }
    let Some(certificate) = identity.certificate(identity.active) else {
        return false;
    };
    let last = certificate
        .not_after_ms
        .saturating_add(u64::try_from(RENEW_AFTER_EXPIRY.as_millis()).unwrap_or(u64::MAX));
    let due = schedule::renew_due(
        certificate.not_before_ms,
        certificate.not_after_ms,
        &identity.device,
    );
    let wall = now.wall.as_millis();
    (active.told_to_renew || wall >= due) && wall <= last
}

/// How long after a failed renewal the next is tried; the first one comes soon.
fn retry_renewal(identity: &Identity, now: &Moment, tries: u32) -> Duration {
    let soon = Duration::from_secs(60);
    match identity.certificate(identity.active) {
        Some(certificate) if tries > 1 => schedule::renew_retry(
            certificate.not_before_ms,
            certificate.not_after_ms,
            now.wall.as_millis(),
        ),
        _ => soon,
    }
}

#[cfg(test)]
mod tests;
