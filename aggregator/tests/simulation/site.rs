//! A hospital: the participant that real hospitals run, with a disk, a module and a network of the simulation's.
//!
//! What a real host does with files, a sandbox and HTTP is done here in memory; all decisions are the participant's.

use std::collections::BTreeMap;
use std::time::Duration;

use participant::journal::Journal;
use participant::ledger::{Ledger, LedgerId};
use participant::pace::Pace;
use participant::patience::Patience;
use participant::reading::PatientFile;
use participant::{
    Destination, Event, Failure, Fetch, Key, ModuleFailure, Now, Outgoing, Participant, Step,
    StepKind, Stop, Write, Writes, register,
};
use protocol::codec;
use protocol::door::{BadRows, Request, Role};
use protocol::id::{Digest, Header, SiteId};
use protocol::message::Signed;
use protocol::withdrawal::{Cause, Withdrawal};
use testkit::{Disk, FakeModule};

use crate::service::{Call, Refusal};
use crate::setting::Setting;
use crate::wire::{Loss, Wire};

/// A hospital.
pub(crate) struct Site<'a> {
    setting: &'a Setting,
    pub(crate) id: SiteId,
    disk: Disk,
    /// The sealed chunks of each round's masked vector, as they were stored.
    chunks: BTreeMap<u32, BTreeMap<u32, Vec<u8>>>,
    module: FakeModule<'a>,
    /// None where the program does not run.
    program: Option<Program>,
    presence: Presence,
    elapsed: Duration,
    /// Seeds drawn so far.
    drawn: u64,
    kill: Kill,
    /// Why the program ended by itself, each time.
    pub(crate) stops: Vec<Stop>,
    /// Steps done so far, over all starts of the program.
    pub(crate) steps: Vec<StepKind>,
}

/// A running program.
struct Program {
    participant: Participant,
    /// What it does next.
    step: Step,
}

/// Whether a site does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Here,
    Away,
}

/// When the program is killed, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kill {
    Never,
    /// In the step with this number, from 0.
    At(usize, Moment),
}

/// When in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before anything of it is done.
    Before,
    /// When its first writes are done and half of the next.
    During,
    /// When it is done, and nobody was told.
    After,
}

impl Moment {
    pub(crate) const ALL: [Self; 3] = [Self::Before, Self::During, Self::After];
}

/// What came of doing a step.
enum Done {
    Event(Event),
    /// The program was killed.
    Killed,
}

impl<'a> Site<'a> {
    pub(crate) fn new(setting: &'a Setting, id: SiteId) -> Self {
        let vector = move |header: &_, site| setting.vector(header, site);
        let name = id.0.to_be_bytes();
        let ledger = std::array::from_fn(|place| name.get(place).copied().unwrap_or(0));
        Self {
            setting,
            id,
            disk: Disk::new(LedgerId::new(ledger)),
            chunks: BTreeMap::new(),
            module: FakeModule::new(&setting.kit, Box::new(vector)),
            program: None,
            presence: Presence::Here,
            elapsed: Duration::ZERO,
            drawn: 0,
            kill: Kill::Never,
            stops: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Kills the program.
    pub(crate) fn crash(&mut self) {
        self.program = None;
        self.module.drop_instance();
    }

    pub(crate) fn set(&mut self, presence: Presence) {
        self.presence = presence;
    }

    pub(crate) fn kill(&mut self, kill: Kill) {
        self.kill = kill;
    }

    /// Asks where the study is and does what can be done, until it would ask again or has to wait.
    pub(crate) fn step(&mut self, wire: &mut Wire<'_>) {
        if self.presence == Presence::Away {
            return;
        }
        let mut polls = 0;
        loop {
            let Some(step) = self.next() else { return };
            polls += usize::from(step.kind() == StepKind::Poll);
            if polls > 1 || step.kind() == StepKind::Finished {
                self.steps
                    .extend((step.kind() == StepKind::Finished).then_some(StepKind::Finished));
                self.put_back(step);
                return;
            }
            let waits = step.kind() == StepKind::Wait;
            let after = self.steps.last().copied();
            match self.count(step, wire) {
                Done::Event(event) => self.advance(event),
                Done::Killed => self.crash(),
            }
            // The time until an advert is due passes at once; after a call that failed it does not.
            if waits
                && matches!(
                    after,
                    Some(StepKind::Poll | StepKind::Fetch | StepKind::Send)
                )
            {
                return;
            }
        }
    }

    /// The step that the program does next; it is started where it does not run.
    fn next(&mut self) -> Option<Step> {
        if self.program.is_none() {
            let mut participant = Participant::new(self.participant());
            match participant.step(Event::Started, self.now()) {
                Ok(step) => self.program = Some(Program { participant, step }),
                Err(stop) => self.stops.push(stop),
            }
        }
        let program = self.program.as_mut()?;
        Some(std::mem::replace(&mut program.step, Step::Draw))
    }

    fn put_back(&mut self, step: Step) {
        if let Some(program) = &mut self.program {
            program.step = step;
        }
    }

    fn advance(&mut self, event: Event) {
        let now = self.now();
        let Some(program) = &mut self.program else {
            return;
        };
        match program.participant.step(event, now) {
            Ok(step) => program.step = step,
            Err(stop) => {
                self.stops.push(stop);
                self.crash();
                // Whoever runs it starts it again, with the next turn.
            }
        }
    }

    fn now(&mut self) -> Now {
        self.elapsed += Duration::from_millis(1);
        Now {
            elapsed: self.elapsed,
            unix: self.elapsed.as_secs(),
        }
    }

    fn participant(&self) -> participant::Site {
        let kit = &self.setting.kit;
        let file = |name: &str, role| PatientFile {
            name: name.to_owned(),
            role,
            zone: None,
        };
        participant::Site {
            study: kit.study.clone(),
            text: kit.toml.clone().into_bytes(),
            weights: None,
            module: kit.study.manifest().module,
            id: self.id,
            pace: Pace::new(&kit.study, 0),
            patience: Patience::LONG,
            files: vec![file("events", Role::Events), file("labels", Role::Labels)],
            data: None,
            bad_rows: BadRows::Stop,
            budget: None,
        }
    }

    /// Does a step, unless the program is killed in it.
    fn count(&mut self, step: Step, wire: &mut Wire<'_>) -> Done {
        let number = self.steps.len();
        self.steps.push(step.kind());
        let moment = match self.kill {
            Kill::At(at, moment) if at == number => {
                self.kill = Kill::Never;
                Some(moment)
            }
            _ => None,
        };
        match (moment, step) {
            (Some(Moment::Before), _) => Done::Killed,
            (Some(Moment::During), Step::Store(writes)) => {
                self.store_half(&writes);
                Done::Killed
            }
            (Some(_), step) => {
                self.done(step, wire);
                Done::Killed
            }
            (None, step) => self.done(step, wire),
        }
    }

    fn done(&mut self, step: Step, wire: &mut Wire<'_>) -> Done {
        let event = match step {
            Step::Poll { .. } => return Self::fetched(wire.call(Call::View)),
            Step::Fetch(fetch) => return Self::fetched(wire.call(call(fetch))),
            Step::Send(outgoing) => return self.sent(&outgoing, wire),
            Step::Draw => Event::Drawn(self.draw().0.into()),
            Step::Read(piece) => {
                let patients = format!("patients of site {}", self.id).into_bytes();
                Event::Read(protocol::door::piece(&patients, piece.number).to_vec())
            }
            Step::Open(request) => {
                self.module.drop_instance();
                self.ask(&request)
            }
            Step::Ask(request) => self.ask(&request),
            Step::Sign(bytes) => {
                let identity = &self.setting.kit.identities[usize::from(self.id.0)];
                Event::Signed(identity.sign(&bytes))
            }
            Step::Store(writes) => {
                writes.list().iter().for_each(|write| self.write(write));
                Event::Stored(writes.written())
            }
            Step::Load(key) => Event::Loaded(self.disk.load(key)),
            Step::Wait(duration) => {
                self.elapsed += duration;
                Event::Waited
            }
            Step::Finished(_) => unreachable!("it is no step that is done"),
        };
        Done::Event(event)
    }

    fn draw(&mut self) -> Digest {
        self.drawn += 1;
        Digest::of(format!("seed {} of site {}", self.drawn, self.id).as_bytes())
    }

    fn ask(&mut self, request: &Request) -> Event {
        match self.module.ask(request) {
            Ok(response) => Event::Answered(Box::new(response)),
            Err(reason) => Event::Failed(Failure::Module(ModuleFailure::Refused(reason))),
        }
    }

    fn write(&mut self, write: &Write) {
        if let Write::Put(Key::Chunk(round, number), sealed) = write {
            let of_round = self.chunks.entry(*round).or_default();
            of_round.insert(*number, sealed.clone());
        }
        self.disk.write(write);
    }

    /// The first half of the changes, and half of the one after.
    fn store_half(&mut self, writes: &Writes) {
        let list = writes.list();
        let half = list.len() / 2;
        for write in &list[..half] {
            self.write(write);
        }
        if let Some(write) = list.get(half) {
            let length = match write {
                Write::Append(_, bytes) => bytes.len() / 2,
                Write::Put(..) | Write::Seal(..) | Write::ForgetChunks(_) => 0,
            };
            self.disk.write_cut_short(write, length);
        }
    }

    fn fetched(answer: Result<Vec<u8>, Loss>) -> Done {
        match answer {
            Ok(bytes) => Done::Event(Event::Fetched(bytes)),
            Err(loss) => lost(loss),
        }
    }

    fn sent(&self, outgoing: &Outgoing, wire: &mut Wire<'_>) -> Done {
        let bytes = outgoing.bytes().to_vec();
        let call = match outgoing.destination() {
            Destination::Message { round, stage } => Call::Send(round, stage, bytes),
            Destination::Chunk { round, chunk } => Call::Chunk(round, self.id, chunk, bytes),
            Destination::Withdrawal { .. } => Call::Withdraw(bytes),
        };
        match wire.call(call) {
            Ok(_) => Done::Event(Event::Sent),
            Err(loss) => lost(loss),
        }
    }

    /// Says that it takes no further part in its last round; whether that arrives does not matter to it.
    pub(crate) fn withdraw(&self, wire: &mut Wire<'_>) {
        let Some(number) = self.last_round() else {
            return;
        };
        let kit = &self.setting.kit;
        let (study, identity) = (kit.study.digest(), &kit.identities[usize::from(self.id.0)]);
        let withdrawal = Withdrawal::sign(study, number, self.id, Cause::Refusal, identity);
        wire.call(Call::Withdraw(codec::encode(&withdrawal))).ok();
    }

    /// The last round that it began.
    pub(crate) fn last_round(&self) -> Option<u32> {
        let register = self.disk.load(Key::Register)?;
        let (lines, _) = register::decode(&register).expect("it is not damaged");
        let begun = lines.iter().filter_map(|line| match line {
            register::Line::Begun(begun) => Some(begun.number),
            register::Line::Opened(_) => None,
        });
        begun.max()
    }

    /// The header of a round that it began.
    pub(crate) fn header(&self, number: u32) -> Option<Header> {
        let bytes = self.disk.load(Key::Journal(number))?;
        let (journal, _) = Journal::decode(&bytes).expect("it is not damaged");
        Some(journal?.opened().header.clone())
    }

    /// What it asked its module in a round, and what was stored of the answers.
    pub(crate) fn exchanges(&self, number: u32) -> Vec<(Request, Signed)> {
        let bytes = self.disk.load(Key::Journal(number)).unwrap_or_default();
        let (journal, _) = Journal::decode(&bytes).expect("it is not damaged");
        let exchanges = journal.map(|journal| journal.exchanges().to_vec());
        let stored = exchanges.unwrap_or_default().into_iter();
        stored
            .filter_map(|exchange| Some((exchange.request, exchange.sending?.signed().ok()?)))
            .collect()
    }

    /// The sealed chunks of its masked vector in a round.
    pub(crate) fn chunks(&self, number: u32) -> Vec<Vec<u8>> {
        let chunks = self.chunks.get(&number);
        chunks.map_or_else(Vec::new, |chunks| chunks.values().cloned().collect())
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.disk.ledger(None)
    }
}

fn call(fetch: Fetch) -> Call {
    match fetch {
        Fetch::State(digest) => Call::State(digest),
        Fetch::Adverts(round) => Call::Adverts(round),
        Fetch::Shares(round, site) => Call::Inbox(round, site),
        Fetch::Survivors(round) => Call::Survivors(round),
        Fetch::Statements(round) => Call::Statements(round),
        Fetch::MissingChunks(round, site) => Call::Missing(round, site),
        Fetch::Announcements(site, from) => Call::Announcements(site, from),
    }
}

fn lost(loss: Loss) -> Done {
    let failure = match loss {
        Loss::Lost => Failure::Unreachable("the line is down".to_owned()),
        Loss::Refused(Refusal::TooLate) => Failure::TooLate("too late".to_owned()),
        Loss::Refused(Refusal::Other) => Failure::Refused("refused".to_owned()),
        Loss::Killed => return Done::Killed,
    };
    Done::Event(Event::Failed(failure))
}
