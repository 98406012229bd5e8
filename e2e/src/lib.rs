//! The real programs on loopback: one aggregator and its hospitals, as their people would start them.
//!
//! `cargo xtask demo` shows them to a person; the tests kill them at every stage.

#![forbid(unsafe_code)]

mod federation;
mod process;
mod programs;
mod tap;

pub use federation::{Federation, Site};
pub use process::Process;
pub use programs::{Programs, finish};
pub use tap::{Cut, Tap};
