//! What is written is read, and means what a plain reading of the study says.

mod support;

use cohort::File;
use cohort::meds::{Events, Labels, Splits, Timestamp};
use cohort::{Patients, Slots, prepare};
use proptest::prelude::*;
use protocol::door::{BadRows, Role, Split};
use protocol::id::Digest;
use protocol::study::{Cohort, Encoding, Shape, Span};
use support::{feature, modality, study};

const CODES: [&str; 5] = ["HR", "CT", "BMI", "SMOKER", "OTHER"];
const DAYS: i64 = 21;

/// Three weeks of `HR` and `CT`; `BMI` and `SMOKER` at any time.
fn cohort() -> Cohort {
    let series = vec![
        feature("HR", Encoding::Value, 20.0, 250.0),
        feature("CT", Encoding::Presence, 0.0, 1.0),
    ];
    let person = vec![
        feature("BMI", Encoding::Value, 10.0, 80.0),
        feature("SMOKER", Encoding::Presence, 0.0, 1.0),
    ];
    study(
        21,
        vec![
            modality(
                "vitals",
                Shape::Series {
                    bin: Span::days(7),
                    bins_per_token: 3,
                },
                series,
            ),
            modality("person", Shape::Static, person),
        ],
    )
}

#[derive(Clone, Debug)]
struct Event {
    subject: i64,
    /// Microseconds before the prediction time.
    age: Option<i64>,
    code: &'static str,
    value: Option<f32>,
}

fn any_event() -> impl Strategy<Value = Event> {
    let age = prop_oneof![
        4 => (-Timestamp::DAY..25 * Timestamp::DAY).prop_map(Some),
        // Where one bin ends and the next begins.
        2 => (0..5i64, -1..2i64).prop_map(|(week, off)| Some(week * 7 * Timestamp::DAY + off)),
        1 => Just(None),
    ];
    let value = prop::option::weighted(0.9, 0.0..300.0f32);
    (0..4i64, age, prop::sample::select(CODES.as_slice()), value).prop_map(
        |(subject, age, code, value)| Event {
            subject,
            age,
            code,
            value,
        },
    )
}

/// Three labelled patients and one without a label.
fn files(events: &[Event], prediction: Timestamp) -> [File; 3] {
    let (mut rows, mut labels, mut splits) =
        (Events::default(), Labels::default(), Splits::default());
    for event in events {
        rows.push(
            event.subject,
            event.age.map(|age| prediction.plus(-age)),
            event.code,
            event.value,
        );
    }
    for ((subject, class), split) in
        (0..)
            .zip(0..)
            .zip([Split::Train, Split::Tuning, Split::HeldOut])
    {
        labels.push(subject, prediction, class);
        splits.push(subject, split);
    }
    let file = |name: &str, role, bytes: Vec<u8>| File {
        name: name.to_owned(),
        role,
        bytes,
    };
    [
        file("events", Role::Events, rows.into_parquet()),
        file("labels", Role::Labels, labels.into_parquet()),
        file("splits", Role::Splits, splits.into_parquet()),
    ]
}

/// A slot of `HR` or `CT` by its definition: a bin ends at its youngest moment, which is in it; the first has the history's
/// beginning too.
fn bin(events: &[Event], subject: i64, code: &str, bin: i64) -> Vec<f32> {
    let week = 7 * Timestamp::DAY;
    let (youngest, oldest) = (
        DAYS * Timestamp::DAY - (bin + 1) * week,
        DAYS * Timestamp::DAY - bin * week,
    );
    let here = |event: &&Event| {
        event.subject == subject
            && event.code == code
            && event
                .age
                .is_some_and(|age| youngest <= age && (age < oldest || (bin == 0 && age == oldest)))
    };
    events
        .iter()
        .filter(here)
        .filter_map(|event| if code == "CT" { Some(1.0) } else { event.value })
        .collect()
}

/// What `BMI` or `SMOKER` can be by its definition: the values at the last time.
fn last(events: &[Event], subject: i64, code: &str) -> Vec<f32> {
    let usable: Vec<(i64, f32)> = events
        .iter()
        .filter(|event| event.subject == subject && event.code == code)
        .filter(|event| {
            event
                .age
                .is_none_or(|age| (0..=DAYS * Timestamp::DAY).contains(&age))
        })
        .filter_map(|event| Some((event.age.unwrap_or(i64::MAX), event.value?)))
        .collect();
    let youngest = usable.iter().map(|(age, _)| *age).min();
    usable
        .iter()
        .filter(|(age, _)| Some(*age) == youngest)
        .map(|(_, value)| *value)
        .collect()
}

proptest! {
    #[test]
    fn patients_have_the_values_that_the_study_defines(
        events in prop::collection::vec(any_event(), 0..80),
        prediction in -1_000_000_000_000i64..4_000_000_000_000_000,
    ) {
        let files = files(&events, Timestamp(prediction));
        let (patients, report) = prepare(&cohort(), &Digest::of(b"study"), &files, BadRows::Stop).unwrap();
        prop_assert_eq!(report.events, events.len() as u64);
        prop_assert_eq!(patients.labels(), [0, 1, 2].as_slice());
        prop_assert_eq!(patients.splits(), [Split::Train, Split::Tuning, Split::HeldOut].as_slice());
        let block = Slots::of(&cohort()).blocks()[1];
        for (patient, subject) in (0..3).zip(0..) {
            let (values, observed) = (patients.values(patient), patients.observed(patient));
            for week in 0..3u8 {
                let slot = usize::from(week) * 2;
                let rates: Vec<f32> =
                    bin(&events, subject, "HR", week.into()).iter().map(|rate| rate.clamp(20.0, 250.0)).collect();
                prop_assert_eq!(observed[slot] != 0, !rates.is_empty());
                let mean = rates.iter().sum::<f32>() / f32::from(u8::try_from(rates.len().max(1)).unwrap());
                prop_assert!((values[slot] - mean).abs() < 1e-2, "{} is not {mean}", values[slot]);
                let scans = bin(&events, subject, "CT", week.into());
                prop_assert_eq!((values[slot + 1] > 0.5, observed[slot + 1]), (!scans.is_empty(), 1));
            }
            let weights = last(&events, subject, "BMI");
            prop_assert_eq!(observed[block.offset] != 0, !weights.is_empty());
            if !weights.is_empty() {
                prop_assert!(weights.iter().any(|weight| (weight.clamp(10.0, 80.0) - values[block.offset]).abs() < 1e-6));
            }
        }
        let bytes = patients.encode();
        prop_assert_eq!(Patients::decode(&bytes, &cohort()), Ok(patients));
    }
}
