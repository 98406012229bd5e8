//! The aggregator under test: its rounds on a store that can be left behind at any moment.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aggregator::rounds::{Board, Rounds, RoundsError, SiteFault, StageTimes};
use aggregator::store::{Commit, Store, StoreError};
use protocol::api::Stage;
use protocol::codec;
use protocol::id::{Digest, SiteId};
use protocol::message::Signed;
use protocol::round::{Accepted, Aggregator, SiteFault as Refused};
use tempfile::TempDir;
use testkit::TestStudy;

use crate::record;

/// What a site asks of the aggregator: the routes of [`protocol::api`] that belong to rounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    View,
    State(Digest),
    Adverts(u32),
    Inbox(u32, SiteId),
    Survivors(u32),
    Statements(u32),
    Missing(u32, SiteId),
    Send(u32, Stage, Vec<u8>),
    Chunk(u32, SiteId, u32, Vec<u8>),
    Withdraw(Vec<u8>),
    Announcements(SiteId, u32),
}

/// Why a call is not answered as it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The round goes on without it, or is over.
    TooLate,
    /// Anything else.
    Other,
}

/// The aggregator, and all that it stands on.
pub(crate) struct Service<'a> {
    kit: &'a TestStudy,
    aggregator: Arc<Aggregator>,
    folder: TempDir,
    rounds: Rounds,
    board: tokio::sync::watch::Receiver<Arc<Board>>,
    now: Instant,
}

const TIMES: StageTimes = StageTimes {
    advertise: Duration::from_secs(1_000),
    others: Duration::from_secs(10),
};

impl<'a> Service<'a> {
    pub(crate) fn new(kit: &'a TestStudy) -> Self {
        let (aggregator, folder, now) = (kit.aggregator(), folder(), Instant::now());
        let rounds = start(&aggregator, folder.path(), now);
        let board = rounds.board();
        Self {
            kit,
            aggregator,
            folder,
            rounds,
            board,
            now,
        }
    }

    /// What everybody may see now.
    pub(crate) fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board.borrow())
    }

    /// Lets time pass, and the aggregator see it.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
        self.rounds.tick(self.now).expect("the store does not fail");
    }

    /// Answers a call.
    pub(crate) fn answer(&mut self, call: &Call) -> Result<Vec<u8>, Refusal> {
        let board = self.board();
        let answer = match call {
            Call::View => board.view().map(|view| codec::encode(&view)),
            Call::State(digest) => {
                return board
                    .state(*digest)
                    .map(|state| state.to_vec())
                    .ok_or(Refusal::TooLate);
            }
            Call::Adverts(number) => board.adverts(*number).map(|bytes| bytes.to_vec()),
            Call::Inbox(number, site) => board.inbox(*number, *site).map(|bytes| bytes.to_vec()),
            Call::Survivors(number) => board.survivors(*number).map(|bytes| bytes.to_vec()),
            Call::Statements(number) => board.statements(*number).map(|bytes| bytes.to_vec()),
            Call::Missing(number, site) => {
                let missing = self.rounds.missing_chunks(*number, *site, self.now);
                missing.map(|missing| codec::encode(&missing))
            }
            Call::Announcements(site, from) => {
                let shown = self.rounds.announcements(*site, *from, self.now);
                shown.map(|shown| codec::encode(&shown))
            }
            Call::Send(..) | Call::Chunk(..) => self.take(call).map(|_| Vec::new()),
            Call::Withdraw(bytes) => self.rounds.withdraw(bytes, self.now).map(|()| Vec::new()),
        };
        answer.map_err(|error| refusal(&error))
    }

    fn take(&mut self, call: &Call) -> Result<Accepted, RoundsError> {
        match call {
            Call::Send(number, stage, bytes) => {
                self.rounds.accept(*number, *stage, bytes, self.now)
            }
            Call::Chunk(number, site, chunk, bytes) => self
                .rounds
                .put_chunk(*number, *site, *chunk, bytes, self.now),
            _ => panic!("this call brings nothing"),
        }
    }

    /// Kills the aggregator and starts it again from what is on the disk at this moment.
    pub(crate) fn crash(&mut self) {
        let before = self.board();
        self.start_in(self.copy());
        let after = self.board();
        assert!(
            after.version() >= before.version(),
            "a restart loses what was answered: version {} came after {}",
            after.version(),
            before.version()
        );
        assert_same_records(&before, &after);
    }

    /// Hands a call over and kills the aggregator when what the call brings is stored, before anything came of it.
    pub(crate) fn crash_between(&mut self, call: &Call) -> Result<Vec<u8>, Refusal> {
        let copy = self.copy();
        let answer = match call {
            Call::Send(..) | Call::Chunk(..) => self.take(call),
            _ => return self.answer(call),
        };
        if let Ok(Accepted::New) = answer {
            store(self.kit, copy.path(), call).expect("the store does not fail");
            self.start_in(copy);
        }
        answer.map(|_| Vec::new()).map_err(|error| refusal(&error))
    }

    fn start_in(&mut self, folder: TempDir) {
        self.rounds = start(&self.aggregator, folder.path(), self.now);
        self.board = self.rounds.board();
        self.folder = folder;
    }

    /// What a new process would find: the old one has no chance to tidy up.
    fn copy(&self) -> TempDir {
        let copy = folder();
        let name = Path::new("studies").join(format!("{}.redb", self.kit.study.digest()));
        fs::create_dir(copy.path().join("studies")).expect("the folder is new");
        fs::copy(self.folder.path().join(&name), copy.path().join(&name))
            .expect("the store is a file");
        copy
    }
}

/// Records of rounds that are over stay as they are.
fn assert_same_records(before: &Board, after: &Board) {
    let (before, after) = (&before.progress().rounds, &after.progress().rounds);
    assert!(after.len() >= before.len(), "a restart loses a record");
    for (before, after) in before.iter().zip(after) {
        assert!(
            record::is_same(after, before),
            "a restart makes {after:?} of {before:?}"
        );
    }
}

fn start(aggregator: &Arc<Aggregator>, folder: &Path, now: Instant) -> Rounds {
    let study = aggregator.study().digest();
    let journal = Store::at(folder).and_then(|store| store.journal(study));
    let journal = journal.expect("what was written can be opened");
    Rounds::start(Arc::clone(aggregator), journal, TIMES, now)
        .expect("what was written can be restored")
}

/// Writes down what a call brings, as the aggregator does before anything comes of it.
fn store(kit: &TestStudy, folder: &Path, call: &Call) -> Result<(), StoreError> {
    let journal = Store::at(folder)?.journal(kit.study.digest())?;
    let mut commit: Commit = journal.begin()?;
    match call {
        Call::Send(_, stage, bytes) => {
            let signed: Signed = codec::decode(bytes).expect("it was accepted");
            commit.message(*stage, signed.site, bytes)?;
        }
        Call::Chunk(_, site, chunk, bytes) => {
            commit.chunk(*site, *chunk, bytes)?;
        }
        _ => panic!("this call brings nothing"),
    }
    commit.finish()
}

/// As a site is to see it; what no call may bring about fails the test.
fn refusal(error: &RoundsError) -> Refusal {
    match error {
        RoundsError::Internal(fault) => panic!("the aggregator is at fault: {fault}"),
        RoundsError::Site(SiteFault::Refused(Refused::Conflict { site, stage })) => {
            panic!("site {site} signed two messages of stage {stage}")
        }
        RoundsError::Site(
            SiteFault::UnknownRound { .. }
            | SiteFault::RoundOver { .. }
            | SiteFault::NotYet { .. }
            | SiteFault::NoLonger { .. }
            | SiteFault::Outside(_)
            | SiteFault::Refused(
                Refused::Early { .. } | Refused::Late { .. } | Refused::NotAwaited { .. },
            ),
        ) => Refusal::TooLate,
        _ => Refusal::Other,
    }
}

/// A folder in memory where the system has such, since nothing here is about what a power cut leaves.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    folder.expect("a folder for the store can be made")
}
