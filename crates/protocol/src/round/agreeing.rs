//! Stage agree: survivors sign who is in the sum.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use super::{Accepted, At, Round, SiteFault, TooFewSites, Unmasking};
use crate::api::Stage;
use crate::door::{Messages, Survivors};
use crate::id::SiteId;
use crate::message::{Agreement, Commitments, Signed};
use crate::pack::Total;

/// The state of a round in which survivors sign who is in the sum.
#[derive(Debug, Encode, Decode)]
pub struct Agreeing {
    #[n(0)]
    pub(super) commitments: BTreeMap<SiteId, Commitments>,
    #[n(1)]
    pub(super) total: Total,
    /// Signed by each site that agreed.
    #[n(2)]
    pub(super) statements: BTreeMap<SiteId, Signed>,
    /// The announcement of each survivor.
    #[n(3)]
    pub(super) inputs: BTreeMap<SiteId, Signed>,
}

impl At for Agreeing {
    const STAGE: Stage = Stage::Agree;
}

impl Round<Agreeing> {
    /// All adverts, for a site that starts anew.
    #[must_use]
    pub fn adverts(&self) -> Messages {
        self.encoded_adverts()
    }

    /// The sites whose vectors are in the sum.
    #[must_use]
    pub fn survivors(&self) -> Survivors {
        super::survivors(&self.state.inputs)
    }

    /// Takes an [`Agreement`].
    ///
    /// # Errors
    ///
    /// A message that is none of this round and stage, a second one of the site, of a site that is no survivor, or
    /// on another list.
    pub fn accept(&mut self, signed: Signed) -> Result<Accepted, SiteFault> {
        if self.accepted_before(Stage::Agree, &signed)? {
            return Ok(Accepted::Again);
        }
        let agreement: Agreement = self.body(&signed)?;
        if agreement != Agreement::on(&self.notes.reported(Stage::Mask).collect()) {
            return Err(SiteFault::OtherSurvivors(signed.site));
        }
        let accepted = self.receive(&signed);
        self.state.statements.insert(signed.site, signed);
        Ok(accepted)
    }

    /// Ends the stage. Only the resulting stage can ask sites to open masks.
    ///
    /// # Errors
    ///
    /// Fewer sites than the threshold.
    pub fn close(self) -> Result<Round<Unmasking>, TooFewSites> {
        self.enough()?;
        let Self {
            aggregator,
            notes,
            state,
        } = self;
        let Agreeing {
            commitments,
            total,
            statements,
            inputs,
        } = state;
        let state = Unmasking {
            commitments,
            total,
            statements,
            inputs,
            openings: BTreeMap::new(),
        };
        Ok(Round {
            aggregator,
            notes,
            state,
        })
    }
}
