//! Telemetry: how the device does, and its security settings.
//!
//! A report is a whole picture taken when it is sent, so one that could not be sent is not kept:
//! the next one says more, and how many were dropped. Events wait in a buffer of the drivers and go
//! along, some with each report. The number only grows, over restarts too.
//!
//! Between two reports the device is looked at: a question or two tell whether it was restarted or
//! set otherwise, and then all its settings are read and sent at once.

use std::time::Duration;

use scantrip_cloud_client::problem::Disposition;
use scantrip_cloud_client::retry;
use scantrip_hal::clock::Instant;

use super::failure::Failure;
use super::moment::Moment;
use crate::store::ReportCursor;

/// Health is told at least this often.
const HEALTH_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Shortest time between two reports: a buffer that filled up offline is drained slowly, and a
/// device that changes all the time is no flood.
const GAP: Duration = Duration::from_secs(10);

/// The device is looked at so often; as each look leads to one whole reading at most, a counter
/// that moves with every job does so once an hour too. More often would keep a printer from sleep.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// What the machine wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take the picture and send it.
    Send {
        /// Its number.
        sequence: u64,
        /// Reports dropped before it.
        dropped: u64,
        /// In which its number counts.
        epoch: u64,
        /// Fingerprint of the settings that the cloud knows: only others are sent.
        known_settings: Option<u64>,
    },
    /// Ask the device whether it was restarted or set otherwise.
    Look,
    /// Remember how far we are. Before the report is sent: no number is used twice.
    Keep(ReportCursor),
}

/// The report machine. Call `handle_*`, then [`Machine::poll_action`] until it has nothing more.
#[derive(Debug)]
pub struct Machine {
    enabled: bool,
    every: Duration,
    cursor: ReportCursor,
    state: State,
    known_settings: Option<u64>,
    /// When all settings shall be sent again, changed or not.
    full_at: Instant,
    /// When the device is looked at, unless a report comes before.
    look_at: Instant,
    /// No report before.
    not_before: Instant,
    attempt: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The next report is due then.
    Waiting(Instant),
    /// The device is looked at; the next report is due then.
    Looking(Instant),
    /// The number is being remembered.
    Numbered,
    /// On its way; `again`: something changed meanwhile.
    Sending { again: bool },
}

impl Machine {
    /// The machine of an agent that remembers `cursor`; reads settings `every` so often.
    #[must_use]
    pub fn new(enabled: bool, every: Duration, cursor: ReportCursor, now: &Moment) -> Self {
        Self {
            enabled,
            every,
            cursor,
            state: State::Waiting(now.boot),
            known_settings: None,
            full_at: now.boot,
            look_at: now.after(LOOK_EVERY),
            not_before: now.boot,
            attempt: 0,
        }
    }

    /// Something changed that the cloud shall know soon: a fault cleared, a new certificate.
    pub fn handle_change(&mut self, now: &Moment) {
        match &mut self.state {
            State::Waiting(at) | State::Looking(at) => {
                *at = (*at).min(now.boot.max(self.not_before))
            }
            State::Numbered => {}
            State::Sending { again } => *again = true,
        }
    }

    /// The tenant has another policy: the cloud shall judge what is true now.
    pub fn handle_policy(&mut self, now: &Moment) {
        self.known_settings = None;
        self.handle_change(now);
    }

    /// The device was looked at. When it was restarted or set otherwise, the cloud gets all its
    /// settings, for nobody knows what it missed.
    pub fn handle_looked(&mut self, now: &Moment, changed: bool) {
        let State::Looking(at) = self.state else {
            return;
        };
        self.state = State::Waiting(at);
        if changed {
            self.handle_policy(now);
        }
    }

    /// A report was taken, or not. `settings`: fingerprint of the settings as they were read;
    /// `more`: events wait that had no room.
    pub fn handle_sent(
        &mut self,
        now: &Moment,
        settings: u64,
        more: bool,
        result: Result<(), Failure>,
    ) {
        let again = more || matches!(self.state, State::Sending { again: true });
        self.not_before = now.after(GAP);
        self.look_at = now.after(LOOK_EVERY);
        let wait = match result {
            Ok(()) => {
                self.attempt = 0;
                self.cursor.dropped = 0;
                if self.known_settings.replace(settings) != Some(settings) {
                    self.full_at = now.after(HEALTH_EVERY);
                }
                if again {
                    GAP
                } else {
                    self.every.min(HEALTH_EVERY)
                }
            }
            Err(failure) => {
                log::warn!("report: {}", failure.message);
                // It may have arrived: what the cloud knows is not sure any more.
                self.known_settings = None;
                self.cursor.dropped = self.cursor.dropped.saturating_add(1);
                let wait = retry::POLL.wait(self.attempt, now.random, failure.retry_after());
                self.attempt = self.attempt.saturating_add(1);
                match failure.disposition {
                    Disposition::Retry { .. } => wait,
                    _ => self.every.min(HEALTH_EVERY),
                }
            }
        };
        self.state = State::Waiting(now.after(wait));
    }

    /// Another device, or none: numbers begin anew.
    pub fn handle_unenrolled(&mut self, now: &Moment) {
        self.cursor = ReportCursor::default();
        self.known_settings = None;
        self.not_before = now.boot;
        self.state = State::Waiting(now.boot);
    }

    /// What to do next; nothing unless the lane is `free` and the identity is good.
    #[must_use]
    pub fn poll_action(&mut self, now: &Moment, free: bool) -> Option<Action> {
        match self.state {
            State::Waiting(at) if self.enabled && free && at <= now.boot => {
                if self.cursor.sequence == 0 {
                    self.cursor.epoch = now.random;
                }
                if self.full_at <= now.boot {
                    self.known_settings = None;
                }
                self.cursor.sequence = self.cursor.sequence.saturating_add(1);
                self.state = State::Numbered;
                Some(Action::Keep(self.cursor))
            }
            State::Waiting(at) if self.enabled && free && self.look_at <= now.boot => {
                self.look_at = now.after(LOOK_EVERY);
                self.state = State::Looking(at);
                Some(Action::Look)
            }
            State::Numbered => {
                self.state = State::Sending { again: false };
                Some(Action::Send {
                    sequence: self.cursor.sequence,
                    dropped: self.cursor.dropped,
                    epoch: self.cursor.epoch,
                    known_settings: self.known_settings,
                })
            }
            _ => None,
        }
    }

    /// When to look again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(at) if self.enabled => Some(at.min(self.look_at)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> Moment {
        Moment {
            boot: Instant::from_millis(seconds * 1000),
            random: u64::MAX,
            ..Moment::default()
        }
    }

    fn machine() -> Machine {
        let cursor = ReportCursor {
            sequence: 7,
            dropped: 1,
            epoch: 3,
        };
        Machine::new(true, HOUR, cursor, &at(0))
    }

    fn expect_sent(machine: &mut Machine, seconds: u64, sequence: u64, dropped: u64) {
        let keep = machine.poll_action(&at(seconds), true);
        assert_eq!(
            keep,
            Some(Action::Keep(ReportCursor {
                sequence,
                dropped,
                epoch: 3
            }))
        );
        let Some(Action::Send { sequence: sent, .. }) = machine.poll_action(&at(seconds), true)
        else {
            panic!("nothing was sent at {seconds} s");
        };
        assert_eq!(sent, sequence);
        assert_eq!(machine.poll_action(&at(seconds), true), None);
    }

    #[test]
    fn one_at_the_start_then_each_hour_with_numbers_that_go_on() {
        let mut machine = machine();
        expect_sent(&mut machine, 0, 8, 1);
        machine.handle_sent(&at(1), 5, false, Ok(()));
        assert_eq!(machine.poll_action(&at(3600), true), None);
        assert_eq!(machine.poll_timeout(), Some(at(3601).boot));
        expect_sent(&mut machine, 3601, 9, 0);
    }

    #[test]
    fn one_that_is_lost_is_counted_and_followed_by_a_fresh_one() {
        let mut machine = machine();
        expect_sent(&mut machine, 0, 8, 1);
        machine.handle_sent(&at(1), 5, false, Err(Failure::unreachable("no")));
        assert_eq!(machine.poll_timeout(), Some(at(6).boot));
        expect_sent(&mut machine, 6, 9, 2);
    }

    #[test]
    fn a_change_is_told_at_once_and_never_forgotten_but_never_in_a_flood() {
        let mut machine = machine();
        expect_sent(&mut machine, 0, 8, 1);
        machine.handle_change(&at(1));
        machine.handle_sent(&at(2), 5, false, Ok(()));
        assert_eq!(machine.poll_action(&at(11), true), None);
        expect_sent(&mut machine, 12, 9, 0);
        machine.handle_sent(&at(13), 5, false, Ok(()));
        machine.handle_change(&at(14));
        assert_eq!(machine.poll_timeout(), Some(at(23).boot));
        expect_sent(&mut machine, 23, 10, 0);
        machine.handle_sent(&at(24), 5, false, Ok(()));
        machine.handle_change(&at(60));
        expect_sent(&mut machine, 60, 11, 0);
    }

    #[test]
    fn a_full_buffer_is_drained_one_report_each_ten_seconds() {
        let mut machine = machine();
        expect_sent(&mut machine, 0, 8, 1);
        machine.handle_sent(&at(1), 5, true, Ok(()));
        expect_sent(&mut machine, 11, 9, 0);
        machine.handle_sent(&at(12), 5, false, Ok(()));
        assert_eq!(machine.poll_timeout(), Some(at(3612).boot));
    }

    /// Which settings the cloud is said to know in the next report.
    fn known(machine: &mut Machine, seconds: u64) -> Option<u64> {
        assert!(machine.poll_action(&at(seconds), true).is_some());
        match machine.poll_action(&at(seconds), true) {
            Some(Action::Send { known_settings, .. }) => known_settings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_settings_are_sent_each_day_and_when_the_policy_changes() {
        let mut machine = machine();
        for hour in 0..50 {
            let full = known(&mut machine, hour * 3600).is_none();
            assert_eq!(full, hour % 24 == 0, "hour {hour}");
            machine.handle_sent(&at(hour * 3600), 5, false, Ok(()));
        }
        machine.handle_policy(&at(50 * 3600));
        assert_eq!(known(&mut machine, 50 * 3600), None);
    }

    #[test]
    fn all_settings_are_sent_again_after_a_report_that_may_be_lost() {
        let mut machine = machine();
        assert_eq!(known(&mut machine, 0), None);
        machine.handle_sent(&at(0), 5, false, Ok(()));
        assert_eq!(known(&mut machine, 3600), Some(5));
        machine.handle_sent(&at(3600), 6, false, Err(Failure::unreachable("no")));
        assert_eq!(known(&mut machine, 3605), None);
    }

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// A machine that reads once a day and has sent at 0 s.
    fn daily() -> Machine {
        let mut machine = Machine::new(true, DAY, ReportCursor::default(), &at(0));
        assert_eq!(known(&mut machine, 0), None);
        machine.handle_sent(&at(0), 5, false, Ok(()));
        machine
    }

    #[test]
    fn between_reports_the_device_is_looked_at_each_hour() {
        let mut machine = daily();
        for hour in 1..24 {
            assert_eq!(machine.poll_timeout(), Some(at(hour * 3600).boot));
            assert_eq!(machine.poll_action(&at(hour * 3600 - 1), true), None);
            assert_eq!(machine.poll_action(&at(hour * 3600), false), None);
            let look = machine.poll_action(&at(hour * 3600), true);
            assert_eq!(look, Some(Action::Look), "hour {hour}");
            assert_eq!(machine.poll_action(&at(hour * 3600), true), None);
            assert_eq!(machine.poll_timeout(), None);
            machine.handle_looked(&at(hour * 3600), false);
            assert_eq!(machine.poll_action(&at(hour * 3600), true), None);
        }
        assert_eq!(known(&mut machine, 24 * 3600), None, "the report is due");
    }

    #[test]
    fn a_device_set_otherwise_or_restarted_is_read_and_told_as_a_whole_at_once() {
        let mut machine = daily();
        assert_eq!(machine.poll_action(&at(3600), true), Some(Action::Look));
        machine.handle_looked(&at(3605), true);
        assert_eq!(known(&mut machine, 3605), None);
        machine.handle_sent(&at(3610), 5, false, Ok(()));
        // A counter that moves with every job is not followed faster.
        assert_eq!(machine.poll_timeout(), Some(at(3610 + 3600).boot));
        let look = machine.poll_action(&at(3610 + 3600), true);
        assert_eq!(look, Some(Action::Look));
    }

    #[test]
    fn a_change_while_the_device_is_looked_at_is_not_forgotten() {
        let mut machine = daily();
        assert_eq!(machine.poll_action(&at(3600), true), Some(Action::Look));
        machine.handle_change(&at(3601));
        assert_eq!(machine.poll_action(&at(3602), true), None, "one at a time");
        machine.handle_looked(&at(3603), false);
        assert_eq!(known(&mut machine, 3603), Some(5));
    }

    #[test]
    fn a_look_at_a_device_that_was_unenrolled_meanwhile_says_nothing() {
        let mut machine = daily();
        assert_eq!(machine.poll_action(&at(3600), true), Some(Action::Look));
        machine.handle_unenrolled(&at(3601));
        assert_eq!(known(&mut machine, 3601), None);
        machine.handle_looked(&at(3602), true);
        assert_eq!(machine.poll_action(&at(3602), true), None);
    }

    #[test]
    fn numbers_that_begin_anew_begin_in_another_epoch() {
        let mut machine = Machine::new(true, HOUR, ReportCursor::default(), &at(0));
        let Some(Action::Keep(cursor)) = machine.poll_action(&at(0), true) else {
            panic!("nothing is remembered");
        };
        assert_eq!((cursor.sequence, cursor.epoch), (1, u64::MAX));
    }

    #[test]
    fn nothing_is_sent_when_it_is_switched_off() {
        let mut machine = Machine::new(false, HOUR, ReportCursor::default(), &at(0));
        assert_eq!(machine.poll_action(&at(0), true), None);
        assert_eq!(machine.poll_timeout(), None);
    }
}
