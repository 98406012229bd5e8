//! A site's part in the lottery: a nonce that it commits to, and later reveals for one list of sites.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use zeroize::ZeroizeOnDrop;

use super::RollCall;
use crate::id::{Digest, IdentityKey, Nonce};
use crate::identity::Identity;

/// A nonce that nobody else knows yet; never printed, wiped when dropped.
#[derive(Clone, ZeroizeOnDrop)]
pub struct SecretNonce([u8; 32]);

impl SecretNonce {
    /// The nonce with these bytes, which must be uniform.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, to be kept where nobody else can read them.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What binds the site with this key to the nonce and, since the nonce is uniform, tells nothing of it.
    #[must_use]
    pub fn commitment(&self, key: &IdentityKey) -> Digest {
        Nonce(self.0).commitment(key)
    }

    /// The nonce, with the site's signature that it is revealed for this list.
    ///
    /// A site does this once, after it found itself on the list; for a second list it must have a new nonce.
    #[must_use]
    pub fn reveal(&self, list: &RollCall, identity: &Identity) -> Lot {
        let signature = identity.sign(&Lot::bytes_to_sign(list.digest()));
        Lot {
            nonce: Nonce(self.0),
            signature: LotSignature(signature),
        }
    }
}

impl fmt::Debug for SecretNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretNonce").finish_non_exhaustive()
    }
}

impl Nonce {
    /// `SHA-256("wardround/1 nonce" ‖ key ‖ nonce)`: by the key, no site can repeat the commitment of another.
    #[must_use]
    pub fn commitment(&self, key: &IdentityKey) -> Digest {
        Digest::of(&[COMMITMENT, &key.0, &self.0].concat())
    }
}

/// What a site reveals: its nonce, and that it does so for one list of sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Lot {
    /// The nonce that the site committed to.
    #[n(0)]
    pub nonce: Nonce,
    /// Ed25519 signature by the site's identity key over [`Lot::bytes_to_sign`].
    #[n(1)]
    pub signature: LotSignature,
}

impl Lot {
    /// What a signature is over: `"wardround/1 roll call" ‖` the list's digest, which covers the commitment to the nonce.
    #[must_use]
    pub fn bytes_to_sign(list: Digest) -> Vec<u8> {
        [CONTEXT, &list.0].concat()
    }

    /// Whether the holder of this key signed the list with this digest.
    #[must_use]
    pub fn is_by(&self, key: &IdentityKey, list: Digest) -> bool {
        key.verifies(&Self::bytes_to_sign(list), &self.signature.0)
    }
}

/// An Ed25519 signature in a study's roster: 128 hexadecimal digits in text, bytes in CBOR.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct LotSignature(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 64]);

impl fmt::Display for LotSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for LotSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LotSignature({self})")
    }
}

impl FromStr for LotSignature {
    type Err = NotHex64;

    fn from_str(text: &str) -> Result<Self, NotHex64> {
        let mut bytes = [0; 64];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NotHex64)?;
        Ok(Self(bytes))
    }
}

impl Serialize for LotSignature {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LotSignature {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The text is not 128 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("want 128 hexadecimal digits")]
pub struct NotHex64;

const COMMITMENT: &[u8] = b"wardround/1 nonce";
const CONTEXT: &[u8] = b"wardround/1 roll call";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commitment_is_to_one_nonce_of_one_site() {
        let [anna, berta] = [1, 2].map(|seed| Identity::from_seed(&[seed; 32]).key());
        let nonce = Nonce([3; 32]);
        assert_eq!(
            SecretNonce::new([3; 32]).commitment(&anna),
            nonce.commitment(&anna)
        );
        assert_ne!(nonce.commitment(&anna), nonce.commitment(&berta));
        assert_ne!(nonce.commitment(&anna), Nonce([4; 32]).commitment(&anna));
    }

    #[test]
    fn printing_a_secret_nonce_shows_nothing_of_it() {
        let printed = format!("{:?}", SecretNonce::new([0xab; 32]));
        assert!(
            !printed.contains("ab") && !printed.contains("171"),
            "{printed}"
        );
    }

    #[test]
    fn a_signature_is_written_as_digits_and_read_back() {
        let lot = Lot {
            nonce: Nonce([1; 32]),
            signature: LotSignature([2; 64]),
        };
        let text = toml::to_string(&lot).unwrap();
        assert!(text.contains(&"02".repeat(64)), "{text}");
        assert_eq!(toml::from_str::<Lot>(&text).unwrap(), lot);
        assert!("02".repeat(63).parse::<LotSignature>().is_err());
    }
}
