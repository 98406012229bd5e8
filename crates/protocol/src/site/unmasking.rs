//! Stage unmask: for each site the shares that the sum needs, and no other.

use std::collections::BTreeSet;

use super::{AggregatorFault, Held, Party, PeerFault, SiteError};
use crate::api::Stage;
use crate::codec;
use crate::id::SiteId;
use crate::message::{Agreement, OpenedShare, Opening, Signed};

/// A site that has agreed on the survivors.
#[derive(Debug)]
pub struct Unmasking {
    pub(super) party: Party,
    pub(super) held: Held,
    pub(super) survivors: BTreeSet<SiteId>,
    pub(super) agreement: Agreement,
}

impl Unmasking {
    /// Checks that enough survivors signed exactly the list that this site signed; gives the encoded [`Opening`]:
    /// for each survivor the share of its self-mask seed, for each site that dropped out the share of its secret
    /// mask key, never both; and for each survivor the share of one key of its noise, by which the parts go that the sum
    /// does not need with so many survivors, and no other. The site's part is then over.
    ///
    /// # Errors
    ///
    /// A statement that is not signed by its site for this round, of a site that is no survivor, twice, or on
    /// another list; fewer statements than the threshold.
    pub fn open(self, statements: &[Signed]) -> Result<Vec<u8>, SiteError> {
        self.check(statements)?;
        let mut opening = Opening {
            seeds: Vec::new(),
            keys: Vec::new(),
            noise: Vec::new(),
        };
        let layout = self.party.study.layout(self.party.header.purpose);
        let last_part = layout.parts_off(self.survivors.len());
        for (site, bundle) in &self.held {
            let site = *site;
            if self.survivors.contains(&site) {
                opening.seeds.push(OpenedShare {
                    site,
                    share: bundle.seed.clone(),
                });
                let key = last_part.checked_sub(1).and_then(|at| bundle.noise.get(at));
                opening
                    .noise
                    .extend(key.cloned().map(|share| OpenedShare { site, share }));
            } else {
                opening.keys.push(OpenedShare {
                    site,
                    share: bundle.key.clone(),
                });
            }
        }
        Ok(codec::encode(&opening))
    }

    fn check(&self, statements: &[Signed]) -> Result<(), SiteError> {
        let stage = Stage::Agree;
        let mut signers = BTreeSet::new();
        for signed in statements {
            let site = signed.site;
            let agreement: Agreement = signed.open(&self.party.study, &self.party.header, stage)?;
            if !self.survivors.contains(&site) {
                return Err(AggregatorFault::Stranger { stage, site }.into());
            }
            if !signers.insert(site) {
                return Err(AggregatorFault::Twice { stage, site }.into());
            }
            if agreement != self.agreement {
                return Err(PeerFault::OtherSurvivors(site).into());
            }
        }
        Ok(self.party.enough(Stage::Unmask, signers.len())?)
    }
}
