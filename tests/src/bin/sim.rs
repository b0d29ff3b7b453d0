//! `make sim`: the whole product in one thread, a seed after the other on every core.
//!
//! `SEED=n` replays one seed with its trace; `RUNS=n` says how many seeds are run, `FRESH=n` how
//! many of them are new each time.
#![expect(clippy::print_stdout, reason = "its report is its purpose")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use scantrip_hal::entropy::Entropy as _;
use scantrip_tests::sim::{self, Outcome, Totals};

/// Seeds of a run without `RUNS`.
const RUNS: usize = 200;
/// Without `FRESH`, of so many seeds one is fresh each time.
const FRESH_OF: usize = 4;
/// Of so many seeds one is run twice, and must do the same.
const TWICE_OF: usize = 16;

fn main() -> ExitCode {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("SEED") {
        return replay(seed);
    }
    let count = |name, unsaid| {
        let said = number(name).and_then(|number| usize::try_from(number).ok());
        said.unwrap_or(unsaid)
    };
    let runs = count("RUNS", RUNS);
    let seeds = seeds(runs, count("FRESH", runs / FRESH_OF).min(runs));
    let next = AtomicUsize::new(0);
    let totals = Mutex::new(Totals::default());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = run(*seed);
                    let mut totals = totals
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    totals.add(&outcome);
                    tell(&outcome);
                }
            });
        }
    });
    let totals = totals
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let faults: Vec<String> = totals
        .faults
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    println!("faults: {}", faults.join(", "));
    println!(
        "requests {}, delivered {}",
        totals.requests, totals.delivered
    );
    println!("{totals}");
    ExitCode::from(u8::from(!totals.is_clean()))
}

/// Fixed seeds, then fresh ones.
fn seeds(runs: usize, fresh: usize) -> Vec<u64> {
    let mut seeds: Vec<u64> = sim::FIXED.to_vec();
    seeds.extend(1..=runs as u64);
    seeds.truncate(runs - fresh);
    let mut random = scantrip_hal::backends::system::SystemEntropy::new();
    for _ in 0..fresh {
        let mut bytes = [0; 4];
        if random.fill(&mut bytes).is_ok() {
            seeds.push(u64::from(u32::from_le_bytes(bytes)) + 1_000_000);
        }
    }
    seeds
}

fn run(seed: u64) -> Outcome {
    let mut outcome = sim::run(seed, false);
    if seed.is_multiple_of(TWICE_OF as u64) {
        let again = sim::run(seed, false);
        if again.trace != outcome.trace {
            outcome.not_repeatable(&again);
        }
    }
    outcome
}

fn tell(outcome: &Outcome) {
    let wrongs = outcome.wrongs();
    if wrongs.is_empty() {
        return;
    }
    println!("seed {} shows:", outcome.seed);
    for wrong in wrongs {
        println!("  {wrong}");
    }
    println!("  replay it: make sim SEED={}", outcome.seed);
}

fn replay(seed: u64) -> ExitCode {
    let outcome = sim::run(seed, true);
    tell(&outcome);
    println!("options: {}", outcome.options);
    println!("trace {} after {} events", outcome.trace, outcome.steps);
    let mut totals = Totals::default();
    totals.add(&outcome);
    println!("{totals}");
    ExitCode::from(u8::from(!totals.is_clean()))
}
