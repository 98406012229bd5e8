//! A hidden layer: what makes a linear model a multilayer perceptron.
//!
//! ```text
//! a = tanh(W x + b)        ∂z = ∂a ⊙ (1 − a²)        ∂W = ∂z xᵀ        ∂b = ∂z
//! ```

use std::ops::Range;

use super::ModelError;
use super::clip::Gradients;
use super::parameter::{Parameters, Start};

/// A fully connected layer of `tanh` units.
#[derive(Clone, Debug)]
pub(super) struct Hidden {
    /// Numbers that are known of a patient.
    width: usize,
    units: usize,
    /// `[units, width]`
    weight: Range<usize>,
    /// `[units]`
    bias: Range<usize>,
}

/// What the backward pass needs.
pub(super) struct Tape {
    /// `[patients, width]`
    inputs: Vec<f32>,
    /// `[patients, units]`
    outputs: Vec<f32>,
}

impl Hidden {
    /// Adds the layer's weights. They start at random with a variance of `1 / width`, so that inputs of variance 1 are
    /// where `tanh` bends; biases at 0.
    pub(super) fn new(
        parameters: &mut Parameters,
        width: usize,
        units: usize,
    ) -> Result<Self, ModelError> {
        let most = Start::Uniform(uniform_of_variance(width));
        Ok(Self {
            width,
            units,
            weight: parameters.push("hidden.weight".to_owned(), &[units, width], most)?,
            bias: parameters.push("hidden.bias".to_owned(), &[units], Start::Constant(0.0))?,
        })
    }

    /// The units of patients, `[patients, units]`, from `inputs`, `[patients, width]`.
    pub(super) fn forward(&self, weights: &[f32], inputs: Vec<f32>) -> (Vec<f32>, Tape) {
        let (rows, bias) = (&weights[self.weight.clone()], &weights[self.bias.clone()]);
        let mut outputs = Vec::with_capacity(inputs.len() / self.width * self.units);
        for patient in inputs.chunks_exact(self.width) {
            let units = rows.chunks_exact(self.width).zip(bias);
            outputs.extend(units.map(|(row, bias)| (dot(row, patient) + bias).tanh()));
        }
        let tape = Tape {
            inputs,
            outputs: outputs.clone(),
        };
        (outputs, tape)
    }

    /// Gives every patient's gradient of the layer's weights from that of its units, `[patients, units]`.
    pub(super) fn backward(&self, tape: &Tape, units: &[f32], gradients: &mut Gradients) {
        let patients = tape
            .inputs
            .chunks_exact(self.width)
            .zip(tape.outputs.chunks_exact(self.units))
            .zip(units.chunks_exact(self.units));
        for (((inputs, outputs), units), gradient) in patients.zip(gradients.patients_mut()) {
            for (unit, (output, slope)) in outputs.iter().zip(units).enumerate() {
                let slope = slope * (1.0 - output * output);
                gradient[self.bias.start + unit] = slope;
                let row = &mut gradient[self.weight.start + unit * self.width..][..self.width];
                for (weight, input) in row.iter_mut().zip(inputs) {
                    *weight = slope * input;
                }
            }
        }
    }
}

/// Eight sums beside each other, so that the compiler can use vectors without another rounding.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    let (left_blocks, left_rest) = left.as_chunks::<8>();
    let (right_blocks, right_rest) = right.as_chunks::<8>();
    for (left, right) in left_blocks.iter().zip(right_blocks) {
        for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
            *sum += left * right;
        }
    }
    let rest: f32 = left_rest
        .iter()
        .zip(right_rest)
        .map(|(left, right)| left * right)
        .sum();
    sums.iter().sum::<f32>() + rest
}

/// Uniform from minus to plus this has a variance of `1 / width`.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a width is far below 2^52"
)]
fn uniform_of_variance(width: usize) -> f32 {
    (3.0 / width as f64).sqrt() as f32
}
