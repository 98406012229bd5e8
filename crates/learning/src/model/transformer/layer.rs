//! A pre-norm encoder layer.

use burn_tensor::Tensor;

use super::affine::{self, Affine, by_patient};
use super::attention::{self, Attention, AttentionTape};
use super::gelu::{self, GeluTape};
use super::norm::{self, Norm, NormTape};
use super::{Sizes, add_to_class_rows, class_rows};
use crate::model::ModelError;
use crate::model::clip::Gradients;
use crate::model::parameter::Parameters;

/// Where the weights lie.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) norm1: norm::Place,
    pub(super) attention: attention::Place,
    pub(super) norm2: norm::Place,
    pub(super) hidden: affine::Place,
    pub(super) out: affine::Place,
}

impl Place {
    pub(super) fn new(
        parameters: &mut Parameters,
        name: &str,
        sizes: Sizes,
    ) -> Result<Self, ModelError> {
        let Sizes {
            width,
            feed_forward,
            ..
        } = sizes;
        Ok(Self {
            norm1: norm::Place::new(parameters, &format!("{name}.norm1"), width)?,
            attention: attention::Place::new(parameters, name, width)?,
            norm2: norm::Place::new(parameters, &format!("{name}.norm2"), width)?,
            hidden: affine::Place::new(parameters, &format!("{name}.ff1"), width, feed_forward)?,
            out: affine::Place::new(parameters, &format!("{name}.ff2"), feed_forward, width)?,
        })
    }

    pub(super) fn load(&self, weights: &Tensor<1>, heads: usize) -> Layer {
        Layer {
            norm1: self.norm1.load(weights),
            attention: self.attention.load(weights, heads),
            norm2: self.norm2.load(weights),
            hidden: self.hidden.load(weights),
            out: self.out.load(weights),
        }
    }
}

/// Which tokens a layer computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queries {
    /// All: `[patients · tokens, width]` to the same.
    AllTokens,
    /// The first of each patient, from all: `[patients · tokens, width]` to `[patients, width]`.
    ClassToken,
}

/// `x += attention(norm1(x)); x += out(gelu(hidden(norm2(x))))`.
pub(super) struct Layer {
    norm1: Norm,
    attention: Attention,
    norm2: Norm,
    hidden: Affine,
    out: Affine,
}

/// What the backward pass needs.
pub(super) struct LayerTape {
    norm1: NormTape,
    attention: AttentionTape,
    norm2: NormTape,
    /// Inputs of the hidden layer.
    normed: Tensor<2>,
    gelu: GeluTape,
    /// Outputs of the hidden layer.
    hidden: Tensor<2>,
}

impl Layer {
    pub(super) fn forward(
        &self,
        x: Tensor<2>,
        patients: usize,
        queries: Queries,
    ) -> (Tensor<2>, LayerTape) {
        let (normed, norm1) = self.norm1.forward(x.clone());
        let (x, asked) = match queries {
            Queries::AllTokens => (x, normed.clone()),
            Queries::ClassToken => (
                class_rows(x, patients),
                class_rows(normed.clone(), patients),
            ),
        };
        let (y, attention) = self.attention.forward(asked, normed, patients);
        let x = y + x;
        let (normed, norm2) = self.norm2.forward(x.clone());
        let (hidden, gelu) = gelu::forward(self.hidden.forward(normed.clone()));
        let x = self.out.forward(hidden.clone()) + x;
        (
            x,
            LayerTape {
                norm1,
                attention,
                norm2,
                normed,
                gelu,
                hidden,
            },
        )
    }

    /// The gradient of the inputs from that of the outputs; puts each patient's gradient of the weights.
    pub(super) fn backward(
        &self,
        tape: LayerTape,
        dy: Tensor<2>,
        patients: usize,
        queries: Queries,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let of_patient = |x: Tensor<2>| by_patient(x, patients);
        self.out
            .gradient(of_patient(tape.hidden), of_patient(dy.clone()), gradients);
        let d_hidden = gelu::backward(tape.gelu, self.out.backward(dy.clone()));
        self.hidden.gradient(
            of_patient(tape.normed),
            of_patient(d_hidden.clone()),
            gradients,
        );
        let d_normed = self.hidden.backward(d_hidden);
        let dy = self
            .norm2
            .backward(tape.norm2, d_normed, patients, gradients)
            + dy;

        let d_attention = self
            .attention
            .backward(tape.attention, dy.clone(), patients, gradients);
        match queries {
            Queries::AllTokens => {
                let d_normed = d_attention.x + d_attention.asked;
                self.norm1
                    .backward(tape.norm1, d_normed, patients, gradients)
                    + dy
            }
            Queries::ClassToken => {
                let d_normed = add_to_class_rows(d_attention.x, d_attention.asked);
                let dx = self
                    .norm1
                    .backward(tape.norm1, d_normed, patients, gradients);
                add_to_class_rows(dx, dy)
            }
        }
    }
}
