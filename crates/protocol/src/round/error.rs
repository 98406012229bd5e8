//! What can go wrong in a round, told apart by who is at fault.

use crate::api::Stage;
use crate::hpke::CannotOpen;
use crate::id::SiteId;
use crate::message::MessageError;
use crate::pack::PackError;
use crate::roll::KeyFault;

/// Why a site's message is not accepted: its sender is at fault, and the round is as before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SiteFault {
    /// It is none of this round: not signed by the site it names, or no body of the stage.
    #[error(transparent)]
    Message(MessageError),
    /// The site has sent another message for this stage.
    #[error("site {site} has already sent another message at stage {stage}")]
    Conflict {
        /// The site.
        site: SiteId,
        /// The stage.
        stage: Stage,
    },
    /// The site took no part in the stage before.
    #[error("site {site} is not awaited at stage {stage}: it took no part in the stage before")]
    NotAwaited {
        /// The site.
        site: SiteId,
        /// The stage.
        stage: Stage,
    },
    /// The round is past the message's stage.
    #[error("site {site} is late: stage {stage} is over, the round is at stage {now}")]
    Late {
        /// The site.
        site: SiteId,
        /// The message's stage.
        stage: Stage,
        /// The round's stage.
        now: Stage,
    },
    /// The round is not yet at the message's stage.
    #[error("site {site} is early: the round is at stage {now}, not yet at stage {stage}")]
    Early {
        /// The site.
        site: SiteId,
        /// The message's stage.
        stage: Stage,
        /// The round's stage.
        now: Stage,
    },
    /// It advertised keys that must not be used.
    #[error(transparent)]
    Keys(#[from] KeyFault),
    /// Its shares are not one for each other holder, in ascending order.
    #[error(
        "site {0} sent shares that are not one for each other site that is to hold them, in ascending order"
    )]
    Recipients(SiteId),
    /// It is not bound to one share of each of its secrets for each holder.
    #[error(
        "site {0} did not commit to a share of each of its secrets for each site that is to hold them"
    )]
    Commitments(SiteId),
    /// A share for another site is not of the one length that shares have.
    #[error("site {site} sent {got} bytes of shares to site {to}; shares have {want}")]
    ShareLength {
        /// The site.
        site: SiteId,
        /// The recipient.
        to: SiteId,
        /// Bytes sent.
        got: usize,
        /// Bytes that encrypted shares have.
        want: usize,
    },
    /// Its masked vector is not sealed to this aggregator for this round.
    #[error("site {site}: {error}")]
    Seal {
        /// The site.
        site: SiteId,
        /// What is wrong.
        error: CannotOpen,
    },
    /// Its masked vector is not one of this round.
    #[error("site {site} sent {error}")]
    Vector {
        /// The site.
        site: SiteId,
        /// What is wrong.
        error: PackError,
    },
    /// It signed another list of survivors than the one it was told.
    #[error("site {0} signed a list of survivors that is not this round's")]
    OtherSurvivors(SiteId),
    /// It opened something else than the sum needs: of survivors the seed and one key of their noise, of those that
    /// dropped out the mask key.
    #[error("site {0} opened other shares than the sum needs of each site")]
    Openings(SiteId),
}

/// The stage cannot close: the round is to be abandoned, and nothing of it was revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reported} sites reported at stage {stage}; the study's threshold is {threshold}")]
pub struct TooFewSites {
    /// The stage.
    pub stage: Stage,
    /// Sites that reported.
    pub reported: usize,
    /// Sites that the study wants.
    pub threshold: usize,
}

/// Why no sum is published; the round is to be abandoned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SumError {
    /// Too few sites opened their shares.
    #[error(transparent)]
    TooFewSites(#[from] TooFewSites),
    /// Too few of the opened shares of a secret are those that its site committed to: each of the others is wrong by
    /// the fault of its holder or of the site.
    #[error(
        "{} of the {opened} shares opened for site {site} are not what it committed to; {threshold} right ones are \
         needed",
        .wrong.len()
    )]
    WrongShares {
        /// Whose secret it is.
        site: SiteId,
        /// Holders of the shares that are wrong.
        wrong: Vec<SiteId>,
        /// Shares opened.
        opened: usize,
        /// Shares that are needed.
        threshold: usize,
    },
    /// The shares are those that the site committed to, but do not give the secret that it is bound to: the site
    /// itself is at fault.
    #[error("site {0} shared another secret than the one that it is bound to")]
    WrongSecret(SiteId),
    /// An entry of the sum is beyond what honest sites can add up to: a site's vector was out of range, or not
    /// masked as agreed. Which site's, the sum cannot tell.
    #[error(
        "entry {entry} of section {section} of the sum is beyond what {survivors} sites can add up to"
    )]
    OutOfRange {
        /// The section.
        section: &'static str,
        /// The entry's place in the section, from 0.
        entry: usize,
        /// Sites in the sum.
        survivors: usize,
    },
    /// The stored state does not fit together.
    #[error("the round's stored state is damaged")]
    Damaged,
}
