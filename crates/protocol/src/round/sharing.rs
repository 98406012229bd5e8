//! Stage share: encrypted shares are sorted into the inboxes of their recipients.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use super::{Accepted, At, Masking, Round, SiteFault, TooFewSites};
use crate::api::Stage;
use crate::door::{Messages, Sealed};
use crate::id::SiteId;
use crate::message::{Commitments, Shares, Signed, sealed_shares_length};
use crate::pack::Total;

/// The state of a round in which sites share their secrets.
#[derive(Debug, Encode, Decode)]
pub struct Sharing {
    /// What each site is bound to.
    #[n(0)]
    pub(super) commitments: BTreeMap<SiteId, Commitments>,
    /// By recipient, then by sender.
    #[n(1)]
    pub(super) inboxes: BTreeMap<SiteId, Vec<Sealed>>,
}

impl At for Sharing {
    const STAGE: Stage = Stage::Share;
}

impl Round<Sharing> {
    /// All adverts, for each site that advertised.
    #[must_use]
    pub fn adverts(&self) -> Messages {
        self.encoded_adverts()
    }

    /// Takes [`Shares`].
    ///
    /// # Errors
    ///
    /// A message that is none of this round and stage, a second one of the site, of a site that did not advertise,
    /// or shares that are not one of the right length for each other holder.
    pub fn accept(&mut self, signed: &Signed) -> Result<Accepted, SiteFault> {
        if self.accepted_before(Stage::Share, signed)? {
            return Ok(Accepted::Again);
        }
        let shares: Shares = self.body(signed)?;
        self.check(signed.site, &shares)?;
        for Sealed { site, bytes } in shares.sealed {
            let inbox = self.state.inboxes.entry(site).or_default();
            inbox.push(Sealed {
                site: signed.site,
                bytes,
            });
        }
        self.state
            .commitments
            .insert(signed.site, shares.commitments);
        Ok(self.receive(signed))
    }

    /// Ends the stage: sites that have not shared take no further part in the round.
    ///
    /// # Errors
    ///
    /// Fewer sites than the threshold.
    pub fn close(self) -> Result<Round<Masking>, TooFewSites> {
        self.enough()?;
        let length = self.study().layout(self.header().purpose).length();
        let Self {
            aggregator,
            notes,
            state,
        } = self;
        let Sharing {
            commitments,
            inboxes,
        } = state;
        let state = Masking {
            commitments,
            inboxes,
            total: Total::zero(length),
        };
        Ok(Round {
            aggregator,
            notes,
            state,
        })
    }

    fn check(&self, from: SiteId, shares: &Shares) -> Result<(), SiteFault> {
        let recipients = shares.sealed.iter().map(|sealed| sealed.site);
        let holders = self.holders().of(from);
        if !recipients.eq(holders.iter().copied().filter(|site| *site != from)) {
            return Err(SiteFault::Recipients(from));
        }
        let layout = self.study().layout(self.header().purpose);
        let parts = layout.parts();
        let Commitments {
            shares: digests,
            noise,
            ..
        } = &shares.commitments;
        let fits = digests.len() == holders.len()
            && noise.len() == parts
            && digests.iter().all(|digests| digests.noise.len() == parts);
        if !fits {
            return Err(SiteFault::Commitments(from));
        }
        let want = sealed_shares_length(&layout);
        match shares
            .sealed
            .iter()
            .find(|sealed| sealed.bytes.len() != want)
        {
            None => Ok(()),
            Some(sealed) => {
                let (to, got) = (sealed.site, sealed.bytes.len());
                Err(SiteFault::ShareLength {
                    site: from,
                    to,
                    got,
                    want,
                })
            }
        }
    }
}
