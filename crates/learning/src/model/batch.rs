//! Patients as the models take them.

use super::ModelError;

/// Patients' inputs, one row of *slots* a patient: the modalities in the study's order, a series as
/// `[bins, features]` (row-major, oldest bin first), a static modality as `[features]`.
///
/// # Shapes
///
/// - `values`: `[patients, slots]`, normalised to a mean of 0 and a standard deviation of 1 in the reference
///   population; a patient with a known one that is not finite counts as one of whom nothing can be used
/// - `missing`: `[patients, slots]`, 1 where the value is missing, else 0; the value there is not looked at
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The values.
    pub values: &'a [f32],
    /// Where they are missing.
    pub missing: &'a [f32],
}

impl<'a> Batch<'a> {
    /// The number of patients.
    pub(super) fn patients(&self, slots: usize) -> Result<usize, ModelError> {
        let length = self.values.len();
        if slots == 0 || !length.is_multiple_of(slots) {
            return Err(ModelError::Length {
                what: "values",
                got: length,
                unit: slots,
            });
        }
        if self.missing.len() != length {
            return Err(ModelError::Length {
                what: "missingness",
                got: self.missing.len(),
                unit: length,
            });
        }
        if let Some(place) = self.ambiguous() {
            return Err(ModelError::Input {
                patient: place / slots,
                slot: place % slots,
            });
        }
        Ok(length / slots)
    }

    /// The first place of which it is not said whether it is missing.
    fn ambiguous(&self) -> Option<usize> {
        let said = |missing: &f32| {
            let known = missing.to_bits() == 0.0_f32.to_bits();
            known | (missing.to_bits() == 1.0_f32.to_bits())
        };
        // A loop without an end in the middle has vectors; it is nearly always enough.
        if self
            .missing
            .iter()
            .map(said)
            .fold(true, |all, said| all & said)
        {
            None
        } else {
            self.missing.iter().position(|missing| !said(missing))
        }
    }

    /// The patients who have a known value that is not finite, in ascending order: nearly always none.
    pub(super) fn broken(&self, slots: usize) -> Vec<usize> {
        let fits = |(value, missing): (&f32, &f32)| value.is_finite() | (*missing > 0.0);
        let whole = self.values.iter().zip(self.missing);
        if whole.map(fits).fold(true, |all, fits| all & fits) {
            return Vec::new();
        }
        let rows = self.rows(slots).enumerate();
        rows.filter(|(_, (values, missing))| !values.iter().zip(*missing).all(fits))
            .map(|(patient, _)| patient)
            .collect()
    }

    /// The patients in pieces of `patients`, the last one shorter.
    pub(super) fn chunks(self, slots: usize, patients: usize) -> impl Iterator<Item = Batch<'a>> {
        let length = slots * patients;
        self.values
            .chunks(length)
            .zip(self.missing.chunks(length))
            .map(|(values, missing)| Batch { values, missing })
    }

    /// The rows in `range`.
    pub(super) fn part(self, slots: usize, range: std::ops::Range<usize>) -> Self {
        let range = range.start * slots..range.end * slots;
        Batch {
            values: &self.values[range.clone()],
            missing: &self.missing[range],
        }
    }

    /// The patients one by one: values and missingness, each `[slots]`.
    pub(super) fn rows(self, slots: usize) -> impl Iterator<Item = (&'a [f32], &'a [f32])> {
        self.values
            .chunks_exact(slots)
            .zip(self.missing.chunks_exact(slots))
    }
}

/// The value to compute with: a missing one is 0, the mean.
pub(super) fn known(value: f32, missing: f32) -> f32 {
    if missing > 0.0 { 0.0 } else { value }
}
