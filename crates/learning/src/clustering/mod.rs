//! Federated k-means, without the federation: what a site adds of its patients, and what an aggregator makes of sums.
//!
//! ```text
//! a site:      embedding ──Projection──▶ ──clip──▶ Point ──Cells::of──▶ counts and sums of cells ──noise, mask──▶ …
//! aggregator:  … ──▶ Σ over sites ──means──▶ centres of the next round; after the last split ──kmeans──▶ as many as wanted
//! ```
//!
//! Points are in radii: of L2 norm at most 1. [`protocol::study::Clustering`] says how rounds follow each other.

mod cells;
mod kmeans;
mod point;
mod projection;
mod rand_index;

pub use cells::{Cells, Mean, means};
pub use kmeans::{Weighted, kmeans};
pub use point::{Point, centres, clip, flat, nearest};
pub use projection::Projection;
pub use rand_index::adjusted_rand_index;
