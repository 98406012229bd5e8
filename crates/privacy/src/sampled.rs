//! Gaussian noise on a sum over a Poisson sample of the patients.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Mu;
use crate::renyi::cumulant;
use crate::step::{Direction, Step};

/// One release of a sum over a sample: every patient is in it by a coin of their own, and the noise
/// is Gaussian.
///
/// The coins are independent of each other, of the data and of all other releases, and nobody who
/// sees the release knows how they fell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampled {
    /// The noise, for a sensitivity of 1.
    pub noise_multiplier: NoiseMultiplier,
    /// The probability with which each patient is in the sample.
    pub rate: Rate,
}

impl Sampled {
    /// What the release would cost if every patient were in it; rounded up. A multiplier always has a
    /// finite inverse.
    #[must_use]
    pub fn unsampled(self) -> Mu {
        Mu::from_noise_multiplier(self.noise_multiplier.0).unwrap_or(Mu::MAX)
    }

    /// The Rényi divergence of this order, above 1, of one release: the greater of both directions, not
    /// rounded in any (its error is about 1e-10 of it). Infinite where it overflows.
    #[must_use]
    pub fn renyi_divergence(self, order: f64) -> f64 {
        let step = Step::new(self.unsampled().get(), self.rate.0);
        let lambda = order - 1.0;
        let one = |direction| cumulant(step, direction, lambda) / lambda;
        Direction::BOTH.map(one).into_iter().fold(0.0, f64::max)
    }

    /// An order of its own, to group equal releases: by rate, then by noise.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let key = |one: &Self| (one.rate.0.to_bits(), one.noise_multiplier.0.to_bits());
        key(self).cmp(&key(other))
    }
}

/// Standard deviation of the noise over the sensitivity: from 1e-300 to 1e300. No unit; more is
/// more private.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct NoiseMultiplier(f64);

impl NoiseMultiplier {
    /// The number itself.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for NoiseMultiplier {
    type Error = InvalidNoiseMultiplier;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        // Its inverse is then a finite loss as well.
        if (1e-300..=1e300).contains(&value) {
            Ok(Self(value))
        } else {
            Err(InvalidNoiseMultiplier(value))
        }
    }
}

impl From<NoiseMultiplier> for f64 {
    fn from(multiplier: NoiseMultiplier) -> Self {
        multiplier.0
    }
}

impl fmt::Display for NoiseMultiplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number is no [`NoiseMultiplier`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a noise multiplier must be from 1e-300 to 1e300, got {0}")]
pub struct InvalidNoiseMultiplier(pub f64);

/// The probability with which each patient is in a sample: above 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Rate(f64);

impl Rate {
    /// Everybody.
    pub const ALL: Self = Self(1.0);

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Rate {
    type Error = InvalidRate;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        if (f64::MIN_POSITIVE..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(InvalidRate(value))
        }
    }
}

impl From<Rate> for f64 {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number is no [`Rate`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a sampling rate must be above 0 and at most 1, got {0}")]
pub struct InvalidRate(pub f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_probabilities_above_0_are_a_rate() {
        for bad in [0.0, -0.1, 1.1, f64::NAN, 5e-324] {
            assert!(Rate::try_from(bad).is_err(), "{bad}");
        }
        assert_eq!(Rate::try_from(1.0), Ok(Rate::ALL));
    }

    #[test]
    fn only_positive_numbers_with_an_inverse_are_a_noise_multiplier() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-310, 1e301] {
            assert!(NoiseMultiplier::try_from(bad).is_err(), "{bad}");
        }
        let sampled = Sampled {
            noise_multiplier: NoiseMultiplier::try_from(4.0).unwrap(),
            rate: Rate::try_from(0.5).unwrap(),
        };
        assert!((0.25..0.25 + 1e-15).contains(&sampled.unsampled().get()));
    }
}
