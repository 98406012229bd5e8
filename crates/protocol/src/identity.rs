//! A site's identity: an Ed25519 key (RFC 8032), for the host and for tests. The module never holds one.

use std::fmt;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::id::IdentityKey;

/// A signing key; never printed.
pub struct Identity(Ed25519KeyPair);

impl Identity {
    /// The identity with this private key (RFC 8032, section 5.1.5), which must be uniform.
    ///
    /// # Panics
    ///
    /// Never: any 32 bytes are a private key.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(
            Ed25519KeyPair::from_seed_unchecked(seed)
                .expect("any 32 bytes are an Ed25519 private key"),
        )
    }

    /// The identity in a PKCS#8 document, version 1 or 2 (RFC 8410), not PEM.
    ///
    /// # Errors
    ///
    /// Bytes that are no such document of an Ed25519 key.
    pub fn from_pkcs8(document: &[u8]) -> Result<Self, NotAnIdentity> {
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(document)
            .map(Self)
            .map_err(|_| NotAnIdentity)
    }

    /// Who this is.
    ///
    /// # Panics
    ///
    /// Never: an Ed25519 public key has 32 bytes.
    #[must_use]
    pub fn key(&self) -> IdentityKey {
        let bytes = self.0.public_key().as_ref();
        IdentityKey(
            bytes
                .try_into()
                .expect("an Ed25519 public key has 32 bytes"),
        )
    }

    /// The signature over `bytes`.
    ///
    /// # Panics
    ///
    /// Never: an Ed25519 signature has 64 bytes.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0
            .sign(bytes)
            .as_ref()
            .try_into()
            .expect("an Ed25519 signature has 64 bytes")
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("key", &self.key())
            .finish_non_exhaustive()
    }
}

impl IdentityKey {
    /// Whether `signature` over `bytes` was made by the holder of this key.
    #[must_use]
    pub fn verifies(&self, bytes: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(bytes, signature)
            .is_ok()
    }
}

/// The bytes are no PKCS#8 document of an Ed25519 key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file holds no Ed25519 private key in PKCS#8 form")]
pub struct NotAnIdentity;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn a_signature_is_that_of_rfc_8032() {
        let seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
        let identity = Identity::from_seed(&hex::decode(seed).unwrap().try_into().unwrap());
        let signature = identity.sign(&[0x72]);
        assert_eq!(
            identity.key().to_string(),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        );
        assert_eq!(
            hex::encode(signature),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
        assert!(identity.key().verifies(&[0x72], &signature));
        assert!(!identity.key().verifies(&[0x73], &signature));
    }

    #[test]
    fn printing_an_identity_shows_its_public_key_alone() {
        let printed = format!("{:?}", Identity::from_seed(&[7; 32]));
        assert!(printed.contains("IdentityKey("));
        assert!(!printed.contains(&hex::encode([7; 32])));
    }
}
