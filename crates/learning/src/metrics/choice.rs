//! Which bins suit a study.

use protocol::study::Histograms;

use super::MOST_DEVIATION;
use super::expected::Scores;

/// The bins whose areas are off by the least, for `patients` of whom some are in a class, where each count has noise of
/// this deviation.
///
/// What an area is off by is the root of the squares of its deviation and of twice the bias that bins alone make: counted
/// double, the bias is in the end a quarter of the deviation or less, so an interval made of the noise alone holds. It is
/// the mean over outcomes of 0.5 % to 50 % and models of areas from .65 to .9, weighted so that what is too noisy to be
/// shown with any bins does not decide for the rest.
#[must_use]
pub fn choose(patients: f64, noise: f64) -> Histograms {
    let mut best = (f64::INFINITY, Histograms::default());
    for reach in REACHES {
        for bins_per_unit in FINENESS {
            let histograms = Histograms {
                reach,
                bins_per_unit,
            };
            let error = error(&histograms, patients, noise);
            if error < best.0 {
                best = (error, histograms);
            }
        }
    }
    best.1
}

fn error(histograms: &Histograms, patients: f64, noise: f64) -> f64 {
    let mut sum = 0.0;
    for prevalence in [0.005, 0.02, 0.1, 0.5] {
        for distance in [0.545, 0.742, 1.19, 1.81] {
            let scores = Scores {
                inside: patients * prevalence,
                others: patients * (1.0 - prevalence),
                distance,
            };
            let error = scores.error(histograms, noise);
            let off = error.deviation.hypot(2.0 * error.bias);
            // Rises with what it is off by, and levels off where nothing is shown.
            sum += if off.is_finite() {
                off / (off + MOST_DEVIATION)
            } else {
                1.0
            };
        }
    }
    sum
}

const REACHES: [u8; 6] = [5, 6, 7, 8, 10, 12];

/// At the last, an area is within .0002 of the exact one, with a few hundred bins.
const FINENESS: [u8; 10] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_noise_takes_fewer_bins() {
        let bins = |noise| choose(10_000.0, noise).bins();
        let chosen: Vec<usize> = [0.0, 0.1, 1.0, 10.0, 50.0].map(bins).to_vec();
        assert!(chosen.is_sorted_by(|a, b| a >= b), "{chosen:?}");
        assert!(chosen[0] > 500 && chosen[4] < 40, "{chosen:?}");
    }

    #[test]
    fn nobody_and_endless_noise_still_have_bins() {
        for (patients, noise) in [(0.0, 0.0), (0.0, 5.0), (100.0, 1e300)] {
            assert!(choose(patients, noise).bins() > 0);
        }
    }
}
