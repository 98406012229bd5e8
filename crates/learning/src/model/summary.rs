//! What a linear model knows of a patient: a mean, and a trend, or the last value, for each feature.

use protocol::study::Summary;

use super::batch::{Batch, known};
use super::input::{Input, Kind};

/// Sums up each feature of a series over its bins; static features are themselves. No weights.
#[derive(Clone, Debug)]
pub(super) struct Summarizer {
    inputs: Vec<Input>,
    slots: usize,
    summary: Summary,
}

impl Summarizer {
    pub(super) fn new(inputs: Vec<Input>, summary: Summary) -> Self {
        Self {
            slots: Input::slots(&inputs),
            inputs,
            summary,
        }
    }

    /// Numbers that are left of a patient.
    pub(super) fn width(&self) -> usize {
        let widths = self
            .inputs
            .iter()
            .map(|input| match (input.kind, self.summary) {
                (Kind::Static, _) | (Kind::Series { .. }, Summary::Mean | Summary::Last) => {
                    input.features
                }
                (Kind::Series { .. }, Summary::MeanAndTrend) => 2 * input.features,
            });
        widths.sum()
    }

    /// The features of patients, `[patients, width]`: for each modality in order all means, then all trends.
    pub(super) fn features(&self, batch: Batch<'_>) -> Vec<f32> {
        let labels = batch.values.len() / self.slots;
        let mut features = Vec::with_capacity(labels * self.width());
        for (values, missing) in batch.rows(self.slots) {
            for input in &self.inputs {
                let range = input.offset..input.offset + input.bins * input.features;
                if input.kind == Kind::Static {
                    let slots = values[range.clone()].iter().zip(&missing[range]);
                    features.extend(slots.map(|(value, missing)| known(*value, *missing)));
                    continue;
                }
                let sums = sums(input, &values[range.clone()], &missing[range]);
                features.extend(sums.iter().map(|sums| match self.summary {
                    Summary::Mean | Summary::MeanAndTrend => sums.mean(),
                    Summary::Last => sums.last,
                }));
                if self.summary == Summary::MeanAndTrend {
                    features.extend(sums.iter().map(Sums::trend));
                }
            }
        }
        features
    }
}

/// Sums over the bins of one patient that hold a value of one feature.
///
/// Time runs from -½ at the start of the history to ½ at its end.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    count: f64,
    time: f64,
    value: f64,
    time_squared: f64,
    time_value: f64,
    /// The value of the last of them; 0 where there is none.
    last: f32,
}

/// The sums of each feature of one patient's `[bins, features]`.
#[expect(clippy::cast_precision_loss, reason = "bins are far below 2^52")]
fn sums(input: &Input, values: &[f32], missing: &[f32]) -> Vec<Sums> {
    let mut sums = vec![Sums::default(); input.features];
    let bins = values
        .chunks_exact(input.features)
        .zip(missing.chunks_exact(input.features));
    for (bin, (values, missing)) in bins.enumerate() {
        let time = (bin as f64 + 0.5) / input.bins as f64 - 0.5;
        for (sums, (value, missing)) in sums.iter_mut().zip(values.iter().zip(missing)) {
            let value = f64::from(known(*value, *missing));
            let here = 1.0 - f64::from(*missing);
            sums.count += here;
            sums.time += here * time;
            sums.value += value;
            sums.time_squared += here * time * time;
            sums.time_value += value * time;
            if *missing <= 0.0 {
                sums.last = narrow(value);
            }
        }
    }
    sums
}

impl Sums {
    /// The mean of the bins that hold a value; 0, the population's mean, where none does.
    fn mean(&self) -> f32 {
        narrow(self.value / self.count.max(1.0))
    }

    /// The slope of the least-squares line over the bins that hold a value, as the change over the whole history in
    /// standard deviations; 0 where fewer than two do.
    ///
    /// The slope is shrunk as [`SHRINKAGE`] says, so that two values close in time do not make a wild one.
    fn trend(&self) -> f32 {
        let count = self.count.max(1.0);
        let with = self.time_value - self.time * self.value / count;
        let spread = self.time_squared - self.time * self.time / count;
        narrow(with / (spread + SHRINKAGE))
    }
}

/// Added to the squared spread of the times, which is 1/12 a bin where every bin holds a value: as if one more bin
/// said that there is no trend. 4 % less slope for 26 full bins, 0.5 % for 182.
const SHRINKAGE: f64 = 1.0 / 12.0;

#[expect(
    clippy::cast_possible_truncation,
    reason = "a mean or slope of f32 values; results are checked"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summarizer(bins: usize, summary: Summary) -> Summarizer {
        let series = Kind::Series { tokens: 1 };
        let input = |offset, bins, features, kind| Input {
            name: String::new(),
            offset,
            bins,
            features,
            kind,
        };
        let inputs = vec![
            input(0, bins, 2, series),
            input(2 * bins, 1, 1, Kind::Static),
        ];
        Summarizer::new(inputs, summary)
    }

    #[test]
    fn means_and_trends_are_of_the_bins_that_hold_a_value() {
        let summarizer = summarizer(4, Summary::MeanAndTrend);
        assert_eq!(summarizer.width(), 5);
        let values = [0.0, 1.0, 9.0, 1.0, 2.0, 1.0, 3.0, 1.0, 7.0];
        let missing = [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let features = summarizer.features(Batch {
            values: &values,
            missing: &missing,
        });
        // Times -3/8, 1/8, 3/8 and values 0, 2, 3 lie on a line of slope 4.
        let spread = 0.375_f64.powi(2) * 2.0 + 0.125_f64.powi(2) - 3.0 * (0.125_f64 / 3.0).powi(2);
        let slope = 4.0 * spread / (spread + SHRINKAGE);
        for (got, want) in features.iter().zip([5.0 / 3.0, 1.0, slope, 0.0, 7.0]) {
            assert!((f64::from(*got) - want).abs() < 1e-6, "{got} is not {want}");
        }
    }

    #[test]
    fn the_last_value_is_of_the_last_bin_that_holds_one() {
        let summarizer = summarizer(3, Summary::Last);
        assert_eq!(summarizer.width(), 3);
        let features = summarizer.features(Batch {
            values: &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
            missing: &[0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0],
        });
        assert_eq!(features, [3.0, 0.0, 7.0]);
    }

    #[test]
    fn nothing_known_is_all_zero() {
        let summarizer = summarizer(3, Summary::MeanAndTrend);
        let features = summarizer.features(Batch {
            values: &[f32::NAN; 7],
            missing: &[1.0; 7],
        });
        assert_eq!(features, [0.0; 5]);
    }

    #[test]
    fn means_alone_take_one_number_a_feature() {
        let summarizer = summarizer(2, Summary::Mean);
        let features = summarizer.features(Batch {
            values: &[1.0, 2.0, 3.0, 4.0, 5.0],
            missing: &[0.0; 5],
        });
        assert_eq!(features, [2.0, 3.0, 5.0]);
    }
}
