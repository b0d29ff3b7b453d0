//! Two ways of doing the same, timed in turns.
//!
//! The speed of a shared machine moves more between two minutes than most changes move it, so that
//! only the ratio of two runs right after another means something. A pair during which the
//! hypervisor took more than 2 % of the processors away is dropped and measured again.

use std::fs;

use anyhow::Context;
use serde_json::{Value, json};

/// Pairs that count, at least.
pub(super) const PAIRS: u32 = 11;
/// Share of the processors' time that the hypervisor may take during a pair.
const STEAL_MAX: f64 = 0.02;
/// Samples of the bootstrap.
const SAMPLES: u32 = 2000;

/// Costs of one run, in any unit.
pub(super) type Cost = f64;

/// What pairs gave.
pub(super) struct Ratios {
    ratios: Vec<f64>,
    /// Costs of ours and of theirs, pair by pair.
    pub(super) ours: Vec<Cost>,
    pub(super) theirs: Vec<Cost>,
    dropped: u32,
    /// The largest share of stolen time in a pair that counts.
    steal: f64,
}

/// Runs [`PAIRS`] pairs; who goes first changes each time. Each function gets a number of its own.
pub(super) fn run(
    mut ours: impl FnMut(u32) -> anyhow::Result<Cost>,
    mut theirs: impl FnMut(u32) -> anyhow::Result<Cost>,
) -> anyhow::Result<Ratios> {
    let mut pairs = Ratios {
        ratios: Vec::new(),
        ours: Vec::new(),
        theirs: Vec::new(),
        dropped: 0,
        steal: 0.0,
    };
    // One round that does not count warms up both.
    ours(0)?;
    theirs(0)?;
    let mut round = 0;
    while pairs.ratios.len() < PAIRS as usize {
        round += 1;
        let before = Ticks::now()?;
        let (own, other) = if round % 2 == 0 {
            let own = ours(round)?;
            (own, theirs(round)?)
        } else {
            let other = theirs(round)?;
            (ours(round)?, other)
        };
        let steal = Ticks::now()?.stolen_since(&before);
        // A machine that is never quiet still gives figures, and says so.
        if steal > STEAL_MAX && pairs.dropped < PAIRS {
            pairs.dropped += 1;
            continue;
        }
        pairs.steal = pairs.steal.max(steal);
        pairs.ratios.push(other / own);
        pairs.ours.push(own);
        pairs.theirs.push(other);
    }
    Ok(pairs)
}

impl Ratios {
    /// Theirs by ours, so that more is better, with an interval that holds it in 95 of 100 cases.
    pub(super) fn tell(&self, name: &str) -> Value {
        let (low, high) = interval(&self.ratios);
        json!({
            name: round(median(&self.ratios)),
            format!("{name}_interval"): [round(low), round(high)],
            format!("{name}_pairs_dropped"): self.dropped,
            format!("{name}_steal_max"): round(self.steal),
        })
    }
}

/// The median.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(middle)) {
        (_, None) => f64::NAN,
        (0, Some(upper)) => f64::midpoint(sorted[middle - 1], *upper),
        (_, Some(middle)) => *middle,
    }
}

/// The bootstrap's 95 % interval of the median, with repeatable chance.
fn interval(values: &[f64]) -> (f64, f64) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        values[usize::try_from(state % values.len() as u64).expect("an index")]
    };
    let mut medians: Vec<f64> = (0..SAMPLES)
        .map(|_| median(&values.iter().map(|_| draw()).collect::<Vec<_>>()))
        .collect();
    medians.sort_by(f64::total_cmp);
    let at = |share: f64| medians[(share * f64::from(SAMPLES - 1)) as usize];
    (at(0.025), at(0.975))
}

/// Three digits behind the point.
pub(super) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Processor time of the whole machine (proc(5), `/proc/stat`), in ticks.
struct Ticks {
    all: f64,
    stolen: f64,
}

impl Ticks {
    fn now() -> anyhow::Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().context("/proc/stat is empty")?;
        let ticks: Vec<f64> = line
            .split_whitespace()
            .skip(1)
            .take(8)
            .filter_map(|field| field.parse().ok())
            .collect();
        Ok(Self {
            all: ticks.iter().sum(),
            stolen: ticks.get(7).copied().unwrap_or(0.0),
        })
    }

    fn stolen_since(&self, before: &Self) -> f64 {
        (self.stolen - before.stolen) / (self.all - before.all).max(1.0)
    }
}

/// Nanoseconds that this thread was on a processor (proc(5), `schedstat`).
pub(super) fn on_cpu_ns() -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = text.split_whitespace().next().context("no figure")?;
    Ok(first.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_its_interval_are_those_of_the_values() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        let (low, high) = interval(&[1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 9.0]);
        assert!((1.0..=1.3).contains(&low) && (1.3..=9.0).contains(&high));
    }

    #[test]
    fn ours_in_half_the_time_is_a_ratio_of_two() {
        let pairs = run(|_| Ok(1.0), |_| Ok(2.0)).unwrap();
        assert_eq!(pairs.tell("x")["x"], json!(2.0));
    }
}
