//! From a patient's features to the probability of each class, and back.
//!
//! Plain `f64`: a head is a few numbers a patient, and the logarithms of small probabilities want the range.

use std::ops::Range;

use protocol::study::Head as HeadKind;

use super::ModelError;
use super::dot::dot;
use super::factors::Layer;
use super::parameter::{Parameters, Start};

/// The last layer.
#[derive(Clone, Debug)]
pub(super) struct Head {
    kind: Kind,
    width: usize,
    classes: usize,
}

#[derive(Clone, Debug)]
enum Kind {
    /// One score a class: `weight` is `[classes, width]`, `bias` `[classes]`.
    Softmax {
        weight: Range<usize>,
        bias: Range<usize>,
    },
    /// Cumulative logits ([McC80], section 2): `P(class ≤ k) = σ(θ_k − weight · features)`.
    ///
    /// `θ_1` is `threshold`; each next one is higher by `softplus` of one of `steps`, so they are always in order.
    ///
    /// [McC80]: https://doi.org/10.1111/j.2517-6161.1980.tb01109.x
    Ordinal {
        weight: Range<usize>,
        threshold: Range<usize>,
        steps: Range<usize>,
    },
}

impl Head {
    /// Adds the head's weights, which start where every class has the same probability (for an ordinal head of more
    /// than three classes: where the thresholds are as far apart as each other).
    pub(super) fn new(
        parameters: &mut Parameters,
        kind: HeadKind,
        width: usize,
        classes: usize,
    ) -> Result<Self, ModelError> {
        if classes < 2 {
            let got = u32::try_from(classes).unwrap_or(u32::MAX);
            let what = "the number of classes".to_owned();
            return Err(ModelError::Setting {
                what,
                got,
                want: "at least 2",
            });
        }
        let name = |name: &str| format!("head.{name}");
        let zero = Start::Constant(0.0);
        let kind = match kind {
            HeadKind::Softmax => Kind::Softmax {
                weight: parameters.push(name("weight"), &[classes, width], zero)?,
                bias: parameters.push(name("bias"), &[classes], zero)?,
            },
            HeadKind::Ordinal => {
                let (threshold, step) = even_thresholds(classes);
                Kind::Ordinal {
                    weight: parameters.push(name("weight"), &[1, width], zero)?,
                    threshold: parameters.push(name("threshold"), &[1], threshold)?,
                    steps: parameters.push(name("steps"), &[classes - 2], step)?,
                }
            }
        };
        Ok(Self {
            kind,
            width,
            classes,
        })
    }

    pub(super) fn classes(&self) -> usize {
        self.classes
    }

    /// The logits of one patient: one a class, or `θ_k − score` for each threshold.
    pub(super) fn logits(&self, weights: &[f32], features: &[f32]) -> Vec<f64> {
        match &self.kind {
            Kind::Softmax { weight, bias } => weights[weight.clone()]
                .chunks_exact(self.width)
                .zip(&weights[bias.clone()])
                .map(|(row, bias)| dot(row, features) + f64::from(*bias))
                .collect(),
            Kind::Ordinal {
                weight,
                threshold,
                steps,
            } => {
                let first =
                    f64::from(weights[threshold.start]) - dot(&weights[weight.clone()], features);
                let mut logits = vec![first];
                for step in &weights[steps.clone()] {
                    let last = logits[logits.len() - 1];
                    logits.push(last + softplus(f64::from(*step)));
                }
                logits
            }
        }
    }

    /// The probabilities of the classes, which add to 1, from the logits of one patient.
    pub(super) fn probabilities(&self, logits: &[f64]) -> Vec<f64> {
        match &self.kind {
            Kind::Softmax { .. } => {
                let total = log_sum_exp(logits);
                logits.iter().map(|logit| (logit - total).exp()).collect()
            }
            Kind::Ordinal { .. } => (0..self.classes)
                .map(|class| Interval::of(class, logits).log_probability().exp())
                .collect(),
        }
    }

    /// The loss of one patient. Its gradient is written into `gradient`, `[weights of the model]`, and into
    /// `features_gradient`, `[width]`.
    pub(super) fn backward(
        &self,
        weights: &[f32],
        features: &[f32],
        label: usize,
        gradient: &mut [f32],
        features_gradient: &mut [f32],
    ) -> f64 {
        let (weight, others) = (self.weight(), self.others());
        let mut slopes = vec![0.0; self.outputs()];
        let mut others_slopes = vec![0.0; others.len()];
        let loss = self.slopes(weights, features, label, &mut slopes, &mut others_slopes);
        let rows = weights[weight.clone()].chunks_exact(self.width);
        let gradients = gradient[weight].chunks_exact_mut(self.width);
        for ((row, gradient), slope) in rows.zip(gradients).zip(&slopes) {
            scaled(features, *slope, gradient);
            add_scaled(row, *slope, features_gradient);
        }
        for (gradient, slope) in gradient[others].iter_mut().zip(&others_slopes) {
            *gradient = narrow(*slope);
        }
        loss
    }

    /// The gradients of labels in the head's weights, from `features`, `[labels, width]`; the losses are added to
    /// `losses`.
    pub(super) fn layer(
        &self,
        weights: &[f32],
        features: Vec<f32>,
        labels: &[usize],
        losses: &mut Vec<f64>,
    ) -> Layer {
        let (outputs, others) = (self.outputs(), self.others());
        let mut slopes = vec![0.0; labels.len() * outputs];
        let mut others_slopes = vec![0.0; labels.len() * others.len()];
        let rows = slopes
            .chunks_exact_mut(outputs)
            .zip(others_slopes.chunks_exact_mut(others.len()));
        let labels = features.chunks_exact(self.width).zip(labels);
        for ((features, label), (slopes, others)) in labels.zip(rows) {
            losses.push(self.slopes(weights, features, *label, slopes, others));
        }
        Layer::new((self.weight(), others), features, slopes, others_slopes)
    }

    /// The slopes of labels' features, `[labels, width]`, from those of the head's outputs.
    pub(super) fn features_slopes(&self, weights: &[f32], outputs: &[f64]) -> Vec<f64> {
        let mut slopes = vec![0.0; outputs.len() / self.outputs() * self.width];
        let labels = slopes.chunks_exact_mut(self.width);
        for (slopes, outputs) in labels.zip(outputs.chunks_exact(self.outputs())) {
            let rows = weights[self.weight()].chunks_exact(self.width);
            for (row, output) in rows.zip(outputs) {
                for (slope, weight) in slopes.iter_mut().zip(row) {
                    *slope += output * f64::from(*weight);
                }
            }
        }
        slopes
    }

    /// The loss of one label. Its slopes in what features are multiplied to, and in the other weights, are written into
    /// `outputs` and `others`.
    fn slopes(
        &self,
        weights: &[f32],
        features: &[f32],
        label: usize,
        outputs: &mut [f64],
        others: &mut [f64],
    ) -> f64 {
        let logits = self.logits(weights, features);
        match &self.kind {
            Kind::Softmax { .. } => {
                let total = log_sum_exp(&logits);
                let slopes = outputs.iter_mut().zip(others);
                for (class, (logit, (output, bias))) in logits.iter().zip(slopes).enumerate() {
                    let target = if class == label { 1.0 } else { 0.0 };
                    *output = (logit - total).exp() - target;
                    *bias = *output;
                }
                total - logits[label]
            }
            Kind::Ordinal { steps, .. } => {
                let interval = Interval::of(label, &logits);
                let (upper, lower) = interval.gradient();
                outputs[0] = -(upper + lower);
                others[0] = upper + lower;
                // Step j, from 0, moves the thresholds j + 1 and up; the class lies between label - 1 and label.
                for (step, place) in steps.clone().enumerate() {
                    let mut moved = 0.0;
                    if step < label {
                        moved += upper;
                    }
                    if step + 1 < label {
                        moved += lower;
                    }
                    others[1 + step] = moved * sigmoid(f64::from(weights[place]));
                }
                -interval.log_probability()
            }
        }
    }

    /// What features are multiplied to: a score a class, or one.
    fn outputs(&self) -> usize {
        match &self.kind {
            Kind::Softmax { .. } => self.classes,
            Kind::Ordinal { .. } => 1,
        }
    }

    /// The place of `[outputs, width]` weights.
    fn weight(&self) -> Range<usize> {
        match &self.kind {
            Kind::Softmax { weight, .. } | Kind::Ordinal { weight, .. } => weight.clone(),
        }
    }

    /// The place of the weights behind those.
    fn others(&self) -> Range<usize> {
        match &self.kind {
            Kind::Softmax { bias, .. } => bias.clone(),
            Kind::Ordinal {
                threshold, steps, ..
            } => threshold.start..steps.end,
        }
    }
}

/// What a class is in cumulative logits: `σ(upper) − σ(lower)`.
struct Interval {
    upper: f64,
    lower: f64,
}

impl Interval {
    fn of(class: usize, logits: &[f64]) -> Self {
        Self {
            upper: logits.get(class).copied().unwrap_or(f64::INFINITY),
            lower: if class == 0 {
                f64::NEG_INFINITY
            } else {
                logits[class - 1]
            },
        }
    }

    /// `σ(a) − σ(b) = σ(a) σ(−b) (1 − e^(b − a))`: no difference of near numbers, no underflow.
    fn log_probability(&self) -> f64 {
        log_sigmoid(self.upper) + log_sigmoid(-self.lower) + self.log_gap()
    }

    /// Of the loss in the upper and in the lower logit; 0 where the class has none.
    fn gradient(&self) -> (f64, f64) {
        let gap = self.log_gap();
        let upper = -(log_sigmoid(-self.upper) - log_sigmoid(-self.lower) - gap).exp();
        let lower = (log_sigmoid(self.lower) - log_sigmoid(self.upper) - gap).exp();
        (upper, lower)
    }

    fn log_gap(&self) -> f64 {
        (-(self.lower - self.upper).exp_m1()).ln()
    }
}

/// The first threshold and the distance of the next ones, before `softplus`: the first and the last class start with
/// a probability of one in `classes`.
#[expect(clippy::cast_precision_loss, reason = "classes are few")]
fn even_thresholds(classes: usize) -> (Start, Start) {
    let last = (classes as f64 - 1.0).ln();
    let distance = 2.0 * last / (classes as f64 - 2.0).max(1.0);
    (
        Start::Constant(narrow(-last)),
        Start::Constant(narrow(distance.exp_m1().ln())),
    )
}

fn scaled(values: &[f32], factor: f64, target: &mut [f32]) {
    for (target, value) in target.iter_mut().zip(values) {
        *target = narrow(factor * f64::from(*value));
    }
}

fn add_scaled(values: &[f32], factor: f64, target: &mut [f32]) {
    for (target, value) in target.iter_mut().zip(values) {
        *target += narrow(factor * f64::from(*value));
    }
}

fn log_sum_exp(values: &[f64]) -> f64 {
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most + values
        .iter()
        .map(|value| (value - most).exp())
        .sum::<f64>()
        .ln()
}

fn softplus(value: f64) -> f64 {
    -log_sigmoid(-value)
}

fn sigmoid(value: f64) -> f64 {
    log_sigmoid(value).exp()
}

fn log_sigmoid(value: f64) -> f64 {
    value.min(0.0) - (-value.abs()).exp().ln_1p()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "weights are f32; a result beyond their range is found later"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(kind: HeadKind, classes: usize) -> (Head, Vec<f32>) {
        let mut parameters = Parameters::default();
        let head = Head::new(&mut parameters, kind, 2, classes).unwrap();
        (head, parameters.initial(0))
    }

    fn assert_near(got: f64, want: f64) {
        assert!((got - want).abs() < 1e-6, "{got} is not {want}");
    }

    #[test]
    fn classes_are_equally_probable_at_the_start() {
        for (kind, classes) in [
            (HeadKind::Softmax, 5),
            (HeadKind::Ordinal, 2),
            (HeadKind::Ordinal, 3),
        ] {
            let (head, weights) = head(kind, classes);
            for probability in head.probabilities(&head.logits(&weights, &[3.0, -2.0])) {
                assert_near(probability, 1.0 / classes as f64);
            }
        }
    }

    #[test]
    fn thresholds_are_in_order_and_probabilities_add_to_1_whatever_the_weights() {
        let (head, _) = head(HeadKind::Ordinal, 4);
        for weights in [
            [1.0, -1.0, 0.3, -2.0, -30.0],
            [-5.0, 40.0, -50.0, 80.0, -9.0],
            [0.0; 5],
        ] {
            let logits = head.logits(&weights, &[0.7, 1.9]);
            assert!(
                logits.is_sorted_by(|left, right| left <= right),
                "{logits:?}"
            );
            let probabilities = head.probabilities(&logits);
            assert!(
                probabilities
                    .iter()
                    .all(|probability| (0.0..=1.0).contains(probability))
            );
            assert_near(probabilities.iter().sum(), 1.0);
        }
    }

    #[test]
    fn losses_of_very_unlikely_classes_stay_finite() {
        for kind in [HeadKind::Softmax, HeadKind::Ordinal] {
            let (head, mut weights) = head(kind, 3);
            weights[0] = 1e4;
            for (feature, label) in [(-1.0, 2), (1.0, 0), (1.0, 1), (-1.0, 1)] {
                let mut gradient = vec![0.0; weights.len()];
                let mut features = [0.0; 2];
                let loss = head.backward(
                    &weights,
                    &[feature, 0.0],
                    label,
                    &mut gradient,
                    &mut features,
                );
                assert!(loss.is_finite());
                assert!(
                    gradient
                        .iter()
                        .chain(&features)
                        .all(|value| value.is_finite()),
                    "{gradient:?}"
                );
            }
        }
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        for (kind, weights) in [
            (
                HeadKind::Softmax,
                vec![
                    0.3, -0.2, 0.5, 0.1, -0.4, 0.2, 0.7, -0.6, 0.1, 0.3, -0.1, 0.2,
                ],
            ),
            (HeadKind::Ordinal, vec![0.3, -0.2, -0.5, 0.4, -0.6]),
        ] {
            let (head, _) = head(kind, 4);
            let features = [0.8, -1.3];
            for label in 0..4 {
                let mut gradient = vec![0.0; weights.len()];
                let mut features_gradient = [0.0; 2];
                head.backward(
                    &weights,
                    &features,
                    label,
                    &mut gradient,
                    &mut features_gradient,
                );
                let loss = |weights: &[f32], features: &[f32]| {
                    -head.probabilities(&head.logits(weights, features))[label].ln()
                };
                for (weight, got) in gradient.iter().enumerate() {
                    let slope = slope(&weights, weight, |weights| loss(weights, &features));
                    assert!(
                        (f64::from(*got) - slope).abs() < 1e-4,
                        "{kind:?} {label} {weight}"
                    );
                }
                for (feature, got) in features_gradient.iter().enumerate() {
                    let slope = slope(&features, feature, |features| loss(&weights, features));
                    assert!((f64::from(*got) - slope).abs() < 1e-4);
                }
            }
        }
    }

    fn slope(at: &[f32], place: usize, loss: impl Fn(&[f32]) -> f64) -> f64 {
        let moved = |by: f32| {
            let mut at = at.to_vec();
            at[place] += by;
            (loss(&at), f64::from(at[place]))
        };
        let (up, down) = (moved(1e-3), moved(-1e-3));
        (up.0 - down.0) / (up.1 - down.1)
    }
}
