//! Whole numbers, decimals and halves as Parquet stores them.

use half::f16;

use crate::bad_row::{Problem, Quoted};

/// A number with decimal places: `unscaled / 10^scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    unscaled: i128,
    /// At most 38.
    scale: u32,
}

/// Up to here whole numbers are exact in a double.
const EXACT: i128 = 1 << 53;
/// Up to here powers of ten are exact in a double.
const EXACT_POWER: u32 = 22;

impl Decimal {
    pub(super) fn new(unscaled: i128, scale: u32) -> Self {
        Self { unscaled, scale }
    }

    /// Of an unscaled number in two's complement, the highest byte first.
    ///
    /// # Errors
    ///
    /// No byte, or a number beyond 128 bits.
    pub(super) fn of_bytes(bytes: &[u8], scale: u32) -> Result<Self, Box<Problem>> {
        let refused = || Box::new(Problem::DecimalRange(bytes.len()));
        let negative = bytes.first().ok_or_else(refused)? & 0x80 != 0;
        let fill = if negative { 0xff } else { 0 };
        let start = bytes.len().saturating_sub(16);
        let (above, low) = bytes.split_at(start);
        let mut wide = [fill; 16];
        wide[16 - low.len()..].copy_from_slice(low);
        let unscaled = i128::from_be_bytes(wide);
        let fits = above.iter().all(|byte| *byte == fill) && (unscaled < 0) == negative;
        if fits {
            Ok(Self { unscaled, scale })
        } else {
            Err(refused())
        }
    }

    /// The whole number that it is.
    ///
    /// # Errors
    ///
    /// A number with a fraction, and one that 64 bits do not hold.
    pub(super) fn whole(self) -> Result<i64, Box<Problem>> {
        let power = 10_i128.pow(self.scale);
        if self.unscaled % power != 0 {
            let problem = Problem::NotInteger(Quoted::new(self.text().as_bytes()));
            return Err(Box::new(problem));
        }
        let whole = self.unscaled / power;
        i64::try_from(whole).map_err(|_| beyond(&whole.to_string()))
    }

    /// The nearest double.
    #[expect(clippy::cast_precision_loss, reason = "it is exact below 2^53")]
    pub(super) fn number(self) -> f64 {
        if self.unscaled.abs_diff(0) <= EXACT.unsigned_abs() && self.scale <= EXACT_POWER {
            // One rounding, that of the division.
            self.unscaled as f64 / 10_f64.powi(self.scale.cast_signed())
        } else {
            let text = format!("{}e-{}", self.unscaled, self.scale);
            text.parse().unwrap_or(f64::NAN)
        }
    }

    fn text(self) -> String {
        let places = usize::try_from(self.scale).unwrap_or(usize::MAX);
        let digits = format!(
            "{:0>width$}",
            self.unscaled.unsigned_abs(),
            width = places + 1
        );
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let sign = if self.unscaled < 0 { "-" } else { "" };
        format!("{sign}{whole}.{fraction}")
    }
}

/// An unsigned number as a signed one.
///
/// # Errors
///
/// A number of 2^63 or above.
pub(super) fn signed(value: u64) -> Result<i64, Box<Problem>> {
    i64::try_from(value).map_err(|_| beyond(&value.to_string()))
}

/// A half in IEEE 754, the lowest byte first; no number where there are not two bytes.
pub(super) fn half(bytes: &[u8]) -> f64 {
    bytes
        .try_into()
        .map_or(f64::NAN, |bytes| f16::from_le_bytes(bytes).to_f64())
}

fn beyond(number: &str) -> Box<Problem> {
    Box::new(Problem::IntegerRange(Quoted::new(number.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_the_nearest_double() {
        for (unscaled, scale, number) in [
            (420, 2, 4.2),
            (-1, 0, -1.0),
            (9_223_372_036_854_775_807, 18, 9.223_372_036_854_776),
            (3, 38, 3e-38),
            (1 << 53, 22, 9.007_199_254_740_992e-7),
            (i128::MAX, 0, 1.701_411_834_604_692_3e38),
        ] {
            let got = Decimal::new(unscaled, scale).number();
            assert_eq!(got.to_bits(), f64::to_bits(number), "{unscaled}e-{scale}");
        }
    }

    #[test]
    fn decimals_are_whole_or_say_what_they_are() {
        assert_eq!(Decimal::new(1_200, 2).whole(), Ok(12));
        assert_eq!(Decimal::new(i64::MIN.into(), 0).whole(), Ok(i64::MIN));
        for (unscaled, scale, message) in [
            (-5, 2, "`-0.05` is not a whole number"),
            (1_250, 2, "`12.50` is not a whole number"),
            (
                1 << 63,
                0,
                "`9223372036854775808` does not fit into int64: write numbers below 2^63",
            ),
        ] {
            let problem = Decimal::new(unscaled, scale).whole().unwrap_err();
            assert_eq!(problem.to_string(), message);
        }
    }

    #[test]
    fn bytes_are_signed_and_of_any_length() {
        let of = |bytes: &[u8]| Decimal::of_bytes(bytes, 0).map(|decimal| decimal.unscaled);
        assert_eq!(of(&[0x80]), Ok(-128));
        assert_eq!(of(&[1, 0]), Ok(256));
        assert_eq!(of(&[0xff; 32]), Ok(-1));
        assert_eq!(of(&i128::MIN.to_be_bytes()), Ok(i128::MIN));
        let mut wide = [0; 17];
        wide[0] = 1;
        assert!(of(&wide).is_err() && of(&[]).is_err());
        let mut unsigned = [0; 17];
        unsigned[1] = 0x80;
        assert!(of(&unsigned).is_err(), "2^127");
    }
}
