//! Why a site does not go on.

use protocol::api::Stage;
use protocol::withdrawal::Cause;

use crate::egress::EgressError;
use crate::ledger::LedgerError;
use crate::step::ModuleFailure;
use crate::{plan, reading, reconcile, register};

/// Why a site does not go on in the study. What was sent, and what it cost, is stored.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Stop {
    /// A release is not covered, or the ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The register cannot be used.
    #[error(transparent)]
    Register(#[from] register::Damaged),
    /// The register is not the one that stood beside the ledger.
    #[error(transparent)]
    Lost(#[from] plan::Lost),
    /// The ledger comes from a backup.
    #[error(
        "the aggregator holds masked inputs that this site signed and its ledger does not have (rounds {0:?}): the state folder comes \
         from a backup; run `host ledger reconcile`, which charges them"
    )]
    LedgerBehind(Vec<u32>),
    /// What the aggregator shows of this site's past is not its own.
    #[error(transparent)]
    NotOurs(#[from] reconcile::NotOurs),
    /// The study does not explain what the aggregator asks.
    #[error(transparent)]
    Plan(#[from] plan::Refusal),
    /// The state is none of this study's.
    #[error(
        "the aggregator's state does not fit this study: {0}; ask its operator which state this is, and take no part before you know"
    )]
    State(String),
    /// A round number was used twice.
    #[error(
        "the aggregator opened round {0} a second time with other contents: two sums under one number would show a single hospital; \
         ask its operator why"
    )]
    OtherHeader(u32),
    /// The module gave something that must not leave.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// The module gave another answer than before the restart.
    #[error(
        "the module's message of stage {0} is not the one that was made before the restart: nothing was sent"
    )]
    Differs(Stage),
    /// The module failed where only this site is at fault.
    #[error("{}", .0.reason())]
    Module(ModuleFailure),
    /// The module answered something else than it was asked.
    #[error(
        "the module answered something else than it was asked: it is not the module that this program is made for"
    )]
    OtherAnswer,
    /// The aggregator asked for a chunk that was not announced.
    #[error(
        "this site has announced no chunk {0} in this round: the aggregator asks for what is not there"
    )]
    NoChunk(u32),
    /// A charged round's journal is not there.
    #[error(
        "round {0} is charged in the ledger, and its journal is not there or is damaged: what this site sent cannot be sent again, \
         and is not computed again. Restore the study's folder `rounds` from a backup, or wait until the aggregator has gone on \
         to the next round and start again"
    )]
    NoJournal(u32),
    /// The aggregator holds another message.
    #[error(
        "{0}: is a second program running with this site's key, or was the state folder restored from a backup?"
    )]
    Conflict(String),
    /// The aggregator refused a call.
    #[error("{0}")]
    Refused(String),
    /// The aggregator could not be reached for as long as the site is patient.
    #[error("{0}")]
    Unreachable(String),
    /// The aggregator's answer is none.
    #[error(
        "the aggregator's answer cannot be read ({0}): look whether `aggregator` in host.toml names it, and whether a proxy answers \
         in its place"
    )]
    Answer(String),
    /// The patients cannot be prepared.
    #[error(transparent)]
    Reading(#[from] reading::ReadingError),
    /// The site's own disk, key or randomness failed.
    #[error("{0}")]
    Site(String),
    /// Whoever runs the participant gave it an event that belongs to no step.
    #[error("the program that runs this site answered {0}: report this")]
    OutOfOrder(&'static str),
}

impl Stop {
    /// Why this site does not go on, as far as the aggregator is concerned; `None` where it did not answer, knows
    /// already, or is another one.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Ledger(LedgerError::StudySpent { .. } | LedgerError::PatientsSpent(_)) => {
                Some(Cause::Budget)
            }
            Self::Plan(plan::Refusal::OtherStudy { .. }) => None,
            Self::Answer(_)
            | Self::NoChunk(_)
            | Self::Plan(_)
            | Self::State(_)
            | Self::OtherHeader(_) => Some(Cause::Refusal),
            Self::Ledger(_)
            | Self::Register(_)
            | Self::Lost(_)
            | Self::Egress(_)
            | Self::Differs(_)
            | Self::Module(_)
            | Self::OtherAnswer
            | Self::NoJournal(_)
            | Self::Site(_) => Some(Cause::Failure),
            Self::Conflict(_)
            | Self::Refused(_)
            | Self::Unreachable(_)
            | Self::LedgerBehind(_)
            | Self::NotOurs(_)
            | Self::Reading(_)
            | Self::OutOfOrder(_) => None,
        }
    }
}

impl ModuleFailure {
    /// What happened, for a person.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Refused(reason) | Self::Broken(reason) => reason,
        }
    }
}
