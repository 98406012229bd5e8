//! Accuracy, AUC, F1 and calibration: exact from probabilities, or from the securely added (and noised) counts of many sites.
//!
//! ```text
//! probabilities ──count──▶ counts ──Σ over sites, noise──▶ released ──▶ figures with their noise, or withheld
//!       └──────exact──────────────────────────────────────────────────▶ figures
//! ```
//!
//! Counts are the section [`protocol::study::SectionName::Metrics`]: the confusion matrix (row: true class, column:
//! predicted), then for each class two histograms of its probability ([`Histograms`]): of the patients in that class,
//! then of the others.
//!
//! A class that nobody is in (for AUC: also that everybody is in; for F1: that is never predicted either) has no
//! figure, and is left out of the mean over the classes. Of nobody there is no figure at all.

mod choice;
mod counts;
mod expected;
mod groups;
mod random;
mod released;

use protocol::study::Histograms;

pub use self::choice::choose;
use self::counts::{mean, share};
use self::groups::{GROUPS, group};
pub use self::random::{normal, uniform};
pub use self::released::{MOST_DEVIATION, Noise, released};

/// Entries of the counts of a study with this number of classes.
#[must_use]
pub fn counts_length(classes: usize, histograms: &Histograms) -> usize {
    classes * classes + 2 * classes * histograms.bins()
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
pub fn count(
    probabilities: &[f32],
    label: u32,
    histograms: &Histograms,
    counts: &mut [i64],
) -> Result<(), MetricsError> {
    let classes = probabilities.len();
    check_counts(counts.len(), classes, histograms)?;
    let label = check_patient(probabilities, label)?;
    let (confusion, bins) = counts.split_at_mut(classes * classes);
    confusion[label * classes + most_probable(probabilities)] += 1;
    for (class, probability) in probabilities.iter().enumerate() {
        let histogram = 2 * class + usize::from(class != label);
        bins[histogram * histograms.bins() + histograms.bin(*probability)] += 1;
    }
    Ok(())
}

/// Figures without noise: of patients whose probabilities are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Exact {
    /// Share of patients whose most probable class is the true one.
    pub accuracy: Option<f64>,
    /// Mean over the classes of the area under the ROC curve of one class against the rest.
    pub macro_auc: Option<f64>,
    /// Mean over the classes of the harmonic mean of precision and recall.
    pub macro_f1: Option<f64>,
    /// Rows: true class; columns: predicted class; patients.
    pub confusion: Vec<Vec<f64>>,
    /// For each class the area under the ROC curve against the rest; none where nobody or everybody is in it.
    pub class_auc: Vec<Option<f64>>,
    /// Mean over the classes of the expected calibration error, in groups of one unit of log-odds.
    pub calibration_error: Option<f64>,
}

/// The exact figures of patients.
///
/// `probabilities` has `classes` values a patient, patient after patient; `labels` one index a patient.
///
/// # Errors
///
/// Lengths that do not fit together, a label that is no class, and a probability that is not from 0 to 1.
pub fn exact(probabilities: &[f32], labels: &[u32], classes: usize) -> Result<Exact, MetricsError> {
    let want = labels.len() * classes;
    if classes == 0 || probabilities.len() != want {
        return Err(MetricsError::Length {
            got: probabilities.len(),
            want,
        });
    }
    let mut confusion = vec![0.0; classes * classes];
    // Patients in the class less those expected in it, for each class and group.
    let mut beyond = vec![[0.0; GROUPS]; classes];
    for (row, label) in probabilities.chunks_exact(classes).zip(labels) {
        let label = check_patient(row, *label)?;
        confusion[label * classes + most_probable(row)] += 1.0;
        for (class, probability) in row.iter().enumerate() {
            let probability = f64::from(*probability);
            let is_in = f64::from(u8::from(class == label));
            let log_odds = (probability / (1.0 - probability)).ln();
            beyond[class][group(log_odds)] += is_in - probability;
        }
    }
    let aucs = class_aucs(probabilities, labels, classes);
    let patients = confusion.iter().sum();
    let errors = beyond
        .iter()
        .map(|groups| share(groups.iter().map(|group| group.abs()).sum(), patients));
    Ok(Exact {
        accuracy: counts::accuracy(&confusion, classes),
        macro_f1: counts::macro_f1(&confusion, classes),
        macro_auc: mean(aucs.iter().copied()),
        class_auc: aucs,
        calibration_error: mean(errors),
        confusion: confusion
            .chunks_exact(classes)
            .map(<[f64]>::to_vec)
            .collect(),
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

fn check_counts(got: usize, classes: usize, histograms: &Histograms) -> Result<(), MetricsError> {
    let want = counts_length(classes, histograms);
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

/// The area under the curve from the patients' own scores, by ranks (Mann & Whitney 1947).
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

#[cfg(test)]
mod tests;
