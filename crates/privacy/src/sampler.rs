//! Exact samples of the discrete Gaussian, by integers alone.
//!
//! Canonne, Kamath & Steinke 2020, *The discrete Gaussian for differential privacy*
//! ([arXiv 2004.00010]), algorithms 1 to 3. How many random words a sample takes depends on the
//! words, so the time that it takes says something of its value: sample where only those who may
//! know the noise can measure.
//!
//! The words drawn are part of what makes a recorded round replay bit for bit: a change here is a
//! change of the module.
//!
//! [arXiv 2004.00010]: https://arxiv.org/abs/2004.00010

use rand_core::CryptoRng;

/// N<sub>ℤ</sub>(0, σ²): the integer y with probability proportional to exp(−y² / 2σ²).
///
/// σ² is the parameter; the variance itself is a little less for σ below 1 and the same to 1e-6
/// from there.
///
/// # Why nothing overflows
///
/// With σ² ≤ 2⁵⁶ the scale t = ⌊σ⌋ + 1 is at most 2²⁸ + 1, so the denominator 2σ²t² is below 2¹¹⁴,
/// and its k-th multiple, which a coin's k-th toss needs, fits 128 bits for k < 2¹⁴. A proposal
/// y = ±(u + tv), u < t, has |y|·t below t²(v + 1), whose distance from σ², squared, fits for
/// v < 2⁷. Beyond either, the coin shows 0 by decree. The k-th toss happens with probability
/// 1 / (k − 1)!, below 2<sup>−200,000</sup> there; a proposal of 127σ or more is made with
/// probability e⁻¹²⁷, and would be accepted with less than e⁻⁷⁰⁰⁰. So the distance to the exact
/// distribution is below 2<sup>−10,000</sup>.
#[derive(Clone, Debug)]
pub struct DiscreteGaussian {
    /// σ², grid units².
    variance: u128,
    /// t = ⌊σ⌋ + 1, the scale of the discrete Laplace proposals.
    scale: u64,
    /// 2σ²t², of the fraction in algorithm 3.
    denominator: u128,
}

/// The greatest σ² that can be sampled, grid units²: σ = 2²⁸.
pub const MAX_VARIANCE: u128 = 1 << 56;

impl DiscreteGaussian {
    /// The distribution with parameter σ² = `variance`, in grid units². A variance of 0 is no
    /// noise: always 0.
    ///
    /// # Errors
    ///
    /// [`VarianceTooLarge`] above [`MAX_VARIANCE`].
    pub fn new(variance: u128) -> Result<Self, VarianceTooLarge> {
        if variance > MAX_VARIANCE {
            return Err(VarianceTooLarge { variance });
        }
        let scale = variance.isqrt() + 1;
        Ok(Self {
            variance,
            scale: u64::try_from(scale).map_err(|_| VarianceTooLarge { variance })?,
            denominator: 2 * variance * scale * scale,
        })
    }

    /// The parameter σ², grid units².
    #[must_use]
    pub fn variance(&self) -> u128 {
        self.variance
    }

    /// One sample, in grid units (algorithm 3). Takes 0.1 to 0.2 µs natively, 0.5 µs in wasm.
    pub fn sample(&self, rng: &mut impl CryptoRng) -> i64 {
        if self.variance == 0 {
            return 0;
        }
        loop {
            let proposal = discrete_laplace(self.scale, rng);
            if self.accepts(proposal.unsigned_abs(), rng) {
                return proposal;
            }
        }
    }

    /// 1 with probability exp(−(|y| − σ²/t)² / 2σ²), the fraction extended by t².
    fn accepts(&self, magnitude: u64, rng: &mut impl CryptoRng) -> bool {
        let distance = (u128::from(magnitude) * u128::from(self.scale)).abs_diff(self.variance);
        let Some(mut numerator) = distance.checked_mul(distance) else {
            return false;
        };
        // exp(−γ) for γ > 1 is a coin of 1/e for each whole one, and a coin for the rest.
        while numerator >= self.denominator {
            if !coin_of_exp(1, 1, rng) {
                return false;
            }
            numerator -= self.denominator;
        }
        coin_of_exp(numerator, self.denominator, rng)
    }
}

/// The variance is above what can be sampled without overflow; take a coarser grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a noise variance of {variance} grid units² is above the limit of {MAX_VARIANCE}")]
pub struct VarianceTooLarge {
    /// The variance asked for, grid units².
    pub variance: u128,
}

/// The integer y with probability proportional to exp(−|y| / scale) (algorithm 2 with s = 1).
fn discrete_laplace(scale: u64, rng: &mut impl CryptoRng) -> i64 {
    loop {
        let remainder = below(u128::from(scale), rng);
        if !coin_of_exp(remainder, u128::from(scale), rng) {
            continue;
        }
        let mut wholes = 0_u128;
        // The bound is never met (e^−2³⁰); it states that the magnitude below stays under 2⁵⁹.
        while wholes < 1 << 30 && coin_of_exp(1, 1, rng) {
            wholes += 1;
        }
        let Ok(magnitude) = i64::try_from(remainder + u128::from(scale) * wholes) else {
            continue;
        };
        let negative = rng.next_u64() >> 63 == 1;
        // Otherwise 0 would be drawn twice as often as it should.
        if negative && magnitude == 0 {
            continue;
        }
        return if negative { -magnitude } else { magnitude };
    }
}

/// 1 with probability exp(−numerator / denominator), for a fraction from 0 to 1 (algorithm 1).
fn coin_of_exp(numerator: u128, denominator: u128, rng: &mut impl CryptoRng) -> bool {
    let mut bound = denominator;
    let mut tosses = 1_u32;
    while below(bound, rng) < numerator {
        tosses += 1;
        bound = match bound.checked_add(denominator) {
            Some(bound) => bound,
            None => return false,
        };
    }
    tosses % 2 == 1
}

/// An unbiased integer from 0 to `bound` − 1, for `bound` ≥ 1.
fn below(bound: u128, rng: &mut impl CryptoRng) -> u128 {
    match u64::try_from(bound) {
        Ok(1) => 0,
        Ok(bound) => u128::from(below_u64(bound, rng)),
        // As many bits as the bound has, until they are below it: two tries at most, on average.
        Err(_) => loop {
            let word = (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64());
            let candidate = word >> (bound - 1).leading_zeros();
            if candidate < bound {
                return candidate;
            }
        },
    }
}

/// An unbiased integer from 0 to `bound` − 1 by one multiplication (Lemire 2019, algorithm 5,
/// [arXiv 1805.10941]).
///
/// [arXiv 1805.10941]: https://arxiv.org/abs/1805.10941
#[expect(
    clippy::cast_possible_truncation,
    reason = "the halves of a 128-bit product are what is meant"
)]
fn below_u64(bound: u64, rng: &mut impl CryptoRng) -> u64 {
    loop {
        let product = u128::from(rng.next_u64()) * u128::from(bound);
        let low = product as u64;
        // 2^64 mod bound low halves are in excess; only a low half under the bound can be one of
        // them.
        if low >= bound || low >= bound.wrapping_neg() % bound {
            return (product >> 64) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::from_seed([7; 32])
    }

    /// A share of 100,000 tosses within five standard deviations of `want`.
    fn assert_share(want: f64, mut toss: impl FnMut() -> bool) {
        let tosses = 100_000;
        let share = (0..tosses).filter(|_| toss()).count() as f64 / f64::from(tosses);
        let deviation = (want * (1.0 - want) / f64::from(tosses)).sqrt();
        assert!(
            (share - want).abs() <= 5.0 * deviation,
            "{share}, want {want} ± {deviation}"
        );
    }

    #[test]
    fn variance_0_is_no_noise_and_draws_nothing() {
        let mut used = rng();
        assert_eq!(DiscreteGaussian::new(0).unwrap().sample(&mut used), 0);
        assert_eq!(used, rng());
    }

    #[test]
    fn a_variance_above_the_limit_is_refused() {
        assert!(DiscreteGaussian::new(MAX_VARIANCE).is_ok());
        let refused = DiscreteGaussian::new(MAX_VARIANCE + 1).unwrap_err();
        assert_eq!(refused.variance, MAX_VARIANCE + 1);
    }

    #[test]
    fn the_limit_leaves_the_room_that_the_docs_claim() {
        let gaussian = DiscreteGaussian::new(MAX_VARIANCE).unwrap();
        assert!(gaussian.denominator.checked_mul((1 << 14) - 1).is_some());
        let t = u128::from(gaussian.scale);
        assert!(
            (t * (t + t * 126) - gaussian.variance)
                .checked_pow(2)
                .is_some()
        );
        // Far beyond: refused, without overflow.
        assert!(!gaussian.accepts(1 << 59, &mut rng()));
    }

    #[test]
    fn coins_of_exp_show_1_as_often_as_they_should() {
        let mut rng = rng();
        let huge = 3_u128 << 90;
        for (numerator, denominator) in [
            (0, 1),
            (1, 1),
            (1, 3),
            (9, 10),
            (huge, 2 * huge),
            (huge - 1, huge),
        ] {
            let want = (-(numerator as f64) / denominator as f64).exp();
            assert_share(want, || coin_of_exp(numerator, denominator, &mut rng));
        }
    }

    #[test]
    fn integers_below_a_bound_are_uniform() {
        let mut rng = rng();
        for bound in [
            1,
            2,
            3,
            (1 << 63) + 1,
            u128::from(u64::MAX),
            1 << 64,
            (1 << 64) + 1,
            (1 << 100) + 5,
            3 << 120,
        ] {
            let third = bound.div_ceil(3);
            assert_share(third as f64 / bound as f64, || {
                let sample = below(bound, &mut rng);
                assert!(sample < bound);
                sample < third
            });
        }
    }
}
