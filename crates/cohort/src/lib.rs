//! A hospital's files in, a model's inputs out.
//!
//! ```text
//! CSV ──import──▶ MEDS Parquet ──prepare──▶ Patients ──encode──▶ bytes that the host keeps
//!                 events                    raw values              │
//!                 labels                    per slot             decode
//!                 splits                                            ▼
//!                          Moments ──▶ Normaliser ──apply──▶ Batch: dense values, missing = 0, and where
//! ```
//!
//! MEDS is the Medical Event Data Standard (Arnrich et al. 2024): one row an event, with
//! `subject_id`, `time`, `code` and `numeric_value`; one row a label, with `subject_id`, `prediction_time` and a value.
//! Events up to and including the prediction time are used. No I/O, no clock, no randomness: the same bytes give the same
//! patients in the sandboxed module, in a browser and in a test.
//!
//! Rows in messages are counted from 1, the first row of data; a CSV's header line is not counted.

#![forbid(unsafe_code)]

mod bad_row;
mod check;
mod coverage;
mod error;
mod file;
mod first_rows;
pub mod import;
pub mod meds;
mod moments;
mod normalise;
mod patients;
mod prepare;
mod slots;
pub mod split;
mod values;
mod zone;

pub use bad_row::{BadRow, Problem, Quoted};
pub use check::{Checking, check};
pub use error::{CohortError, ColumnProblem};
pub use file::{File, Wants};
pub use moments::moment_vector;
pub use normalise::{Batch, MOST_DEVIATIONS, NormaliseError, Normaliser, reference};
pub use patients::{Candidates, DecodeError, Outcome, Patients, PoolError, Rows};
pub use prepare::{Preparation, prepare, prepare_any};
pub use slots::{Block, Slots};
