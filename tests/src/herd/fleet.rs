//! The devices in the herd: the agent's session machine, one for each.

use std::time::Duration;

use scantrip::engine::failure::Failure;
use scantrip::engine::moment::Moment;
use scantrip::engine::session::{Action, Doors, Machine, Settings};
use scantrip::store::{DesiredState, EntryPointChoice};
use scantrip_cloud_client::desired::Polled;
use scantrip_cloud_client::problem::CallError;
use scantrip_cloud_client::wire::Desired;
use scantrip_hal::clock::Instant;

use super::{Plan, STEP_MS};

const URL: &str = "https://c";
/// How long an answer without news is held by the cloud, as the agent asks for.
const HOLD_MS: u64 = 50_000;
/// A try that meets nobody ends after this; refusals are faster and time-outs slower.
const UNREACHABLE_MS: u64 = 1_000;

/// How a try of a device ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Answered, or held and answered later.
    Served,
    /// Turned away before the handshake, with the seconds to wait.
    TurnedAway(u64),
    /// Nobody there.
    Unreachable,
    /// The connection broke.
    Lost,
}

struct Device {
    machine: Machine,
    /// Whether it was served since the cloud is back.
    served: bool,
    /// Whether its answer is being held.
    held: bool,
    turned_away: u32,
}

/// What happens to a device at a time.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Its machine wants to do something.
    Wake(u32),
    /// The held answer comes.
    Answer(u32),
    /// The try has met nobody.
    Nobody(u32),
}

/// The fleet and its calendar.
pub(super) struct Fleet {
    devices: Vec<Device>,
    /// What happens in each step of the virtual clock.
    calendar: Vec<Vec<Event>>,
    chance: Chance,
    waiting: u32,
}

impl Fleet {
    pub(super) fn new(plan: &Plan) -> Self {
        let end = plan.before + plan.away + plan.after;
        let steps = u64::try_from(end.as_millis()).expect("hours") / STEP_MS + 1;
        let mut fleet = Self {
            devices: Vec::with_capacity(plan.devices as usize),
            calendar: vec![Vec::new(); usize::try_from(steps).expect("hours")],
            chance: Chance(plan.seed),
            waiting: 0,
        };
        for number in 0..plan.devices {
            let now = fleet.moment(0);
            let machine = machine(plan.interval, &now);
            fleet.devices.push(Device {
                machine,
                served: false,
                held: false,
                turned_away: 0,
            });
            fleet.plan_wake(number, 0);
        }
        fleet
    }

    /// From now on devices count as waiting until they are served.
    pub(super) fn count_from_now(&mut self) {
        self.waiting = u32::try_from(self.devices.len()).expect("a u32 made them");
        for device in &mut self.devices {
            device.served = false;
            device.turned_away = 0;
        }
    }

    /// Devices that were not served since then.
    pub(super) const fn waiting(&self) -> u32 {
        self.waiting
    }

    /// How often devices were turned away since then: on average, and at most.
    pub(super) fn turned_away(&self) -> (f64, u32) {
        let counts = self.devices.iter().map(|device| device.turned_away);
        let sum: u64 = counts.clone().map(u64::from).sum();
        (
            sum as f64 / self.devices.len() as f64,
            counts.max().unwrap_or(0),
        )
    }

    /// The devices that open a connection in this step.
    pub(super) fn due(&mut self, now_ms: u64) -> Vec<u32> {
        let mut connecting = Vec::new();
        for event in std::mem::take(&mut self.calendar[step(now_ms)]) {
            match event {
                Event::Wake(number) => self.wake(number, now_ms, &mut connecting),
                Event::Answer(number) if self.devices[number as usize].held => {
                    self.devices[number as usize].held = false;
                    self.polled(number, now_ms, Ok(Polled::Unchanged));
                }
                Event::Answer(_) => {}
                Event::Nobody(number) => {
                    let nobody = Failure::unreachable(String::new());
                    self.polled(number, now_ms, Err(nobody));
                }
            }
        }
        connecting
    }

    /// A try has ended.
    pub(super) fn answer(&mut self, number: u32, now_ms: u64, outcome: Outcome) {
        let device = &mut self.devices[number as usize];
        match outcome {
            Outcome::Served => {
                if !device.served {
                    device.served = true;
                    self.waiting = self.waiting.saturating_sub(1);
                }
                device.held = true;
                self.plan(now_ms + HOLD_MS, Event::Answer(number));
            }
            Outcome::TurnedAway(seconds) => {
                device.turned_away += 1;
                let after = Some(Duration::from_secs(seconds));
                let refusal = Failure::from(CallError::from_answer(503, after, b""));
                self.polled(number, now_ms, Err(refusal));
            }
            Outcome::Unreachable => self.plan(now_ms + UNREACHABLE_MS, Event::Nobody(number)),
            Outcome::Lost => {
                let lost = Failure::unreachable(String::new());
                self.polled(number, now_ms, Err(lost));
            }
        }
    }

    /// The cloud goes away: every held answer is lost at once.
    pub(super) fn lose_held(&mut self, now_ms: u64) {
        for number in 0..self.devices.len() {
            if std::mem::take(&mut self.devices[number].held) {
                self.answer(
                    u32::try_from(number).expect("a u32 made them"),
                    now_ms,
                    Outcome::Lost,
                );
            }
        }
    }

    /// The machine acts; a measurement of the doors counts as one connection more.
    fn wake(&mut self, number: u32, now_ms: u64, connecting: &mut Vec<u32>) {
        let now = self.moment(now_ms);
        let machine = &mut self.devices[number as usize].machine;
        while let Some(action) = machine.poll_action(&now, true, true) {
            match action {
                Action::Poll { .. } => return connecting.push(number),
                Action::Measure { url } => {
                    let (known, measured) = (Vec::new(), Vec::new());
                    machine.handle_doors(&now, &url, Ok(Doors { known, measured }));
                }
                _ => {}
            }
        }
        self.plan_wake(number, now_ms);
    }

    fn polled(&mut self, number: u32, now_ms: u64, result: Result<Polled, Failure>) {
        let now = self.moment(now_ms);
        let machine = &mut self.devices[number as usize].machine;
        machine.handle_polled(&now, URL, false, result);
        self.plan_wake(number, now_ms);
    }

    fn plan_wake(&mut self, number: u32, now_ms: u64) {
        let machine = &self.devices[number as usize].machine;
        let at = machine.poll_timeout().map_or(u64::MAX, Instant::as_millis);
        self.plan(at.max(now_ms + STEP_MS), Event::Wake(number));
    }

    fn plan(&mut self, at_ms: u64, event: Event) {
        if let Some(events) = self
            .calendar
            .get_mut(step(at_ms.saturating_add(STEP_MS - 1)))
        {
            events.push(event);
        }
    }

    const fn moment(&mut self, now_ms: u64) -> Moment {
        Moment {
            boot: Instant::from_millis(now_ms),
            wall: scantrip_hal::clock::UnixTime::from_millis(now_ms),
            clock: scantrip_hal::clock::UnixTime::from_millis(now_ms),
            random: self.chance.next(),
        }
    }
}

fn step(at_ms: u64) -> usize {
    usize::try_from(at_ms / STEP_MS).unwrap_or(usize::MAX)
}

/// The session of an agent that runs as a service, enrolled long ago.
fn machine(interval: Duration, now: &Moment) -> Machine {
    let settings = Settings {
        bootstrap_url: URL.to_owned(),
        region: None,
        stays: true,
    };
    let choice = EntryPointChoice {
        known: Vec::new(),
        url: URL.to_owned(),
        why: String::new(),
        measured_ms: Vec::new(),
    };
    let desired = DesiredState {
        etag: None,
        desired: Desired {
            generation: 1,
            tenant: "t".to_owned(),
            tenant_name: String::new(),
            device: "d".to_owned(),
            poll_interval_seconds: u32::try_from(interval.as_secs()).expect("at most a day"),
            keys: Vec::new(),
            workflows: Vec::new(),
            policy: None,
        },
    };
    let mut machine = Machine::new(settings, Some(choice), Some(desired), now);
    machine.handle_credential(now, Some("d"));
    machine
}

/// Repeatable chance (`SplitMix64`).
struct Chance(u64);

impl Chance {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
