//! Rounding outwards: a computed number moved past its own rounding error, in the direction that is
//! safe.

/// Four units in the last place, relative: more than the error of up to seven roundings to nearest
/// in a row, each at most `f64::EPSILON / 2`.
pub(crate) const SLACK: f64 = 4.0 * f64::EPSILON;

/// At least the true value of an expression of positive terms of which `x` is the result after at
/// most seven roundings.
pub(crate) fn up(x: f64) -> f64 {
    x * (1.0 + SLACK)
}

/// At most the true value of an expression of positive terms of which `x` is the result after at
/// most seven roundings.
pub(crate) fn down(x: f64) -> f64 {
    x * (1.0 - SLACK)
}
