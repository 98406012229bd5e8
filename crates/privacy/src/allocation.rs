//! From a study's whole loss to the integer noise of one site in one round.

use std::num::{NonZeroU16, NonZeroU32};

use crate::Mu;
use crate::directed::up;
use crate::sampler::MAX_VARIANCE;

/// A part of a budget: above 0, at most 1. Shares of one whole are of the squared loss, so they add
/// up to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Share(f64);

impl TryFrom<f64> for Share {
    type Error = InvalidShare;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        if value > 0.0 && value <= 1.0 {
            Ok(Self(value))
        } else {
            Err(InvalidShare(value))
        }
    }
}

/// The number is no [`Share`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a share of a budget must be above 0 and at most 1, got {0}")]
pub struct InvalidShare(pub f64);

/// The loss that a share of the budget may have: `total` · √share, rounded down by [`MARGIN`].
#[must_use]
pub fn share(total: Mu, share: Share) -> Mu {
    total.scaled_down(share.0.sqrt() * (1.0 - MARGIN))
}

/// The loss that each of `steps` equal releases may have: `total` / √steps, rounded down by
/// [`MARGIN`].
#[must_use]
pub fn per_step(total: Mu, steps: NonZeroU32) -> Mu {
    total.scaled_down((1.0 - MARGIN) / f64::from(steps.get()).sqrt())
}

/// How much less than the exact part is handed out, relative: 2⁻⁴⁰, some 1e-12.
///
/// Parts are composed again in a ledger, which rounds up, and shares like 0.9 and 0.1 are not
/// exact. Without a margin the last round of a study could be refused for a difference in the
/// sixteenth digit.
pub const MARGIN: f64 = 1.0 / (1_u64 << 40) as f64;

/// σ² of the discrete Gaussian that each site adds, in grid units².
///
/// It is ⌈(sensitivity / (mu · grid))² / survivors⌉, rounded up, so that the noise of `survivors`
/// sites together has a σ of at least `sensitivity` / `mu`.
///
/// `sensitivity` is that of the values as rounded ([`crate::rounding::rounded_sensitivity`]) and
/// has the unit of `grid`; `survivors` is the least number of honest sites whose noise the sum is
/// promised to hold.
///
/// # Errors
///
/// [`NoiseError`] when an argument is not finite and above 0, when the noise is too small in grid
/// units for the sum to be accounted as one Gaussian (take a finer grid), or too large to be
/// sampled (take a coarser one).
pub fn site_variance(
    sensitivity: f64,
    mu: Mu,
    grid: f64,
    survivors: NonZeroU16,
) -> Result<u128, NoiseError> {
    for (name, value) in [
        ("sensitivity", sensitivity),
        ("mu", mu.get()),
        ("grid", grid),
    ] {
        if !(value.is_finite() && value > 0.0) {
            return Err(NoiseError::NotPositive { name, value });
        }
    }
    // MIN_POSITIVE: a quotient that underflows is rounded up as well.
    let deviation = up((sensitivity / mu.get()).max(f64::MIN_POSITIVE) / grid);
    let variance = up(deviation * deviation / f64::from(survivors.get())).ceil();
    if variance < LEAST_SITE_VARIANCE as f64 {
        return Err(NoiseError::GridTooCoarse { variance });
    }
    if variance > MAX_VARIANCE as f64 {
        return Err(NoiseError::GridTooFine { variance });
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an integer from 16 to 2^56"
    )]
    Ok(variance as u128)
}

/// The least σ² of one site, grid units²: σ = 4.
///
/// The sum of t discrete Gaussians differs from one by a factor of at most e^±τ per coordinate; see
/// the crate's docs. At σ² = 16 τ is below 3e-68 for any t; at σ² = 4 it would be 7e-17, which 2³⁰
/// coordinates raise to 1e-7.
pub const LEAST_SITE_VARIANCE: u128 = 16;

/// No variance fits the grid.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoiseError {
    /// An argument is 0, negative, NaN or infinite.
    #[error("the {name} must be finite and above 0, got {value}")]
    NotPositive {
        /// Which one.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// A site's noise would be below [`LEAST_SITE_VARIANCE`].
    #[error(
        "a noise variance of {variance} grid units² is below {LEAST_SITE_VARIANCE}: take a finer grid"
    )]
    GridTooCoarse {
        /// The variance needed of one site, grid units².
        variance: f64,
    },
    /// A site's noise would be above [`MAX_VARIANCE`].
    #[error(
        "a noise variance of {variance} grid units² is above {MAX_VARIANCE}: take a coarser grid"
    )]
    GridTooFine {
        /// The variance needed of one site, grid units².
        variance: f64,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    fn mu(value: f64) -> Mu {
        Mu::try_from(value).unwrap()
    }

    fn survivors(count: u16) -> NonZeroU16 {
        NonZeroU16::new(count).unwrap()
    }

    #[test]
    fn known_variances() {
        // (1 / (0.5 · 2^-10))² / 3 = 2^22 / 3 = 1,398,101.33…
        assert_eq!(
            site_variance(1.0, mu(0.5), 2.0_f64.powi(-10), survivors(3)),
            Ok(1_398_102)
        );
        // Exactly an integer: the upward rounding costs one grid unit².
        assert_eq!(
            site_variance(1.0, mu(0.5), 2.0_f64.powi(-10), survivors(4)),
            Ok((1 << 20) + 1)
        );
    }

    #[test]
    fn noise_that_does_not_fit_the_grid_is_refused() {
        let coarse = site_variance(1.0, mu(1.0), 0.5, survivors(1));
        assert!(
            matches!(coarse, Err(NoiseError::GridTooCoarse { .. })),
            "{coarse:?}"
        );
        let fine = site_variance(1.0, mu(1.0), 1e-9, survivors(1));
        assert!(
            matches!(fine, Err(NoiseError::GridTooFine { .. })),
            "{fine:?}"
        );
        let overflow = site_variance(f64::MAX, mu(1e-300), 1e-300, survivors(1));
        assert!(
            matches!(overflow, Err(NoiseError::GridTooFine { .. })),
            "{overflow:?}"
        );
    }

    #[test]
    fn arguments_that_are_not_positive_are_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(site_variance(bad, mu(1.0), 0.1, survivors(1)).is_err());
            assert!(site_variance(1.0, mu(1.0), bad, survivors(1)).is_err());
            assert!(bad.is_infinite() || Share::try_from(bad).is_err());
        }
        assert!(site_variance(1.0, Mu::ZERO, 0.1, survivors(1)).is_err());
        assert!(Share::try_from(1.5).is_err());
    }

    proptest! {
        #[test]
        fn the_sites_noise_adds_up_to_what_the_loss_asks(
            sensitivity in 0.1..10.0_f64, loss in 1e-3..1.0_f64, count in 1..100_u16,
        ) {
            let grid = 2.0_f64.powi(-16);
            let variance = site_variance(sensitivity, mu(loss), grid, survivors(count)).unwrap();
            let total = (variance as f64 * f64::from(count)).sqrt() * grid;
            prop_assert!(total >= sensitivity / loss);
            let one_less = (variance as f64 - 1.0) * f64::from(count);
            prop_assert!(one_less <= (sensitivity / loss / grid).powi(2) * (1.0 + 1e-12));
        }

        #[test]
        fn parts_compose_to_no_more_than_the_whole(
            total in 1e-6..1e3_f64, steps in 1..2000_u32, cut in 0.001..0.999_f64,
        ) {
            let part = |value| share(mu(total), Share::try_from(value).unwrap());
            let steps = NonZeroU32::new(steps).unwrap();
            let step = [per_step(part(cut), steps), per_step(part(1.0 - cut), steps)];
            let composed = Mu::compose((0..steps.get()).flat_map(|_| step)).get();
            prop_assert!(composed <= total, "{} of {}", composed, total);
            prop_assert!(composed >= total * (1.0 - 1e-11));
        }
    }
}
