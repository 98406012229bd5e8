//! The portable module: the only code that reads patient data.
//!
//! ```text
//! handle(request bytes) ─▶ door ─▶ session ─▶ cohort, learning, privacy, protocol ─▶ response bytes
//! ```
//!
//! It imports nothing: no clock, no network, no files, no random numbers. The same bytes run in a wasmtime host at a
//! hospital and in a browser tab, and the same requests give the same responses in both.

mod door;
mod entropy;
mod session;
mod vector;

pub use door::{handle, panic_message};
