//! Whatever sums come in, sites take the next state: an honest aggregator never leaves the ranges that they check.

use protocol::codec;
use protocol::door::State;
use protocol::id::{Digest, Purpose};
use protocol::seed::Seed;
use protocol::study::Study;
use rand_core::Rng;
use testkit::Draft;

use super::{Charge, Course, RealSum, Standing};

/// Sums that noise, or sites that lie within their range, could make, and some beyond.
const ODD: [i64; 9] = [
    0,
    1,
    -1,
    511,
    -40_000,
    1 << 31,
    -(1 << 31),
    i64::MAX,
    i64::MIN,
];

/// A study with `settings` in place of some lines.
fn study(settings: &[(&str, &str)]) -> Study {
    let draft = Draft {
        normalisation: "shared",
        rounds: 6,
        ..Draft::default()
    };
    Study::parse(draft.toml_with(settings).as_bytes()).unwrap()
}

fn studies() -> Vec<Study> {
    let gradient = "algorithm.gradient = { batch = \"all\" }";
    let fast = ("rate = 0.5", "rate = 1e4");
    let adaptive = (
        "clip-norm = 1\n",
        "clip-norm = 1\nadaptive-clip = { quantile = 0.3, rate = 20.0, share = 0.2 }\n",
    );
    let scaffold = (
        gradient,
        "algorithm.averaging = { steps = 3, batch = \"all\", weighting = \"sites\", change-norm = 4.0, \
         control-variates = \"scaffold\", optimizer.momentum = { rate = 0.3, momentum = 0.0 } }",
    );
    let stopping = (
        "rounds = 6\n",
        "rounds = 6\nstopping = { every = 2, patience = 1 }\n",
    );
    let clusters = (
        "[aggregation]",
        "[clustering]\nclusters = 3\nrounds = 3\ndimensions = 2\nradius = 1.0\nshare = 0.2\n\n[aggregation]",
    );
    vec![
        study(&[adaptive, clusters]),
        study(&[scaffold, clusters]),
        study(&[adaptive, stopping, fast]),
        study(&[scaffold, stopping]),
    ]
}

fn chosen<T: Copy>(of: &[T], rng: &mut impl Rng) -> T {
    of[usize::try_from(rng.next_u32()).unwrap() % of.len()]
}

/// A sum of some numbers, or of one alone.
fn sum(study: &Study, purpose: Purpose, steady: Option<i64>, rng: &mut impl Rng) -> RealSum {
    let length = study.layout(purpose).length();
    if let Some(value) = steady {
        return RealSum::new(study, purpose, 3, &vec![value; length]).unwrap();
    }
    let kinds = [1, 3, ODD.len()];
    let first = usize::try_from(rng.next_u32()).unwrap() % ODD.len();
    let some: Vec<i64> = ODD
        .iter()
        .copied()
        .cycle()
        .skip(first)
        .take(chosen(&kinds, rng))
        .collect();
    let steps: Vec<i64> = (0..length).map(|_| chosen(&some, rng)).collect();
    RealSum::new(study, purpose, 3, &steps).unwrap()
}

/// Goes through the plan with random sums and losses; in every other run with the same number in every sum, so that what
/// follows sums goes as far as it can.
fn run(study: &Study, rng: &mut impl Rng) {
    let mut course = Course::begin(study);
    let steady = rng.next_u32().is_multiple_of(2).then(|| chosen(&ODD, rng));
    while let (Some(purpose), Standing::Running) = (course.purpose(study), course.standing()) {
        let state = codec::encode(&course.state(study));
        if let Err(error) = State::of(study, purpose, &state) {
            panic!("place {} ({purpose}): {error}", course.place());
        }
        if rng.next_u32().is_multiple_of(8) && purpose != Purpose::Moments {
            course.abandon_round(study, purpose, Charge::Perhaps, "a test");
        } else {
            course
                .finish_round(study, &sum(study, purpose, steady, rng))
                .unwrap();
        }
    }
    // A study that has stopped publishes nothing.
    if let Standing::Running = course.standing() {
        State::published(study, &codec::encode(&course.state(study))).unwrap();
    }
}

#[test]
fn whatever_sums_come_in_sites_take_the_next_state() {
    let seed = Seed::new(Digest::of(b"sums").0);
    for study in studies() {
        for run_number in 0..300 {
            run(&study, &mut seed.derive(&format!("run {run_number}")).rng());
        }
    }
}
