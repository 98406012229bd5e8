//! How good predictions are: what a table, a confusion matrix and a reliability curve are made of.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::trial::Predictions;

/// Bins of a reliability curve, of equal width over confidences from 0 to 1 (Guo et al. 2017 take 15).
pub(super) const BINS: usize = 15;

/// How good a model's predictions are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Scores {
    /// The names of the classes.
    pub(super) classes: Vec<String>,
    /// Share of the labels whose most probable class is the true one.
    pub(super) accuracy: f64,
    /// Mean over the classes of the area under the curve of one against the rest.
    pub(super) macro_auc: f64,
    /// Mean over the classes of F1.
    pub(super) macro_f1: f64,
    /// The area of each class; none where nobody or everybody is in it.
    pub(super) class_auc: Vec<Option<f64>>,
    /// Row: true class; column: predicted.
    pub(super) confusion: Vec<Vec<f64>>,
    /// The mean distance between how sure a model is and how often it is right, of the most probable class: ECE
    /// (Guo et al. 2017), with the mean confidence of each bin. Finer than what summed counts can tell.
    pub(super) calibration_error: f64,
    /// Of the most probable class.
    pub(super) reliability: Vec<Bin>,
}

/// Predictions of like confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Bin {
    /// Predictions.
    pub(super) count: f64,
    /// Sum of their confidences.
    pub(super) confidence: f64,
    /// How many are right.
    pub(super) right: f64,
}

impl Scores {
    /// Of predictions, of which there is at least one.
    pub(super) fn of(predictions: &Predictions) -> Result<Self> {
        ensure!(
            !predictions.labels.is_empty(),
            "no patient is held out: there is nothing to measure"
        );
        let metrics = predictions.metrics()?;
        let reliability = reliability(predictions);
        Ok(Self {
            classes: predictions.classes.clone(),
            accuracy: metrics.accuracy.context("no accuracy")?,
            macro_auc: metrics.macro_auc.context(
                "all held-out patients are of one class: there is no area under the curve",
            )?,
            macro_f1: metrics.macro_f1.context("no F1")?,
            class_auc: metrics.class_auc,
            confusion: metrics.confusion,
            calibration_error: calibration_error(&reliability),
            reliability,
        })
    }

    /// Of several models: the mean of each figure, and all counts together. There is at least one.
    pub(super) fn mean(each: &[Self]) -> Self {
        let of = |figure: &dyn Fn(&Self) -> f64| {
            each.iter().map(figure).sum::<f64>() / each.len() as f64
        };
        let first = &each[0];
        let places = 0..first.classes.len();
        let sum = |figure: &dyn Fn(&Self) -> f64| each.iter().map(figure).sum::<f64>();
        Self {
            classes: first.classes.clone(),
            accuracy: of(&|scores| scores.accuracy),
            macro_auc: of(&|scores| scores.macro_auc),
            macro_f1: of(&|scores| scores.macro_f1),
            class_auc: places
                .clone()
                .map(|class| {
                    let known: Vec<f64> = each
                        .iter()
                        .filter_map(|scores| scores.class_auc[class])
                        .collect();
                    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
                })
                .collect(),
            confusion: places
                .clone()
                .map(|row| {
                    places
                        .clone()
                        .map(|column| sum(&|scores| scores.confusion[row][column]))
                        .collect()
                })
                .collect(),
            calibration_error: of(&|scores| scores.calibration_error),
            reliability: (0..BINS)
                .map(|bin| Bin {
                    count: sum(&|scores| scores.reliability[bin].count),
                    confidence: sum(&|scores| scores.reliability[bin].confidence),
                    right: sum(&|scores| scores.reliability[bin].right),
                })
                .collect(),
        }
    }
}

fn reliability(predictions: &Predictions) -> Vec<Bin> {
    let mut bins = vec![Bin::default(); BINS];
    let rows = predictions
        .probabilities
        .chunks_exact(predictions.classes.len());
    for (row, label) in rows.zip(&predictions.labels) {
        let mut top = 0;
        for (class, probability) in row.iter().enumerate() {
            if *probability > row[top] {
                top = class;
            }
        }
        let confidence = f64::from(row[top]);
        let bin = &mut bins[place(confidence)];
        bin.count += 1.0;
        bin.confidence += confidence;
        bin.right += f64::from(u8::from(usize::try_from(*label) == Ok(top)));
    }
    bins
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a probability is from 0 to 1"
)]
fn place(confidence: f64) -> usize {
    ((confidence * BINS as f64) as usize).min(BINS - 1)
}

fn calibration_error(bins: &[Bin]) -> f64 {
    let all: f64 = bins.iter().map(|bin| bin.count).sum();
    let off: f64 = bins
        .iter()
        .map(|bin| (bin.right - bin.confidence).abs())
        .sum();
    off / all
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn scores(accuracy: f64) -> Scores {
        Scores {
            accuracy,
            ..Scores::of(&predictions()).unwrap()
        }
    }

    fn predictions() -> Predictions {
        Predictions {
            labels: vec![0, 1, 1, 0],
            probabilities: vec![0.9, 0.1, 0.3, 0.7, 0.6, 0.4, 0.9, 0.1],
            classes: vec!["no".to_owned(), "yes".to_owned()],
        }
    }

    fn assert_near(got: f64, want: f64) {
        assert!((got - want).abs() < 1e-6, "{got} is not {want}");
    }

    #[test]
    fn figures_are_those_of_a_hand_computation() {
        let scores = Scores::of(&predictions()).unwrap();
        assert_near(scores.accuracy, 0.75);
        // .9 and .9 of those not in class 1 against .3 and .6 of those in it, seen from class 0.
        assert_near(scores.class_auc[0].unwrap(), 1.0);
        assert_eq!(scores.confusion, [vec![2.0, 0.0], vec![1.0, 1.0]]);
        // Confidences .9 .7 .6 .9, of which the third is wrong: bins .9 (2 right), .7 (1 right), .6 (none).
        assert_near(
            scores.calibration_error,
            ((2.0 - 1.8) + (1.0 - 0.7) + 0.6) / 4.0,
        );
        let sizes: f64 = scores.reliability.iter().map(|bin| bin.count).sum();
        assert_near(sizes, 4.0);
    }

    #[test]
    fn means_are_of_figures_and_counts_are_added() {
        let one = Scores::of(&predictions()).unwrap();
        let mut other = one.clone();
        (other.accuracy, other.class_auc[0]) = (0.25, None);
        let mean = Scores::mean(&[one.clone(), other]);
        assert_near(mean.accuracy, 0.5);
        assert_eq!(mean.class_auc, one.class_auc);
        assert_eq!(mean.confusion, [vec![4.0, 0.0], vec![2.0, 2.0]]);
        assert_near(mean.reliability[13].count, 4.0);
    }

    #[test]
    fn nobody_held_out_is_refused() {
        assert!(Scores::of(&Predictions::default()).is_err());
    }
}
