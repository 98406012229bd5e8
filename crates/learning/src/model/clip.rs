//! Per-patient gradients, their norms, and the sum of the clipped ones.

use super::dot::dot;
use super::selection::Selection;

/// What [`super::Network::clipped_sum`] saw of each patient: patient data, which stays at the site.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GradientReport {
    /// L2 norm of each patient's gradient, of all labels and over all trained weights together, before clipping; 0 of those
    /// who are not usable.
    pub norms: Vec<f64>,
    /// The loss of each label: minus the natural logarithm of the probability of its class; that of a class as probable as
    /// any other where the patient is not usable.
    pub losses: Vec<f64>,
    /// Patients of whom an input, a loss or a gradient is not finite: they added nothing.
    pub unusable: usize,
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

    fn silence(&mut self, patient: usize) {
        self.values[patient * self.weights..][..self.weights].fill(0.0);
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
    /// The L2 norm of each patient's gradient over the trained weights. It neither under- nor overflows: it is right to
    /// 2⁻³⁰ of itself, or not finite where the gradient is not, or is beyond 10⁹⁰.
    fn norms(&self, trained: &Selection) -> Vec<f64>;

    /// Sets a patient's gradient to 0, whatever it was: what is not finite must not be multiplied, not even by 0.
    fn silence(&mut self, patient: usize);

    /// Adds each patient's gradient of the trained weights times the patient's factor to `sum`, `[trained]`.
    fn add_scaled(&self, trained: &Selection, factors: &[f64], sum: &mut [f64]);
}

/// Patients who are computed together, and what is known of them.
pub(super) struct Group<'a> {
    /// Their gradients.
    pub(super) gradients: &'a mut dyn PatientGradients,
    /// The labels of each, in order.
    pub(super) patients: &'a [usize],
    /// The loss of each label.
    pub(super) losses: &'a mut [f64],
}

/// Adds each patient's gradient of the trained weights times the patient's [`factor`] to `sum`, and what was seen, but for
/// the losses, to `report`. A patient of whom the norm or a loss is not finite adds nothing, and gets `unknown` for losses.
///
/// Claim: what a patient adds has an L2 norm of at most `clip`, rounding included, and depends on no other patient.
pub(super) fn clip_into(
    group: Group<'_>,
    trained: &Selection,
    clip: f64,
    unknown: f64,
    sum: &mut [f64],
    report: &mut GradientReport,
) {
    let Group {
        gradients,
        patients,
        mut losses,
    } = group;
    let mut norms = gradients.norms(trained);
    for (patient, (norm, labels)) in norms.iter_mut().zip(patients).enumerate() {
        let (own, others) = losses.split_at_mut(*labels);
        losses = others;
        if norm.is_finite() && own.iter().all(|loss| loss.is_finite()) {
            continue;
        }
        gradients.silence(patient);
        *norm = 0.0;
        own.fill(unknown);
        report.unusable += 1;
    }
    let factors: Vec<f64> = norms.iter().map(|norm| factor(*norm, clip)).collect();
    gradients.add_scaled(trained, &factors, sum);
    report.norms.extend(norms);
}

/// What a gradient of this norm is multiplied by: `min(1, C / (norm + τ))`, where τ is a share of the clip norm C, so that no
/// norm is divided by, however small; a little less, so that norm times factor is below C when both are rounded. 1 where
/// nothing is clipped.
fn factor(norm: f64, clip: f64) -> f64 {
    if clip.is_infinite() {
        return 1.0;
    }
    (clip * (1.0 - SLACK) / (norm + clip * TAU)).min(1.0)
}

/// More than the rounding of a norm and of a product can be: 2⁻⁵³ for each of 2²⁴ weights.
const SLACK: f64 = 1e-8;

/// τ over the clip norm.
const TAU: f64 = 1e-9;

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
        added(&mut gradients, &[1, 1], &all(3), clip)
    }

    /// What the patients add, and their norms.
    fn added(
        gradients: &mut Gradients,
        patients: &[usize],
        trained: &Selection,
        clip: f64,
    ) -> (Vec<f64>, Vec<f64>) {
        let mut sum = vec![0.0; trained.length()];
        let mut report = GradientReport::default();
        let group = Group {
            gradients,
            patients,
            losses: &mut vec![0.0; patients.iter().sum()],
        };
        clip_into(group, trained, clip, 1.0, &mut sum, &mut report);
        (sum, report.norms)
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
        let (sum, norms) = added(&mut gradients, &[1, 3], &all(2), 5.0);
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
    fn a_patient_that_is_not_finite_adds_nothing_and_changes_nobody_else() {
        for broken in [f32::NAN, f32::INFINITY] {
            let mut gradients = Gradients::new(3, 1);
            gradients.put(0, &[0.5, broken, 0.25]);
            let (sum, norms) = added(&mut gradients, &[1, 1, 1], &all(1), 1.0);
            assert_eq!((sum, norms), (vec![0.75], vec![0.5, 0.0, 0.25]));
        }
    }

    #[test]
    fn a_loss_that_is_not_finite_silences_its_patient_and_no_other() {
        let mut gradients = Gradients::new(2, 1);
        gradients.put(0, &[0.5, 0.25]);
        let mut report = GradientReport::default();
        let (mut sum, mut losses) = ([0.0], [0.1, f64::INFINITY, 0.2]);
        let group = Group {
            gradients: &mut gradients,
            patients: &[2, 1],
            losses: &mut losses,
        };
        clip_into(group, &all(1), 1.0, 7.0, &mut sum, &mut report);
        assert_eq!((sum, losses), ([0.25], [7.0, 7.0, 0.2]));
        assert_eq!((report.norms, report.unusable), (vec![0.0, 0.25], 1));
    }

    #[test]
    fn no_gradient_is_longer_than_the_clip_norm_after_it_was_multiplied() {
        let exponents = || {
            (-1_000..1_000)
                .step_by(7)
                .map(|exponent| f64::from(exponent).exp2())
        };
        for clip in [1e-6, 1e-3, 1.0, 0.7, 1e6_f64] {
            for norm in exponents().chain([clip, clip.next_up(), clip.next_down(), 0.0]) {
                let factor = factor(norm, clip);
                assert!(
                    (0.0..=1.0).contains(&factor) && norm * factor <= clip,
                    "{norm} {clip}"
                );
            }
        }
    }
}
