//! e to the power of x, without a table or a branch, so that the compiler can use vectors.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use std::arch::wasm32::{
    f32x4_add, f32x4_mul, f32x4_pmax, f32x4_pmin, f32x4_splat, f32x4_sub, i32x4_add, i32x4_shl,
    v128,
};

use super::panel::Lanes;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use super::product::kernel as vectors;

/// `eˣ`, with a relative error below 2 · 10⁻⁷ where the result is a normal `f32`.
///
/// Below -87.3 the result is `e^-87.3` (10⁻³⁸), above 88.3 it is `e^88.3`; of NaN it is NaN.
#[inline]
pub(super) fn exp(x: f32) -> f32 {
    // x = n · ln 2 + r, n whole and |r| ≤ ln 2 / 2; eˣ = 2ⁿ · eʳ.
    let x = if x < LEAST { LEAST } else { x };
    let x = if x > MOST { MOST } else { x };
    let shifted = x * std::f32::consts::LOG2_E + WHOLE;
    let n = shifted - WHOLE;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let [c2, c3, c4, c5, c6] = COEFFICIENTS;
    let tail = (((c6 * r + c5) * r + c4) * r + c3) * r + c2;
    let fraction = tail * (r * r) + r + 1.0;
    // The lowest bits of `shifted` are those of n: into the place of the exponent with them. (Of NaN they are anything,
    // but a product with NaN is NaN.)
    fraction * f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()))
}

/// `eˣ` of each lane less `most`.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline]
pub(super) fn exp_less(lanes: &Lanes, most: f32) -> Lanes {
    lanes.map(|lane| exp(lane - most))
}

/// `eˣ` of each lane less `most`, bit for bit as [`exp`] has it.
///
/// Written with vectors: from loops the module's compiler makes as many shuffles as products.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline]
pub(super) fn exp_less(lanes: &Lanes, most: f32) -> Lanes {
    let most = f32x4_splat(most);
    vectors::lanes(vectors::pair(lanes).map(|half| exp_of_four(f32x4_sub(half, most))))
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline]
fn exp_of_four(x: v128) -> v128 {
    let product = |left, right: f32| f32x4_mul(left, f32x4_splat(right));
    let x = f32x4_pmin(f32x4_pmax(x, f32x4_splat(LEAST)), f32x4_splat(MOST));
    let shifted = f32x4_add(product(x, std::f32::consts::LOG2_E), f32x4_splat(WHOLE));
    let n = f32x4_sub(shifted, f32x4_splat(WHOLE));
    let r = f32x4_sub(f32x4_sub(x, product(n, LN_2_HIGH)), product(n, LN_2_LOW));
    let [rest @ .., last] = COEFFICIENTS;
    let next = |sum, coefficient: &f32| f32x4_add(f32x4_mul(sum, r), f32x4_splat(*coefficient));
    let tail = rest.iter().rev().fold(f32x4_splat(last), next);
    let fraction = f32x4_add(
        f32x4_add(f32x4_mul(tail, f32x4_mul(r, r)), r),
        f32x4_splat(1.0),
    );
    f32x4_mul(
        fraction,
        i32x4_add(i32x4_shl(shifted, 23), f32x4_splat(1.0)),
    )
}

const LEAST: f32 = -87.3;
const MOST: f32 = 88.3;
/// 1.5 · 2²³: what is added to it is rounded to a whole number.
const WHOLE: f32 = 12_582_912.0;
/// ln 2 in two parts: the first has few bits, so that its product with n is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// Of x² to x⁶: the best fit to `(eˣ − 1 − x) / x²` where |x| ≤ ln 2 / 2 (relative error of eˣ at most 4 · 10⁻⁹).
const COEFFICIENTS: [f32; 5] = [
    0.499_999_94,
    0.166_665_21,
    0.041_668_39,
    0.008_368_717,
    0.001_381_460_7,
];

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn error_is_within_the_stated_bound() {
        for step in -870_000..=880_000_i32 {
            let x = step as f32 * 1e-4;
            let want = f64::from(x).exp();
            let error = (f64::from(exp(x)) - want).abs() / want;
            assert!(error < 2e-7, "{x}: {error}");
        }
    }

    #[test]
    fn ends_stay_finite_and_nan_stays_nan() {
        assert!(exp(f32::NEG_INFINITY) < 2e-38);
        assert!(exp(f32::INFINITY).is_finite());
        assert!(exp(f32::NAN).is_nan());
        assert!((exp(0.0) - 1.0).abs() == 0.0);
    }
}
