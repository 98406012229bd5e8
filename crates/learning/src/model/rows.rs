//! What a model makes of patients, of whom some may not be usable.

use super::ModelError;

/// As many numbers for each patient; none for those of whom an input or a result is not finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// Numbers of a patient, at least 1.
    width: usize,
    /// `[patients, width]`; anything of those who are not usable.
    values: Vec<f32>,
    /// Patients who are not usable, in ascending order.
    unusable: Vec<usize>,
}

impl Rows {
    /// Of `[patients, width]`, where these `broken` patients had inputs that are not finite.
    pub(super) fn new(width: usize, values: Vec<f32>, broken: &[usize]) -> Self {
        let rows = values.chunks_exact(width).enumerate();
        let unusable = rows.filter(|(patient, row)| {
            row.iter().any(|value| !value.is_finite()) || broken.binary_search(patient).is_ok()
        });
        let unusable = unusable.map(|(patient, _)| patient).collect();
        Self {
            width,
            values,
            unusable,
        }
    }

    /// Each patient's numbers in turn, `[width]`; `None` where the patient is not usable.
    pub fn each(&self) -> impl Iterator<Item = Option<&[f32]>> {
        let mut unusable = self.unusable.iter().peekable();
        let rows = self.values.chunks_exact(self.width).enumerate();
        rows.map(move |(patient, row)| match unusable.next_if_eq(&&patient) {
            Some(_) => None,
            None => Some(row),
        })
    }

    /// All patients' numbers, `[patients, width]`.
    ///
    /// # Errors
    ///
    /// [`ModelError::Diverged`] where a patient is not usable.
    pub fn all(self) -> Result<Vec<f32>, ModelError> {
        match self.unusable.first() {
            Some(&patient) => Err(ModelError::Diverged { patient }),
            None => Ok(self.values),
        }
    }
}
