//! How predicted probabilities are counted where a model is measured.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::StudyError;
use super::refusal::require;

/// The `[metrics]` table: the bins of the score histograms that AUC and calibration are computed from.
///
/// Bins are of equal width in log-odds, `ln(p / (1 − p))`, since that is where scores of rare outcomes lie apart: of an
/// outcome of 1 %, nearly all probabilities are below .05. More bins tell scores apart that fewer take for equal, and each
/// bin carries noise; `host compose` states those at which both errors together are least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Histograms {
    /// Bins cover log-odds from minus this to this; what is beyond is in the first or the last one. One of
    /// [`Histograms::REACHES`].
    pub reach: u8,
    /// Bins of each unit of log-odds, so of all odds within a factor e: one of [`Histograms::FINENESS`].
    pub bins_per_unit: u8,
}

impl Histograms {
    /// The log-odds that histograms can cover: at 16, a probability of 1 in 9 million.
    pub const REACHES: RangeInclusive<u8> = 2..=16;

    /// The bins that a unit of log-odds can have.
    pub const FINENESS: RangeInclusive<u8> = 1..=64;

    /// Bins of one histogram.
    #[must_use]
    pub fn bins(&self) -> usize {
        2 * usize::from(self.reach) * usize::from(self.bins_per_unit)
    }

    /// The bin of a probability, which is from 0 to 1; what is no number is in the first.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates: all below the first bin is in it"
    )]
    pub fn bin(&self, probability: f32) -> usize {
        let probability = f64::from(probability);
        let log_odds = (probability / (1.0 - probability)).ln();
        let from_first = (log_odds + f64::from(self.reach)) * f64::from(self.bins_per_unit);
        (from_first as usize).min(self.bins() - 1)
    }

    /// The log-odds at the lower end of a bin; of the first, where it would end if it were as wide as the others.
    #[must_use]
    pub fn lower(&self, bin: usize) -> f64 {
        bin as f64 / f64::from(self.bins_per_unit) - f64::from(self.reach)
    }

    /// The log-odds in the middle of a bin.
    #[must_use]
    pub fn middle(&self, bin: usize) -> f64 {
        self.lower(bin) + 0.5 / f64::from(self.bins_per_unit)
    }

    pub(super) fn check(&self) -> Result<(), StudyError> {
        require(Self::REACHES.contains(&self.reach), "metrics.reach", || {
            range(self.reach, &Self::REACHES)
        })?;
        require(
            Self::FINENESS.contains(&self.bins_per_unit),
            "metrics.bins-per-unit",
            || range(self.bins_per_unit, &Self::FINENESS),
        )
    }
}

/// Of a study that does not say: scores whose deviation is at least .5 in log-odds have an AUC within .005 of the exact one.
impl Default for Histograms {
    fn default() -> Self {
        Self {
            reach: 10,
            bins_per_unit: 8,
        }
    }
}

fn range(got: u8, range: &RangeInclusive<u8>) -> String {
    format!(
        "{got} is not from {} to {}; remove the table [metrics] and let `host compose` state it",
        range.start(),
        range.end()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_is_between_the_ends_of_its_bin() {
        for histograms in [
            Histograms::default(),
            Histograms {
                reach: 12,
                bins_per_unit: 32,
            },
        ] {
            let last = histograms.bins() - 1;
            for step in 1..10_000_u16 {
                let probability = f32::from(step) / 10_000.0;
                let log_odds = f64::from(probability / (1.0 - probability)).ln();
                let bin = histograms.bin(probability);
                assert!(bin == 0 || histograms.lower(bin) < log_odds + 1e-5);
                assert!(bin == last || histograms.lower(bin + 1) > log_odds - 1e-5);
            }
            assert_eq!((histograms.bin(0.0), histograms.bin(1.0)), (0, last));
            assert_eq!(histograms.bin(1e-9), 0);
            assert_eq!(histograms.bin(f32::NAN), 0);
            assert_eq!(histograms.bin(0.5), histograms.bins() / 2);
        }
    }
}
