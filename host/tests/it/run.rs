//! A site's part in whole rounds, against an aggregator and other sites that live in memory.
//!
//! The module here is a tape: it gives to each kind of request what a site computed beforehand, so a restart gets the
//! same answers, as it does from the real module.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::server::{Reply, Server};
use crate::tape;
use host::aggregator::Aggregator;
use host::compiled::Compiled;
use host::disk::Disk;
use host::ledger;
use host::replay;
use host::reporter::Reporter;
use host::run::Driver;
use host::sandbox::{Allowance, Sandbox};
use host::vault::{KeySource, Surroundings, Vault, VaultSettings};
use participant::journal::Journal;
use participant::ledger::{Ledger, LedgerError, LedgerId};
use participant::pace::Pace;
use participant::patience::Patience;
use participant::reading::PatientFile;
use participant::replay::Comparison;
use participant::{Key, Participant, Stop, plan};
use protocol::api::{Announcement, Announcements, MissingChunks, RoundView, Stage, Status};
use protocol::codec;
use protocol::door::{BadRows, Open, Prepared, Progress, Report, Response, Role, State};
use protocol::id::{Digest, Header, Purpose, SiteId};
use protocol::message::Signed;
use protocol::round::{Accepted, AnyRound, SiteFault};
use protocol::seed::Seed;
use protocol::withdrawal::{Cause, Withdrawal};
use tempfile::TempDir;
use testkit::round::{Dropouts, Play, Storage};
use testkit::{Asked, Draft, TestStudy};

const SITE: SiteId = SiteId(0);
/// What the module keeps of a round.
const MEMORY: &[u8] = b"kept";

#[test]
fn a_round_runs_to_its_end_and_can_be_replayed() {
    let world = World::new();
    let digest = world.run(&world.serve(None)).unwrap();
    assert_eq!(digest, Digest::of(&world.state));
    let ledger = world.ledger();
    assert_eq!(ledger.lines().len(), 1);
    assert_eq!(world.load(Key::Model).unwrap(), world.state);
    assert_eq!(world.load(Key::Memory).as_deref(), Some(MEMORY));

    let (journal, _) = Journal::decode(&world.load(Key::Journal(0)).unwrap()).unwrap();
    let journal = journal.unwrap();
    let compared = world.replay(&world.sandbox, &journal);
    assert_eq!(
        compared.iter().map(|one| one.stage).collect::<Vec<_>>(),
        Stage::ALL
    );
    assert!(compared.iter().all(Comparison::is_identical));
    let commitments: Vec<bool> = compared
        .iter()
        .map(|one| one.commitment.is_some())
        .collect();
    assert_eq!(commitments, [false, false, true, false, false]);

    // Another module would have sent something else in one stage.
    let mut bodies = world.bodies.clone();
    let last = bodies[2].len() - 1;
    bodies[2][last] ^= 1;
    let compared = world.replay(&tape(&bodies, &world.chunks), &journal);
    let identical: Vec<bool> = compared.iter().map(Comparison::is_identical).collect();
    assert_eq!(identical, [true, true, false, true, true]);
}

#[test]
fn a_crash_at_any_message_is_survived_and_nothing_is_charged_twice() {
    for stage in Stage::ALL {
        for cut in [Cut::Before, Cut::After] {
            let world = World::new();
            let server = world.serve(Some((stage, cut)));
            let error = world.run(&server).unwrap_err();
            assert!(
                matches!(error, Stop::Unreachable(_)),
                "{stage} {cut:?}: {error}"
            );
            world.run(&server).unwrap();
            assert_eq!(world.ledger().lines().len(), 1, "{stage} {cut:?}");
            // What was sent again is what was sent before.
            let sent: Vec<Asked> = server
                .asked()
                .into_iter()
                .filter(|asked| asked.line.starts_with("POST"))
                .collect();
            for one in &sent {
                for other in sent.iter().filter(|other| other.line == one.line) {
                    assert_eq!(one, other);
                }
            }
            let tries = sent
                .iter()
                .filter(|asked| asked.line.ends_with(&format!("/{stage}")))
                .count();
            // A message that had arrived need not be sent again, where the stage had ended with it.
            let ended = matches!(cut, Cut::After) && stage != Stage::Mask;
            assert_eq!(tries, if ended { 1 } else { 2 }, "{stage} {cut:?}");
        }
    }
}

/// Vectors of two chunks and a short one.
const LONG: u32 = 140_000;

#[test]
fn a_crash_at_any_chunk_is_survived_and_only_what_is_missing_is_sent_again() {
    for number in 0..3 {
        for cut in [Cut::Before, Cut::After] {
            let world = World::with_parameters(LONG);
            let line = format!("PUT /v1/rounds/0/chunks/0/{number}");
            let server = world.serve_cut(Some((line, cut)));
            world.run(&server).unwrap_err();
            let kept = world.disk.round(0).join("chunks");
            assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 3);
            world.run(&server).unwrap();
            assert_eq!(world.ledger().lines().len(), 1, "chunk {number} {cut:?}");
            assert!(!kept.exists(), "chunks go once they are not needed");

            let asked = server.asked();
            let puts = asked.iter().filter(|asked| asked.line.starts_with("PUT"));
            let puts: Vec<&Asked> = puts.collect();
            assert_eq!(puts.len(), if matches!(cut, Cut::Before) { 4 } else { 3 });
            for put in puts {
                let number = put.line.rsplit('/').next().unwrap();
                let number: usize = number.parse().unwrap();
                assert_eq!(put.body, world.chunks[number]);
            }
        }
    }
}

#[test]
fn chunks_that_are_lost_or_damaged_on_the_disk_are_made_again() {
    let world = World::with_parameters(LONG);
    let line = "PUT /v1/rounds/0/chunks/0/0".to_owned();
    let server = world.serve_cut(Some((line, Cut::Before)));
    world.run(&server).unwrap_err();
    let kept = world.disk.round(0).join("chunks");
    std::fs::remove_file(kept.join("00000")).unwrap();
    std::fs::write(kept.join("00001"), b"other bytes").unwrap();
    world.run(&server).unwrap();
    assert!(!kept.exists());
}

#[test]
fn a_chunk_that_was_not_announced_is_never_sent() {
    let mut world = World::with_parameters(LONG);
    world.chunks[1][70] ^= 1;
    world.sandbox = tape(&world.bodies, &world.chunks);
    let server = world.serve(None);
    let error = world.run(&server).unwrap_err();
    assert!(matches!(error, Stop::Egress(_)), "{error}");
    // Nor is the announcement, nor is anything charged.
    let asked = server.asked();
    let sent = |line: &str| asked.iter().any(|asked| asked.line.starts_with(line));
    assert!(!sent("PUT") && !sent("POST /v1/rounds/0/mask"));
    assert_eq!(world.ledger().lines().len(), 0);
}

#[test]
fn another_answer_after_a_restart_is_never_sent() {
    let mut world = World::new();
    let server = world.serve(Some((Stage::Share, Cut::Before)));
    world.run(&server).unwrap_err();
    let mut bodies = world.bodies.clone();
    bodies[0][20] ^= 1;
    world.sandbox = tape(&bodies, &world.chunks);
    let sent = server.asked().len();
    let error = world.run(&server);
    // The journal names the module, so the round is left alone; nothing is sent either way.
    assert!(!matches!(error, Err(Stop::Egress(_))), "{error:?}");
    let later = server.asked()[sent..].to_vec();
    let mut posted = later.iter().filter(|asked| asked.line.starts_with("POST"));
    assert_eq!(posted.next(), Some(&world.withdrawal(Cause::Failure)));
    assert_eq!(posted.next(), None);
}

#[test]
fn a_module_that_would_send_too_much_is_stopped() {
    let mut world = World::new();
    world.bodies[2].push(0);
    world.sandbox = tape(&world.bodies, &world.chunks);
    let server = world.serve(None);
    let error = world.run(&server).unwrap_err();
    assert!(matches!(error, Stop::Egress(_)), "{error}");
    let asked = server.asked();
    let sent = asked
        .iter()
        .filter(|asked| asked.line.starts_with("POST /v1/rounds/"));
    assert_eq!(sent.count(), 2);
    assert_eq!(asked.last(), Some(&world.withdrawal(Cause::Failure)));
    assert_eq!(world.ledger().lines().len(), 0);
}

#[test]
fn a_spent_budget_stops_before_anything_is_sent() {
    let world = World::new();
    let budget = privacy::Budget {
        epsilon: 1e-9.try_into().unwrap(),
        delta: 1e-6.try_into().unwrap(),
    };
    let server = world.serve(None);
    let error = world.run_with(&server, Some(budget)).unwrap_err();
    assert!(
        matches!(error, Stop::Ledger(LedgerError::PatientsSpent(_))),
        "{error}"
    );
    let sent: Vec<Asked> = server
        .asked()
        .into_iter()
        .filter(|asked| !asked.line.starts_with("GET"))
        .collect();
    assert_eq!(sent, [world.withdrawal(Cause::Budget)]);
}

#[test]
fn an_aggregator_that_does_not_take_a_withdrawal_changes_nothing() {
    let mut world = World::new();
    world.bodies[0].push(0);
    world.sandbox = tape(&world.bodies, &world.chunks);
    let failure = world.withdrawal(Cause::Failure);
    let server = world.serve_cut(Some((failure.line.clone(), Cut::Before)));
    let error = world.run(&server).unwrap_err();
    assert!(matches!(error, Stop::Egress(_)), "{error}");
    let told = |asked: &&Asked| asked.line == failure.line;
    assert_eq!(server.asked().iter().filter(told).count(), 1, "once");
}

#[test]
fn a_round_of_another_study_is_refused() {
    let mut world = World::new();
    world.header.study = Digest([9; 32]);
    let error = world.run(&world.serve(None)).unwrap_err();
    assert!(
        matches!(error, Stop::Plan(plan::Refusal::OtherStudy { .. })),
        "{error}"
    );
}

#[test]
fn a_state_that_is_none_of_the_studys_is_refused() {
    let mut world = World::new();
    let state = State {
        offset: vec![0.0; 5],
        ..State::default()
    };
    world.state = codec::encode(&state);
    world.header.state = Digest::of(&world.state);
    let server = world.serve(None);
    let error = world.run(&server).unwrap_err();
    assert!(
        error.to_string().contains("5 weights and the study 6"),
        "{error}"
    );
    assert_eq!(
        server.asked().last(),
        Some(&world.withdrawal(Cause::Refusal))
    );
}

#[test]
fn an_aggregator_that_goes_back_is_refused() {
    let world = World::new();
    let begun = format!(
        "{{\"begun\":{{\"number\":8,\"place\":0,\"purpose\":\"train\",\"state\":\"{}\"}}}}\n",
        world.header.state
    );
    let register = world.disk.path(Key::Register);
    std::fs::create_dir_all(register.parent().unwrap()).unwrap();
    std::fs::write(register, begun).unwrap();
    let server = world.serve(None);
    let error = world.run(&server).unwrap_err();
    assert!(
        matches!(
            error,
            Stop::Plan(plan::Refusal::Backwards { number: 0, last: 8 })
        ),
        "{error}"
    );
    assert_eq!(
        server.asked().last(),
        Some(&world.withdrawal(Cause::Refusal))
    );
}

#[test]
fn a_charged_round_whose_journal_is_gone_is_never_computed_again() {
    let world = World::new();
    let server = world.serve(Some((Stage::Agree, Cut::Before)));
    world.run(&server).unwrap_err();
    assert_eq!(world.ledger().lines().len(), 1);
    std::fs::remove_dir_all(world.disk.round(0)).unwrap();
    let sent = server.asked().len();
    let error = world.run(&server).unwrap_err();
    assert_eq!(error, Stop::NoJournal(0));
    let later = server.asked()[sent..].to_vec();
    let left: Vec<&Asked> = later
        .iter()
        .filter(|asked| !asked.line.starts_with("GET"))
        .collect();
    assert_eq!(left, [&world.withdrawal(Cause::Failure)]);
}

#[test]
fn a_charged_round_is_not_sent_with_another_body() {
    let world = World::new();
    let server = world.serve(Some((Stage::Agree, Cut::Before)));
    world.run(&server).unwrap_err();
    // Somebody puts the ledger of another run of the same round in its place.
    let path = world.disk.path(Key::Ledger);
    let other = Ledger::decode(&Ledger::begin(LedgerId::new([9; 16])), None)
        .unwrap()
        .0;
    let line = other
        .line(
            &world.kit.study,
            &world.header,
            Digest::of(b"another body"),
            7,
        )
        .unwrap();
    let bytes = [Ledger::begin(other.id()), line.text().into_bytes()].concat();
    std::fs::write(path, bytes).unwrap();
    let sent = server.asked().len();
    let error = world.run(&server).unwrap_err();
    assert_eq!(error, Stop::Ledger(LedgerError::ChargedOther(0)));
    let later = server.asked()[sent..].to_vec();
    assert!(
        later
            .iter()
            .all(|asked| !asked.line.starts_with("POST /v1/rounds"))
    );
}

#[test]
fn a_ledger_that_comes_from_a_backup_is_told_before_anything_is_sent() {
    let world = World::new();
    world.run(&world.serve(None)).unwrap();
    // The aggregator shows what this site announced; ledger and register are those from before the round.
    let bytes = world.load(Key::Journal(0)).unwrap();
    let (journal, _) = Journal::decode(&bytes).unwrap();
    let journal = journal.unwrap();
    let message = journal.sending(Stage::Mask).unwrap().message().to_vec();
    std::fs::write(
        world.disk.path(Key::Ledger),
        Ledger::begin(LedgerId::new([1; 16])),
    )
    .unwrap();
    std::fs::remove_file(world.disk.path(Key::Register)).unwrap();
    let shown = Announcement {
        header: world.header.clone(),
        message: message.into(),
    };
    let server = Server::start(move |asked| {
        let first = asked.line.ends_with("from=0");
        Reply::cbor(codec::encode(&Announcements {
            announcements: first.then(|| shown.clone()).into_iter().collect(),
        }))
    });
    assert_eq!(world.run(&server), Err(Stop::LedgerBehind(vec![0])));
    let asked = server.asked();
    assert!(
        asked.iter().all(|asked| asked.line.starts_with("GET")),
        "{asked:?}"
    );
}

#[test]
fn chunks_are_asked_for_by_the_vectors_own_numbers_in_order() {
    for (chunks, wanted) in [
        (vec![0, 1, 2, 3], Stop::NoChunk(3)),
        (vec![u32::MAX], Stop::NoChunk(u32::MAX)),
        (vec![2, 0], Stop::Answer(ORDER.to_owned())),
        (vec![1; 1_000], Stop::Answer(ORDER.to_owned())),
    ] {
        let world = World::with_parameters(LONG);
        let server = world.serve_missing(chunks);
        assert_eq!(world.run(&server), Err(wanted));
        let sent = |asked: &&Asked| asked.line.starts_with("PUT");
        assert_eq!(server.asked().iter().filter(sent).count(), 0);
    }
}

const ORDER: &str = "missing chunks are not in ascending order";

#[test]
fn without_a_ledger_nothing_is_asked() {
    let world = World::new();
    std::fs::remove_file(world.disk.path(Key::Ledger)).unwrap();
    let server = world.serve(None);
    let error = world.run(&server).unwrap_err();
    assert_eq!(error, Stop::Ledger(LedgerError::Missing));
    assert!(server.asked().is_empty());
}

/// Where the connection breaks.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// The message does not arrive.
    Before,
    /// The answer does not arrive.
    After,
}

/// A study, its other sites, and this one.
struct World {
    folder: TempDir,
    kit: &'static TestStudy,
    header: Header,
    state: Vec<u8>,
    /// What this site sends, stage by stage.
    bodies: Vec<Vec<u8>>,
    /// The chunks of its masked vector.
    chunks: Vec<Vec<u8>>,
    sandbox: Sandbox,
    disk: Disk,
}

impl World {
    fn new() -> Self {
        Self::with_parameters(6)
    }

    fn with_parameters(parameters: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kit: &'static TestStudy = Box::leak(Box::new(
            Draft {
                epsilon: 1.0,
                sites: 3,
                threshold: 2,
                parameters,
                ..Draft::default()
            }
            .make(),
        ));
        let state = codec::encode(&State {
            offset: vec![0.0; usize::try_from(parameters).unwrap()],
            ..State::default()
        });
        let header = Header {
            study: kit.study.digest(),
            number: 0,
            place: 0,
            purpose: Purpose::Train,
            state: Digest::of(&state),
        };
        let (bodies, chunks) = rehearsed(kit, &header);
        std::fs::write(folder.path().join("events"), b"patients").unwrap();
        let settings = VaultSettings {
            key: KeySource::File(folder.path().join("outside.key")),
            state: folder.path().join("state"),
        };
        let vault = Vault::make(&settings, &Surroundings::of_process()).unwrap();
        let disk = Disk::new(&settings.state, &folder.path().join("study")).with_vault(vault);
        std::fs::write(
            ledger::path(&settings.state),
            Ledger::begin(LedgerId::new([1; 16])),
        )
        .unwrap();
        assert_eq!(identity().key(), kit.identities[0].key());
        Self {
            sandbox: tape(&bodies, &chunks),
            disk,
            folder,
            kit,
            header,
            state,
            bodies,
            chunks,
        }
    }

    /// What the aggregator gets when this site withdraws from the round.
    fn withdrawal(&self, cause: Cause) -> Asked {
        let study = self.kit.study.digest();
        let withdrawal = Withdrawal::sign(study, self.header.number, SITE, cause, &identity());
        Asked {
            line: "POST /v1/withdraw".to_owned(),
            body: codec::encode(&withdrawal),
        }
    }

    fn ledger(&self) -> Ledger {
        ledger::read(&self.folder.path().join("state"), None)
            .unwrap()
            .unwrap()
    }

    fn load(&self, key: Key) -> Option<Vec<u8>> {
        self.disk.load(key).unwrap()
    }

    fn replay(&self, sandbox: &Sandbox, journal: &Journal) -> Vec<Comparison> {
        let opened = journal.opened();
        let open = Open {
            study: self.kit.toml.clone().into_bytes().into(),
            cohort: Vec::new().into(),
            header: opened.header.clone(),
            state: self.load(Key::State(0)).unwrap().into(),
            site: opened.site,
            seed: Seed::new(self.load(Key::Seed(0)).unwrap().try_into().unwrap()),
            memory: self.load(Key::Kept(0)).unwrap().into(),
            weights: None,
        };
        replay::replay(sandbox, open, journal, &mut |_| ()).unwrap()
    }

    fn run(&self, server: &Server) -> Result<Digest, Stop> {
        self.run_with(server, None)
    }

    fn run_with(&self, server: &Server, budget: Option<privacy::Budget>) -> Result<Digest, Stop> {
        let aggregator = Aggregator::new(&server.url, None, Patience::NONE).unwrap();
        let files = vec![PatientFile {
            name: "events".to_owned(),
            role: Role::Events,
            zone: None,
        }];
        let driver = Driver {
            aggregator: &aggregator,
            sandbox: &self.sandbox,
            disk: &self.disk,
            identity: &identity(),
            site: SITE,
            files: &[self.folder.path().join("events")],
            reporter: &Reporter::Silent,
            clock: || 7,
        };
        driver.run(Participant::new(participant::Site {
            study: self.kit.study.clone(),
            text: self.kit.toml.clone().into_bytes(),
            weights: None,
            module: self.sandbox.digest(),
            id: SITE,
            pace: Pace::new(&self.kit.study, 0),
            patience: Patience::NONE,
            files,
            data: None,
            bad_rows: BadRows::Stop,
            budget,
        }))
    }

    /// An aggregator that holds one round, and then is finished; the wire to it breaks at a stage's message.
    fn serve(&self, cut: Option<(Stage, Cut)>) -> Server {
        self.serve_cut(cut.map(|(stage, cut)| (format!("POST /v1/rounds/0/{stage}"), cut)))
    }

    /// An aggregator that says that these chunks are missing.
    fn serve_missing(&self, chunks: Vec<u32>) -> Server {
        let table = Table {
            play: Some(begun(self.kit, &self.header)),
            chunks: BTreeMap::new(),
        };
        let table = Mutex::new(table);
        let (header, state) = (self.header.clone(), self.state.clone());
        Server::start(move |asked| {
            if asked.line == "GET /v1/rounds/0/chunks/0" {
                return Reply::cbor(codec::encode(&MissingChunks {
                    chunks: chunks.clone(),
                }));
            }
            answer(&mut table.lock().unwrap(), &header, &state, asked)
        })
    }

    /// The same, where the wire breaks at the first request whose line is this.
    fn serve_cut(&self, cut: Option<(String, Cut)>) -> Server {
        let table = Table {
            play: Some(begun(self.kit, &self.header)),
            chunks: BTreeMap::new(),
        };
        let table = Arc::new(Mutex::new(table));
        let (header, state) = (self.header.clone(), self.state.clone());
        let mut cut = cut;
        let mut polls = 0;
        Server::start(move |asked| {
            polls = if asked.line.starts_with("GET /v1/round?") {
                polls + 1
            } else {
                0
            };
            if polls > 5 {
                // A site that sits the round out would wait for the next one.
                return Reply::problem(410, "study-stopped");
            }
            let due = cut.take_if(|(line, _)| *line == asked.line);
            if let Some((_, Cut::Before)) = due {
                return Reply::HangUp;
            }
            let reply = answer(&mut table.lock().unwrap(), &header, &state, asked);
            if due.is_some() {
                return Reply::HangUp;
            }
            reply
        })
    }
}

/// What the aggregator has.
struct Table {
    /// None once the round is over.
    play: Option<Play<'static>>,
    /// The chunks of this site.
    chunks: BTreeMap<u32, Vec<u8>>,
}

fn answer(table: &mut Table, header: &Header, state: &[u8], asked: &Asked) -> Reply {
    let play = &mut table.play;
    let path: Vec<&str> = asked
        .line
        .split(['/', ' ', '?'])
        .filter(|part| !part.is_empty())
        .collect();
    match path.as_slice() {
        ["GET", "v1", "states", _] => Reply::cbor(state.to_vec()),
        ["GET", "v1", "announcements", "0", _] => {
            Reply::cbor(codec::encode(&Announcements::default()))
        }
        ["GET", "v1", "round", _] => {
            let status = match play {
                Some(play) => Status::Open {
                    header: header.clone(),
                    stage: play.round.stage(),
                    waiting: vec![SITE],
                },
                None => Status::Finished {
                    state: Digest::of(state),
                },
            };
            static VERSION: AtomicU64 = AtomicU64::new(1);
            let version = VERSION.fetch_add(1, Ordering::SeqCst);
            Reply::cbor(codec::encode(&RoundView { version, status }))
        }
        ["GET", "v1", "rounds", "0", "chunks", "0"] => {
            let numbers = play.as_ref().unwrap().round.chunking().numbers();
            let missing = numbers.filter(|number| !table.chunks.contains_key(number));
            Reply::cbor(codec::encode(&MissingChunks {
                chunks: missing.collect(),
            }))
        }
        ["PUT", "v1", "rounds", "0", "chunks", "0", number] => {
            put(table, number.parse().unwrap(), &asked.body)
        }
        ["GET", "v1", "rounds", "0", part, ..] => {
            let round = &play.as_ref().expect("a round is open").round;
            Reply::cbor(match *part {
                "adverts" => codec::encode(&round.adverts().unwrap()),
                "shares" => codec::encode(&round.inbox(SITE).unwrap()),
                "survivors" => codec::encode(&round.survivors().unwrap()),
                "statements" => codec::encode(&round.statements().unwrap()),
                other => panic!("{other}"),
            })
        }
        ["POST", "v1", "withdraw"] => Reply::Answer(204, "", Vec::new()),
        ["POST", "v1", "rounds", "0", stage] => take(play, stage.parse().unwrap(), &asked.body),
        other => panic!("{other:?}"),
    }
}

/// Takes this site's message, lets the other sites send theirs, and ends the stage.
fn take(play: &mut Option<Play<'static>>, stage: Stage, body: &[u8]) -> Reply {
    let accepted = Reply::Answer(204, "", Vec::new());
    let Some(open) = play else {
        return Reply::problem(410, "round-over");
    };
    let signed: Signed = codec::decode(body).unwrap();
    if open.round.accept(stage, signed).is_err() {
        return Reply::problem(403, "bad-signature");
    }
    // A masked input is there when its chunks are.
    if open.round.stage() == stage && stage != Stage::Mask {
        end_stage(play);
    }
    accepted
}

/// Takes a chunk of this site; with the last one, lets the other sites send theirs and ends the stage.
fn put(table: &mut Table, number: u32, sealed: &[u8]) -> Reply {
    let open = table.play.as_mut().unwrap();
    match open.round.check_chunk(SITE, number, sealed) {
        Ok(Accepted::Again) => return Reply::Answer(204, "", Vec::new()),
        Ok(Accepted::New) => {}
        Err(_) => return Reply::problem(422, "different-chunk"),
    }
    table.chunks.insert(number, sealed.to_vec());
    if table.chunks.len() == open.round.chunking().count() {
        let chunks = table.chunks.values().cloned().map(Ok);
        open.round.complete::<SiteFault>(SITE, chunks).unwrap();
        end_stage(&mut table.play);
    }
    Reply::Answer(204, "", Vec::new())
}

/// Lets the other sites send their messages, and ends the stage.
fn end_stage(play: &mut Option<Play<'static>>) {
    let open = play.as_mut().unwrap();
    let stage = open.round.stage();
    open.stage(&Dropouts::new(), Storage::Memory).unwrap();
    if stage == Stage::Unmask {
        *play = None
    } else {
        open.next_stage()
    }
}

fn begun(kit: &'static TestStudy, header: &Header) -> Play<'static> {
    let vector = vec![3; kit.study.layout(header.purpose).length()];
    if header.study != kit.study.digest() {
        // Another study's header: no round of this one begins with it, and nobody gets that far.
        return begun(
            kit,
            &Header {
                study: kit.study.digest(),
                ..header.clone()
            },
        );
    }
    Play::new(kit, header, &vec![vector; 3])
}

/// What this site sends in the round: bodies, and chunks.
fn rehearsed(kit: &'static TestStudy, header: &Header) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut play = begun(kit, header);
    let (mut bodies, mut chunks) = (Vec::new(), Vec::new());
    for stage in Stage::ALL {
        for site in play.round.missing() {
            let message = play.message(site).unwrap();
            if site == SITE {
                bodies.push(message.body.to_vec());
            }
            play.round.accept(stage, message).unwrap();
            if stage == Stage::Mask {
                play.upload(site).unwrap();
            }
        }
        if stage == Stage::Mask {
            chunks = play.sites[0].chunks().collect();
        }
        if stage != Stage::Unmask {
            let bytes = play.round.to_bytes();
            play.round = AnyRound::from_bytes(kit.aggregator(), &bytes).unwrap();
            play.next_stage();
        }
    }
    (bodies, chunks)
}

/// The identity that testkit gives to site 0.
fn identity() -> protocol::identity::Identity {
    protocol::identity::Identity::from_seed(&Digest::of(b"identity of site 0").0)
}

/// A module that gives `bodies` to the requests of the five stages and `chunks` by their numbers, and has no work to do.
fn tape(bodies: &[Vec<u8>], chunks: &[Vec<u8>]) -> Sandbox {
    let done = codec::encode(&Response::Progress(Progress {
        done: 0,
        total: 0,
        unusable: 0,
    }));
    let sends = bodies
        .iter()
        .map(|body| codec::encode(&Response::Send(body.clone().into())));
    let prepared = codec::encode(&Response::Prepared(Prepared {
        cohort: b"cohort".to_vec().into(),
        report: Report::default(),
    }));
    // Request 1 is prepare, 2 and 3 are open and work, 4 to 8 the stages, 13 is remember, 15 and on the chunks.
    let mut answers: Vec<Vec<u8>> = [done.clone(), prepared, done.clone(), done.clone()]
        .into_iter()
        .chain(sends)
        .collect();
    answers.resize(13, done.clone());
    answers.push(codec::encode(&Response::Memory(MEMORY.to_vec().into())));
    answers.push(done);
    let sealed = chunks
        .iter()
        .map(|chunk| codec::encode(&Response::Chunk(chunk.clone().into())));
    answers.extend(sealed);
    let wasm = tape::module(&answers);
    let allowance = Allowance {
        memory_mib: 16,
        request_seconds: 10,
    };
    Sandbox::load(&wasm, allowance, &Compiled::Anew).unwrap()
}
