//! Key agreement: X25519 (RFC 7748), without the points that agree on nothing.

use std::fmt;

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::ZeroizeOnDrop;

use crate::id::AgreementKey;
use crate::seed::Seed;

/// An X25519 secret key; never printed, wiped when dropped.
#[derive(Clone)]
pub struct Secret(StaticSecret);

impl Secret {
    /// The key with these bytes, which must be uniform; they are clamped where they are used (RFC 7748, section 5).
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(StaticSecret::from(bytes))
    }

    /// The key that the seed gives.
    #[must_use]
    pub fn from_seed(seed: &Seed) -> Self {
        Self::new(*seed.bytes())
    }

    /// Its public key.
    #[must_use]
    pub fn public(&self) -> AgreementKey {
        AgreementKey(PublicKey::from(&self.0).to_bytes())
    }

    /// The secret that both holders of the two key pairs can compute, before any derivation.
    pub(crate) fn agree(&self, theirs: &AgreementKey) -> Result<Shared, WeakKey> {
        if !is_canonical(theirs) {
            return Err(WeakKey);
        }
        let shared = self.0.diffie_hellman(&PublicKey::from(theirs.0));
        if shared.was_contributory() {
            Ok(Shared(shared.to_bytes()))
        } else {
            Err(WeakKey)
        }
    }

    /// The secret bytes.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}

/// What two key pairs agree on: input of a key derivation, not a key.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Shared([u8; 32]);

impl Shared {
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The public key is not one that an honest program makes: a point of small order, with which any secret key
/// agrees on zero (RFC 7748, section 6.1), or not in its one canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the X25519 key is a point of small order, or not in canonical form")]
pub struct WeakKey;

/// Refuses public keys with which no agreement is secret, without the cost of an agreement.
///
/// # Errors
///
/// A point of small order, and bytes that are not the canonical form of a point.
pub fn check(key: &AgreementKey) -> Result<(), WeakKey> {
    if is_canonical(key) && !SMALL_ORDER.contains(&key.0) {
        Ok(())
    } else {
        Err(WeakKey)
    }
}

/// All points of small order on the curve and its twist, in their canonical form: 0, 1, the two of order 8, and p - 1.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    [
        0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00,
    ],
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef,
        0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
        0x11, 0x57,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
];

/// Whether the bytes are below the prime 2^255 - 19: else another 32 bytes are the same point.
fn is_canonical(key: &AgreementKey) -> bool {
    let [first, middle @ .., last] = &key.0;
    *last < 0x7f || (*last == 0x7f && (middle.iter().any(|byte| *byte != 0xff) || *first < 0xed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Digest;

    fn key(text: &str) -> AgreementKey {
        text.parse().unwrap()
    }

    /// RFC 7748, section 6.1.
    #[test]
    fn an_agreement_is_that_of_rfc_7748() {
        let secret = |text| Secret::new(key(text).0);
        let alice = secret("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let bob = secret("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        let public = key("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        assert_eq!(alice.public(), public);
        let shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
        assert_eq!(
            hex::encode(bob.agree(&alice.public()).unwrap().bytes()),
            shared
        );
        assert_eq!(
            hex::encode(alice.agree(&bob.public()).unwrap().bytes()),
            shared
        );
    }

    /// All points of small order and all non-canonical forms of them and of some others.
    #[test]
    fn weak_keys_are_refused() {
        for weak in [
            // 0 and 1, of order 2 and 4.
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            // The two of order 8.
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            // p - 1, of order 4 on the twist; p, p + 1 and p + 2, which are 0, 1 and 2.
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "efffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            // 9, the base point, with the unused bit set; all bits set.
            "0900000000000000000000000000000000000000000000000000000000000080",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        ] {
            assert_eq!(check(&key(weak)), Err(WeakKey), "{weak}");
            assert!(Secret::new([1; 32]).agree(&key(weak)).is_err(), "{weak}");
        }
        check(&key(
            "0900000000000000000000000000000000000000000000000000000000000000",
        ))
        .unwrap();
        check(&key(
            "ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ))
        .unwrap();
        check(&Secret::new([7; 32]).public()).unwrap();
    }

    /// Clamped scalars are multiples of 8, the cofactor: any of them takes a point of small order to zero, and no other.
    #[test]
    fn the_list_is_of_the_points_that_agree_on_zero() {
        let agrees = |key| Secret::new([0; 32]).agree(&key).is_ok();
        assert!(SMALL_ORDER.iter().all(|key| !agrees(AgreementKey(*key))));
        for seed in 0..200_u8 {
            // Half of all strings are points of the curve, the others of its twist.
            let mut bytes = Digest::of(&[seed]).0;
            bytes[31] &= 0x7f;
            let key = AgreementKey(bytes);
            assert_eq!(check(&key).is_ok(), agrees(key), "{key}");
        }
        for low in 0..=u8::MAX {
            for bytes in [[0; 32], SMALL_ORDER[4]] {
                let mut near = AgreementKey(bytes);
                near.0[0] = low;
                assert_eq!(check(&near).is_ok(), agrees(near), "{near}");
            }
        }
    }
}
