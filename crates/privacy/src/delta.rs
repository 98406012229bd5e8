//! The δ of (ε, δ)-differential privacy.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The δ of (ε, δ)-differential privacy: above 0 and below 1, and not subnormal (so at least
/// 2.3e-308).
///
/// No unit; a study's δ should be well below one over its number of patients.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Delta(f64);

impl Delta {
    /// The number itself.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Delta {
    type Error = InvalidDelta;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        // The accountant's least answer is MIN_POSITIVE: a smaller δ could never be met.
        if (f64::MIN_POSITIVE..1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(InvalidDelta(value))
        }
    }
}

impl From<Delta> for f64 {
    fn from(delta: Delta) -> Self {
        delta.0
    }
}

impl fmt::Display for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number is no [`Delta`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("δ must be above 0, below 1 and not subnormal, got {0}")]
pub struct InvalidDelta(pub f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_between_0_and_1_are_a_delta() {
        for bad in [0.0, 1.0, -1e-6, 5e-324, f64::NAN, f64::INFINITY] {
            assert!(Delta::try_from(bad).is_err(), "{bad}");
        }
        assert_eq!(
            f64::from(Delta::try_from(1e-6).unwrap()).to_bits(),
            1e-6_f64.to_bits()
        );
    }
}
