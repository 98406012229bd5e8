//! The ε of (ε, δ)-differential privacy, as somebody asks for it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The ε of (ε, δ)-differential privacy: above 0 and at most [`Epsilon::MOST`]. No unit; smaller is more private.
///
/// This is a target or a limit. What has been spent is a plain `f64`, since it can be 0 or
/// infinite.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Epsilon(f64);

impl Epsilon {
    /// 100: beyond, a promise is none (e¹⁰⁰ is 10⁴³), and the accountant has not been checked.
    pub const MOST: f64 = 100.0;

    /// This ε times a factor from 0 to 1.
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

impl TryFrom<f64> for Epsilon {
    type Error = InvalidEpsilon;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        if value > 0.0 && value <= Self::MOST {
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
#[error(
    "ε must be above 0 and at most {most}, got {0}: take one of at most 10; a greater one promises next to nothing",
    most = Epsilon::MOST
)]
pub struct InvalidEpsilon(pub f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_above_0_and_up_to_a_hundred_are_an_epsilon() {
        for bad in [0.0, -0.0, -1.0, 100.000_001, 1e300, f64::NAN, f64::INFINITY] {
            assert!(Epsilon::try_from(bad).is_err(), "{bad}");
        }
        assert!(Epsilon::try_from(100.0).is_ok());
        let refused = Epsilon::try_from(101.0).unwrap_err().to_string();
        assert!(refused.contains("at most 100, got 101"), "{refused}");
        assert_eq!(Epsilon::try_from(0.5).unwrap().to_string(), "0.5");
        assert!(serde_json::from_str::<Epsilon>("-1").is_err());
    }
}
