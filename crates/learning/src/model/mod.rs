//! The models: weights as one flat vector in, probabilities or clipped gradients out.
//!
//! ```text
//! slots ──Summary──────▶ features ─┐
//! slots ──Summary─Hidden▶ features ┤
//!                                  ├─▶ Head ──▶ loss ──▶ gradient of features, of the head
//! slots ──Transformer──▶ features ─┘                          │
//!            ▲                                                 │
//!            └──────────── backward, per patient ◀─────────────┘
//! ```
//!
//! The backward pass is written out, layer by layer: each layer keeps its inputs, is given the gradient of its
//! outputs, and gives every patient's own gradient of its weights (Goodfellow 2015, [Efficient Per-Example Gradient
//! Computations]); without a Transformer that gradient is not even multiplied out (`factors`). So norms are exact and
//! one pass is enough. It also needs no graph that outlives a call, so a round can be replayed bit for bit. Tests
//! compare it with burn's own differentiation, with Opacus, and with finite differences. The Transformer's is there
//! twice ([`Backend`]): in plain loops, which the module runs, and on burn's tensors.
//!
//! [Efficient Per-Example Gradient Computations]: https://arxiv.org/abs/1510.01799

mod backend;
mod batch;
mod clip;
mod dot;
mod error;
mod factors;
mod head;
mod hidden;
mod input;
mod network;
mod parameter;
mod rows;
mod selection;
mod summary;
mod transformer;

pub use backend::Backend;
pub use batch::Batch;
pub use clip::GradientReport;
pub use error::ModelError;
pub use network::{CHUNK, Network, whole_patients};
pub use parameter::Parameter;
pub use rows::Rows;
