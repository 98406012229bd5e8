//! GELU (Hendrycks & Gimpel 2016) and its slope.

use super::exponential::exp;

/// `x · Φ(x)` and its derivative, `Φ(x) + x · φ(x)`; Φ is the normal distribution function, φ its density.
///
/// Φ has an absolute error below 1.5 · 10⁻⁷: from one exponential for both, `Φ(−x) = φ(x) · p(1 / (1 + x · SCALE))` for
/// x ≥ 0 with a polynomial p, in the manner of Hastings (Abramowitz & Stegun 1964, 26.2.17).
#[inline]
pub(super) fn gelu(x: f32) -> (f32, f32) {
    let bell = exp(-0.5 * (x * x));
    let t = 1.0 / (1.0 + SCALE * x.abs());
    let [c1, c2, c3, c4, c5, c6] = COEFFICIENTS;
    let tail = (((((c6 * t + c5) * t + c4) * t + c3) * t + c2) * t + c1) * t * bell;
    let phi = if x < 0.0 { tail } else { 1.0 - tail };
    (x * phi, phi + x * (bell * DENSITY))
}

const SCALE: f32 = 0.39;
/// Of t to t⁶: the best fit to `Φ(−x) · e^(x² / 2)`, weighted by `e^(−x² / 2)` (error of Φ at most 2 · 10⁻⁸).
const COEFFICIENTS: [f32; 6] = [
    0.151_427_03,
    0.194_436_88,
    -0.016_635_748,
    0.375_168_7,
    -0.258_243_92,
    0.053_847_063,
];
/// 1 / √(2π).
const DENSITY: f32 = 0.398_942_3;

#[cfg(test)]
mod tests {
    use super::gelu;

    /// Φ by its series (Abramowitz & Stegun 1964, 26.2.11), good in `f64` for |x| ≤ 6.
    fn phi(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for odd in (3..200).step_by(2) {
            term *= x * x / f64::from(odd);
            sum += term;
        }
        0.5 + sum * density(x)
    }

    fn density(x: f64) -> f64 {
        (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
    }

    #[test]
    fn value_and_slope_are_within_the_stated_bound() {
        for step in -60_000..=60_000_i32 {
            let x = step as f32 * 1e-4;
            let (value, slope) = gelu(x);
            let wide = f64::from(x);
            let want = wide * phi(wide);
            assert!(
                (f64::from(value) - want).abs() < 1.5e-7 * wide.abs().max(1.0),
                "{x}: {value} is not {want}"
            );
            let want = phi(wide) + wide * density(wide);
            assert!(
                (f64::from(slope) - want).abs() < 4e-7,
                "{x}: {slope} is not {want}"
            );
        }
    }

    #[test]
    fn far_from_0_it_is_0_or_x() {
        for x in [20.0, 1e4, 1e18] {
            assert_eq!(gelu(x), (x, 1.0));
            let (value, slope) = gelu(-x);
            assert!(
                value.abs() < 1e-15 && slope.abs() < 1e-15,
                "{value} {slope}"
            );
        }
    }
}
