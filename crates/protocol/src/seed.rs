//! Seeds: where all of a session's randomness comes from, one labelled derivation a use.
//!
//! ```text
//! session seed ──HKDF-SHA256, label──▶ keys │ self mask │ shares │ seal │ rounding │ noise │ …
//! ```
//!
//! HKDF is RFC 5869; two labels give seeds that are independent as long as HMAC-SHA256 is a random function.

use std::fmt;

use chacha20::ChaCha20Rng;
use minicbor::{Decode, Encode};
use rand_core::SeedableRng;
use ring::hkdf;
use zeroize::ZeroizeOnDrop;

/// 32 secret bytes from which randomness is derived; never printed, wiped when dropped.
#[derive(Clone, Encode, Decode, ZeroizeOnDrop)]
#[cbor(transparent)]
pub struct Seed(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]);

impl Seed {
    /// The seed with these bytes, which must be uniform and used nowhere else.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The seed for the use named `label`. The same seed and label give the same result; one label does not tell
    /// of another.
    #[must_use]
    pub fn derive(&self, label: &str) -> Self {
        Self(expand(SALT, &self.0, &[label.as_bytes()]))
    }

    /// The seed for the use named `label` in the context `bound`, of fixed length for each label.
    pub(crate) fn derive_bound(&self, label: &str, bound: &[u8]) -> Self {
        Self(expand(BOUND_SALT, &self.0, &[bound, label.as_bytes()]))
    }

    /// A generator of random numbers that starts at this seed: ChaCha20 (RFC 8439) with a counter of 64 bits.
    #[must_use]
    pub fn rng(&self) -> ChaCha20Rng {
        ChaCha20Rng::from_seed(self.0)
    }

    /// The secret bytes, for the module that they are drawn for and the place where they are kept.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The secret bytes.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Seed {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        let differences = self.0.iter().zip(&other.0).map(|(one, other)| one ^ other);
        differences.fold(0, |all, some| all | some) == 0
    }
}

impl Eq for Seed {}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seed").finish_non_exhaustive()
    }
}

const SALT: &str = "wardround/1 seed";
const BOUND_SALT: &str = "wardround/1 bound seed";

/// 32 bytes of HKDF-SHA256 with the parts of `info` one after the other (RFC 5869).
pub(crate) fn expand(salt: &str, secret: &[u8], info: &[&[u8]]) -> [u8; 32] {
    let mut bytes = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt.as_bytes())
        .extract(secret)
        .expand(info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut bytes))
        .expect("HKDF-SHA256 gives up to 8160 bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// HKDF-SHA256 by the definition of RFC 5869, with HMAC written out.
    #[test]
    fn a_derived_seed_is_hkdf_of_its_label() {
        let hmac = |key: &[u8], text: &[u8]| {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
            ring::hmac::sign(&key, text).as_ref().to_vec()
        };
        let prk = hmac(b"wardround/1 seed", &[7; 32]);
        let want = hmac(&prk, b"noise\x01");
        assert_eq!(Seed::new([7; 32]).derive("noise").bytes().as_slice(), want);
    }

    #[test]
    fn labels_and_bindings_give_different_seeds() {
        let seed = Seed::new([7; 32]);
        let seeds = [
            seed.derive("noise"),
            seed.derive("rounding"),
            seed.derive_bound("noise", &[0; 32]),
            seed.derive_bound("noise", &[1; 32]),
            seed.derive("noise").derive("noise"),
            Seed::new([8; 32]).derive("noise"),
        ];
        for (place, one) in seeds.iter().enumerate() {
            assert!(
                seeds[..place]
                    .iter()
                    .all(|other| one.bytes() != other.bytes())
            );
        }
    }

    #[test]
    fn a_seed_is_not_printed() {
        assert_eq!(format!("{:?}", Seed::new([7; 32])), "Seed { .. }");
    }
}
