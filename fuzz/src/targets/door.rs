//! The module's door: requests in turn.

use std::convert::Infallible;
use std::sync::OnceLock;

use ::cohort::File;
use client_wasm::handle;
use learning::model::Network;
use protocol::api::Stage;
use protocol::codec;
use protocol::door::{
    BadRows, Baseline, Describe, Export, Import, Open, Outcomes, Predict, Prepare, Prepared,
    Request, Response, State, Work, ask_with_pieces,
};
use protocol::id::{Digest, Header, Purpose, SiteId};
use protocol::seed::Seed;
use testkit::round::{Dropouts, Play, Storage};
use testkit::{Draft, TestStudy};

use super::{choose, cohort};

/// How many of an honest session's requests come first, then requests with their lengths (four bytes, least significant
/// first); the last may be cut short. Each gets a response, whatever came before.
pub(crate) fn requests_in_turn(input: &[u8]) {
    let Some((honest, requests)) = input.split_first() else {
        return;
    };
    // A refused one ends the session before it.
    answer(&codec::encode(&Request::Open(nothing())));
    let session = session();
    for asked in session
        .iter()
        .take(usize::from(*honest) % (session.len() + 1))
    {
        answer(&asked.request);
    }
    for request in Requests(requests) {
        answer(request);
    }
}

fn answer(request: &[u8]) {
    let response = handle(request);
    codec::decode::<Response>(&response).expect("the module answers in the one form");
}

pub(crate) fn sequences() -> Vec<Vec<u8>> {
    let session = session();
    let one = |(place, asked): (usize, &Asked)| choose(place, &framed(&asked.request));
    let mut seeds: Vec<Vec<u8>> = session.iter().enumerate().map(one).collect();
    let others = others().iter().map(codec::encode).collect::<Vec<_>>();
    seeds.extend(others.iter().map(|request| choose(0, &framed(request))));
    // A baseline and all that goes with it.
    let small = [
        Request::Work(Work { patients: 3 }),
        Request::Finish,
        Request::Remember,
        Request::Chunk(0),
        Request::Piece(
            b"subject_id,time,code,value\n1,2020-01-02,A,2.5\n"
                .to_vec()
                .into(),
        ),
        Request::Kept,
        Request::Kept,
    ];
    let rest: Vec<u8> = small
        .iter()
        .flat_map(|request| framed(&codec::encode(request)))
        .collect();
    for place in 0..=session.len() {
        seeds.push(choose(place, &rest));
    }
    seeds.extend(
        others
            .iter()
            .map(|request| choose(0, &[framed(request), rest.clone()].concat())),
    );
    seeds
}

pub(crate) fn requests() -> Vec<Vec<u8>> {
    let honest = session().iter().map(|asked| asked.request.clone());
    honest.chain(others().iter().map(codec::encode)).collect()
}

pub(crate) fn responses() -> Vec<Vec<u8>> {
    let honest = session().iter().map(|asked| asked.response.clone());
    let others = others();
    let others = others.iter().map(|request| handle(&codec::encode(request)));
    honest.chain(others).collect()
}

/// A request and its response, encoded.
struct Asked {
    request: Vec<u8>,
    response: Vec<u8>,
}

/// All requests of a round in which everyone is honest, in order.
fn session() -> &'static [Asked] {
    static SESSION: OnceLock<Vec<Asked>> = OnceLock::new();
    SESSION.get_or_init(|| {
        let mut host = Host::default();
        let kit = kit();
        let open = open(host.prepare());
        let header = open.header.clone();
        host.ask(&Request::Open(open));
        host.ask(&Request::Work(Work { patients: 2 }));
        host.ask(&Request::Work(Work { patients: u32::MAX }));
        let vector = vec![0; kit.study.layout(Purpose::Train).length()];
        let mut play = Play::new(kit, &header, &vec![vector; kit.identities.len()]);
        for stage in Stage::ALL {
            host.take_part(&mut play);
            // The others.
            let dropped = Dropouts::from([(SITE, Stage::Advertise)]);
            play.stage(&dropped, Storage::Memory)
                .expect("honest parties refuse nothing");
            if stage != Stage::Unmask {
                play.next_stage();
            }
        }
        host.asked
    })
}

/// A host that writes down what it asks.
#[derive(Default)]
struct Host {
    asked: Vec<Asked>,
}

impl Host {
    fn ask(&mut self, request: &Request) -> Response {
        let request = codec::encode(request);
        let response = handle(&request);
        let decoded = codec::decode(&response).expect("the module answers in the one form");
        assert!(
            !matches!(decoded, Response::Refused(_)),
            "an honest request is not refused: {decoded:?}"
        );
        self.asked.push(Asked { request, response });
        decoded
    }

    fn prepare(&mut self) -> Prepared {
        let files = cohort::files();
        let prepare = Request::Prepare(Prepare {
            study: study(),
            files: files.iter().map(File::source).collect(),
            bad_rows: BadRows::Stop,
            outcomes: Outcomes::Known,
        });
        let ask = |request: &Request| Ok::<_, Infallible>(self.ask(request));
        let read = |piece| Ok(File::piece(&files, piece).to_vec());
        match ask_with_pieces(&prepare, ask, read) {
            Ok(Response::Prepared(prepared)) => prepared,
            other => panic!("not prepared: {other:?}"),
        }
    }

    /// Sends this site's message of the stage, and at stage mask its chunk.
    fn take_part(&mut self, play: &mut Play<'_>) {
        let (stage, closed) = (play.round.stage(), "the stage before is closed");
        let request = match stage {
            Stage::Advertise => Request::Advertise,
            Stage::Share => Request::Share(play.round.adverts().expect(closed)),
            Stage::Mask => Request::Mask(play.round.inbox(SITE).expect(closed)),
            Stage::Agree => Request::Agree(play.round.survivors().expect(closed)),
            Stage::Unmask => Request::Unmask(play.round.statements().expect(closed)),
        };
        let Response::Send(body) = self.ask(&request) else {
            panic!("the module gives a body to send")
        };
        let signed = kit().sign(play.round.header(), stage, SITE, body.into());
        let honest = "an honest site is refused nothing";
        play.round.accept(stage, signed).expect(honest);
        if stage == Stage::Mask {
            let Response::Chunk(chunk) = self.ask(&Request::Chunk(0)) else {
                panic!("the module gives the vector's chunk")
            };
            let chunks = [Ok::<_, protocol::round::SiteFault>(chunk.into())];
            play.round.complete(SITE, chunks).expect(honest);
            self.ask(&Request::Remember);
        }
    }
}

/// Requests that no round has.
fn others() -> Vec<Request> {
    let (study, state) = (study(), codec::encode(&state()));
    let prepared = Host::default().prepare();
    vec![
        Request::Describe(Describe {
            study: study.clone(),
            weights: None,
        }),
        Request::Baseline(Baseline {
            study: study.clone(),
            cohorts: vec![prepared.cohort.clone()],
            weights: None,
            state: None,
        }),
        Request::Predict(Predict {
            study: study.clone(),
            cohort: prepared.cohort,
            state: state.clone().into(),
            weights: None,
        }),
        Request::Export(Export {
            study,
            state: state.into(),
            weights: None,
            without: Vec::new(),
        }),
        Request::Import(Import {
            map: include_bytes!("../../../maps/mimic-iv-demo.toml")
                .to_vec()
                .into(),
            name: "events.csv".to_owned(),
            bad_rows: BadRows::Drop,
            id_key: None,
            memory_mib: 1_024,
        }),
    ]
}

fn open(prepared: Prepared) -> Open {
    let state = codec::encode(&state());
    Open {
        study: study(),
        cohort: prepared.cohort,
        header: Header {
            state: Digest::of(&state),
            ..kit().header(1, Purpose::Train)
        },
        state: state.into(),
        site: SITE,
        seed: Seed::new([7; 32]),
        ..nothing()
    }
}

/// A request that is refused.
fn nothing() -> Open {
    Open {
        study: Vec::new().into(),
        cohort: Vec::new().into(),
        header: kit().header(0, Purpose::Train),
        state: Vec::new().into(),
        site: SITE,
        seed: Seed::new([0; 32]),
        memory: Vec::new().into(),
        weights: None,
    }
}

fn state() -> State {
    let parameters = kit().study.manifest().model.parameters;
    State {
        offset: vec![0.0; usize::try_from(parameters).expect("a small model")],
        ..State::default()
    }
}

fn study() -> minicbor::bytes::ByteVec {
    kit().toml.clone().into_bytes().into()
}

/// A study that says how many weights its model has.
fn kit() -> &'static TestStudy {
    static KIT: OnceLock<TestStudy> = OnceLock::new();
    KIT.get_or_init(|| {
        let mut draft = Draft {
            sites: 3,
            threshold: 2,
            ..Draft::default()
        };
        let study = draft.make().study;
        let (cohort, model) = (&study.manifest().cohort, &study.manifest().model);
        let network = Network::new(cohort, model).expect("the study's model fits its features");
        draft.parameters = u32::try_from(network.trained()).expect("a small model");
        draft.make()
    })
}

/// Requests one after the other, each with its length in front.
struct Requests<'a>(&'a [u8]);

impl<'a> Iterator for Requests<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (request, rest) = rest.split_at(length.min(rest.len()));
        self.0 = rest;
        Some(request)
    }
}

fn framed(request: &[u8]) -> Vec<u8> {
    let length = u32::try_from(request.len()).expect("requests here are small");
    [&length.to_le_bytes(), request].concat()
}

/// The site that the module is.
const SITE: SiteId = SiteId(0);
