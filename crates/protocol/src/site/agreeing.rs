//! Stage agree: the consistency round, in which sites sign who is in the sum.

use super::{AggregatorFault, Held, Party, SiteError, Unmasking};
use crate::api::Stage;
use crate::codec;
use crate::id::SiteId;
use crate::message::Agreement;

/// A site whose masked vector may be in the sum.
#[derive(Debug)]
pub struct Agreeing {
    pub(super) party: Party,
    pub(super) held: Held,
}

impl Agreeing {
    /// Checks the survivors that the aggregator names; gives the encoded [`Agreement`] to sign, and the next stage.
    ///
    /// # Errors
    ///
    /// Survivors out of order or twice, one whose shares this site does not hold, this site itself not among them,
    /// fewer than the threshold.
    pub fn agree(self, survivors: &[SiteId]) -> Result<(Vec<u8>, Unmasking), SiteError> {
        let stage = Stage::Agree;
        if !survivors.is_sorted_by(|one, next| one < next) {
            return Err(AggregatorFault::Unordered.into());
        }
        if let Some(site) = survivors
            .iter()
            .copied()
            .find(|site| !self.held.contains_key(site))
        {
            return Err(AggregatorFault::Stranger { stage, site }.into());
        }
        if !survivors.contains(&self.party.site) {
            return Err(AggregatorFault::LeftOut.into());
        }
        self.party.enough(stage, survivors.len())?;
        let agreement = Agreement {
            survivors: survivors.to_vec(),
        };
        let body = codec::encode(&agreement);
        Ok((
            body,
            Unmasking {
                party: self.party,
                held: self.held,
                agreement,
            },
        ))
    }
}
