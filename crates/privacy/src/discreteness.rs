//! What it costs that the noise is discrete, while the accountant's curve is that of continuous
//! noise.
//!
//! The derivation is ours, and short. For one coordinate let p be N<sub>ℤ</sub>(0, σ²), and q the
//! continuous N(0, σ²) rounded to the nearest integer. Integer shifts commute with rounding, so
//! noise from q is a mere post-processing of continuous Gaussian noise, and the exact curve is
//! proved for it: Q′(S) ≤ e^ε Q(S) + δ. With s uniform in \[−½, ½\],
//!
//! ```text
//! q(y) / p(y) = (1 + θ) E[cosh(ys/σ²) exp(−s²/2σ²)]  0 ≤ θ ≤ 3 exp(−2π²σ²) (Poisson summation)
//! p(y) / q(y) ≤ exp(1 / 24σ²)                         since cosh ≥ 1, and by Jensen's inequality
//! q(y) / p(y) ≤ (1 + θ) exp(y² / 24σ⁴)                since E cosh(cs) ≤ exp(c²/24)
//! ```
//!
//! Over all coordinates i that are released with noise, however adaptively chosen, let κ be the sum of aᵢ = 1 / 24σᵢ², and a
//! the greatest of them. Then P′ ≤ exp(κ) Q′ everywhere, and Q ≤ exp(Σ aᵢ yᵢ²/σᵢ²) P (1 + θ)ⁿ. Under Q, y is a normal x rounded,
//! so with σ² ≥ 16 it is (y/σ)² ≤ 9/8 (x/σ)² + 9/64; and exp(Σ aᵢ xᵢ²/4aσᵢ²), divided by its mean step by step, is a
//! supermartingale, whose mean step is at most exp(3aᵢ/8a). So Σ aᵢ xᵢ²/σᵢ² ≤ 3κ/2 + 4at but with probability e^−t, and
//! the whole exponent is at most 2κ + 4.5at (what is left over, 0.17κ, covers θ and τ). With t = 200 + ε:
//!
//! ```text
//! P′(S) ≤ exp(ε + 3κ + 4.5a (200 + ε)) P(S) + exp(κ) (δ + e⁻²⁰⁰)
//! ```
//!
//! So the discrete mechanism has the continuous curve with ε raised by 3κ + 4.5a (200 + ε), and δ by e⁻²⁰⁰ and the factor
//! exp(κ). κ adds up over releases, rounds and studies, and a is the greatest of all, so a ledger can keep both
//! ([`Discreteness`]).
//!
//! # With sampled patients
//!
//! The same bound holds where rounds are of Poisson samples, with the (ε, δ) of continuous noise on
//! such samples ([`crate::Total`]). A round's output is then z = f(B) + y, B the sample, f(B) the sum
//! over it on the grid, y the noise: a mixture, over B, of shifted noise. The steps in turn:
//!
//! - *The continuous curve holds for q.* For each B, f(B) + y with y from q is f(B) plus continuous
//!   noise, rounded; so the mixture is a post-processing of the sampled continuous mechanism. Neighbours
//!   are coupled by the coins of all other patients and by the random numbers of the rounding, and then
//!   f differs by at most the rounded sensitivity, as without sampling.
//! - *P′ ≤ exp(κ) Q′ everywhere.* It holds for every B and every history, with the same factor,
//!   so it holds for the mean over B.
//! - *Q against P, the other way,* has a factor that depends on the noise, which z does not show. So
//!   take the law of all samples and outputs together: Q̃(B, z) = w(B) q(z − f(B)), and P̃ likewise. The
//!   weights w cancel, so Q̃ ≤ exp(Σ aᵢ yᵢ²/σᵢ²) (1 + θ)ⁿ P̃ at every point, y = z − f(B). Under Q̃ the noise
//!   is independent of samples and history, so the exponent is at most 2κ + 4.5at but with probability e^−t, as
//!   before: Q(S) = Q̃(z ∈ S) ≤ exp(2κ + 4.5at) P̃(z ∈ S) + e^−t, and P̃(z ∈ S) = P(S).
//!
//! The sums over sites, each with its own sample, change nothing: B is the union, and their noise is
//! within e^±τ of the one above for every B. All coordinates of all rounds count, whoever was sampled.
//!
//! # Where a site's entries end
//!
//! A site sets an entry beyond its range, and so the noise in it, to the end of the range: `reach` standard deviations of its
//! noise beyond the greatest value that is there without noise. With E for "no entry of an honest site was set to an end",
//! o for the sums that are seen and b(o) for the lesser of P(E | o) and Q(E | o),
//!
//! ```text
//! P*(S) ≤ P(not E) + ∫_S b dP + E_{o from P} Q(not E | o)     ∫_S b dP ≤ e^ε ∫_S b dQ + δ ≤ e^ε Q*(S) + δ
//! ```
//!
//! so the ends add P(not E) + E_{o from P} Q(not E | o) to δ, without a factor of e^ε. The last is the chance that an entry
//! passes its end where a site's noise is drawn again under the neighbour, given the sum. Of h sites with noise σ each, that
//! noise is then N(d, σ²), d the part of the patient's change that falls to one site: at most σμ/√h, with μ the release's
//! loss. By Chernoff, for one entry of one site, both ways, it is 2 (exp(−reach²/2) + exp(−(reach − μ/√h)²/2)) in all:
//! below 2⁻¹⁰⁰ at reach = 12 and μ/√h ≤ 0.1 ([`Discreteness::cut_at`]).

use serde::{Deserialize, Serialize};

use crate::allocation::LEAST_SITE_VARIANCE;
use crate::directed::{down, up};

/// By how much the noise that was added differs from the noise that the accountant counts, which is continuous and has no
/// end.
///
/// As JSON: `{"kappa":1e-9,"coarsest":1e-15,"cut":1e-24}`. All three are 0 for continuous noise without an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Discreteness {
    /// κ: the sum over all noised coordinates of 1 / 24σ², σ in grid units. At least 0, infinite where nothing is proved.
    kappa: f64,
    /// a: the greatest 1 / 24σ² of them.
    coarsest: f64,
    /// The probability that a site's entry was set to the end of its range, as far as it adds to δ.
    cut: f64,
}

impl Discreteness {
    /// Continuous noise.
    pub const NONE: Self = Self {
        kappa: 0.0,
        coarsest: 0.0,
        cut: 0.0,
    };

    /// Of `coordinates` integers that are released with discrete Gaussian noise of variance `variance` in grid units²: the
    /// least that any released sum carries, all promised survivors together. Rounded up; infinite below a variance of 16.
    #[must_use]
    pub fn of(coordinates: u64, variance: u128) -> Self {
        let one = if variance < LEAST_SITE_VARIANCE {
            f64::INFINITY
        } else {
            up(1.0 / (24.0 * variance as f64))
        };
        if coordinates == 0 {
            return Self::NONE;
        }
        Self {
            kappa: up(coordinates as f64 * one),
            coarsest: one,
            cut: 0.0,
        }
    }

    /// The same where `entries` numbers of honest sites, all sites together, end at `reach` standard deviations of a site's
    /// noise beyond their range, and a patient can move the noise of one site by `shift` of its standard deviations: the
    /// release's loss over the root of the number of promised survivors. Rounded up.
    #[must_use]
    pub fn cut_at(self, entries: u64, reach: f64, shift: f64) -> Self {
        let tail = |deviations: f64| libm::exp(-0.5 * deviations * deviations);
        // Twice as much covers the rounding of an argument of some hundred, and τ.
        let one = 4.0 * (tail(reach) + tail((reach - shift).max(0.0)));
        Self {
            cut: self.cut + up(entries as f64 * one),
            ..self
        }
    }

    /// Of both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            kappa: up(self.kappa + other.kappa),
            coarsest: self.coarsest.max(other.coarsest),
            cut: up(self.cut + other.cut),
        }
    }

    /// Of `count` releases like this one.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        if count == 0 {
            return Self::NONE;
        }
        Self {
            kappa: up(self.kappa * count as f64),
            coarsest: self.coarsest,
            cut: up(self.cut * count as f64),
        }
    }

    /// The same where noise has only one part in `factor`, at least 1, of the variance; how far a patient moves a site's noise
    /// is told again by [`Discreteness::cut_at`].
    #[must_use]
    pub fn coarser(self, factor: f64) -> Self {
        Self {
            kappa: up(self.kappa * factor),
            coarsest: up(self.coarsest * factor),
            cut: self.cut,
        }
    }

    /// Whether the noise is continuous.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.kappa <= 0.0 && self.cut <= 0.0
    }

    /// κ.
    #[must_use]
    pub fn kappa(self) -> f64 {
        self.kappa
    }

    /// What is added to δ since entries end.
    #[must_use]
    pub fn cut(self) -> f64 {
        self.cut
    }

    /// The ε that holds where the continuous curve has `epsilon`, rounded up.
    #[must_use]
    pub fn raised(self, epsilon: f64) -> f64 {
        if self.is_none() {
            return epsilon;
        }
        up(epsilon + 3.0 * self.kappa + TAIL * self.coarsest * (TAIL_AT + epsilon))
    }

    /// The ε at which to ask the continuous curve so that `epsilon` holds, rounded down; below 0 where there is none.
    pub(crate) fn lowered(self, epsilon: f64) -> f64 {
        if self.is_none() {
            return epsilon;
        }
        let taken = up(3.0 * self.kappa + TAIL * TAIL_AT * self.coarsest);
        let left = epsilon - taken;
        if left > 0.0 {
            down(left / (1.0 + TAIL * self.coarsest))
        } else {
            -1.0
        }
    }

    /// The δ that holds where the continuous curve has `delta`, rounded up, at most 1.
    pub(crate) fn raised_delta(self, delta: f64) -> f64 {
        if self.is_none() {
            return delta;
        }
        let grown = up(up(libm::exp(self.kappa)) * (delta + FAR)) + self.cut;
        up(grown).min(1.0)
    }

    /// The δ at which to ask the continuous curve so that `delta` holds, rounded down; not above 0 where there is none.
    pub(crate) fn lowered_delta(self, delta: f64) -> f64 {
        if self.is_none() {
            return delta;
        }
        let shrunk = down(down(delta - self.cut) * down(libm::exp(-self.kappa)));
        down(shrunk - FAR)
    }
}

/// As it is written: the numbers as they are, checked when they are read.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kappa: f64,
    coarsest: f64,
    cut: f64,
}

impl From<Discreteness> for Written {
    fn from(of: Discreteness) -> Self {
        Self {
            kappa: of.kappa,
            coarsest: of.coarsest,
            cut: of.cut,
        }
    }
}

impl TryFrom<Written> for Discreteness {
    type Error = InvalidDiscreteness;

    fn try_from(written: Written) -> Result<Self, InvalidDiscreteness> {
        let Written {
            kappa,
            coarsest,
            cut,
        } = written;
        let is_sum = |value: f64| value.is_finite() && value >= 0.0;
        if is_sum(kappa) && is_sum(cut) && is_sum(coarsest) && coarsest <= kappa {
            Ok(Self {
                kappa,
                coarsest,
                cut,
            })
        } else {
            Err(InvalidDiscreteness {
                kappa,
                coarsest,
                cut,
            })
        }
    }
}

/// The numbers are not a [`Discreteness`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "kappa {kappa}, coarsest {coarsest} and cut {cut} must be finite and at least 0, and coarsest at most kappa"
)]
pub struct InvalidDiscreteness {
    /// The sum of 1 / 24σ².
    pub kappa: f64,
    /// The greatest of them.
    pub coarsest: f64,
    /// What is added to δ.
    pub cut: f64,
}

/// Of at, in the exponent of Q over P.
const TAIL: f64 = 4.5;

/// t is this and ε.
const TAIL_AT: f64 = 200.0;

/// Above e⁻²⁰⁰ = 1.38e-87.
const FAR: f64 = 1.4e-87;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Epsilon, Mu, Sampled, Total};

    /// P\[Y > at\] for a discrete Gaussian Y, by summing the definition.
    fn tail(variance: f64, at: f64) -> f64 {
        let reach = 60.0 * variance.sqrt();
        let weight = |y: f64| libm::exp(-y * y / (2.0 * variance));
        let sum = |from: f64| -> f64 {
            std::iter::successors(Some(reach.ceil()), |y| (y - 1.0 >= from).then_some(y - 1.0))
                .map(weight)
                .sum()
        };
        sum(at.floor() + 1.0) / sum(-reach.ceil())
    }

    /// Canonne, Kamath & Steinke 2020, theorem 7: the exact δ in one dimension.
    fn discrete_delta(sensitivity: f64, variance: f64, epsilon: f64) -> f64 {
        let at = epsilon * variance / sensitivity;
        tail(variance, at - sensitivity / 2.0)
            - epsilon.exp() * tail(variance, at + sensitivity / 2.0)
    }

    #[test]
    fn the_raise_falls_with_the_grid() {
        let of = |coordinates, variance| Discreteness::of(coordinates, variance).raised(1.0) - 1.0;
        assert!(of(1 << 20, 1 << 40) < 1.3e-7);
        assert!(of(1, 15).is_infinite());
        assert!(of(1, 16) >= 904.0 / 384.0);
        assert!(of(0, 16) <= 0.0);
    }

    #[test]
    fn what_is_asked_of_the_continuous_curve_holds_when_it_is_raised_again() {
        for (coordinates, variance) in [(1, 16), (6, 1 << 20), (1 << 30, 1 << 50)] {
            let one = Discreteness::of(coordinates, variance).cut_at(coordinates, 12.0, 0.1);
            for epsilon in [1e-6, 0.5, 1.0, 99.0] {
                let there = one.raised(epsilon);
                let back = one.lowered(there);
                assert!((back - epsilon).abs() <= 1e-14 * there, "{back} {epsilon}");
                assert!(one.raised(back) <= there * (1.0 + 1e-15));
            }
            for delta in [1e-12, 1e-6, 0.1] {
                let back = one.lowered_delta(one.raised_delta(delta));
                assert!(
                    back <= delta && back >= delta * (1.0 - 1e-9),
                    "{back:e} {delta:e}"
                );
            }
        }
    }

    #[test]
    fn many_releases_differ_by_the_sum_and_by_the_coarsest() {
        let (fine, coarse) = (Discreteness::of(1_000, 1 << 40), Discreteness::of(10, 400));
        let both = fine.times(3).and(coarse);
        assert!(
            (both.kappa() / (3_000.0 / 24.0 / (1_u64 << 40) as f64 + 10.0 / 9_600.0) - 1.0).abs()
                < 1e-12
        );
        assert_eq!(both.coarsest.to_bits(), coarse.coarsest.to_bits());
        assert!(Discreteness::NONE.and(fine).kappa() >= fine.kappa());
    }

    #[test]
    fn what_is_written_is_read_again_and_what_cannot_be_is_refused() {
        let one = Discreteness::of(7, 1 << 30).cut_at(21, 12.0, 0.5);
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Discreteness>(&text).unwrap(), one);
        for bad in [
            r#"{"kappa":-1,"coarsest":0,"cut":0}"#,
            r#"{"kappa":1,"coarsest":2,"cut":0}"#,
            r#"{"kappa":1,"coarsest":1}"#,
        ] {
            assert!(serde_json::from_str::<Discreteness>(bad).is_err(), "{bad}");
        }
    }

    /// The tail that the crate counts on, by the exact probabilities of a site's noise given the sum.
    #[test]
    fn an_entry_passes_its_end_as_rarely_as_is_counted() {
        // Two sites of σ = 8, their sum moved by 10: each one's noise is moved by 5 where the sum is given.
        let (variance, moved, reach) = (64.0, 10_i32, 3.0);
        let weight = |y: i32, variance: f64| libm::exp(-f64::from(y * y) / (2.0 * variance));
        let range = 120;
        let normal: f64 = (-range..=range).map(|y| weight(y, variance)).sum();
        let one = |y: i32| weight(y, variance) / normal;
        let sum = |s: i32| (-range..=range).map(|y| one(y) * one(s - y)).sum::<f64>();
        let mut passes = 0.0;
        for s in -range..=range {
            let (of_p, of_q) = (sum(s - moved), sum(s));
            let beyond = (-range..=range).filter(|y| f64::from(y.abs()) > reach * 8.0);
            passes += of_p * beyond.map(|y| one(y) * one(s - y)).sum::<f64>() / of_q;
        }
        let shift = f64::from(moved) / 2.0 / 8.0;
        let counted = Discreteness::of(1, 128).cut_at(1, reach, shift).cut();
        assert!(
            passes <= counted && passes >= counted / 40.0,
            "{passes:e} {counted:e}"
        );
    }

    #[test]
    fn the_exact_curve_in_one_dimension_keeps_the_claim_and_needs_a_raise() {
        let mut above = 0.0_f64;
        for (sensitivity, variance) in
            [(3.0, 100.0), (10.0, 400.0), (64.0, 4096.0), (5.0, 10_000.0)]
        {
            let mu = Mu::try_from(sensitivity / f64::sqrt(variance)).unwrap();
            for step in 1..60 {
                let epsilon = f64::from(step) * 0.05;
                let exact = discrete_delta(sensitivity, variance, epsilon);
                let continuous = mu.delta(Epsilon::try_from(epsilon).unwrap());
                above = above.max(exact / continuous - 1.0);
                // In one dimension n / 6σ² without the padding to 1024 coordinates is enough.
                let raise = 1.0 / (6.0 * variance);
                if epsilon > raise {
                    let raised = mu.delta(Epsilon::try_from(epsilon - raise).unwrap());
                    assert!(
                        exact <= raised * (1.0 + 1e-9),
                        "Δ {sensitivity}, σ² {variance}, ε {epsilon}: {exact:e} {raised:e}"
                    );
                }
            }
        }
        // The continuous curve alone is not a bound: this is why the raise exists.
        assert!(above > 1e-3, "{above}");
    }

    /// The exact δ of a discrete Gaussian on a sample with the patient at `sensitivity`, by summing the
    /// definition over two such rounds: the greater of both directions.
    fn sampled_delta(sensitivity: i32, variance: f64, rate: f64, epsilon: f64) -> f64 {
        let reach = (1_i32..)
            .find(|y| f64::from(*y) >= 12.0 * variance.sqrt())
            .unwrap();
        let weight = |y: i32| libm::exp(-f64::from(y) * f64::from(y) / (2.0 * variance));
        let normal: f64 = (-2 * reach..=2 * reach).map(weight).sum();
        let outcomes: Vec<(f64, f64)> = (-reach..=reach)
            .map(|z| {
                let without = weight(z) / normal;
                let there = weight(z - sensitivity) / normal;
                ((1.0 - rate) * without + rate * there, without)
            })
            .collect();
        let mut deltas = [0.0_f64; 2];
        for (p, q) in &outcomes {
            for (r, s) in &outcomes {
                deltas[0] += (p * r - epsilon.exp() * q * s).max(0.0);
                deltas[1] += (q * s - epsilon.exp() * p * r).max(0.0);
            }
        }
        deltas[0].max(deltas[1])
    }

    #[test]
    fn the_exact_curve_of_sampled_rounds_keeps_the_claim_and_needs_a_raise() {
        let mut above = 0.0_f64;
        for (sensitivity, variance, rate) in [(3, 25.0, 0.3), (8, 16.0, 0.1), (12, 100.0, 0.6)] {
            let kind = Sampled {
                noise_multiplier: (f64::sqrt(variance) / f64::from(sensitivity))
                    .try_into()
                    .unwrap(),
                rate: rate.try_into().unwrap(),
            };
            let total = Total::ZERO.and_sampled(kind, 2);
            for step in 1..=5 {
                let epsilon = f64::from(step) * 0.25;
                let exact = sampled_delta(sensitivity, variance, rate, epsilon);
                let continuous = total.delta(epsilon.try_into().unwrap());
                above = above.max(exact / continuous - 1.0);
                // Two coordinates; the padding to 1024 is only needed for the tail's bound.
                let kappa = 2.0 / (24.0 * variance);
                let raised = (epsilon - 4.0 * kappa).try_into().unwrap();
                assert!(
                    exact <= libm::exp(kappa) * total.delta(raised) + 1e-15,
                    "Δ {sensitivity}, σ² {variance}, q {rate}, ε {epsilon}: {exact:e}"
                );
            }
        }
        assert!(above > 1e-3, "{above}");
    }

    #[test]
    fn each_step_of_the_derivation_holds_point_by_point() {
        for deviation in [4_u8, 5, 20] {
            let reach = 8 * deviation;
            let deviation = f64::from(deviation);
            let variance = deviation * deviation;
            let total = 1.0 / (deviation * (2.0 * std::f64::consts::PI).sqrt());
            for y in 0..reach {
                let y = f64::from(y);
                let upper = |x: f64| 0.5 * libm::erfc(x / (deviation * 2.0_f64.sqrt()));
                let q = upper(y - 0.5) - upper(y + 0.5);
                let p = total * libm::exp(-y * y / (2.0 * variance));
                assert!(
                    p / q <= libm::exp(1.0 / (24.0 * variance)) * (1.0 + 1e-9),
                    "σ² {variance}, y {y}"
                );
                assert!(
                    q / p <= libm::exp(y * y / (24.0 * variance * variance)) * (1.0 + 1e-9),
                    "σ² {variance}, y {y}"
                );
            }
        }
    }

    #[test]
    fn a_sum_of_discrete_gaussians_is_within_tau_of_one() {
        // At σ² = 1 the difference is large enough to be seen, and the bound is 10 exp(−π²) + … =
        // 5e-4.
        let weight = |y: i32, variance: f64| libm::exp(-f64::from(y * y) / (2.0 * variance));
        let reach = 60;
        let normal = |variance: f64| (-reach..=reach).map(|y| weight(y, variance)).sum::<f64>();
        let pmf = |y: i32, variance: f64| weight(y, variance) / normal(variance);
        let mut worst = 0.0_f64;
        for x in -6..=6 {
            let sum: f64 = (-reach..=reach)
                .map(|y| pmf(y, 1.0) * pmf(x - y, 1.0))
                .sum();
            worst = worst.max((sum / pmf(x, 2.0)).ln().abs());
        }
        let tau = 10.0 * libm::exp(-std::f64::consts::PI.powi(2));
        assert!((tau / 100.0..=tau).contains(&worst), "{worst:e}, τ {tau:e}");
    }
}
