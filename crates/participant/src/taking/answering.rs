//! The message of a stage: asked of the module, checked, signed, stored.

use protocol::api::Stage;
use protocol::chunk::Chunking;
use protocol::door::{Request, Response};
use protocol::message::Signed;
use zeroize::Zeroizing;

use super::task::{Answer, Recording, Task, Then};
use super::{Next, Taking};
use crate::egress::{announced_chunk, stage_of};
use crate::journal::Pending;
use crate::register;
use crate::step::{Fetch, Now, Step};
use crate::stop::Stop;
use crate::writes::{Key, Receipt, Tickets, Write};

impl Taking {
    /// Sends this site's message of a stage, which is made where it was not.
    pub(super) fn answer(&mut self, stage: Stage, now: Now, tickets: &mut Tickets) -> Next {
        if self.round()?.journal.sending(stage).is_some() {
            return self.deliver(stage, now, tickets);
        }
        self.module(Then::Answer(stage), now)
    }

    /// Finds out what the module is to be asked: as before a crash, or with what the other sites sent.
    pub(super) fn ask_for(&mut self, stage: Stage) -> Next {
        let id = self.site.id;
        let round = self.round()?;
        let before = round.journal.unanswered();
        if let Some(request) = before.filter(|request| stage_of(request) == Some(stage)) {
            let request = request.clone();
            return Ok(self.ask(request));
        }
        match Fetch::for_stage(stage, round.number(), id) {
            None => Ok(self.ask(Request::Advertise)),
            Some(fetch) => {
                self.task = Task::Request(stage);
                Ok(self.fetch(fetch))
            }
        }
    }

    pub(super) fn request(&mut self, stage: Stage, bytes: &[u8]) -> Next {
        let request = match stage {
            Stage::Advertise => Ok(Request::Advertise),
            Stage::Share => Self::decoded(bytes).map(Request::Share),
            Stage::Mask => Self::decoded(bytes).map(Request::Mask),
            Stage::Agree => Self::decoded(bytes).map(Request::Agree),
            Stage::Unmask => Self::decoded(bytes).map(Request::Unmask),
        };
        match request {
            Ok(request) => Ok(self.ask(request)),
            Err(stop) => self.fail(stop),
        }
    }

    fn ask(&mut self, request: Request) -> Step {
        self.task = Task::Asking(Box::new(request.clone()));
        Step::Ask(Box::new(request))
    }

    pub(super) fn answered(&mut self, request: Box<Request>, response: Response) -> Next {
        let Response::Send(body) = response else {
            return self.fail(Stop::OtherAnswer);
        };
        let running = self.round()?.running.as_mut();
        let running = running.ok_or(Stop::OutOfOrder("no instance"))?;
        let checked = match running.egress.check(&request, body.into()) {
            Ok(checked) => checked,
            Err(error) => return self.fail(error.into()),
        };
        let answer = Answer { request, checked };
        match answer.checked.stage() {
            Stage::Mask => self.next_chunk(answer, 0),
            Stage::Unmask => {
                self.task = Task::Memory(answer);
                Ok(Step::Ask(Box::new(Request::Remember)))
            }
            Stage::Advertise | Stage::Share | Stage::Agree => self.sign(answer, None),
        }
    }

    /// Asks for the next chunk of the masked vector; after the last one, the announcement is signed.
    pub(super) fn next_chunk(&mut self, answer: Answer, number: u32) -> Next {
        let purpose = self.round()?.header().purpose;
        let count = Chunking::of(&self.site.study.layout(purpose)).count();
        if usize::try_from(number).is_ok_and(|number| number < count) {
            self.task = Task::Chunk(answer, number);
            return Ok(Step::Ask(Box::new(Request::Chunk(number))));
        }
        self.sign(answer, None)
    }

    pub(super) fn chunk(
        &mut self,
        answer: Answer,
        number: u32,
        response: Response,
        tickets: &mut Tickets,
    ) -> Next {
        let Response::Chunk(sealed) = response else {
            return self.fail(Stop::OtherAnswer);
        };
        let header = self.round()?.header();
        let (round, purpose) = (header.number, header.purpose);
        let layout = self.site.study.layout(purpose);
        let chunk = match announced_chunk(&layout, answer.checked.body(), number, sealed.into()) {
            Ok(chunk) => chunk,
            Err(error) => return self.fail(error.into()),
        };
        let kept = Write::Put(Key::Chunk(round, number), chunk.sealed().to_vec());
        let writes = tickets.writes(vec![kept]);
        self.task = Task::ChunkStored(answer, number, writes.ticket());
        Ok(Step::Store(writes))
    }

    /// What the site keeps of the round for its next one.
    pub(super) fn memory(&mut self, answer: Answer, response: Response) -> Next {
        match response {
            Response::Memory(memory) => self.sign(answer, Some(memory.into())),
            _ => self.fail(Stop::OtherAnswer),
        }
    }

    fn sign(&mut self, answer: Answer, memory: Option<Vec<u8>>) -> Next {
        let id = self.site.id;
        let (stage, body) = (answer.checked.stage(), answer.checked.body());
        let bytes = Signed::bytes_to_sign(self.round()?.header(), stage, id, body);
        self.task = Task::Signing(answer, memory);
        Ok(Step::Sign(bytes))
    }

    /// Stores the message; with it the charge, where it carries a vector.
    pub(super) fn signed(
        &mut self,
        answer: Answer,
        memory: Option<Vec<u8>>,
        signature: [u8; 64],
        now: Now,
        tickets: &mut Tickets,
    ) -> Next {
        let stage = answer.checked.stage();
        let pending = Pending::new(*answer.request, answer.checked, self.site.id, signature);
        let line = match stage {
            Stage::Mask => match self.charge(pending.body(), now) {
                Ok(line) => Some(line),
                Err(stop) => return self.fail(stop),
            },
            _ => None,
        };
        let round = self.round()?;
        let number = round.number();
        let mut list = Vec::new();
        if let Some(memory) = memory.filter(|memory| !memory.is_empty()) {
            list.push(Write::Seal(Key::Memory, Zeroizing::new(memory)));
        }
        if stage == Stage::Unmask {
            // From here on the round counts for this site.
            let opened = register::Line::Opened(number);
            list.push(Write::Append(Key::Register, opened.text().into_bytes()));
        }
        let addition = round.journal.addition(&pending);
        list.push(Write::Append(Key::Journal(number), addition));
        // After the journal: what was charged and is not in a journal could never be sent.
        if let Some(line) = &line {
            list.push(Write::Append(Key::Ledger, line.text().into_bytes()));
        }
        let writes = tickets.writes(list);
        let recording = Recording { pending, line };
        self.task = Task::Recording(Box::new(recording), writes.ticket());
        Ok(Step::Store(writes))
    }

    pub(super) fn recorded(
        &mut self,
        recording: Recording,
        receipt: &Receipt,
        now: Now,
        tickets: &mut Tickets,
    ) -> Next {
        let Recording { pending, line } = recording;
        let stage = pending.stage();
        let round = self.round()?;
        let number = round.number();
        round.journal.add(pending, receipt);
        if let Some(running) = &mut round.running {
            running.made += 1;
        }
        if stage == Stage::Unmask {
            self.plan.open(number);
        }
        if let Some(line) = line {
            self.ledger.add(line, receipt)?;
            self.plan.charge(number);
        }
        self.deliver(stage, now, tickets)
    }
}
