//! A participant at a hospital's server: its steps, done with files, the sandbox and HTTP.

use std::path::PathBuf;
use std::time::Instant;

use participant::{
    Event, Failure, Key, ModuleFailure, Notice, Now, Participant, Step, Stop, Writes,
};
use protocol::door::{Piece, Report, Request};
use protocol::id::{Digest, SiteId};
use protocol::identity::Identity;
use zeroize::Zeroizing;

use crate::aggregator::{Aggregator, AggregatorError};
use crate::coverage;
use crate::disk::Disk;
use crate::entropy;
use crate::pieces;
use crate::reporter::Reporter;
use crate::sandbox::{Instance, Sandbox, SandboxError};

/// What a participant's steps are done with.
#[derive(Debug)]
pub struct Driver<'a> {
    /// The aggregator; the participant itself repeats what fails.
    pub aggregator: &'a Aggregator,
    /// The approved module.
    pub sandbox: &'a Sandbox,
    /// This site's files.
    pub disk: &'a Disk,
    /// This site's key.
    pub identity: &'a Identity,
    /// This site's number in the roster.
    pub site: SiteId,
    /// The files of patients, in the order that the participant was given.
    pub files: &'a [PathBuf],
    /// What people see.
    pub reporter: &'a Reporter,
    /// Seconds since 1970.
    pub clock: fn() -> u64,
}

impl Driver<'_> {
    /// Does the participant's steps until the study is finished; gives the digest of the published model.
    ///
    /// # Errors
    ///
    /// All that makes it wrong to go on. What was sent, and what it cost, is on disk.
    pub fn run(&self, mut participant: Participant) -> Result<Digest, Stop> {
        let (start, mut instance, mut event) = (Instant::now(), None, Event::Started);
        loop {
            let now = Now {
                elapsed: start.elapsed(),
                unix: (self.clock)(),
            };
            let step = participant.step(event, now);
            for notice in participant.notices() {
                self.tell(&notice);
            }
            event = match step? {
                Step::Finished(model) => return Ok(model),
                step => self.answer(step, &mut instance),
            };
        }
    }

    /// Does one step.
    fn answer(&self, step: Step, instance: &mut Option<Instance>) -> Event {
        match step {
            Step::Poll { seen, wait } => fetched(self.aggregator.poll(seen, wait)),
            Step::Fetch(fetch) => fetched(self.aggregator.fetch(fetch)),
            Step::Send(outgoing) => match self.aggregator.send(self.site, &outgoing) {
                Ok(()) => Event::Sent,
                Err(error) => Event::Failed(error.failure()),
            },
            Step::Draw => match entropy::seed() {
                Ok(seed) => Event::Drawn(Zeroizing::new(seed)),
                Err(error) => Event::Failed(Failure::Site(error.to_string())),
            },
            Step::Read(piece) => read(self.files, piece),
            Step::Open(request) => open(self.sandbox, instance, &request),
            Step::Ask(request) => ask(instance, &request),
            Step::Sign(bytes) => Event::Signed(self.identity.sign(&bytes)),
            Step::Store(writes) => store(self.disk, writes),
            Step::Load(key) => load(self.disk, key),
            Step::Wait(duration) => {
                std::thread::sleep(duration);
                Event::Waited
            }
            Step::Finished(_) => Event::Started,
        }
    }

    fn tell(&self, notice: &Notice) {
        match notice {
            Notice::Round(header) => self.reporter.round(header),
            Notice::Work(progress) => self.reporter.work(*progress),
            Notice::Sent {
                header,
                stage,
                bytes,
            } => self.reporter.sent(header, *stage, *bytes),
            Notice::Patients(report) => self.patients(report),
            other => self.reporter.note(&other.to_string()),
        }
    }
}

impl Driver<'_> {
    /// Tells the site's own people; whatever it is, the site goes on.
    fn patients(&self, report: &Report) {
        self.reporter.note(&coverage::told(report).join("\n"));
        for doubt in coverage::doubts(report) {
            self.reporter.note(&format!("warning: {doubt}"));
        }
    }
}

/// Reads a piece of a file.
pub(crate) fn read(paths: &[PathBuf], piece: Piece) -> Event {
    pieces::of(paths, piece).map_or_else(|error| broken(&error), Event::Read)
}

/// Makes changes durable, one after the other.
pub(crate) fn store(disk: &Disk, writes: Writes) -> Event {
    let done = writes.list().iter().try_for_each(|write| disk.write(write));
    done.map_or_else(|error| broken(&error), |()| Event::Stored(writes.written()))
}

/// What is kept.
pub(crate) fn load(disk: &Disk, key: Key) -> Event {
    disk.load(key)
        .map_or_else(|error| broken(&error), Event::Loaded)
}

/// Starts a fresh instance and asks it.
pub(crate) fn open(sandbox: &Sandbox, instance: &mut Option<Instance>, request: &Request) -> Event {
    // One at a time has its memory.
    *instance = None;
    match sandbox.instance() {
        Ok(new) => {
            *instance = Some(new);
            ask(instance, request)
        }
        Err(error) => Event::Failed(Failure::Module(failure(&error))),
    }
}

/// What the module answers.
pub(crate) fn ask(instance: &mut Option<Instance>, request: &Request) -> Event {
    let answer = instance.as_mut().ok_or(SandboxError::Gone);
    match answer.and_then(|instance| instance.ask(request)) {
        Ok(response) => Event::Answered(Box::new(response)),
        Err(error) => Event::Failed(Failure::Module(failure(&error))),
    }
}

fn failure(error: &SandboxError) -> ModuleFailure {
    match error {
        SandboxError::Refused(_) => ModuleFailure::Refused(error.to_string()),
        other => ModuleFailure::Broken(other.to_string()),
    }
}

fn fetched(answer: Result<Vec<u8>, AggregatorError>) -> Event {
    match answer {
        Ok(bytes) => Event::Fetched(bytes),
        Err(error) => Event::Failed(error.failure()),
    }
}

fn broken(error: &impl ToString) -> Event {
    Event::Failed(Failure::Site(error.to_string()))
}
