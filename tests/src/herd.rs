//! The herd: a whole fleet on a virtual clock meets a cloud that was away and comes back at half
//! of its capacity.
//!
//! Each device is the agent's shipped session machine (`fleet`), the places for those who are
//! turned away are given out by the cloud's shipped [`Shedding`](scantrip_cloud::shedding). Only
//! the time that work takes in the cloud is a model (`cloud`). `docs/herd.md` tells the rest.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "figures for a person"
)]

mod cloud;
mod fleet;
mod picture;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::time::Duration;

use self::cloud::Cloud;
use self::fleet::{Fleet, Outcome};
use crate::stage::write;

/// One step of the virtual clock.
const STEP_MS: u64 = 10;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Devices.
    pub devices: u32,
    /// Time between two polls of a device.
    pub interval: Duration,
    /// Polls on new connections that the whole cloud serves in a second, for each that the fleet
    /// sends on an ordinary day.
    pub headroom: f64,
    /// How long the fleet runs before the cloud goes away.
    pub before: Duration,
    /// How long the cloud is away.
    pub away: Duration,
    /// How long the fleet runs after the cloud is back at half capacity.
    pub after: Duration,
    /// Whether the cloud turns away without a word, for comparison.
    pub silent: bool,
    /// Where chance begins.
    pub seed: u64,
}

impl Plan {
    /// The plan of the issue: away for 10 minutes, back at half capacity.
    #[must_use]
    pub const fn for_devices(devices: u32) -> Self {
        Self {
            devices,
            interval: Duration::from_secs(300),
            headroom: 2.5,
            before: Duration::from_secs(600),
            away: Duration::from_secs(600),
            after: Duration::from_secs(900),
            silent: false,
            seed: 1,
        }
    }

    /// Polls that the fleet sends in a second on an ordinary day.
    #[must_use]
    pub fn steady(&self) -> f64 {
        f64::from(self.devices) / self.interval.as_secs_f64()
    }

    fn back_s(&self) -> usize {
        usize::try_from((self.before + self.away).as_secs()).expect("hours")
    }
}

/// What happened in one second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Second {
    /// Connections that arrived.
    pub offered: u32,
    /// Connections that were served.
    pub served: u32,
    /// Connections that were turned away.
    pub shed: u32,
    /// Devices that were not served since the cloud is back.
    pub waiting: u32,
}

/// What came of a plan.
#[derive(Clone, Debug)]
pub struct Report {
    /// The plan.
    pub plan: Plan,
    /// Polls on new connections that half of the cloud can serve in a second.
    pub capacity: f64,
    /// Second by second.
    pub seconds: Vec<Second>,
    /// Served in a second against `capacity`, from the return until 95 % of the fleet is served:
    /// the others have not knocked before.
    pub goodput: f64,
    /// Seconds from the return until half of the fleet was served, 95 % of it, and all of it.
    pub served_after_s: [Option<usize>; 3],
    /// How often a device was turned away since the return: on average, and at most.
    pub turned_away: (f64, u32),
    /// Tries of the fleet during the outage, for each device.
    pub tries_away: f64,
}

/// Runs a plan.
#[must_use]
pub fn simulate(plan: Plan) -> Report {
    let mut fleet = Fleet::new(&plan);
    let mut cloud = Cloud::new(&plan);
    let (gone, back) = (
        plan.before.as_millis(),
        (plan.before + plan.away).as_millis(),
    );
    let end = back + plan.after.as_millis();
    let mut seconds = vec![Second::default(); usize::try_from(end / 1000).expect("hours")];
    let mut now_ms = 0_u64;
    while u128::from(now_ms) < end {
        let at = u128::from(now_ms);
        let second = &mut seconds[usize::try_from(now_ms / 1000).expect("hours")];
        if at == gone {
            for device in cloud.go_away() {
                fleet.answer(device, now_ms, Outcome::Lost);
            }
            fleet.lose_held(now_ms);
        }
        if at == back {
            cloud.come_back();
            fleet.count_from_now();
        }
        for device in fleet.due(now_ms) {
            second.offered += 1;
            if let Err(outcome) = cloud.accept(device, now_ms) {
                second.shed += u32::from(matches!(outcome, Outcome::TurnedAway(_)));
                fleet.answer(device, now_ms, outcome);
            }
        }
        for device in cloud.work(now_ms) {
            second.served += 1;
            fleet.answer(device, now_ms, Outcome::Served);
        }
        second.waiting = fleet.waiting();
        now_ms += STEP_MS;
    }
    report(plan, cloud.capacity(), seconds, &fleet)
}

fn report(plan: Plan, capacity: f64, seconds: Vec<Second>, fleet: &Fleet) -> Report {
    let back = plan.back_s();
    let until = |share: f64| {
        let left = f64::from(plan.devices) * (1.0 - share);
        let mut after = seconds[back..].iter();
        after.position(|second| f64::from(second.waiting) <= left + 1e-6)
    };
    let served_after_s = [until(0.5), until(0.95), until(1.0)];
    let backlog = &seconds[back..back + served_after_s[1].unwrap_or(seconds.len() - back - 1) + 1];
    let served: u64 = backlog.iter().map(|second| u64::from(second.served)).sum();
    let away: u64 = seconds[back - plan.away.as_secs() as usize..back]
        .iter()
        .map(|second| u64::from(second.offered))
        .sum();
    Report {
        plan,
        capacity,
        goodput: served as f64 / (capacity * backlog.len() as f64),
        served_after_s,
        turned_away: fleet.turned_away(),
        tries_away: away as f64 / f64::from(plan.devices),
        seconds,
    }
}

/// The million of `make herd`: prints the figures, draws `docs/herd.svg`, and fails when the
/// promise is not kept. Before it, a smaller herd shows what other clouds would make of it.
#[must_use]
pub fn run() -> ExitCode {
    let small = Plan::for_devices(50_000);
    for (name, plan) in [
        (
            "turned away without a word",
            Plan {
                silent: true,
                ..small
            },
        ),
        (
            "half of the cloud is just the steady load",
            Plan {
                headroom: 2.0,
                ..small
            },
        ),
        (
            "half of the cloud is less than the steady load",
            Plan {
                headroom: 1.75,
                ..small
            },
        ),
    ] {
        println!("{name}:\n{}", simulate(plan).text());
    }
    let report = simulate(Plan::for_devices(1_000_000));
    print!("a million devices:\n{}", report.text());
    if let Err(error) = write("docs/herd.svg".as_ref(), &picture::draw(&report)) {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    match report.broken_promise() {
        None => ExitCode::SUCCESS,
        Some(broken) => {
            eprintln!("{broken}");
            ExitCode::FAILURE
        }
    }
}

impl Report {
    /// Which part of the promise is not kept: 90 % goodput, everyone within two poll periods.
    #[must_use]
    pub fn broken_promise(&self) -> Option<String> {
        let periods = 2 * self.plan.interval.as_secs() as usize;
        if self.goodput < 0.9 {
            return Some(format!("goodput is {:.1} % only", 100.0 * self.goodput));
        }
        match self.served_after_s[2] {
            Some(last) if last <= periods => None,
            Some(last) => Some(format!("the last device was served after {last} s")),
            None => Some("not every device was served".to_owned()),
        }
    }

    /// The figures for people.
    #[must_use]
    pub fn text(&self) -> String {
        let seconds =
            |after: Option<usize>| after.map_or_else(|| "never".to_owned(), |s| format!("{s} s"));
        let peak = |pick: fn(&Second) -> u32| {
            let after = self.seconds[self.plan.back_s()..].iter();
            after.map(pick).max().unwrap_or(0)
        };
        let [half, most, all] = self.served_after_s.map(seconds);
        let (mean, max) = self.turned_away;
        format!(
            "devices                      {}\n\
             polls a second, steady       {:.0}\n\
             capacity after the return    {:.0} polls a second\n\
             tries a device while away    {:.1}\n\
             goodput until 95 % served    {:.1} % of capacity\n\
             half of the fleet served     {half}\n\
             95 % served                  {most}\n\
             everyone served              {all}\n\
             arrivals at the worst second {}\n\
             turned away                  {mean:.2} times on average, {max} at most\n",
            self.plan.devices,
            self.plan.steady(),
            self.capacity,
            self.tries_away,
            100.0 * self.goodput,
            peak(|second| second.offered),
        )
    }
}
