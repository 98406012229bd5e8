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
    /// The number of patients, and which of them have a known value that is not finite: in ascending order, nearly always none.
    pub(super) fn patients(&self, slots: usize) -> Result<(usize, Vec<usize>), ModelError> {
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
        let patients = length / slots;
        let each = self.values.iter().zip(self.missing);
        // A loop without an end in the middle has vectors; it is nearly always enough.
        if each.map(fits).fold(true, |all, fits| all & fits) {
            return Ok((patients, Vec::new()));
        }
        if let Some(place) = self.missing.iter().position(|missing| !said(*missing)) {
            return Err(ModelError::Input {
                patient: place / slots,
                slot: place % slots,
            });
        }
        let rows = self.rows(slots).enumerate();
        let broken = rows.filter(|(_, (values, missing))| !values.iter().zip(*missing).all(fits));
        Ok((patients, broken.map(|(patient, _)| patient).collect()))
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

/// Whether it is said of a value whether it is missing.
fn said(missing: f32) -> bool {
    let (known, gone) = (0.0_f32.to_bits(), 1.0_f32.to_bits());
    (missing.to_bits() == known) | (missing.to_bits() == gone)
}

/// Whether a value is missing, or known and finite.
fn fits((value, missing): (&f32, &f32)) -> bool {
    let known = missing.to_bits() == 0.0_f32.to_bits();
    let gone = missing.to_bits() == 1.0_f32.to_bits();
    gone | (known & value.is_finite())
}

/// The value to compute with: a missing one is 0, the mean.
pub(super) fn known(value: f32, missing: f32) -> f32 {
    if missing > 0.0 { 0.0 } else { value }
}
