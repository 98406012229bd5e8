//! Names, shapes, places and initial values of a model's weights.

use std::ops::Range;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};

use super::ModelError;

/// A block of the flat vector of weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name, for example `layers.0.qkv.weight`.
    pub name: String,
    /// Its shape, row-major; a linear layer is `[outputs, inputs]`.
    pub shape: Vec<usize>,
    /// Its place in the flat vector.
    pub range: Range<usize>,
    start: Start,
}

/// What a weight is before training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Start {
    /// All the same.
    Constant(f32),
    /// Uniform from minus to plus this.
    Uniform(f32),
}

/// The blocks of a model, in the order of the flat vector.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters {
    blocks: Vec<Parameter>,
    length: usize,
}

impl Parameters {
    pub(super) fn blocks(&self) -> &[Parameter] {
        &self.blocks
    }

    /// Weights of all blocks.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Adds a block at the end; its place is returned.
    pub(super) fn push(
        &mut self,
        name: String,
        shape: &[usize],
        start: Start,
    ) -> Result<Range<usize>, ModelError> {
        let length = shape
            .iter()
            .try_fold(1_usize, |length, size| length.checked_mul(*size));
        let end = length
            .and_then(|length| length.checked_add(self.length))
            .filter(|end| *end <= ModelError::MOST_WEIGHTS)
            .ok_or(ModelError::TooLarge)?;
        let range = self.length..end;
        self.length = end;
        self.blocks.push(Parameter {
            name,
            shape: shape.to_vec(),
            range: range.clone(),
            start,
        });
        Ok(range)
    }

    /// The weights before training. Only additions, multiplications and integer arithmetic: the same everywhere.
    pub(super) fn initial(&self, seed: u32) -> Vec<f32> {
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(seed));
        let mut weights = Vec::with_capacity(self.length);
        for block in &self.blocks {
            let length = block.range.len();
            match block.start {
                Start::Constant(value) => weights.extend(std::iter::repeat_n(value, length)),
                Start::Uniform(most) => {
                    weights.extend((0..length).map(|_| most * symmetric(&mut rng)))
                }
            }
        }
        weights
    }
}

/// Uniform from -1 to below 1, in steps of 2⁻²³.
#[expect(clippy::cast_precision_loss, reason = "24 bits fit a f32 exactly")]
fn symmetric(rng: &mut ChaCha20Rng) -> f32 {
    const HALF: f32 = (1 << 23) as f32;
    (rng.next_u32() >> 8) as f32 / HALF - 1.0
}

/// Uniform with the variance that keeps a linear layer's signal, forward and back (Glorot & Bengio 2010).
#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^24")]
pub(super) fn xavier(inputs: usize, outputs: usize) -> Start {
    Start::Uniform((6.0 / (inputs + outputs) as f32).sqrt())
}

/// Uniform with the standard deviation that is usual for embeddings, 0.02.
pub(super) const EMBEDDING: Start = Start::Uniform(0.034_641_016);
