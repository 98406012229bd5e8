//! The rounds of a study: one open at a time, each stage stored before it is answered.
//!
//! ```text
//! site's message ──accept──▶ in memory ──commit──▶ on disk ──▶ answer          chunks: see [`Rounds::put_chunk`]
//!                                                     │ all awaited sites have reported, or the time is over
//!                                                     ▼
//!                     stage closes ──commit──▶ next stage … sum ──▶ course moves on ──commit──▶ next round
//! ```
//!
//! Time is an argument: [`Rounds::tick`] is told what time it is and closes what is due. What becomes of a round that is
//! abandoned is decided in [`Course::abandon_round`].
//!
//! After a fault of ours (a full disk, say) memory may be ahead of the disk. Then nothing in memory is trusted: the next
//! call restores everything from the store first.

mod announcements;
mod board;
mod chunks;
mod clusters;
mod course;
mod error;
mod nobody;
mod open;
mod patients;
#[cfg(test)]
mod states;
mod step;
mod sum;
mod withdrawals;

pub use board::Board;
pub use course::{Charge, Course, Figures, LastRound, Standing};
pub use error::{Fault, RoundsError, SiteFault};
pub use open::StageTimes;
pub use patients::PatientCount;
pub use sum::RealSum;

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use minicbor::bytes::ByteVec;
use protocol::api::{Announcement, Count, RoundRecord, Stage, Withdrawn};
use protocol::codec;
use protocol::id::{Digest, Header, SiteId};
use protocol::message::Signed;
use protocol::round::{Accepted, Aggregator, AnyRound, Closed, Sum};
use protocol::study::Study;
use protocol::withdrawal::Withdrawal;
use tokio::sync::watch;

use self::open::{Due, Open};
use self::withdrawals::Withdrawals;
use crate::store::{Commit, Journal};

/// The rounds of one study.
#[derive(Debug)]
pub struct Rounds {
    aggregator: Arc<Aggregator>,
    journal: Journal,
    times: StageTimes,
    memory: Memory,
    board: watch::Sender<Arc<Board>>,
}

/// What is in memory.
#[derive(Debug)]
enum Memory {
    /// The same as what is stored.
    Current(Box<Position>),
    /// Perhaps not what is stored.
    InDoubt,
}

/// Where a study is.
#[derive(Debug)]
struct Position {
    course: Course,
    records: Vec<RoundRecord>,
    /// None once the study is finished or stopped.
    open: Option<Open>,
    withdrawals: Withdrawals,
}

impl Rounds {
    /// The rounds as they are in the journal, or the first one where it is empty.
    ///
    /// # Errors
    ///
    /// A journal that cannot be read or written.
    pub fn start(
        aggregator: Arc<Aggregator>,
        journal: Journal,
        times: StageTimes,
        now: Instant,
    ) -> Result<Self, Fault> {
        let course = Course::begin(aggregator.study());
        let (board, _) = watch::channel(Arc::new(Board::of(
            aggregator.study(),
            &course,
            None,
            &[],
            &Withdrawals::default(),
        )));
        let mut rounds = Self {
            aggregator,
            journal,
            times,
            memory: Memory::InDoubt,
            board,
        };
        let position = rounds.restore(now)?;
        rounds.memory = Memory::Current(Box::new(position));
        rounds.tick(now)?;
        Ok(rounds)
    }

    /// What everybody may see, now and at each change.
    #[must_use]
    pub fn board(&self) -> watch::Receiver<Arc<Board>> {
        self.board.subscribe()
    }

    /// Takes a site's encoded [`Signed`] for a stage of a round. It is stored when this returns.
    ///
    /// # Errors
    ///
    /// A message that is no such one, that is late or early, or that the round refuses; a store that fails. Nothing has
    /// changed then.
    pub fn accept(
        &mut self,
        number: u32,
        stage: Stage,
        bytes: &[u8],
        now: Instant,
    ) -> Result<Accepted, RoundsError> {
        let mut position = self.take(now)?;
        let accepted = self.accept_in_memory(&mut position, number, stage, bytes);
        if let Ok((Accepted::New, site)) = accepted {
            let mut commit = self.journal.begin()?;
            commit.message(stage, site, bytes)?;
            if let (Stage::Mask, Some(open)) = (stage, &position.open) {
                let header = open.round.header().clone();
                let message = bytes.to_vec().into();
                commit.announcement(site, &Announcement { header, message })?;
            }
            let is_back = position.withdrawals.take_back(site);
            if is_back {
                commit.withdrawals(&position.withdrawals)?;
            }
            commit.finish()?;
            if is_back {
                tracing::info!(round.id = number, site = site.0, "site is back");
                self.publish(&position);
            }
            tracing::info!(round.id = number, %stage, site = site.0, size_bytes = bytes.len(), "message accepted");
            self.settle(&mut position, now)?;
        }
        self.memory = Memory::Current(position);
        accepted.map(|(accepted, _)| accepted)
    }

    /// Takes a site's encoded [`Withdrawal`] from the open round: who awaits it is told why it does not come, and no stage
    /// waits for it any longer. It is stored when this returns.
    ///
    /// # Errors
    ///
    /// A withdrawal that is none, that is not the site's, or of a round that is not open; a store that fails. Nothing has
    /// changed then.
    pub fn withdraw(&mut self, bytes: &[u8], now: Instant) -> Result<(), RoundsError> {
        let mut position = self.take(now)?;
        let withdrawn = self.withdraw_in_memory(&mut position, bytes);
        if let Ok(Accepted::New) = withdrawn {
            let mut commit = self.journal.begin()?;
            commit.withdrawals(&position.withdrawals)?;
            commit.finish()?;
            self.publish(&position);
            self.settle(&mut position, now)?;
        }
        self.memory = Memory::Current(position);
        withdrawn.map(drop)
    }

    /// Closes or abandons what is due at `now`.
    ///
    /// # Errors
    ///
    /// A store that fails: what is due stays due.
    pub fn tick(&mut self, now: Instant) -> Result<(), Fault> {
        let mut position = self.take(now)?;
        self.settle(&mut position, now)?;
        self.memory = Memory::Current(position);
        Ok(())
    }

    fn study(&self) -> &Study {
        self.aggregator.study()
    }

    /// The position, out of memory: whoever fails before it is put back leaves it in doubt.
    fn take(&mut self, now: Instant) -> Result<Box<Position>, Fault> {
        match mem::replace(&mut self.memory, Memory::InDoubt) {
            Memory::Current(position) => Ok(position),
            Memory::InDoubt => {
                self.journal.reopen()?;
                self.restore(now).map(Box::new)
            }
        }
    }

    fn restore(&self, now: Instant) -> Result<Position, Fault> {
        let Some(course) = self.journal.course::<Course>()? else {
            let course = Course::begin(self.study());
            let mut position = Position {
                course,
                records: Vec::new(),
                open: None,
                withdrawals: Withdrawals::default(),
            };
            self.open_next(&mut position, self.journal.begin()?, now)?;
            return Ok(position);
        };
        let records = self.journal.records()?;
        let mut open = None;
        if let Some(stored) = self.journal.stage::<ByteVec>()? {
            let mut round = AnyRound::from_bytes(Arc::clone(&self.aggregator), &stored)?;
            let (number, stage) = (round.header().number, round.stage());
            for bytes in self.journal.messages(stage)? {
                let again = |reason: String| Fault::Replay { number, reason };
                let signed = codec::decode(&bytes).map_err(|error| again(error.to_string()))?;
                round
                    .accept(stage, signed)
                    .map_err(|error| again(error.to_string()))?;
            }
            let mut restored = Open::at(round, now, self.times);
            self.restore_chunks(&mut restored)?;
            tracing::info!(round.id = number, %stage, "round restored from the store");
            open = Some(restored);
        }
        let position = Position {
            course,
            records,
            open,
            withdrawals: self.journal.withdrawals()?.unwrap_or_default(),
        };
        self.publish(&position);
        Ok(position)
    }

    fn accept_in_memory(
        &self,
        position: &mut Position,
        number: u32,
        stage: Stage,
        bytes: &[u8],
    ) -> Result<(Accepted, SiteId), RoundsError> {
        let open = position
            .open
            .as_mut()
            .filter(|open| open.number() == number);
        let is_last = position.course.last().number == number && stage == Stage::Unmask;
        if open.is_none() && !is_last {
            return Err(self.board.borrow().not_open(number));
        }
        let signed: Signed = codec::decode(bytes).map_err(SiteFault::Malformed)?;
        let site = signed.site;
        let Some(open) = open else {
            let opened = position.course.last().opened.get(&site);
            // The sum is open because of this very message; the answer that said so was lost.
            return if opened == Some(&Digest::of(&signed.body)) {
                Ok((Accepted::Again, site))
            } else {
                Err(self.board.borrow().not_open(number))
            };
        };
        Ok((
            open.round
                .accept(stage, signed)
                .map_err(SiteFault::Refused)?,
            site,
        ))
    }

    fn withdraw_in_memory(
        &self,
        position: &mut Position,
        bytes: &[u8],
    ) -> Result<Accepted, RoundsError> {
        let withdrawal: Withdrawal = codec::decode(bytes).map_err(SiteFault::Malformed)?;
        let Withdrawal {
            round, site, cause, ..
        } = withdrawal;
        let member = self.study().member(site);
        if !member.is_some_and(|member| withdrawal.is_by(&member.key, self.study().digest())) {
            return Err(SiteFault::Withdrawal(site).into());
        }
        if position.open.as_ref().map(Open::number) != Some(round) {
            return Err(self.board.borrow().not_open(round));
        }
        if !position.withdrawals.note(site, round, cause) {
            return Ok(Accepted::Again);
        }
        tracing::warn!(round.id = round, site = site.0, %cause, "site withdrew");
        Ok(Accepted::New)
    }

    /// Closes and abandons until nothing is due.
    fn settle(&self, position: &mut Position, now: Instant) -> Result<(), Fault> {
        while let Some(mut open) = position.open.take() {
            let away = &position.course.last().away;
            match open.due(now, away, &position.withdrawals, self.times) {
                Due::Nothing => {
                    position.open = Some(open);
                    return Ok(());
                }
                Due::Close => self.close_stage(position, open, now)?,
                Due::Abandon => {
                    let (stage, reported) = (open.round.stage(), open.round.reported().len());
                    let threshold = self.study().threshold(open.round.header().purpose);
                    let mut reason = format!(
                        "{reported} sites reported at stage {stage} in time; the study's threshold is {threshold}"
                    );
                    for Withdrawn { site, cause, .. } in position.withdrawals.named(self.study()) {
                        reason.push_str(&format!("; {site} withdrew: {cause}"));
                    }
                    self.abandon(
                        position,
                        &Ending::of(&open, self.study(), &position.course),
                        reason,
                        now,
                    )?;
                }
            }
        }
        Ok(())
    }

    fn close_stage(&self, position: &mut Position, open: Open, now: Instant) -> Result<(), Fault> {
        let ending = Ending::of(&open, self.study(), &position.course);
        match open.round.close() {
            Ok(Closed::Stage(round)) => {
                let mut commit = self.journal.begin()?;
                commit.stage(&ByteVec::from(round.to_bytes()))?;
                commit.finish()?;
                tracing::info!(round.id = ending.header.number, stage = %round.stage(), "stage begins");
                position.open = Some(Open::at(*round, now, self.times));
                self.publish(position);
                Ok(())
            }
            Ok(Closed::Sum(sum)) => self.finish(position, &ending, &sum, now),
            Err(error) => self.abandon(position, &ending, error.to_string(), now),
        }
    }

    fn finish(
        &self,
        position: &mut Position,
        ending: &Ending,
        sum: &Sum,
        now: Instant,
    ) -> Result<(), Fault> {
        let study = self.study();
        for suspect in &sum.suspects {
            let (holder, dealer) = (suspect.holder.0, suspect.dealer.0);
            tracing::warn!(
                round.id = ending.header.number,
                holder,
                dealer,
                "a wrong share was opened"
            );
        }
        let real = RealSum::new(
            study,
            ending.header.purpose,
            sum.survivors.len(),
            &sum.values,
        )?;
        let figures = position.course.finish_round(study, &real)?;
        let names = sum.survivors.iter().filter_map(|site| study.member(*site));
        let record = RoundRecord {
            survivors: names.map(|member| member.name.clone()).collect(),
            patients: figures.patients,
            update_norm: figures.update_norm,
            metrics: figures.metrics,
            ..ending.record()
        };
        tracing::info!(
            round.id = record.number,
            purpose = %record.purpose,
            survivors = record.survivors.len(),
            "round finished"
        );
        tell(&record);
        self.end(position, ending, record, now)
    }

    fn abandon(
        &self,
        position: &mut Position,
        ending: &Ending,
        reason: String,
        now: Instant,
    ) -> Result<(), Fault> {
        tracing::warn!(round.id = ending.header.number, reason, "round abandoned");
        position
            .course
            .abandon_round(self.study(), ending.header.purpose, ending.charge, &reason);
        self.end(
            position,
            ending,
            RoundRecord {
                abandoned: Some(reason),
                ..ending.record()
            },
            now,
        )
    }

    /// Stores the end of a round together with the start of the next, so that no number is ever used twice.
    fn end(
        &self,
        position: &mut Position,
        ending: &Ending,
        record: RoundRecord,
        now: Instant,
    ) -> Result<(), Fault> {
        position.course.keep(ending.last.clone());
        let mut commit = self.journal.begin()?;
        commit.forget_round()?.record(&record)?;
        position.records.push(record);
        self.open_next(position, commit, now)
    }

    fn open_next(
        &self,
        position: &mut Position,
        mut commit: Commit,
        now: Instant,
    ) -> Result<(), Fault> {
        let study = self.study();
        let state = Digest::of(&codec::encode(&position.course.state(study)));
        position.open = match (position.course.standing(), position.course.purpose(study)) {
            (Standing::Running, Some(purpose)) => {
                let number = position.course.take_number();
                let header = Header {
                    study: study.digest(),
                    number,
                    place: position.course.place(),
                    purpose,
                    state,
                };
                let open = Open::begin(Arc::clone(&self.aggregator), header, now, self.times)?;
                commit.stage(&ByteVec::from(open.round.to_bytes()))?;
                tracing::info!(round.id = number, %purpose, "round opened");
                Some(open)
            }
            (Standing::Running, None) => {
                position.course.publish(study, state, &position.records);
                if let Standing::Stopped { reason } = position.course.standing() {
                    tracing::error!(reason, "study stopped");
                } else {
                    tracing::info!(model = %state, "study finished");
                }
                for warning in nobody::warnings(study, &position.records) {
                    tracing::warn!(warning, "study finished with a doubt");
                }
                None
            }
            (Standing::Finished { .. }, _) => None,
            (Standing::Stopped { reason }, _) => {
                tracing::error!(reason, "study stopped");
                None
            }
        };
        commit.course(&position.course)?;
        commit.finish()?;
        self.publish(position);
        Ok(())
    }

    fn publish(&self, position: &Position) {
        let Position {
            course,
            records,
            open,
            withdrawals,
        } = position;
        let board = Board::of(self.study(), course, open.as_ref(), records, withdrawals);
        self.board.send_replace(Arc::new(board));
    }
}

/// What a round showed, with its noise.
fn tell(record: &RoundRecord) {
    let number = record.number;
    if let Some(Count { value, deviation }) = record.patients {
        tracing::info!(
            round.id = number,
            labels = value,
            deviation,
            "training patients"
        );
    }
    let Some(metrics) = &record.metrics else {
        return;
    };
    let Count { value, deviation } = metrics.patients;
    tracing::info!(
        round.id = number,
        labels = value,
        deviation,
        "patients evaluated"
    );
    for (name, figure) in [
        ("accuracy", &metrics.accuracy),
        ("macro AUC", &metrics.macro_auc),
        ("macro F1", &metrics.macro_f1),
        ("calibration error", &metrics.calibration_error),
    ] {
        match figure {
            Some(figure) => tracing::info!(round.id = number, name, %figure, "figure"),
            None => tracing::info!(round.id = number, name, "no figure: nobody was counted"),
        }
    }
}

/// What is known of a round when it ends.
struct Ending {
    header: Header,
    charge: Charge,
    last: LastRound,
}

impl Ending {
    fn of(open: &Open, study: &Study, course: &Course) -> Self {
        let participants = study.participants(open.round.header());
        Self {
            header: open.round.header().clone(),
            charge: open.charge(),
            last: open.last(&participants, course.last()),
        }
    }

    /// The record of the round without its outcome.
    fn record(&self) -> RoundRecord {
        RoundRecord {
            number: self.header.number,
            purpose: self.header.purpose,
            survivors: Vec::new(),
            abandoned: None,
            patients: None,
            update_norm: None,
            metrics: None,
        }
    }
}
