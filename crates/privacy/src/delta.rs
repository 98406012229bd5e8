//! The δ of (ε, δ)-differential privacy.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The δ of (ε, δ)-differential privacy: from [`Delta::LEAST`] to below 1.
///
/// No unit; a study's δ should be well below one over its number of patients.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Delta(f64);

impl Delta {
    /// 1e-12: what the pseudorandom generator, the ends of the noise's range and the proofs leave over is far below this; for a
    /// smaller δ nobody has added it up. One over all people who ever lived is 1e-11.
    pub const LEAST: f64 = 1e-12;

    /// This δ times a factor from 0 to 1, which can be below [`Delta::LEAST`]: what is left where a part is kept back.
    pub(crate) fn scaled_down(self, factor: f64) -> Self {
        debug_assert!(
            factor > 0.0 && factor <= 1.0,
            "a part is not more than the whole"
        );
        Self(self.0 * factor)
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Delta {
    type Error = InvalidDelta;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        if (Self::LEAST..1.0).contains(&value) {
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
#[error(
    "δ must be from {least:e} to below 1, got {0}: take one below one in the number of patients, for example 1e-6; what is \
     below {least:e} is not proved for noise that a computer draws",
    least = Delta::LEAST
)]
pub struct InvalidDelta(pub f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_from_1e_12_to_below_1_are_a_delta() {
        for bad in [0.0, 1.0, -1e-6, 9.99e-13, 5e-324, f64::NAN, f64::INFINITY] {
            assert!(Delta::try_from(bad).is_err(), "{bad}");
        }
        assert!(Delta::try_from(1e-12).is_ok());
        let refused = Delta::try_from(1e-13).unwrap_err().to_string();
        assert!(refused.contains("from 1e-12 to below 1, got"), "{refused}");
        assert_eq!(
            f64::from(Delta::try_from(1e-6).unwrap()).to_bits(),
            1e-6_f64.to_bits()
        );
    }
}
