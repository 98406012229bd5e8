//! Why a site's part in a round ends, told apart by who is at fault.

use crate::api::Stage;
use crate::id::{Digest, Purpose, SiteId};
use crate::message::MessageError;
use crate::roll::KeyFault;

/// Why a step was refused; the stage is gone, and nothing of it has left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SiteError {
    /// This site's own program is at fault.
    #[error(transparent)]
    Misuse(#[from] Misuse),
    /// The aggregator is at fault: it relayed, chose or altered something it must not.
    #[error("the aggregator is at fault: {0}")]
    Aggregator(#[from] AggregatorFault),
    /// Another site is at fault.
    #[error(transparent)]
    Peer(#[from] PeerFault),
}

/// What this site's own program did wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The round is of another study.
    #[error("the round is of study {round}, not of this one, {study}")]
    OtherStudy {
        /// The study given.
        study: Digest,
        /// The study that the header names.
        round: Digest,
    },
    /// The site is none of the study's.
    #[error("site {site} is not in the roster of {sites} sites")]
    NotInRoster {
        /// The site.
        site: SiteId,
        /// Sites in the roster, numbered from 0.
        sites: usize,
    },
    /// The vector is not the round's.
    #[error("a vector of {got} entries; the round's has {want}")]
    Length {
        /// Entries given.
        got: usize,
        /// Entries of the round's layout.
        want: usize,
    },
    /// An entry could overflow the sum. Its value is not told: it is of patients.
    #[error("entry {entry} of section {section} is beyond {bound} steps either way of 0")]
    OutOfBounds {
        /// The section.
        section: &'static str,
        /// The entry's place in the section, from 0.
        entry: usize,
        /// The section's bound.
        bound: u64,
    },
}

/// What the aggregator did wrong, or somebody between it and this site.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AggregatorFault {
    /// It opened a round that the study's plan does not have.
    #[error("the study's plan has no round with purpose {0}")]
    NotPlanned(Purpose),
    /// It asked a site that the lottery did not choose.
    #[error("the lottery chose other sites than {0} for this round")]
    NotInRound(SiteId),
    /// It relayed a message that is none of this round.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// It named a site twice.
    #[error("site {site} stands twice at stage {stage}")]
    Twice {
        /// The stage.
        stage: Stage,
        /// The site.
        site: SiteId,
    },
    /// It went on with fewer sites than the study's threshold.
    #[error("{got} sites at stage {stage}; the threshold is {threshold}")]
    TooFew {
        /// The stage.
        stage: Stage,
        /// Sites, this one included.
        got: usize,
        /// Sites wanted.
        threshold: usize,
    },
    /// It left this site's own advert out, or replaced it.
    #[error("this site's own advert is missing or changed")]
    OwnAdvert,
    /// It named a site that did not take part in the stage before.
    #[error("site {site} at stage {stage} took no part in the stage before")]
    Stranger {
        /// The stage.
        stage: Stage,
        /// The site.
        site: SiteId,
    },
    /// It named the sites that shared their secrets out of order, twice, or without this one.
    #[error(
        "the sites that shared their secrets are not in ascending order, each once, this site among them"
    )]
    Sharers,
    /// It kept back shares that are this site's to hold.
    #[error("the shares that site {0} has for this site are missing")]
    Withheld(SiteId),
    /// It sent shares of a site that did not pick this one as a holder.
    #[error("site {0} has no shares for this site")]
    NotHolder(SiteId),
    /// It left a site in the sum too few of whose holders are in it.
    #[error("site {0} is to be in a sum without enough of the sites that hold its shares")]
    Lonely(SiteId),
    /// It sent this site shares that are said to be this site's own.
    #[error("the inbox holds shares of this site itself")]
    OwnShares,
    /// It left this site out of the survivors, yet asked it to agree.
    #[error("this site is not among the survivors")]
    LeftOut,
    /// The survivors are not in ascending order.
    #[error("the survivors are not in ascending order, each once")]
    Unordered,
    /// The study's aggregator has no usable key.
    #[error("the aggregator's key in the study is of small order or not in canonical form")]
    WeakKey,
}

/// What another site did wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerFault {
    /// It advertised keys that must not be used.
    #[error(transparent)]
    Keys(#[from] KeyFault),
    /// Its shares are not for this site, or it was shown other adverts, or they were altered on the way.
    #[error(
        "the shares of site {0} cannot be opened: they were altered, or that site was shown other adverts"
    )]
    Unreadable(SiteId),
    /// Its shares are not one of each key of a part of its noise.
    #[error("site {0} did not share one key for each part of its noise")]
    Noise(SiteId),
    /// It signed another list of survivors: it was told another one.
    #[error("site {0} signed another list of survivors")]
    OtherSurvivors(SiteId),
}

impl From<MessageError> for SiteError {
    fn from(error: MessageError) -> Self {
        Self::Aggregator(error.into())
    }
}

impl From<KeyFault> for SiteError {
    fn from(fault: KeyFault) -> Self {
        Self::Peer(fault.into())
    }
}
