//! A site's notice that it takes no further part in a round, so that nobody waits for it without knowing why.
//!
//! It costs nothing and reveals nothing but one of three causes: what a site's module refuses may be about its patients,
//! so no text goes out. The next message of the site that is accepted takes it back.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::id::{Digest, IdentityKey, SiteId};
use crate::identity::Identity;

/// A site takes no further part in a round.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Withdrawal {
    /// The round's number.
    #[n(0)]
    pub round: u32,
    /// Who says it.
    #[n(1)]
    pub site: SiteId,
    /// Why.
    #[n(2)]
    pub cause: Cause,
    /// Ed25519 signature by the site's identity key over [`Withdrawal::bytes_to_sign`].
    #[cbor(n(3), with = "minicbor::bytes")]
    pub signature: [u8; 64],
}

/// Why a site withdraws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The round is not covered by what the study promises or the hospital allows.
    #[n(0)]
    Budget,
    /// The site refuses what the aggregator or another site gave it.
    #[n(1)]
    Refusal,
    /// Something at the site failed.
    #[n(2)]
    Failure,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Budget, Self::Refusal, Self::Failure];
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Budget => "its privacy budget does not cover the round",
            Self::Refusal => "it refuses what it was given",
            Self::Failure => "something at the site failed",
        })
    }
}

impl Withdrawal {
    /// The notice of `site`, whose identity this must be, in a round of the study with this digest.
    #[must_use]
    pub fn sign(
        study: Digest,
        round: u32,
        site: SiteId,
        cause: Cause,
        identity: &Identity,
    ) -> Self {
        let signature = identity.sign(&Self::bytes_to_sign(study, round, site, cause));
        Self {
            round,
            site,
            cause,
            signature,
        }
    }

    /// What a signature is over: `"wardround/1 withdraw" ‖ study ‖ round ‖ site ‖ cause`, the round in four bytes and the
    /// site in two, most significant first, the cause in one.
    #[must_use]
    pub fn bytes_to_sign(study: Digest, round: u32, site: SiteId, cause: Cause) -> Vec<u8> {
        let cause = match cause {
            Cause::Budget => 0,
            Cause::Refusal => 1,
            Cause::Failure => 2,
        };
        [
            CONTEXT,
            &study.0,
            &round.to_be_bytes(),
            &site.0.to_be_bytes(),
            &[cause],
        ]
        .concat()
    }

    /// Whether the holder of this key signed it for the study with this digest.
    #[must_use]
    pub fn is_by(&self, key: &IdentityKey, study: Digest) -> bool {
        let bytes = Self::bytes_to_sign(study, self.round, self.site, self.cause);
        key.verifies(&bytes, &self.signature)
    }
}

const CONTEXT: &[u8] = b"wardround/1 withdraw";

#[cfg(test)]
mod tests {
    use super::*;

    const STUDY: Digest = Digest([7; 32]);

    fn honest() -> (Withdrawal, IdentityKey) {
        let identity = Identity::from_seed(&[1; 32]);
        let key = identity.key();
        (
            Withdrawal::sign(STUDY, 3, SiteId(2), Cause::Budget, &identity),
            key,
        )
    }

    #[test]
    fn a_signature_is_for_one_study_round_site_and_cause() {
        let (honest, key) = honest();
        assert!(honest.is_by(&key, STUDY));
        assert!(!honest.is_by(&key, Digest([8; 32])));
        assert!(!honest.is_by(&Identity::from_seed(&[2; 32]).key(), STUDY));
        let changed = |change: fn(&mut Withdrawal)| {
            let mut changed = honest.clone();
            change(&mut changed);
            changed.is_by(&key, STUDY)
        };
        assert!(!changed(|withdrawal| withdrawal.round = 4));
        assert!(!changed(|withdrawal| withdrawal.site = SiteId(3)));
        assert!(!changed(|withdrawal| withdrawal.cause = Cause::Refusal));
        assert!(!changed(|withdrawal| withdrawal.signature[0] ^= 1));
    }
}
