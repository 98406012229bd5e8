//! Names of things: sites, rounds, digests, public keys.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// A site's position in the study's roster, from 0.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct SiteId(#[n(0)] pub u16);

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Defines a 32-byte value that is written as 64 hexadecimal digits in text and as bytes in CBOR.
macro_rules! bytes32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotHex32;

            fn from_str(text: &str) -> Result<Self, NotHex32> {
                let mut bytes = [0; 32];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| NotHex32)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

bytes32! {
    /// A SHA-256 digest.
    Digest
}
bytes32! {
    /// The BLAKE3 hash of a sealed chunk, which is long: in WebAssembly it takes a sixth of the time of SHA-256.
    ChunkDigest
}
bytes32! {
    /// An Ed25519 public key: who a site is (RFC 8032).
    IdentityKey
}
bytes32! {
    /// An X25519 public key (RFC 7748).
    AgreementKey
}
bytes32! {
    /// A site's part in the lottery of who takes part, once it is revealed ([`crate::lottery`]).
    Nonce
}

impl Digest {
    /// The SHA-256 digest of `bytes`.
    ///
    /// # Panics
    ///
    /// Never: SHA-256 gives 32 bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
        Self(digest.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
    }
}

impl ChunkDigest {
    /// The BLAKE3 hash of a sealed chunk.
    #[must_use]
    pub fn of(sealed: &[u8]) -> Self {
        Self(*blake3::hash(sealed).as_bytes())
    }
}

/// Which patients a site's vector was computed from: the SHA-256 of the SHA-256 of each prepared cohort, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputsDigest(pub(crate) Digest);

impl InputsDigest {
    /// That of prepared cohorts, encoded, in the order in which the site has them.
    #[must_use]
    pub fn of<'a>(cohorts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let digests = cohorts.into_iter().map(|cohort| Digest::of(cohort).0);
        Self(Digest::of(&digests.collect::<Vec<_>>().concat()))
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("want 64 hexadecimal digits")]
pub struct NotHex32;

/// What a round computes; each has its own sections of the vector ([`crate::study::Layout`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Count, sum and sum of squares of each feature, for a normalisation that all sites share.
    #[n(0)]
    Moments,
    /// One step of training: clipped gradients, or changes of the weights, and the number of training patients.
    #[n(1)]
    Train,
    /// Confusion matrix and score histograms of the held-out patients.
    #[n(2)]
    Evaluate,
    /// The same of the tuning patients, by which training is stopped.
    #[n(3)]
    Tune,
    /// Counts and sums of the training patients' embeddings on either side of each centre: where clusters begin.
    #[n(4)]
    Seed,
    /// The same around each centre: a step of Lloyd's iteration.
    #[n(5)]
    Cluster,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 6] = [
        Self::Moments,
        Self::Train,
        Self::Evaluate,
        Self::Tune,
        Self::Seed,
        Self::Cluster,
    ];
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Moments => "moments",
            Self::Train => "train",
            Self::Evaluate => "evaluate",
            Self::Tune => "tune",
            Self::Seed => "seed",
            Self::Cluster => "cluster",
        })
    }
}

/// What every message of a round is bound to: signatures and keys cover [`Header::digest`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Header {
    /// The digest of the study file.
    #[n(0)]
    pub study: Digest,
    /// The round's number, from 0. A number is used once: an abandoned round is never repeated under it.
    #[n(1)]
    pub number: u32,
    /// The round's place in the study's plan, from 0: which of its planned rounds this is. Several numbers may have the
    /// same place, where rounds were abandoned before anybody paid for them.
    #[n(2)]
    pub place: u32,
    /// What the round computes: what the plan has at `place`.
    #[n(3)]
    pub purpose: Purpose,
    /// The digest of the encoded [`crate::door::State`] that all sites start from.
    #[n(4)]
    pub state: Digest,
}

impl Header {
    /// The digest of the encoded header.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&crate::codec::encode(self))
    }
}
