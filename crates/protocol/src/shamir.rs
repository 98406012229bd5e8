//! Shamir's threshold sharing of 32-byte secrets (Shamir 1979), each byte by itself over GF(256).
//!
//! Any `threshold` shares give the secret; fewer tell nothing of it. Holders have places, from 0; the share of place `i`
//! is the value at `x = i + 1`.
//! The field is that of AES (FIPS 197, section 4.2): polynomials modulo `x^8 + x^4 + x^3 + x + 1`. Arithmetic has
//! neither tables nor branches that depend on a secret.

use std::fmt;

use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// A site's share of one secret; never printed, wiped when dropped.
#[derive(Clone, PartialEq, Eq, Encode, Decode, ZeroizeOnDrop)]
#[cbor(transparent)]
pub struct Share(#[cbor(n(0), with = "minicbor::bytes")] pub(crate) [u8; 32]);

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").finish_non_exhaustive()
    }
}

/// Where a share is: its holder's place among all holders of the secret, from 0 to 254.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u8);

impl Place {
    /// The place with this number, if there is one: GF(256) has 255 beside 0, where the secret is.
    #[must_use]
    pub fn new(number: usize) -> Option<Self> {
        u8::try_from(number)
            .ok()
            .filter(|place| *place < u8::MAX)
            .map(Self)
    }

    /// Where the polynomial is evaluated.
    fn point(self) -> u8 {
        self.0 + 1
    }
}

/// Splits `secret` into `holders` shares, one a place, so that any `threshold` of them give it.
///
/// # Errors
///
/// A threshold of 0 or above the number of holders, and more than 255 holders.
pub fn split(
    secret: &[u8; 32],
    threshold: usize,
    holders: usize,
    rng: &mut impl CryptoRng,
) -> Result<Vec<Share>, ShamirError> {
    if threshold == 0 || threshold > holders {
        return Err(ShamirError::Threshold { threshold, holders });
    }
    let places = (0..holders).map(|place| Place::new(place).ok_or(ShamirError::Holders(holders)));
    let places: Vec<Place> = places.collect::<Result<_, _>>()?;
    let mut coefficients = Zeroizing::new(vec![[0; 32]; threshold]);
    coefficients[0] = *secret;
    for coefficient in &mut coefficients[1..] {
        rng.fill_bytes(coefficient);
    }
    Ok(places
        .into_iter()
        .map(|place| evaluate(&coefficients, place.point()))
        .collect())
}

/// Puts a secret together from at least `threshold` shares; all of them are used.
///
/// A wrong share gives a wrong secret, which only a comparison with something public can tell.
///
/// # Errors
///
/// Fewer shares than the threshold, and a place that is named twice.
pub fn reconstruct(
    threshold: usize,
    shares: &[(Place, &Share)],
) -> Result<Zeroizing<[u8; 32]>, ShamirError> {
    if threshold == 0 || shares.len() < threshold {
        return Err(ShamirError::TooFewShares {
            shares: shares.len(),
            threshold,
        });
    }
    interpolate(shares)
}

/// Why a secret is not split or put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShamirError {
    /// No sharing has such a threshold.
    #[error("a threshold of {threshold} among {holders} holders; want 1 to all of them")]
    Threshold {
        /// The threshold asked for.
        threshold: usize,
        /// The holders.
        holders: usize,
    },
    /// The shares do not determine the secret.
    #[error("{shares} shares of a secret; {threshold} give it")]
    TooFewShares {
        /// The shares given.
        shares: usize,
        /// The shares needed.
        threshold: usize,
    },
    /// Two shares are at the same place.
    #[error("two shares of one secret at place {}", .0.0)]
    Twice(Place),
    /// GF(256) has 255 places.
    #[error("{0} holders of one secret; 255 are the most")]
    Holders(usize),
}

/// The value at `x` of the polynomial with these coefficients, lowest first (Horner).
fn evaluate(coefficients: &[[u8; 32]], x: u8) -> Share {
    let mut value = [0; 32];
    for coefficient in coefficients.iter().rev() {
        for (byte, addend) in value.iter_mut().zip(coefficient) {
            *byte = multiply(*byte, x) ^ addend;
        }
    }
    Share(value)
}

/// The value at 0 of the polynomial of least degree through `shares` (Lagrange).
fn interpolate(shares: &[(Place, &Share)]) -> Result<Zeroizing<[u8; 32]>, ShamirError> {
    let points = points(shares.iter().map(|(place, _)| *place))?;
    let mut value = Zeroizing::new([0; 32]);
    for (index, (_, share)) in shares.iter().enumerate() {
        let (mut above, mut below) = (1, 1);
        for (_, x) in points
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
        {
            above = multiply(above, *x);
            below = multiply(below, points[index] ^ x);
        }
        let weight = multiply(above, invert(below));
        for (byte, own) in value.iter_mut().zip(&share.0) {
            *byte ^= multiply(weight, *own);
        }
    }
    Ok(value)
}

/// Where the shares are values of the polynomial, each once.
fn points(places: impl Iterator<Item = Place>) -> Result<Vec<u8>, ShamirError> {
    let mut taken = [false; 256];
    places
        .map(|place| {
            let x = place.point();
            if std::mem::replace(&mut taken[usize::from(x)], true) {
                return Err(ShamirError::Twice(place));
            }
            Ok(x)
        })
        .collect()
}

/// The product in GF(256), in a time that does not depend on the factors.
fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (a, 0);
    for bit in 0..8 {
        product ^= a & 0u8.wrapping_sub((b >> bit) & 1);
        let reduction = 0x1b & 0u8.wrapping_sub(a >> 7);
        a = (a << 1) ^ reduction;
    }
    product
}

/// The inverse in GF(256): the 254th power; 0 for 0.
fn invert(a: u8) -> u8 {
    let (mut square, mut power) = (a, 1);
    // 254 = 2 + 4 + … + 128.
    for _ in 1..8 {
        square = multiply(square, square);
        power = multiply(power, square);
    }
    power
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use proptest::prelude::*;
    use rand_core::SeedableRng;

    use super::*;

    fn held(shares: &[Share]) -> Vec<(Place, &Share)> {
        (0..).map(Place).zip(shares).collect()
    }

    /// FIPS 197, section 4.2 and 4.2.1.
    #[test]
    fn products_are_those_of_fips_197() {
        for (a, b, product) in [
            (0x57, 0x83, 0xc1),
            (0x57, 0x13, 0xfe),
            (0x57, 0x02, 0xae),
            (0x57, 0x10, 0x07),
        ] {
            assert_eq!(multiply(a, b), product);
            assert_eq!(multiply(b, a), product);
        }
    }

    #[test]
    fn every_value_but_zero_has_an_inverse() {
        for value in 1..=255 {
            assert_eq!(multiply(value, invert(value)), 1);
        }
        assert_eq!(invert(0), 0);
    }

    /// The line through (0, 7) with slope 2 in GF(256): at x = 1, 2, 3 it is 5, 3, 1.
    #[test]
    fn shares_are_values_of_the_polynomial() {
        let line = [[7; 32], [2; 32]];
        let at = |x| evaluate(&line, x).0[0];
        assert_eq!([at(1), at(2), at(3)], [5, 3, 1]);
    }

    #[test]
    fn what_determines_no_secret_is_refused() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut split = |threshold, holders| split(&[7; 32], threshold, holders, &mut rng);
        assert_eq!(
            split(0, 3),
            Err(ShamirError::Threshold {
                threshold: 0,
                holders: 3
            })
        );
        assert_eq!(
            split(4, 3),
            Err(ShamirError::Threshold {
                threshold: 4,
                holders: 3
            })
        );
        assert_eq!(split(1, 256), Err(ShamirError::Holders(256)));
        assert_eq!(Place::new(255), None);
        let shares = split(2, 3).unwrap();
        let few = ShamirError::TooFewShares {
            shares: 1,
            threshold: 2,
        };
        assert_eq!(reconstruct(2, &held(&shares[..1])), Err(few));
        let twice = [(Place(0), &shares[0]), (Place(0), &shares[0])];
        assert_eq!(reconstruct(2, &twice), Err(ShamirError::Twice(Place(0))));
        assert_eq!(
            reconstruct(0, &[]),
            Err(ShamirError::TooFewShares {
                shares: 0,
                threshold: 0
            })
        );
    }

    #[test]
    fn there_are_255_places() {
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        let shares = split(&[9; 32], 255, 255, &mut rng).unwrap();
        assert_eq!(*reconstruct(255, &held(&shares)).unwrap(), [9; 32]);
    }

    proptest! {
        #[test]
        fn any_threshold_of_shares_gives_the_secret(
            secret in any::<[u8; 32]>(),
            seed in any::<[u8; 32]>(),
            (count, threshold) in (1..20_usize).prop_flat_map(|count| (Just(count), 1..=count)),
            order in any::<prop::sample::Index>(),
        ) {
            let shares = split(&secret, threshold, count, &mut ChaCha20Rng::from_seed(seed)).unwrap();
            let mut held = held(&shares);
            held.rotate_left(order.index(count));
            prop_assert_eq!(*reconstruct(threshold, &held[..threshold]).unwrap(), secret);
            prop_assert_eq!(*reconstruct(threshold, &held).unwrap(), secret);
        }

        /// For every other secret there is a sharing that gives a holder below the threshold what it has.
        #[test]
        fn fewer_shares_fit_every_secret(
            secret in any::<[u8; 32]>(),
            other in any::<[u8; 32]>(),
            threshold in 2..8_usize,
        ) {
            let mut rng = ChaCha20Rng::from_seed([3; 32]);
            let shares = split(&secret, threshold, 8, &mut rng).unwrap();
            // Below the threshold, and the other secret at 0: a polynomial of the same degree goes through all.
            let known = &held(&shares)[..threshold - 1];
            let difference: [u8; 32] = std::array::from_fn(|byte| secret[byte] ^ other[byte]);
            let vanishing = |x: u8| {
                let factor = |root: u8| multiply(x ^ root, invert(root));
                known.iter().map(|(place, _)| factor(place.point())).fold(1, multiply)
            };
            let moved = |place: Place, share: &Share| {
                let scale = vanishing(place.point());
                Share(std::array::from_fn(|byte| share.0[byte] ^ multiply(scale, difference[byte])))
            };
            let moved: Vec<Share> = held(&shares).into_iter().map(|(place, share)| moved(place, share)).collect();
            prop_assert_eq!(&moved[..threshold - 1], &shares[..threshold - 1]);
            prop_assert_eq!(*reconstruct(threshold, &held(&moved)).unwrap(), other);
        }
    }
}
