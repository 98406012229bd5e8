//! The contract of a study and the protocol of its rounds.
//!
//! ```text
//! study.toml ──parse──▶ Study ──layout──▶ sections, noise, modulus
//!                         │
//!        ┌────────────────┴─────────────────┐
//!      site (in the module)              round (aggregator)
//!      Advertising ▶ Sharing ▶ Masking ▶ Agreeing ▶ Unmasking
//! ```
//!
//! No I/O, no clock, no source of randomness: bytes, a seed and a time come in, values go out. So the
//! same code runs in the sandboxed module, in the aggregator and in a test.

#![forbid(unsafe_code)]

pub mod api;
pub mod codec;
pub mod door;
pub mod id;
pub mod study;
