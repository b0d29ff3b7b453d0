//! The cloud in the herd: cores that spend time on connections, and the shipped shedding.

use std::collections::VecDeque;

use scantrip_cloud::shedding::Shedding;

use super::fleet::Outcome;
use super::{Plan, STEP_MS};

/// CPU of a poll on a new connection with a full TLS 1.2 handshake, P-256 on both sides: 290 to
/// 390 us were measured on the reference machine. Resumed ones take 80; none is assumed here,
/// since a cloud that was away has lost its ticket keys.
const SERVE_US: f64 = 350.0;
/// CPU of a connection that is turned away: accept, one short write, close, and the network's
/// part.
const SHED_US: f64 = 15.0;
/// Accepted connections wait for their handshake at most about so long, well below the 5 s after
/// which either side gives up.
const QUEUE_SECONDS: f64 = 1.0;

/// The cloud.
pub(super) struct Cloud {
    /// Cores of the whole cloud.
    cores: f64,
    share: f64,
    away: bool,
    silent: bool,
    /// CPU time at hand, negative when more was spent than there was.
    budget_us: f64,
    queue: VecDeque<u32>,
    shedding: Shedding,
}

impl Cloud {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            cores: plan.steady() * plan.headroom * SERVE_US / 1e6,
            share: 1.0,
            away: false,
            silent: plan.silent,
            budget_us: 0.0,
            queue: VecDeque::new(),
            shedding: Shedding::default(),
        }
    }

    /// Polls a second that half of the cloud can serve when it turns nobody away.
    pub(super) fn capacity(&self) -> f64 {
        self.cores * 0.5e6 / SERVE_US
    }

    /// Nothing answers any more; gives those who were waiting.
    pub(super) fn go_away(&mut self) -> Vec<u32> {
        self.away = true;
        self.queue.drain(..).collect()
    }

    /// A new process, at half the capacity: it has learnt nothing yet.
    pub(super) fn come_back(&mut self) {
        (self.away, self.share, self.budget_us) = (false, 0.5, 0.0);
        self.shedding = Shedding::default();
    }

    /// A connection arrives; an error is its answer.
    pub(super) fn accept(&mut self, device: u32, now_ms: u64) -> Result<(), Outcome> {
        if self.away {
            return Err(Outcome::Unreachable);
        }
        let room = self.cores * self.share * 1e6 / SERVE_US * QUEUE_SECONDS;
        if (self.queue.len() as f64) < room.max(1.0) {
            self.queue.push_back(device);
            return Ok(());
        }
        self.budget_us -= SHED_US;
        if self.silent {
            return Err(Outcome::Lost);
        }
        Err(Outcome::TurnedAway(self.shedding.turn_away(now_ms / 1000)))
    }

    /// Spends one step's CPU time; gives the devices that were served.
    pub(super) fn work(&mut self, now_ms: u64) -> Vec<u32> {
        let mut served = Vec::new();
        if self.away {
            return served;
        }
        self.budget_us += self.cores * self.share * STEP_MS as f64 * 1000.0;
        while self.budget_us > 0.0 {
            let Some(device) = self.queue.pop_front() else {
                // Time that nobody needed is gone.
                self.budget_us = 0.0;
                break;
            };
            self.budget_us -= SERVE_US;
            self.shedding.serve(now_ms / 1000);
            served.push(device);
        }
        served
    }
}
