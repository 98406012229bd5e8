//! Random draws from a seed.

use std::ops::Range;

use chacha20::ChaCha20Rng;
use protocol::id::Digest;
use rand_core::{Rng, SeedableRng};

/// A stream of random numbers.
pub(crate) struct Random {
    rng: ChaCha20Rng,
    /// The second of a pair of normal numbers.
    spare: Option<f64>,
}

impl Random {
    /// The stream of one purpose and one hospital under a seed; streams do not depend on each other.
    pub(crate) fn new(seed: u64, purpose: &str, hospital: u32) -> Self {
        let name = [
            &seed.to_le_bytes(),
            purpose.as_bytes(),
            &hospital.to_le_bytes(),
        ]
        .concat();
        Self {
            rng: ChaCha20Rng::from_seed(Digest::of(&name).0),
            spare: None,
        }
    }

    /// Uniform over [0, 1).
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact in an f64")]
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 * (-53f64).exp2()
    }

    /// Uniform over a range.
    pub(crate) fn within(&mut self, range: &Range<f64>) -> f64 {
        range.start + (range.end - range.start) * self.uniform()
    }

    /// Whether something of this probability happens.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Standard normal (Box & Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // 1 − u is above 0, so the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sine);
        radius * cosine
    }

    /// An index, with probability in proportion to its weight.
    pub(crate) fn choose(&mut self, weights: &[f64]) -> usize {
        let mut place = self.uniform() * weights.iter().sum::<f64>();
        for (index, weight) in weights.iter().enumerate() {
            place -= weight;
            if place < 0.0 {
                return index;
            }
        }
        weights.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let mut random = Random::new(1, "test", 0);
        let draws: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|draw| draw * draw).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.04, "{variance}");
    }

    #[test]
    fn choices_follow_their_weights() {
        let mut random = Random::new(2, "test", 0);
        let mut counts = [0; 3];
        for _ in 0..10_000 {
            counts[random.choose(&[1.0, 0.0, 3.0])] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((2_300..2_700).contains(&counts[0]), "{counts:?}");
    }
}
