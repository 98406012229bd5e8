//! A linear layer with a bias.

use std::ops::Range;

use burn_tensor::Tensor;

use super::values;
use crate::model::ModelError;
use crate::model::clip::Gradients;
use crate::model::parameter::{Parameters, Start, xavier};

/// Where a linear layer's weights lie: `[outputs, inputs]`, and `[outputs]`.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) weight: Range<usize>,
    pub(super) bias: Range<usize>,
}

impl Place {
    pub(super) fn new(
        parameters: &mut Parameters,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, ModelError> {
        Self::with_start(parameters, name, inputs, outputs, xavier(inputs, outputs))
    }

    pub(super) fn with_start(
        parameters: &mut Parameters,
        name: &str,
        inputs: usize,
        outputs: usize,
        start: Start,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: parameters.push(format!("{name}.weight"), &[outputs, inputs], start)?,
            bias: parameters.push(format!("{name}.bias"), &[outputs], Start::Constant(0.0))?,
        })
    }

    /// The layer's first `outputs` and its other ones, as two layers.
    pub(super) fn split(self, outputs: usize) -> (Self, Self) {
        let inputs = self.weight.len() / self.bias.len();
        let weight = self.weight.start + outputs * inputs;
        let bias = self.bias.start + outputs;
        (
            Self {
                weight: self.weight.start..weight,
                bias: self.bias.start..bias,
            },
            Self {
                weight: weight..self.weight.end,
                bias: bias..self.bias.end,
            },
        )
    }

    pub(super) fn load(&self, weights: &Tensor<1>) -> Affine {
        let outputs = self.bias.len();
        let inputs = self.weight.len() / outputs;
        Affine {
            weight: weights
                .clone()
                .slice(self.weight.clone())
                .reshape([outputs, inputs]),
            bias: weights
                .clone()
                .slice(self.bias.clone())
                .reshape([1, outputs]),
            weight_start: self.weight.start,
            bias_start: self.bias.start,
        }
    }
}

/// A linear layer: `y = x · weightᵀ + bias`.
pub(super) struct Affine {
    weight: Tensor<2>,
    bias: Tensor<2>,
    weight_start: usize,
    bias_start: usize,
}

impl Affine {
    /// `[rows, inputs]` to `[rows, outputs]`.
    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        x.matmul(self.weight.clone().transpose()) + self.bias.clone()
    }

    /// The gradient of the inputs from that of the outputs.
    pub(super) fn backward(&self, dy: Tensor<2>) -> Tensor<2> {
        dy.matmul(self.weight.clone())
    }

    /// Puts each patient's gradient: the sum over its rows of `dy` times `x`.
    ///
    /// `x` is `[patients, rows, inputs]`, `dy` `[patients, rows, outputs]`; the bias's gradient, `[patients, 1,
    /// outputs]`, is returned as well.
    pub(super) fn gradient(
        &self,
        x: Tensor<3>,
        dy: Tensor<3>,
        gradients: &mut Gradients,
    ) -> Tensor<3> {
        let bias = dy.clone().sum_dim(1);
        gradients.put(self.weight_start, &values(dy.swap_dims(1, 2).matmul(x)));
        gradients.put(self.bias_start, &values(bias.clone()));
        bias
    }
}

/// `[patients · rows, columns]` as `[patients, rows, columns]`.
pub(super) fn by_patient(x: Tensor<2>, patients: usize) -> Tensor<3> {
    let [rows, columns] = x.dims();
    x.reshape([patients, rows / patients, columns])
}
