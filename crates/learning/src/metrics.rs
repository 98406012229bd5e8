//! Accuracy, AUC, F1 and calibration: exact from probabilities, or from the securely added (and noised) counts of many sites.
//!
//! Counts are the section [`protocol::study::SectionName::Metrics`]: the confusion matrix (row: true class, column:
//! predicted), then for each class two histograms, of [`HISTOGRAM_BINS`] bins over 0 to 1, of its probability: of the
//! patients in that class, then of the others.
//!
//! A class that nobody is in (for AUC: also that everybody is in; for F1: that is never predicted either) has no
//! figure, and is left out of the mean over the classes.

use protocol::api::{Metrics, Reliability};
use protocol::study::HISTOGRAM_BINS;

/// Entries of the counts of a study with this number of classes.
#[must_use]
pub fn counts_length(classes: usize) -> usize {
    classes * classes + 2 * classes * HISTOGRAM_BINS
}

/// Adds one patient to the counts.
///
/// `probabilities` has one value a class; `label` is the index of the true class; `counts` has
/// [`counts_length`] entries, of which `1 + classes` rise by 1.
///
/// # Errors
///
/// Lengths that do not fit together, a label that is no class, and a probability that is not from 0 to 1. The counts
/// are then as before.
pub fn count(probabilities: &[f32], label: u32, counts: &mut [i64]) -> Result<(), MetricsError> {
    let classes = probabilities.len();
    check_counts(counts.len(), classes)?;
    let label = check_patient(probabilities, label)?;
    let (confusion, histograms) = counts.split_at_mut(classes * classes);
    confusion[label * classes + most_probable(probabilities)] += 1;
    for (class, probability) in probabilities.iter().enumerate() {
        let histogram = 2 * class + usize::from(class != label);
        histograms[histogram * HISTOGRAM_BINS + bin(*probability)] += 1;
    }
    Ok(())
}

/// The figures of counts that may have noise: entries need not be whole or positive.
///
/// Nothing is set to 0 before it is added up, so noise of mean 0 does not shift the figures; only the figures
/// themselves are held in 0 to 1. The confusion matrix is given as it was released. A bin of a histogram is a tie:
/// the AUC is exact up to patients whose probabilities share a bin.
///
/// # Errors
///
/// A number of counts that does not fit the classes, and a count that is not finite.
pub fn from_counts(counts: &[f64], classes: usize) -> Result<Metrics, MetricsError> {
    check_counts(counts.len(), classes)?;
    if let Some(entry) = counts.iter().position(|count| !count.is_finite()) {
        return Err(MetricsError::Count { entry });
    }
    let (confusion, histograms) = counts.split_at(classes * classes);
    let of_classes = histograms.chunks_exact(2 * HISTOGRAM_BINS);
    let aucs = of_classes.clone().map(|pair| {
        let (inside, others) = pair.split_at(HISTOGRAM_BINS);
        histogram_auc(inside, others)
    });
    Ok(Metrics {
        class_auc: aucs.clone().collect(),
        macro_auc: mean_or_half(aucs.flatten()),
        ..figures(confusion, classes, of_classes.map(reliability).collect())
    })
}

/// The exact figures of patients.
///
/// `probabilities` has `classes` values a patient, patient after patient; `labels` one index a patient. Calibration is
/// in the same bins as that of counts.
///
/// # Errors
///
/// Lengths that do not fit together, a label that is no class, and a probability that is not from 0 to 1.
pub fn exact(
    probabilities: &[f32],
    labels: &[u32],
    classes: usize,
) -> Result<Metrics, MetricsError> {
    let want = labels.len() * classes;
    if classes == 0 || probabilities.len() != want {
        return Err(MetricsError::Length {
            got: probabilities.len(),
            want,
        });
    }
    let mut counts = vec![0; counts_length(classes)];
    for (patient, label) in probabilities.chunks_exact(classes).zip(labels) {
        count(patient, *label, &mut counts)?;
    }
    let counts: Vec<f64> = counts.into_iter().map(whole).collect();
    let aucs = class_aucs(probabilities, labels, classes);
    Ok(Metrics {
        macro_auc: mean_or_half(aucs.iter().copied().flatten()),
        class_auc: aucs,
        ..from_counts(&counts, classes)?
    })
}

/// The exact area under the curve of each class against the rest; none for a class that nobody or everybody is in.
fn class_aucs(probabilities: &[f32], labels: &[u32], classes: usize) -> Vec<Option<f64>> {
    let of_class = |(column, class): (usize, u32)| {
        let scores = probabilities.iter().skip(column).step_by(classes);
        let inside = labels.iter().map(|label| *label == class);
        rank_auc(scores.copied().zip(inside).collect())
    };
    (0..classes).zip(0_u32..).map(of_class).collect()
}

/// Why figures cannot be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// Lengths do not fit together.
    #[error("got {got} values, want {want}")]
    Length {
        /// Values given.
        got: usize,
        /// Values that the other arguments ask for.
        want: usize,
    },
    /// A label is no class.
    #[error("label {label} is none of the {classes} classes")]
    Label {
        /// The label.
        label: u32,
        /// The number of classes.
        classes: usize,
    },
    /// A probability is not from 0 to 1.
    #[error("the probability of class {class} is not from 0 to 1")]
    Probability {
        /// The class.
        class: usize,
    },
    /// A count is not finite.
    #[error("count {entry} is not finite")]
    Count {
        /// Its place.
        entry: usize,
    },
}

fn check_counts(got: usize, classes: usize) -> Result<(), MetricsError> {
    let want = counts_length(classes);
    if classes == 0 || got != want {
        Err(MetricsError::Length { got, want })
    } else {
        Ok(())
    }
}

fn check_patient(probabilities: &[f32], label: u32) -> Result<usize, MetricsError> {
    let classes = probabilities.len();
    if let Some(class) = probabilities
        .iter()
        .position(|value| !(0.0..=1.0).contains(value))
    {
        return Err(MetricsError::Probability { class });
    }
    let place = usize::try_from(label).ok().filter(|place| *place < classes);
    place.ok_or(MetricsError::Label { label, classes })
}

/// The class with the highest probability; of equals the first.
fn most_probable(probabilities: &[f32]) -> usize {
    let mut best = 0;
    for (class, value) in probabilities.iter().enumerate() {
        if *value > probabilities[best] {
            best = class;
        }
    }
    best
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a probability is from 0 to 1"
)]
#[expect(clippy::cast_precision_loss, reason = "the bins are few")]
fn bin(probability: f32) -> usize {
    ((probability * HISTOGRAM_BINS as f32) as usize).min(HISTOGRAM_BINS - 1)
}

/// All figures but AUC.
fn figures(confusion: &[f64], classes: usize, reliability: Vec<Vec<Reliability>>) -> Metrics {
    let rows: Vec<Vec<f64>> = confusion
        .chunks_exact(classes)
        .map(<[f64]>::to_vec)
        .collect();
    let total: f64 = confusion.iter().sum();
    let right: f64 = (0..classes).map(|class| rows[class][class]).sum();
    let f1 = (0..classes).filter_map(|class| {
        let truly: f64 = rows[class].iter().sum();
        let predicted: f64 = rows.iter().map(|row| row[class]).sum();
        share(2.0 * rows[class][class], truly + predicted)
    });
    Metrics {
        accuracy: share(right, total).unwrap_or(0.0),
        macro_auc: 0.5,
        macro_f1: mean(f1).unwrap_or(0.0),
        confusion: rows,
        class_auc: Vec::new(),
        calibration_error: mean(reliability.iter().filter_map(|bins| error_of(bins)))
            .unwrap_or(0.0),
        reliability,
    }
}

/// The reliability diagram of a class, from its two histograms.
#[expect(clippy::cast_precision_loss, reason = "the bins are few")]
fn reliability(histograms: &[f64]) -> Vec<Reliability> {
    let (inside, others) = histograms.split_at(HISTOGRAM_BINS);
    let bin = |(place, (inside, others)): (usize, (&f64, &f64))| Reliability {
        predicted: (place as f64 + 0.5) / HISTOGRAM_BINS as f64,
        patients: inside + others,
        in_class: *inside,
    };
    inside.iter().zip(others).enumerate().map(bin).collect()
}

/// The expected calibration error of a class; nothing where there are no patients.
fn error_of(bins: &[Reliability]) -> Option<f64> {
    let patients: f64 = bins.iter().map(|bin| bin.patients).sum();
    let apart = bins
        .iter()
        .map(|bin| (bin.in_class - bin.predicted * bin.patients).abs());
    share(apart.sum(), patients)
}

#[expect(clippy::cast_precision_loss, reason = "patients are below 2^53")]
fn whole(count: i64) -> f64 {
    count as f64
}

/// The probability that a patient of the class has a higher score than another, a tie counting half: a sum over pairs
/// of bins, which is linear in either histogram's noise.
fn histogram_auc(inside: &[f64], others: &[f64]) -> Option<f64> {
    let mut below = 0.0;
    let mut pairs = 0.0;
    for (inside, others) in inside.iter().zip(others) {
        pairs += inside * (below + others / 2.0);
        below += others;
    }
    let inside: f64 = inside.iter().sum();
    if inside > 0.0 && below > 0.0 {
        share(pairs, inside * below)
    } else {
        None
    }
}

/// The same from the patients' own scores, by ranks (Mann & Whitney 1947).
fn rank_auc(mut scores: Vec<(f32, bool)>) -> Option<f64> {
    scores.sort_by(|left, right| left.0.total_cmp(&right.0));
    let mut below = 0.0;
    let mut inside = 0.0;
    let mut pairs = 0.0;
    for tied in scores.chunk_by(|left, right| left.0.total_cmp(&right.0).is_eq()) {
        let (mut of_class, mut others) = (0.0, 0.0);
        for (_, in_class) in tied {
            *(if *in_class {
                &mut of_class
            } else {
                &mut others
            }) += 1.0;
        }
        pairs += of_class * (below + others / 2.0);
        below += others;
        inside += of_class;
    }
    share(pairs, inside * below)
}

/// `part / whole` held in 0 to 1; nothing where the whole is not positive.
fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| (part / whole).clamp(0.0, 1.0))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// Half is the AUC of a model that knows nothing.
fn mean_or_half(aucs: impl Iterator<Item = f64>) -> f64 {
    mean(aucs).unwrap_or(0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(got: f64, want: f64) {
        assert!((got - want).abs() < 1e-12, "{got} is not {want}");
    }

    /// Six patients of three classes.
    const PROBABILITIES: [f32; 18] = [
        0.72, 0.21, 0.07, //
        0.52, 0.31, 0.17, //
        0.32, 0.41, 0.27, //
        0.62, 0.31, 0.07, //
        0.12, 0.22, 0.66, //
        0.12, 0.62, 0.26,
    ];
    const LABELS: [u32; 6] = [0, 0, 1, 1, 2, 2];

    #[test]
    fn exact_figures_are_those_of_a_hand_computation() {
        let metrics = exact(&PROBABILITIES, &LABELS, 3).unwrap();
        assert_eq!(
            metrics.confusion,
            [[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 1.0]].map(|row| row.to_vec())
        );
        assert_near(metrics.accuracy, 4.0 / 6.0);
        // F1: 2·2/(2+3), 2·1/(2+2), 2·1/(2+1).
        assert_near(metrics.macro_f1, (0.8 + 0.5 + 2.0 / 3.0) / 3.0);
        // Class 0: .72 .52 over .32 .62 .12 .12: 7 of 8 pairs. Class 1: .41 .31 over .21 .31 .22 .62: 3 + 2.5 of 8.
        // Class 2: .66 .26 over .07 .17 .27 .07: 4 + 3 of 8.
        assert_near(metrics.macro_auc, (7.0 + 5.5 + 7.0) / 24.0);
        assert_eq!(
            metrics.class_auc,
            [Some(7.0 / 8.0), Some(5.5 / 8.0), Some(7.0 / 8.0)]
        );
    }

    #[test]
    fn calibration_compares_predictions_with_what_happened() {
        // Ten patients with a probability of .72 for class 0, of whom seven are in it.
        let probabilities = [0.72, 0.28].repeat(10);
        let labels = [0, 0, 0, 0, 0, 0, 0, 1, 1, 1];
        let metrics = exact(&probabilities, &labels, 2).unwrap();
        let bin = metrics.reliability[0][14];
        assert_near(bin.predicted, 0.725);
        assert_near(bin.patients, 10.0);
        assert_near(bin.in_class, 7.0);
        // |.7 - .725| and |.3 - .275|.
        assert_near(metrics.calibration_error, 0.025);
        assert_eq!(metrics.class_auc, [Some(0.5), Some(0.5)]);
        let sure = exact(&[0.0, 1.0].repeat(4), &[0; 4], 2).unwrap();
        assert_near(sure.calibration_error, 0.975);
        assert_eq!(sure.class_auc, [None, None]);
    }

    #[test]
    fn counts_without_noise_give_the_exact_figures_where_no_bin_is_shared() {
        let mut counts = vec![0; counts_length(3)];
        for (patient, label) in PROBABILITIES.chunks_exact(3).zip(LABELS) {
            count(patient, label, &mut counts).unwrap();
        }
        assert_eq!(counts.iter().sum::<i64>(), 6 * (1 + 3));
        let counts: Vec<f64> = counts.into_iter().map(|count| count as f64).collect();
        let summed = from_counts(&counts, 3).unwrap();
        let exact = exact(&PROBABILITIES, &LABELS, 3).unwrap();
        assert_eq!(summed.confusion, exact.confusion);
        // .21 and .22 of class 1, and .26 and .27 of class 2, share a bin; the first two are both of the others.
        assert_near(summed.macro_auc, exact.macro_auc + 0.5 / 24.0);
    }

    #[test]
    fn a_patient_is_counted_in_one_cell_and_in_one_bin_a_class() {
        let mut counts = vec![0; counts_length(2)];
        count(&[1.0, 0.0], 1, &mut counts).unwrap();
        let places: Vec<usize> = (0..counts.len())
            .filter(|place| counts[*place] == 1)
            .collect();
        // Row 1, column 0; class 0's others, last bin; class 1's own, first bin.
        assert_eq!(
            places,
            [2, 4 + 2 * HISTOGRAM_BINS - 1, 4 + 2 * HISTOGRAM_BINS]
        );
        assert_eq!(counts.iter().sum::<i64>(), 3);
    }

    #[test]
    fn negative_noisy_counts_give_figures_from_0_to_1() {
        let mut counts: Vec<f64> = (0..7)
            .cycle()
            .take(counts_length(3))
            .map(|step| f64::from(step) - 3.4)
            .collect();
        for _ in 0..counts.len() {
            counts.rotate_left(1);
            let metrics = from_counts(&counts, 3).unwrap();
            for figure in [metrics.accuracy, metrics.macro_auc, metrics.macro_f1] {
                assert!((0.0..=1.0).contains(&figure), "{figure}");
            }
        }
        assert_near(
            from_counts(&vec![-1.0; counts_length(2)], 2)
                .unwrap()
                .macro_auc,
            0.5,
        );
    }

    #[test]
    fn an_absent_class_is_left_out_of_the_means() {
        let metrics = exact(&[0.9, 0.1, 0.0, 0.2, 0.8, 0.0], &[0, 1], 3).unwrap();
        assert_near(metrics.macro_auc, 1.0);
        assert_near(metrics.macro_f1, 1.0);
        assert_near(exact(&[], &[], 3).unwrap().macro_auc, 0.5);
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        let mut counts = vec![0; counts_length(2)];
        assert_eq!(
            count(&[0.5, 0.5], 2, &mut counts),
            Err(MetricsError::Label {
                label: 2,
                classes: 2
            })
        );
        assert_eq!(
            count(&[f32::NAN, 0.5], 0, &mut counts),
            Err(MetricsError::Probability { class: 0 })
        );
        assert_eq!(
            count(&[1.0], 0, &mut counts),
            Err(MetricsError::Length { got: 84, want: 41 })
        );
        assert_eq!(counts, vec![0; counts_length(2)]);
        assert_eq!(
            from_counts(&[1.0], 0),
            Err(MetricsError::Length { got: 1, want: 0 })
        );
        assert_eq!(
            from_counts(&vec![f64::INFINITY; 84], 2),
            Err(MetricsError::Count { entry: 0 })
        );
        assert_eq!(
            exact(&[0.5], &[0], 2),
            Err(MetricsError::Length { got: 1, want: 2 })
        );
    }
}
