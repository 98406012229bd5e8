//! What tests of all crates share.
//!
//! ```text
//! Draft ──make──▶ TestStudy { toml, study, identities, aggregator's secret }
//!                     │
//!                     ├─▶ FakeSite: a site that lives in memory, stage by stage
//!                     ├─▶ FakeModule, Disk: what a participant is driven with in memory
//!                     ├─▶ round::run: a whole round, with sites that drop out
//!                     └─▶ noise::excess: by how much a sum's noise is above what is promised
//! Asked::read: a request as a server of tests reads it
//! Dice: random draws from one seed
//! soak: fresh seeds until a time is over
//! ```
//!
//! [`vectors`] are files of what the code makes of known seeds.
//!
//! Everything is made from fixed seeds: a test that fails once fails again.

#![forbid(unsafe_code)]

mod dice;
mod disk;
mod fake_module;
mod fake_site;
mod http;
pub mod noise;
mod roster;
pub mod round;
mod soak;
mod study;
pub mod vectors;

pub use dice::Dice;
pub use disk::Disk;
pub use fake_module::{FakeModule, Vector};
pub use fake_site::{FakeSite, decoded};
pub use http::Asked;
pub use roster::{Lots, nonce, roster};
pub use soak::soak;
pub use study::{Draft, Random, TestStudy, study};

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

/// A generator of random numbers that starts at `seed`.
#[must_use]
pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}
