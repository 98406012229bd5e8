//! What a training step shows, with its noise.

use protocol::api::{Count, Estimate, Figure};
use protocol::id::Purpose;
use protocol::study::{Algorithm, SectionName, Study, Weighting};

use super::course::first;
use super::sum::{RealSum, real_count};

/// What the weights are moved by.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// The mean gradient, or minus the mean change.
    pub(super) mean: Vec<f64>,
    /// The standard deviation of the noise in each value of it; none where it is not known, since each site made several
    /// noised steps of its own.
    pub(super) noise: Option<f64>,
}

/// Labels of training patients in the sum; none where sites do not count them.
pub(super) fn patients(study: &Study, sum: &RealSum) -> Option<Count> {
    if let Algorithm::Averaging(averaging) = study.manifest().training.algorithm
        && averaging.weighting == Weighting::Sites
    {
        return None;
    }
    let of_steps = study.layout(Purpose::Train).local.map_or(0.0, |local| {
        // Each site's own count has all of the noise.
        local.count.deviation(1) * real_count(sum.survivors()).sqrt()
    });
    Some(Count {
        value: first(sum.section(SectionName::Weight)),
        deviation: sum.noise(SectionName::Weight).hypot(of_steps),
    })
}

/// The L2 norm of a mean update.
///
/// Noise of deviation s in each of d values adds `d·s²` to the square of the norm in the mean, with a deviation of
/// `√(2d·s⁴ + 4n²·s²)` where n is the norm without it. So much is taken off, and the interval is that of the square.
pub(super) fn norm(mean: &[f64], noise: Option<f64>) -> Figure {
    let Some(noise) = noise else {
        return Figure::Withheld {
            withheld:
                "each site noises its own steps, so how much of the norm is noise is not known"
                    .to_owned(),
        };
    };
    let squares: f64 = mean.iter().map(|value| value * value).sum();
    if !squares.is_finite() {
        return Figure::Withheld {
            withheld: "it is no finite number: training diverges".to_owned(),
        };
    }
    let of_noise = noise * noise;
    let length = real_count(mean.len());
    let without = squares - length * of_noise;
    let deviation = (of_noise * (2.0 * length * of_noise + 4.0 * without.max(0.0))).sqrt();
    let end = |square: f64| square.max(0.0).sqrt();
    let (low, high) = (
        end(without - Estimate::HALF * deviation),
        end(without + Estimate::HALF * deviation),
    );
    Figure::Shown(Estimate {
        value: end(without),
        deviation: (high - low) / (2.0 * Estimate::HALF),
        low,
        high,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(mean: &[f64], noise: f64) -> Estimate {
        *norm(mean, Some(noise)).shown().expect("its noise is known")
    }

    #[test]
    fn without_noise_a_norm_is_that_of_the_mean() {
        let want = Estimate {
            value: 5.0,
            deviation: 0.0,
            low: 5.0,
            high: 5.0,
        };
        assert_eq!(shown(&[3.0, -4.0], 0.0), want);
        assert!(norm(&[3.0], None).shown().is_none());
    }

    #[test]
    fn a_norm_that_is_all_noise_may_be_0() {
        let noise: Vec<f64> = (0..100_u8)
            .map(|place| f64::from(place % 2) * 2.0 - 1.0)
            .collect();
        let estimate = shown(&noise, 1.0);
        assert_eq!((estimate.value, estimate.low), (0.0, 0.0));
        assert!(estimate.high > 3.0 && estimate.high < 10.0);
        // The same noise on a mean of length 100.
        let mean: Vec<f64> = noise
            .iter()
            .map(|noise| 10.0 * noise.abs() + noise)
            .collect();
        let estimate = shown(&mean, 1.0);
        assert!(
            estimate.low < 100.0 && 100.0 < estimate.high,
            "{estimate:?}"
        );
        assert!(estimate.deviation < 1.2, "{estimate:?}");
    }
}
