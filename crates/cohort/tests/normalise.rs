//! Normalisation and shared moments on patients whose values are known.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod support;

use cohort::File;
use cohort::meds::{Events, Labels, Splits, Timestamp};
use cohort::{
    MOST_DEVIATIONS, NormaliseError, Normaliser, Patients, PoolError, Slots, moment_vector,
    prepare, reference,
};
use protocol::door::{BadRows, Moments, Role, Split};
use protocol::id::Digest;
use protocol::study::{Cohort, Encoding, Shape, Span, moments_from_sum};
use support::{feature, modality, study};

/// Two weeks of heart rate, and whether there was a scan.
fn cohort() -> Cohort {
    let features = vec![
        feature("HR", Encoding::Value, 0.0, 200.0),
        feature("CT", Encoding::Presence, 0.0, 1.0),
    ];
    study(
        14,
        vec![modality(
            "vitals",
            Shape::Series {
                bin: Span::days(7),
                bins_per_token: 1,
            },
            features,
        )],
    )
}

/// Patients with a heart rate for each of the two weeks, all but every fifth to train on.
fn patients(rates: &[(Option<f32>, Option<f32>)]) -> Patients {
    let (mut events, mut labels, mut splits) =
        (Events::default(), Labels::default(), Splits::default());
    let now = Timestamp(0);
    for (subject, (first, second)) in (0..).zip(rates) {
        for (days, rate) in [(10, first), (3, second)] {
            if let Some(rate) = rate {
                events.push(
                    subject,
                    Some(now.plus(-days * Timestamp::DAY)),
                    "HR",
                    Some(*rate),
                );
            }
        }
        labels.push(subject, now, 0);
        splits.push(
            subject,
            if subject % 5 == 4 {
                Split::HeldOut
            } else {
                Split::Train
            },
        );
    }
    prepared(&cohort(), events, labels, splits)
}

fn prepared(cohort: &Cohort, events: Events, labels: Labels, splits: Splits) -> Patients {
    let file = |role, bytes| File {
        name: format!("{role:?}"),
        role,
        bytes,
    };
    let files = [
        file(Role::Events, events.into_parquet()),
        file(Role::Labels, labels.into_parquet()),
        file(Role::Splits, splits.into_parquet()),
    ];
    prepare(cohort, &Digest::of(b"study"), &files, BadRows::Stop)
        .unwrap()
        .0
}

#[test]
fn slots_are_bins_by_features() {
    let slots = Slots::of(&cohort());
    let block = slots.blocks()[0];
    assert_eq!(
        (slots.len(), block.offset, block.bins, block.features),
        (4, 0, 2, 2)
    );
}

#[test]
fn values_are_centred_and_scaled_and_missing_ones_are_the_mean() {
    let patients = patients(&[(Some(150.0), None), (None, Some(50.0))]);
    let normaliser = Normaliser::new(&cohort(), &reference(&cohort())).unwrap();
    let batch = normaliser.apply(&patients, &[1, 0, 1]);
    assert_eq!((batch.patients, batch.slots), (3, 4));
    // Heart rate has mean 100 and sd 50; the scan has mean 0.5 and sd 0.25, and is never missing.
    assert_eq!(
        batch.values,
        [
            0.0, -2.0, -1.0, -2.0, 1.0, -2.0, 0.0, -2.0, 0.0, -2.0, -1.0, -2.0
        ]
    );
    assert_eq!(
        batch.missing,
        [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    );
}

#[test]
fn moments_that_cannot_normalise_are_refused() {
    let good = Moments { mean: 0.0, sd: 1.0 };
    let refused = |moments: &[Moments]| Normaliser::new(&cohort(), moments).unwrap_err();
    assert_eq!(
        refused(&[good]),
        NormaliseError::Length { found: 1, want: 2 }
    );
    for sd in [0.0, -1.0, f64::INFINITY, 1e-60] {
        assert_eq!(
            refused(&[good, Moments { mean: 0.0, sd }]),
            NormaliseError::Value {
                feature: 1,
                mean: 0.0,
                sd
            }
        );
    }
    for (mean, sd) in [(f64::NAN, 1.0), (1e300, 1.0), (0.0, f64::NAN)] {
        assert!(matches!(
            refused(&[Moments { mean, sd }, good]),
            NormaliseError::Value { feature: 0, .. }
        ));
    }
}

#[test]
fn moments_count_each_training_patient_once_by_the_mean_of_its_values() {
    let patients = patients(&[
        (Some(100.0), Some(200.0)),
        (Some(50.0), None),
        (None, None),
        (None, Some(100.0)),
        (Some(200.0), Some(200.0)),
    ]);
    // Means 150, 50 and 100 on a range of 0 to 200; the fifth patient is held out; nobody had a scan.
    assert_eq!(
        moment_vector(&patients, &cohort()),
        [3.0, 0.0, 0.5, 4.0, -4.0, 4.0]
    );
}

#[test]
fn shared_moments_are_those_of_the_pooled_patients() {
    let rates: Vec<f32> = (0..40u8)
        .map(|patient| 60.0 + f32::from(patient) * 2.0)
        .collect();
    let site = |rates: &[f32]| {
        patients(
            &rates
                .iter()
                .map(|rate| (Some(*rate), Some(*rate)))
                .collect::<Vec<_>>(),
        )
    };
    let vectors =
        [site(&rates[..15]), site(&rates[15..])].map(|site| moment_vector(&site, &cohort()));
    let sums: Vec<f64> = vectors[0]
        .iter()
        .zip(&vectors[1])
        .map(|(one, other)| one + other)
        .collect();
    let train: Vec<f64> = rates
        .iter()
        .enumerate()
        .filter(|(place, _)| place % 5 != 4)
        .map(|(_, rate)| f64::from(*rate))
        .collect();
    let count = 32.0;
    let mean = train.iter().sum::<f64>() / count;
    let variance = train.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let found = moments_from_sum(&cohort(), &sums)[0];
    assert!((found.mean - mean).abs() < 1e-9, "{found:?}, {mean}");
    assert!(
        (found.sd - variance.sqrt()).abs() < 1e-9,
        "{found:?}, {variance}"
    );
}

#[test]
fn noisy_and_absurd_sums_give_usable_moments() {
    let cohort = cohort();
    let reference = reference(&cohort);
    for sums in [
        vec![],
        vec![0.0; 6],
        vec![-50.0; 6],
        vec![7.0, 3.0, 2.0, 7.9, 1.0, 1.0],
        vec![f64::NAN, 1.0, 1.0, 100.0, f64::INFINITY, 1.0],
    ] {
        assert_eq!(moments_from_sum(&cohort, &sums), reference, "{sums:?}");
    }
    for sums in [
        [100.0, 900.0, -5.0, 20.0, -900.0, 1e9],
        [1e12, 0.0, 0.0, 9.0, 9.0, 9.0],
    ] {
        let moments = moments_from_sum(&cohort, &sums);
        assert!(Normaliser::new(&cohort, &moments).is_ok(), "{moments:?}");
        for (moments, feature) in moments.iter().zip(cohort.features()) {
            assert!((feature.low..=feature.high).contains(&moments.mean));
            assert!(moments.sd >= feature.sd / 4.0);
        }
    }
}

#[test]
fn sites_of_one_study_can_be_pooled() {
    let (first, second) = (
        patients(&[(Some(1.0), None); 3]),
        patients(&[(None, Some(2.0)); 2]),
    );
    let pooled = Patients::pool(vec![first, second]).unwrap();
    assert_eq!(pooled.len(), 5);
    assert_eq!(pooled.subjects(), [0, 1, 2, 0, 1]);
    assert_eq!(pooled.values(4), [0.0, 0.0, 2.0, 0.0]);
    assert_eq!(Patients::pool(vec![]), Err(PoolError::Nothing));
}

#[test]
fn a_patient_with_many_labels_counts_once_in_the_moments() {
    let cohort = Cohort {
        labels_per_patient: 2,
        ..cohort()
    };
    let (mut events, mut labels, mut splits) =
        (Events::default(), Labels::default(), Splits::default());
    for (day, rate) in [(100, 0.0), (200, 200.0)] {
        let time = Timestamp(day * Timestamp::DAY);
        events.push(3, Some(time.plus(-1)), "HR", Some(rate));
        labels.push(3, time, 0);
    }
    splits.push(3, Split::Train);
    let patients = prepared(&cohort, events, labels, splits);
    assert_eq!(patients.len(), 2);
    // One patient, with the mean of both rates: the middle of the range.
    assert_eq!(moment_vector(&patients, &cohort)[..3], [1.0, 0.0, 0.0]);
}

/// A reference of a ten-thousandth of the range, and values at its ends.
#[test]
fn no_normalised_value_is_further_out_than_is_stated() {
    let patients = patients(&[(Some(0.0), Some(200.0)), (None, Some(100.5))]);
    let narrow = [
        Moments {
            mean: 100.0,
            sd: 0.01,
        },
        Moments { mean: 0.5, sd: 0.5 },
    ];
    for sd in [0.01, 1e-30, 3e-39] {
        let moments = [Moments { sd, ..narrow[0] }, narrow[1]];
        let normaliser = Normaliser::new(&cohort(), &moments).unwrap();
        let batch = normaliser.apply(&patients, &[0, 1]);
        let bound = |value: &f32| value.abs() <= MOST_DEVIATIONS;
        assert!(batch.values.iter().all(bound), "{:?}", batch.values);
        assert!(batch.values.contains(&-MOST_DEVIATIONS));
    }
}
