//! A round at whichever stage it is, for storing it and for taking messages.

use std::sync::Arc;

use minicbor::{Decoder, Encode, Encoder};

use super::{
    Accepted, Advertising, Aggregator, Agreeing, HeaderError, Masking, Notes, Round, Sharing,
    SiteFault, Sum, SumError, Unmasking,
};
use crate::api::Stage;
use crate::chunk::Chunking;
use crate::door::{Inbox, Messages, Survivors};
use crate::id::{Header, SiteId};
use crate::message::Signed;

/// A round at whichever stage it is.
#[derive(Debug)]
pub enum AnyRound {
    /// Sites advertise their keys.
    Advertising(Round<Advertising>),
    /// Sites share their secrets.
    Sharing(Round<Sharing>),
    /// Sites send masked vectors.
    Masking(Round<Masking>),
    /// Survivors sign who is in the sum.
    Agreeing(Round<Agreeing>),
    /// Sites open the sum's masks.
    Unmasking(Round<Unmasking>),
}

/// Calls the same method of whichever round it is.
macro_rules! each {
    ($any:expr, $round:ident => $call:expr) => {
        match $any {
            AnyRound::Advertising($round) => $call,
            AnyRound::Sharing($round) => $call,
            AnyRound::Masking($round) => $call,
            AnyRound::Agreeing($round) => $call,
            AnyRound::Unmasking($round) => $call,
        }
    };
}

impl AnyRound {
    /// What the round is bound to.
    #[must_use]
    pub fn header(&self) -> &Header {
        each!(self, round => round.header())
    }

    /// The stage whose messages are taken now.
    #[must_use]
    pub fn stage(&self) -> Stage {
        each!(self, round => round.stage())
    }

    /// The sites that have reported at this stage, in ascending order.
    #[must_use]
    pub fn reported(&self) -> Vec<SiteId> {
        each!(self, round => round.reported())
    }

    /// The sites that this stage still waits for, in ascending order.
    #[must_use]
    pub fn missing(&self) -> Vec<SiteId> {
        each!(self, round => round.missing())
    }

    /// Whether the stage can be closed.
    #[must_use]
    pub fn ready(&self) -> bool {
        each!(self, round => round.ready())
    }

    /// Takes a message of `stage`. One that was accepted at an earlier stage is [`Accepted::Again`], so that a site
    /// whose answer was lost can ask again.
    ///
    /// # Errors
    ///
    /// A message for a later stage, a new one for an earlier stage, and what the stage itself refuses. The round is
    /// as before.
    pub fn accept(&mut self, stage: Stage, signed: Signed) -> Result<Accepted, SiteFault> {
        let (now, site) = (self.stage(), signed.site);
        if stage > now {
            return Err(SiteFault::Early { site, stage, now });
        }
        if stage < now {
            let before = each!(self, round => round.accepted_before(stage, &signed))?;
            return if before {
                Ok(Accepted::Again)
            } else {
                Err(SiteFault::Late { site, stage, now })
            };
        }
        match self {
            Self::Advertising(round) => round.accept(signed),
            Self::Sharing(round) => round.accept(&signed),
            Self::Masking(round) => round.accept(&signed),
            Self::Agreeing(round) => round.accept(signed),
            Self::Unmasking(round) => round.accept(&signed),
        }
    }

    /// Checks a sealed chunk of a site's masked vector; one that is [`Accepted::New`] is to be stored. Once the site's
    /// vector is in the sum, its chunks are [`Accepted::Again`], also after the stage.
    ///
    /// # Errors
    ///
    /// A chunk before stage mask, one after it of a site that dropped out, and what [`Round::<Masking>::check_chunk`]
    /// refuses.
    pub fn check_chunk(
        &self,
        site: SiteId,
        number: u32,
        sealed: &[u8],
    ) -> Result<Accepted, SiteFault> {
        match self {
            Self::Masking(round) => round.check_chunk(site, number, sealed),
            _ => self.not_at_mask(site),
        }
    }

    /// Adds the masked vector of a site, of which all chunks are there: see [`Round::<Masking>::complete`].
    ///
    /// # Errors
    ///
    /// As [`AnyRound::check_chunk`], and what [`Round::<Masking>::complete`] refuses. The round is as before.
    pub fn complete<E: From<SiteFault>>(
        &mut self,
        site: SiteId,
        chunks: impl IntoIterator<Item = Result<Vec<u8>, E>>,
    ) -> Result<Accepted, E> {
        match self {
            Self::Masking(round) => round.complete(site, chunks),
            _ => Ok(self.not_at_mask(site)?),
        }
    }

    /// Whether the masked vector that a site announced is in the sum.
    ///
    /// # Errors
    ///
    /// Stage mask not yet begun, or over without the site's vector; a site that has announced nothing.
    pub fn is_complete(&self, site: SiteId) -> Result<bool, SiteFault> {
        match self {
            Self::Masking(round) => round.is_complete(site),
            _ => self.not_at_mask(site).map(|_| true),
        }
    }

    /// How vectors of this round are cut into chunks.
    #[must_use]
    pub fn chunking(&self) -> Chunking {
        each!(self, round => round.chunking())
    }

    /// What there is to say of a chunk at another stage than stage mask.
    fn not_at_mask(&self, site: SiteId) -> Result<Accepted, SiteFault> {
        let (now, stage) = (self.stage(), Stage::Mask);
        if each!(self, round => round.receipt(stage, site)).is_some() {
            Ok(Accepted::Again)
        } else if now < stage {
            Err(SiteFault::Early { site, stage, now })
        } else {
            Err(SiteFault::Late { site, stage, now })
        }
    }

    /// Ends the stage: gives the round at the next one or, after the last, the sum.
    ///
    /// # Errors
    ///
    /// Fewer sites than the threshold, and what [`Round::<Unmasking>::close`] refuses. The round is then abandoned.
    pub fn close(self) -> Result<Closed, SumError> {
        Ok(match self {
            Self::Advertising(round) => Closed::Stage(Box::new(Self::Sharing(round.close()?))),
            Self::Sharing(round) => Closed::Stage(Box::new(Self::Masking(round.close()?))),
            Self::Masking(round) => Closed::Stage(Box::new(Self::Agreeing(round.close()?))),
            Self::Agreeing(round) => Closed::Stage(Box::new(Self::Unmasking(round.close()?))),
            Self::Unmasking(round) => Closed::Sum(round.close()?),
        })
    }

    /// All adverts, once stage advertise is closed.
    #[must_use]
    pub fn adverts(&self) -> Option<Messages> {
        match self {
            Self::Advertising(_) => None,
            Self::Sharing(round) => Some(round.adverts()),
            Self::Masking(round) => Some(round.adverts()),
            Self::Agreeing(round) => Some(round.adverts()),
            Self::Unmasking(round) => Some(round.adverts()),
        }
    }

    /// The shares that were sent to `site`, at stage mask.
    #[must_use]
    pub fn inbox(&self, site: SiteId) -> Option<Inbox> {
        match self {
            Self::Masking(round) => Some(round.inbox(site)),
            Self::Advertising(_) | Self::Sharing(_) | Self::Agreeing(_) | Self::Unmasking(_) => {
                None
            }
        }
    }

    /// The sites in the sum, once stage mask is closed.
    #[must_use]
    pub fn survivors(&self) -> Option<Survivors> {
        match self {
            Self::Agreeing(round) => Some(round.survivors()),
            Self::Unmasking(round) => Some(round.survivors()),
            Self::Advertising(_) | Self::Sharing(_) | Self::Masking(_) => None,
        }
    }

    /// The signed statements on the survivors, once stage agree is closed.
    #[must_use]
    pub fn statements(&self) -> Option<Messages> {
        match self {
            Self::Unmasking(round) => Some(round.statements()),
            Self::Advertising(_) | Self::Sharing(_) | Self::Masking(_) | Self::Agreeing(_) => None,
        }
    }

    /// The whole state but for the aggregator itself: it holds masked sums and, at the last stage, opened shares,
    /// so it is not for publishing.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        each!(self, round => record(&round.notes, round.stage(), &round.state))
    }

    /// The round that [`AnyRound::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// Bytes that are no stored round, and a round of another study than the aggregator's.
    pub fn from_bytes(aggregator: Arc<Aggregator>, bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut decoder = Decoder::new(bytes);
        let (notes, stage): (Notes, Stage) = decoder.decode()?;
        aggregator.check(&notes.header)?;
        let length = aggregator.study.layout(notes.header.purpose).length();
        let round = match stage {
            Stage::Advertise => Self::Advertising(Round {
                aggregator,
                notes,
                state: decoder.decode()?,
            }),
            Stage::Share => Self::Sharing(Round {
                aggregator,
                notes,
                state: decoder.decode()?,
            }),
            Stage::Mask => Self::Masking(Round {
                aggregator,
                notes,
                state: decoder.decode()?,
            }),
            Stage::Agree => Self::Agreeing(Round {
                aggregator,
                notes,
                state: decoder.decode()?,
            }),
            Stage::Unmask => Self::Unmasking(Round {
                aggregator,
                notes,
                state: decoder.decode()?,
            }),
        };
        if decoder.position() != bytes.len()
            || round.total_length().is_some_and(|got| got != length)
        {
            return Err(RestoreError::Length);
        }
        Ok(round)
    }

    /// Entries of the sum of masked vectors, where there is one.
    fn total_length(&self) -> Option<usize> {
        match self {
            Self::Advertising(_) | Self::Sharing(_) => None,
            Self::Masking(round) => Some(round.state.total.0.len()),
            Self::Agreeing(round) => Some(round.state.total.0.len()),
            Self::Unmasking(round) => Some(round.state.total.0.len()),
        }
    }
}

/// What the end of a stage gives.
#[derive(Debug)]
pub enum Closed {
    /// The next stage.
    Stage(Box<AnyRound>),
    /// The sum: the round is over.
    Sum(Sum),
}

/// Why bytes are not a stored round of this aggregator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The bytes are no stored round.
    #[error("the stored round cannot be read: {0}")]
    Malformed(String),
    /// The bytes are longer than a stored round, or its sum is of another length than the study's.
    #[error("the stored round is not of this study's length")]
    Length,
    /// The round is of another study.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

impl From<minicbor::decode::Error> for RestoreError {
    fn from(error: minicbor::decode::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Notes and stage in an array of two, then the state.
fn record<S: Encode<()>>(notes: &Notes, stage: Stage, state: &S) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder
        .encode((notes, stage))
        .and_then(|encoder| encoder.encode(state))
        .expect("writing CBOR into memory cannot fail");
    encoder.into_writer()
}
