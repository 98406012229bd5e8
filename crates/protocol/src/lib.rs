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

// Not forbidden, for the loads and stores of `keystream`'s vectors alone.
#![deny(unsafe_code)]

pub mod agreement;
pub mod api;
pub mod chunk;
mod cipher;
pub mod codec;
mod cores;
pub mod door;
pub mod holders;
pub mod hpke;
pub mod id;
pub mod identity;
mod keystream;
pub mod lottery;
pub mod mask;
pub mod message;
mod noise;
pub mod pack;
mod roll;
pub mod round;
pub mod seed;
pub mod shamir;
pub mod site;
pub mod state;
pub mod study;
#[cfg(test)]
mod vectors;
pub mod weights;
pub mod withdrawal;

pub use roll::KeyFault;
