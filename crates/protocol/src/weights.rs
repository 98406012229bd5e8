//! Public weights to start from: what a model learned of public or made-up patients.
//!
//! The file is the canonical CBOR of [`Weights`]; a study names it by the SHA-256 of its bytes. Names and lengths of the
//! blocks are in it, so that a file of another model is told apart.

use minicbor::{Decode, Encode};

/// Weights of a model, block by block; those that are left out start as the study's seed says.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Weights {
    /// The model's blocks, in its order.
    #[n(0)]
    pub blocks: Vec<Block>,
}

/// The weights of one block.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Block {
    /// Its name, for example `head.weight`.
    #[n(0)]
    pub name: String,
    /// Its weights, row-major.
    #[n(1)]
    pub values: Vec<f32>,
}
