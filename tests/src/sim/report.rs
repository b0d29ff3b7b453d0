//! What a run has shown, and the sum of many.

use std::collections::BTreeMap;
use std::fmt;

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    /// A page that was called saved is gone, or an offset went back.
    Lost,
    /// A document arrived twice, or after it was cancelled.
    Duplicated,
    /// Other pages, bytes or order than were scanned.
    Altered,
    /// Plaintext where it must not be, a pair of key and nonce used twice, a foreign tenant.
    Readable,
    /// More bytes or entries than reserved.
    OverBudget,
    /// It does not come to rest.
    Stuck,
}

/// What one seed has shown.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Documents begun.
    pub scans: u64,
    /// Documents delivered.
    pub delivered: u64,
    /// Power cuts, of devices and of the cloud.
    pub crashes: u64,
    /// Events.
    pub steps: u64,
    /// Requests that reached the network.
    pub requests: u64,
    /// How often each fault happened.
    pub faults: BTreeMap<&'static str, u64>,
    /// SHA-256 of the trace, hexadecimal.
    pub trace: String,
    /// What was drawn.
    pub options: String,
    pub(crate) wrongs: Vec<(Wrong, String)>,
}

impl Outcome {
    pub(crate) fn panicked(seed: u64, text: &str) -> Self {
        Self {
            seed,
            wrongs: vec![(Wrong::Stuck, format!("panicked: {text}"))],
            ..Self::default()
        }
    }

    /// Notes that the same seed gave another trace.
    pub fn not_repeatable(&mut self, other: &Self) {
        let text = format!("the trace is {} and {}", self.trace, other.trace);
        self.wrongs.push((Wrong::Stuck, text));
    }

    /// What went wrong, in words; empty when nothing did.
    #[must_use]
    pub fn wrongs(&self) -> Vec<String> {
        let text = |(kind, text): &(Wrong, String)| format!("{kind:?}: {text}");
        self.wrongs.iter().map(text).collect()
    }
}

/// The sum over seeds.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Seeds run.
    pub seeds: u64,
    /// Documents delivered.
    pub delivered: u64,
    /// Requests.
    pub requests: u64,
    /// How often each fault happened.
    pub faults: BTreeMap<&'static str, u64>,
    scans: u64,
    crashes: u64,
    wrongs: BTreeMap<Wrong, u64>,
}

impl Totals {
    /// Adds a run.
    pub fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.scans += outcome.scans;
        self.delivered += outcome.delivered;
        self.requests += outcome.requests;
        self.crashes += outcome.crashes;
        for (name, count) in &outcome.faults {
            *self.faults.entry(name).or_default() += count;
        }
        for (kind, _) in &outcome.wrongs {
            *self.wrongs.entry(*kind).or_default() += 1;
        }
    }

    /// Whether nothing went wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.wrongs.is_empty()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |kind| self.wrongs.get(&kind).copied().unwrap_or_default();
        write!(
            f,
            "seeds {}, scans {}, crashes {}, lost {}, duplicated {}, altered {}, readable {}, over \
             budget {}, stuck {}",
            self.seeds,
            self.scans,
            self.crashes,
            count(Wrong::Lost),
            count(Wrong::Duplicated),
            count(Wrong::Altered),
            count(Wrong::Readable),
            count(Wrong::OverBudget),
            count(Wrong::Stuck),
        )
    }
}
