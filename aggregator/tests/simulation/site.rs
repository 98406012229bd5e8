//! A hospital: the site's part of the protocol, under the rules that its host keeps.
//!
//! What was signed is on the disk before it is sent, one body a stage; the ledger is charged before the masked input
//! leaves; a site that is killed starts again from its seed and the requests on its disk, and must come to the same
//! bytes. The host's own tests hold its files to that; here the rules meet all that a network and an aggregator can do.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use privacy::{Budget, Ledger, Release};
use protocol::api::{MissingChunks, RoundView, Stage, Status};
use protocol::codec;
use protocol::door::{Messages, Request, State};
use protocol::id::{Digest, Header, Purpose, SiteId};
use protocol::message::Signed;
use protocol::withdrawal::{Cause, Withdrawal};
use testkit::FakeSite;

use crate::service::{Call, Refusal};
use crate::setting::Setting;
use crate::wire::{Loss, Wire};

/// A hospital.
pub(crate) struct Site<'a> {
    setting: &'a Setting,
    pub(crate) id: SiteId,
    pub(crate) disk: Disk,
    part: Part<'a>,
    presence: Presence,
}

/// Whether a site does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Here,
    Away,
}

/// What outlives the program.
#[derive(Default)]
pub(crate) struct Disk {
    /// By the round's number.
    pub(crate) rounds: BTreeMap<u32, Journal>,
    pub(crate) ledger: Ledger,
}

/// What a site asked its module in a round, and what came of it.
pub(crate) struct Journal {
    pub(crate) header: Header,
    pub(crate) vector: Vec<i64>,
    pub(crate) exchanges: Vec<(Request, Signed)>,
    /// The sealed chunks of the masked vector, once it was made.
    pub(crate) chunks: Vec<Vec<u8>>,
}

/// The site's part in the open round; in memory.
enum Part<'a> {
    /// The program has just started.
    Idle,
    /// It takes part; `delivered` is the last stage whose message the aggregator holds.
    In {
        number: u32,
        module: Option<Box<FakeSite<'a>>>,
        delivered: Option<Stage>,
    },
    /// It sits this round out.
    Out(u32),
}

/// Why a step ends before its end.
enum Stop {
    /// A call was lost; the next step makes it again.
    Lost,
    /// The round goes on without this site.
    SitOut,
    /// The program ends, by itself or not, and is started again.
    Exit,
}

impl From<Loss> for Stop {
    fn from(loss: Loss) -> Self {
        match loss {
            Loss::Lost => Self::Lost,
            Loss::Refused(Refusal::TooLate) => Self::SitOut,
            Loss::Refused(Refusal::Other) | Loss::Killed => Self::Exit,
        }
    }
}

impl<'a> Site<'a> {
    pub(crate) fn new(setting: &'a Setting, id: SiteId) -> Self {
        Self {
            setting,
            id,
            disk: Disk::default(),
            part: Part::Idle,
            presence: Presence::Here,
        }
    }

    /// Kills the program.
    pub(crate) fn crash(&mut self) {
        self.part = Part::Idle;
    }

    pub(crate) fn set(&mut self, presence: Presence) {
        self.presence = presence;
    }

    /// Asks where the study is and does what can be done.
    pub(crate) fn step(&mut self, wire: &mut Wire<'_>) {
        if self.presence == Presence::Away {
            return;
        }
        match self.go_on(wire) {
            Ok(()) | Err(Stop::Lost) => {}
            Err(Stop::SitOut) => {
                if let Part::In { number, .. } = self.part {
                    self.part = Part::Out(number);
                    self.withdraw(wire);
                }
            }
            Err(Stop::Exit) => self.crash(),
        }
    }

    /// Says that it takes no further part in its last round; whether that arrives does not matter to it.
    pub(crate) fn withdraw(&self, wire: &mut Wire<'_>) {
        let Some(number) = self.disk.rounds.keys().next_back() else {
            return;
        };
        let kit = &self.setting.kit;
        let (study, identity) = (kit.study.digest(), &kit.identities[usize::from(self.id.0)]);
        let withdrawal = Withdrawal::sign(study, *number, self.id, Cause::Refusal, identity);
        wire.call(Call::Withdraw(codec::encode(&withdrawal))).ok();
    }

    fn go_on(&mut self, wire: &mut Wire<'_>) -> Result<(), Stop> {
        let view: RoundView = decoded(&wire.call(Call::View)?)?;
        let Status::Open {
            header,
            stage,
            waiting,
        } = view.status
        else {
            return Ok(());
        };
        self.enter(&header, wire)?;
        if waiting.contains(&self.id) {
            self.take_part(stage, wire)?;
        }
        Ok(())
    }

    /// Makes its part that in the round with this header.
    fn enter(&mut self, header: &Header, wire: &mut Wire<'_>) -> Result<(), Stop> {
        match self.part {
            Part::In { number, .. } if number == header.number => {
                return self.is_the_same(header);
            }
            Part::Out(number) if number == header.number => return Ok(()),
            Part::In { .. } | Part::Out(_) | Part::Idle => self.part = Part::Idle,
        }
        match self.disk.rounds.keys().next_back() {
            Some(last) if header.number < *last => Err(Stop::Exit),
            Some(last) if header.number == *last => {
                self.is_the_same(header)?;
                self.part = part_in(header.number, None);
                Ok(())
            }
            _ => self.start(header, wire),
        }
    }

    fn is_the_same(&self, header: &Header) -> Result<(), Stop> {
        if self.disk.rounds[&header.number].header == *header {
            Ok(())
        } else {
            Err(Stop::Exit)
        }
    }

    fn start(&mut self, header: &Header, wire: &mut Wire<'_>) -> Result<(), Stop> {
        let study = &self.setting.kit.study;
        if header.study != study.digest() || !study.plan().contains(&header.purpose) {
            return Err(Stop::Exit);
        }
        if !study.takes_part(self.id, header) {
            self.part = Part::Out(header.number);
            return Ok(());
        }
        let state = wire.call(Call::State(header.state))?;
        if Digest::of(&state) != header.state {
            return Err(Stop::Exit);
        }
        decoded::<State>(&state)?;
        // Before it trains for nothing.
        let mut ledger = self.disk.ledger.clone();
        ledger
            .charge(release(self.setting, header), promise(self.setting))
            .map_err(|_| Stop::Exit)?;
        let vector = self.setting.vector(header, self.id);
        let module = FakeSite::new(&self.setting.kit, header, self.id, vector.clone());
        let journal = Journal {
            header: header.clone(),
            vector,
            exchanges: Vec::new(),
            chunks: Vec::new(),
        };
        self.disk.rounds.insert(header.number, journal);
        self.part = part_in(header.number, Some(Box::new(module)));
        Ok(())
    }

    /// Sends the message of a stage, unless the aggregator holds it.
    fn take_part(&mut self, stage: Stage, wire: &mut Wire<'_>) -> Result<(), Stop> {
        let Part::In {
            number, delivered, ..
        } = self.part
        else {
            return Ok(());
        };
        if delivered >= Some(stage) {
            return Ok(());
        }
        if self.made(number, stage).is_none() {
            self.make(number, stage, wire)?;
        }
        if stage == Stage::Mask {
            self.charge(number)?;
        }
        let message = self.made(number, stage).ok_or(Stop::Exit)?;
        wire.call(Call::Send(number, stage, codec::encode(message)))?;
        if stage == Stage::Mask {
            self.upload(number, wire)?;
        }
        if let Part::In { delivered, .. } = &mut self.part {
            *delivered = Some(stage);
        }
        Ok(())
    }

    fn made(&self, number: u32, stage: Stage) -> Option<&Signed> {
        let exchanges = &self.disk.rounds[&number].exchanges;
        exchanges.get(place(stage)).map(|(_, message)| message)
    }

    /// Brings the module to where the journal is, asks it for the message of a stage, and writes both down.
    fn make(&mut self, number: u32, stage: Stage, wire: &mut Wire<'_>) -> Result<(), Stop> {
        let journal = self
            .disk
            .rounds
            .get_mut(&number)
            .expect("a part is in a round that was started");
        if journal.exchanges.len() != place(stage) {
            // The module refuses what is out of order.
            return Err(Stop::SitOut);
        }
        let Part::In { module, .. } = &mut self.part else {
            return Ok(());
        };
        let mut asked = match module.take() {
            Some(module) => module,
            None => Box::new(restarted(self.setting, self.id, journal)),
        };
        let request = match request(number, self.id, stage, wire) {
            Ok(request) => request,
            Err(error) => {
                *module = Some(asked);
                return Err(error);
            }
        };
        // A module that refuses is gone.
        let message = ask(&mut asked, &request).ok_or(Stop::SitOut)?;
        if stage == Stage::Mask {
            journal.chunks = asked.chunks().collect();
        }
        journal.exchanges.push((request, message));
        *module = Some(asked);
        Ok(())
    }

    fn charge(&mut self, number: u32) -> Result<(), Stop> {
        let header = &self.disk.rounds[&number].header;
        let release = release(self.setting, header);
        if self
            .disk
            .ledger
            .find(&release.study, release.round)
            .is_some()
        {
            return Ok(());
        }
        self.disk
            .ledger
            .charge(release, promise(self.setting))
            .map_err(|_| Stop::Exit)
    }

    fn upload(&self, number: u32, wire: &mut Wire<'_>) -> Result<(), Stop> {
        let missing: MissingChunks = decoded(&wire.call(Call::Missing(number, self.id))?)?;
        let chunks = &self.disk.rounds[&number].chunks;
        for chunk in missing.chunks {
            let place = usize::try_from(chunk).map_err(|_| Stop::Exit)?;
            let bytes = chunks.get(place).ok_or(Stop::Exit)?.clone();
            wire.call(Call::Chunk(number, self.id, chunk, bytes))?;
        }
        Ok(())
    }
}

/// What a round's vector can tell of a patient, as a hospital charges it.
fn release(setting: &Setting, header: &Header) -> Release {
    let purpose = match header.purpose {
        Purpose::Moments => privacy::Purpose::Normalisation,
        Purpose::Train => privacy::Purpose::Training,
        Purpose::Evaluate | Purpose::Tune => privacy::Purpose::Evaluation,
        Purpose::Seed | Purpose::Cluster => privacy::Purpose::Clustering,
    };
    Release {
        study: header.study.0,
        round: header.number,
        purpose,
        cost: setting.kit.study.cost(header.purpose),
    }
}

/// What the study promises; none where its ε is infinite.
fn promise(setting: &Setting) -> Option<Budget> {
    setting.kit.study.promise()
}

fn part_in<'a>(number: u32, module: Option<Box<FakeSite<'a>>>) -> Part<'a> {
    Part::In {
        number,
        module,
        delivered: None,
    }
}

/// A module that was asked again what the journal says that it was asked.
fn restarted<'a>(setting: &'a Setting, site: SiteId, journal: &Journal) -> FakeSite<'a> {
    let mut module = FakeSite::new(&setting.kit, &journal.header, site, journal.vector.clone());
    for (request, message) in &journal.exchanges {
        let again = ask(&mut module, request);
        assert_eq!(
            again.as_ref(),
            Some(message),
            "site {site} makes another message of the same inputs"
        );
    }
    module
}

/// What a module is to be asked at a stage, given what the aggregator has.
fn request(number: u32, site: SiteId, stage: Stage, wire: &mut Wire<'_>) -> Result<Request, Stop> {
    // What the aggregator does not have for a site, the round goes on without.
    let mut fetch = |call| match wire.call(call) {
        Err(Loss::Refused(_)) => Err(Stop::SitOut),
        other => Ok(other?),
    };
    Ok(match stage {
        Stage::Advertise => Request::Advertise,
        Stage::Share => Request::Share(decoded(&fetch(Call::Adverts(number))?)?),
        Stage::Mask => Request::Mask(decoded(&fetch(Call::Inbox(number, site))?)?),
        Stage::Agree => Request::Agree(decoded(&fetch(Call::Survivors(number))?)?),
        Stage::Unmask => Request::Unmask(decoded(&fetch(Call::Statements(number))?)?),
    })
}

/// The module's answer, signed by the host; none where it refuses.
fn ask(module: &mut FakeSite<'_>, request: &Request) -> Option<Signed> {
    match request {
        Request::Advertise => module.advertise().ok(),
        Request::Share(adverts) => module.share(&signed(adverts)?).ok(),
        Request::Mask(inbox) => module.mask(inbox).ok(),
        Request::Agree(survivors) => module.agree(survivors).ok(),
        Request::Unmask(statements) => module.unmask(&signed(statements)?).ok(),
        _ => panic!("a round asks for no more"),
    }
}

fn signed(messages: &Messages) -> Option<Vec<Signed>> {
    let messages = messages.messages.iter();
    messages.map(|bytes| codec::decode(bytes).ok()).collect()
}

fn decoded<T>(bytes: &[u8]) -> Result<T, Stop>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    codec::decode(bytes).map_err(|_| Stop::Exit)
}

fn place(stage: Stage) -> usize {
    Stage::ALL.iter().filter(|one| **one < stage).count()
}
