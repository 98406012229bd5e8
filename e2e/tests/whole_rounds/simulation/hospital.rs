//! A hospital: the participant that real hospitals run, with the module's code, a disk and patients in memory.

use std::sync::Arc;
use std::time::Duration;

use cohort::File;
use minicbor::bytes::ByteVec;
use participant::ledger::LedgerId;
use participant::pace::Pace;
use participant::patience::Patience;
use participant::reading::PatientFile;
use participant::{Event, Failure, Key, ModuleFailure, Now, Participant, Step};
use protocol::door::{BadRows, Request, Response};
use protocol::id::{Digest, SiteId};
use protocol::seed::Seed;
use testkit::{Disk, TestStudy};

use super::module::Module;
use super::service::Service;

/// A hospital.
pub(crate) struct Hospital {
    kit: Arc<TestStudy>,
    pub(crate) id: SiteId,
    files: Vec<File>,
    disk: Disk,
    pub(crate) module: Module,
    participant: Participant,
    /// What the participant does next.
    next: Step,
    elapsed: Duration,
    /// What the module prepared of the patients.
    pub(crate) cohort: ByteVec,
}

impl Hospital {
    /// A hospital that has just started to take part.
    pub(crate) fn new(kit: &Arc<TestStudy>, id: SiteId, files: Vec<File>) -> Self {
        let mut participant = Participant::new(site(kit, id, &files));
        let start = Now {
            elapsed: Duration::ZERO,
            unix: 0,
        };
        let next = participant.step(Event::Started, start);
        Self {
            kit: Arc::clone(kit),
            id,
            files,
            disk: Disk::new(ledger(id)),
            module: Module::start(),
            participant,
            next: next.expect("a site starts"),
            elapsed: Duration::ZERO,
            cohort: Vec::new().into(),
        }
    }

    /// Does all that it can do until it waits for news of the aggregator, or has the published model.
    pub(crate) fn turn(&mut self, service: &mut Service) {
        loop {
            let step = std::mem::replace(&mut self.next, Step::Draw);
            match self.done(step, service) {
                Ok(event) => self.advance(event),
                Err(step) => {
                    self.next = step;
                    return;
                }
            }
        }
    }

    /// The published model, once it has it.
    pub(crate) fn model(&self) -> Option<Vec<u8>> {
        matches!(self.next, Step::Finished(_)).then(|| self.disk.load(Key::Model))?
    }

    /// What it keeps of its last round for its next one.
    pub(crate) fn memory(&self) -> Vec<u8> {
        self.disk.load(Key::Memory).unwrap_or_default()
    }

    /// What its people were told since this was asked last.
    pub(crate) fn told(&mut self) -> String {
        let notices = self.participant.notices();
        let notices: Vec<String> = notices.iter().map(ToString::to_string).collect();
        notices.join("\n")
    }

    fn advance(&mut self, event: Event) {
        self.elapsed += Duration::from_millis(1);
        let now = Now {
            elapsed: self.elapsed,
            unix: self.elapsed.as_secs(),
        };
        match self.participant.step(event, now) {
            Ok(step) => self.next = step,
            Err(stop) => {
                let told = self.told();
                panic!("site {}: {stop}\n{told}", self.id)
            }
        }
    }

    /// Does a step; gives it back where the aggregator has no news, or where nothing more is to be done.
    fn done(&mut self, step: Step, service: &mut Service) -> Result<Event, Step> {
        Ok(match step {
            Step::Poll { seen, .. } => Event::Fetched(service.poll(seen).ok_or(step)?),
            Step::Finished(_) => return Err(step),
            Step::Fetch(fetch) => Event::Fetched(service.fetch(fetch)),
            Step::Send(outgoing) => {
                service.take(self.id, &outgoing);
                Event::Sent
            }
            Step::Draw => {
                let seed = session_seed(self.id, service.number());
                Event::Drawn((*seed.expose()).into())
            }
            Step::Read(piece) => Event::Read(File::piece(&self.files, piece).to_vec()),
            Step::Open(request) => {
                self.module = Module::start();
                self.ask(&request)
            }
            Step::Ask(request) => self.ask(&request),
            Step::Sign(bytes) => {
                let identity = &self.kit.identities[usize::from(self.id.0)];
                Event::Signed(identity.sign(&bytes))
            }
            Step::Store(writes) => {
                for write in writes.list() {
                    self.disk.write(write);
                }
                Event::Stored(writes.written())
            }
            Step::Load(key) => Event::Loaded(self.disk.load(key)),
            Step::Wait(duration) => {
                self.elapsed += duration;
                Event::Waited
            }
        })
    }

    fn ask(&mut self, request: &Request) -> Event {
        match self.module.ask(request) {
            Response::Refused(refusal) => {
                Event::Failed(Failure::Module(ModuleFailure::Refused(refusal.reason)))
            }
            response => {
                if let Response::Prepared(prepared) = &response {
                    self.cohort.clone_from(&prepared.cohort);
                }
                Event::Answered(Box::new(response))
            }
        }
    }
}

/// The seed of a site's session in a round.
pub(crate) fn session_seed(site: SiteId, number: u32) -> Seed {
    Seed::new(Digest::of(format!("site {} round {number}", site.0).as_bytes()).0)
}

fn site(kit: &TestStudy, id: SiteId, files: &[File]) -> participant::Site {
    let file = |file: &File| PatientFile {
        name: file.name.clone(),
        role: file.role,
        zone: None,
    };
    participant::Site {
        study: kit.study.clone(),
        text: kit.toml.clone().into_bytes(),
        weights: None,
        module: kit.study.manifest().module,
        id,
        pace: Pace::new(&kit.study, 0),
        patience: Patience::NONE,
        files: files.iter().map(file).collect(),
        data: None,
        bad_rows: BadRows::Stop,
        budget: None,
    }
}

fn ledger(site: SiteId) -> LedgerId {
    let [high, low] = site.0.to_be_bytes();
    let mut name = [0; 16];
    name[..2].copy_from_slice(&[high, low]);
    LedgerId::new(name)
}
