//! Any bytes at every decoder and at the module's door.
//!
//! ```text
//! seeds: what honest parties write ─┐
//! regressions: what once went wrong ┼─▶ Target::run ─▶ a value, or a typed error
//! libFuzzer's mutations of both ────┘        └─ never a panic, more memory than the bound, or a change after a refusal
//! ```
//!
//! `cargo xtask fuzz` runs libFuzzer; the tests of this crate replay seeds and regressions without it.

mod memory;
pub mod target;
mod targets;

pub use memory::Counting;
