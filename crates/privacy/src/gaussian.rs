//! The exact accountant of full-batch Gaussian noise.
//!
//! A Gaussian mechanism is described wholly by one number, μ = sensitivity / standard deviation of
//! the noise, and so is any adaptive composition of them (Dong, Roth & Su 2019, *Gaussian
//! differential privacy*, corollary 2). The (ε, δ) that a μ gives is exact by Balle & Wang 2018,
//! theorem 8 ([arXiv 1805.06530]):
//!
//! ```text
//! δ(ε) = Φ(−a) − e^ε Φ(−b)      a = ε/μ − μ/2,  b = ε/μ + μ/2
//!      = Φ(−a) − ½ exp(−a²/2) erfcx(b/√2)              since b² − a² = 2ε
//! ```
//!
//! The second form has no `e^ε` that could overflow and no product of a huge and a tiny number.
//! Each answer is an upper bound of the true one: `a` and `b` are widened by their rounding errors,
//! and the two terms by those of `erfc`, `exp` and `erfcx`. δ is above the truth by about 1e-14 of
//! Φ(−a); an ε for μ ≥ 1e-4 by less than 1e-9 of it.
//!
//! [arXiv 1805.06530]: https://arxiv.org/abs/1805.06530

use std::f64::consts::FRAC_1_SQRT_2;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::directed::{SLACK, down, up};
use crate::erfcx::erfcx;
use crate::{Delta, Epsilon};

/// The privacy loss of Gaussian noise: sensitivity / standard deviation, finite and at least 0. No
/// unit.
///
/// 0 is no loss (nothing of a patient was released); 1 is weak; below 0.23 an ε of 1 at δ = 1e-6
/// holds.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Mu(f64);

impl Mu {
    /// No loss at all.
    pub const ZERO: Self = Self(0.0);

    /// More than any noise that is worth its name loses.
    pub(crate) const MAX: Self = Self(f64::MAX);

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// The loss of one release whose noise has a standard deviation of `multiplier` times the
    /// sensitivity; rounded up.
    ///
    /// # Errors
    ///
    /// [`InvalidMu`] when the multiplier is 0 or below, or no number, or so small that the loss
    /// overflows.
    pub fn from_noise_multiplier(multiplier: f64) -> Result<Self, InvalidMu> {
        Self::try_from(up(1.0 / multiplier))
    }

    /// The noise multiplier (standard deviation / sensitivity) of each of `steps` equal releases
    /// that together lose at most this; rounded up. Infinite for a loss of 0.
    #[must_use]
    pub fn noise_multiplier(self, steps: NonZeroU32) -> f64 {
        up(f64::from(steps.get()).sqrt() / self.0)
    }

    /// The loss of all the releases together: the root of the sum of squares, rounded up.
    ///
    /// The error is below 1e-15 of it for any number of releases up to 2³², so that splitting a
    /// loss and composing the parts gives it back. It also covers losses read from decimal text by
    /// a parser that is off by one in the last place. A sum that overflows is `f64::MAX`, whose ε
    /// is infinite at every δ.
    #[must_use]
    pub fn compose(releases: impl IntoIterator<Item = Self>) -> Self {
        let mut sum = 0.0_f64;
        let mut lost = 0.0_f64;
        for Self(mu) in releases {
            // A square that underflows is rounded up too, or many tiny losses would count as none.
            let square = if mu > 0.0 {
                (mu * mu).max(f64::MIN_POSITIVE)
            } else {
                0.0
            };
            // Kahan's compensated sum; all terms are positive.
            let term = square - lost;
            let next = sum + term;
            lost = (next - sum) - term;
            sum = next;
        }
        // After an overflow the sum is NaN or infinite; `min` turns both into MAX.
        Self(up(sum.sqrt()).min(f64::MAX))
    }

    /// The loss of `count` releases like this one, rounded up.
    pub(crate) fn repeated(self, count: u64) -> Self {
        Self(up(self.0 * (count as f64).sqrt()).min(f64::MAX))
    }

    /// The least δ proved at this ε; never below the true one.
    #[must_use]
    pub fn delta(self, epsilon: Epsilon) -> f64 {
        self.delta_at(epsilon.get())
    }

    /// [`Mu::delta`] at any ε of at least 0.
    pub(crate) fn delta_at(self, epsilon: f64) -> f64 {
        delta_at(self.0, epsilon)
    }

    /// The least ε proved at this δ; never below the true one. 0 when the δ alone covers the loss,
    /// infinite when the loss is so large that its ε overflows.
    #[must_use]
    pub fn epsilon(self, delta: Delta) -> f64 {
        self.epsilon_at(delta.get())
    }

    /// [`Mu::epsilon`] at any δ that is a normal number above 0.
    pub(crate) fn epsilon_at(self, delta: f64) -> f64 {
        let proved = |epsilon| delta_at(self.0, epsilon) <= delta;
        if proved(0.0) {
            return 0.0;
        }
        // At a = 40, Φ(−a) is below every normal number. Doubling is for a loss above 1e15, where `a`
        // itself has no digits left.
        let mut holds = self.0 * (0.5 * self.0 + 40.0);
        while !proved(holds) {
            holds *= 2.0;
        }
        bisect(0.0, holds, proved)
    }

    /// The greatest loss for which (ε, δ) is proved; never above the true one.
    #[must_use]
    pub fn calibrate(epsilon: Epsilon, delta: Delta) -> Self {
        Self::calibrate_at(epsilon.get(), delta.get())
    }

    /// [`Mu::calibrate`] for any positive numbers.
    fn calibrate_at(epsilon: f64, delta: f64) -> Self {
        let proved = |mu| delta_at(mu, epsilon) <= delta;
        let mut fails = 1.0;
        while proved(fails) {
            fails *= 2.0;
        }
        Self(bisect(fails, 0.0, proved))
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.0 <= 0.0
    }

    /// This loss times a factor from 0 to 1, rounded down.
    pub(crate) fn scaled_down(self, factor: f64) -> Self {
        debug_assert!(
            (0.0..=1.0).contains(&factor),
            "a part is not more than the whole"
        );
        Self(down(self.0 * factor))
    }
}

impl TryFrom<f64> for Mu {
    type Error = InvalidMu;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        if value.is_finite() && value >= 0.0 {
            // −0 is 0: its noise multiplier would be −∞.
            Ok(Self(value.abs()))
        } else {
            Err(InvalidMu(value))
        }
    }
}

impl From<Mu> for f64 {
    fn from(mu: Mu) -> Self {
        mu.0
    }
}

/// The number is no [`Mu`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a Gaussian loss (sensitivity / noise) must be finite and at least 0, got {0}")]
pub struct InvalidMu(pub f64);

/// An upper bound of δ at `mu` ≥ 0 and `epsilon` ≥ 0 (or ∞), in [`f64::MIN_POSITIVE`, 1]; 0 for
/// `mu` = 0.
fn delta_at(mu: f64, epsilon: f64) -> f64 {
    if mu <= 0.0 {
        return 0.0;
    }
    let quotient = epsilon / mu;
    let half = 0.5 * mu;
    // 8 half-units of ε/μ + μ/2: at most 3 are spent on computing a, 2.5 on its square and its
    // quotient by √2.
    let least_a = quotient * (1.0 - SLACK) - half * (1.0 + SLACK);
    let greatest_a = quotient * (1.0 + SLACK) - half * (1.0 - SLACK);
    let greatest_b = (quotient + half) * (1.0 + SLACK);
    let furthest = least_a.abs().max(greatest_a.abs());

    let without = 0.5 * libm::erfc(least_a * FRAC_1_SQRT_2);
    let with = 0.5 * libm::exp(-0.5 * furthest * furthest) * erfcx(greatest_b * FRAC_1_SQRT_2);
    // MIN_POSITIVE is more than what either term can lose by underflow.
    let bound = without * (1.0 + TERM_ERROR) - with * (1.0 - TERM_ERROR) + f64::MIN_POSITIVE;
    bound.clamp(f64::MIN_POSITIVE, 1.0)
}

/// The point nearest to where a monotone predicate changes at which it still holds, to the last
/// bit.
fn bisect(mut fails: f64, mut holds: f64, holds_at: impl Fn(f64) -> bool) -> f64 {
    loop {
        let middle = fails + 0.5 * (holds - fails);
        if [fails.to_bits(), holds.to_bits()].contains(&middle.to_bits()) {
            return holds;
        }
        if holds_at(middle) {
            holds = middle;
        } else {
            fails = middle;
        }
    }
}

/// Relative error of one term of δ beside that of its argument: 32 units for `erfcx`, 1 each for
/// `erfc` and `exp`, the products; doubled.
const TERM_ERROR: f64 = 72.0 * f64::EPSILON;

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, prop_assert, proptest};

    use super::*;

    fn mu(value: f64) -> Mu {
        Mu::try_from(value).unwrap()
    }

    fn delta(value: f64) -> Delta {
        Delta::try_from(value).unwrap()
    }

    fn any_positive() -> impl Strategy<Value = f64> {
        (-1000.0..1000.0_f64).prop_map(f64::exp2)
    }

    #[test]
    fn no_loss_is_free() {
        assert!(Mu::ZERO.epsilon_at(1e-300) <= 0.0);
        assert!(Mu::ZERO.delta(Epsilon::try_from(1e-300).unwrap()) <= 0.0);
        assert!(Mu::compose([]).get() <= 0.0);
        assert!(Mu::ZERO.noise_multiplier(NonZeroU32::MIN).is_infinite());
        assert!(
            mu(-0.0)
                .noise_multiplier(NonZeroU32::MIN)
                .is_sign_positive()
        );
    }

    #[test]
    fn losses_that_overflow_have_an_infinite_epsilon() {
        let most = Mu::compose([mu(f64::MAX), mu(1.0), mu(f64::MAX)]);
        assert!(most.epsilon(delta(0.999)).is_infinite());
        assert!(Mu::from_noise_multiplier(1e-310).is_err());
        for bad in [0.0, -1.0, f64::NAN] {
            assert!(Mu::from_noise_multiplier(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn losses_whose_squares_underflow_still_add_up() {
        assert!(Mu::compose([mu(1e-200); 4]) >= mu(2e-200));
    }

    #[test]
    fn a_million_equal_losses_compose_without_drift() {
        let total = Mu::compose(std::iter::repeat_n(mu(0.1), 1_000_000)).get();
        assert!((100.0..100.0 * (1.0 + 2e-15)).contains(&total), "{total}");
    }

    proptest! {
        #[test]
        fn delta_is_a_probability_for_any_finite_loss(
            loss in any_positive(), epsilon in any_positive(),
        ) {
            let delta = mu(loss).delta_at(epsilon);
            prop_assert!((f64::MIN_POSITIVE..=1.0).contains(&delta), "{}", delta);
        }

        #[test]
        fn epsilon_is_found_for_any_finite_loss(
            loss in any_positive(), exponent in -1020.0..-0.001_f64,
        ) {
            let epsilon = mu(loss).epsilon_at(exponent.exp2());
            prop_assert!(epsilon >= 0.0, "{}", epsilon);
        }

        #[test]
        fn a_calibrated_loss_spends_no_more_than_asked(
            epsilon in 1e-3..1e3_f64, exponent in -60.0..-1.0_f64,
        ) {
            let delta = exponent.exp2();
            let loss = Mu::calibrate_at(epsilon, delta);
            prop_assert!(loss.delta_at(epsilon) <= delta);
            // The bounds are not monotone to the last bit, so the way back may end a hair above.
            prop_assert!(loss.epsilon_at(delta) <= epsilon * (1.0 + 1e-9));
            prop_assert!(loss.epsilon_at(delta) >= epsilon * (1.0 - 1e-6));
        }
    }
}
