//! What sites send: a body for each stage, signed by the site's identity.
//!
//! ```text
//! module ──body──▶ host ──Signed { site, body, signature }──▶ aggregator ──▶ other sites
//! ```
//!
//! The signature is Ed25519 (RFC 8032) over [`Signed::bytes_to_sign`]: it binds the body to the site, the stage and
//! all that [`Header`] names, so no message can be used in another place.

use std::collections::BTreeSet;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::api::Stage;
use crate::chunk::Chunking;
use crate::cipher::TAG_LENGTH;
use crate::codec::{self, DecodeError};
use crate::door::Sealed;
use crate::id::{AgreementKey, ChunkDigest, Digest, Header, SiteId};
use crate::shamir::Share;
use crate::study::{Layout, Study};

/// A site's message of one stage.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Signed {
    /// Who says it.
    #[n(0)]
    pub site: SiteId,
    /// What is said: the encoded body of the stage.
    #[n(1)]
    pub body: ByteVec,
    /// Ed25519 signature by the site's identity key over [`Signed::bytes_to_sign`].
    #[cbor(n(2), with = "minicbor::bytes")]
    pub signature: [u8; 64],
}

impl Signed {
    /// What a signature is over: `"wardround/1 message" ‖ header digest ‖ stage ‖ site ‖ SHA-256(body)`, the stage in
    /// one byte, the site in two, most significant first.
    ///
    /// The body stands in it by its digest, so a receipt of the message need not keep the body.
    #[must_use]
    pub fn bytes_to_sign(header: &Header, stage: Stage, site: SiteId, body: &[u8]) -> Vec<u8> {
        let (round, body) = (header.digest(), Digest::of(body));
        let stage = match stage {
            Stage::Advertise => 0,
            Stage::Share => 1,
            Stage::Mask => 2,
            Stage::Agree => 3,
            Stage::Unmask => 4,
        };
        [CONTEXT, &round.0, &[stage], &site.0.to_be_bytes(), &body.0].concat()
    }

    /// Checks that the site takes part in the round and signed this body for it and the stage.
    ///
    /// # Errors
    ///
    /// A site outside of the roster or the round, and a signature that is not the site's over these bytes.
    pub fn verify(&self, study: &Study, header: &Header, stage: Stage) -> Result<(), MessageError> {
        let member = study
            .member(self.site)
            .ok_or(MessageError::NotInRoster(self.site))?;
        if !study.takes_part(self.site, header) {
            return Err(MessageError::NotInRound(self.site));
        }
        let bytes = Self::bytes_to_sign(header, stage, self.site, &self.body);
        if member.key.verifies(&bytes, &self.signature) {
            Ok(())
        } else {
            Err(MessageError::Signature {
                site: self.site,
                stage,
            })
        }
    }

    /// The body of a message that [`Signed::verify`] accepts.
    pub(crate) fn open<T>(
        &self,
        study: &Study,
        header: &Header,
        stage: Stage,
    ) -> Result<T, MessageError>
    where
        T: Encode<()> + for<'b> Decode<'b, ()>,
    {
        self.verify(study, header, stage)?;
        codec::decode(&self.body).map_err(|error| MessageError::Body {
            site: self.site,
            stage,
            error,
        })
    }
}

/// Of stage advertise: fresh public keys for one round (Bonawitz et al. 2017, round 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Advert {
    /// `c^PK`: for the encryption of shares.
    #[n(0)]
    pub cipher_key: AgreementKey,
    /// `s^PK`: for the pairwise masks.
    #[n(1)]
    pub mask_key: AgreementKey,
}

/// Of stage share: shares of the site's secrets for every other holder of them (round 1).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Shares {
    /// What the site is bound to from now on.
    #[n(0)]
    pub commitments: Commitments,
    /// One a recipient, in ascending order.
    #[n(1)]
    pub sealed: Vec<Sealed>,
}

/// What a site is bound to when its secrets are opened; the digests are of HKDF-SHA256, and tell nothing of what is
/// uniform.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Commitments {
    /// To the seed of the self mask; the advert commits to the mask key.
    #[n(0)]
    pub seed: Digest,
    /// To the shares of each holder, the sender included, in ascending order.
    #[n(1)]
    pub shares: Vec<ShareDigests>,
    /// To the keys of the parts of its noise, in the parts' order; as many as the round's layout has parts.
    #[n(2)]
    pub noise: Vec<Digest>,
}

/// Commits to what one site holds of another's secrets, so that a wrong share is seen when it is opened.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ShareDigests {
    /// Of the share of the self-mask seed.
    #[n(0)]
    pub seed: Digest,
    /// Of the share of the secret mask key.
    #[n(1)]
    pub key: Digest,
    /// Of the shares of the keys of the parts of its noise, in the parts' order.
    #[n(2)]
    pub noise: Vec<Digest>,
}

/// Of stage mask: what the masked vector is that the site sends in chunks ([`crate::chunk`]), sealed to the
/// aggregator's key (round 2).
///
/// The site counts as a survivor once all of its chunks have arrived and could be opened, not before.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct MaskedInput {
    /// The ephemeral public key of the seal (RFC 9180: `enc`).
    #[n(0)]
    pub encapsulated: AgreementKey,
    /// With whom the vector may be masked: the digest of the sites that shared their secrets, as this site was told
    /// ([`sites_digest`]).
    #[n(1)]
    pub sharers: Digest,
    /// To the round, the state and the patients that the vector was computed from, under the session's seed: it tells
    /// nothing of them, and whoever is shown the seed can check it.
    #[n(2)]
    pub commitment: Digest,
    /// Of each sealed chunk, in order.
    #[n(3)]
    pub chunks: Vec<ChunkDigest>,
}

/// Of stage agree: the sites in the sum, as this site was told (round 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Agreement {
    /// Of the survivors ([`sites_digest`]).
    #[n(0)]
    pub survivors: Digest,
}

impl Agreement {
    /// That these sites are in the sum.
    #[must_use]
    pub fn on(survivors: &BTreeSet<SiteId>) -> Self {
        Self {
            survivors: sites_digest(&survivors.iter().copied().collect::<Vec<_>>()),
        }
    }
}

/// The digest of a list of sites in ascending order: of its encoding.
#[must_use]
pub fn sites_digest(sites: &[SiteId]) -> Digest {
    Digest::of(&codec::encode(&sites.to_vec()))
}

/// Of stage unmask: for each site whose shares the sender holds a share of one of its two mask secrets (round 4), and of
/// one key of a survivor's noise.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Opening {
    /// Of the self-mask seed of each survivor, in ascending order.
    #[n(0)]
    pub seeds: Vec<OpenedShare>,
    /// Of the secret mask key of each site that dropped out, in ascending order.
    #[n(1)]
    pub keys: Vec<OpenedShare>,
    /// Of the key of the last part of each survivor's noise that goes off the sum, in ascending order of the survivors;
    /// none where no part goes.
    #[n(2)]
    pub noise: Vec<OpenedShare>,
}

/// A share of one of a site's secrets.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OpenedShare {
    /// Whose secret it is.
    #[n(0)]
    pub site: SiteId,
    /// The share.
    #[n(1)]
    pub share: Share,
}

/// What one site's share message holds for another, before its encryption.
#[derive(Clone, Debug, Encode, Decode)]
pub(crate) struct Bundle {
    /// Of the sender's self-mask seed.
    #[n(0)]
    pub(crate) seed: Share,
    /// Of the sender's secret mask key.
    #[n(1)]
    pub(crate) key: Share,
    /// Of the keys of the parts of the sender's noise, in the parts' order.
    #[n(2)]
    pub(crate) noise: Vec<Share>,
}

/// Bytes of what a site encrypts to another in a round with this layout: two shares, one of each key of a part of its
/// noise, and a tag.
#[must_use]
pub fn sealed_shares_length(layout: &Layout) -> usize {
    1 + 2 * BYTES32_LENGTH + noise_length(layout) + TAG_LENGTH
}

/// Bytes of an array with 32 bytes for each part of a site's noise.
fn noise_length(layout: &Layout) -> usize {
    // Parts are fewer than 24, so the array's head is one byte.
    1 + layout.parts() * BYTES32_LENGTH
}

/// The most bytes that a body of `stage` can have in a round with this header: what a host lets out and an
/// aggregator takes in.
#[must_use]
pub fn largest_body(study: &Study, header: &Header, stage: Stage) -> usize {
    let sites = study.manifest().roster.len();
    let layout = study.layout(header.purpose);
    match stage {
        Stage::Advertise => 1 + 2 * BYTES32_LENGTH,
        Stage::Share => {
            let graph = study.graph(header.purpose);
            let holders = graph.map_or(sites, |graph| usize::from(graph.neighbours) + 1);
            let digests = holders * (1 + 2 * BYTES32_LENGTH + noise_length(&layout));
            let sealed = 1 + SITE_LENGTH + HEAD_LENGTH + sealed_shares_length(&layout);
            let sealed = holders.saturating_sub(1) * sealed;
            2 + BYTES32_LENGTH + 2 * HEAD_LENGTH + digests + noise_length(&layout) + sealed
        }
        Stage::Mask => {
            let chunks = Chunking::of(&layout).count();
            1 + 3 * BYTES32_LENGTH + HEAD_LENGTH + chunks * BYTES32_LENGTH
        }
        Stage::Agree => 1 + BYTES32_LENGTH,
        Stage::Unmask => {
            let shares = if layout.parts() > 0 { 2 } else { 1 };
            1 + 3 * HEAD_LENGTH + sites * shares * (1 + SITE_LENGTH + BYTES32_LENGTH)
        }
    }
}

/// Why a message is not one of this round, whoever handed it over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// No member of the study has this number.
    #[error("site {0} is not in the roster")]
    NotInRoster(SiteId),
    /// The lottery chose other sites for the round.
    #[error("site {0} does not take part in this round")]
    NotInRound(SiteId),
    /// The signature is not the site's, or is over another body, round, stage or site.
    #[error(
        "the {stage} message of site {site} is not signed by that site for this round and stage"
    )]
    Signature {
        /// Who is said to have signed.
        site: SiteId,
        /// The stage that the message was given for.
        stage: Stage,
    },
    /// The site signed bytes that are no body of the stage.
    #[error("the {stage} message of site {site}: {error}")]
    Body {
        /// Who signed.
        site: SiteId,
        /// The stage.
        stage: Stage,
        /// What is wrong with the bytes.
        error: DecodeError,
    },
}

const CONTEXT: &[u8] = b"wardround/1 message";
/// Bytes that CBOR takes for 32 bytes: their length, and they.
const BYTES32_LENGTH: usize = 2 + 32;
/// The most bytes that CBOR takes for a site.
const SITE_LENGTH: usize = 3;
/// The most bytes that CBOR takes for the length of an array or of bytes.
const HEAD_LENGTH: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Purpose;

    #[test]
    fn a_signature_is_over_the_bytes_that_are_documented() {
        let header = Header {
            study: Digest([1; 32]),
            number: 2,
            place: 1,
            purpose: Purpose::Train,
            state: Digest([3; 32]),
        };
        // CBOR by hand: an array of a string of 32 bytes, 2, 1, the index of the purpose, and 32 bytes.
        let encoded = [
            &[0x85, 0x58, 32][..],
            &[1; 32],
            &[2, 1, 1, 0x58, 32],
            &[3; 32],
        ]
        .concat();
        assert_eq!(header.digest(), Digest::of(&encoded));

        let bytes = Signed::bytes_to_sign(&header, Stage::Agree, SiteId(0x0102), b"body");
        let (context, rest) = bytes.split_at(19);
        assert_eq!(context, b"wardround/1 message");
        let (round, rest) = rest.split_at(32);
        assert_eq!(round, header.digest().0);
        assert_eq!(rest[..3], [3, 1, 2]);
        assert_eq!(rest[3..], Digest::of(b"body").0);
    }
}
