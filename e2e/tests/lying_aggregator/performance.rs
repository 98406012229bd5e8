//! A script, played to a real host.
//!
//! All is done in one thread, so that the same script gives the same order of things: the host asks, the aggregator
//! answers, and the next lie begins when the host has nothing more to say to the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use protocol::api::{RoundView, Stage, Status};
use protocol::codec;
use protocol::id::{Digest, Header, Purpose};
use protocol::message::Signed;
use protocol::withdrawal::Withdrawal;
use testkit::{Asked, TestStudy};

use crate::aggregator::Round;
use crate::call::Call;
use crate::damage::Damage;
use crate::hospital::Site;
use crate::http::{self, Answer, Fault};
use crate::patients::Hospital;
use crate::prepared::prepared;
use crate::record::{Masked, Opened, Record, Sent};
use crate::script::{self, Lie, Moment, Named, Number, Opening, Place, Script};

/// Plays a script to this hospital.
///
/// # Errors
///
/// What the harness cannot do: what the host does wrong is in the record.
pub(crate) fn perform(script: &Script, hospital: Hospital) -> Result<Record> {
    let prepared = prepared(script.kind, hospital);
    let listener = TcpListener::bind("127.0.0.1:0").context("listening")?;
    listener.set_nonblocking(true)?;
    let site = Site::new(prepared, &listener.local_addr()?.to_string())?;
    let start = Instant::now();
    let mut performance = Performance {
        kit: &prepared.kit,
        script,
        site,
        lie: 0,
        next: 0,
        begun: Instant::now(),
        idle: None,
        version: 0,
        now: Now::Nothing,
        last: None,
        states: BTreeMap::new(),
        charged: Vec::new(),
        earlier: BTreeMap::new(),
        faults: 0,
        killed: BTreeSet::new(),
        record: Record::default(),
    };
    performance.play(&listener)?;
    let mut record = performance.record;
    record.time = start.elapsed();
    Ok(record)
}

/// A script that is being played.
struct Performance<'a> {
    kit: &'static TestStudy,
    script: &'a Script,
    site: Site,
    /// The place of the lie that is being told.
    lie: usize,
    /// The place of the next one.
    next: usize,
    /// When the lie was begun.
    begun: Instant,
    /// Since when the host has been asking for news alone.
    idle: Option<Instant>,
    /// Rises with every change.
    version: u64,
    now: Now,
    /// The last round's header.
    last: Option<Header>,
    /// All states that were named, by their digest.
    states: BTreeMap<Digest, Vec<u8>>,
    /// The places of which a masked input came.
    charged: Vec<u32>,
    /// What was relayed at each stage the last time.
    earlier: BTreeMap<Stage, Vec<u8>>,
    /// Faulty answers of this lie so far.
    faults: u32,
    /// The kills of this lie that are done, by their places.
    killed: BTreeSet<usize>,
    record: Record,
}

/// What the aggregator says is going on.
enum Now {
    Nothing,
    Open(Box<Round>),
    Finished(Digest),
}

/// Whether there is more of a script.
#[derive(PartialEq, Eq)]
enum More {
    Yes,
    No,
}

impl Performance<'_> {
    fn play(&mut self, listener: &TcpListener) -> Result<()> {
        if self.next_lie()? == More::No {
            return Ok(());
        }
        loop {
            if !self.site.is_started() {
                self.site.start()?;
            }
            self.record.memory_kib = self.record.memory_kib.max(self.site.memory_kib());
            match listener.accept() {
                Ok((stream, _)) => {
                    if self.serve(&stream)? == More::No {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.look_after_host()? == More::No {
                        break;
                    }
                }
                Err(error) => return Err(error).context("accepting a connection"),
            }
        }
        self.record.said += &self.site.kill()?;
        self.record.ledger = self.site.ledger();
        Ok(())
    }

    /// Sees whether the host has ended, or has come to nothing for too long.
    fn look_after_host(&mut self) -> Result<More> {
        if let Some(end) = self.site.ended()? {
            self.record.ends.push((self.lie, end));
            return self.next_lie();
        }
        if self.begun.elapsed() > LIMIT {
            self.record.hung.push(self.lie);
            self.record.said += &self.site.kill()?;
            return self.next_lie();
        }
        std::thread::sleep(Duration::from_millis(1));
        Ok(More::Yes)
    }

    /// Goes on in the script until something is shown to the host.
    fn next_lie(&mut self) -> Result<More> {
        loop {
            let Some(lie) = self.script.lies.get(self.next) else {
                return Ok(More::No);
            };
            (self.lie, self.next) = (self.next, self.next + 1);
            (self.begun, self.idle) = (Instant::now(), None);
            self.faults = 0;
            self.killed.clear();
            self.version += 1;
            match lie {
                Lie::Open(opening) => self.open(opening),
                Lie::Finish => self.finish(),
                Lie::Damage(damage) => {
                    self.damage(*damage)?;
                    continue;
                }
            }
            return Ok(More::Yes);
        }
    }

    fn damage(&mut self, damage: Damage) -> Result<()> {
        self.record.said += &self.site.kill()?;
        self.site.damage(damage)
    }

    fn finish(&mut self) {
        let state = codec::encode(&crate::state::sound(
            &self.kit.study,
            Purpose::Train,
            u16::MAX,
        ));
        let digest = Digest::of(&state);
        self.states.insert(digest, state);
        self.now = Now::Finished(digest);
    }

    fn open(&mut self, opening: &Opening) {
        let plan = self.kit.study.plan();
        let charged = self.charged.iter().max();
        let following = charged.map_or(0, |place| place.saturating_add(1));
        let place = match opening.place {
            Place::Next => following,
            Place::Skip(places) => following.saturating_add(places),
            Place::Charged => self.charged.last().copied().unwrap_or(0),
            Place::Exact(place) => place,
        };
        let planned = usize::try_from(place)
            .ok()
            .and_then(|place| plan.get(place));
        let purpose = match opening.purpose {
            script::Asked::Planned => planned.copied().unwrap_or(Purpose::Train),
            script::Asked::Other(purpose) => purpose,
        };
        let before = self
            .last
            .as_ref()
            .and_then(|last| self.states.get(&last.state));
        let count = u16::try_from(self.record.opened.len()).unwrap_or(u16::MAX);
        let served =
            opening
                .state
                .served(&self.kit.study, purpose, count, before.map(Vec::as_slice));
        let header = Header {
            study: match opening.study {
                Named::Approved => self.kit.study.digest(),
                Named::Another => Digest::of(b"another study"),
            },
            number: self.number(opening.number),
            place,
            purpose,
            state: served.digest,
        };
        self.states.insert(served.digest, served.bytes);
        self.last = Some(header.clone());
        self.record.opened.push(Opened {
            lie: self.lie,
            header: header.clone(),
            state: opening.state,
            is_read: false,
        });
        let round = Round::begin(self.kit, header, opening.clone());
        self.now = Now::Open(Box::new(round));
    }

    fn number(&self, number: Number) -> u32 {
        let last = self.last.as_ref().map(|last| last.number);
        match (number, last) {
            (Number::Exact(number), _) => number,
            (Number::Next | Number::Same | Number::Back(_), None) => 0,
            (Number::Ahead(step), None) => step,
            (Number::Next, Some(last)) => last.saturating_add(1),
            (Number::Ahead(step), Some(last)) => last.saturating_add(step),
            (Number::Same, Some(last)) => last,
            (Number::Back(step), Some(last)) => last.saturating_sub(step),
        }
    }

    /// Answers one request, or does to the host what the script says instead.
    fn serve(&mut self, stream: &TcpStream) -> Result<More> {
        let Some(asked) = http::read(stream) else {
            return Ok(More::Yes);
        };
        let call = Call::of(&asked.line);
        let moved_on = call == Call::View && self.is_over();
        if moved_on && self.next_lie()? == More::No {
            return Ok(More::No);
        }
        if moved_on && !self.site.is_started() {
            // The next lie began with a killed host.
            return Ok(More::Yes);
        }
        self.note(&asked, call);
        let fault = self.fault(call);
        let kill = self.kill(call);
        if kill == Some(Moment::Before) {
            self.record.said += &self.site.kill()?;
            return Ok(More::Yes);
        }
        if matches!(fault, Some(Fault::CutShort | Fault::Drip(_)) | None) {
            let answer = self.answer(call, &asked);
            if kill == Some(Moment::After) {
                self.record.said += &self.site.kill()?;
                return Ok(More::Yes);
            }
            http::answer(stream, &answer, fault);
        } else {
            http::answer(stream, &Answer::taken(), fault);
        }
        Ok(More::Yes)
    }

    fn is_over(&self) -> bool {
        match &self.now {
            Now::Open(round) => {
                round.is_over || self.idle.is_some_and(|since| since.elapsed() > PASSIVE)
            }
            Now::Nothing => true,
            Now::Finished(_) => false,
        }
    }

    /// Writes down what the host sent.
    fn note(&mut self, asked: &Asked, call: Call) {
        let shown = match &mut self.now {
            Now::Open(round) if call == Call::View => *round.shown.get_or_insert_with(Instant::now),
            Now::Open(round) => round.shown.unwrap_or_else(Instant::now),
            Now::Nothing | Now::Finished(_) => self.begun,
        };
        if call != Call::View {
            self.idle = None;
        }
        self.record.sent.push(Sent {
            lie: self.lie,
            call,
            line: asked.line.clone(),
            length: asked.body.len(),
            since: shown.elapsed(),
        });
        match call {
            Call::Send(Stage::Mask) => self.note_masked(asked),
            Call::Withdraw => {
                if let Ok(withdrawal) = codec::decode::<Withdrawal>(&asked.body) {
                    self.record.withdrawn.push((self.lie, withdrawal.cause));
                }
                if let Now::Open(round) = &mut self.now {
                    round.is_over = true;
                }
            }
            _ => {}
        }
    }

    fn note_masked(&mut self, asked: &Asked) {
        let (Ok(signed), Some(opened)) = (
            codec::decode::<Signed>(&asked.body),
            self.record.opened.last(),
        ) else {
            return;
        };
        self.charged.push(opened.header.place);
        self.record.masked.push(Masked {
            opened: opened.clone(),
            body: Digest::of(&signed.body),
            ledger: self.site.ledger(),
        });
    }

    /// The fault that is due at a call, if one is.
    fn fault(&mut self, call: Call) -> Option<Fault> {
        let Now::Open(round) = &self.now else {
            return None;
        };
        let (at, fault, times) = round.opening.fault?;
        if at != call || self.faults >= times {
            return None;
        }
        self.faults += 1;
        Some(fault)
    }

    /// Whether the host is to be killed at a call.
    fn kill(&mut self, call: Call) -> Option<Moment> {
        let Now::Open(round) = &self.now else {
            return None;
        };
        let kills = round.opening.kills.iter().enumerate();
        let mut due = kills.filter(|(place, (at, _))| *at == call && !self.killed.contains(place));
        let (place, (_, moment)) = due.next()?;
        self.killed.insert(place);
        Some(*moment)
    }

    fn answer(&mut self, call: Call, asked: &Asked) -> Answer {
        match call {
            Call::View => Answer::body(codec::encode(&self.view(&asked.line))),
            Call::State => self.state(&asked.line),
            Call::Withdraw => Answer::taken(),
            Call::Fetch(_) | Call::Send(_) | Call::Missing | Call::Chunk => {
                self.of_round(call, asked)
            }
            Call::Other => Answer::problem(404, "not-found"),
        }
    }

    /// Where the study is; a host that knows already is idle.
    fn view(&mut self, line: &str) -> RoundView {
        let seen = line
            .split(['?', '&'])
            .find_map(|part| part.strip_prefix("seen="));
        if seen.and_then(|seen| seen.parse().ok()) == Some(self.version) {
            self.idle.get_or_insert_with(Instant::now);
        }
        let status = match &self.now {
            Now::Open(round) => Status::Open {
                header: round.header.clone(),
                stage: round.stage,
                waiting: round.waiting(),
            },
            Now::Finished(state) => Status::Finished { state: *state },
            Now::Nothing => Status::Finished {
                state: Digest([0; 32]),
            },
        };
        RoundView {
            version: self.version,
            status,
        }
    }

    fn state(&self, line: &str) -> Answer {
        let name = line.rsplit('/').next().and_then(|name| name.parse().ok());
        match name.and_then(|digest: Digest| self.states.get(&digest)) {
            Some(state) => Answer::body(state.clone()),
            None => Answer::problem(404, "unknown-state"),
        }
    }

    fn of_round(&mut self, call: Call, asked: &Asked) -> Answer {
        let Now::Open(round) = &mut self.now else {
            return Answer::problem(410, "round-over");
        };
        let number = asked.line.split('/').nth(3);
        if number.and_then(|number| number.parse().ok()) != Some(round.header.number) {
            return Answer::problem(410, "round-over");
        }
        let stage = round.stage;
        let answer = match call {
            Call::Fetch(stage) => match round.fetched(stage, &mut self.earlier) {
                Some(told) => Answer::body(told),
                None => Answer::problem(409, "stage-not-open"),
            },
            Call::Missing => Answer::body(codec::encode(&round.missing())),
            Call::Chunk => {
                let number = asked.line.rsplit('/').next();
                if let Some(number) = number.and_then(|number| number.parse().ok()) {
                    round.take_chunk(number, asked.body.clone());
                }
                Answer::taken()
            }
            Call::Send(stage) => match codec::decode(&asked.body) {
                Ok(signed) => {
                    round.take(stage, signed);
                    Answer::taken()
                }
                Err(_) => Answer::problem(400, "malformed"),
            },
            Call::View | Call::State | Call::Withdraw | Call::Other => Answer::taken(),
        };
        if round.is_read
            && let Some(opened) = self.record.opened.last_mut()
        {
            opened.is_read = true;
        }
        if round.stage != stage || round.is_over {
            self.version += 1;
        }
        answer
    }
}

/// How long one lie may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a host asks for news alone until it is taken to have nothing more to say.
const PASSIVE: Duration = Duration::from_secs(3);
