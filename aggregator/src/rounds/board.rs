//! What everybody may see of a study: made anew at each change, and read without waiting for the rounds.

use std::collections::BTreeMap;

use axum::body::Bytes;
use minicbor::Encode;
use protocol::api::{Progress, RoundRecord, RoundView, Stage, Status};
use protocol::codec;
use protocol::id::{Digest, Header, SiteId};
use protocol::study::Study;

use super::course::{Course, Standing};
use super::error::{RoundsError, SiteFault};
use super::nobody;
use super::open::Open;
use super::withdrawals::Withdrawals;

/// What everybody may see of a study.
#[derive(Debug)]
pub struct Board {
    /// Rises with every change, also over restarts.
    version: u64,
    situation: Situation,
    /// The number after the greatest in use.
    next_number: u32,
    /// The state that the open round starts from, or the last one.
    state: (Digest, Bytes),
    progress: Progress,
}

#[derive(Debug)]
enum Situation {
    Open(Box<Shown>),
    Finished { state: Digest },
    Stopped { reason: String },
}

/// What sites may see of an open round, encoded.
#[derive(Debug)]
struct Shown {
    header: Header,
    stage: Stage,
    waiting: Vec<SiteId>,
    adverts: Option<Bytes>,
    inboxes: BTreeMap<SiteId, Bytes>,
    survivors: Option<Bytes>,
    statements: Option<Bytes>,
}

impl Board {
    pub(super) fn of(
        study: &Study,
        course: &Course,
        open: Option<&Open>,
        records: &[RoundRecord],
        withdrawals: &Withdrawals,
    ) -> Self {
        let state = Bytes::from(codec::encode(&course.state(study)));
        let situation = match (open, course.standing()) {
            (Some(open), _) => Situation::Open(Box::new(Shown::of(open))),
            (None, Standing::Finished { state }) => Situation::Finished { state: *state },
            (None, Standing::Stopped { reason }) => Situation::Stopped {
                reason: reason.clone(),
            },
            (None, Standing::Running) => Situation::Stopped {
                reason: "no round could be opened".to_owned(),
            },
        };
        let model = match situation {
            Situation::Finished { state } => Some(state),
            Situation::Open(_) | Situation::Stopped { .. } => None,
        };
        let progress = Progress {
            study: study.digest(),
            title: study.manifest().title.clone(),
            planned: u32::try_from(study.plan().len()).unwrap_or(u32::MAX),
            stage: open.map(|open| open.round.stage()),
            withdrawn: withdrawals.named(study),
            rounds: records.to_vec(),
            stopped: match &situation {
                Situation::Stopped { reason } => Some(reason.clone()),
                Situation::Open(_) | Situation::Finished { .. } => None,
            },
            warnings: match situation {
                Situation::Finished { .. } => nobody::warnings(study, records),
                Situation::Open(_) | Situation::Stopped { .. } => Vec::new(),
            },
            model,
        };
        Self {
            version: version(course.next_number(), open),
            situation,
            next_number: course.next_number(),
            state: (Digest::of(&state), state),
            progress,
        }
    }

    /// Rises with every change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Where the study is, as a site needs to know it.
    ///
    /// # Errors
    ///
    /// A study that stopped.
    pub fn view(&self) -> Result<RoundView, RoundsError> {
        let status = match &self.situation {
            Situation::Open(shown) => Status::Open {
                header: shown.header.clone(),
                stage: shown.stage,
                waiting: shown.waiting.clone(),
            },
            Situation::Finished { state } => Status::Finished { state: *state },
            Situation::Stopped { reason } => return Err(RoundsError::Stopped(reason.clone())),
        };
        Ok(RoundView {
            version: self.version,
            status,
        })
    }

    /// Every round so far, for people.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The encoded state with this digest, while it is in use.
    #[must_use]
    pub fn state(&self, digest: Digest) -> Option<Bytes> {
        (self.state.0 == digest).then(|| self.state.1.clone())
    }

    /// The encoded adverts of the round with this number.
    ///
    /// # Errors
    ///
    /// A round that is not open, and a stage before share.
    pub fn adverts(&self, number: u32) -> Result<Bytes, RoundsError> {
        let shown = self.shown(number)?;
        shown.part(shown.adverts.as_ref(), "adverts", Stage::Share)
    }

    /// The encoded shares that were sent to `site`.
    ///
    /// # Errors
    ///
    /// A round that is not open, any stage but mask, and a site that did not share its secrets.
    pub fn inbox(&self, number: u32, site: SiteId) -> Result<Bytes, RoundsError> {
        let shown = self.shown(number)?;
        if shown.stage > Stage::Mask {
            let (what, at) = ("shares", Stage::Mask);
            return Err(SiteFault::NoLonger {
                what,
                at,
                now: shown.stage,
            }
            .into());
        }
        if shown.stage == Stage::Mask && !shown.waiting.contains(&site) {
            return Err(SiteFault::Outside(site).into());
        }
        shown.part(shown.inboxes.get(&site), "shares", Stage::Mask)
    }

    /// The encoded list of survivors of the round with this number.
    ///
    /// # Errors
    ///
    /// A round that is not open, and a stage before agree.
    pub fn survivors(&self, number: u32) -> Result<Bytes, RoundsError> {
        let shown = self.shown(number)?;
        shown.part(shown.survivors.as_ref(), "survivors", Stage::Agree)
    }

    /// The encoded statements on the survivors of the round with this number.
    ///
    /// # Errors
    ///
    /// A round that is not open, and a stage before unmask.
    pub fn statements(&self, number: u32) -> Result<Bytes, RoundsError> {
        let shown = self.shown(number)?;
        shown.part(shown.statements.as_ref(), "statements", Stage::Unmask)
    }

    /// Why the round with this number is not open.
    pub(super) fn not_open(&self, number: u32) -> RoundsError {
        match &self.situation {
            Situation::Stopped { reason } => RoundsError::Stopped(reason.clone()),
            Situation::Open(_) | Situation::Finished { .. } if number < self.next_number => {
                SiteFault::RoundOver { number }.into()
            }
            Situation::Open(_) | Situation::Finished { .. } => SiteFault::UnknownRound {
                number,
                last: self.next_number.saturating_sub(1),
            }
            .into(),
        }
    }

    fn shown(&self, number: u32) -> Result<&Shown, RoundsError> {
        match &self.situation {
            Situation::Open(shown) if shown.header.number == number => Ok(shown),
            Situation::Open(_) | Situation::Finished { .. } | Situation::Stopped { .. } => {
                Err(self.not_open(number))
            }
        }
    }
}

impl Shown {
    fn of(open: &Open) -> Self {
        let round = &open.round;
        let waiting = open.awaited();
        let inboxes = waiting
            .iter()
            .filter_map(|site| Some((*site, encoded(&round.inbox(*site)?))))
            .collect();
        Self {
            header: round.header().clone(),
            stage: round.stage(),
            waiting,
            adverts: round.adverts().as_ref().map(encoded),
            inboxes,
            survivors: round.survivors().as_ref().map(encoded),
            statements: round.statements().as_ref().map(encoded),
        }
    }

    fn part(
        &self,
        part: Option<&Bytes>,
        what: &'static str,
        from: Stage,
    ) -> Result<Bytes, RoundsError> {
        part.cloned().ok_or(
            SiteFault::NotYet {
                what,
                from,
                now: self.stage,
            }
            .into(),
        )
    }
}

/// Numbers and stages only rise, so a version that is made of them does as well, and needs no counter to be stored.
fn version(next_number: u32, open: Option<&Open>) -> u64 {
    let Some(open) = open else {
        return version_of(next_number, 0);
    };
    let stage = open.round.stage();
    let behind = Stage::ALL.into_iter().filter(|one| *one < stage).count();
    version_of(open.number(), u64::try_from(behind).unwrap_or(u64::MAX))
}

fn version_of(number: u32, stages_behind: u64) -> u64 {
    // 1 more than all before, so that a site that has seen nothing says 0.
    5 * u64::from(number) + stages_behind + 1
}

fn encoded(value: &impl Encode<()>) -> Bytes {
    codec::encode(value).into()
}
