//! From the start of the program to the first look at the study: ledger, register, patients.

use privacy::Budget;
use protocol::study::Study;

use crate::ledger::{Ledger, LedgerError};
use crate::plan::Plan;
use crate::reading::{Cohort, Next, Reading};
use crate::register::{self, Line};
use crate::step::{Event, Failure, Step};
use crate::stop::Stop;
use crate::writes::{Key, Tickets, Write};

/// Ledger, register and patients, as far as they are there.
#[derive(Debug)]
pub(crate) struct Starting {
    budget: Option<Budget>,
    reading: Reading,
    task: Task,
}

#[derive(Debug)]
enum Task {
    Begin,
    Ledger,
    Register(Ledger, Vec<Write>),
    Repairing(Kept, u64),
    Reading(Kept),
    Over,
}

/// What the site's records say.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) ledger: Ledger,
    pub(crate) plan: Plan,
}

/// What comes next.
pub(crate) enum Progress {
    Step(Step),
    Ready(Box<Kept>, Box<Cohort>),
}

impl Starting {
    pub(crate) fn new(budget: Option<Budget>, reading: Reading) -> Self {
        Self {
            budget,
            reading,
            task: Task::Begin,
        }
    }

    pub(crate) fn step(
        &mut self,
        study: &Study,
        event: Event,
        tickets: &mut Tickets,
    ) -> Result<Progress, Stop> {
        match (std::mem::replace(&mut self.task, Task::Over), event) {
            (Task::Begin, Event::Started) => {
                self.task = Task::Ledger;
                Ok(Progress::Step(Step::Load(Key::Ledger)))
            }
            (Task::Ledger, Event::Loaded(bytes)) => self.ledger(bytes),
            (Task::Register(ledger, repairs), Event::Loaded(bytes)) => {
                self.register(study, ledger, repairs, bytes.unwrap_or_default(), tickets)
            }
            (Task::Repairing(kept, ticket), Event::Stored(receipt)) if receipt.is_of(ticket) => {
                self.read(kept)
            }
            (Task::Reading(kept), event) => match self.reading.next(event)? {
                Next::Step(step) => {
                    self.task = Task::Reading(kept);
                    Ok(Progress::Step(step))
                }
                Next::Done(cohort) => Ok(Progress::Ready(Box::new(kept), cohort)),
            },
            (_, Event::Failed(Failure::Site(reason))) => Err(Stop::Site(reason)),
            _ => Err(Stop::OutOfOrder("out of order while the site starts")),
        }
    }

    fn ledger(&mut self, bytes: Option<Vec<u8>>) -> Result<Progress, Stop> {
        let mut bytes = bytes.ok_or(LedgerError::Missing)?;
        let (ledger, whole) = Ledger::decode(&bytes, self.budget)?;
        let repairs = cut(Key::Ledger, &mut bytes, whole);
        self.task = Task::Register(ledger, repairs);
        Ok(Progress::Step(Step::Load(Key::Register)))
    }

    fn register(
        &mut self,
        study: &Study,
        ledger: Ledger,
        mut repairs: Vec<Write>,
        mut bytes: Vec<u8>,
        tickets: &mut Tickets,
    ) -> Result<Progress, Stop> {
        let (lines, whole): (Vec<Line>, usize) = register::decode(&bytes)?;
        repairs.extend(cut(Key::Register, &mut bytes, whole));
        let plan = Plan::new(study, &lines, &ledger)?;
        let kept = Kept { ledger, plan };
        if repairs.is_empty() {
            return self.read(kept);
        }
        let writes = tickets.writes(repairs);
        self.task = Task::Repairing(kept, writes.ticket());
        Ok(Progress::Step(Step::Store(writes)))
    }

    fn read(&mut self, kept: Kept) -> Result<Progress, Stop> {
        self.task = Task::Reading(kept);
        Ok(Progress::Step(self.reading.begin()?))
    }
}

/// What takes the line away that a crash cut short, where it did: nothing may be added behind it.
fn cut(key: Key, bytes: &mut Vec<u8>, whole: usize) -> Vec<Write> {
    if whole == bytes.len() {
        return Vec::new();
    }
    bytes.truncate(whole);
    vec![Write::Put(key, std::mem::take(bytes))]
}
