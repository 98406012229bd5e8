//! The aggregator's part in a round: the stages of [`crate::site`], seen from the other end.
//!
//! ```text
//! Round<Advertising> ─close─▶ Round<Sharing> ─close─▶ Round<Masking> ─close─▶ Round<Agreeing> ─close─▶ Round<Unmasking>
//!        ▲ accept                  ▲ accept               ▲ accept               ▲ accept               │ ▲ accept
//!        └ Signed                  └ Signed               └ Signed, chunks       └ Signed         Sum ◀─┘ └ Signed
//! ```
//!
//! Each stage takes messages in any order, the same one any number of times, and closes once at least the study's
//! threshold of sites has reported. A stage that cannot close is an abandoned round: nothing of it can be opened.
//! A masked vector is added when all of its chunks are there, which the caller stores until then: memory is one
//! accumulator and the vector in hand, whatever the number of sites. Every state can be stored and restored exactly ([`AnyRound::to_bytes`]).
//!
//! The types stop what the aggregator must not do by mistake; that it *cannot* do it, the sites see to.
//!
//! ```compile_fail,E0599
//! # use protocol::round::{Masking, Round};
//! fn sum_without_agreement(round: Round<Masking>) {
//!     let unmasking = round.close().unwrap();
//!     unmasking.statements();
//! }
//! ```

mod advertising;
mod agreeing;
mod any;
mod error;
mod masking;
mod recovery;
mod sharing;
mod unmasking;

pub use advertising::Advertising;
pub use agreeing::Agreeing;
pub use any::{AnyRound, Closed, RestoreError};
pub use error::{SiteFault, SumError, TooFewSites};
pub use masking::Masking;
pub use sharing::Sharing;
pub use unmasking::{Sum, Suspect, Unmasking};

pub use crate::agreement::Secret;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use minicbor::{Decode, Encode};

use crate::api::Stage;
use crate::chunk::Chunking;
use crate::codec;
use crate::door::{Messages, Survivors};
use crate::holders::Holders;
use crate::id::{Digest, Header, Purpose, SiteId};
use crate::message::{MessageError, Signed};
use crate::roll::Roll;
use crate::study::Study;

/// What the aggregator brings to all rounds of a study.
#[derive(Debug)]
pub struct Aggregator {
    study: Study,
    secret: Secret,
}

impl Aggregator {
    /// The aggregator of `study`, with the secret of the key that the study names.
    ///
    /// # Errors
    ///
    /// The secret of another key.
    pub fn new(study: Study, secret: Secret) -> Result<Self, WrongSecret> {
        if secret.public() == study.manifest().aggregation.key {
            Ok(Self { study, secret })
        } else {
            Err(WrongSecret)
        }
    }

    /// The study.
    #[must_use]
    pub fn study(&self) -> &Study {
        &self.study
    }

    fn check(&self, header: &Header) -> Result<(), HeaderError> {
        let study = self.study.digest();
        if header.study != study {
            return Err(HeaderError::OtherStudy {
                study,
                round: header.study,
            });
        }
        if self.study.plan().contains(&header.purpose) {
            Ok(())
        } else {
            Err(HeaderError::NotPlanned(header.purpose))
        }
    }
}

/// The secret is not that of the key that the study names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the aggregator's secret is not that of aggregation.key in the study")]
pub struct WrongSecret;

/// Why a round with this header is none of the aggregator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The header names another study.
    #[error("the round is of study {round}, not of this one, {study}")]
    OtherStudy {
        /// The aggregator's study.
        study: Digest,
        /// The study that the header names.
        round: Digest,
    },
    /// No round of the study has this purpose.
    #[error("the study's plan has no round with purpose {0}")]
    NotPlanned(Purpose),
}

/// A state of a round, which belongs to one stage.
pub trait At {
    /// The stage whose messages it takes.
    const STAGE: Stage;
}

/// A round in the state `S`: [`Advertising`], [`Sharing`], [`Masking`], [`Agreeing`] or [`Unmasking`].
#[derive(Debug)]
pub struct Round<S> {
    aggregator: Arc<Aggregator>,
    notes: Notes,
    state: S,
}

/// Whether a message was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It counts from now on: the state has changed and is to be stored.
    New,
    /// It was accepted before: nothing has changed.
    Again,
}

/// What is kept of a round through all stages.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Notes {
    #[n(0)]
    header: Header,
    /// Digests of the bodies accepted at each stage.
    #[n(1)]
    receipts: BTreeMap<(Stage, SiteId), Digest>,
    /// The accepted adverts: every other message depends on them.
    #[n(2)]
    adverts: BTreeMap<SiteId, Signed>,
    #[n(3)]
    roll: Roll,
    /// Drawn once, when stage advertise is over.
    #[cbor(skip)]
    holders: OnceLock<Box<Holders>>,
}

impl Notes {
    /// The sites whose message of `stage` was accepted, in ascending order.
    fn reported(&self, stage: Stage) -> impl Iterator<Item = SiteId> {
        let sites = (stage, SiteId(0))..=(stage, SiteId(u16::MAX));
        self.receipts.range(sites).map(|((_, site), _)| *site)
    }

    fn has_reported(&self, stage: Stage, site: SiteId) -> bool {
        self.receipts.contains_key(&(stage, site))
    }
}

impl<S> Round<S> {
    /// What the round is bound to.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.notes.header
    }

    /// How vectors of this round are cut into chunks.
    #[must_use]
    pub fn chunking(&self) -> Chunking {
        Chunking::of(&self.study().layout(self.header().purpose))
    }

    /// The digest of the body that was accepted from a site at a stage, if one was; at stage mask, once all chunks that
    /// it announces were added.
    #[must_use]
    pub fn receipt(&self, stage: Stage, site: SiteId) -> Option<Digest> {
        self.notes.receipts.get(&(stage, site)).copied()
    }

    fn study(&self) -> &Study {
        &self.aggregator.study
    }

    /// Who holds whose shares, once stage advertise is closed.
    fn holders(&self) -> &Holders {
        let Notes {
            header,
            roll,
            holders,
            ..
        } = &self.notes;
        holders.get_or_init(|| Box::new(Holders::draw(self.study(), header, roll.adverts())))
    }

    /// The adverts, for the sites; all of them once stage advertise is closed.
    fn encoded_adverts(&self) -> Messages {
        messages(self.notes.adverts.values())
    }

    /// Whether this very message of `stage` was accepted before.
    fn accepted_before(&self, stage: Stage, signed: &Signed) -> Result<bool, SiteFault> {
        self.is_the_same(self.receipt(stage, signed.site), stage, signed)
    }

    /// Whether the message has the body that is known of its site at `stage`, if one is.
    fn is_the_same(
        &self,
        known: Option<Digest>,
        stage: Stage,
        signed: &Signed,
    ) -> Result<bool, SiteFault> {
        let site = signed.site;
        match known {
            None => Ok(false),
            Some(body) if body == Digest::of(&signed.body) => Ok(true),
            Some(_) => {
                // Only what the site itself signed is its second word.
                signed.verify(self.study(), self.header(), stage)?;
                Err(SiteFault::Conflict { site, stage })
            }
        }
    }

    fn next<T>(self, state: T) -> Round<T> {
        Round {
            aggregator: self.aggregator,
            notes: self.notes,
            state,
        }
    }
}

impl<S: At> Round<S> {
    /// The stage whose messages are taken now.
    #[must_use]
    pub fn stage(&self) -> Stage {
        S::STAGE
    }

    /// The sites that have reported at this stage, in ascending order.
    #[must_use]
    pub fn reported(&self) -> Vec<SiteId> {
        self.notes.reported(S::STAGE).collect()
    }

    /// The sites that this stage still waits for: those that took part in the one before, in ascending order.
    #[must_use]
    pub fn missing(&self) -> Vec<SiteId> {
        let mut sites = self.awaited();
        sites.retain(|site| !self.notes.has_reported(S::STAGE, *site));
        sites
    }

    /// Whether the stage can be closed; it need not be, as long as sites are missing.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.enough().is_ok()
    }

    /// Whether enough sites have reported to close the stage.
    fn enough(&self) -> Result<(), TooFewSites> {
        let (reported, threshold) = (
            self.notes.reported(S::STAGE).count(),
            self.study().threshold(self.header().purpose),
        );
        if reported >= threshold {
            Ok(())
        } else {
            Err(TooFewSites {
                stage: S::STAGE,
                reported,
                threshold,
            })
        }
    }

    /// The sites that take part in this stage: those that took part in the one before, in ascending order.
    fn awaited(&self) -> Vec<SiteId> {
        match S::STAGE.before() {
            Some(before) => self.notes.reported(before).collect(),
            None => self.study().participants(self.header()),
        }
    }

    fn is_awaited(&self, site: SiteId) -> bool {
        match S::STAGE.before() {
            Some(before) => self.notes.has_reported(before, site),
            None => self.study().takes_part(site, self.header()),
        }
    }

    /// The body of a new message of this stage from a site that is awaited.
    fn body<T>(&self, signed: &Signed) -> Result<T, SiteFault>
    where
        T: Encode<()> + for<'b> Decode<'b, ()>,
    {
        let body = signed.open(self.study(), self.header(), S::STAGE)?;
        if self.is_awaited(signed.site) {
            Ok(body)
        } else {
            Err(SiteFault::NotAwaited {
                site: signed.site,
                stage: S::STAGE,
            })
        }
    }

    /// Notes that the message counts.
    fn receive(&mut self, signed: &Signed) -> Accepted {
        self.note(signed.site, Digest::of(&signed.body))
    }

    /// Notes that the site's message of this stage, with this body, counts.
    fn note(&mut self, site: SiteId, body: Digest) -> Accepted {
        self.notes.receipts.insert((S::STAGE, site), body);
        Accepted::New
    }
}

impl From<MessageError> for SiteFault {
    fn from(error: MessageError) -> Self {
        Self::Message(error)
    }
}

/// The sites in the sum, with what they signed.
fn survivors(inputs: &BTreeMap<SiteId, Signed>) -> Survivors {
    Survivors {
        sites: inputs.keys().copied().collect(),
        inputs: messages(inputs.values()).messages,
    }
}

fn messages<'a>(signed: impl Iterator<Item = &'a Signed>) -> Messages {
    Messages {
        messages: signed.map(|signed| codec::encode(signed).into()).collect(),
    }
}
