//! From values in clinical units to the numbers that a model sees.

use protocol::door::Moments;
use protocol::study::Cohort;

use crate::patients::{Outcome, Rows};
use crate::slots::Slots;

/// The study's reference mean and standard deviation of each feature, in order.
#[must_use]
pub fn reference(cohort: &Cohort) -> Vec<Moments> {
    cohort
        .features()
        .map(|feature| Moments {
            mean: feature.mean,
            sd: feature.sd,
        })
        .collect()
}

/// The most that a normalised value is, either way of 0: so many standard deviations from the mean.
///
/// A value beyond is set to it. No plausible value is beyond with moments that sites can come to share
/// ([`protocol::study::Feature::shared_deviations`]); with reference moments, or implausible values, it may be.
pub const MOST_DEVIATIONS: f32 = 4_096.0;

/// Turns values `v` into `(v − mean) / sd`, at most [`MOST_DEVIATIONS`], the same for all bins of a feature.
#[derive(Clone, Debug)]
pub struct Normaliser {
    /// `[slots]`
    means: Vec<f32>,
    /// `[slots]`: 1 / sd.
    scales: Vec<f32>,
}

/// Normalised values of some patients.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Patients.
    pub patients: usize,
    /// Values of one patient.
    pub slots: usize,
    /// `[patients, slots]`, row-major; 0, the mean, where missing; none beyond [`MOST_DEVIATIONS`].
    pub values: Vec<f32>,
    /// `[patients, slots]`, row-major; 1 where missing, else 0.
    pub missing: Vec<f32>,
}

/// Why moments cannot normalise a study's values.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NormaliseError {
    /// One pair of moments a feature is wanted.
    #[error("{found} moments were given and the study has {want} features")]
    Length {
        /// Moments given.
        found: usize,
        /// Features of the study.
        want: usize,
    },
    /// A mean that is not finite, or a standard deviation that is not above 0.
    #[error("feature {feature} (from 0) has mean {mean} and sd {sd}: want finite, and sd above 0")]
    Value {
        /// The feature's place.
        feature: usize,
        /// Its mean.
        mean: f64,
        /// Its standard deviation.
        sd: f64,
    },
}

impl Normaliser {
    /// Normalises by one pair of moments a feature: [`reference()`], or what the sites share.
    ///
    /// # Errors
    ///
    /// Too many or too few moments, and moments that are not finite or divide by 0.
    pub fn new(cohort: &Cohort, moments: &[Moments]) -> Result<Self, NormaliseError> {
        let slots = Slots::of(cohort);
        let want = cohort.features().count();
        if moments.len() != want {
            return Err(NormaliseError::Length {
                found: moments.len(),
                want,
            });
        }
        let mut means = vec![0.0; slots.len()];
        let mut scales = vec![0.0; slots.len()];
        for (feature, (moments, places)) in moments.iter().zip(slots.of_features()).enumerate() {
            let Moments { mean, sd } = *moments;
            let (single_mean, scale) = (single(mean), single(1.0 / sd));
            if !single_mean.is_finite() || !scale.is_finite() || scale <= 0.0 {
                return Err(NormaliseError::Value { feature, mean, sd });
            }
            for place in places {
                means[place] = single_mean;
                scales[place] = scale;
            }
        }
        Ok(Self { means, scales })
    }

    /// The normalised values of the patients at `places`, in that order; a place may stand more than once.
    ///
    /// # Panics
    ///
    /// A place is not below the number of patients, or the patients are of another study.
    #[must_use]
    pub fn apply<L: Outcome>(&self, patients: &Rows<L>, places: &[usize]) -> Batch {
        let slots = self.means.len();
        assert_eq!(
            patients.slots(),
            slots,
            "patients and normaliser are of one study"
        );
        let mut values = Vec::with_capacity(places.len() * slots);
        let mut missing = Vec::with_capacity(places.len() * slots);
        for &patient in places {
            let there = patients.observed(patient).iter().copied().map(f32::from);
            let constants = self.means.iter().zip(&self.scales);
            let row = patients.values(patient).iter().zip(there.clone());
            values.extend(row.zip(constants).map(|((value, there), (mean, scale))| {
                // Finite before it is multiplied by 0 where it is missing.
                held((value - mean) * scale) * there
            }));
            missing.extend(there.map(|there| 1.0 - there));
        }
        Batch {
            patients: places.len(),
            slots,
            values,
            missing,
        }
    }
}

/// The value, or the nearest that a normalised one can be.
fn held(value: f32) -> f32 {
    value.clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding is what is wanted"
)]
fn single(value: f64) -> f32 {
    value as f32
}
