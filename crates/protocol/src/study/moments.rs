//! A normalisation that all sites share, from the sum of a round of moments.

use std::ops::RangeInclusive;

use super::{Cohort, Feature};
use crate::door::Moments;

/// Entries of a feature: patients with a value, sum, sum of squares.
const ENTRIES: usize = 3;

/// With fewer patients than this, a feature keeps its reference moments: noise would say more than they do.
const FEWEST: f64 = 8.0;

/// The least standard deviation, as a share of the reference: noise could make it 0, and values infinite.
const LEAST_SD: f64 = 0.25;

/// The least standard deviation, as a share of the feature's plausible range: no normalised value is further than 4096 from 0.
const LEAST_SHARE: f64 = 1.0 / 4_096.0;

impl Feature {
    /// The width of the plausible range, above 0.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.high - self.low
    }

    /// The means that sites can come to share: the plausible values.
    #[must_use]
    pub fn shared_means(&self) -> RangeInclusive<f64> {
        self.low..=self.high
    }

    /// The standard deviations that sites can come to share: from a quarter of the reference, or a 4096th of the plausible
    /// range, to that range.
    #[must_use]
    pub fn shared_deviations(&self) -> RangeInclusive<f64> {
        let width = self.width();
        (LEAST_SD * self.sd).clamp(LEAST_SHARE * width, width)..=width
    }

    /// The moments, set to the ends of their ranges where they are beyond.
    fn held(&self, Moments { mean, sd }: Moments) -> Moments {
        let (means, deviations) = (self.shared_means(), self.shared_deviations());
        Moments {
            mean: mean.clamp(*means.start(), *means.end()),
            sd: sd.clamp(*deviations.start(), *deviations.end()),
        }
    }
}

/// Mean and standard deviation of each feature over all patients of the round's survivors, noise and all: always
/// within [`Feature::shared_means`] and [`Feature::shared_deviations`], whatever the sums.
///
/// `sums` has for each feature, in the study's order, the number of patients with a value, the sum, and the sum of
/// squares of values that are mapped to -1 at the feature's low and 1 at its high. The standard deviation is that of a
/// sample (n - 1). A feature with too few patients keeps its reference moments.
#[must_use]
pub fn moments_from_sum(cohort: &Cohort, sums: &[f64]) -> Vec<Moments> {
    let mut sums = sums.chunks_exact(ENTRIES);
    cohort
        .features()
        .map(|feature| feature.held(from_entries(feature, sums.next().unwrap_or(&[]))))
        .collect()
}

fn from_entries(feature: &Feature, entries: &[f64]) -> Moments {
    let reference = Moments {
        mean: feature.mean,
        sd: feature.sd,
    };
    let &[count, sum, squares] = entries else {
        return reference;
    };
    if !(count >= FEWEST && sum.is_finite() && squares.is_finite()) {
        return reference;
    }
    let mean = (sum / count).clamp(-1.0, 1.0);
    let variance = ((squares - count * mean * mean) / (count - 1.0)).clamp(0.0, 2.0);
    let half_range = feature.width() / 2.0;
    Moments {
        mean: feature.low + (mean + 1.0) * half_range,
        sd: variance.sqrt() * half_range,
    }
}

#[cfg(test)]
mod tests {
    use crate::study::{Encoding, Modality, Normalisation, Shape, Span, Split};

    use super::*;

    fn cohort() -> Cohort {
        let feature = Feature {
            code: "LOINC//8867-4".to_owned(),
            name: "heart rate".to_owned(),
            unit: "/min".to_owned(),
            encoding: Encoding::Value,
            low: 20.0,
            high: 220.0,
            mean: 75.0,
            sd: 15.0,
        };
        let modality = Modality {
            name: "vitals".to_owned(),
            shape: Shape::Static,
            features: vec![feature],
        };
        Cohort {
            history: Span::days(30),
            classes: vec!["low".to_owned(), "high".to_owned()],
            normalisation: Normalisation::Shared,
            split: Split {
                train: 0.8,
                tuning: 0.0,
            },
            labels_per_patient: 1,
            modalities: vec![modality],
        }
    }

    fn sums(values: &[f64]) -> [f64; 3] {
        let mapped: Vec<f64> = values
            .iter()
            .map(|value| (value - 20.0) / 100.0 - 1.0)
            .collect();
        let count = mapped.iter().map(|_| 1.0).sum();
        [
            count,
            mapped.iter().sum(),
            mapped.iter().map(|value| value * value).sum(),
        ]
    }

    #[test]
    fn exact_sums_give_the_sample_mean_and_deviation() {
        let moments = moments_from_sum(
            &cohort(),
            &sums(&[60.0, 70.0, 110.0, 60.0, 70.0, 110.0, 60.0, 100.0]),
        );
        assert!((moments[0].mean - 80.0).abs() < 1e-9);
        assert!((moments[0].sd - (3_600.0_f64 / 7.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn sums_that_say_too_little_leave_the_reference() {
        let reference = [Moments {
            mean: 75.0,
            sd: 15.0,
        }];
        for sums in [
            [7.5, 0.1, 0.1].as_slice(),
            &[-40.0, 0.1, 0.1],
            &[f64::NAN, 0.0, 0.0],
            &[],
        ] {
            assert_eq!(moments_from_sum(&cohort(), sums), reference, "{sums:?}");
        }
    }

    #[test]
    fn noise_never_gives_a_deviation_of_nothing_or_infinity() {
        for squares in [-50.0, 0.0, 1e-9, 1e9] {
            let moments = moments_from_sum(&cohort(), &[100.0, -450.0, squares]);
            assert!((3.75..=150.0).contains(&moments[0].sd), "{squares}");
            assert!((moments[0].mean - 20.0).abs() < 1e-9);
        }
    }
}
