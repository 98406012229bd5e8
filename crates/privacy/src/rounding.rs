//! Stochastic rounding of reals to the integer grid, and what it does to the sensitivity.

use rand_core::Rng;

use crate::directed::up;

/// The integer ⌊x + u⌋ for a fresh u, uniform in [0, 1) with 53 bits. `x` is in grid units (value /
/// grid).
///
/// One of the two integers next to `x`, and on average `x` to within 2⁻⁵³ of a grid unit. The
/// comparison is exact although x + u may not be a float. Always draws one 64-bit word, so that a
/// rejected value does not shift the stream.
///
/// # Errors
///
/// [`RoundingError`] when `x` is NaN, infinite, or 2⁶² or more in magnitude.
pub fn round(x: f64, rng: &mut impl Rng) -> Result<i64, RoundingError> {
    let u = (rng.next_u64() >> 11) as f64 * 2.0_f64.powi(-53);
    if !x.is_finite() {
        return Err(RoundingError::NotFinite { value: x });
    }
    if x.abs() >= LIMIT {
        return Err(RoundingError::TooLarge { value: x });
    }
    // x = whole + rest exactly, with the sign of x on both; 1 − u is exact as well.
    let whole = x.trunc();
    let rest = x - whole;
    let step = if rest >= 1.0 - u {
        1
    } else if u < -rest {
        -1
    } else {
        0
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an integer below 2^62 in magnitude, checked above"
    )]
    let whole = whole as i64;
    Ok(whole + step)
}

/// The value has no place on the grid.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RoundingError {
    /// NaN or infinite.
    #[error("{value} cannot be rounded to the grid")]
    NotFinite {
        /// The value, grid units.
        value: f64,
    },
    /// 2⁶² grid units or more.
    #[error("{value} grid units are too many to round; the limit is 2^62")]
    TooLarge {
        /// The value, grid units.
        value: f64,
    },
}

/// How far neighbouring vectors can be apart, in L2 norm, after [`round`]: `sensitivity` + `grid` ·
/// √`length`, rounded up, in the unit of both arguments.
///
/// `sensitivity` bounds their distance before, as reals; `length` is the number of coordinates.
/// Couple the two runs by the same u in each coordinate. ⌊a + u⌋ − ⌊b + u⌋ is less than a − b + 1,
/// so a coordinate moves by less than its difference plus one grid unit, and the triangle
/// inequality gives the bound. u does not depend on the data, so a privacy bound that holds for
/// each u holds without knowing it.
///
/// Take a `grid` that is a power of two: value / grid is then exact. With any other, that division
/// is off by up to 2⁻⁵³ of its result, which the caller has to count into `sensitivity`.
///
/// NaN or infinity in gives NaN or infinity out, which [`crate::allocation::site_variance`]
/// refuses.
#[must_use]
pub fn rounded_sensitivity(sensitivity: f64, grid: f64, length: usize) -> f64 {
    up(sensitivity + grid * (length as f64).sqrt())
}

const LIMIT: f64 = (1_u64 << 62) as f64;

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use proptest::prelude::{any, prop_assert, proptest};
    use rand_core::SeedableRng;

    use super::*;

    fn rng(seed: u8) -> ChaCha20Rng {
        ChaCha20Rng::from_seed([seed; 32])
    }

    #[test]
    fn what_is_not_on_the_line_is_refused() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(
                round(bad, &mut rng(0)),
                Err(RoundingError::NotFinite { .. })
            ));
        }
        assert!(matches!(
            round(-LIMIT, &mut rng(0)),
            Err(RoundingError::TooLarge { .. })
        ));
        assert_eq!(round(LIMIT.next_down(), &mut rng(0)), Ok((1 << 62) - 512));
    }

    #[test]
    fn the_mean_is_the_value() {
        let mut rng = rng(1);
        for x in [0.25, -0.25, 7.9, -7.9, 1e-9, -1e-9, 12_345.5] {
            let rounds = 100_000;
            let sum: i64 = (0..rounds).map(|_| round(x, &mut rng).unwrap()).sum();
            let (mean, rest) = (sum as f64 / f64::from(rounds), x - x.floor());
            let deviation = (rest * (1.0 - rest) / f64::from(rounds)).sqrt();
            assert!(
                (mean - x).abs() <= 5.0 * deviation + 1e-6,
                "{mean}, want {x}"
            );
        }
    }

    proptest! {
        #[test]
        fn an_integer_stays_itself(x in -(1_i64 << 53)..1 << 53, seed in any::<u8>()) {
            prop_assert!(round(x as f64, &mut rng(seed)) == Ok(x));
        }

        #[test]
        fn coupled_neighbours_move_by_less_than_a_grid_unit_more(
            x in -1e6..1e6_f64, apart in -3.0..3.0_f64, seed in any::<u8>(),
        ) {
            let y = x + apart;
            let moved = round(x, &mut rng(seed)).unwrap() - round(y, &mut rng(seed)).unwrap();
            prop_assert!((moved.abs() as f64) < (x - y).abs() + 1.0);
        }

        #[test]
        fn neighbouring_vectors_stay_within_the_rounded_sensitivity(
            pairs in proptest::collection::vec((-10.0..10.0_f64, -1.0..1.0_f64), 1..50),
            seed in any::<u8>(),
        ) {
            let norm = |values: Vec<f64>| values.iter().map(|v| v * v).sum::<f64>().sqrt();
            let grid = 0.125;
            let rounded = |values: Vec<f64>| -> Vec<f64> {
                let mut rng = rng(seed);
                values.iter().map(|v| round(v / grid, &mut rng).unwrap() as f64 * grid).collect()
            };
            let before = norm(pairs.iter().map(|(_, apart)| *apart).collect());
            let one = rounded(pairs.iter().map(|(x, _)| *x).collect());
            let other = rounded(pairs.iter().map(|(x, apart)| x + apart).collect());
            let after = norm(one.iter().zip(&other).map(|(a, b)| a - b).collect());
            prop_assert!(after <= rounded_sensitivity(before, grid, pairs.len()) + 1e-9);
        }
    }
}
