//! Stage mask: masked vectors are opened and added as they come.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use super::{Accepted, Agreeing, At, Round, SiteFault, TooFewSites};
use crate::api::Stage;
use crate::door::{Inbox, Messages, Sealed};
use crate::hpke;
use crate::id::SiteId;
use crate::message::{Commitments, MaskedInput, Signed};
use crate::pack::{Packed, Total};
use crate::site::{SEAL_INFO, sealed_to_aggregator};

/// The state of a round in which sites send their masked vectors.
#[derive(Debug, Encode, Decode)]
pub struct Masking {
    #[n(0)]
    pub(super) commitments: BTreeMap<SiteId, Commitments>,
    #[n(1)]
    pub(super) inboxes: BTreeMap<SiteId, Vec<Sealed>>,
    /// The sum of the masked vectors so far.
    #[n(2)]
    pub(super) total: Total,
}

impl At for Masking {
    const STAGE: Stage = Stage::Mask;
}

impl Round<Masking> {
    /// All adverts, for a site that starts anew.
    #[must_use]
    pub fn adverts(&self) -> Messages {
        self.encoded_adverts()
    }

    /// The shares that were sent to `site`, none for a site that took no part in the stage before; and who took part.
    #[must_use]
    pub fn inbox(&self, site: SiteId) -> Inbox {
        let sharers = self.awaited();
        let shares = self
            .state
            .inboxes
            .get(&site)
            .filter(|_| sharers.contains(&site));
        Inbox {
            shares: shares.cloned().unwrap_or_default(),
            sharers: sharers.into_iter().collect(),
        }
    }

    /// Takes a [`MaskedInput`] and adds its vector to the sum of masked vectors.
    ///
    /// # Errors
    ///
    /// A message that is none of this round and stage, a second one of the site, of a site that did not share its
    /// secrets, that cannot be opened, or that is no vector of this round. Nothing is added then.
    pub fn accept(&mut self, signed: &Signed) -> Result<Accepted, SiteFault> {
        if self.accepted_before(Stage::Mask, signed)? {
            return Ok(Accepted::Again);
        }
        let MaskedInput {
            encapsulated,
            ciphertext,
        } = self.body(signed)?;
        let site = signed.site;
        let sealed = hpke::Sealed {
            encapsulated,
            ciphertext: ciphertext.into(),
        };
        let associated = sealed_to_aggregator(self.header(), site);
        let text = hpke::open(&self.aggregator.secret, SEAL_INFO, &associated, sealed)
            .map_err(|error| SiteFault::Seal { site, error })?;
        let layout = self.study().layout(self.header().purpose);
        let packed = Packed::parse(&text, layout.length(), layout.modulus_bits)
            .map_err(|error| SiteFault::Vector { site, error })?;
        packed.add_to(&mut self.state.total.0);
        Ok(self.receive(signed))
    }

    /// Ends the stage: the sites whose vectors are in the sum are the survivors.
    ///
    /// # Errors
    ///
    /// Fewer sites than the threshold.
    pub fn close(self) -> Result<Round<Agreeing>, TooFewSites> {
        self.enough()?;
        let Self {
            aggregator,
            notes,
            state,
        } = self;
        let Masking {
            commitments,
            inboxes: _,
            total,
        } = state;
        let state = Agreeing {
            commitments,
            total,
            statements: BTreeMap::new(),
        };
        Ok(Round {
            aggregator,
            notes,
            state,
        })
    }
}
