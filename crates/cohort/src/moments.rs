//! Means and standard deviations that sites learn together.
//!
//! Each training patient counts once in a feature: by the mean of the patient's own values of all labels, so that a
//! patient with many measurements weighs no more than one with few, and one patient's part of the sum is bounded. The mean is
//! mapped so that the feature's plausible range becomes -1 to 1.
//!
//! ```text
//! for each feature: [patients with a value, Σ m, Σ m²]     m = 2·(mean − low) / (high − low) − 1
//! ```

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
            let (mut count, mut sum) = (0.0, 0.0);
            for row in rows.clone() {
                let (values, observed) = (patients.values(row), patients.observed(row));
                for place in places.clone().filter(|place| observed[*place] != 0) {
                    count += 1.0;
                    sum += f64::from(values[place]);
                }
            }
            if count > 0.0 {
                let mapped = map(sum / count, feature);
                entries[0] += 1.0;
                entries[1] += mapped;
                entries[2] += mapped * mapped;
            }
        }
        vector.added(1);
    }
    vector.into_total()
}

/// For each feature in order: of every patient with a value, the mean of the patient's own values, of all splits.
pub(crate) fn patient_means(patients: &Patients, cohort: &Cohort) -> Vec<Vec<f64>> {
    let slots = Slots::of(cohort);
    let of_feature = |places: Vec<usize>| {
        let means = patients.patients().iter().filter_map(|rows| {
            let rows = rows.clone();
            let values = rows.flat_map(|row| {
                let (values, observed) = (patients.values(row), patients.observed(row));
                let there = places.iter().filter(|place| observed[**place] != 0);
                there.map(|place| f64::from(values[*place]))
            });
            let (count, sum) =
                values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
            (count > 0.0).then_some(sum / count)
        });
        means.collect()
    };
    slots
        .of_features()
        .map(|places| of_feature(places.collect()))
        .collect()
}

/// The feature's plausible range as -1 to 1.
fn map(value: f64, feature: &Feature) -> f64 {
    (2.0 * (value - feature.low) / (feature.high - feature.low) - 1.0).clamp(-1.0, 1.0)
}
