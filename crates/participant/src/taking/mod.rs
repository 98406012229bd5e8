//! Taking part: from the first look at the study to its published model.
//!
//! ```text
//! poll ─▶ enter: same round · resume from its journal · admit, check, begin ─▶ answer: module ▸ egress ▸ sign ▸ store
//!   ▲                                                                                        │
//!   └──────────────── withdraw where it cannot go on ◀── send: what is stored and charged ◀──┘
//! ```

mod answering;
mod entering;
mod module;
mod polling;
mod sending;
mod task;
mod withdrawing;

use std::fmt;
use std::time::Duration;

use protocol::api::Stage;
use protocol::id::{Digest, Header, SiteId};
use protocol::seed::Seed;
use zeroize::Zeroizing;

use self::task::Task;
use crate::egress::Egress;
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::notice::Notice;
use crate::outgoing::Outgoing;
use crate::participant::Site;
use crate::patience::Waits;
use crate::plan::Plan;
use crate::reading::Cohort;
use crate::starting::Kept;
use crate::step::{Event, Failure, Fetch, Now, Step};
use crate::stop::Stop;
use crate::writes::Tickets;

/// A site that takes part.
#[derive(Debug)]
pub(crate) struct Taking {
    site: Site,
    cohort: Cohort,
    ledger: Ledger,
    plan: Plan,
    part: Part,
    task: Task,
    /// The call that is being made, until it got through.
    call: Option<Call>,
    line: Line,
    waits: Waits,
    /// Counts calls that did not get through, so that waits differ.
    failures: u32,
    /// Overruns of the pace.
    overruns: u32,
    /// Rounds that came to nothing, as far as people were told.
    lost_rounds: usize,
    /// The version of the study's view that is known.
    seen: Option<u64>,
    /// The number of the round that is open.
    open: Option<u32>,
    /// When it was seen first.
    seen_at: Duration,
    pub(crate) notices: Vec<Notice>,
}

/// This site's part in the open round.
#[derive(Debug)]
enum Part {
    /// None yet.
    Idle,
    /// It takes part.
    In(Box<InRound>),
    /// It sits this round out.
    Out(u32),
}

/// A round that this site takes part in.
#[derive(Debug)]
struct InRound {
    journal: Journal,
    start: Start,
    /// When this program first had its state.
    seen: Duration,
    paced: Paced,
    running: Option<Running>,
    /// The last stage whose message the aggregator holds.
    delivered: Option<Stage>,
}

/// What a round's instance is opened with, besides what its journal says.
struct Start {
    /// The encoded state.
    state: Vec<u8>,
    seed: Seed,
    /// What the site had kept of its rounds before.
    memory: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").finish_non_exhaustive()
    }
}

/// Whether this program has waited in a round so that its time tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paced {
    Yes,
    NotYet,
}

/// The module's instance, as far as it was asked.
#[derive(Debug)]
struct Running {
    egress: Egress,
    /// Exchanges of the journal that it has made.
    made: usize,
}

impl InRound {
    fn header(&self) -> &Header {
        &self.journal.opened().header
    }

    fn number(&self) -> u32 {
        self.header().number
    }
}

/// The view of the open round that the site acts on.
#[derive(Clone, Debug)]
struct View {
    header: Header,
    stage: Stage,
    waiting: Vec<SiteId>,
}

/// A call that is made again until it gets through.
#[derive(Clone, Debug)]
enum Call {
    Poll { seen: u64, wait: Duration },
    Fetch(Fetch),
    Send(Outgoing),
}

impl Call {
    fn step(self) -> Step {
        match self {
            Self::Poll { seen, wait } => Step::Poll { seen, wait },
            Self::Fetch(fetch) => Step::Fetch(fetch),
            Self::Send(outgoing) => Step::Send(outgoing),
        }
    }
}

/// Whether the line to the aggregator holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Up,
    /// The call is made again after a wait.
    Down,
}

/// What comes of an event.
type Next = Result<Step, Stop>;

impl Taking {
    /// A site whose records and patients are there.
    pub(crate) fn begin(site: Site, kept: Kept, cohort: Cohort, now: Now) -> (Self, Step) {
        let Kept { ledger, plan } = kept;
        let mut taking = Self {
            waits: Waits::new(site.patience),
            site,
            cohort,
            ledger,
            plan,
            part: Part::Idle,
            task: Task::Over,
            call: None,
            line: Line::Up,
            failures: 0,
            overruns: 0,
            lost_rounds: 0,
            seen: None,
            open: None,
            seen_at: now.elapsed,
            notices: Vec::new(),
        };
        taking.tell_uncharged();
        let step = taking.ask_announced(0, Vec::new());
        (taking, step)
    }

    pub(crate) fn step(&mut self, event: Event, now: Now, tickets: &mut Tickets) -> Next {
        if let Line::Down = self.line {
            return self.again(&event);
        }
        let event = match (event, &self.call) {
            (Event::Failed(Failure::Unreachable(reason)), Some(_)) => return self.wait(reason),
            (event, _) => event,
        };
        let call = self.call.take();
        let task = std::mem::replace(&mut self.task, Task::Over);
        let repeated = match &task {
            Task::Polling { asked } => Some(Task::Polling { asked: *asked }),
            Task::Announced(from, owed) => Some(Task::Announced(*from, owed.clone())),
            _ => None,
        };
        let next = self.advance(task, event, now, tickets);
        match (next, repeated) {
            // What is between may answer in the aggregator's place: a proxy, a page to log in at.
            (Err(Stop::Answer(reason)), Some(task)) => {
                self.call = call;
                self.task = task;
                self.wait(format!("the aggregator's answer cannot be read: {reason}"))
            }
            (next, _) => {
                if next.is_ok() {
                    self.waits = Waits::new(self.site.patience);
                }
                next
            }
        }
    }

    /// Waits before the call is made again.
    fn wait(&mut self, reason: String) -> Next {
        self.failures = self.failures.wrapping_add(1);
        let random = self.random();
        let Some(wait) = self.waits.next(random) else {
            return Err(Stop::Unreachable(reason));
        };
        self.line = Line::Down;
        self.notices.push(Notice::Waiting { reason, wait });
        Ok(Step::Wait(wait))
    }

    /// Makes the call again.
    fn again(&mut self, event: &Event) -> Next {
        self.line = Line::Up;
        match (event, self.call.clone()) {
            (Event::Waited, Some(call)) => Ok(call.step()),
            _ => Err(Stop::OutOfOrder(
                "something else than that the time is over",
            )),
        }
    }

    /// Spreads the waits of sites that failed together.
    fn random(&self) -> u8 {
        let study = self.site.study.digest();
        let text = [
            study.0.as_slice(),
            &self.site.id.0.to_be_bytes(),
            &self.failures.to_be_bytes(),
        ];
        Digest::of(&text.concat()).0[0]
    }

    fn fetch(&mut self, fetch: Fetch) -> Step {
        self.call = Some(Call::Fetch(fetch));
        Step::Fetch(fetch)
    }

    fn send(&mut self, outgoing: Outgoing) -> Step {
        self.call = Some(Call::Send(outgoing.clone()));
        Step::Send(outgoing)
    }

    /// The round that this site is in.
    fn round(&mut self) -> Result<&mut InRound, Stop> {
        match &mut self.part {
            Part::In(round) => Ok(round),
            Part::Idle | Part::Out(_) => Err(Stop::OutOfOrder("a round that it is not in")),
        }
    }

    /// Tells of rounds that came to nothing, when there is one more of them.
    fn tell_uncharged(&mut self) {
        // The last one may still be charged.
        let rounds = self.plan.uncharged().saturating_sub(1);
        if rounds > self.lost_rounds {
            self.lost_rounds = rounds;
            let most = self.site.study.manifest().rounds.uncharged;
            self.notices.push(Notice::Uncharged { rounds, most });
        }
    }
}
