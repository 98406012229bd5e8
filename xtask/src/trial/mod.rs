//! Trials: one way to train, on given hospitals, by the real programs on loopback.
//!
//! ```text
//! Source ──Hospitals::make──▶ files of each hospital
//!                                  │
//!               Ground::set_up: keys, roster, study, approval
//!                                  │
//!          baseline (a hospital, or all in one place) │ federation
//!                                  ▼
//!                      state ──predictions──▶ figures
//! ```

mod built;
mod diabetes;
mod hospitals;
mod predictions;
mod pretraining;
mod training;

pub(crate) use built::Built;
pub(crate) use hospitals::{Hospitals, Source, Stays};
pub(crate) use predictions::Predictions;
pub(crate) use pretraining::public_weights;
pub(crate) use training::{Ground, Trained};
