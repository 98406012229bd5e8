//! Gradients of linear layers that are not multiplied out.
//!
//! A label's gradient of a layer's weights is the product of the slopes of the layer's outputs and of its inputs,
//! `∂z xᵀ` (Goodfellow 2015). So a patient's norm follows from products of labels, and what the patients of a chunk
//! add is one product of matrices, with sums that stay in registers:
//!
//! ```text
//! ‖Σₗ ∂zₗ xₗᵀ‖² = Σₗₘ (∂zₗ·∂zₘ) (xₗ·xₘ)        Σₗ fₗ ∂zₗ xₗᵀ, where f is the factor of the label's patient
//! ```
//!
//! All sums are `f64`: a product of two `f32` is exact there, and a sum over patients has no rounding that one patient
//! more could be seen in.

use std::ops::Range;

use super::clip::PatientGradients;
use super::dot::dot;
use super::selection::Selection;

/// The gradients of some patients' labels in the weights of a model's layers.
pub(super) struct Factors<'a> {
    pub(super) layers: Vec<Layer>,
    /// The labels of each patient, in order.
    pub(super) patients: &'a [usize],
}

/// The gradients of labels in the weights of one layer.
///
/// Slopes are 0, or from 2⁻³⁰⁰ to 2³⁰⁰ either way, or not finite: so no product of two slopes and two inputs, nor a sum of
/// such products, under- or overflows.
pub(super) struct Layer {
    /// Where the weights are that inputs are multiplied by, `[outputs, inputs]`.
    pub(super) weight: Range<usize>,
    /// Where the others are: biases, thresholds.
    pub(super) others: Range<usize>,
    /// `[labels, inputs]`
    pub(super) inputs: Vec<f32>,
    /// Of the outputs, `[labels, outputs]`.
    pub(super) slopes: Vec<f64>,
    /// Of the other weights, `[labels, others]`.
    pub(super) others_slopes: Vec<f64>,
}

impl Layer {
    /// Of slopes as they come: those that are too small for any sum to tell are 0, those that are too large are not finite.
    pub(super) fn new(
        (weight, others): (Range<usize>, Range<usize>),
        inputs: Vec<f32>,
        mut slopes: Vec<f64>,
        mut others_slopes: Vec<f64>,
    ) -> Self {
        for slope in slopes.iter_mut().chain(&mut others_slopes) {
            *slope = held(*slope);
        }
        Self {
            weight,
            others,
            inputs,
            slopes,
            others_slopes,
        }
    }
}

/// The slope, if its square is one.
fn held(slope: f64) -> f64 {
    const MOST: f64 = f64::from_bits((1_023 + 300) << 52);
    let size = slope.abs();
    if size < 1.0 / MOST {
        0.0
    } else if size <= MOST {
        slope
    } else {
        f64::NAN
    }
}

impl PatientGradients for Factors<'_> {
    fn norms(&self, trained: &Selection) -> Vec<f64> {
        let layers = self.trained(trained);
        let mut first = 0;
        let mut norm = |labels: &usize| {
            let own = first..first + labels;
            first = own.end;
            self.norm(&layers, own)
        };
        self.patients.iter().map(&mut norm).collect()
    }

    fn silence(&mut self, patient: usize) {
        let labels: usize = self.patients.iter().sum();
        let first: usize = self.patients[..patient].iter().sum();
        let own = first..first + self.patients[patient];
        for layer in &mut self.layers {
            rows_mut(&mut layer.inputs, labels, &own).fill(0.0);
            rows_mut(&mut layer.slopes, labels, &own).fill(0.0);
            rows_mut(&mut layer.others_slopes, labels, &own).fill(0.0);
        }
    }

    fn add_scaled(&self, trained: &Selection, factors: &[f64], sum: &mut [f64]) {
        let labels = self.patients.iter().zip(factors);
        let factors: Vec<f64> = labels
            .flat_map(|(labels, factor)| std::iter::repeat_n(*factor, *labels))
            .collect();
        for layer in self.trained(trained) {
            layer.add_scaled(&factors, sum);
        }
    }
}

impl Factors<'_> {
    fn trained<'a>(&'a self, trained: &Selection) -> Vec<Trained<'a>> {
        let labels: usize = self.patients.iter().sum();
        let of = |layer: &'a Layer| Trained {
            weight: trained.place(layer.weight.start),
            others: layer
                .others
                .clone()
                .map(|place| trained.place(place))
                .collect(),
            inputs: layer.inputs.len() / labels,
            outputs: layer.slopes.len() / labels,
            layer,
        };
        self.layers.iter().map(of).collect()
    }

    /// The norm of the sum of some labels' gradients, not below the true one by rounding, nor below a share of their lengths.
    fn norm(&self, layers: &[Trained<'_>], labels: Range<usize>) -> f64 {
        let product = |one, other| -> f64 {
            let products = layers.iter().map(|layer| layer.product(one, other));
            products.sum()
        };
        let (mut squared, mut lengths) = (0.0, 0.0);
        for one in labels.clone() {
            let own = product(one, one);
            squared += own;
            lengths += own.sqrt();
            for other in one + 1..labels.end {
                squared += 2.0 * product(one, other);
            }
        }
        if labels.len() == 1 {
            return squared.sqrt();
        }
        // Where gradients cancel, rounding is measured by what cancels: 2⁻⁵² for each term of each product.
        let terms: usize = layers.iter().map(Trained::terms).sum();
        let terms = (terms + labels.len() * labels.len()) as f64;
        let norm = (positive(squared) + terms * f64::EPSILON * lengths * lengths).sqrt();
        // Not `f64::max`, which would hide a norm that is not a number.
        if norm < lengths / MOST_CANCELLED {
            lengths / MOST_CANCELLED
        } else {
            norm
        }
    }
}

/// A patient's gradients of single labels can together be so many times as long as the patient's gradient is taken to be: they
/// are added to the others' one by one, so what each is off by when it is rounded counts.
const MOST_CANCELLED: f64 = 64.0;

/// The value, or 0 where rounding made it negative; what is no number stays none, unlike with [`f64::max`].
fn positive(value: f64) -> f64 {
    if value < 0.0 { 0.0 } else { value }
}

/// The rows of some labels in `[labels, any]`.
fn rows_mut<'a, T>(values: &'a mut [T], labels: usize, rows: &Range<usize>) -> &'a mut [T] {
    let width = values.len() / labels;
    &mut values[rows.start * width..rows.end * width]
}

/// What is trained of a layer.
struct Trained<'a> {
    layer: &'a Layer,
    inputs: usize,
    outputs: usize,
    /// The first one's place among the trained weights; `None` where they are not trained.
    weight: Option<usize>,
    /// The place of each of the others.
    others: Vec<Option<usize>>,
}

impl Trained<'_> {
    fn inputs(&self, label: usize) -> &[f32] {
        &self.layer.inputs[label * self.inputs..][..self.inputs]
    }

    fn slopes(&self, label: usize) -> &[f64] {
        &self.layer.slopes[label * self.outputs..][..self.outputs]
    }

    /// The slopes of a label's other weights, with their places, as far as they are trained.
    fn others(&self, label: usize) -> impl Iterator<Item = (usize, f64)> {
        let slopes = &self.layer.others_slopes[label * self.others.len()..];
        let places = self.others.iter().zip(slopes);
        places.filter_map(|(place, slope)| place.map(|place| (place, *slope)))
    }

    /// Terms of a label's product with another.
    fn terms(&self) -> usize {
        self.inputs + self.outputs + self.others.len()
    }

    /// The scalar product of two labels' gradients.
    fn product(&self, one: usize, other: usize) -> f64 {
        let others = self.others(one).zip(self.others(other));
        let others: f64 = others.map(|((_, one), (_, other))| one * other).sum();
        if self.weight.is_none() {
            return others;
        }
        let slopes = self.slopes(one).iter().zip(self.slopes(other));
        let slopes: f64 = slopes.map(|(one, other)| one * other).sum();
        slopes * dot(self.inputs(one), self.inputs(other)) + others
    }

    /// Adds each label's gradient times its factor.
    fn add_scaled(&self, factors: &[f64], sum: &mut [f64]) {
        for (label, factor) in factors.iter().enumerate() {
            for (place, slope) in self.others(label) {
                sum[place] += factor * slope;
            }
        }
        if let Some(start) = self.weight {
            let sum = &mut sum[start..][..self.layer.weight.len()];
            self.add_products(factors, sum);
        }
    }

    /// Adds to `sum`, `[outputs, inputs]`.
    fn add_products(&self, factors: &[f64], sum: &mut [f64]) {
        let labels = factors.len();
        let slopes: Vec<[f64; ROWS]> = (0..self.outputs)
            .step_by(ROWS)
            .flat_map(|first| (0..labels).map(move |label| (first, label)))
            .map(|(first, label)| {
                let slopes = &self.slopes(label)[first..];
                std::array::from_fn(|row| {
                    slopes.get(row).map_or(0.0, |slope| factors[label] * slope)
                })
            })
            .collect();
        let mut block = vec![[0.0; LANES]; labels];
        for first in (0..self.inputs).step_by(LANES) {
            let end = self.inputs.min(first + LANES);
            for (label, lanes) in block.iter_mut().enumerate() {
                *lanes = widened(&self.inputs(label)[first..end]);
            }
            let mut rows = sum.chunks_exact_mut(self.inputs);
            for slopes in slopes.chunks_exact(labels) {
                for (lanes, row) in products(slopes, &block).iter().zip(&mut rows) {
                    for (sum, lane) in row[first..end].iter_mut().zip(lanes) {
                        *sum += lane;
                    }
                }
            }
        }
    }
}

/// Inputs that are computed together.
const LANES: usize = 8;

type Lanes = [f64; LANES];

/// Outputs that are computed together: eight sums of two lanes leave half of sixteen registers to what they are made of.
const ROWS: usize = 2;

/// The sum over labels of slope times inputs.
#[inline]
fn products(slopes: &[[f64; ROWS]], inputs: &[Lanes]) -> [Lanes; ROWS] {
    let mut sums = [[0.0; LANES]; ROWS];
    for (slopes, inputs) in slopes.iter().zip(inputs) {
        for (sums, slope) in sums.iter_mut().zip(slopes) {
            for (sum, input) in sums.iter_mut().zip(inputs) {
                *sum += slope * input;
            }
        }
    }
    sums
}

/// As `f64`, filled up with 0.
fn widened(inputs: &[f32]) -> Lanes {
    let mut lanes = [0.0; LANES];
    for (lane, input) in lanes.iter_mut().zip(inputs) {
        *lane = f64::from(*input);
    }
    lanes
}

#[cfg(test)]
mod tests {
    use protocol::study::Trained;

    use super::*;
    use crate::model::clip::Gradients;
    use crate::model::parameter::{Parameters, Start};

    const LABELS: usize = 7;
    const PATIENTS: [usize; 4] = [1, 3, 1, 2];

    /// Numbers in general position.
    fn numbers(count: usize, seed: usize) -> impl Iterator<Item = f32> {
        (0..count).map(move |place| ((place * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0)
    }

    /// Two layers of sizes that fill no block.
    fn layers() -> (Vec<Layer>, Parameters) {
        let mut parameters = Parameters::default();
        let mut push = |name: &str, shape: &[usize]| {
            let start = Start::Constant(0.0);
            parameters.push(name.to_owned(), shape, start).unwrap()
        };
        let sizes = [("a", 11, 5, 5), ("b", 5, 1, 3)].into_iter().enumerate();
        let layers = sizes.map(|(seed, (name, inputs, outputs, others))| {
            let weight = push(&format!("{name}.weight"), &[outputs, inputs]);
            Layer::new(
                (weight, push(&format!("{name}.others"), &[others])),
                numbers(LABELS * inputs, seed).collect(),
                numbers(LABELS * outputs, seed + 3).map(f64::from).collect(),
                numbers(LABELS * others, seed + 5).map(f64::from).collect(),
            )
        });
        (layers.collect(), parameters)
    }

    /// The same gradients, multiplied out.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "slopes are f32 here, and so are gradients"
    )]
    fn whole(layers: &[Layer], weights: usize) -> Gradients {
        let mut gradients = Gradients::new(LABELS, weights);
        for layer in layers {
            let inputs = layer.inputs.len() / LABELS;
            let outputs = layer.slopes.len() / LABELS;
            let mut block = Vec::new();
            for (label, slopes) in layer.slopes.chunks_exact(outputs).enumerate() {
                let inputs = &layer.inputs[label * inputs..][..inputs];
                for slope in slopes {
                    block.extend(inputs.iter().map(|input| *slope as f32 * input));
                }
            }
            gradients.put(layer.weight.start, &block);
            let others: Vec<f32> = layer
                .others_slopes
                .iter()
                .map(|slope| *slope as f32)
                .collect();
            gradients.put(layer.others.start, &others);
        }
        gradients.add_up(&PATIENTS);
        gradients
    }

    #[test]
    fn norms_and_sums_are_those_of_gradients_that_are_multiplied_out() {
        let (layers, parameters) = layers();
        let whole = whole(&layers, parameters.length());
        let factors = Factors {
            layers,
            patients: &PATIENTS,
        };
        let some = ["a.others", "b.weight"].map(str::to_owned).to_vec();
        for trained in [Trained::All, Trained::Blocks(some)] {
            let trained = Selection::new(parameters.blocks(), &trained).unwrap();
            for (got, want) in factors.norms(&trained).iter().zip(whole.norms(&trained)) {
                assert!((got / want - 1.0).abs() < 1e-6, "{got} is not {want}");
            }
            let sum = |gradients: &dyn PatientGradients| {
                let mut sum = vec![1.0; trained.length()];
                gradients.add_scaled(&trained, &[1.0, 0.5, 2.0, 0.3], &mut sum);
                sum
            };
            for (got, want) in sum(&factors).iter().zip(sum(&whole)) {
                assert!((got - want).abs() < 1e-6, "{got} is not {want}");
            }
        }
    }

    #[test]
    fn labels_that_cancel_are_not_taken_for_shorter_than_they_are() {
        let mut parameters = Parameters::default();
        let start = Start::Constant(0.0);
        let weight = parameters.push("w".to_owned(), &[1, 2], start).unwrap();
        let trained = Selection::new(parameters.blocks(), &Trained::All).unwrap();
        let others = weight.end..weight.end;
        let inputs = vec![3e8, 1.0, 3e8, 1.5];
        let layer = Layer::new((weight, others), inputs, vec![1.0, -1.0], Vec::new());
        let factors = Factors {
            layers: vec![layer],
            patients: &[2],
        };
        // The sum is 0, -0.5; beside products of 9e16, of which one ulp is 16, nothing is left of its square. And what each
        // label adds to the others' sum is at most 64 times as long.
        let [norm] = factors.norms(&trained)[..] else {
            panic!("one patient has one norm");
        };
        assert!((6e8 / 64.0..6e8).contains(&norm), "{norm}");
    }

    /// One patient with a single weight.
    fn alone(slope: f64, input: f32) -> (Factors<'static>, Selection) {
        let mut parameters = Parameters::default();
        let start = Start::Constant(0.0);
        let weight = parameters.push("w".to_owned(), &[1, 1], start).unwrap();
        let trained = Selection::new(parameters.blocks(), &Trained::All).unwrap();
        let others = weight.end..weight.end;
        let layer = Layer::new((weight, others), vec![input], vec![slope], Vec::new());
        let factors = Factors {
            layers: vec![layer],
            patients: &[1],
        };
        (factors, trained)
    }

    /// Slopes of 1e-166 have squares that are 0; a norm of 0 would let all of the gradient through.
    #[test]
    fn what_is_added_has_the_norm_that_is_told_however_small_or_large() {
        for exponent in -1_074..1_024 {
            let slope = f64::from(exponent).exp2() * 1.5;
            for input in [f32::from_bits(1), 1e-38, 1e-20, 0.7, 1e20, f32::MAX] {
                let (factors, trained) = alone(slope, input);
                let [norm] = factors.norms(&trained)[..] else {
                    panic!("one patient has one norm");
                };
                let mut sum = [0.0];
                factors.add_scaled(&trained, &[1.0], &mut sum);
                let same = (sum[0] - norm).abs() <= 1e-12 * norm;
                assert!(
                    same || !norm.is_finite(),
                    "{slope} · {input}: {norm} and {}",
                    sum[0]
                );
            }
        }
    }
}
