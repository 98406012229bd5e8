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
//! Over n coordinates, however adaptively chosen, P′ ≤ exp(n / 24σ²) Q′ everywhere, and Q ≤ exp(3n
//! / 24σ²) P (1 + θ)ⁿ wherever the noise has ‖y‖² ≤ 3nσ². For σ² ≥ 16 and n ≥ 1024 it has that but
//! with probability e⁻²³⁹ (chi-square tail; coordinates without data may be added to reach 1024).
//! Together, with κ = n / 24σ²:
//!
//! ```text
//! P′(S) ≤ exp(ε + 4κ) P(S) + exp(κ) (δ + e^ε · e⁻²³⁹)
//! ```
//!
//! So the discrete mechanism has the continuous curve with ε raised by 4κ = n / 6σ² (and δ by the
//! factor exp(κ)). That the sum over sites is no exact discrete Gaussian costs 2nτ more, at most
//! 2e-63 n, less than the upward rounding here.
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
//! - *P′ ≤ exp(n / 24σ²) Q′ everywhere.* It holds for every B and every history, with the same factor,
//!   so it holds for the mean over B.
//! - *Q against P, the other way,* has a factor that depends on the noise, which z does not show. So
//!   take the law of all samples and outputs together: Q̃(B, z) = w(B) q(z − f(B)), and P̃ likewise. The
//!   weights w cancel, so Q̃ ≤ exp(‖y‖² / 24σ⁴) (1 + θ)ⁿ P̃ at every point, y = z − f(B). Under Q̃ the noise
//!   is independent of samples and history, so ‖y‖² ≤ 3nσ² but with probability e⁻²³⁹, as before:
//!   Q(S) = Q̃(z ∈ S) ≤ exp(3n / 24σ²) (1 + θ)ⁿ P̃(z ∈ S) + e⁻²³⁹, and P̃(z ∈ S) = P(S).
//!
//! The sums over sites, each with its own sample, change nothing: B is the union, and their noise is
//! within e^±τ of the one above for every B. n counts the coordinates of all rounds, whoever was
//! sampled. So [`excess_epsilon`] is what a study with samples raises ε by, too.

use crate::allocation::LEAST_SITE_VARIANCE;
use crate::directed::up;

/// By how much ε has to be raised for discrete noise: n / 6σ², rounded up. δ grows by a factor of
/// exp(a quarter of this).
///
/// `coordinates` is n, how many integers are released with noise in all rounds together; `variance`
/// is σ² in grid units², the least that any released sum carries (all promised survivors together).
/// Infinite below a σ² of 16.
#[must_use]
pub fn excess_epsilon(coordinates: u64, variance: u128) -> f64 {
    if variance < LEAST_SITE_VARIANCE {
        return f64::INFINITY;
    }
    up(coordinates.max(1024) as f64 / (6.0 * variance as f64))
}

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
    fn the_excess_falls_with_the_grid() {
        assert!(excess_epsilon(1 << 20, 1 << 40) < 1.6e-7);
        assert!(excess_epsilon(1, 15).is_infinite());
        assert!(excess_epsilon(0, 16) >= 1024.0 / 96.0);
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
