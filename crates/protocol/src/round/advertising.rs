//! Stage advertise: the roll is called.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use minicbor::{Decode, Encode};

use super::{Accepted, Aggregator, At, HeaderError, Notes, Round, Sharing, SiteFault, TooFewSites};
use crate::api::Stage;
use crate::id::Header;
use crate::message::Signed;
use crate::roll::Roll;

/// The state of a round in which sites advertise their keys; what they sent is kept with the round.
#[derive(Debug, Encode, Decode)]
pub struct Advertising {}

impl At for Advertising {
    const STAGE: Stage = Stage::Advertise;
}

impl Round<Advertising> {
    /// Opens a round.
    ///
    /// # Errors
    ///
    /// A header of another study, and a purpose that its plan does not have.
    pub fn begin(aggregator: Arc<Aggregator>, header: Header) -> Result<Self, HeaderError> {
        aggregator.check(&header)?;
        let (receipts, adverts) = (BTreeMap::new(), BTreeMap::new());
        let notes = Notes {
            header,
            receipts,
            adverts,
            roll: Roll::default(),
            holders: OnceLock::new(),
        };
        Ok(Self {
            aggregator,
            notes,
            state: Advertising {},
        })
    }

    /// Takes an [`crate::message::Advert`].
    ///
    /// # Errors
    ///
    /// A message that is none of this round and stage, a second one of the site, weak or reused keys.
    pub fn accept(&mut self, signed: Signed) -> Result<Accepted, SiteFault> {
        if self.accepted_before(Stage::Advertise, &signed)? {
            return Ok(Accepted::Again);
        }
        let advert = self.body(&signed)?;
        self.notes.roll.add(signed.site, advert)?;
        let accepted = self.receive(&signed);
        self.notes.adverts.insert(signed.site, signed);
        Ok(accepted)
    }

    /// Ends the stage: sites that have not advertised take no part in the round.
    ///
    /// # Errors
    ///
    /// Fewer sites than the threshold.
    pub fn close(self) -> Result<Round<Sharing>, TooFewSites> {
        self.enough()?;
        let state = Sharing {
            commitments: BTreeMap::new(),
            inboxes: BTreeMap::new(),
        };
        Ok(self.next(state))
    }
}
