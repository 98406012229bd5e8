//! Means and standard deviations that sites learn together.
//!
//! Each training patient counts once in a feature: by the mean of the patient's own values of all labels, so that a
//! patient with many measurements weighs no more than one with few, and one patient's part of the sum is bounded. The mean is
//! mapped so that the feature's plausible range becomes -1 to 1.
//!
//! ```text
//! for each feature: [patients with a value, Σ m, Σ m²]     m = 2·(mean − low) / (high − low) − 1
//! ```

use std::ops::Range;

use privacy::BlockedSum;
use protocol::door::Split;
use protocol::study::{Cohort, Feature};

use crate::patients::Patients;
use crate::slots::Slots;

/// Entries of a feature: count, sum, sum of squares.
const ENTRIES: usize = 3;

/// What a site adds to the moments' sum: of its training patients, `[count, sum, sum of squares]` for each feature.
///
/// Each patient changes each entry by at most 1, either way of 0. Length: 3 a feature.
#[must_use]
pub fn moment_vector(patients: &Patients, cohort: &Cohort) -> Vec<f64> {
    let slots = Slots::of(cohort);
    let mut vector = BlockedSum::new(ENTRIES * cohort.features().count());
    for rows in patients.of_split(Split::Train) {
        let features = cohort.features().zip(slots.of_features());
        let entries = vector.block().chunks_exact_mut(ENTRIES);
        for (entries, (feature, places)) in entries.zip(features) {
            if let Some(mean) = patient_mean(patients, rows.clone(), &places) {
                let mapped = map(mean, feature);
                entries[0] += 1.0;
                entries[1] += mapped;
                entries[2] += mapped * mapped;
            }
        }
        vector.added(1);
    }
    vector.into_total()
}

/// Of every patient with a value at these places, which are a feature's: the mean of the patient's own values, of all splits.
pub(crate) fn patient_means(
    patients: &Patients,
    places: impl Iterator<Item = usize> + Clone,
) -> impl Iterator<Item = f64> {
    let rows = patients.patients().iter().cloned();
    rows.filter_map(move |rows| patient_mean(patients, rows, &places))
}

/// The mean of the values that there are in these rows at these places.
fn patient_mean(
    patients: &Patients,
    rows: Range<usize>,
    places: &(impl Iterator<Item = usize> + Clone),
) -> Option<f64> {
    let (mut count, mut sum) = (0.0, 0.0);
    for row in rows {
        let (values, observed) = (patients.values(row), patients.observed(row));
        for place in places.clone().filter(|place| observed[*place] != 0) {
            count += 1.0;
            sum += f64::from(values[place]);
        }
    }
    (count > 0.0).then(|| sum / count)
}

/// The feature's plausible range as -1 to 1.
fn map(value: f64, feature: &Feature) -> f64 {
    (2.0 * (value - feature.low) / (feature.high - feature.low) - 1.0).clamp(-1.0, 1.0)
}
