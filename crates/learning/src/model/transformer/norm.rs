//! Layer normalisation (Ba et al. 2016) of each token.

use std::ops::Range;

use burn_tensor::Tensor;

use super::affine::by_patient;
use super::values;
use crate::model::ModelError;
use crate::model::clip::Gradients;
use crate::model::parameter::{Parameters, Start};

/// Added to the variance, so that equal values do not divide by 0.
pub(super) const EPSILON: f32 = 1e-5;

/// Where a norm's gain and shift lie, `[width]` each.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) gain: Range<usize>,
    pub(super) shift: Range<usize>,
}

impl Place {
    pub(super) fn new(
        parameters: &mut Parameters,
        name: &str,
        width: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            gain: parameters.push(format!("{name}.weight"), &[width], Start::Constant(1.0))?,
            shift: parameters.push(format!("{name}.bias"), &[width], Start::Constant(0.0))?,
        })
    }

    pub(super) fn load(&self, weights: &Tensor<1>) -> Norm {
        let row = |range: &Range<usize>| {
            weights
                .clone()
                .slice(range.clone())
                .reshape([1, range.len()])
        };
        Norm {
            gain: row(&self.gain),
            shift: row(&self.shift),
            gain_start: self.gain.start,
            shift_start: self.shift.start,
        }
    }
}

/// `y = gain · (x − mean) / √(variance + ε) + shift`, over each row.
pub(super) struct Norm {
    gain: Tensor<2>,
    shift: Tensor<2>,
    gain_start: usize,
    shift_start: usize,
}

/// What the backward pass needs.
pub(super) struct NormTape {
    /// The rows with mean 0 and variance 1, `[rows, width]`.
    standard: Tensor<2>,
    /// One over the root of each row's variance, `[rows, 1]`.
    scale: Tensor<2>,
}

impl Norm {
    /// `[rows, width]` to the same.
    pub(super) fn forward(&self, x: Tensor<2>) -> (Tensor<2>, NormTape) {
        let mean = x.clone().mean_dim(1);
        let centred = x - mean;
        let variance = centred.clone().square().mean_dim(1);
        let scale = (variance + EPSILON).sqrt().recip();
        let standard = centred * scale.clone();
        let y = standard.clone() * self.gain.clone() + self.shift.clone();
        (y, NormTape { standard, scale })
    }

    /// The gradient of `x` from that of `y`; puts each patient's gradient of gain and shift.
    pub(super) fn backward(
        &self,
        tape: NormTape,
        dy: Tensor<2>,
        patients: usize,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let NormTape { standard, scale } = tape;
        let gain = by_patient(dy.clone() * standard.clone(), patients).sum_dim(1);
        gradients.put(self.gain_start, &values(gain));
        gradients.put(
            self.shift_start,
            &values(by_patient(dy.clone(), patients).sum_dim(1)),
        );
        let dy = dy * self.gain.clone();
        let mean = dy.clone().mean_dim(1);
        let along = (dy.clone() * standard.clone()).mean_dim(1);
        (dy - mean - standard * along) * scale
    }
}
