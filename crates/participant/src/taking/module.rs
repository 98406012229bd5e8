//! The module's instance: opened, worked through in pieces, and brought to where the journal is.

use std::time::Duration;

use protocol::api::Stage;
use protocol::door::{Open, Progress, Request, Response, Work};
use protocol::withdrawal::Cause;

use super::task::{Piece, Task, Then};
use super::{InRound, Next, Paced, Part, Running, Taking};
use crate::egress::Egress;
use crate::notice::Notice;
use crate::reading;
use crate::step::{ModuleFailure, Now, Step};
use crate::stop::Stop;

impl Taking {
    /// Brings the module to where the journal is, and goes on from there.
    pub(super) fn module(&mut self, then: Then, now: Now) -> Next {
        let cohort = self.cohort.digest;
        let round = self.round()?;
        if round.running.is_some() {
            return self.repeat(then, now);
        }
        let number = round.number();
        if round.journal.opened().cohort != cohort {
            let reason =
                "the patients have changed since it was started; the next one uses the new ones";
            return self.sit_out(number, Cause::Failure, reason);
        }
        let open = self.opening()?;
        self.task = Task::Opening(then);
        Ok(Step::Open(Box::new(Request::Open(open))))
    }

    /// What opens the round's instance.
    fn opening(&self) -> Result<Open, Stop> {
        let Part::In(round) = &self.part else {
            return Err(Stop::OutOfOrder("a round that it is not in"));
        };
        let opened = round.journal.opened();
        Ok(Open {
            study: self.site.text.clone().into(),
            cohort: reading::bytes(&self.cohort),
            header: opened.header.clone(),
            state: round.start.state.clone().into(),
            site: opened.site,
            seed: round.start.seed.clone(),
            memory: round.start.memory.to_vec().into(),
            weights: self.site.weights.clone().map(Into::into),
        })
    }

    pub(super) fn opened(&mut self, then: Then, response: &Response, now: Now) -> Next {
        let (study, id) = (self.site.study.clone(), self.site.id);
        let round = self.round()?;
        let egress = Egress::new(study, round.header().clone(), id);
        round.running = Some(Running { egress, made: 0 });
        let piece = Piece {
            patients: FIRST_PIECE,
            asked: now.elapsed,
        };
        self.work(then, piece, response, now)
    }

    pub(super) fn worked(
        &mut self,
        then: Then,
        piece: Piece,
        response: &Response,
        now: Now,
    ) -> Next {
        let took = now.elapsed.saturating_sub(piece.asked);
        // The answer does not depend on how the work is cut, so it may depend on the time.
        let patients = if took < PIECE / 2 {
            piece.patients.saturating_mul(2)
        } else if took > PIECE * 2 {
            (piece.patients / 2).max(1)
        } else {
            piece.patients
        };
        let piece = Piece { patients, ..piece };
        self.work(then, piece, response, now)
    }

    fn work(&mut self, then: Then, piece: Piece, response: &Response, now: Now) -> Next {
        let Response::Progress(progress) = response else {
            return self.fail(Stop::OtherAnswer);
        };
        let Progress { done, total, .. } = *progress;
        self.notices.push(Notice::Work(*progress));
        if done >= total {
            return self.repeat(then, now);
        }
        let patients = piece.patients;
        self.task = Task::Working(
            then,
            Piece {
                patients,
                asked: now.elapsed,
            },
        );
        Ok(Step::Ask(Box::new(Request::Work(Work { patients }))))
    }

    /// Asks again what was asked before a restart; then the module is where the journal is.
    fn repeat(&mut self, then: Then, now: Now) -> Next {
        let round = self.round()?;
        match again(round) {
            Some(request) => {
                self.task = Task::Repeating(then);
                Ok(Step::Ask(Box::new(request)))
            }
            None => self.ready_on_time(then, now),
        }
    }

    /// After a restart in a later stage the module has trained again: how long that took is not shown either.
    fn ready_on_time(&mut self, then: Then, now: Now) -> Next {
        let pace = self.site.pace;
        let round = self.round()?;
        let has_advertised = round.journal.sending(Stage::Advertise).is_some();
        let ready = now.elapsed.saturating_sub(round.seen);
        if !has_advertised || std::mem::replace(&mut round.paced, Paced::Yes) == Paced::Yes {
            return self.ready(then);
        }
        let wait = pace.due(ready).after.saturating_sub(ready);
        if wait.is_zero() {
            return self.ready(then);
        }
        self.task = Task::PacingAgain(then);
        Ok(Step::Wait(wait))
    }

    pub(super) fn repeated(&mut self, then: Then, response: Response, now: Now) -> Next {
        let Response::Send(body) = response else {
            return self.fail(Stop::OtherAnswer);
        };
        let round = self.round()?;
        let InRound {
            journal, running, ..
        } = round;
        let running = running.as_mut().ok_or(Stop::OutOfOrder("no instance"))?;
        let exchange = journal.exchanges().get(running.made);
        let exchange = exchange.ok_or(Stop::OutOfOrder("no such exchange"))?;
        let checked = match running.egress.check(&exchange.request, body.into()) {
            Ok(checked) => checked,
            Err(error) => return self.fail(error.into()),
        };
        let sent = exchange.sending.as_ref().map(crate::journal::Sending::body);
        if sent != Some(checked.digest()) {
            let stage = checked.stage();
            return self.fail(Stop::Differs(stage));
        }
        running.made += 1;
        self.repeat(then, now)
    }

    pub(super) fn ready(&mut self, then: Then) -> Next {
        match then {
            Then::Answer(stage) => self.ask_for(stage),
            Then::Chunk(upload) => self.ask_for_chunk(upload),
        }
    }

    /// The instance is gone.
    pub(super) fn module_failed(&mut self, failure: ModuleFailure) -> Next {
        let Ok(round) = self.round() else {
            return Err(Stop::Module(failure));
        };
        round.running = None;
        let number = round.number();
        let has_advertised = round.journal.sending(Stage::Advertise).is_some();
        match failure {
            // In the middle of a round: another site's or the aggregator's message was not what it must be.
            ModuleFailure::Refused(reason) if has_advertised => {
                self.sit_out(number, Cause::Refusal, &reason)
            }
            failure => self.fail(Stop::Module(failure)),
        }
    }
}

/// The next question of the journal that has an answer there, and that the instance was not asked.
fn again(round: &InRound) -> Option<Request> {
    let made = round.running.as_ref()?.made;
    let exchange = round.journal.exchanges().get(made)?;
    exchange.sending.as_ref()?;
    Some(exchange.request.clone())
}

/// Long beside the cost of a request, short beside a person's patience.
const PIECE: Duration = Duration::from_millis(300);
/// Patients of the first piece.
const FIRST_PIECE: u32 = 16;
