//! Stage agree: the consistency round, in which sites sign who is in the sum.

use std::collections::BTreeSet;

use super::{AggregatorFault, Held, Party, PeerFault, SiteError, Unmasking};
use crate::api::Stage;
use crate::codec;
use crate::door::Survivors;
use crate::holders::Holders;
use crate::id::SiteId;
use crate::message::{Agreement, MaskedInput, Signed, sites_digest};

/// A site whose masked vector may be in the sum.
#[derive(Debug)]
pub struct Agreeing {
    pub(super) party: Party,
    pub(super) held: Held,
    pub(super) holders: Holders,
    /// The sites that shared their secrets (`U2`), in ascending order.
    pub(super) sharers: Vec<SiteId>,
}

impl Agreeing {
    /// Checks the survivors that the aggregator names; gives the encoded [`Agreement`] to sign, and the next stage.
    ///
    /// # Errors
    ///
    /// Survivors out of order or twice, one that did not share its secrets, this site itself not among them, fewer than
    /// the threshold, too few holders of one of them; one without its signed announcement of a masked input, or that
    /// masked it with others than this site was told of.
    pub fn agree(self, named: &Survivors) -> Result<(Vec<u8>, Unmasking), SiteError> {
        let stage = Stage::Agree;
        let survivors = named.sites.as_slice();
        if !survivors.is_sorted_by(|one, next| one < next) {
            return Err(AggregatorFault::Unordered.into());
        }
        if let Some(site) = survivors
            .iter()
            .copied()
            .find(|site| self.sharers.binary_search(site).is_err())
        {
            return Err(AggregatorFault::Stranger { stage, site }.into());
        }
        if !survivors.contains(&self.party.site) {
            return Err(AggregatorFault::LeftOut.into());
        }
        self.party.enough(stage, survivors.len())?;
        let survivors: BTreeSet<SiteId> = survivors.iter().copied().collect();
        if let Some(site) = self.holders.lonely(&survivors) {
            return Err(AggregatorFault::Lonely(site).into());
        }
        self.check_inputs(named)?;
        let agreement = Agreement::on(&survivors);
        let body = codec::encode(&agreement);
        Ok((
            body,
            Unmasking {
                party: self.party,
                held: self.held,
                survivors,
                agreement,
            },
        ))
    }

    /// Checks that each survivor signed a masked input, and that it was told of the same sites as this one: masks with
    /// all of its neighbours among them are then on its vector.
    fn check_inputs(&self, named: &Survivors) -> Result<(), SiteError> {
        let want = sites_digest(&self.sharers);
        let mut inputs = named.inputs.iter();
        for site in &named.sites {
            let missing = AggregatorFault::NoInput(*site);
            let bytes = inputs.next().ok_or(missing.clone())?;
            let signed: Signed = codec::decode(bytes).map_err(|_| missing.clone())?;
            if signed.site != *site {
                return Err(missing.into());
            }
            let Party { study, header, .. } = &self.party;
            let input: MaskedInput = signed.open(study, header, Stage::Mask)?;
            if input.sharers != want {
                return Err(PeerFault::OtherSharers(*site).into());
            }
        }
        match inputs.next() {
            None => Ok(()),
            Some(_) => Err(AggregatorFault::Unordered.into()),
        }
    }
}
