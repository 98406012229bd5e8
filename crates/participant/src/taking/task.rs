//! What a site that takes part is waiting for.

use std::time::Duration;

use protocol::api::Stage;
use protocol::door::Request;
use protocol::id::Digest;
use protocol::seed::Seed;
use protocol::withdrawal::Cause;

use super::{Next, Start, Taking, View};
use crate::egress::{Checked, CheckedChunk};
use crate::journal::{Journal, Opened, Pending};
use crate::ledger::Line;
use crate::step::{Event, Failure, Now, Step};
use crate::stop::Stop;
use crate::writes::Tickets;

/// The step that was asked for, and what is to be done with its outcome.
#[derive(Debug)]
pub(super) enum Task {
    /// What this site announced from this round on, and what its ledger lacks of the rounds before.
    Announced(u32, Vec<u32>),
    /// Where the study is, asked at this time.
    Polling {
        asked: Duration,
    },
    /// A while, since the aggregator does not hold polls.
    Lull,
    /// The published state with this digest.
    Model(Digest),
    /// The published state on the disk.
    ModelStored(Digest, u64),

    /// The journal of a round that was begun before a restart.
    Journal(View),
    /// Its seed.
    Seed(View, Box<Journal>),
    /// Its state.
    State(View, Box<Journal>, Seed),
    /// What the site had kept when it began.
    Kept(View, Box<Journal>, Start),
    /// The end of its journal that a crash cut short, taken away.
    Repaired(View, u64),

    /// The state of a new round.
    NewState(View),
    /// A seed for it.
    NewSeed(View, Vec<u8>),
    /// What the site kept of the round before.
    NewMemory(View, Vec<u8>, Seed),
    /// All of them on the disk.
    Begun(View, Box<Opened>, Start, u64),

    /// The module's instance.
    Opening(Then),
    /// The module's work, in pieces.
    Working(Then, Piece),
    /// What the module was asked before a restart.
    Repeating(Then),

    /// What the other sites sent.
    Request(Stage),
    /// The module's answer to the stage.
    Asking(Box<Request>),
    /// The chunks of the masked vector, from this number.
    Chunk(Answer, u32),
    /// Such a chunk on the disk.
    ChunkStored(Answer, u32, u64),
    /// What the site is to keep for its next round.
    Memory(Answer),
    /// The site's signature.
    Signing(Answer, Option<Vec<u8>>),
    /// Message and charge on the disk.
    Recording(Box<Recording>, u64),

    /// The charge of a masked input that was stored before a crash.
    Charging(Box<Line>, u64),
    /// The time when the advert is due.
    Pacing,
    /// The time when this site is due after a restart, since it has trained again.
    PacingAgain(Then),
    /// The aggregator's word on the message of a stage.
    Sending(Stage),
    /// Which chunks the aggregator lacks.
    Missing(usize),
    /// A chunk from the disk.
    ChunkKept(Upload),
    /// A chunk from the module, since it is not on the disk.
    ChunkAgain(Upload),
    /// The aggregator's word on a chunk.
    ChunkSent(Upload, Box<CheckedChunk>),
    /// The chunks off the disk.
    Forgetting(usize),
    /// The chunks off the disk, of a round that goes on without this site.
    LeftBehind,

    /// The signature of a withdrawal.
    Withdrawing(u32, Cause, After),
    /// Whether the aggregator got it.
    Withdrawn(u32, Cause, After),

    Over,
}

/// A message on its way to the disk, and its charge where it carries a vector.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) pending: Pending,
    pub(super) line: Option<Line>,
}

/// What the module is needed for.
#[derive(Debug)]
pub(super) enum Then {
    /// To answer a stage.
    Answer(Stage),
    /// To give a chunk again.
    Chunk(Upload),
}

/// A piece of the module's work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) patients: u32,
    pub(super) asked: Duration,
}

/// An answer of the module on its way to the journal.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) request: Box<Request>,
    pub(super) checked: Checked,
}

/// Chunks that the aggregator lacks, the next one last, and the bytes that were sent before them.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) chunks: Vec<u32>,
    pub(super) bytes: usize,
}

/// What follows a withdrawal.
#[derive(Debug)]
pub(super) enum After {
    /// The study goes on.
    SitOut,
    /// The site does not.
    Stop(Box<Stop>),
}

impl Taking {
    /// Does what follows from the outcome of the step that was asked for.
    pub(super) fn advance(
        &mut self,
        task: Task,
        event: Event,
        now: Now,
        tickets: &mut Tickets,
    ) -> Next {
        match (task, event) {
            (Task::Withdrawing(round, cause, after), event) => {
                self.withdrawal_signed(round, cause, after, event, now)
            }
            (Task::Withdrawn(round, cause, after), event) => {
                self.withdrawn(round, cause, after, event, now)
            }
            (task, Event::Failed(failure)) => self.failed(&task, failure, now, tickets),

            (Task::Announced(from, owed), Event::Fetched(bytes)) => {
                self.announced(from, owed, &bytes, now)
            }
            (Task::Polling { asked }, Event::Fetched(bytes)) => {
                self.polled(asked, &bytes, now, tickets)
            }
            (Task::Lull, Event::Waited) => Ok(self.poll(now)),
            (Task::Model(digest), Event::Fetched(bytes)) => self.model(digest, bytes, tickets),
            (Task::ModelStored(digest, ticket), Event::Stored(receipt))
                if receipt.is_of(ticket) =>
            {
                Ok(Step::Finished(digest))
            }

            (Task::Journal(view), Event::Loaded(bytes)) => self.journal(view, bytes, tickets),
            (Task::Repaired(view, ticket), Event::Stored(receipt)) if receipt.is_of(ticket) => {
                Ok(self.resume(view))
            }
            (Task::Seed(view, journal), Event::Loaded(bytes)) => self.seed(view, journal, bytes),
            (Task::State(view, journal, seed), Event::Loaded(bytes)) => {
                self.state(view, *journal, seed, bytes)
            }
            (Task::Kept(view, journal, start), Event::Loaded(bytes)) => {
                self.kept(&view, *journal, start, bytes, now, tickets)
            }
            (Task::NewState(view), Event::Fetched(bytes)) => self.new_state(view, bytes, now),
            (Task::NewSeed(view, state), Event::Drawn(seed)) => {
                self.new_seed(view, state, Seed::new(*seed), tickets)
            }
            (Task::NewMemory(view, state, seed), Event::Loaded(memory)) => {
                Ok(self.begin_round(view, state, seed, memory.unwrap_or_default(), tickets))
            }
            (Task::Begun(view, opened, start, ticket), Event::Stored(receipt))
                if receipt.is_of(ticket) =>
            {
                self.begun(&view, *opened, start, now, tickets)
            }

            (Task::Opening(then), Event::Answered(response)) => self.opened(then, &response, now),
            (Task::Working(then, piece), Event::Answered(response)) => {
                self.worked(then, piece, &response, now)
            }
            (Task::Repeating(then), Event::Answered(response)) => {
                self.repeated(then, *response, now)
            }

            (Task::Request(stage), Event::Fetched(bytes)) => self.request(stage, &bytes),
            (Task::Asking(request), Event::Answered(response)) => self.answered(request, *response),
            (Task::Chunk(answer, number), Event::Answered(response)) => {
                self.chunk(answer, number, *response, tickets)
            }
            (Task::ChunkStored(answer, number, ticket), Event::Stored(receipt))
                if receipt.is_of(ticket) =>
            {
                self.next_chunk(answer, number + 1)
            }
            (Task::Memory(answer), Event::Answered(response)) => self.memory(answer, *response),
            (Task::Signing(answer, memory), Event::Signed(signature)) => {
                self.signed(answer, memory, signature, now, tickets)
            }
            (Task::Recording(recording, ticket), Event::Stored(receipt))
                if receipt.is_of(ticket) =>
            {
                self.recorded(*recording, &receipt, now, tickets)
            }

            (Task::Charging(line, ticket), Event::Stored(receipt)) if receipt.is_of(ticket) => {
                self.charged(*line, &receipt)
            }
            (Task::Pacing, Event::Waited) => self.send_advert(),
            (Task::PacingAgain(then), Event::Waited) => self.ready(then),
            (Task::Sending(stage), Event::Sent) => self.sent(stage, now),
            (Task::Missing(sent), Event::Fetched(bytes)) => self.missing(sent, &bytes, tickets),
            (Task::ChunkKept(upload), Event::Loaded(bytes)) => self.chunk_kept(upload, bytes, now),
            (Task::ChunkAgain(upload), Event::Answered(response)) => {
                self.chunk_again(upload, *response)
            }
            (Task::ChunkSent(upload, chunk), Event::Sent) => {
                self.chunk_sent(upload, &chunk, tickets)
            }
            (Task::Forgetting(bytes), Event::Stored(_)) => self.delivered(Stage::Mask, bytes, now),
            (Task::LeftBehind, Event::Stored(_)) => Ok(self.poll(now)),

            _ => Err(Stop::OutOfOrder("something else than it was asked")),
        }
    }

    /// What follows where the step could not be done.
    fn failed(&mut self, task: &Task, failure: Failure, now: Now, tickets: &mut Tickets) -> Next {
        match failure {
            Failure::TooLate(reason) => match task {
                Task::Sending(stage) => self.too_late(*stage, reason, now, tickets),
                Task::Missing(_) | Task::ChunkSent(..) => {
                    self.too_late(Stage::Mask, reason, now, tickets)
                }
                _ => self.goes_on_without(task, reason, now),
            },
            Failure::Refused(reason) => self.goes_on_without(task, reason, now),
            Failure::Conflict(reason) => Err(Stop::Conflict(reason)),
            Failure::Unreachable(reason) => Err(Stop::Unreachable(reason)),
            Failure::Module(failure) => self.module_failed(failure),
            Failure::Site(reason) => self.fail(Stop::Site(reason)),
        }
    }
}
