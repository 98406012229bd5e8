//! Per-patient gradients, their norms, and the sum of the clipped ones.

use super::ModelError;
use super::dot::dot;
use super::selection::Selection;

/// What [`super::Network::clipped_sum`] saw of each patient: patient data, which stays at the site.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GradientReport {
    /// L2 norm of each patient's gradient, of all labels and over all trained weights together, before clipping.
    pub norms: Vec<f64>,
    /// The loss of each label: minus the natural logarithm of the probability of its class.
    pub losses: Vec<f64>,
}

/// The gradients of the labels of a chunk, `[labels, weights]`; after [`Gradients::add_up`], `[patients, weights]`.
pub(super) struct Gradients {
    weights: usize,
    values: Vec<f32>,
}

impl Gradients {
    pub(super) fn new(patients: usize, weights: usize) -> Self {
        Self {
            weights,
            values: vec![0.0; patients * weights],
        }
    }

    /// Sets a block that starts at weight `start` for all patients; `block` is `[patients, any]`.
    pub(super) fn put(&mut self, start: usize, block: &[f32]) {
        let length = block.len() * self.weights / self.values.len().max(1);
        for (patient, part) in self
            .values
            .chunks_exact_mut(self.weights)
            .zip(block.chunks_exact(length))
        {
            patient[start..start + length].copy_from_slice(part);
        }
    }

    /// The gradient of the first patient.
    pub(super) fn first_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.weights]
    }

    /// Puts the gradients of more labels behind these.
    pub(super) fn append(&mut self, mut more: Self) {
        if self.values.is_empty() {
            *self = more;
        } else {
            self.values.append(&mut more.values);
        }
    }

    /// The gradient of each patient.
    pub(super) fn patients_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.values.chunks_exact_mut(self.weights)
    }

    /// Adds the gradients of each patient's labels, of which there are as many as `patients` says for each, in order:
    /// what is left is one gradient a patient.
    pub(super) fn add_up(&mut self, patients: &[usize]) {
        let mut first = 0;
        for (patient, labels) in patients.iter().enumerate() {
            let own = patient * self.weights;
            let rows = first * self.weights..(first + labels) * self.weights;
            self.values
                .copy_within(rows.start..rows.start + self.weights, own);
            let (before, others) = self.values.split_at_mut(rows.start + self.weights);
            let sum = &mut before[own..own + self.weights];
            for other in others[..rows.len() - self.weights].chunks_exact(self.weights) {
                for (sum, value) in sum.iter_mut().zip(other) {
                    *sum += value;
                }
            }
            first += labels;
        }
        self.values.truncate(patients.len() * self.weights);
    }
}

impl PatientGradients for Gradients {
    fn norms(&self, trained: &Selection) -> Vec<f64> {
        let norm = |gradient| {
            let gradient = trained.of(gradient);
            dot(&gradient, &gradient).sqrt()
        };
        self.values.chunks_exact(self.weights).map(norm).collect()
    }

    fn add_scaled(&self, trained: &Selection, factors: &[f64], sum: &mut [f64]) {
        for (gradient, factor) in self.values.chunks_exact(self.weights).zip(factors) {
            for (sum, value) in sum.iter_mut().zip(trained.of(gradient).iter()) {
                *sum += factor * f64::from(*value);
            }
        }
    }
}

/// The gradients of some patients, each of all of the patient's labels.
pub(super) trait PatientGradients {
    /// The L2 norm of each patient's gradient over the trained weights.
    fn norms(&self, trained: &Selection) -> Vec<f64>;

    /// Adds each patient's gradient of the trained weights times the patient's factor to `sum`, `[trained]`.
    fn add_scaled(&self, trained: &Selection, factors: &[f64], sum: &mut [f64]);
}

/// Adds each patient's gradient of the trained weights times `min(1, clip / norm)` to `sum`; the norms, over the trained
/// weights, are added to `norms`.
///
/// Claim: what a patient adds has an L2 norm of at most `clip`, rounding included.
pub(super) fn clip_into(
    gradients: &dyn PatientGradients,
    trained: &Selection,
    clip: f64,
    sum: &mut [f64],
    norms: &mut Vec<f64>,
) -> Result<(), ModelError> {
    let own = gradients.norms(trained);
    if let Some(place) = own.iter().position(|norm| !norm.is_finite()) {
        let patient = norms.len() + place;
        return Err(ModelError::Diverged { patient });
    }
    let factor = |norm: &f64| {
        if *norm <= clip * (1.0 - SLACK) {
            1.0
        } else {
            clip / norm * (1.0 - SLACK)
        }
    };
    let factors: Vec<f64> = own.iter().map(factor).collect();
    gradients.add_scaled(trained, &factors, sum);
    norms.extend(own);
    Ok(())
}

/// More than the rounding of a norm and of a product can be: 2⁻⁵³ for each of 2²⁴ weights.
const SLACK: f64 = 1e-8;

#[cfg(test)]
mod tests {
    use protocol::study::Trained;

    use super::*;
    use crate::model::parameter::{Parameters, Start};

    /// All of one block of `weights`.
    fn all(weights: usize) -> Selection {
        let mut parameters = Parameters::default();
        parameters
            .push("block".to_owned(), &[weights], Start::Constant(0.0))
            .unwrap();
        Selection::new(parameters.blocks(), &Trained::All).unwrap()
    }

    fn clipped(clip: f64) -> (Vec<f64>, Vec<f64>) {
        let mut gradients = Gradients::new(2, 3);
        gradients.put(0, &[3.0, 0.6]);
        gradients.put(1, &[0.0, 4.0, 0.8, 0.0]);
        let mut sum = vec![0.0; 3];
        let mut norms = Vec::new();
        clip_into(&gradients, &all(3), clip, &mut sum, &mut norms).unwrap();
        (sum, norms)
    }

    fn assert_near(got: &[f64], want: &[f64]) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-7, "{got} is not {want}");
        }
    }

    #[test]
    fn only_gradients_beyond_the_clip_norm_are_shortened() {
        let (sum, norms) = clipped(2.0);
        assert_near(&norms, &[5.0, 1.0]);
        assert_near(&sum, &[1.2 + 0.6, 0.8, 1.6]);
    }

    #[test]
    fn the_gradients_of_a_patient_are_added_before_their_norm_is_taken() {
        let mut gradients = Gradients::new(4, 2);
        gradients.put(0, &[3.0, 1.0, 3.0, -5.0]);
        gradients.put(1, &[0.5, -2.0, 6.0, 7.0]);
        gradients.add_up(&[1, 3]);
        let mut sum = vec![0.0; 2];
        let mut norms = Vec::new();
        clip_into(&gradients, &all(2), 5.0, &mut sum, &mut norms).unwrap();
        // 1 + 3 - 5 and -2 + 6 + 7.
        assert_near(&norms, &[9.25_f64.sqrt(), 122_f64.sqrt()]);
        let factor = 5.0 / 122_f64.sqrt();
        assert_near(&sum, &[3.0 - factor, 0.5 + 11.0 * factor]);
    }

    #[test]
    fn an_infinite_clip_norm_shortens_nothing() {
        assert_near(&clipped(f64::INFINITY).0, &[3.6, 0.8, 4.0]);
    }

    #[test]
    fn a_norm_that_is_not_finite_is_refused() {
        let mut gradients = Gradients::new(2, 1);
        gradients.put(0, &[1.0, f32::NAN]);
        let refused = clip_into(&gradients, &all(1), 1.0, &mut [0.0], &mut Vec::new());
        assert_eq!(refused, Err(ModelError::Diverged { patient: 1 }));
    }
}
