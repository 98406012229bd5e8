//! Why the rounds do not go on as asked, told apart by who is at fault.

use learning::metrics::MetricsError;
use protocol::api::Stage;
use protocol::codec::DecodeError;
use protocol::id::SiteId;
use protocol::round::{HeaderError, RestoreError};

use crate::store::StoreError;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoundsError {
    /// The site that asks is at fault, or is late.
    #[error(transparent)]
    Site(#[from] SiteFault),
    /// The study stopped before its end; nothing more is taken.
    #[error("the study stopped: {0}")]
    Stopped(String),
    /// We are at fault.
    #[error(transparent)]
    Internal(#[from] Fault),
}

impl From<StoreError> for RoundsError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<protocol::round::SiteFault> for RoundsError {
    fn from(fault: protocol::round::SiteFault) -> Self {
        Self::Site(fault.into())
    }
}

/// What a site did wrong or too late. The round is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SiteFault {
    /// The round was not opened yet.
    #[error("round {number} was not opened; the last one is {last}")]
    UnknownRound {
        /// The round asked for.
        number: u32,
        /// The greatest number in use.
        last: u32,
    },
    /// The round is finished or abandoned.
    #[error("round {number} is over")]
    RoundOver {
        /// The round asked for.
        number: u32,
    },
    /// What was asked for is not there before a later stage.
    #[error("{what} are there from stage {from} on; the round is at stage {now}")]
    NotYet {
        /// What was asked for.
        what: &'static str,
        /// The stage from which on it is there.
        from: Stage,
        /// The round's stage.
        now: Stage,
    },
    /// What was asked for is no longer needed.
    #[error("{what} were there at stage {at}; the round is at stage {now}")]
    NoLonger {
        /// What was asked for.
        what: &'static str,
        /// The stage at which it was there.
        at: Stage,
        /// The round's stage.
        now: Stage,
    },
    /// The site takes no part in the round any more.
    #[error("site {0} takes no part in this stage")]
    Outside(SiteId),
    /// A withdrawal that is not the site's.
    #[error(
        "the withdrawal of site {0} is not signed with the key that the study's roster has for it"
    )]
    Withdrawal(SiteId),
    /// The bytes are no signed message.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// The round refuses the message.
    #[error(transparent)]
    Refused(#[from] protocol::round::SiteFault),
}

/// What we did wrong, or our machine did. No site can act on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored message is not taken a second time: the store was altered, or the program.
    #[error("a stored message of round {number} is not taken again: {reason}")]
    Replay {
        /// The round.
        number: u32,
        /// Why.
        reason: String,
    },
    /// The stored round cannot be read back.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The round is not one of the aggregator's study.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The sum is not one of the round's layout.
    #[error("the sum has {got} entries, the layout {want}")]
    SumLength {
        /// Entries of the sum.
        got: usize,
        /// Entries of the layout.
        want: usize,
    },
    /// The counts of an evaluation are not those of the study's classes.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A thread panicked while it held the rounds.
    #[error("the rounds are in doubt after a panic; restart the service")]
    Poisoned,
    /// A thread that did the work is gone.
    #[error("a worker failed: {0}")]
    Worker(#[from] tokio::task::JoinError),
}
