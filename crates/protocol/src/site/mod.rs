//! A site's part in a round: Bonawitz et al. 2017, figure 4, with signatures and the consistency round; in rounds of
//! many sites on the graph of Bell et al. 2020 ([`crate::holders`]).
//!
//! ```text
//! Advertising::begin ─▶ Sharing ─share─▶ Masking ─mask─▶ Agreeing ─agree─▶ Unmasking ─open─▶ (nothing)
//!        │ Advert          │ Shares         │ MaskedInput    │ Agreement      │ Opening
//!                                            │ Upload: chunk 0, 1, …
//! ```
//!
//! Each step takes the stage before it by value and gives the body that the host signs and sends. **A step that
//! refuses consumes its stage too**: the site's part in this round is over, and nothing more can be asked of it.
//! A stage cannot be skipped or repeated:
//!
//! ```compile_fail,E0599
//! # use protocol::site::Sharing;
//! fn unmask_without_agreeing(sharing: Sharing) {
//!     sharing.open(&[]);
//! }
//! ```
//!
//! ```compile_fail,E0382
//! # use protocol::{id::SiteId, site::Agreeing};
//! fn agree_twice(agreeing: Agreeing, one: &[SiteId], other: &[SiteId]) {
//!     let first = agreeing.agree(one);
//!     let second = agreeing.agree(other);
//! }
//! ```
//!
//! All is derived from the session's seed: the same inputs give the same bytes. **A host must never run two
//! sessions with one seed and different inputs**: what types forbid within a session, two sessions could do. It
//! stores what it signed before it sends it, and signs one body a stage.
//!
//! What is safe against whom: with threshold `t` of `n` sites, an aggregator that lies and colludes with at most
//! `2t − n − 1` sites, and any `t − 1` sites that only look, learn nothing but the sum over one set of at least `t`
//! survivors (Bonawitz et al. 2017, theorem 6.5).

mod advertising;
mod agreeing;
mod error;
mod masking;
mod sharing;
mod unmasking;

pub use advertising::Advertising;
pub use agreeing::Agreeing;
pub use error::{AggregatorFault, Misuse, PeerFault, SiteError};
pub use masking::{Masking, Upload};
pub use sharing::Sharing;
pub use unmasking::Unmasking;

use std::collections::BTreeMap;

use crate::api::Stage;
use crate::id::{Header, SiteId};
use crate::message::Bundle;
use crate::study::Study;

/// Who takes part in what: the same in all stages.
#[derive(Debug)]
struct Party {
    study: Study,
    header: Header,
    site: SiteId,
}

impl Party {
    /// Refuses a set of sites that is too small to hide one of them.
    fn enough(&self, stage: Stage, got: usize) -> Result<(), AggregatorFault> {
        enough(stage, got, self.study.threshold(self.header.purpose))
    }
}

fn enough(stage: Stage, got: usize, threshold: usize) -> Result<(), AggregatorFault> {
    if got >= threshold {
        Ok(())
    } else {
        Err(AggregatorFault::TooFew {
            stage,
            got,
            threshold,
        })
    }
}

/// The shares that a site holds: of each site that shared its secrets and picked this one, itself included.
type Held = BTreeMap<SiteId, Bundle>;

/// The associated data of a site's seal to the aggregator (RFC 9180): `header digest ‖ site`, the site in two bytes, most significant first.
pub(crate) fn sealed_to_aggregator(header: &Header, site: SiteId) -> Vec<u8> {
    [header.digest().0.as_slice(), &site.0.to_be_bytes()].concat()
}

/// The `info` of the seal to the aggregator (RFC 9180).
pub(crate) const SEAL_INFO: &[u8] = b"wardround/1 masked input";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::door::{Inbox, Sealed};
    use crate::id::{Digest, InputsDigest, Purpose};
    use crate::message::{Shares, Signed};
    use crate::seed::Seed;

    /// Bob shares his secrets as if no part of his noise were to go.
    #[test]
    fn a_site_that_does_not_share_the_keys_of_its_noise_is_named() {
        let draft = testkit::Draft {
            sites: 3,
            threshold: 2,
            epsilon: 1.0,
            fraction_bits: 16,
            patients_per_site: 100,
            ..testkit::Draft::default()
        };
        let kit = draft.make();
        let study = Study::parse(kit.toml.as_bytes()).unwrap();
        let kept = testkit::Draft {
            excess_noise: "kept",
            ..draft
        };
        let header = Header {
            study: study.digest(),
            number: 1,
            place: 0,
            purpose: Purpose::Train,
            state: Digest([3; 32]),
        };
        let (alice, bob) = (SiteId(0), SiteId(1));
        let begin = |site: SiteId, seed| {
            let seed = Seed::new([seed; 32]);
            let (body, stage) = Advertising::begin(&study, header.clone(), site, &seed).unwrap();
            let bytes = Signed::bytes_to_sign(&header, Stage::Advertise, site, &body);
            let signed = Signed {
                site,
                body: body.into(),
                signature: kit.identities[usize::from(site.0)].sign(&bytes),
            };
            (signed, stage)
        };
        let ((one, alices), (other, mut bobs)) = (begin(alice, 1), begin(bob, 2));
        let adverts = [one, other];
        bobs.party.study = Study::parse(kept.toml().as_bytes()).unwrap();

        let (_, masking) = alices.share(&adverts).unwrap();
        // The header is still of the study that all have approved, so Alice can open what Bob sends.
        let (body, _) = bobs.share(&adverts).unwrap();
        let shares: Shares = codec::decode(&body).unwrap();
        let bytes = shares.sealed[0].bytes.clone();
        let inbox = Inbox {
            shares: vec![Sealed { site: bob, bytes }],
            sharers: vec![alice, bob],
        };
        let vector = vec![0; study.layout(Purpose::Train).length()];
        let error = masking
            .mask(&inbox, &vector, &InputsDigest::of(std::iter::empty()))
            .unwrap_err();
        assert_eq!(error, PeerFault::Noise(bob).into());
    }
}
