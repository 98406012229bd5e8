//! Multi-head attention (Vaswani et al. 2017, section 3.2).

use burn_tensor::Tensor;
use burn_tensor::activation::softmax;

use super::affine::{self, Affine, by_patient};
use crate::model::ModelError;
use crate::model::clip::Gradients;
use crate::model::parameter::{Parameters, xavier};

/// Where the weights lie: one block of `[3 · width, width]` (queries, keys, values), one of `[width, width]`.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) query: affine::Place,
    pub(super) key_value: affine::Place,
    pub(super) out: affine::Place,
}

impl Place {
    pub(super) fn new(
        parameters: &mut Parameters,
        name: &str,
        width: usize,
    ) -> Result<Self, ModelError> {
        let start = xavier(width, width);
        let qkv = format!("{name}.qkv");
        let qkv = affine::Place::with_start(parameters, &qkv, width, 3 * width, start)?;
        let (query, key_value) = qkv.split(width);
        let out = affine::Place::new(parameters, &format!("{name}.out"), width, width)?;
        Ok(Self {
            query,
            key_value,
            out,
        })
    }

    pub(super) fn load(&self, weights: &Tensor<1>, heads: usize) -> Attention {
        Attention {
            query: self.query.load(weights),
            key_value: self.key_value.load(weights),
            out: self.out.load(weights),
            heads,
        }
    }
}

/// `softmax(q · kᵀ / √d) · v` in each head of width d, then a linear layer.
pub(super) struct Attention {
    query: Affine,
    key_value: Affine,
    out: Affine,
    heads: usize,
}

/// What the backward pass needs; `asked` are the rows that ask, `x` all rows.
pub(super) struct AttentionTape {
    asked: Tensor<2>,
    x: Tensor<2>,
    /// Scaled by 1/√d, `[patients, heads, asking tokens, d]`.
    query: Tensor<4>,
    /// `[patients, heads, tokens, d]`.
    key: Tensor<4>,
    value: Tensor<4>,
    /// `[patients, heads, asking tokens, tokens]`.
    attention: Tensor<4>,
    /// `[patients, heads, asking tokens, d]`.
    context: Tensor<4>,
    /// The same as `[patients · asking tokens, width]`.
    flat_context: Tensor<2>,
}

/// The gradients of [`AttentionTape::asked`] and [`AttentionTape::x`], apart.
pub(super) struct AttentionGradient {
    pub(super) asked: Tensor<2>,
    pub(super) x: Tensor<2>,
}

impl Attention {
    /// What the rows `asked`, `[patients · asking tokens, width]`, learn from `x`, `[patients · tokens, width]`.
    pub(super) fn forward(
        &self,
        asked: Tensor<2>,
        x: Tensor<2>,
        patients: usize,
    ) -> (Tensor<2>, AttentionTape) {
        let width = x.dims()[1];
        let query = self.query.forward(asked.clone()) * self.scale(width);
        let key_value = self.key_value.forward(x.clone());
        let query = self.by_head(by_patient(query, patients));
        let key = self.by_head(by_patient(key_value.clone(), patients).narrow(2, 0, width));
        let value = self.by_head(by_patient(key_value, patients).narrow(2, width, width));
        let attention = softmax(query.clone().matmul(key.clone().swap_dims(2, 3)), 3);
        let context = attention.clone().matmul(value.clone());
        let flat_context = by_token(context.clone());
        let y = self.out.forward(flat_context.clone());
        (
            y,
            AttentionTape {
                asked,
                x,
                query,
                key,
                value,
                attention,
                context,
                flat_context,
            },
        )
    }

    /// The gradients of the inputs from that of the outputs; puts each patient's gradient of the weights.
    pub(super) fn backward(
        &self,
        tape: AttentionTape,
        dy: Tensor<2>,
        patients: usize,
        gradients: &mut Gradients,
    ) -> AttentionGradient {
        let AttentionTape {
            asked,
            x,
            query,
            key,
            value,
            attention,
            context,
            flat_context,
        } = tape;
        let width = x.dims()[1];
        let of_patient = |x: Tensor<2>| by_patient(x, patients);
        self.out
            .gradient(of_patient(flat_context), of_patient(dy.clone()), gradients);
        let d_context = self.by_head(of_patient(self.out.backward(dy)));
        let d_value = attention.clone().swap_dims(2, 3).matmul(d_context.clone());
        // The softmax's: a · (da − Σ a · da), where the sum over tokens is that of context · d_context over d.
        let shared = (d_context.clone() * context).sum_dim(3);
        let d_scores = (d_context.matmul(value.swap_dims(2, 3)) - shared) * attention;
        let d_key = d_scores.clone().swap_dims(2, 3).matmul(query);
        let d_query = by_token(d_scores.matmul(key)) * self.scale(width);
        let d_key_value = Tensor::cat(vec![by_token(d_key), by_token(d_value)], 1);

        self.query
            .gradient(of_patient(asked), of_patient(d_query.clone()), gradients);
        self.key_value
            .gradient(of_patient(x), of_patient(d_key_value.clone()), gradients);
        AttentionGradient {
            asked: self.query.backward(d_query),
            x: self.key_value.backward(d_key_value),
        }
    }

    /// `[patients, tokens, width]` as `[patients, heads, tokens, d]`.
    fn by_head(&self, x: Tensor<3>) -> Tensor<4> {
        let [patients, tokens, width] = x.dims();
        x.reshape([patients, tokens, self.heads, width / self.heads])
            .swap_dims(1, 2)
    }

    #[expect(clippy::cast_precision_loss, reason = "widths are far below 2^52")]
    fn scale(&self, width: usize) -> f64 {
        ((width / self.heads) as f64).sqrt().recip()
    }
}

/// `[patients, heads, tokens, d]` as `[patients · tokens, width]`.
fn by_token(x: Tensor<4>) -> Tensor<2> {
    let [patients, heads, tokens, d] = x.dims();
    x.swap_dims(1, 2).reshape([patients * tokens, heads * d])
}
