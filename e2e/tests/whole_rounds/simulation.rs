//! A whole federation in memory: the module's code, natively, one thread a site, and the aggregator's rounds and course.
//!
//! Everything is as in the real programs but for transport, storage and the sandbox.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use aggregator::rounds::{Course, RealSum};
use host::compose::{Draft, Parts};
use minicbor::bytes::ByteVec;
use protocol::api::{Metrics, Stage};
use protocol::codec;
use protocol::door::{
    BadRows, Baseline, File, Open, Predict, Prediction, Prepare, Progress, Refusal, Request,
    Response, Role, State, Work,
};
use protocol::id::{Digest, Header, Purpose, SiteId};
use protocol::identity::Identity;
use protocol::round::{AnyRound, Closed, Round, SiteFault};
use protocol::study::Study;
use synthetic::{Hospital, Settings, synthesise};
use testkit::{Lots, TestStudy};

/// A federation whose study has not begun.
pub(crate) struct Federation {
    pub(crate) kit: TestStudy,
    sites: Vec<Site>,
}

/// What became of a study.
pub(crate) struct Outcome {
    /// The published state.
    pub(crate) state: State,
    /// Metrics of the held-out patients, at the end.
    pub(crate) metrics: Metrics,
    /// What the rounds were for.
    pub(crate) purposes: Vec<Purpose>,
    /// The clip norm that each round started with.
    pub(crate) clip_norms: Vec<Option<f64>>,
}

/// A module in a thread of its own, and its patients.
struct Site {
    ask: Sender<Vec<u8>>,
    answer: Receiver<Vec<u8>>,
    cohort: ByteVec,
    memory: ByteVec,
}

impl Federation {
    /// Three synthetic hospitals that are to run a draft of `studies/`, with settings changed.
    pub(crate) fn synthetic(draft: &str, settings: &[(&str, &str)], patients: u32) -> Self {
        let settings_of_hospitals =
            Settings::new(3, patients, 6, 1).expect("the numbers are in their ranges");
        let hospitals = synthesise(settings_of_hospitals);
        Self::of(draft, settings, &hospitals.collect::<Vec<_>>())
    }

    /// Hospitals that are to run a draft, with settings changed.
    pub(crate) fn of(draft: &str, settings: &[(&str, &str)], hospitals: &[Hospital]) -> Self {
        let kit = kit(draft, settings, hospitals.len());
        let site = |hospital| Site::new(&kit, files(&kit.study, hospital));
        Self {
            sites: hospitals.iter().map(site).collect(),
            kit,
        }
    }

    /// Hospitals of which nothing but their MEDS files is known.
    pub(crate) fn of_files(
        draft: &str,
        settings: &[(&str, &str)],
        hospitals: Vec<Vec<File>>,
    ) -> Self {
        let kit = kit(draft, settings, hospitals.len());
        let site = |files| Site::new(&kit, files);
        Self {
            sites: hospitals.into_iter().map(site).collect(),
            kit,
        }
    }

    /// Runs the study to its end, all sites taking part in every round but those that `absent` names for it.
    pub(crate) fn run(&mut self, absent: &BTreeMap<u32, SiteId>) -> Outcome {
        let study = self.kit.study.clone();
        let mut course = Course::begin(&study);
        let (mut purposes, mut clip_norms) = (Vec::new(), Vec::new());
        let mut metrics = None;
        while let Some(purpose) = course.purpose(&study) {
            let state = course.state(&study);
            purposes.push(purpose);
            clip_norms.push(state.clip_norm);
            let state = codec::encode(&state);
            let header = Header {
                study: study.digest(),
                number: course.take_number(),
                place: course.place(),
                purpose,
                state: Digest::of(&state),
            };
            let away = absent.get(&header.number).copied();
            let sum = self.round(&header, &state, away);
            let figures = course
                .finish_round(&study, &sum)
                .expect("the sum fits the study");
            metrics = figures.metrics.or(metrics);
        }
        Outcome {
            state: course.state(&study),
            metrics: metrics.expect("every plan ends with an evaluation"),
            purposes,
            clip_norms,
        }
    }

    /// Trains on all sites' patients in one place.
    pub(crate) fn pooled(&mut self) -> State {
        let cohorts = self.sites.iter().map(|site| site.cohort.clone()).collect();
        self.trained(cohorts, None)
    }

    /// What a site makes of a model for itself.
    pub(crate) fn personal(&mut self, site: usize, state: &State) -> State {
        let cohort = self.sites[site].cohort.clone();
        self.trained(vec![cohort], Some(codec::encode(state).into()))
    }

    fn trained(&mut self, cohorts: Vec<ByteVec>, state: Option<ByteVec>) -> State {
        let request = Request::Baseline(Baseline {
            study: self.kit.toml.clone().into_bytes().into(),
            cohorts,
            weights: None,
            state,
        });
        let site = &mut self.sites[0];
        site.work(&request);
        match site.ask(&Request::Finish) {
            Response::Finished(state) => state,
            other => panic!("no state: {other:?}"),
        }
    }

    /// What the module says of each site's patients.
    pub(crate) fn predict(&mut self, state: &State) -> Vec<Vec<Prediction>> {
        let study = self.kit.toml.clone().into_bytes();
        let ask = |site: &mut Site| {
            let request = Request::Predict(Predict {
                study: study.clone().into(),
                cohort: site.cohort.clone(),
                state: codec::encode(state).into(),
                weights: None,
            });
            match site.ask(&request) {
                Response::Predicted(predicted) => predicted.patients,
                other => panic!("no predictions: {other:?}"),
            }
        };
        self.sites.iter_mut().map(ask).collect()
    }

    /// The state that training begins at, after the round of moments where the study has one.
    pub(crate) fn beginning(&mut self) -> State {
        let study = self.kit.study.clone();
        let mut course = Course::begin(&study);
        while course.purpose(&study) == Some(Purpose::Moments) {
            let state = codec::encode(&course.state(&study));
            let header = Header {
                study: study.digest(),
                number: course.take_number(),
                place: course.place(),
                purpose: Purpose::Moments,
                state: Digest::of(&state),
            };
            let sum = self.round(&header, &state, None);
            course
                .finish_round(&study, &sum)
                .expect("the sum fits the study");
        }
        course.state(&study)
    }

    /// What a site's module makes of all patients in one place, or of a state for itself, or why it does not.
    pub(crate) fn try_baseline(&mut self, state: Option<&State>) -> Response {
        let request = Request::Baseline(Baseline {
            study: self.kit.toml.clone().into_bytes().into(),
            cohorts: self.sites.iter().map(|site| site.cohort.clone()).collect(),
            weights: None,
            state: state.map(|state| codec::encode(state).into()),
        });
        let site = &mut self.sites[0];
        let mut response = site.answer(&request);
        while let Response::Progress(Progress { done, total, .. }) = response {
            if done >= total {
                return site.answer(&Request::Finish);
            }
            response = site.answer(&Request::Work(Work { patients: u32::MAX }));
        }
        response
    }

    /// What a site's module makes of a round that starts from this state: the progress of its work, or why not.
    pub(crate) fn try_round(&mut self, site: usize, purpose: Purpose, state: &State) -> Response {
        let state = codec::encode(state);
        let header = Header {
            state: Digest::of(&state),
            ..self.kit.header(1, purpose)
        };
        let id = SiteId(u16::try_from(site).expect("few sites"));
        let open = Request::Open(self.open(&header, &state, id));
        let site = &mut self.sites[site];
        let mut response = site.answer(&open);
        while let Response::Progress(Progress { done, total, .. }) = response {
            if done >= total {
                return response;
            }
            response = site.answer(&Request::Work(Work { patients: u32::MAX }));
        }
        response
    }

    /// What a site's module says of its patients with this state, or why not.
    pub(crate) fn try_predict(&mut self, site: usize, state: &State) -> Response {
        let request = Request::Predict(Predict {
            study: self.kit.toml.clone().into_bytes().into(),
            cohort: self.sites[site].cohort.clone(),
            state: codec::encode(state).into(),
            weights: None,
        });
        self.sites[site].answer(&request)
    }

    /// What a site's module says to a request that it refuses.
    ///
    /// # Panics
    ///
    /// If it does not refuse.
    pub(crate) fn refusal(&mut self, site: usize, request: &Request) -> Refusal {
        match self.sites[site].answer(request) {
            Response::Refused(refusal) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Opens a site's part in the study's first round, and lets it work until it has something to send.
    pub(crate) fn begin(&mut self, site: usize) {
        let id = SiteId(u16::try_from(site).expect("few sites"));
        let open = self.first_round(id);
        self.sites[site].work(&Request::Open(open));
    }

    /// What opens a site's part in the study's first round.
    fn first_round(&self, site: SiteId) -> Open {
        let study = &self.kit.study;
        let mut course = Course::begin(study);
        let state = codec::encode(&course.state(study));
        let header = Header {
            study: study.digest(),
            number: course.take_number(),
            place: course.place(),
            purpose: course.purpose(study).expect("a study has rounds"),
            state: Digest::of(&state),
        };
        self.open(&header, &state, site)
    }

    /// What each site's module prepared of its patients.
    pub(crate) fn cohorts(&self) -> impl Iterator<Item = &[u8]> {
        self.sites.iter().map(|site| site.cohort.as_slice())
    }

    fn round(&mut self, header: &Header, state: &[u8], away: Option<SiteId>) -> RealSum {
        let round =
            Round::begin(self.kit.aggregator(), header.clone()).expect("the study's header");
        let mut round = AnyRound::Advertising(round);
        let present: Vec<SiteId> = self
            .kit
            .study
            .participants(header)
            .into_iter()
            .filter(|site| Some(*site) != away)
            .collect();
        for site in &present {
            let open = self.open(header, state, *site);
            self.sites[usize::from(site.0)].work(&Request::Open(open));
        }
        loop {
            let stage = round.stage();
            for site in &present {
                let request = request(&round, *site);
                let Response::Send(body) = self.sites[usize::from(site.0)].ask(&request) else {
                    panic!("nothing to send at {stage}");
                };
                let signed = self.kit.sign(header, stage, *site, body.into());
                round.accept(stage, signed).expect("honest sites");
                if stage == Stage::Mask {
                    self.upload(&mut round, *site);
                }
            }
            match round.close() {
                Ok(Closed::Stage(next)) => round = *next,
                Ok(Closed::Sum(sum)) => {
                    self.remember(&present);
                    let survivors = sum.survivors.len();
                    let study = &self.kit.study;
                    return RealSum::new(study, header.purpose, survivors, &sum.values)
                        .expect("the sum fits the study");
                }
                Err(error) => panic!("{stage}: {error}"),
            }
        }
    }

    /// Brings the chunks of a site's masked vector from its module to the round.
    fn upload(&mut self, round: &mut AnyRound, id: SiteId) {
        let numbers = round.chunking().numbers();
        let site = &mut self.sites[usize::from(id.0)];
        let chunks = numbers.map(|number| match site.ask(&Request::Chunk(number)) {
            Response::Chunk(sealed) => Ok(sealed.into()),
            other => panic!("no chunk {number}: {other:?}"),
        });
        round
            .complete::<SiteFault>(id, chunks)
            .expect("honest sites");
    }

    fn remember(&mut self, present: &[SiteId]) {
        for site in present {
            let site = &mut self.sites[usize::from(site.0)];
            let Response::Memory(memory) = site.ask(&Request::Remember) else {
                panic!("no memory");
            };
            if !memory.is_empty() {
                site.memory = memory;
            }
        }
    }

    fn open(&self, header: &Header, state: &[u8], id: SiteId) -> Open {
        let site = &self.sites[usize::from(id.0)];
        let seed = format!("site {} round {}", id.0, header.number);
        Open {
            study: self.kit.toml.clone().into_bytes().into(),
            cohort: site.cohort.clone(),
            header: header.clone(),
            state: state.to_vec().into(),
            site: id,
            seed: protocol::seed::Seed::new(Digest::of(seed.as_bytes()).0),
            memory: site.memory.clone(),
            weights: None,
        }
    }
}

impl Site {
    fn new(kit: &TestStudy, files: Vec<File>) -> Self {
        let (ask, questions) = channel::<Vec<u8>>();
        let (answers, answer) = channel();
        thread::spawn(move || {
            for question in questions {
                if answers.send(client_wasm::handle(&question)).is_err() {
                    break;
                }
            }
        });
        let mut site = Self {
            ask,
            answer,
            cohort: Vec::new().into(),
            memory: Vec::new().into(),
        };
        let prepare = Request::Prepare(Prepare {
            study: kit.toml.clone().into_bytes().into(),
            files,
            bad_rows: BadRows::Stop,
        });
        let Response::Prepared(prepared) = site.ask(&prepare) else {
            panic!("no cohort");
        };
        site.cohort = prepared.cohort;
        site
    }

    fn answer(&mut self, request: &Request) -> Response {
        self.ask
            .send(codec::encode(request))
            .expect("the module is there");
        let answer = self.answer.recv().expect("the module answers");
        codec::decode(&answer).expect("the module answers in CBOR")
    }

    fn ask(&mut self, request: &Request) -> Response {
        match self.answer(request) {
            Response::Refused(refusal) => panic!("refused: {}", refusal.reason),
            response => response,
        }
    }

    fn work(&mut self, request: &Request) {
        let mut response = self.ask(request);
        while let Response::Progress(Progress { done, total, .. }) = response {
            if done >= total {
                return;
            }
            response = self.ask(&Request::Work(Work { patients: u32::MAX }));
        }
        panic!("no progress: {response:?}");
    }
}

fn request(round: &AnyRound, site: SiteId) -> Request {
    let closed = "the stage before is closed";
    match round.stage() {
        Stage::Advertise => Request::Advertise,
        Stage::Share => Request::Share(round.adverts().expect(closed)),
        Stage::Mask => Request::Mask(round.inbox(site).expect(closed)),
        Stage::Agree => Request::Agree(round.survivors().expect(closed)),
        Stage::Unmask => Request::Unmask(round.statements().expect(closed)),
    }
}

/// Where the study splits off tuning patients, without the files of splits, which have none.
fn files(study: &Study, hospital: &Hospital) -> Vec<File> {
    let file = |name: &str, role, bytes: &[u8]| File {
        name: name.to_owned(),
        role,
        bytes: bytes.to_vec().into(),
    };
    let mut files = vec![
        file("events", Role::Events, &hospital.events),
        file("labels", Role::Labels, &hospital.labels),
    ];
    if study.manifest().cohort.split.tuning <= 0.0 {
        files.push(file("splits", Role::Splits, &hospital.splits));
    }
    files
}

fn kit(draft: &str, settings: &[(&str, &str)], sites: usize) -> TestStudy {
    let template = testkit::Draft::default().make();
    let mut draft = Draft::parse(draft).expect("a draft");
    for (name, value) in settings {
        draft.set(name, value).expect("a setting");
    }
    let identities: Vec<Identity> = (1..=sites)
        .map(|site| Identity::from_seed(&Digest::of(format!("site {site}").as_bytes()).0))
        .collect();
    let sites = (0..).zip(&identities);
    let sites = sites.map(|(place, identity)| (format!("hospital {place}"), identity));
    let is_drawn = settings
        .iter()
        .any(|(name, _)| *name == "training.participants");
    let lots = if is_drawn { Lots::Revealed } else { Lots::None };
    draft
        .complete(&Parts {
            module: Digest::of(b"a module"),
            aggregator: template.secret().public(),
            roster: &testkit::roster(&sites.collect::<Vec<_>>(), lots),
            weights: None,
            dishonest: None,
        })
        .expect("a complete draft");
    draft.state_parameters(1).expect("a draft of a model");
    draft
        .state_noise_multiplier()
        .expect("an ε that leaves room for noise");
    let describe = protocol::door::Describe {
        study: draft.text().into_bytes().into(),
        weights: None,
    };
    let answer = client_wasm::handle(&codec::encode(&Request::Describe(describe)));
    match codec::decode(&answer).expect("the module answers in CBOR") {
        Response::Described(described) => draft
            .state_parameters(described.parameters)
            .expect("a draft of a model"),
        other => panic!("the study is refused: {other:?}"),
    }
    let toml = draft.text();
    let study = Study::parse(toml.as_bytes()).expect("a study that can be run");
    TestStudy {
        toml,
        study,
        identities,
    }
}
