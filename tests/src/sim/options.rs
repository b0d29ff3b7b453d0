//! What goes wrong in one run, and how often: each fault is on or off, and its rate is drawn, so
//! that no fault hides another one (swarm testing).

use scantrip_hal::sim::disk::Dice;

/// The options of one run. Rates are per thousand.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Devices of the two tenants together.
    pub(crate) devices: usize,
    /// Days with faults.
    pub(crate) days: u64,
    /// Scans that each device's people begin, about.
    pub(crate) scans: u64,
    /// Life of device certificates, days.
    pub(crate) certificate_days: u64,
    /// Seconds between polls.
    pub(crate) poll_seconds: u32,
    /// Most bytes of a spool.
    pub(crate) spool_bytes: u64,
    /// Most sheets of a stack.
    pub(crate) sheets: u64,
    /// What happens to requests.
    pub(crate) wire: WireOptions,
    /// What happens to devices and cloud, per day.
    pub(crate) daily: DailyOptions,
    /// What happens at the feeder, per page.
    pub(crate) jam: u64,
}

/// Faults of one request each.
#[derive(Clone, Debug, Default)]
pub(crate) struct WireOptions {
    /// The connection is refused.
    pub(crate) refuse: u64,
    /// The line breaks within the request.
    pub(crate) cut_request: u64,
    /// The line breaks within the answer, or before it.
    pub(crate) lose_answer: u64,
    /// The line is dead and nobody says so.
    pub(crate) half_open: u64,
    /// The request arrives when its sender has given up.
    pub(crate) late: u64,
    /// The request arrives, and once more later.
    pub(crate) duplicate: u64,
    /// It takes long.
    pub(crate) slow: u64,
    /// 409, 423, 429, 500 or 503.
    pub(crate) problem: u64,
    /// The cloud's power goes within the request.
    pub(crate) cloud_cut: u64,
    /// The device's power goes within the call.
    pub(crate) agent_cut: u64,
}

/// Faults of one day each.
#[derive(Clone, Debug, Default)]
pub(crate) struct DailyOptions {
    /// A front door is away for some hours.
    pub(crate) door: u64,
    /// A device is cut off for hours, or weeks.
    pub(crate) partition: u64,
    /// A device's clock jumps by up to ten years either way.
    pub(crate) clock: u64,
    /// A device's power goes.
    pub(crate) agent_cut: u64,
    /// The cloud's power goes.
    pub(crate) cloud_cut: u64,
    /// A stored block rots.
    pub(crate) rot: u64,
    /// A device's disk is full for some hours.
    pub(crate) full: u64,
    /// The cloud's disk is full for some hours.
    pub(crate) cloud_full: u64,
    /// A flush fails.
    pub(crate) flush: u64,
    /// A device is revoked by mistake.
    pub(crate) revoke: u64,
}

impl Options {
    /// The options of `seed`.
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let days = 20 + dice.below(50);
        let wire = WireOptions {
            refuse: swarm(dice, 300),
            cut_request: swarm(dice, 200),
            lose_answer: swarm(dice, 200),
            half_open: swarm(dice, 100),
            late: swarm(dice, 100),
            duplicate: swarm(dice, 300),
            slow: swarm(dice, 200),
            problem: swarm(dice, 200),
            cloud_cut: swarm(dice, 30),
            agent_cut: swarm(dice, 30),
        };
        let daily = DailyOptions {
            door: swarm(dice, 300),
            partition: swarm(dice, 100),
            clock: swarm(dice, 60),
            agent_cut: swarm(dice, 300),
            cloud_cut: swarm(dice, 300),
            rot: swarm(dice, 100),
            full: swarm(dice, 100),
            cloud_full: swarm(dice, 60),
            flush: swarm(dice, 200),
            revoke: swarm(dice, 20),
        };
        Self {
            devices: 2 + below(dice, 3),
            days,
            scans: 3 + dice.below(5),
            certificate_days: 8 + dice.below(80),
            poll_seconds: 8 * 3600 + u32::try_from(dice.below(20 * 3600)).unwrap_or_default(),
            spool_bytes: (256 + dice.below(1024)) * 1024,
            sheets: 1 + dice.below(4),
            wire,
            daily,
            jam: swarm(dice, 150),
        }
    }

    /// No faults any more.
    pub(crate) fn calm(&mut self) {
        self.wire = WireOptions::default();
        self.daily = DailyOptions::default();
        self.jam = 0;
        self.poll_seconds = 3600;
    }
}

/// Half of the time nothing, else a rate up to `most`, small ones oftener.
fn swarm(dice: &mut Dice, most: u64) -> u64 {
    if dice.below(2) == 0 {
        return 0;
    }
    let limit = 1 + dice.below(most);
    1 + dice.below(limit)
}

/// A small number.
pub(crate) fn below(dice: &mut Dice, limit: u64) -> usize {
    usize::try_from(dice.below(limit.max(1))).unwrap_or_default()
}

/// Whether something of this rate happens now.
pub(crate) fn strikes(dice: &mut Dice, per_mille: u64) -> bool {
    per_mille > 0 && dice.below(1000) < per_mille
}
