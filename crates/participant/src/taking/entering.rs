//! How a site comes to be in the open round: it is in it, it goes on after a restart, or it begins.

use protocol::api::Stage;
use protocol::codec;
use protocol::id::Digest;
use protocol::seed::Seed;
use protocol::withdrawal::Cause;
use zeroize::Zeroizing;

use super::polling::check_digest;
use super::task::Task;
use super::{InRound, Next, Paced, Part, Start, Taking, View};
use crate::journal::{Journal, Opened};
use crate::ledger::LedgerError;
use crate::notice::Notice;
use crate::register::{Begun, Line};
use crate::state;
use crate::step::{Fetch, Now, Step};
use crate::stop::Stop;
use crate::writes::{Key, Tickets, Write};

impl Taking {
    /// Makes `part` this site's part in the open round, and goes on from there.
    pub(super) fn enter(&mut self, view: View, now: Now, tickets: &mut Tickets) -> Next {
        let number = view.header.number;
        self.open = Some(number);
        match &self.part {
            Part::In(round) if *round.header() == view.header => {
                return self.go_on(&view, now, tickets);
            }
            Part::In(round) if round.number() == number => {
                return self.fail(Stop::OtherHeader(number));
            }
            Part::Out(out) if *out == number => return Ok(self.poll(now)),
            Part::In(_) | Part::Out(_) | Part::Idle => self.part = Part::Idle,
        }
        if self.plan.last() == Some(number) {
            return Ok(self.resume(view));
        }
        self.start(view, now)
    }

    /// Answers the stage, where it waits for this site.
    fn go_on(&mut self, view: &View, now: Now, tickets: &mut Tickets) -> Next {
        let id = self.site.id;
        let round = self.round()?;
        if round.delivered >= Some(view.stage) || !view.waiting.contains(&id) {
            return Ok(self.poll(now));
        }
        // Without an advert the site has no part in later stages; that it would train first would show how long it takes.
        if view.stage > Stage::Advertise && round.journal.sending(Stage::Advertise).is_none() {
            return Ok(self.poll(now));
        }
        self.answer(view.stage, now, tickets)
    }

    /// Goes on with a round that was begun before a restart.
    pub(super) fn resume(&mut self, view: View) -> Step {
        let key = Key::Journal(view.header.number);
        self.task = Task::Journal(view);
        Step::Load(key)
    }

    pub(super) fn journal(
        &mut self,
        view: View,
        bytes: Option<Vec<u8>>,
        tickets: &mut Tickets,
    ) -> Next {
        let number = view.header.number;
        let Some(mut bytes) = bytes else {
            return self.without_journal(number);
        };
        let Ok((Some(journal), whole)) = Journal::decode(&bytes) else {
            return self.without_journal(number);
        };
        if whole < bytes.len() {
            bytes.truncate(whole);
            let writes = tickets.writes(vec![Write::Put(Key::Journal(number), bytes)]);
            self.task = Task::Repaired(view, writes.ticket());
            return Ok(Step::Store(writes));
        }
        let opened = journal.opened();
        if opened.header != view.header {
            return self.fail(Stop::OtherHeader(number));
        }
        if opened.module != self.site.module || opened.site != self.site.id {
            let reason = "it was started by another module, or as another site";
            return self.sit_out(number, Cause::Failure, reason);
        }
        self.task = Task::Seed(view, Box::new(journal));
        Ok(Step::Load(Key::Seed(number)))
    }

    pub(super) fn seed(
        &mut self,
        view: View,
        journal: Box<Journal>,
        bytes: Option<Vec<u8>>,
    ) -> Next {
        let number = view.header.number;
        let bytes = bytes.map(Zeroizing::new);
        let seed = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
        match seed.filter(|seed| Digest::of(seed) == journal.opened().seed) {
            Some(seed) => {
                self.task = Task::State(view, journal, Seed::new(seed));
                Ok(Step::Load(Key::State(number)))
            }
            None => self.without_journal(number),
        }
    }

    pub(super) fn state(
        &mut self,
        view: View,
        journal: Journal,
        seed: Seed,
        bytes: Option<Vec<u8>>,
    ) -> Next {
        let header = &view.header;
        let Some(state) = bytes.filter(|bytes| Digest::of(bytes) == header.state) else {
            return self.without_journal(header.number);
        };
        let key = Key::Kept(header.number);
        let start = Start {
            state,
            seed,
            memory: Zeroizing::default(),
        };
        self.task = Task::Kept(view, Box::new(journal), start);
        Ok(Step::Load(key))
    }

    /// All that the round is computed from is there: the site is in it again.
    pub(super) fn kept(
        &mut self,
        view: &View,
        journal: Journal,
        start: Start,
        bytes: Option<Vec<u8>>,
        now: Now,
        tickets: &mut Tickets,
    ) -> Next {
        let header = &view.header;
        let memory = Zeroizing::new(bytes.unwrap_or_default());
        if Digest::of(&memory) != journal.opened().memory {
            return self.without_journal(header.number);
        }
        if let Err(stop) = self.check_charge(&journal) {
            return self.fail(stop);
        }
        self.notices.push(Notice::Round(header.clone()));
        self.notices.push(Notice::Continued(header.number));
        self.take_part(journal, Start { memory, ..start }, now);
        self.go_on(view, now, tickets)
    }

    /// Refuses a journal whose round was charged for something that is not in it.
    fn check_charge(&self, journal: &Journal) -> Result<(), Stop> {
        let header = &journal.opened().header;
        if self.ledger.find(header.study, header.number).is_none() {
            return Ok(());
        }
        let sent = journal.sending(Stage::Mask);
        let sent = sent.ok_or(Stop::NoJournal(header.number))?;
        match self.ledger.charged(header, sent.body())? {
            Some(_) => Ok(()),
            None => Err(LedgerError::ChargedOther(header.number).into()),
        }
    }

    /// A round was begun, and what is needed to go on with it is not there: it is never begun again under its number.
    fn without_journal(&mut self, number: u32) -> Next {
        if self.ledger.find(self.site.study.digest(), number).is_some() {
            return self.fail(Stop::NoJournal(number));
        }
        let reason = "its journal, seed or state is not there or is damaged: it is not begun again under its number";
        self.sit_out(number, Cause::Failure, reason)
    }

    fn start(&mut self, view: View, now: Now) -> Next {
        let header = &view.header;
        if let Err(refusal) = self.plan.check_place(header) {
            return self.fail(refusal.into());
        }
        // Who comes too late for the adverts has no part in the round; to train first would show how long that takes.
        let is_late = view.stage > Stage::Advertise;
        if is_late || !self.site.study.takes_part(self.site.id, header) {
            self.part = Part::Out(header.number);
            return Ok(self.poll(now));
        }
        if let Err(refusal) = self.plan.admit(header) {
            return self.fail(refusal.into());
        }
        if let Err(error) = self.ledger.covers(&self.site.study, header) {
            return self.fail(error.into());
        }
        let state = header.state;
        self.task = Task::NewState(view);
        Ok(self.fetch(Fetch::State(state)))
    }

    pub(super) fn new_state(&mut self, view: View, bytes: Vec<u8>, now: Now) -> Next {
        // From here on no time is the aggregator's.
        self.seen_at = now.elapsed;
        let header = &view.header;
        let checked = check_digest(&bytes, header.state)
            .and_then(|()| state::of(&self.site.study, header.purpose, &bytes));
        if let Err(stop) = checked {
            return self.fail(stop);
        }
        self.task = Task::NewSeed(view, bytes);
        Ok(Step::Draw)
    }

    pub(super) fn new_seed(
        &mut self,
        view: View,
        state: Vec<u8>,
        seed: Seed,
        tickets: &mut Tickets,
    ) -> Next {
        let algorithm = self.site.study.manifest().training.algorithm;
        if algorithm.has_control_variates() {
            self.task = Task::NewMemory(view, state, seed);
            return Ok(Step::Load(Key::Memory));
        }
        Ok(self.begin_round(view, state, seed, Vec::new(), tickets))
    }

    /// Keeps what the round is computed from. The register's line comes last: with it the round has begun.
    pub(super) fn begin_round(
        &mut self,
        view: View,
        state: Vec<u8>,
        seed: Seed,
        memory: Vec<u8>,
        tickets: &mut Tickets,
    ) -> Step {
        let number = view.header.number;
        let secret = seed.expose();
        let memory = Zeroizing::new(memory);
        let opened = Opened {
            header: view.header.clone(),
            site: self.site.id,
            module: self.site.module,
            cohort: self.cohort.digest,
            seed: Digest::of(secret),
            memory: Digest::of(&memory),
        };
        let forgotten = self.plan.last().map(Write::ForgetChunks);
        let begun = Line::Begun(Begun::of(&view.header));
        let kept = [
            Write::Seal(Key::Seed(number), Zeroizing::new(secret.to_vec())),
            Write::Seal(Key::Kept(number), memory.clone()),
            Write::Put(Key::State(number), state.clone()),
            Write::Put(Key::Journal(number), Journal::begin(&opened)),
            Write::Append(Key::Register, begun.text().into_bytes()),
        ];
        let writes = tickets.writes(forgotten.into_iter().chain(kept).collect());
        let start = Start {
            state,
            seed,
            memory,
        };
        self.task = Task::Begun(view, Box::new(opened), start, writes.ticket());
        Step::Store(writes)
    }

    pub(super) fn begun(
        &mut self,
        view: &View,
        opened: Opened,
        start: Start,
        now: Now,
        tickets: &mut Tickets,
    ) -> Next {
        self.plan.begin(&view.header);
        self.notices.push(Notice::Round(view.header.clone()));
        self.tell_uncharged();
        let seen = Now {
            elapsed: self.seen_at,
            ..now
        };
        self.take_part(Journal::begun(opened), start, seen);
        self.go_on(view, now, tickets)
    }

    fn take_part(&mut self, journal: Journal, start: Start, seen: Now) {
        self.part = Part::In(Box::new(InRound {
            journal,
            start,
            seen: seen.elapsed,
            paced: Paced::NotYet,
            running: None,
            delivered: None,
        }));
    }

    /// The value in an answer of the aggregator.
    pub(super) fn decoded<T>(bytes: &[u8]) -> Result<T, Stop>
    where
        T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
    {
        codec::decode(bytes).map_err(|error| Stop::Answer(error.to_string()))
    }
}
