//! Whether and how long a site answers does not depend on its patients: hospitals with other patients, more of them than the
//! study expects among them, give answers of the same kinds and lengths for the oddest states that are taken at all.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;

use client_wasm::handle;
use cohort::File;
use cohort::meds::{Events, Labels, Splits, Timestamp};
use minicbor::bytes::ByteVec;
use protocol::api::Stage;
use protocol::codec;
use protocol::door::{
    BadRows, Describe, Moments, Open, Outcomes, Prepare, Progress, Request, Response, Role, Split,
    State, Work, ask_with_pieces,
};
use protocol::id::{Digest, Header, Purpose, SiteId};
use protocol::seed::Seed;
use protocol::study::Study;
use protocol::weights::{Block, Weights};
use testkit::round::Play;
use testkit::{Draft, TestStudy};

const OURS: SiteId = SiteId(0);

/// The most patients that the studies expect of a site.
const EXPECTED: u32 = 50;

/// A way to train, as changes of the draft.
type Settings = Vec<(&'static str, &'static str)>;

const LINEAR: &str = "architecture.linear.summary = \"mean-and-trend\"";
const MLP: &str = "architecture.mlp = { summary = \"mean-and-trend\", hidden = 4 }";
const TRANSFORMER: &str = "architecture.transformer = { width = 8, heads = 2, layers = 2, feed-forward = 8, \
                           missingness = \"include\" }";
const GRADIENT: &str = "algorithm.gradient = { batch = \"all\" }";
const SCAFFOLD: &str = "algorithm.averaging = { steps = 2, batch = \"all\", weighting = \"patients\", change-norm = 4.0, \
                        control-variates = \"scaffold\", optimizer.momentum = { rate = 0.3, momentum = 0.0 } }";
const ADAPTIVE: (&str, &str) = (
    "clip-norm = 1\n",
    "clip-norm = 1\nadaptive-clip = { quantile = 0.5, rate = 0.2, share = 0.2 }\n",
);
const CLUSTERS: (&str, &str) = (
    "[aggregation]",
    "[clustering]\nclusters = 2\nrounds = 1\ndimensions = 4\nradius = 1.0\nshare = 0.2\n\n[aggregation]",
);

fn ways() -> Vec<Settings> {
    vec![
        vec![ADAPTIVE],
        vec![(LINEAR, MLP), (GRADIENT, SCAFFOLD)],
        vec![(LINEAR, TRANSFORMER), ADAPTIVE, CLUSTERS],
        vec![(LINEAR, TRANSFORMER), (GRADIENT, SCAFFOLD)],
    ]
}

/// A study that says how many weights its model has.
fn kit(settings: &Settings) -> TestStudy {
    kit_with(settings, None)
}

/// The same, of a study that starts from public weights.
fn kit_with(settings: &Settings, weights: Option<&ByteVec>) -> TestStudy {
    let draft = Draft {
        sites: 3,
        threshold: 2,
        honest_survivors: 2,
        rounds: 2,
        epsilon: 8.0,
        fraction_bits: 18,
        patients_per_site: EXPECTED,
        normalisation: "shared",
        ..Draft::default()
    };
    let mut toml = draft.toml_with(settings);
    if let Some(bytes) = weights {
        let named = format!("[model]\ninitial-weights = \"{}\"\n", Digest::of(bytes));
        toml = toml.replace("[model]\n", &named);
    }
    let describe = Request::Describe(Describe {
        study: toml.as_bytes().to_vec().into(),
        weights: weights.cloned(),
    });
    let Response::Described(described) = expected(&describe) else {
        panic!("not described")
    };
    let stated = format!("parameters = {}\n", draft.parameters);
    let toml = toml.replace(&stated, &format!("parameters = {}\n", described.parameters));
    TestStudy {
        study: Study::parse(toml.as_bytes()).unwrap(),
        toml,
        identities: draft.make().identities,
    }
}

fn ask(request: &Request) -> Response {
    codec::decode(&handle(&codec::encode(request))).unwrap()
}

/// A hospital: its patients' heart rates and saturations, and the number of the first. Every fifth number is held out.
fn prepared(kit: &TestStudy, first: i64, patients: &[(f32, f32)]) -> ByteVec {
    const DISCHARGE: Timestamp = Timestamp(1_704_067_200 * Timestamp::SECOND);
    let (mut events, mut labels, mut splits) =
        (Events::default(), Labels::default(), Splits::default());
    for (subject, (rate, saturation)) in (first..).zip(patients) {
        for day in [1, 8, 20] {
            let time = Some(DISCHARGE.plus(-day * 86_400 * Timestamp::SECOND));
            events.push(subject, time, "LOINC//8867-4", Some(*rate));
            events.push(subject, time, "LOINC//59408-5", Some(*saturation));
        }
        labels.push(subject, DISCHARGE, u32::try_from(subject % 3).unwrap());
        splits.push(
            subject,
            if subject % 5 == 0 {
                Split::HeldOut
            } else {
                Split::Train
            },
        );
    }
    let file = |name: &str, role, bytes: Vec<u8>| File {
        name: name.to_owned(),
        role,
        bytes,
    };
    let files = [
        file("events", Role::Events, events.into_parquet()),
        file("labels", Role::Labels, labels.into_parquet()),
        file("splits", Role::Splits, splits.into_parquet()),
    ];
    let prepare = Request::Prepare(Prepare {
        study: kit.toml.clone().into_bytes().into(),
        files: files.iter().map(File::source).collect(),
        bad_rows: BadRows::Stop,
        outcomes: Outcomes::Known,
    });
    let ask = |request: &Request| Ok::<_, Infallible>(expected(request));
    let read = |piece| Ok(File::piece(&files, piece).to_vec());
    let Ok(Response::Prepared(prepared)) = ask_with_pieces(&prepare, ask, read) else {
        panic!("not prepared")
    };
    prepared.cohort
}

/// Hospitals that have little in common: one has more patients than the study expects, and outliers; one has a single
/// patient and nobody to evaluate on, one nobody to train on.
fn hospitals(kit: &TestStudy) -> Vec<ByteVec> {
    let usual = |place: u16| (70.0 + f32::from(place), 97.0);
    let odd = |place: u16| match place % 4 {
        0 => (1e30, -1e30),
        1 => (20.0, 100.0),
        2 => (250.0, 50.0),
        _ => (75.0, 97.0),
    };
    let many: Vec<_> = (0..90).map(odd).collect();
    let few: Vec<_> = (0..8).map(usual).collect();
    let one = &few[..1];
    let all = [(1, &few[..]), (1, &many), (1, one), (5, one)];
    all.map(|(first, patients)| prepared(kit, first, patients))
        .to_vec()
}

/// States at the ends of what is taken.
fn edges(study: &Study, purpose: Purpose) -> Vec<State> {
    let manifest = study.manifest();
    let weights = usize::try_from(manifest.model.parameters).unwrap();
    let most = State::MOST_WEIGHT;
    let mut rng = testkit::rng(11);
    let mut sign = || {
        if rand_core::Rng::next_u32(&mut rng).is_multiple_of(2) {
            1.0
        } else {
            -1.0
        }
    };
    let mut states = Vec::new();
    for scale in [0.0, 1.0, 300.0, 1e4, most] {
        let mut vector = |size: f32| (0..weights).map(|_| sign() * size).collect::<Vec<f32>>();
        let high = states.len() % 2 == 0;
        let end =
            |range: std::ops::RangeInclusive<f64>| if high { *range.end() } else { *range.start() };
        let moments = |feature: &protocol::study::Feature| Moments {
            mean: end(feature.shared_means()),
            sd: *feature.shared_deviations().start(),
        };
        let centres = manifest.clustering.map_or(0, |clustering| {
            clustering.most_centres(Some(purpose)) * clustering.centre_length().get()
        });
        states.push(State {
            offset: vector(scale),
            normalisation: match purpose {
                Purpose::Moments => Vec::new(),
                _ => manifest.cohort.features().map(moments).collect(),
            },
            control: manifest.most_control().map_or_else(Vec::new, &mut vector),
            clip_norm: manifest.clip_norms().map(end),
            centres: vec![0.5; centres],
        });
    }
    states
}

/// What a site says in a round, as far as anyone but its own people hears it; and how many patients it could not use.
struct Answers {
    heard: Vec<(Stage, usize)>,
    memory: usize,
    unusable: u64,
}

fn answers(kit: &TestStudy, purpose: Purpose, state: &State, cohort: &ByteVec) -> Answers {
    answers_with(kit, None, purpose, state, cohort)
}

fn answers_with(
    kit: &TestStudy,
    weights: Option<&ByteVec>,
    purpose: Purpose,
    state: &State,
    cohort: &ByteVec,
) -> Answers {
    let bytes = codec::encode(state);
    let header = Header {
        state: Digest::of(&bytes),
        ..kit.header(1, purpose)
    };
    let mut progress = progress(&Request::Open(Open {
        study: kit.toml.clone().into_bytes().into(),
        cohort: cohort.clone(),
        header: header.clone(),
        state: bytes.into(),
        site: OURS,
        seed: Seed::new([7; 32]),
        memory: Vec::new().into(),
        weights: weights.cloned(),
    }));
    while progress.done < progress.total {
        progress = self::progress(&Request::Work(Work { patients: 40 }));
    }
    // An empty hospital has nothing to do, but for steps of its own.
    progress = self::progress(&Request::Work(Work { patients: u32::MAX }));
    let mut heard = Vec::new();
    let vectors = vec![vec![0; kit.study.layout(purpose).length()]; 3];
    let mut play = Play::new(kit, &header, &vectors);
    while play.round.stage() < Stage::Agree {
        let stage = play.round.stage();
        for site in play.round.missing() {
            if site != OURS {
                let signed = play.message(site).unwrap();
                play.round.accept(stage, signed).unwrap();
                if stage == Stage::Mask {
                    play.upload(site).unwrap();
                }
                continue;
            }
            let request = match stage {
                Stage::Advertise => Request::Advertise,
                Stage::Share => Request::Share(play.round.adverts().unwrap()),
                _ => Request::Mask(play.round.inbox(OURS).unwrap()),
            };
            let Response::Send(body) = expected(&request) else {
                panic!("nothing to send")
            };
            heard.push((stage, body.len()));
            let signed = kit.sign(&header, stage, site, body.into());
            play.round.accept(stage, signed).unwrap();
            if stage == Stage::Mask {
                let numbers = protocol::chunk::Chunking::of(&kit.study.layout(purpose)).numbers();
                heard.extend(
                    numbers.map(|number| match expected(&Request::Chunk(number)) {
                        Response::Chunk(sealed) => (stage, sealed.len()),
                        other => panic!("no chunk: {other:?}"),
                    }),
                );
            }
        }
        if stage == Stage::Mask {
            break;
        }
        play.next_stage();
    }
    let Response::Memory(memory) = expected(&Request::Remember) else {
        panic!("no memory")
    };
    Answers {
        heard,
        memory: memory.len(),
        unusable: progress.unusable,
    }
}

fn expected(request: &Request) -> Response {
    match ask(request) {
        Response::Refused(refusal) => panic!("refused: {}", refusal.reason),
        response => response,
    }
}

fn progress(request: &Request) -> Progress {
    match expected(request) {
        Response::Progress(progress) => progress,
        other => panic!("no progress: {other:?}"),
    }
}

#[test]
fn answers_have_the_same_kinds_and_lengths_whoever_the_patients_are() {
    let mut unusable = 0;
    for settings in ways() {
        let kit = kit(&settings);
        let hospitals = hospitals(&kit);
        for purpose in Purpose::ALL {
            if !kit.study.plan().contains(&purpose) {
                continue;
            }
            for state in edges(&kit.study, purpose) {
                let [first, others @ ..] = &hospitals[..] else {
                    panic!("there are hospitals")
                };
                let first = answers(&kit, purpose, &state, first);
                for other in others {
                    let other = answers(&kit, purpose, &state, other);
                    assert_eq!(other.heard, first.heard, "{purpose}");
                    assert_eq!(other.memory, first.memory, "{purpose}");
                    unusable += other.unusable;
                }
            }
        }
    }
    assert!(
        unusable > 0,
        "some states make the model overflow on some patients"
    );
}

/// Public weights of a study can be larger than a state's, and make units of a hidden layer that are no numbers.
#[test]
fn patients_of_whom_nothing_finite_is_predicted_are_evaluated_all_the_same() {
    let weights = Weights {
        blocks: vec![Block {
            name: "hidden.weight".to_owned(),
            // Four inputs of each of four units.
            values: [f32::MAX, -f32::MAX].repeat(8),
        }],
    };
    let weights = ByteVec::from(codec::encode(&weights));
    let kit = kit_with(&vec![(LINEAR, MLP)], Some(&weights));
    let hospitals = hospitals(&kit);
    let state = edges(&kit.study, Purpose::Evaluate).remove(0);
    let answers = hospitals
        .iter()
        .map(|cohort| answers_with(&kit, Some(&weights), Purpose::Evaluate, &state, cohort));
    let answers: Vec<Answers> = answers.collect();
    assert!(
        answers.iter().all(|other| other.heard == answers[0].heard),
        "answers are alike"
    );
    let unusable: u64 = answers.iter().map(|answers| answers.unusable).sum();
    assert!(unusable > 0, "the model overflows on some of them");
}

/// A standard deviation so small that values above a threshold overflow would tell by a refusal who has such values.
#[test]
fn a_state_is_refused_for_what_it_is_before_patients_are_looked_at() {
    let kit = kit(&vec![ADAPTIVE]);
    let hospitals = hospitals(&kit);
    let good = edges(&kit.study, Purpose::Train).remove(0);
    let moments = |mean, sd| vec![Moments { mean, sd }, good.normalisation[1]];
    let odd = [
        State {
            normalisation: moments(95.0, 1e-37),
            ..good.clone()
        },
        State {
            normalisation: moments(1e30, 12.0),
            ..good.clone()
        },
        State {
            clip_norm: Some(1e-166),
            ..good.clone()
        },
        State {
            offset: vec![f32::MAX; good.offset.len()],
            ..good.clone()
        },
        State {
            centres: vec![0.0],
            ..good.clone()
        },
    ];
    for state in odd {
        let bytes = codec::encode(&state);
        let header = Header {
            state: Digest::of(&bytes),
            ..kit.header(1, Purpose::Train)
        };
        let mut reasons = Vec::new();
        // The last is no cohort at all: the state is what is refused.
        for cohort in hospitals
            .iter()
            .cloned()
            .chain([ByteVec::from(vec![1, 2, 3])])
        {
            let open = Request::Open(Open {
                study: kit.toml.clone().into_bytes().into(),
                cohort,
                header: header.clone(),
                state: bytes.clone().into(),
                site: OURS,
                seed: Seed::new([7; 32]),
                memory: Vec::new().into(),
                weights: None,
            });
            match ask(&open) {
                Response::Refused(refusal) => reasons.push(refusal.reason),
                other => panic!("taken: {other:?}"),
            }
        }
        assert!(
            reasons.iter().all(|reason| *reason == reasons[0]),
            "{reasons:?}"
        );
    }
}

#[test]
fn a_header_at_another_place_of_the_plan_is_refused() {
    let kit = kit(&vec![ADAPTIVE]);
    let state = edges(&kit.study, Purpose::Train).remove(0);
    let bytes = codec::encode(&state);
    let cohort = hospitals(&kit).remove(0);
    // Moments, Train, Train, Evaluate.
    for (place, fits) in [
        (0, false),
        (1, true),
        (2, true),
        (3, false),
        (4, false),
        (u32::MAX, false),
    ] {
        let open = Request::Open(Open {
            study: kit.toml.clone().into_bytes().into(),
            cohort: cohort.clone(),
            header: Header {
                state: Digest::of(&bytes),
                place,
                ..kit.header(1, Purpose::Train)
            },
            state: bytes.clone().into(),
            site: OURS,
            seed: Seed::new([7; 32]),
            memory: Vec::new().into(),
            weights: None,
        });
        match ask(&open) {
            Response::Progress(_) => assert!(fits, "{place}"),
            Response::Refused(refusal) => {
                assert!(
                    !fits && refusal.reason.contains(&format!("at place {place}")),
                    "{}",
                    refusal.reason
                );
            }
            other => panic!("{other:?}"),
        }
    }
}
