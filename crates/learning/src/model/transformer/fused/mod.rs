//! The multimodal Transformer, one patient at a time, in a few hundred kilobytes that stay in the processor's cache.
//!
//! The same functions as on burn's tensors, which stay as what tests compare this with. Here the sizes of a patient's
//! matrices decide: they are small, so that a call for each operation, and a memory round trip for each result, cost
//! more than the arithmetic. Plain loops over [`panel::Lanes`], which the compiler turns into vectors; the same
//! additions in the same order everywhere, so the same bits.

mod affine;
mod attention;
mod embedding;
mod exponential;
mod gelu;
mod layer;
mod norm;
mod panel;
mod product;

use std::cell::Cell;

use self::embedding::{Embedding, EmbeddingTape};
use self::layer::{Layer, LayerScratch, LayerTape};
use self::norm::{Norm, NormTape};
use self::panel::{Columns, Matrix};
use super::Transformer;
use crate::model::batch::Batch;

/// The Transformer with its weights.
pub(in crate::model) struct Loaded<'a> {
    embedding: Embedding<'a>,
    inner: Vec<Layer>,
    /// Only the class token leaves it.
    last: Layer,
    norm: Norm,
    width: usize,
    /// The memory of the patient before, for the next one.
    spare: Cell<Option<Box<Tape>>>,
}

/// What the backward pass needs of the forward pass, and room for what both leave behind.
struct Tape {
    embedding: EmbeddingTape,
    inner: Vec<LayerTape>,
    last: LayerTape,
    norm: NormTape,
    inner_scratch: LayerScratch,
    last_scratch: LayerScratch,
    /// All tokens, or their gradient, before a layer.
    x: Matrix,
    /// The same after it.
    y: Matrix,
    /// The class token that leaves the last layer.
    class: Matrix,
    /// The same after the norm.
    features: Matrix,
}

impl<'a> Loaded<'a> {
    pub(super) fn new(transformer: &'a Transformer, weights: &[f32]) -> Self {
        let sizes = transformer.sizes;
        let layer = |place| Layer::new(place, weights, sizes);
        let (last, inner) = transformer
            .layers
            .split_last()
            .expect("sizes have at least one layer");
        Self {
            embedding: Embedding::new(&transformer.embedding, weights),
            inner: inner.iter().map(layer).collect(),
            last: layer(last),
            norm: Norm::new(&transformer.norm, weights, Columns::new(sizes.width)),
            width: sizes.width,
            spare: Cell::new(None),
        }
    }

    /// The features of one patient, `[width]`.
    pub(super) fn forward(&self, patient: Batch<'_>) -> (Vec<f32>, Pass<'_>) {
        let mut tape = self.spare.take().unwrap_or_else(|| Box::new(self.tape()));
        let t = tape.as_mut();
        self.embedding.forward(patient, &mut t.embedding, &mut t.x);
        for (layer, tape) in self.inner.iter().zip(&mut t.inner) {
            layer.forward(&t.x, &mut t.y, tape, &mut t.inner_scratch);
            std::mem::swap(&mut t.x, &mut t.y);
        }
        self.last
            .forward(&t.x, &mut t.class, &mut t.last, &mut t.last_scratch);
        self.norm.forward(&t.class, &mut t.norm, &mut t.features);
        let mut features = vec![0.0; self.width];
        t.features.copy_row(0, &mut features);
        let pass = Pass {
            loaded: self,
            tape: Some(tape),
        };
        (features, pass)
    }

    fn backward(&self, t: &mut Tape, features: &[f32], gradient: &mut [f32]) {
        t.features.set_row(0, features);
        self.norm.backward(&t.norm, &mut t.features, gradient);
        self.last.backward(
            &t.features,
            &mut t.x,
            &t.last,
            &mut t.last_scratch,
            gradient,
        );
        for (layer, tape) in self.inner.iter().zip(&t.inner).rev() {
            layer.backward(&t.x, &mut t.y, tape, &mut t.inner_scratch, gradient);
            std::mem::swap(&mut t.x, &mut t.y);
        }
        self.embedding.backward(&t.embedding, &t.x, gradient);
    }

    fn tape(&self) -> Tape {
        let tokens = self.embedding.tokens();
        let matrix = |rows| Matrix::new(rows, Columns::new(self.width).len());
        Tape {
            embedding: self.embedding.tape(),
            inner: (self.inner.iter())
                .map(|layer| layer.tape(tokens, tokens))
                .collect(),
            last: self.last.tape(tokens, 1),
            norm: NormTape::new(1, Columns::new(self.width).len()),
            inner_scratch: self.last.scratch(tokens, tokens),
            last_scratch: self.last.scratch(tokens, 1),
            x: matrix(tokens),
            y: matrix(tokens),
            class: matrix(1),
            features: matrix(1),
        }
    }
}

/// A patient's forward pass.
pub(in crate::model) struct Pass<'a> {
    loaded: &'a Loaded<'a>,
    /// Until the pass is over.
    tape: Option<Box<Tape>>,
}

impl Pass<'_> {
    /// Writes the gradient of all weights into `gradient`, from that of the features.
    pub(super) fn backward(mut self, features: &[f32], gradient: &mut [f32]) {
        if let Some(tape) = &mut self.tape {
            self.loaded.backward(tape, features, gradient);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.loaded.spare.set(self.tape.take());
    }
}
