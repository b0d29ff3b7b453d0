//! What happened to jobs, for those who follow them. In memory, bounded.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::api::JobEvent;
use crate::drivers::lock;
use crate::job_id::JobId;

/// Finished jobs whose events are kept; the journal knows the rest.
const FINISHED_MAX: usize = 8;

/// The events of each job, in order.
#[derive(Default)]
pub(super) struct Events {
    jobs: Mutex<BTreeMap<JobId, Log>>,
    told: Condvar,
}

#[derive(Default)]
struct Log {
    events: Vec<JobEvent>,
    /// When it ended, by a count of ends.
    ended: Option<u64>,
}

impl Events {
    /// What is known of a job from before this run.
    pub(super) fn seed(&self, job: JobId, events: Vec<JobEvent>) {
        lock(&self.jobs).entry(job).or_default().events = events;
    }

    /// Something happened. A wait that goes on replaces the one before: a week without a network
    /// fills no memory.
    pub(super) fn tell(&self, job: JobId, event: JobEvent) {
        let mut jobs = lock(&self.jobs);
        let ends = jobs.values().filter_map(|log| log.ended).max().unwrap_or(0);
        let log = jobs.entry(job).or_default();
        if event.is_last() {
            log.ended = Some(ends + 1);
        }
        match log.events.last_mut() {
            Some(last @ JobEvent::Waiting { .. }) if matches!(event, JobEvent::Waiting { .. }) => {
                *last = event;
            }
            _ => log.events.push(event),
        }
        let finished = jobs.values().filter(|log| log.ended.is_some()).count();
        if finished > FINISHED_MAX {
            let oldest = jobs
                .iter()
                .filter_map(|(job, log)| Some((log.ended?, *job)))
                .min();
            if let Some((_, job)) = oldest {
                jobs.remove(&job);
            }
        }
        drop(jobs);
        self.told.notify_all();
    }

    /// The events of a job from number `from` on, waiting up to `wait` for the first of them;
    /// `None` when the job is not known here.
    pub(super) fn wait(&self, job: JobId, from: usize, wait: Duration) -> Option<Vec<JobEvent>> {
        let nothing_new = |jobs: &mut BTreeMap<JobId, Log>| {
            jobs.get(&job)
                .is_some_and(|log| log.ended.is_none() && log.events.len() <= from)
        };
        let jobs = lock(&self.jobs);
        let waited = self.told.wait_timeout_while(jobs, wait, nothing_new);
        let (jobs, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let log = jobs.get(&job)?;
        Some(log.events.get(from..).unwrap_or_default().to_vec())
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        lock(&self.jobs).clear();
        self.told.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(n: u8) -> JobId {
        JobId::from_bytes([n; 16])
    }

    fn waiting(message: &str) -> JobEvent {
        JobEvent::Waiting {
            message: message.to_owned(),
        }
    }

    #[test]
    fn events_are_numbered_without_gaps() {
        let events = Events::default();
        events.tell(job(1), JobEvent::Feeding);
        events.tell(job(1), JobEvent::StackEnd);
        let all = events.wait(job(1), 0, Duration::ZERO).unwrap();
        assert_eq!(all, [JobEvent::Feeding, JobEvent::StackEnd]);
        assert_eq!(
            events.wait(job(1), 1, Duration::ZERO).unwrap(),
            [JobEvent::StackEnd]
        );
        assert_eq!(events.wait(job(1), 9, Duration::ZERO).unwrap(), []);
        assert_eq!(events.wait(job(2), 0, Duration::ZERO), None);
    }

    #[test]
    fn a_wait_that_goes_on_takes_one_place() {
        let events = Events::default();
        events.tell(job(1), waiting("a"));
        events.tell(job(1), waiting("b"));
        assert_eq!(
            events.wait(job(1), 0, Duration::ZERO).unwrap(),
            [waiting("b")]
        );
    }

    #[test]
    fn only_the_last_finished_jobs_are_kept_and_every_unfinished_one() {
        let events = Events::default();
        events.tell(job(0), JobEvent::Feeding);
        for n in 1..=20 {
            events.tell(job(n), JobEvent::Discarded);
        }
        assert!(events.wait(job(0), 0, Duration::ZERO).is_some());
        assert!(events.wait(job(12), 0, Duration::ZERO).is_none());
        assert!(events.wait(job(13), 0, Duration::ZERO).is_some());
    }

    #[test]
    fn one_who_waits_is_woken_by_the_event() {
        let events = std::sync::Arc::new(Events::default());
        events.seed(job(1), Vec::new());
        let teller = std::sync::Arc::clone(&events);
        let thread = std::thread::spawn(move || teller.tell(job(1), JobEvent::Feeding));
        let heard = events.wait(job(1), 0, Duration::from_secs(60)).unwrap();
        assert_eq!(heard, [JobEvent::Feeding]);
        thread.join().unwrap();
    }
}
