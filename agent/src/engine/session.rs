//! The session with the cloud: which front door, when to poll, what was said.
//!
//! ```text
//! Off --credential--> Waiting --due--> Choosing --measured--> Polling --answer--> Waiting
//!                        |                 |                     |
//!                        +--- door known --+---------------------+
//! ```
//!
//! The desired state's generation only grows; an older one is ignored. A poll counts from its
//! start, so that a held answer does not stretch the interval.

use std::time::Duration;

use scantrip_cloud_client::desired::Polled;
use scantrip_cloud_client::entry_points::{Measurement, choose};
use scantrip_cloud_client::wire::{Desired, EntryPoint};
use scantrip_cloud_client::{retry, schedule};
use scantrip_hal::clock::Instant;

use super::Token;
use super::failure::Failure;
use super::moment::Moment;
use crate::store::{DesiredState, EntryPointChoice};

/// The interval before the cloud has named one.
const INTERVAL_DEFAULT_SECONDS: u32 = 60;
/// How long the cloud may hold an answer; below the 60 s after which many firewalls forget.
const HOLD_SECONDS: u32 = 50;
/// Front doors are measured anew this often, and sooner after a failure.
const MEASURE_EVERY: Duration = Duration::from_secs(24 * 3600);
const MEASURE_AFTER_FAILURE: Duration = Duration::from_secs(10 * 60);

/// How the session behaves.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where a device without any knowledge begins.
    pub bootstrap_url: String,
    /// Only front doors of this region.
    pub region: Option<String>,
    /// Whether the agent stays: then answers are held and the first poll is spread.
    pub stays: bool,
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask `url` for the front doors and measure each.
    Measure {
        /// Whom to ask.
        url: String,
    },
    /// Ask for the desired state.
    Poll {
        /// Whom to ask.
        url: String,
        /// The state known.
        etag: Option<String>,
        /// How long the answer may be held.
        hold_seconds: u32,
    },
    /// Remember the choice.
    KeepChoice(EntryPointChoice),
    /// Remember the desired state.
    KeepDesired(DesiredState),
    /// Tell who asked that the poll is through.
    Synced(Token, Result<(), Failure>),
}

/// Front doors that were fetched and measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doors {
    /// As the cloud named them.
    pub known: Vec<EntryPoint>,
    /// In the same order; when none is named, the door that was asked.
    pub measured: Vec<Measurement>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poll {
    /// No certificate to poll with.
    Off,
    /// Until then.
    Waiting { at: Instant },
    /// The front doors are being measured.
    Choosing,
    /// The answer is awaited, or held by the cloud.
    Polling { since: Instant },
}

/// The session machine. Call `handle_*`, then [`Machine::poll_action`] until it has nothing more.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    poll: Poll,
    /// A poll that a person asked for while an answer is held.
    hurried: bool,
    waiters: Vec<Token>,
    attempt: u32,
    choice: Option<EntryPointChoice>,
    measure_at: Instant,
    /// Doors that failed since the last answer, by URL.
    failed: Vec<String>,
    desired: Option<DesiredState>,
    device: Option<String>,
    keep: Vec<Action>,
    last_poll: Option<(Instant, u64)>,
    skew_ms: Option<i64>,
}

impl Machine {
    /// The machine of an agent that remembers `choice` and `desired`.
    #[must_use]
    pub fn new(
        settings: Settings,
        choice: Option<EntryPointChoice>,
        desired: Option<DesiredState>,
        now: &Moment,
    ) -> Self {
        // An agent that stays measures soon; a short command trusts what was measured before.
        let measure_at = match (&choice, settings.stays) {
            (None, _) => now.boot,
            (Some(_), true) => now.after(MEASURE_AFTER_FAILURE),
            (Some(_), false) => now.after(MEASURE_EVERY),
        };
        Self {
            settings,
            poll: Poll::Off,
            hurried: false,
            waiters: Vec::new(),
            attempt: 0,
            choice,
            measure_at,
            failed: Vec::new(),
            desired,
            device: None,
            keep: Vec::new(),
            last_poll: None,
            skew_ms: None,
        }
    }

    /// The certificate in use is that of `device`, or there is none.
    pub fn handle_credential(&mut self, now: &Moment, device: Option<&str>) {
        let Some(device) = device else {
            self.poll = Poll::Off;
            return;
        };
        if self.device.as_deref().is_some_and(|known| known != device) {
            self.desired = None;
        }
        self.device = Some(device.to_owned());
        if self.poll == Poll::Off {
            self.attempt = 0;
            let spread = match (self.settings.stays, &self.desired) {
                (true, Some(_)) => schedule::first_poll(self.interval(), now.random),
                _ => Duration::ZERO,
            };
            self.poll = Poll::Waiting {
                at: now.after(spread),
            };
        }
    }

    /// A person, or a job, wants to know the desired state now; told by [`Action::Synced`].
    pub fn handle_sync(&mut self, now: &Moment, token: Token) {
        match self.poll {
            // The certificate may be about to be renewed.
            Poll::Off | Poll::Choosing => {}
            Poll::Waiting { .. } => self.poll = Poll::Waiting { at: now.boot },
            Poll::Polling { .. } => self.hurried = self.settings.stays,
        }
        self.waiters.push(token);
    }

    /// There is no certificate and none is coming: who waits for a poll is told.
    pub fn handle_hopeless(&mut self, failure: &Failure) {
        if self.poll == Poll::Off && !self.waiters.is_empty() {
            self.fail_waiters(failure);
        }
    }

    /// Front doors were fetched and measured, or not.
    pub fn handle_doors(&mut self, now: &Moment, url: &str, result: Result<Doors, Failure>) {
        if self.poll == Poll::Choosing {
            self.poll = Poll::Waiting { at: now.boot };
        }
        let doors = match result {
            Ok(doors) => doors,
            Err(failure) => return self.fail(now, url, &failure),
        };
        if doors.known.is_empty() {
            return self.stay(now, url, &doors.measured);
        }
        let current = self.choice.as_ref().map(|choice| choice.url.as_str());
        match choose(&doors.measured, current, self.settings.region.as_deref()) {
            Ok(choice) => {
                self.measure_at = now.after(MEASURE_EVERY);
                self.failed.clear();
                let choice = EntryPointChoice {
                    known: doors.known,
                    url: choice.url,
                    why: choice.why,
                    measured_ms: doors.measured.iter().map(Measurement::median).collect(),
                };
                self.choice = Some(choice.clone());
                self.keep.push(Action::KeepChoice(choice));
            }
            Err(error) => self.fail(now, url, &Failure::unreachable(error.to_string())),
        }
    }

    /// A poll was answered, or not. Gives whether the state changed.
    pub fn handle_polled(
        &mut self,
        now: &Moment,
        url: &str,
        hurried: bool,
        result: Result<Polled, Failure>,
    ) -> bool {
        let since = match self.poll {
            Poll::Polling { since } => since,
            _ => now.boot,
        };
        let polled = match result {
            Ok(polled) => polled,
            Err(failure) => {
                if !hurried || !matches!(self.poll, Poll::Polling { .. }) {
                    self.fail(now, url, &failure);
                }
                if hurried {
                    self.fail_waiters(&failure);
                }
                return false;
            }
        };
        // Only when another door does better: after an outage of all of them a whole fleet would
        // measure when the cloud can bear it least.
        if self.choice.as_ref().is_some_and(|choice| choice.url != url) {
            self.measure_at = self.measure_at.min(now.after(MEASURE_AFTER_FAILURE));
        }
        self.attempt = 0;
        self.failed.clear();
        self.last_poll = Some((now.boot, now.wall.as_millis()));
        let changed = match polled {
            Polled::Unchanged => false,
            Polled::Changed { desired, etag } => self.take(*desired, etag),
        };
        if !hurried && self.poll != Poll::Off {
            let at = (since + self.interval()).max(now.after(Duration::from_secs(1)));
            self.poll = Poll::Waiting { at };
        }
        for token in std::mem::take(&mut self.waiters) {
            self.keep.push(Action::Synced(token, Ok(())));
        }
        changed
    }

    /// Another call found the door at `url` shut. Gives whether there is another one to try.
    pub fn handle_shut_door(&mut self, url: &str) -> bool {
        self.shut(url)
    }

    /// Everything is forgotten.
    pub fn handle_unenrolled(&mut self, now: &Moment) {
        self.handle_credential(now, None);
        self.choice = None;
        self.desired = None;
        self.device = None;
        self.measure_at = now.boot;
    }

    /// The cloud's clock against ours.
    pub const fn set_skew(&mut self, skew_ms: Option<i64>) {
        if skew_ms.is_some() {
            self.skew_ms = skew_ms;
        }
    }

    /// What to do next. `free`: the lane of ordinary calls; `other`: the lane of transfers, which
    /// carries a poll that a person waits for while an answer is held.
    #[must_use]
    pub fn poll_action(&mut self, now: &Moment, free: bool, other: bool) -> Option<Action> {
        if !self.keep.is_empty() {
            return Some(self.keep.remove(0));
        }
        match self.poll {
            Poll::Waiting { at } if free && at <= now.boot => {
                let url = self.url();
                if self.measure_at <= now.boot {
                    self.measure_at = now.after(MEASURE_AFTER_FAILURE);
                    self.poll = Poll::Choosing;
                    return Some(Action::Measure { url });
                }
                self.poll = Poll::Polling { since: now.boot };
                let held = self.settings.stays && self.waiters.is_empty();
                Some(self.ask(url, if held { HOLD_SECONDS } else { 0 }))
            }
            Poll::Polling { .. } if self.hurried && other => {
                self.hurried = false;
                Some(self.ask(self.url(), 0))
            }
            _ => None,
        }
    }

    /// When to look again.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.poll {
            Poll::Waiting { at } => Some(at),
            Poll::Off | Poll::Choosing | Poll::Polling { .. } => None,
        }
    }

    /// The front door in use.
    #[must_use]
    pub fn url(&self) -> String {
        self.candidates()
            .into_iter()
            .find(|url| !self.failed.iter().any(|failed| failed == url))
            .unwrap_or(&self.settings.bootstrap_url)
            .to_owned()
    }

    /// The last desired state taken.
    #[must_use]
    pub fn desired(&self) -> Option<&Desired> {
        self.desired.as_ref().map(|state| &state.desired)
    }

    /// What was measured and chosen.
    #[must_use]
    pub const fn choice(&self) -> Option<&EntryPointChoice> {
        self.choice.as_ref()
    }

    /// Doors that do not answer just now.
    #[must_use]
    pub fn failed(&self) -> &[String] {
        &self.failed
    }

    /// When the cloud last answered a poll, Unix milliseconds.
    #[must_use]
    pub fn last_poll_ms(&self) -> Option<u64> {
        self.last_poll.map(|(_, wall)| wall)
    }

    /// Cloud time minus device time.
    #[must_use]
    pub const fn skew_ms(&self) -> Option<i64> {
        self.skew_ms
    }

    /// The time between two polls.
    #[must_use]
    pub fn interval(&self) -> Duration {
        let asked = self
            .desired()
            .map_or(INTERVAL_DEFAULT_SECONDS, |d| d.poll_interval_seconds);
        schedule::poll_interval(asked)
    }

    /// The cloud has one front door only: the one that was asked.
    fn stay(&mut self, now: &Moment, url: &str, measured: &[Measurement]) {
        self.measure_at = now.after(MEASURE_EVERY);
        let door = EntryPoint {
            name: url.trim_start_matches("https://").to_owned(),
            region: String::new(),
            url: url.to_owned(),
        };
        let choice = EntryPointChoice {
            known: vec![door],
            url: url.to_owned(),
            why: "the only one".to_owned(),
            measured_ms: measured.iter().map(Measurement::median).collect(),
        };
        self.choice = Some(choice.clone());
        self.keep.push(Action::KeepChoice(choice));
    }

    fn ask(&self, url: String, hold_seconds: u32) -> Action {
        Action::Poll {
            url,
            etag: self.desired.as_ref().and_then(|state| state.etag.clone()),
            hold_seconds,
        }
    }

    fn take(&mut self, desired: Desired, etag: Option<String>) -> bool {
        if self.device.as_deref() != Some(desired.device.as_str()) {
            log::warn!("session: a desired state for another device is ignored");
            return false;
        }
        if let Some(known) = self.desired() {
            if desired.generation < known.generation {
                log::warn!("session: an older desired state is ignored");
                return false;
            }
            if desired.tenant != known.tenant {
                log::error!("session: a desired state of another tenant is ignored");
                return false;
            }
        }
        let state = DesiredState { etag, desired };
        self.keep.push(Action::KeepDesired(state.clone()));
        self.desired = Some(state);
        true
    }

    fn fail(&mut self, now: &Moment, url: &str, failure: &Failure) {
        log::warn!("session: {url}: {}", failure.message);
        if failure.unreachable && self.shut(url) {
            if self.poll != Poll::Off {
                self.poll = Poll::Waiting { at: now.boot };
            }
            return;
        }
        let backoff = retry::POLL.within(self.interval());
        let wait = backoff.wait(self.attempt, now.random, failure.retry_after());
        self.attempt = self.attempt.saturating_add(1);
        if self.poll != Poll::Off {
            self.poll = Poll::Waiting {
                at: now.after(wait),
            };
        }
        self.failed.clear();
        self.fail_waiters(failure);
    }

    /// Notes that a door does not answer; whether another one is left in this round.
    fn shut(&mut self, url: &str) -> bool {
        if !self.failed.iter().any(|failed| failed == url) {
            self.failed.push(url.to_owned());
        }
        let left = self
            .candidates()
            .iter()
            .any(|door| !self.failed.iter().any(|failed| failed == door));
        if !left {
            self.failed.clear();
        }
        left
    }

    /// Doors in the order of trying: the chosen one, the others as near as they are, the bootstrap.
    fn candidates(&self) -> Vec<&str> {
        let mut urls = Vec::new();
        if let Some(choice) = &self.choice {
            urls.push(choice.url.as_str());
            let mut others: Vec<_> = choice
                .known
                .iter()
                .zip(choice.measured_ms.iter().chain(std::iter::repeat(&None)))
                .filter(|(door, _)| {
                    self.settings
                        .region
                        .as_ref()
                        .is_none_or(|pin| *pin == door.region)
                })
                .map(|(door, ms)| (ms.unwrap_or(u32::MAX), door.url.as_str()))
                .collect();
            others.sort_unstable();
            urls.extend(others.into_iter().map(|(_, url)| url));
        }
        if self.choice.is_none() || self.settings.region.is_none() {
            urls.push(&self.settings.bootstrap_url);
        }
        let mut seen = Vec::new();
        urls.retain(|url| {
            let new = !seen.contains(url);
            seen.push(*url);
            new
        });
        urls
    }

    fn fail_waiters(&mut self, failure: &Failure) {
        self.hurried = false;
        for token in std::mem::take(&mut self.waiters) {
            self.keep.push(Action::Synced(token, Err(failure.clone())));
        }
    }
}

#[cfg(test)]
mod tests;
