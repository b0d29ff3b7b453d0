//! What happened on the device and was not told to the cloud yet: bounded, and kept over restarts.
//!
//! When it is full, the oldest event that the cloud can do without goes first, and is counted.
//! What matters is written down at once; the rest with the next such event, or in groups, so that
//! flash is spared.

use std::collections::VecDeque;

use scantrip_cloud_client::wire::{EventKind, REPORT_EVENTS_MAX, ReportEvent};
use serde::{Deserialize, Serialize};

/// Most events that wait: about 40 KiB, a week offline with a fault each hour.
pub const EVENTS_MAX: usize = 200;
/// Events of the lesser kind that a power cut may lose.
const UNSAVED_MAX: u64 = 32;

/// The events that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventBuffer {
    /// Number of the last event.
    last_seq: u64,
    /// Events that were dropped and not yet told of.
    dropped: u64,
    /// In order of their numbers.
    events: VecDeque<ReportEvent>,
    /// Events since the last time it was written down.
    #[serde(skip)]
    unsaved: u64,
}

impl EventBuffer {
    /// As it goes on after a restart: numbers that may have been used are left out.
    #[must_use]
    pub const fn reopened(mut self) -> Self {
        self.last_seq = self.last_seq.saturating_add(UNSAVED_MAX);
        self
    }

    /// Adds an event; gives whether the buffer must be written down now. What waits already is not
    /// added again: somebody who taps ten times is one event.
    pub fn add(&mut self, at_ms: u64, what: EventKind) -> bool {
        if repeats(&what) && self.events.iter().any(|event| event.what == what) {
            return false;
        }
        if self.events.len() >= EVENTS_MAX {
            let lesser = self.events.iter().position(|event| !matters(&event.what));
            self.events.remove(lesser.unwrap_or(0));
            self.dropped = self.dropped.saturating_add(1);
        }
        self.last_seq = self.last_seq.saturating_add(1);
        let now = matters(&what);
        self.events.push_back(ReportEvent {
            seq: self.last_seq,
            at_ms,
            what,
        });
        self.unsaved += 1;
        now || self.unsaved >= UNSAVED_MAX
    }

    /// It is written down.
    pub const fn saved(&mut self) {
        self.unsaved = 0;
    }

    /// The oldest events, as many as one report takes, and how many were dropped.
    #[must_use]
    pub fn next(&self) -> (Vec<ReportEvent>, u64) {
        let events = self.events.iter().take(REPORT_EVENTS_MAX).cloned();
        (events.collect(), self.dropped)
    }

    /// The cloud has the events up to number `seq`, and knows of `dropped` ones. Gives whether more
    /// wait.
    pub fn told(&mut self, seq: u64, dropped: u64) -> bool {
        self.events.retain(|event| event.seq > seq);
        self.dropped = self.dropped.saturating_sub(dropped);
        !self.events.is_empty()
    }
}

/// Whether an event is lost nowhere else: the cloud learns of jobs by other ways too.
const fn matters(what: &EventKind) -> bool {
    matches!(
        what,
        EventKind::SettingChanged { .. } | EventKind::WorkflowRefused { .. }
    )
}

/// Whether the same event again says nothing new.
const fn repeats(what: &EventKind) -> bool {
    matches!(
        what,
        EventKind::WorkflowRefused { .. } | EventKind::ScannerFault { .. }
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn changed(n: usize) -> EventKind {
        EventKind::SettingChanged {
            setting: format!("a.n{n}"),
            from: "1".to_owned(),
            to: "2".to_owned(),
        }
    }

    fn ended(n: usize) -> EventKind {
        EventKind::JobEnded {
            job: n.to_string(),
            state: "received".to_owned(),
        }
    }

    #[test]
    fn the_oldest_lesser_event_goes_first_and_is_counted() {
        let mut buffer = EventBuffer::default();
        buffer.add(0, changed(0));
        for n in 0..EVENTS_MAX {
            buffer.add(0, ended(n));
        }
        let (first, dropped) = buffer.next();
        assert_eq!((first.len(), dropped), (REPORT_EVENTS_MAX, 1));
        assert_eq!((&first[0].what, &first[1].what), (&changed(0), &ended(1)));
        for n in 1..=EVENTS_MAX {
            buffer.add(0, changed(n));
        }
        let (first, dropped) = buffer.next();
        assert_eq!((&first[0].what, dropped), (&changed(1), 201));
    }

    #[test]
    fn what_matters_is_written_down_at_once_and_the_rest_in_groups() {
        let mut buffer = EventBuffer::default();
        assert!(buffer.add(0, changed(1)));
        buffer.saved();
        let written = (0..64).filter(|n| {
            let now = buffer.add(0, ended(*n));
            if now {
                buffer.saved();
            }
            now
        });
        assert_eq!(written.count(), 2);
    }

    #[test]
    fn no_number_is_used_twice_after_a_power_cut() {
        let mut buffer = EventBuffer::default();
        buffer.add(0, changed(1));
        let written = buffer.clone();
        for n in 0..UNSAVED_MAX as usize - 2 {
            assert!(!buffer.add(0, ended(n)));
        }
        let mut after = written.reopened();
        after.add(0, changed(2));
        let used = buffer.events.back().map_or(0, |event| event.seq);
        assert!(after.events.back().map_or(0, |event| event.seq) > used);
    }

    #[test]
    fn it_is_drained_in_pieces_and_what_came_meanwhile_stays() {
        let mut buffer = EventBuffer::default();
        for n in 0..REPORT_EVENTS_MAX + 1 {
            buffer.add(0, changed(n));
        }
        let (sent, dropped) = buffer.next();
        buffer.add(0, changed(99));
        assert!(buffer.told(sent.last().unwrap().seq, dropped));
        let (rest, _) = buffer.next();
        assert_eq!(rest.len(), 2);
        assert!(!buffer.told(rest.last().unwrap().seq, 0));
    }

    #[test]
    fn the_same_refusal_again_is_one_event() {
        let mut buffer = EventBuffer::default();
        for _ in 0..10 {
            buffer.add(
                0,
                EventKind::WorkflowRefused {
                    workflow: "w".to_owned(),
                    settings: Vec::new(),
                },
            );
        }
        assert_eq!(buffer.next().0.len(), 1);
    }

    proptest! {
        #[test]
        fn it_stays_bounded_and_in_order_whatever_happens(
            steps in prop::collection::vec((0_u8..3, 0_usize..50), 0..600),
        ) {
            let mut buffer = EventBuffer::default();
            for (kind, n) in steps {
                match kind {
                    0 => drop(buffer.add(0, changed(n))),
                    1 => drop(buffer.add(0, ended(n))),
                    _ => {
                        let (sent, dropped) = buffer.next();
                        buffer.told(sent.last().map_or(0, |event| event.seq), dropped);
                    }
                }
                prop_assert!(buffer.events.len() <= EVENTS_MAX);
                prop_assert!(buffer.events.iter().is_sorted_by(|a, b| a.seq < b.seq));
            }
        }
    }
}
