//! The multimodal Transformer: this crate's own loops, and the same on burn's tensors.
//!
//! ```text
//! class token │ tokens of modality 1 │ … │ tokens of modality n        [patients, tokens, width]
//!      └─ layer: x += attention(norm(x)); x += feed-forward(norm(x)) ─┘   pre-norm (Xiong et al. 2020)
//! the last layer asks for the class token alone ──▶ norm ──▶ features   [patients, width]
//! ```
//!
//! In tensors of two dimensions a row is a token, patient after patient.

mod affine;
mod attention;
mod embedding;
mod fused;
mod gelu;
mod layer;
mod norm;

use burn_tensor::{Device, Tensor, TensorData};
use protocol::study::Missingness;

use self::embedding::{Embedding, EmbeddingTape};
use self::layer::{Layer, LayerTape, Queries};
use self::norm::{Norm, NormTape};
use super::batch::Batch;
use super::clip::Gradients;
use super::input::{Input, size};
use super::network::CHUNK;
use super::parameter::Parameters;
use super::{Backend, ModelError};

/// The Transformer without its weights.
#[derive(Clone, Debug)]
pub(super) struct Transformer {
    embedding: embedding::Place,
    layers: Vec<layer::Place>,
    norm: norm::Place,
    sizes: Sizes,
}

/// Sizes of the layers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    width: usize,
    heads: usize,
    layers: usize,
    feed_forward: usize,
}

impl Sizes {
    pub(super) fn new(
        width: u32,
        heads: u32,
        layers: u32,
        feed_forward: u32,
    ) -> Result<Self, ModelError> {
        let refused = |what: &str, got, want| {
            Err(ModelError::Setting {
                what: what.to_owned(),
                got,
                want,
            })
        };
        if width == 0 || feed_forward == 0 {
            return refused("width or feed-forward", 0, "at least 1");
        }
        if heads == 0 || !width.is_multiple_of(heads) {
            return refused("heads", heads, "a divisor of the width");
        }
        if !(1..=64).contains(&layers) {
            return refused("layers", layers, "from 1 to 64");
        }
        Ok(Self {
            width: size(width),
            heads: size(heads),
            layers: size(layers),
            feed_forward: size(feed_forward),
        })
    }
}

impl Transformer {
    /// Adds the weights in the order of their use.
    pub(super) fn new(
        parameters: &mut Parameters,
        inputs: Vec<Input>,
        sizes: Sizes,
        missingness: Missingness,
    ) -> Result<Self, ModelError> {
        let embedding = embedding::Place::new(parameters, inputs, sizes.width, missingness)?;
        let layers = (0..sizes.layers)
            .map(|number| layer::Place::new(parameters, &format!("layers.{number}"), sizes))
            .collect::<Result<_, _>>()?;
        let norm = norm::Place::new(parameters, "norm", sizes.width)?;
        Ok(Self {
            embedding,
            layers,
            norm,
            sizes,
        })
    }

    pub(super) fn load(&self, weights: &[f32], backend: Backend) -> Loaded<'_> {
        match backend.device() {
            None => Loaded::Fused(fused::Loaded::new(self, weights)),
            Some(device) => {
                let weights = tensor(weights.to_vec(), [weights.len()], &device);
                Loaded::Tensors(self.load_tensor(&weights))
            }
        }
    }

    /// Takes each layer's weights out of the flat `[parameters]`; burn's differentiation can follow that.
    fn load_tensor(&self, weights: &Tensor<1>) -> Tensors<'_> {
        Tensors {
            embedding: self.embedding.load(weights),
            layers: self
                .layers
                .iter()
                .map(|place| place.load(weights, self.sizes.heads))
                .collect(),
            norm: self.norm.load(weights),
            device: weights.device(),
        }
    }
}

/// The Transformer with its weights.
pub(super) enum Loaded<'a> {
    Fused(fused::Loaded<'a>),
    Tensors(Tensors<'a>),
}

/// A forward pass, which knows what its backward pass needs.
pub(super) enum Pass<'a> {
    Fused(fused::Pass<'a>),
    Tensors(&'a Tensors<'a>, Box<TensorTape>),
}

impl Loaded<'_> {
    /// The most patients that one pass takes.
    pub(super) fn together(&self) -> usize {
        match self {
            Self::Fused(_) => 1,
            Self::Tensors(_) => CHUNK,
        }
    }

    /// The features of patients, `[patients, width]`.
    pub(super) fn forward(&self, batch: Batch<'_>) -> (Vec<f32>, Pass<'_>) {
        match self {
            Self::Fused(loaded) => {
                let (features, pass) = loaded.forward(batch);
                (features, Pass::Fused(pass))
            }
            Self::Tensors(loaded) => {
                let (features, tape) = loaded.forward(batch);
                (values(features), Pass::Tensors(loaded, Box::new(tape)))
            }
        }
    }
}

impl Pass<'_> {
    /// Gives every patient's gradient of all weights, from `[patients, width]` of its features.
    pub(super) fn backward(self, features: Vec<f32>, gradients: &mut Gradients) {
        match self {
            Self::Fused(pass) => pass.backward(&features, gradients.first_mut()),
            Self::Tensors(loaded, tape) => loaded.backward(*tape, features, gradients),
        }
    }
}

/// The Transformer on burn's tensors, with its weights.
pub(super) struct Tensors<'a> {
    embedding: Embedding<'a>,
    layers: Vec<Layer>,
    norm: Norm,
    device: Device,
}

/// What the backward pass needs of the forward pass.
pub(super) struct TensorTape {
    embedding: EmbeddingTape,
    layers: Vec<LayerTape>,
    norm: NormTape,
}

impl Tensors<'_> {
    /// The features of patients, `[patients, width]`.
    fn forward(&self, batch: Batch<'_>) -> (Tensor<2>, TensorTape) {
        let (mut x, embedding) = self.embedding.forward(batch, &self.device);
        let patients = embedding.patients();
        let mut layers = Vec::with_capacity(self.layers.len());
        for (number, layer) in self.layers.iter().enumerate() {
            let (y, tape) = layer.forward(x, patients, self.queries(number));
            x = y;
            layers.push(tape);
        }
        let (features, norm) = self.norm.forward(x);
        (
            features,
            TensorTape {
                embedding,
                layers,
                norm,
            },
        )
    }

    /// Puts each patient's gradient of all weights, from `[patients, width]` of its features.
    fn backward(&self, tape: TensorTape, features: Vec<f32>, gradients: &mut Gradients) {
        let patients = tape.embedding.patients();
        let width = features.len() / patients;
        let features = tensor(features, [patients, width], &self.device);
        let mut dx = self.norm.backward(tape.norm, features, patients, gradients);
        for (number, (layer, tape)) in self.layers.iter().zip(tape.layers).enumerate().rev() {
            dx = layer.backward(tape, dx, patients, self.queries(number), gradients);
        }
        self.embedding.backward(tape.embedding, dx, gradients);
    }

    /// Only the class token leaves the last layer, so only it needs to ask there.
    fn queries(&self, layer: usize) -> Queries {
        if layer + 1 == self.layers.len() {
            Queries::ClassToken
        } else {
            Queries::AllTokens
        }
    }
}

/// Values as a tensor.
fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A tensor's values, row-major.
fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as().expect("all tensors here hold f32")
}

/// The first token of each patient: `[patients · tokens, width]` to `[patients, width]`.
fn class_rows(x: Tensor<2>, patients: usize) -> Tensor<2> {
    let [rows, width] = x.dims();
    x.reshape([patients, rows / patients * width])
        .narrow(1, 0, width)
}

/// Adds `[patients, width]` to the first token of each patient in `[patients · tokens, width]`.
fn add_to_class_rows(x: Tensor<2>, addend: Tensor<2>) -> Tensor<2> {
    let [patients, width] = addend.dims();
    let [rows, _] = x.dims();
    let x = x.reshape([patients, rows / patients * width]);
    let first = x.clone().narrow(1, 0, width) + addend;
    x.slice_assign([0..patients, 0..width], first)
        .reshape([rows, width])
}

#[cfg(test)]
mod tests;
