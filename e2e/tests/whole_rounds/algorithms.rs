//! The algorithms of training, each through whole rounds of secure aggregation in memory.

use std::collections::BTreeMap;

use crate::simulation::{Federation, Outcome};
use protocol::door::State;
use protocol::id::{Purpose, SiteId};

/// Few features, so that training ends where it leads to.
const DRAFT: &str = r#"
title = "A test"
purpose = "To be computed in a test."

[cohort]
history-days = 168
classes = ["low", "medium", "high"]
normalisation = "reference"
split = { train = 0.8, tuning = 0.0 }

[[cohort.modality]]
name = "labs"
shape.series = { bin-days = 28, bins-per-token = 6 }
feature = [
  { code = "LOINC//2160-0", name = "creatinine", unit = "mg/dL", low = 0.1, high = 20.0, mean = 1.1, sd = 0.5 },
  { code = "LOINC//1988-5", name = "C-reactive protein", unit = "mg/L", low = 0.1, high = 300.0, mean = 9.0, sd = 12.0 },
]

[[cohort.modality]]
name = "history"
shape = "static"
feature = [
  { code = "LOINC//30525-0", name = "age", unit = "a", low = 18.0, high = 110.0, mean = 65.0, sd = 14.0 },
  { code = "ICD10CM//I50", name = "heart failure", unit = "1", encoding = "presence", low = 0.0, high = 1.0, mean = 0.2, sd = 0.4 },
]

[model]
architecture.linear.summary = "mean"
head = "softmax"
initial-seed = 1

[training]
rounds = 5
algorithm.gradient = { batch = "all" }
optimizer.momentum = { rate = 0.5, momentum = 0.0 }

[aggregation]
patients-per-site = 200
fraction-bits = 20

[privacy]
epsilon = inf
delta = 1e-5
clip-norm = 1000.0
metrics-share = 0.05
weight-share = 0.02
"#;

const AVERAGE: (&str, &str) = (
    "training.optimizer",
    "{ momentum = { rate = 1.0, momentum = 0.0 } }",
);

fn run(settings: &[(&str, &str)]) -> Outcome {
    Federation::synthetic(DRAFT, settings, 100).run(&BTreeMap::new())
}

fn averaging(more: &str) -> String {
    let common = "batch = \"all\", weighting = \"patients\", change-norm = 16.0";
    format!("{{ averaging = {{ {common}, {more} }} }}")
}

/// L2 distance of two models.
fn distance(one: &State, other: &State) -> f64 {
    let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
    one.offset
        .iter()
        .zip(&other.offset)
        .map(square)
        .sum::<f64>()
        .sqrt()
}

#[test]
fn one_local_step_of_averaging_is_a_step_of_the_pooled_training() {
    let gradient = run(&[]);
    let steps = averaging("steps = 1, optimizer.momentum = { rate = 0.5, momentum = 0.0 }");
    let averaged = run(&[("training.algorithm", &steps), AVERAGE]);
    let apart = distance(&gradient.state, &averaged.state);
    let moved = distance(
        &gradient.state,
        &State {
            offset: vec![0.0; 100],
            ..State::default()
        },
    );
    assert!(apart < 1e-3 * moved, "{apart} of {moved}");
    assert_eq!(gradient.purposes, averaged.purposes);
}

#[test]
fn control_variates_lead_to_the_pooled_optimum_that_averaging_misses() {
    let rounds = ("training.rounds", "60");
    let optimum = Federation::synthetic(DRAFT, &[("training.rounds", "4000")], 100).pooled();
    let descent = "steps = 20, optimizer.momentum = { rate = 0.5, momentum = 0.0 }";
    let apart = |more: &str| {
        let algorithm = averaging(&format!("{descent}{more}"));
        let settings = [("training.algorithm", algorithm.as_str()), AVERAGE, rounds];
        distance(&run(&settings).state, &optimum)
    };
    let averaged = apart("");
    let scaffold = apart(", control-variates = \"scaffold\"");
    let proximal = apart(", proximal = 1.0");
    assert!(scaffold < averaged / 4.0, "{scaffold} against {averaged}");
    assert!(
        (proximal - averaged).abs() > 1e-3,
        "{proximal} and {averaged}"
    );
}

#[test]
fn a_site_that_misses_a_round_keeps_its_control_variate() {
    let algorithm = averaging(
        "steps = 5, control-variates = \"scaffold\", optimizer.momentum = { rate = 0.2, momentum = 0.0 }",
    );
    let settings = [("training.algorithm", algorithm.as_str()), AVERAGE];
    let absent = BTreeMap::from([(2, SiteId(1))]);
    let outcome = Federation::synthetic(DRAFT, &settings, 100).run(&absent);
    assert!(outcome.state.control.iter().any(|control| *control != 0.0));
    assert!(distance(&outcome.state, &run(&settings).state) > 1e-4);
}

#[test]
fn every_optimizer_of_the_aggregator_learns() {
    let algorithm = averaging("steps = 5, optimizer.momentum = { rate = 0.3, momentum = 0.0 }");
    for optimizer in [
        "{ adam = { rate = 0.1, beta1 = 0.9, beta2 = 0.99, tau = 1e-3 } }",
        "{ yogi = { rate = 0.1, beta1 = 0.9, beta2 = 0.99, tau = 1e-3 } }",
        "{ adagrad = { rate = 0.1, beta1 = 0.0, tau = 1e-3 } }",
    ] {
        let settings = [
            ("training.algorithm", algorithm.as_str()),
            ("training.optimizer", optimizer),
            ("training.rounds", "15"),
        ];
        let auc = run(&settings).metrics.macro_auc.unwrap();
        let auc = *auc.shown().unwrap();
        assert!(auc.value > 0.55, "{optimizer}: {auc:?}");
    }
}

#[test]
fn noise_of_local_steps_falls_with_epsilon() {
    let algorithm = averaging("steps = 4, optimizer.momentum = { rate = 0.5, momentum = 0.0 }");
    let state = |epsilon: &str| {
        let settings = [
            ("training.algorithm", algorithm.as_str()),
            AVERAGE,
            ("privacy.epsilon", epsilon),
            ("privacy.clip-norm", "1.0"),
            ("aggregation.fraction-bits", "18"),
        ];
        run(&settings).state
    };
    let exact = state("inf");
    let [large, small] = ["100.0", "3.0"].map(|epsilon| distance(&state(epsilon), &exact));
    assert!(large > 1e-3 && large < small / 3.0, "{large} and {small}");
    assert_eq!(state("3.0"), state("3.0"), "a round can be replayed");
}

#[test]
fn training_ends_when_tuning_patients_see_no_more_gain() {
    let settings = [
        ("cohort.split", "{ train = 0.7, tuning = 0.1 }"),
        ("training.stopping", "{ every = 2, patience = 2 }"),
        ("training.rounds", "40"),
        ("training.optimizer.momentum.rate", "1e-9"),
    ];
    let purposes = run(&settings).purposes;
    let looks = purposes.iter().filter(|p| **p == Purpose::Tune).count();
    let steps = purposes.iter().filter(|p| **p == Purpose::Train).count();
    // The first look sets the mark; the next two see no gain.
    assert_eq!((looks, steps), (3, 6));
    assert_eq!(purposes.last(), Some(&Purpose::Evaluate));
}

#[test]
fn an_adaptive_clip_norm_finds_the_gradients() {
    let settings = [
        (
            "privacy.adaptive-clip",
            "{ quantile = 0.5, rate = 0.5, share = 0.05 }",
        ),
        ("training.rounds", "40"),
    ];
    let norms: Vec<f64> = run(&settings).clip_norms.into_iter().flatten().collect();
    let (first, last) = (norms[0], norms[norms.len() - 1]);
    assert!((first - 1000.0).abs() < 1e-9 && last < 10.0, "{norms:?}");
    let before = norms[norms.len() - 6];
    assert!((last / before - 1.0).abs() < 0.3, "{norms:?}");
}

#[test]
fn sampled_patients_teach_what_all_teach() {
    let settings = [
        (
            "training.algorithm",
            "{ gradient = { batch.sampled = { rate = 0.2 } } }",
        ),
        ("training.rounds", "40"),
    ];
    let sampled = run(&settings);
    let all = run(&[("training.rounds", "40")]);
    let apart = distance(&sampled.state, &all.state);
    let moved = distance(
        &all.state,
        &State {
            offset: vec![0.0; 100],
            ..State::default()
        },
    );
    assert!(
        apart > 1e-3 * moved && apart < 0.5 * moved,
        "{apart} of {moved}"
    );
}

#[test]
fn sampled_patients_with_noise_run_through_whole_rounds() {
    let settings = [
        (
            "training.algorithm",
            "{ gradient = { batch.sampled = { rate = 0.2 } } }",
        ),
        ("privacy.epsilon", "20.0"),
        ("privacy.clip-norm", "1.0"),
        ("aggregation.fraction-bits", "18"),
    ];
    let mut federation = Federation::synthetic(DRAFT, &settings, 100);
    let privacy = &federation.kit.study.manifest().privacy;
    assert!(
        privacy
            .noise_multiplier
            .is_some_and(|multiplier| multiplier > 0.3)
    );
    let state = federation.run(&BTreeMap::new()).state;
    assert!(state.offset.iter().any(|weight| weight.abs() > 1e-3));
}

#[test]
fn rounds_of_some_sites_teach_and_the_others_have_no_part() {
    let settings = [
        (
            "training.participants",
            "{ random = { sites = 3, threshold = 2 } }",
        ),
        ("training.rounds", "12"),
        ("aggregation.threshold", "4"),
        ("privacy.honest-survivors", "2"),
    ];
    let hospitals: Vec<_> = synthetic::synthesise(
        synthetic::Settings::new(5, 60, 6, 1).expect("the numbers are in their ranges"),
    )
    .collect();
    let mut federation = Federation::of(DRAFT, &settings, &hospitals);
    let outcome = federation.run(&BTreeMap::new());
    assert!(
        outcome
            .state
            .offset
            .iter()
            .any(|weight| weight.abs() > 0.05)
    );
}

#[test]
fn a_personal_model_begins_at_the_published_one_and_fits_its_own_site() {
    let personalisation = |steps: &str, proximal: &str| {
        format!(
            "{{ steps = {steps}, batch = \"all\", proximal = {proximal}, \
             optimizer.momentum = {{ rate = 0.2, momentum = 0.0 }} }}"
        )
    };
    let apart = |settings: &str| {
        let settings = [("personalisation", settings)];
        let mut federation = Federation::synthetic(DRAFT, &settings, 100);
        let published = federation.run(&BTreeMap::new()).state;
        distance(&federation.personal(0, &published), &published)
    };
    let [few, many, held] = [("1", "0.0"), ("60", "0.0"), ("60", "4.0")]
        .map(|(steps, proximal)| apart(&personalisation(steps, proximal)));
    assert!(few > 1e-4 && few < many / 3.0, "{few} {many}");
    assert!(held < many / 2.0, "{held} {many}");
}
