//! Hospitals with hardly any patients, or patients that are all alike: they train, and disturb nobody.

use std::collections::BTreeMap;

use crate::simulation::{Federation, Outcome};
use cohort::File;
use cohort::meds::{Events, Labels, Splits, Timestamp};
use protocol::door::{Messages, Request, Response, Role, Split, State, Survivors};
use protocol::id::Purpose;

const DRAFT: &str = r#"
title = "A test"
purpose = "To be computed in a test."

[cohort]
history-days = 28
classes = ["low", "medium", "high"]
normalisation = "shared"
split = { train = 0.8, tuning = 0.0 }

[[cohort.modality]]
name = "labs"
shape.series = { bin-days = 7, bins-per-token = 1 }
feature = [
  { code = "sodium", name = "sodium", unit = "mmol/L", low = 100, high = 180, mean = 139, sd = 3 },
  { code = "potassium", name = "potassium", unit = "mmol/L", low = 1, high = 9, mean = 4, sd = 0.5 },
]

[[cohort.modality]]
name = "history"
shape = "static"
feature = [
  { code = "age", name = "age", unit = "a", low = 18, high = 110, mean = 65, sd = 14 },
]

[model]
head = "ordinal"
initial-seed = 1

[training]
rounds = 4

[aggregation]
patients-per-site = 200
fraction-bits = 18

[privacy]
epsilon = 8.0
delta = 1e-5
clip-norm = 1.0
moments-share = 0.1
metrics-share = 0.1
weight-share = 0.1
"#;

const LINEAR: &str = "{ linear.summary = \"mean-and-trend\" }";
const TRANSFORMER: &str = "{ transformer = { width = 8, heads = 2, layers = 1, feed-forward = 8, \
                           missingness = \"include\" } }";
const GRADIENT: &str = "{ gradient = { batch = \"all\" } }";
const SCAFFOLD: &str = "{ averaging = { steps = 3, batch = \"all\", weighting = \"patients\", change-norm = 4.0, \
                        control-variates = \"scaffold\", \
                        optimizer.momentum = { rate = 0.3, momentum = 0.0 } } }";

/// A patient of a test.
#[derive(Clone, Copy)]
struct Patient {
    class: u32,
    split: Split,
    sodium: Option<f32>,
    age: Option<f32>,
}

const DISCHARGE: Timestamp = Timestamp(1_704_067_200 * Timestamp::SECOND);

fn files(patients: &[Patient]) -> Vec<File> {
    let (mut events, mut labels, mut splits) =
        (Events::default(), Labels::default(), Splits::default());
    for (subject, patient) in (1..).zip(patients) {
        for day in 1..=20_i64 {
            let time = DISCHARGE.plus(-day * 86_400 * Timestamp::SECOND);
            for (code, value) in [
                ("sodium", patient.sodium),
                ("potassium", patient.sodium.map(|_| 4.0)),
            ] {
                if let Some(value) = value {
                    events.push(subject, Some(time), code, Some(value));
                }
            }
        }
        let time = DISCHARGE.plus(-86_400 * Timestamp::SECOND);
        if let Some(age) = patient.age {
            events.push(subject, Some(time), "age", Some(age));
        }
        labels.push(subject, DISCHARGE, patient.class);
        splits.push(subject, patient.split);
    }
    let file = |name: &str, role, bytes: Vec<u8>| File {
        name: name.to_owned(),
        role,
        bytes,
    };
    vec![
        file("events", Role::Events, events.into_parquet()),
        file("labels", Role::Labels, labels.into_parquet()),
        file("splits", Role::Splits, splits.into_parquet()),
    ]
}

/// A hospital with patients of all kinds.
fn usual() -> Vec<Patient> {
    (0..60)
        .map(|place| Patient {
            class: place % 3,
            split: if place % 5 == 0 {
                Split::HeldOut
            } else {
                Split::Train
            },
            sodium: Some(130.0 + place as f32 / 4.0),
            age: Some(40.0 + place as f32 / 2.0),
        })
        .collect()
}

/// Runs two usual hospitals and an odd one with every model and algorithm.
fn runs(odd: &[Patient]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for architecture in [LINEAR, TRANSFORMER] {
        for algorithm in [GRADIENT, SCAFFOLD] {
            let settings = [
                ("model.architecture", architecture),
                ("training.algorithm", algorithm),
                (
                    "training.optimizer",
                    "{ momentum = { rate = 0.5, momentum = 0.0 } }",
                ),
            ];
            let hospitals = vec![files(&usual()), files(odd), files(&usual())];
            let mut federation = Federation::of_files(DRAFT, &settings, hospitals);
            outcomes.push(federation.run(&BTreeMap::new()));
        }
    }
    outcomes
}

/// The model moves, and every weight of it is a number.
fn assert_sound(outcomes: &[Outcome]) {
    for outcome in outcomes {
        let offset = &outcome.state.offset;
        assert!(offset.iter().all(|weight| weight.is_finite()), "{offset:?}");
        assert!(
            offset.iter().any(|weight| weight.abs() > 1e-4),
            "{offset:?}"
        );
        let metrics = &outcome.metrics;
        assert!(metrics.macro_auc.is_some(), "{metrics:?}");
    }
}

#[test]
fn a_hospital_without_patients_of_some_class_trains() {
    let odd: Vec<Patient> = usual()
        .into_iter()
        .map(|patient| Patient {
            class: 0,
            ..patient
        })
        .collect();
    assert_sound(&runs(&odd));
}

#[test]
fn a_hospital_with_one_patient_trains() {
    let patient = Patient {
        class: 2,
        split: Split::Train,
        sodium: Some(150.0),
        age: Some(80.0),
    };
    assert_sound(&runs(&[patient]));
}

#[test]
fn a_hospital_with_nobody_to_train_on_takes_part() {
    let patient = Patient {
        class: 1,
        split: Split::HeldOut,
        sodium: None,
        age: None,
    };
    assert_sound(&runs(&[patient]));
}

#[test]
fn a_hospital_whose_features_are_constant_trains() {
    let odd: Vec<Patient> = usual()
        .into_iter()
        .map(|patient| Patient {
            sodium: Some(139.0),
            age: Some(65.0),
            ..patient
        })
        .collect();
    assert_sound(&runs(&odd));
}

#[test]
fn a_hospital_that_lacks_a_modality_trains() {
    let odd: Vec<Patient> = usual()
        .into_iter()
        .map(|patient| Patient {
            sodium: None,
            age: None,
            ..patient
        })
        .collect();
    assert_sound(&runs(&odd));
}

const SIMPLE: [(&str, &str); 3] = [
    ("model.architecture", LINEAR),
    ("training.algorithm", GRADIENT),
    (
        "training.optimizer",
        "{ momentum = { rate = 0.5, momentum = 0.0 } }",
    ),
];

/// More patients to train on than the study expects: their hospital takes part as any other, and its sums end where their
/// range does.
#[test]
fn a_hospital_with_more_patients_than_the_study_expects_takes_part_like_any_other() {
    let many: Vec<Patient> = usual().into_iter().cycle().take(400).collect();
    assert_sound(&runs(&many));
}

/// A stage asked for in another order is refused, and nothing can be asked of the round after that.
#[test]
fn a_module_asked_out_of_order_refuses_and_the_session_is_over() {
    let hospitals = vec![files(&usual()), files(&usual()), files(&usual())];
    let federation = Federation::of_files(DRAFT, &SIMPLE, hospitals);
    let survivors = Survivors {
        sites: Vec::new(),
        inputs: Vec::new(),
    };
    let statements = Messages {
        messages: Vec::new(),
    };
    let asked = [
        Request::Agree(survivors),
        Request::Unmask(statements),
        Request::Share(Messages {
            messages: Vec::new(),
        }),
    ];
    for (site, request) in asked.iter().enumerate() {
        federation.begin(site);
        let refusal = federation.refusal(site, request);
        assert!(refusal.fatal, "{}", refusal.reason);
        assert!(
            refusal.reason.contains("not what comes next"),
            "{}",
            refusal.reason
        );
        let after = federation.refusal(site, &Request::Advertise);
        assert!(
            after.reason.contains("no session is open"),
            "{}",
            after.reason
        );
    }
}

/// Weights that overflow, and states that are no numbers: refused with the reason, before anything could leave. What a
/// NaN's bits are differs from machine to machine, so one that left would end replay.
#[test]
fn no_nan_leaves_the_module() {
    for architecture in [LINEAR, TRANSFORMER] {
        let settings = [
            ("model.architecture", architecture),
            ("training.algorithm", GRADIENT),
            (
                "training.optimizer",
                "{ momentum = { rate = 1e38, momentum = 0.0 } }",
            ),
        ];
        let hospitals = vec![files(&usual()), files(&usual()), files(&usual())];
        let mut federation = Federation::of_files(DRAFT, &settings, hospitals);
        let moments = federation.beginning();
        let refused = |response: &Response| match response {
            Response::Refused(refusal) => Some(refusal.reason.clone()),
            _ => None,
        };
        if let Response::Finished(state) = federation.try_baseline(None) {
            assert!(
                state.offset.iter().all(|weight| weight.is_finite()),
                "{architecture}"
            );
        }
        for weight in [f32::NAN, f32::INFINITY, f32::MAX, -1e30] {
            let state = State {
                offset: vec![weight; moments.offset.len()],
                ..moments.clone()
            };
            for purpose in [Purpose::Train, Purpose::Evaluate] {
                // What is trained on is counted and clipped, so it is either refused or a vector of whole numbers.
                let response = federation.try_round(0, purpose, &state);
                if !weight.is_finite() {
                    let reason = refused(&response).expect("not a number");
                    assert!(reason.contains("not finite"), "{reason}");
                }
            }
            match federation.try_predict(0, &state) {
                Response::Predicted(predicted) => {
                    let mut probabilities =
                        predicted.patients.iter().flat_map(|one| &one.probabilities);
                    assert!(probabilities.all(|probability| probability.is_finite()));
                }
                response => assert!(refused(&response).is_some(), "{response:?}"),
            }
        }
    }
}
