//! Random numbers for noise that is drawn again.

use std::f64::consts::TAU;

use rand_core::Rng;

/// A normal number of mean 0 and variance 1 (Box & Muller 1958).
pub fn normal(rng: &mut impl Rng) -> f64 {
    (-2.0 * uniform(rng).ln()).sqrt() * (TAU * uniform(rng)).cos()
}

/// A number above 0 and at most 1.
pub fn uniform(rng: &mut impl Rng) -> f64 {
    ((rng.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64
}
