//! Figures from pairs: absolute numbers of a shared machine mean little, ratios of neighbours do.

use super::pairs::median;

/// The median of some ratios and the interval in which it lies nineteen times out of twenty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Ratio {
    /// By bootstrap: the medians of many samples drawn from `ratios` with replacement.
    pub(super) fn of(ratios: &[f64]) -> Self {
        const SAMPLES: usize = 2000;
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let mut medians: Vec<f64> = (0..SAMPLES)
            .map(|_| {
                let sample: Vec<f64> = ratios
                    .iter()
                    .map(|_| ratios[dice.below(ratios.len())])
                    .collect();
                median(&sample)
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        Self {
            median: median(ratios),
            low: medians[SAMPLES / 40],
            high: medians[SAMPLES - 1 - SAMPLES / 40],
        }
    }

    /// As `NAME` and `NAME_interval`.
    pub(super) fn tell(self, name: &str) -> serde_json::Value {
        let round = |value: f64| (value * 1000.0).round() / 1000.0;
        serde_json::json!({
            name: round(self.median),
            format!("{name}_interval"): [round(self.low), round(self.high)],
        })
    }
}

/// Marsaglia's xorshift: the same figures give the same interval.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_median_and_not_the_outlier() {
        let mut ratios = [1.0, 1.1, 1.2, 1.0, 1.1, 1.2, 1.0, 1.1, 1.2, 1.1, 9.0];
        let ratio = Ratio::of(&ratios);
        assert!((ratio.median - 1.1).abs() < 1e-9);
        assert!(ratio.low >= 1.0 && ratio.high <= 1.2, "{ratio:?}");
        ratios.reverse();
        assert!((Ratio::of(&ratios).median - 1.1).abs() < 1e-9);
    }
}
