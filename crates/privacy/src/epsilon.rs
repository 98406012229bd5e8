//! The ε of (ε, δ)-differential privacy, as somebody asks for it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The ε of (ε, δ)-differential privacy: finite and above 0. No unit; smaller is more private.
///
/// This is a target or a limit. What has been spent is a plain `f64`, since it can be 0 or
/// infinite.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Epsilon(f64);

impl Epsilon {
    /// The number itself.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Epsilon {
    type Error = InvalidEpsilon;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        if value.is_finite() && value > 0.0 {
            Ok(Self(value))
        } else {
            Err(InvalidEpsilon(value))
        }
    }
}

impl From<Epsilon> for f64 {
    fn from(epsilon: Epsilon) -> Self {
        epsilon.0
    }
}

impl fmt::Display for Epsilon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number is no [`Epsilon`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("ε must be finite and above 0, got {0}")]
pub struct InvalidEpsilon(pub f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finite_positive_numbers_are_an_epsilon() {
        for bad in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Epsilon::try_from(bad).is_err(), "{bad}");
        }
        assert_eq!(Epsilon::try_from(0.5).unwrap().to_string(), "0.5");
        assert!(serde_json::from_str::<Epsilon>("-1").is_err());
    }
}
