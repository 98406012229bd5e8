//! Hospitals as a site would read them.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::fs;
use std::path::Path;

use cohort::File;
use cohort::{Patients, Slots, prepare};
use protocol::door::{BadRows, Report, Role};
use protocol::id::Digest;
use protocol::study::{Cohort, Feature};
use synthetic::{Hospital, Population, Settings, best_accuracy, spec, synthesise};

fn settings(seed: u64) -> Settings {
    Settings::new(3, 100, 6, seed).unwrap()
}

fn prepared(settings: Settings, hospital: &Hospital) -> (Patients, Report) {
    let file = |role, bytes: &Vec<u8>| File {
        name: format!("{role:?}"),
        role,
        bytes: bytes.clone(),
    };
    let files = [
        file(Role::Events, &hospital.events),
        file(Role::Labels, &hospital.labels),
        file(Role::Splits, &hospital.splits),
    ];
    prepare(
        &spec(settings),
        &Digest::of(b"study"),
        &files,
        BadRows::Stop,
    )
    .unwrap()
}

fn digests(settings: Settings) -> Vec<Digest> {
    let files = |hospital: Hospital| [hospital.events, hospital.labels, hospital.splits];
    synthesise(settings)
        .flat_map(files)
        .map(|file| Digest::of(&file))
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let first = digests(settings(1));
    assert_eq!(first, digests(settings(1)));
    let other = digests(settings(2));
    assert!(
        first
            .iter()
            .zip(&other)
            .filter(|(one, other)| one == other)
            .count()
            <= 3,
        "splits alone may agree"
    );
    assert_ne!(first[0], first[3], "hospitals differ");
}

#[test]
fn a_hospital_does_not_depend_on_how_many_there_are() {
    let few = synthesise(Settings::new(3, 20, 6, 7).unwrap())
        .last()
        .unwrap();
    let many = synthesise(Settings::new(100, 20, 6, 7).unwrap())
        .nth(2)
        .unwrap();
    assert_eq!(few, many);
    assert_eq!(synthesise(Settings::new(100, 20, 6, 7).unwrap()).len(), 100);
}

#[test]
fn the_files_are_read_without_a_bad_row() {
    for months in [6, 12] {
        let settings = Settings::new(3, 50, months, 3).unwrap();
        for hospital in synthesise(settings) {
            let (patients, report) = prepared(settings, &hospital);
            assert_eq!(
                (patients.len(), report.train, report.held_out),
                (50, 40, 10)
            );
            assert_eq!(report.classes, hospital.classes);
            assert_eq!((report.dropped, report.clipped, report.empty), (0, 0, 0));
            assert_eq!(
                report.events, report.used,
                "every event is of a feature and in the history"
            );
            let each = report.events / 50;
            assert!(
                (130 * u64::from(months)..260 * u64::from(months)).contains(&each),
                "{each} events a patient"
            );
        }
    }
}

#[test]
fn missingness_is_as_in_hospitals() {
    let settings = settings(4);
    let slots = Slots::of(&spec(settings));
    for hospital in synthesise(settings) {
        let (patients, _) = prepared(settings, &hospital);
        let missing: Vec<f64> = slots
            .blocks()
            .iter()
            .map(|block| {
                let there = (0..patients.len()).flat_map(|patient| {
                    patients.observed(patient)[block.offset..][..block.len()]
                        .iter()
                        .map(|there| f64::from(*there))
                });
                let (count, sum) =
                    there.fold((0.0, 0.0), |(count, sum), there| (count + 1.0, sum + there));
                1.0 - sum / count
            })
            .collect();
        let [vitals, labs, markers, expression, history] = missing[..] else {
            panic!("five modalities")
        };
        assert!(
            vitals < 0.1,
            "a week without any vital sign is rare: {vitals}"
        );
        assert!((0.03..0.45).contains(&labs), "{labs}");
        assert!((0.2..0.8).contains(&markers), "{markers}");
        assert!((0.0..0.55).contains(&expression), "{expression}");
        assert!(history < 0.001, "{history}");
    }
}

#[test]
fn hospitals_differ_in_age_severity_and_habits() {
    let settings = Settings::new(10, 60, 6, 5).unwrap();
    let slots = Slots::of(&spec(settings));
    let mut ages = Vec::new();
    let mut markers = Vec::new();
    let mut low = Vec::new();
    for hospital in synthesise(settings) {
        let (patients, _) = prepared(settings, &hospital);
        let everyone = 0..patients.len();
        let age = slots.blocks()[4].offset;
        ages.push(
            everyone
                .clone()
                .map(|patient| f64::from(patients.values(patient)[age]))
                .sum::<f64>()
                / 60.0,
        );
        let block = slots.blocks()[2];
        let there =
            everyone.flat_map(|patient| &patients.observed(patient)[block.offset..][..block.len()]);
        markers.push(there.map(|there| f64::from(*there)).sum::<f64>() / 60.0 / 72.0);
        low.push(f64::from(hospital.classes[0]) / 60.0);
    }
    let spread = |values: &[f64]| {
        values.iter().copied().fold(f64::MIN, f64::max)
            - values.iter().copied().fold(f64::MAX, f64::min)
    };
    assert!(spread(&ages) > 5.0, "{ages:?}");
    assert!(spread(&markers) > 0.15, "{markers:?}");
    assert!(spread(&low) > 0.15, "{low:?}");
}

#[test]
fn the_best_accuracy_is_that_of_the_hospitals() {
    let settings = settings(6);
    let each: Vec<f64> = synthesise(settings)
        .map(|hospital| hospital.best_accuracy)
        .collect();
    let best = best_accuracy(settings);
    assert!((best - each.iter().sum::<f64>() / 3.0).abs() < 1e-12);
    assert!((0.84..0.91).contains(&best), "{best}");
}

#[test]
fn the_drafts_of_studies_ask_for_what_is_made() {
    let spec = spec(Settings::new(3, 5, 6, 1).unwrap());
    for draft in ["readmission.toml", "readmission-transformer.toml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../studies")
            .join(draft);
        let study: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
        let asked: Cohort = study["cohort"].clone().try_into().unwrap();
        assert_eq!(asked.history, spec.history, "{draft}");
        assert_eq!(asked.classes, spec.classes, "{draft}");
        for (asked, made) in asked.modalities.iter().zip(&spec.modalities) {
            for (asked, made) in asked.features.iter().zip(&made.features) {
                let close = |one: f64, other: f64| (one - other).abs() < 1e-3;
                assert!(
                    close(asked.mean, made.mean) && close(asked.sd, made.sd),
                    "{draft}: {}",
                    asked.code
                );
                let same = Feature {
                    mean: made.mean,
                    sd: made.sd,
                    ..asked.clone()
                };
                assert_eq!(same, *made, "{draft}");
            }
            assert_eq!(
                (&asked.name, asked.shape, asked.features.len()),
                (&made.name, made.shape, made.features.len())
            );
        }
        assert_eq!(asked.modalities.len(), spec.modalities.len(), "{draft}");
    }
}

#[test]
fn the_shifted_population_has_four_outcomes_and_more_gaps() {
    let reference = settings(5);
    let shifted = reference.of(Population::Shifted);
    assert_eq!(spec(shifted).classes.len(), 16);
    let observed = |settings: Settings| {
        let mut there = 0;
        for hospital in synthesise(settings) {
            let (patients, report) = prepared(settings, &hospital);
            assert_eq!(report.classes, hospital.classes);
            let ones = |patient| {
                patients
                    .observed(patient)
                    .iter()
                    .map(|there| u32::from(*there))
                    .sum::<u32>()
            };
            there += (0..patients.len()).map(ones).sum::<u32>();
        }
        there
    };
    assert!(observed(shifted) < observed(reference));
    let mut hospitals = synthesise(shifted);
    let first = hospitals.next().unwrap();
    for outcome in 0..4 {
        let with: u32 = (0..)
            .zip(&first.classes)
            .filter(|(bits, _)| bits >> outcome & 1 == 1)
            .map(|(_, count)| count)
            .sum();
        assert!((30..80).contains(&with), "outcome {outcome}: {with} of 100");
    }
}
