//! What follows where a site cannot go on in a round, or in the study: it says so, with one of three causes.

use protocol::withdrawal::{Cause, Withdrawal};

use super::task::{After, Task};
use super::{Next, Part, Taking};
use crate::notice::Notice;
use crate::outgoing::Outgoing;
use crate::step::{Event, Failure, Now, Step};
use crate::stop::Stop;

impl Taking {
    /// Ends the site's part in the study; the aggregator is told where it waits for this site.
    pub(super) fn fail(&mut self, stop: Stop) -> Next {
        match (self.open, stop.cause()) {
            (Some(round), Some(cause)) => {
                Ok(self.withdraw(round, cause, After::Stop(Box::new(stop))))
            }
            _ => Err(stop),
        }
    }

    /// Lets a round go on without this site, and tells the aggregator.
    pub(super) fn sit_out(&mut self, round: u32, cause: Cause, reason: &str) -> Next {
        self.part = Part::Out(round);
        self.notices.push(Notice::SatOut {
            round,
            reason: reason.to_owned(),
        });
        Ok(self.withdraw(round, cause, After::SitOut))
    }

    /// The aggregator refuses what this site needs for the round, which goes on without it.
    pub(super) fn goes_on_without(&mut self, task: &Task, reason: String, now: Now) -> Next {
        match (task, self.open) {
            // It can withhold what this site announced; then the site has its own records alone.
            (Task::Announced(..), _) => {
                self.notices.push(Notice::Unannounced(reason));
                Ok(self.poll(now))
            }
            (Task::Polling { .. } | Task::Model(_) | Task::Sending(_), _) | (_, None) => {
                Err(Stop::Refused(reason))
            }
            (_, Some(round)) => {
                self.part = Part::Out(round);
                self.notices.push(Notice::SatOut { round, reason });
                Ok(self.poll(now))
            }
        }
    }

    fn withdraw(&mut self, round: u32, cause: Cause, after: After) -> Step {
        let (study, site) = (self.site.study.digest(), self.site.id);
        self.task = Task::Withdrawing(round, cause, after);
        Step::Sign(Withdrawal::bytes_to_sign(study, round, site, cause))
    }

    pub(super) fn withdrawal_signed(
        &mut self,
        round: u32,
        cause: Cause,
        after: After,
        event: Event,
        now: Now,
    ) -> Next {
        let signature = match event {
            Event::Signed(signature) => signature,
            Event::Failed(failure) => {
                return self.told(round, cause, after, Some(reason(failure)), now);
            }
            _ => return Err(Stop::OutOfOrder("something else than a signature")),
        };
        let withdrawal = Withdrawal {
            round,
            site: self.site.id,
            cause,
            signature,
        };
        self.task = Task::Withdrawn(round, cause, after);
        // Once, and without trying again: whether it arrives changes nothing here.
        Ok(Step::Send(Outgoing::withdrawal(&withdrawal)))
    }

    pub(super) fn withdrawn(
        &mut self,
        round: u32,
        cause: Cause,
        after: After,
        event: Event,
        now: Now,
    ) -> Next {
        match event {
            Event::Sent => self.told(round, cause, after, None, now),
            Event::Failed(failure) => self.told(round, cause, after, Some(reason(failure)), now),
            _ => Err(Stop::OutOfOrder("something else than that it was sent")),
        }
    }

    fn told(
        &mut self,
        round: u32,
        cause: Cause,
        after: After,
        failure: Option<String>,
        now: Now,
    ) -> Next {
        self.notices.push(Notice::Withdrawn {
            round,
            cause,
            failure,
        });
        match after {
            After::SitOut => Ok(self.poll(now)),
            After::Stop(stop) => Err(*stop),
        }
    }
}

fn reason(failure: Failure) -> String {
    match failure {
        Failure::Unreachable(reason)
        | Failure::TooLate(reason)
        | Failure::Conflict(reason)
        | Failure::Refused(reason)
        | Failure::Site(reason) => reason,
        Failure::Module(failure) => failure.reason().to_owned(),
    }
}
