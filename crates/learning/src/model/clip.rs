//! Per-patient gradients, their norms, and the sum of the clipped ones.

use super::ModelError;

/// What [`super::Network::clipped_sum`] saw of each patient: patient data, which stays at the site.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GradientReport {
    /// L2 norm of each patient's gradient, over all weights together, before clipping.
    pub norms: Vec<f64>,
    /// Each patient's loss: minus the natural logarithm of the probability of its class.
    pub losses: Vec<f64>,
}

/// The gradients of the patients of a chunk, `[patients, weights]`.
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

    /// The gradient of each patient.
    pub(super) fn patients_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.values.chunks_exact_mut(self.weights)
    }

    /// Adds each patient's gradient times `min(1, clip / norm)` to `sum`, in the order of the patients; the norms
    /// are added to `norms`.
    ///
    /// Claim: what a patient adds has an L2 norm of at most `clip`, rounding included.
    pub(super) fn clip_into(
        &self,
        clip: f64,
        sum: &mut [f64],
        norms: &mut Vec<f64>,
    ) -> Result<(), ModelError> {
        for gradient in self.values.chunks_exact(self.weights) {
            let norm = norm(gradient);
            if !norm.is_finite() {
                return Err(ModelError::Diverged {
                    patient: norms.len(),
                });
            }
            norms.push(norm);
            let factor = if norm <= clip * (1.0 - SLACK) {
                1.0
            } else {
                clip / norm * (1.0 - SLACK)
            };
            for (sum, value) in sum.iter_mut().zip(gradient) {
                *sum += factor * f64::from(*value);
            }
        }
        Ok(())
    }

    /// Adds each patient's gradient to `sum`, in the order of the patients.
    pub(super) fn add_into(&self, sum: &mut [f64]) {
        for gradient in self.values.chunks_exact(self.weights) {
            for (sum, value) in sum.iter_mut().zip(gradient) {
                *sum += f64::from(*value);
            }
        }
    }
}

/// More than the rounding of a norm and of a product can be: 2⁻⁵³ for each of 2²⁴ weights.
const SLACK: f64 = 1e-8;

/// The L2 norm. Eight sums beside each other, so that the compiler can use vectors without another rounding.
fn norm(gradient: &[f32]) -> f64 {
    let mut sums = [0.0; 8];
    let (blocks, rest) = gradient.as_chunks::<8>();
    for block in blocks {
        for (sum, value) in sums.iter_mut().zip(block) {
            *sum += f64::from(*value) * f64::from(*value);
        }
    }
    let rest: f64 = rest
        .iter()
        .map(|value| f64::from(*value) * f64::from(*value))
        .sum();
    (sums.iter().sum::<f64>() + rest).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clipped(clip: f64) -> (Vec<f64>, Vec<f64>) {
        let mut gradients = Gradients::new(2, 3);
        gradients.put(0, &[3.0, 0.6]);
        gradients.put(1, &[0.0, 4.0, 0.8, 0.0]);
        let mut sum = vec![0.0; 3];
        let mut norms = Vec::new();
        gradients.clip_into(clip, &mut sum, &mut norms).unwrap();
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
    fn an_infinite_clip_norm_shortens_nothing() {
        assert_near(&clipped(f64::INFINITY).0, &[3.6, 0.8, 4.0]);
    }

    #[test]
    fn a_norm_that_is_not_finite_is_refused() {
        let mut gradients = Gradients::new(2, 1);
        gradients.put(0, &[1.0, f32::NAN]);
        let refused = gradients.clip_into(1.0, &mut [0.0], &mut Vec::new());
        assert_eq!(refused, Err(ModelError::Diverged { patient: 1 }));
    }
}
