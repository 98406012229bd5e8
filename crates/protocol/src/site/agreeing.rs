//! Stage agree: the consistency round, in which sites sign who is in the sum.

use std::collections::BTreeSet;

use super::{AggregatorFault, Held, Party, SiteError, Unmasking};
use crate::api::Stage;
use crate::codec;
use crate::holders::Holders;
use crate::id::SiteId;
use crate::message::Agreement;

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
    /// the threshold, too few holders of one of them.
    pub fn agree(self, survivors: &[SiteId]) -> Result<(Vec<u8>, Unmasking), SiteError> {
        let stage = Stage::Agree;
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
}
