//! A hidden layer: what makes a linear model a multilayer perceptron.
//!
//! ```text
//! a = tanh(W x + b)        ∂z = ∂a ⊙ (1 − a²)        ∂W = ∂z xᵀ        ∂b = ∂z
//! ```

use std::ops::Range;

use super::ModelError;
use super::factors::Layer;
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

    /// The units of labels, `[labels, units]`, from `inputs`, `[labels, width]`.
    pub(super) fn forward(&self, weights: &[f32], inputs: &[f32]) -> Vec<f32> {
        let (rows, bias) = (&weights[self.weight.clone()], &weights[self.bias.clone()]);
        let mut outputs = Vec::with_capacity(inputs.len() / self.width * self.units);
        for label in inputs.chunks_exact(self.width) {
            let units = rows.chunks_exact(self.width).zip(bias);
            outputs.extend(units.map(|(row, bias)| (dot(row, label) + bias).tanh()));
        }
        outputs
    }

    /// The gradients of labels in the layer's weights, from the slopes of its `units`; both are `[labels, units]`.
    pub(super) fn backward(&self, inputs: Vec<f32>, units: &[f32], mut slopes: Vec<f64>) -> Layer {
        for (slope, unit) in slopes.iter_mut().zip(units) {
            let unit = f64::from(*unit);
            *slope *= 1.0 - unit * unit;
        }
        let places = (self.weight.clone(), self.bias.clone());
        Layer::new(places, inputs, slopes.clone(), slopes)
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
