//! The open round: whose turn it is, and until when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::api::{MissingChunks, Stage};
use protocol::id::{Digest, Header, SiteId};
use protocol::round::{Aggregator, AnyRound, Round};

use super::course::{Charge, LastRound};
use super::error::{Fault, RoundsError};
use super::withdrawals::Withdrawals;

/// How long each stage waits for sites that do not report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageTimes {
    /// Stage advertise, in which sites train first.
    pub advertise: Duration,
    /// Each of the other stages, in which sites answer at once.
    pub others: Duration,
}

impl StageTimes {
    fn of(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Advertise => self.advertise,
            Stage::Share | Stage::Mask | Stage::Agree | Stage::Unmask => self.others,
        }
    }
}

/// A round and the end of its present stage.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) round: AnyRound,
    /// The numbers of the chunks that are on the disk, of each site; at stage mask.
    pub(super) chunks: BTreeMap<SiteId, BTreeSet<u32>>,
    deadline: Instant,
}

/// What is due for the present stage.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Sites may still report.
    Nothing,
    /// All have reported, or enough have and the time is over.
    Close,
    /// The time is over and too few have reported.
    Abandon,
}

impl Open {
    pub(super) fn begin(
        aggregator: Arc<Aggregator>,
        header: Header,
        now: Instant,
        times: StageTimes,
    ) -> Result<Self, Fault> {
        Ok(Self::at(
            AnyRound::Advertising(Round::begin(aggregator, header)?),
            now,
            times,
        ))
    }

    /// The round, whose stage begins now.
    pub(super) fn at(round: AnyRound, now: Instant, times: StageTimes) -> Self {
        let deadline = now + times.of(round.stage());
        Self {
            round,
            chunks: BTreeMap::new(),
            deadline,
        }
    }

    pub(super) fn number(&self) -> u32 {
        self.round.header().number
    }

    /// All sites that take part in the present stage, whether they have reported or not.
    pub(super) fn awaited(&self) -> Vec<SiteId> {
        let sites: BTreeSet<SiteId> = self
            .round
            .reported()
            .into_iter()
            .chain(self.round.missing())
            .collect();
        sites.into_iter().collect()
    }

    /// What is due at `now`.
    ///
    /// Nobody waits for sites that have withdrawn, once there are enough without them.
    ///
    /// Stage advertise waits its full time, which is long since sites train in it, only for the sites that were not `away`
    /// when the rounds before ended. Once they have reported, the others have the time of a quick stage to join in, so that
    /// a site that is away does not hold up every round. A stage advertise in which nobody has reported goes on: there is
    /// nothing to abandon.
    pub(super) fn due(
        &mut self,
        now: Instant,
        away: &BTreeSet<SiteId>,
        withdrawals: &Withdrawals,
        times: StageTimes,
    ) -> Due {
        let mut missing = self.round.missing();
        if missing.is_empty() {
            return Due::Close;
        }
        if self.round.ready() {
            missing.retain(|site| !withdrawals.has(*site));
            if missing.is_empty() {
                return Due::Close;
            }
            if self.round.stage() == Stage::Advertise
                && missing.iter().all(|site| away.contains(site))
            {
                self.deadline = self.deadline.min(now + times.others);
            }
        }
        if now < self.deadline {
            Due::Nothing
        } else if self.round.ready() {
            Due::Close
        } else if self.round.stage() == Stage::Advertise && self.round.reported().is_empty() {
            self.deadline = now + times.advertise;
            Due::Nothing
        } else {
            Due::Abandon
        }
    }

    /// The chunks of a site's masked vector that are still to be sent.
    pub(super) fn missing_chunks(&self, site: SiteId) -> Result<MissingChunks, RoundsError> {
        if self.round.is_complete(site)? {
            return Ok(MissingChunks::default());
        }
        let stored = self.chunks.get(&site);
        let is_stored = |number: &u32| stored.is_some_and(|stored| stored.contains(number));
        let numbers = self.round.chunking().numbers();
        Ok(MissingChunks {
            chunks: numbers.filter(|number| !is_stored(number)).collect(),
        })
    }

    /// Whether sites have charged their ledgers, if the round ends now.
    pub(super) fn charge(&self) -> Charge {
        Charge::at(self.round.stage())
    }

    /// What is to outlive the round, of `participants`; `before` is what outlived the one before.
    pub(super) fn last(&self, participants: &[SiteId], before: &LastRound) -> LastRound {
        let opened = participants
            .iter()
            .filter_map(|site| Some((*site, self.receipt(Stage::Unmask, *site)?)))
            .collect();
        let reported = self.round.reported();
        let had_part = |site: &SiteId| participants.contains(site);
        let still_away = before.away.iter().filter(|site| !had_part(site));
        let away = participants
            .iter()
            .filter(|site| !reported.contains(site))
            .chain(still_away)
            .copied()
            .collect();
        LastRound {
            number: self.number(),
            away,
            opened,
        }
    }

    fn receipt(&self, stage: Stage, site: SiteId) -> Option<Digest> {
        match &self.round {
            AnyRound::Advertising(round) => round.receipt(stage, site),
            AnyRound::Sharing(round) => round.receipt(stage, site),
            AnyRound::Masking(round) => round.receipt(stage, site),
            AnyRound::Agreeing(round) => round.receipt(stage, site),
            AnyRound::Unmasking(round) => round.receipt(stage, site),
        }
    }
}
