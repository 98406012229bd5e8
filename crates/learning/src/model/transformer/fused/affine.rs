//! A linear layer.

use std::ops::Range;

use super::panel::{Columns, LANES, Lanes, Matrix, Part, Tile, add};
use super::product::{multiply, outer};
use crate::model::transformer::affine::Place;

/// A linear layer, `y = x · weightᵀ + bias`, with its weights laid out for both directions.
pub(super) struct Affine {
    inputs: Columns,
    outputs: Columns,
    /// For each panel of outputs, a tile `[8 inputs, 8 outputs]` for each panel of inputs.
    forward: Vec<Tile>,
    /// For each panel of inputs, a tile `[8 outputs, 8 inputs]` for each panel of outputs.
    backward: Vec<Tile>,
    bias: Vec<Lanes>,
    weight_start: usize,
    bias_place: Range<usize>,
    /// Inputs of the weights' rows.
    width: usize,
}

impl Affine {
    pub(super) fn new(place: &Place, weights: &[f32], inputs: Columns, outputs: Columns) -> Self {
        let width = place.weight.len() / place.bias.len();
        let weight = &weights[place.weight.clone()];
        let mut forward = vec![[[0.0; LANES]; LANES]; inputs.len() * outputs.len()];
        let mut backward = forward.clone();
        for (o, rows) in outputs.panels() {
            for (i, columns) in inputs.panels() {
                for (row, output) in rows.clone().enumerate() {
                    for (column, input) in columns.clone().enumerate() {
                        let value = weight[output * width + input];
                        forward[o * inputs.len() + i][column][row] = value;
                        backward[i * outputs.len() + o][row][column] = value;
                    }
                }
            }
        }
        Self {
            bias: outputs.row(&weights[place.bias.clone()]),
            inputs,
            outputs,
            forward,
            backward,
            weight_start: place.weight.start,
            bias_place: place.bias.clone(),
            width,
        }
    }

    /// Gives `put` the first `rows` rows of `y`: panel, row, lanes.
    #[inline]
    pub(super) fn forward(
        &self,
        x: Part<'_>,
        rows: usize,
        mut put: impl FnMut(usize, usize, Lanes),
    ) {
        let tiles = self.forward.chunks_exact(self.inputs.len());
        for (panel, (tiles, bias)) in tiles.zip(&self.bias).enumerate() {
            multiply(x, tiles, rows, |row, mut lanes| {
                add(&mut lanes, bias);
                put(panel, row, lanes);
            });
        }
    }

    /// Gives `put` the gradient of the first `rows` rows of `x` from that of `y`: panel, row, lanes.
    #[inline]
    pub(super) fn backward(
        &self,
        dy: &Matrix,
        rows: usize,
        mut put: impl FnMut(usize, usize, Lanes),
    ) {
        let tiles = self.backward.chunks_exact(self.outputs.len());
        for (panel, tiles) in tiles.enumerate() {
            multiply(dy.all(), tiles, rows, |row, lanes| put(panel, row, lanes));
        }
    }

    /// Writes the weights' gradient: the sum over these rows of `dy`, and as many first ones of `x`, of their product.
    pub(super) fn gradient(
        &self,
        x: &Matrix,
        dy: &Matrix,
        rows: Range<usize>,
        gradient: &mut [f32],
    ) {
        for (o, outputs) in self.outputs.panels() {
            let dy = &dy.panel(o)[rows.clone()];
            let mut bias = [0.0; LANES];
            for lanes in dy {
                add(&mut bias, lanes);
            }
            let start = self.bias_place.start + outputs.start;
            gradient[start..start + outputs.len()].copy_from_slice(&bias[..outputs.len()]);
            for (i, inputs) in self.inputs.panels() {
                let tile = outer(dy, &x.panel(i)[..rows.len()]);
                for (output, lanes) in outputs.clone().zip(&tile) {
                    let start = self.weight_start + output * self.width + inputs.start;
                    gradient[start..start + inputs.len()].copy_from_slice(&lanes[..inputs.len()]);
                }
            }
        }
    }

    /// The bias's place in the gradient.
    pub(super) fn bias(&self) -> Range<usize> {
        self.bias_place.clone()
    }
}
