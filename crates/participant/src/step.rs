//! What a participant asks of its driver, and what it is told.

use std::time::Duration;

use protocol::api::Stage;
use protocol::door::{Piece, Request, Response};
use protocol::id::{Digest, SiteId};
use zeroize::Zeroizing;

use crate::outgoing::Outgoing;
use crate::writes::{Key, Receipt, Writes};

/// What is to be done next: one thing at a time, answered by one [`Event`].
#[derive(Debug)]
pub enum Step {
    /// Ask the aggregator where the study is: at once where that is news to who has `seen` a version, else after at most
    /// `wait`. Answered by [`Event::Fetched`].
    Poll {
        /// The version that is known; 0 for none.
        seen: u64,
        /// How long the aggregator may hold the answer.
        wait: Duration,
    },
    /// Get something from the aggregator. Answered by [`Event::Fetched`].
    Fetch(Fetch),
    /// Draw 32 uniform secret bytes. Answered by [`Event::Drawn`].
    Draw,
    /// Read a piece of a file of the hospital. Answered by [`Event::Read`].
    Read(Piece),
    /// Drop the module's instance, if there is one, start a fresh one, and ask it this. Answered by [`Event::Answered`].
    Open(Box<Request>),
    /// Ask the instance. Answered by [`Event::Answered`].
    Ask(Box<Request>),
    /// Sign these bytes with the site's identity key. Answered by [`Event::Signed`].
    Sign(Vec<u8>),
    /// Make these changes durable, in their order. Answered by [`Event::Stored`].
    Store(Writes),
    /// Get what is kept. Answered by [`Event::Loaded`].
    Load(Key),
    /// Send this to the aggregator. Answered by [`Event::Sent`].
    Send(Outgoing),
    /// Let so much time pass. Answered by [`Event::Waited`].
    Wait(Duration),
    /// Nothing more: the study is finished, and its model is kept under [`Key::Model`].
    Finished(Digest),
}

/// The kinds of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepKind {
    /// [`Step::Poll`]
    Poll,
    /// [`Step::Fetch`]
    Fetch,
    /// [`Step::Draw`]
    Draw,
    /// [`Step::Read`]
    Read,
    /// [`Step::Open`]
    Open,
    /// [`Step::Ask`]
    Ask,
    /// [`Step::Sign`]
    Sign,
    /// [`Step::Store`]
    Store,
    /// [`Step::Load`]
    Load,
    /// [`Step::Send`]
    Send,
    /// [`Step::Wait`]
    Wait,
    /// [`Step::Finished`]
    Finished,
}

impl StepKind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Poll,
        Self::Fetch,
        Self::Draw,
        Self::Read,
        Self::Open,
        Self::Ask,
        Self::Sign,
        Self::Store,
        Self::Load,
        Self::Send,
        Self::Wait,
        Self::Finished,
    ];
}

impl Step {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> StepKind {
        match self {
            Self::Poll { .. } => StepKind::Poll,
            Self::Fetch(_) => StepKind::Fetch,
            Self::Draw => StepKind::Draw,
            Self::Read(_) => StepKind::Read,
            Self::Open(_) => StepKind::Open,
            Self::Ask(_) => StepKind::Ask,
            Self::Sign(_) => StepKind::Sign,
            Self::Store(_) => StepKind::Store,
            Self::Load(_) => StepKind::Load,
            Self::Send(_) => StepKind::Send,
            Self::Wait(_) => StepKind::Wait,
            Self::Finished(_) => StepKind::Finished,
        }
    }
}

/// What the aggregator has for a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// The state with this digest.
    State(Digest),
    /// All adverts of a round.
    Adverts(u32),
    /// The encrypted shares of a round for this site.
    Shares(u32, SiteId),
    /// The sites whose masked inputs the aggregator holds.
    Survivors(u32),
    /// The signed statements of a round.
    Statements(u32),
    /// The chunks of this site's masked vector that the aggregator lacks.
    MissingChunks(u32, SiteId),
    /// What this site announced, from the round with this number on.
    Announcements(SiteId, u32),
}

impl Fetch {
    /// What is needed to answer a stage of a round; nothing for its first one.
    pub(crate) fn for_stage(stage: Stage, round: u32, site: SiteId) -> Option<Self> {
        match stage {
            Stage::Advertise => None,
            Stage::Share => Some(Self::Adverts(round)),
            Stage::Mask => Some(Self::Shares(round, site)),
            Stage::Agree => Some(Self::Survivors(round)),
            Stage::Unmask => Some(Self::Statements(round)),
        }
    }
}

/// What came of a step.
#[derive(Debug)]
pub enum Event {
    /// The program was started: no step came before.
    Started,
    /// The aggregator's answer, as it came.
    Fetched(Vec<u8>),
    /// Uniform secret bytes.
    Drawn(Zeroizing<[u8; 32]>),
    /// A piece of a file: as many bytes as were asked for, or fewer at its end.
    Read(Vec<u8>),
    /// What the module answered.
    Answered(Box<Response>),
    /// The signature.
    Signed([u8; 64]),
    /// The changes are durable.
    Stored(Receipt),
    /// What is kept; nothing where nothing is.
    Loaded(Option<Vec<u8>>),
    /// The aggregator took it.
    Sent,
    /// The time is over.
    Waited,
    /// The step could not be done.
    Failed(Failure),
}

/// Why a step could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A call did not get through, or the aggregator is not ready: it may be later.
    Unreachable(String),
    /// The aggregator refused a call: its stage, or its round, is not what this site thought.
    TooLate(String),
    /// The aggregator holds another message of this site.
    Conflict(String),
    /// The aggregator refused a call otherwise.
    Refused(String),
    /// The module gave no answer.
    Module(ModuleFailure),
    /// Something of the site's own failed: its disk, its key, its randomness.
    Site(String),
}

/// Why the module gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleFailure {
    /// It refused what it was given.
    Refused(String),
    /// It trapped, took too long or too much memory, or its answer was none.
    Broken(String),
}

/// What time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since the program was started, by a clock that never goes back.
    pub elapsed: Duration,
    /// Seconds since 1970, for people.
    pub unix: u64,
}
