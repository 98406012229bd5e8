//! Models, their clipped per-patient gradients, and what an aggregator does with the sum.
//!
//! ```text
//! a site:      patients ──Network::clipped_sum──▶ Σ clip(gradient) ──noise, mask──▶ …
//!              patients ──Network::probabilities──▶ metrics::count ──noise, mask──▶ …
//! aggregator:  … ──▶ Σ over sites ──Descent::step──▶ offset ──▶ next round's weights
//!              … ──▶ counts ──metrics::from_counts──▶ accuracy, AUC, F1
//! ```
//!
//! Clusters of patients by the model's features are found the same way: [`clustering`].
//!
//! Without the feature `burn` only [`optimizer`], [`metrics`] and [`clustering`] are there: vectors and rules, no model.
//! No I/O, no clock, no threads, no source of randomness: the same input gives the same bits.

#![deny(unsafe_code)]

pub mod clustering;
pub mod metrics;
#[cfg(feature = "burn")]
pub mod model;
pub mod optimizer;
