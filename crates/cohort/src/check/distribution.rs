//! The values of each feature.

use protocol::door::Distribution;
use protocol::study::{Cohort, Feature};

use super::spikes::Spikes;
use crate::moments::patient_means;
use crate::patients::Patients;
use crate::slots::Slots;

/// Bars of a histogram.
const BARS: usize = 40;

/// Values that are kept of all features together: 32 MiB.
const MOST_KEPT: usize = 1 << 22;

/// Values that are kept of one feature.
const MOST_KEPT_EACH: usize = 1 << 16;

/// Different values that are followed of all features together: some 32 MiB.
const MOST_FOLLOWED: usize = 1 << 20;

/// Different values that are followed of one feature.
const MOST_FOLLOWED_EACH: usize = 1 << 10;

/// Bars reach this many of the reference's standard deviations from its mean, or further where the values do.
const REFERENCE_REACH: f64 = 3.0;

/// The values of all features while they are read.
pub(super) struct Distributions {
    samples: Vec<Sample>,
    most: Most,
}

/// The most that is kept of a feature.
#[derive(Clone, Copy)]
struct Most {
    /// Values.
    values: usize,
    /// Different values.
    followed: usize,
}

impl Distributions {
    pub(super) fn new(features: usize) -> Self {
        Self {
            samples: vec![Sample::default(); features],
            most: Most {
                values: (MOST_KEPT / features.max(1)).clamp(2, MOST_KEPT_EACH),
                followed: (MOST_FOLLOWED / features.max(1)).clamp(2, MOST_FOLLOWED_EACH),
            },
        }
    }

    pub(super) fn add(&mut self, feature: usize, subject: i64, value: f64) {
        self.samples[feature].add(subject, value, self.most);
    }

    pub(super) fn finish(self, cohort: &Cohort, patients: &Patients) -> Vec<Distribution> {
        let slots = Slots::of(cohort);
        let features = cohort.features().zip(self.samples).zip(slots.of_features());
        features
            .map(|((feature, sample), places)| {
                sample.finish(feature, patient_means(patients, places))
            })
            .collect()
    }
}

/// The values of a feature: moments of all, and an even sample of them.
#[derive(Clone, Default)]
struct Sample {
    moments: Moments,
    least: f64,
    greatest: f64,
    /// Every `2^halvings`-th value.
    kept: Vec<f64>,
    halvings: u32,
    spikes: Spikes,
}

impl Sample {
    fn add(&mut self, subject: i64, value: f64, most: Most) {
        let place = self.moments.count;
        self.least = if place == 0 {
            value
        } else {
            self.least.min(value)
        };
        self.greatest = if place == 0 {
            value
        } else {
            self.greatest.max(value)
        };
        self.moments.add(value);
        self.spikes.add(subject, value, most.followed);
        if place.is_multiple_of(1 << self.halvings) {
            if self.kept.len() == most.values {
                let mut place = 0_usize;
                self.kept.retain(|_| {
                    place += 1;
                    place % 2 == 1
                });
                self.halvings += 1;
            }
            if place.is_multiple_of(1 << self.halvings) {
                self.kept.push(value);
            }
        }
    }

    fn finish(
        mut self,
        feature: &Feature,
        patient_means: impl IntoIterator<Item = f64>,
    ) -> Distribution {
        let mut patients = Moments::default();
        for mean in patient_means {
            patients.add(mean);
        }
        let mut distribution = Distribution {
            values: self.moments.count,
            mean: self.moments.mean,
            sd: self.moments.sd(),
            least: self.least,
            greatest: self.greatest,
            patient_mean: patients.mean,
            patient_sd: patients.sd(),
            spikes: self.spikes.finish(),
            ..Distribution::default()
        };
        if self.kept.is_empty() {
            return distribution;
        }
        self.kept.sort_unstable_by(f64::total_cmp);
        distribution.quantiles =
            [0.01, 0.25, 0.5, 0.75, 0.99].map(|share| quantile(&self.kept, share));
        let [low, .., high] = distribution.quantiles;
        let reach = REFERENCE_REACH * feature.sd;
        distribution.from = finite(low.min((feature.mean - reach).max(feature.low)));
        distribution.to = finite(high.max((feature.mean + reach).min(feature.high)));
        distribution.bars = bars(&self.kept, distribution.from, distribution.to);
        distribution
    }
}

/// Count, mean and sum of squares of the differences from it (Welford 1962).
#[derive(Clone, Copy, Default)]
struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 values")]
    fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean = finite(self.mean + before / self.count as f64);
        self.squares = finite(self.squares + before * (value - self.mean));
    }

    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 values")]
    fn sd(self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        (self.squares / self.count as f64).max(0.0).sqrt()
    }
}

/// The nearest of the sorted values.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among a few thousand values"
)]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len() - 1;
    sorted[((last as f64 * share).round() as usize).min(last)]
}

/// How many of the sorted values are in each bar.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among the bars, from 0"
)]
fn bars(sorted: &[f64], from: f64, to: f64) -> Vec<u32> {
    let mut bars = vec![0; BARS];
    for value in sorted {
        // Halves, so that no difference is infinite.
        let place = (value / 2.0 - from / 2.0) / (to / 2.0 - from / 2.0) * BARS as f64;
        let place = if place.is_nan() { 0.0 } else { place.max(0.0) };
        bars[(place as usize).min(BARS - 1)] += 1;
    }
    bars
}

/// The nearest finite number.
fn finite(value: f64) -> f64 {
    if value.is_nan() {
        0.0
    } else {
        value.clamp(f64::MIN, f64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature() -> Feature {
        Feature {
            code: "HR".to_owned(),
            name: "heart rate".to_owned(),
            unit: "/min".to_owned(),
            encoding: protocol::study::Encoding::Value,
            low: 20.0,
            high: 250.0,
            mean: 75.0,
            sd: 10.0,
        }
    }

    fn of(values: impl IntoIterator<Item = f64>, most: usize) -> Distribution {
        let mut sample = Sample::default();
        for (subject, value) in (0..).zip(values) {
            let most = Most {
                values: most,
                followed: 100,
            };
            sample.add(subject, value, most);
        }
        sample.finish(&feature(), [70.0, 80.0])
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "small whole numbers are exact")]
    fn moments_quantiles_and_bars_are_those_of_the_values() {
        let found = of((0..=100).map(f64::from), 1_000);
        assert_eq!((found.values, found.mean), (101, 50.0));
        assert!((found.sd - 850.0_f64.sqrt()).abs() < 1e-9);
        assert_eq!(found.quantiles, [1.0, 25.0, 50.0, 75.0, 99.0]);
        assert_eq!((found.least, found.greatest), (0.0, 100.0));
        assert_eq!((found.patient_mean, found.patient_sd), (75.0, 5.0));
        assert_eq!((found.from, found.to), (1.0, 105.0));
        assert_eq!(found.bars.iter().sum::<u32>(), 101);
    }

    #[test]
    fn a_sample_is_even_and_no_longer_than_it_may_be() {
        let found = of((0..100_000).map(f64::from), 1_000);
        assert_eq!(found.values, 100_000);
        assert!((500..=1_000).contains(&found.bars.iter().sum::<u32>()));
        assert!((found.quantiles[2] - 50_000.0).abs() < 500.0);
    }

    #[test]
    fn values_at_the_end_of_their_range_stay_finite() {
        let found = of([f64::MAX, f64::MIN, f64::MAX, 1e300, -1e300], 1_000);
        let Distribution {
            mean,
            sd,
            from,
            to,
            bars,
            ..
        } = &found;
        assert!([mean, sd, from, to].iter().all(|value| value.is_finite()));
        assert_eq!(bars.iter().sum::<u32>(), 5);
        assert_eq!(
            of([], 10),
            Distribution {
                patient_mean: 75.0,
                patient_sd: 5.0,
                ..Distribution::default()
            }
        );
    }
}
