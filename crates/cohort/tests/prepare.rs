//! Small tables whose every value is known.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]
#![expect(clippy::float_cmp, reason = "small whole numbers are exact")]

mod support;

use cohort::meds::Timestamp;
use cohort::{CohortError, Patients, prepare};
use protocol::door::{BadRows, Report, Role, Split};
use protocol::id::Digest;
use protocol::study::{Cohort, Encoding, Shape, Span};
use support::{File, cell, event, feature, file, labels, modality, study, table};

/// Patient 7 is to be predicted here.
const PREDICTION: i64 = 1_000 * Timestamp::DAY;
const HOUR: i64 = 3_600 * Timestamp::SECOND;

/// Four bins of a week: heart rate and a procedure; static: sex, smoker.
fn cohort() -> Cohort {
    let series = Shape::Series {
        bin: Span::days(7),
        bins_per_token: 1,
    };
    study(
        28,
        vec![
            modality(
                "vitals",
                series,
                vec![
                    feature("HR", Encoding::Value, 20.0, 250.0),
                    feature("CT", Encoding::Presence, 0.0, 1.0),
                ],
            ),
            modality(
                "person",
                Shape::Static,
                vec![
                    feature("SEX", Encoding::Value, 0.0, 1.0),
                    feature("SMOKER", Encoding::Presence, 0.0, 1.0),
                    feature("BMI", Encoding::Value, 10.0, 80.0),
                ],
            ),
        ],
    )
}

fn prepared(files: &[File], bad_rows: BadRows) -> Result<(Patients, Report), CohortError> {
    prepare(&cohort(), &Digest::of(b"study"), files, bad_rows)
}

/// The values and missingness of patient 7 with these events before [`PREDICTION`]: `(age, code, value)`.
fn values_of(events: &[(i64, &str, f64)]) -> (Vec<f32>, Vec<u8>, Report) {
    let rows = events
        .iter()
        .map(|(age, code, value)| event(7, Some(PREDICTION - age), code, Some(*value)));
    let files = [
        file("events", Role::Events, &rows.collect::<Vec<_>>()),
        labels(&[(7, PREDICTION, 1)]),
    ];
    let (patients, report) = prepared(&files, BadRows::Stop).unwrap();
    (
        patients.values(0).to_vec(),
        patients.observed(0).to_vec(),
        report,
    )
}

#[test]
fn a_bin_holds_the_mean_of_its_values_and_the_last_bin_ends_at_the_prediction_time() {
    let week = 7 * Timestamp::DAY;
    let (values, observed, report) = values_of(&[
        (1, "HR", 60.0),
        (HOUR, "HR", 70.0),
        (week, "HR", 80.0),
        (week + 1, "HR", 90.0),
        (4 * week, "HR", 100.0),
        (4 * week + 1, "HR", 110.0),
    ]);
    assert_eq!(
        values,
        [100.0, 0.0, 0.0, 0.0, 85.0, 0.0, 65.0, 0.0, 0.0, 0.0, 0.0],
        "what happened a week ago is in the bin before, what happened four weeks ago in the first"
    );
    assert_eq!(
        observed,
        [1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0],
        "presence is never missing"
    );
    assert_eq!((report.events, report.used, report.empty), (6, 5, 0));
}

#[test]
fn events_at_the_prediction_time_are_used_and_later_ones_are_not() {
    let (values, observed, report) = values_of(&[
        (0, "HR", 60.0),
        (-1, "HR", 61.0),
        (-HOUR, "SMOKER", 1.0),
        (0, "SEX", 1.0),
        (0, "CT", 1.0),
    ]);
    assert_eq!(
        values,
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 60.0, 1.0, 1.0, 0.0, 0.0]
    );
    assert_eq!(observed, [0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 0]);
    assert_eq!((report.events, report.used, report.empty), (5, 3, 0));
}

#[test]
fn years_since_an_event_are_told_at_each_prediction_time_however_long_ago_it_was() {
    let year = 36_525 * Timestamp::DAY / 100;
    let cohort = study(
        28,
        vec![modality(
            "person",
            Shape::Static,
            vec![feature("MEDS_BIRTH", Encoding::YearsSince, 0.0, 90.0)],
        )],
    );
    let cohort = Cohort {
        labels_per_patient: 2,
        ..cohort
    };
    let files = [
        file(
            "events",
            Role::Events,
            &[
                event(1, Some(PREDICTION - 40 * year), "MEDS_BIRTH", None),
                event(2, Some(PREDICTION - 100 * year), "MEDS_BIRTH", None),
                event(3, Some(PREDICTION + 1), "MEDS_BIRTH", None),
                event(4, None, "MEDS_BIRTH", None),
            ],
        ),
        labels(&[
            (1, PREDICTION, 0),
            (1, PREDICTION + year / 2, 0),
            (2, PREDICTION, 0),
            (3, PREDICTION, 0),
            (4, PREDICTION, 0),
        ]),
    ];
    let (patients, report) =
        prepare(&cohort, &Digest::of(b"study"), &files, BadRows::Stop).unwrap();
    let values: Vec<f32> = (0..5).map(|row| patients.values(row)[0]).collect();
    assert_eq!(values, [40.0, 40.5, 90.0, 0.0, 0.0]);
    let coverage = &report.features[0];
    assert_eq!(
        (
            coverage.used,
            coverage.clipped,
            coverage.late,
            coverage.without_time
        ),
        (2, 1, 1, 1)
    );
}

#[test]
fn each_moment_of_the_history_is_in_exactly_one_bin() {
    let week = 7 * Timestamp::DAY;
    for (age, bin) in [
        (0, Some(3)),
        (1, Some(3)),
        (week - 1, Some(3)),
        (week, Some(2)),
        (2 * week - 1, Some(2)),
        (2 * week, Some(1)),
        (3 * week, Some(0)),
        (4 * week - 1, Some(0)),
        (4 * week, Some(0)),
        (4 * week + 1, None),
        (-1, None),
    ] {
        let (_, observed, report) = values_of(&[(age, "HR", 60.0)]);
        let found: Vec<usize> = (0..4).filter(|bin| observed[2 * bin] == 1).collect();
        assert_eq!(found, Vec::from_iter(bin), "{age} µs before");
        assert_eq!(report.used, u64::from(bin.is_some()), "{age} µs before");
    }
}

#[test]
fn bins_of_hours_are_cut_like_bins_of_days() {
    let in_hours = |bin| {
        let shape = Shape::Series {
            bin,
            bins_per_token: 1,
        };
        let mut cohort = study(
            1,
            vec![modality(
                "vitals",
                shape,
                vec![feature("HR", Encoding::Value, 20.0, 250.0)],
            )],
        );
        cohort.history = Span::hours(12);
        cohort
    };
    let rows = [0, 4, 5, 12, 13].map(|hours| {
        event(
            7,
            Some(PREDICTION - hours * HOUR),
            "HR",
            Some(f64::from(50 + i32::try_from(hours).unwrap())),
        )
    });
    let files = [
        file("events", Role::Events, &rows),
        labels(&[(7, PREDICTION, 1)]),
    ];
    let cohort = in_hours(Span::hours(4));
    let (patients, report) =
        prepare(&cohort, &Digest::of(b"study"), &files, BadRows::Stop).unwrap();
    assert_eq!(patients.values(0), [62.0, 54.5, 50.0]);
    assert_eq!(report.used, 4);
    // Two days are 48 hours, whoever counts them; other bins are other inputs.
    let bytes = patients.encode();
    assert!(Patients::decode(&bytes, &cohort).is_ok());
    assert!(Patients::decode(&bytes, &in_hours(Span::hours(6))).is_err());
    assert_eq!(Span::days(2), Span::hours(48));
}

#[test]
fn a_static_feature_takes_the_last_value_in_the_history_and_what_has_no_time_only_before_any() {
    let day = Timestamp::DAY;
    let rows = [
        event(7, Some(PREDICTION - 3 * day), "BMI", Some(30.0)),
        event(7, Some(PREDICTION - 2 * day), "BMI", Some(31.0)),
        event(7, Some(PREDICTION - 29 * day), "BMI", Some(32.0)),
        event(7, None, "BMI", Some(33.0)),
        event(7, None, "SEX", Some(1.0)),
        event(7, None, "SMOKER", None),
        event(7, None, "HR", Some(60.0)),
        event(7, None, "SEX", None),
    ];
    let files = [
        labels(&[(7, PREDICTION, 0)]),
        file("events", Role::Events, &rows),
    ];
    let (patients, report) = prepared(&files, BadRows::Stop).unwrap();
    assert_eq!(patients.values(0)[8..], [1.0, 1.0, 31.0]);
    assert_eq!(
        patients.observed(0)[..8],
        [0, 1, 0, 1, 0, 1, 0, 1],
        "a series takes no event without a time"
    );
    assert_eq!((report.used, report.dropped), (5, 0));
}

#[test]
fn implausible_values_are_set_to_the_end_of_their_range_and_counted() {
    let (values, _, report) = values_of(&[
        (1, "HR", 1_000.0),
        (2, "HR", -5.0),
        (3, "BMI", 25.0),
        (4, "CT", 99.0),
    ]);
    assert_eq!(values[6..], [135.0, 1.0, 0.0, 0.0, 25.0]);
    assert_eq!((report.clipped, report.used), (2, 4));
}

#[test]
fn patients_stand_by_subject_whatever_the_order_of_files_and_rows() {
    let first = file(
        "a",
        Role::Events,
        &[
            event(9, Some(1), "HR", Some(50.0)),
            event(3, Some(1), "HR", Some(60.0)),
        ],
    );
    let second = file(
        "b",
        Role::Events,
        &[
            event(3, Some(2), "HR", Some(80.0)),
            event(4, Some(1), "HR", Some(1.0)),
        ],
    );
    let labels = labels(&[(9, HOUR, 0), (3, HOUR, 2), (5, HOUR, 1)]);
    let one = prepared(
        &[first.clone(), second.clone(), labels.clone()],
        BadRows::Stop,
    )
    .unwrap();
    let other = prepared(&[second, labels, first], BadRows::Stop).unwrap();
    assert_eq!(one, other);
    let (patients, report) = one;
    assert_eq!(patients.subjects(), [3, 5, 9]);
    assert_eq!(patients.labels(), [2, 1, 0]);
    assert_eq!(patients.values(0)[6], 70.0);
    assert_eq!(patients.values(2)[6], 50.0);
    assert_eq!(report.classes, [1, 1, 1]);
    assert_eq!((report.events, report.used, report.empty), (4, 3, 1));
}

#[test]
fn a_file_of_splits_is_followed_and_without_one_a_hash_decides() {
    let events = file("events", Role::Events, &[]);
    let rows: Vec<_> = (0..100).map(|subject| (subject, HOUR, 0)).collect();
    let names = ["train", "tuning", "held_out"].iter().cycle();
    let splits: Vec<_> = (0..100)
        .zip(names)
        .map(|(subject, name)| vec![cell::int(subject), cell::text(name)])
        .collect();
    let splits = table("splits", Role::Splits, "subject_id:i64 split:text", &splits);
    let (patients, report) =
        prepared(&[events.clone(), labels(&rows), splits], BadRows::Stop).unwrap();
    assert_eq!((report.train, report.tuning, report.held_out), (34, 33, 33));
    assert_eq!(
        patients.splits()[..3],
        [Split::Train, Split::Tuning, Split::HeldOut]
    );

    let (_, report) = prepared(&[events, labels(&rows)], BadRows::Stop).unwrap();
    assert!((60..90).contains(&report.train), "{report:?}");
    assert_eq!(report.train + report.tuning + report.held_out, 100);
}

#[test]
fn labels_are_read_from_any_of_the_columns_of_meds() {
    let events = file("events", Role::Events, &[]);
    let read = |column: &str, cells: Vec<support::Cell>| {
        let rows: Vec<_> = (0..)
            .zip(cells)
            .map(|(subject, value)| vec![cell::int(subject), cell::time(HOUR), value])
            .collect();
        let labels = table(
            "labels",
            Role::Labels,
            &format!("subject_id:i64 prediction_time:us {column}"),
            &rows,
        );
        prepared(&[labels, events.clone()], BadRows::Stop)
            .unwrap()
            .0
            .labels()
            .to_vec()
    };
    assert_eq!(
        read("boolean_value:bool", vec![cell::yes(), cell::no()]),
        [1, 0]
    );
    assert_eq!(
        read("integer_value:i64", vec![cell::int(2), cell::int(0)]),
        [2, 0]
    );
    assert_eq!(
        read("float_value:f64", vec![cell::float(1.0), cell::float(2.0)]),
        [1, 2]
    );
    assert_eq!(
        read(
            "categorical_value:text",
            vec![cell::text("high"), cell::text("1")]
        ),
        [2, 1]
    );
}

#[test]
fn common_physical_variants_give_the_same_patients() {
    let labels = labels(&[(7, PREDICTION, 1)]);
    let micros = PREDICTION - HOUR;
    let variants = [
        ("us", "f32", micros),
        ("ms", "f64", micros / 1_000),
        ("ns", "f64", micros * 1_000),
        ("us", "i32", micros),
    ];
    for (unit, number, time) in variants {
        for id in ["i64", "i32"] {
            let columns =
                format!("extra:text numeric_value:{number} code:text time:{unit} subject_id:{id}");
            let value = if number == "i32" {
                cell::int(66)
            } else {
                cell::float(66.0)
            };
            let row = vec![
                cell::text("x"),
                value,
                cell::text("HR"),
                cell::int(time),
                cell::int(7),
            ];
            let events = table("events", Role::Events, &columns, &[row]);
            let (patients, _) = prepared(&[labels.clone(), events], BadRows::Stop).unwrap();
            assert_eq!(patients.values(0)[6], 66.0, "{columns}");
        }
    }
}

#[test]
fn many_row_groups_are_read_and_rows_are_counted_on() {
    let rows: Vec<_> = (0..30_000)
        .map(|second| event(7, Some(PREDICTION - second - 1), "HR", Some(80.0)))
        .collect();
    let mut rows_with_fault = rows.clone();
    rows_with_fault[29_000] = event(7, Some(PREDICTION - 1), "HR", Some(f64::INFINITY));
    let labels = labels(&[(7, PREDICTION, 0)]);
    let events = support::grouped("events", Role::Events, support::EVENTS, &rows, 10_000);
    let (_, report) = prepared(&[labels.clone(), events], BadRows::Stop).unwrap();
    assert_eq!((report.events, report.used), (30_000, 30_000));
    let events = support::grouped(
        "events",
        Role::Events,
        support::EVENTS,
        &rows_with_fault,
        10_000,
    );
    let error = prepared(&[labels, events], BadRows::Stop).unwrap_err();
    assert_eq!(
        error.to_string(),
        "events, row 29001, column numeric_value: inf is not a finite number"
    );
}

/// Labels of patients 7 and 8 a week apart, the later ones first, and a heart rate before each.
fn weekly() -> [File; 2] {
    let at = |week: i64| PREDICTION + 7 * week * Timestamp::DAY;
    let rates: Vec<_> = (0..3)
        .map(|week| {
            event(
                7,
                Some(at(week) - HOUR),
                "HR",
                Some(60.0 + 10.0 * week as f64),
            )
        })
        .chain([event(7, None, "SEX", Some(1.0))])
        .collect();
    [
        file("events", Role::Events, &rates),
        labels(&[(8, at(0), 2), (7, at(2), 2), (7, at(0), 0), (7, at(1), 1)]),
    ]
}

fn with_labels_per_patient(labels_per_patient: u32) -> Cohort {
    Cohort {
        labels_per_patient,
        ..cohort()
    }
}

#[test]
fn each_label_of_a_patient_is_a_row_with_what_was_known_before_it() {
    let study = Digest::of(b"study");
    let (patients, report) = prepare(
        &with_labels_per_patient(3),
        &study,
        &weekly(),
        BadRows::Stop,
    )
    .unwrap();
    assert_eq!(patients.subjects(), [7, 7, 7, 8]);
    assert_eq!(patients.labels(), [0, 1, 2, 2]);
    assert_eq!(patients.patients(), [0..3, 3..4]);
    // Heart rate and procedure, bin by bin; then sex, smoker, BMI.
    assert_eq!(
        patients.values(0),
        [0., 0., 0., 0., 0., 0., 60., 0., 1., 0., 0.]
    );
    assert_eq!(
        patients.values(2),
        [0., 0., 60., 0., 70., 0., 80., 0., 1., 0., 0.]
    );
    assert_eq!((report.events, report.used, report.empty), (4, 4, 1));
    assert_eq!((report.classes, report.surplus), (vec![1, 1, 2], 0));
    assert!(
        patients.splits()[..3]
            .iter()
            .all(|split| *split == patients.splits()[0]),
        "a patient is in one split"
    );
}

#[test]
fn of_more_labels_than_the_study_uses_the_first_by_time_are_used() {
    let study = Digest::of(b"study");
    for (most, classes, surplus) in [(1, vec![0, 2], 2), (2, vec![0, 1, 2], 1)] {
        let cohort = with_labels_per_patient(most);
        let (patients, report) = prepare(&cohort, &study, &weekly(), BadRows::Stop).unwrap();
        assert_eq!(patients.labels(), classes);
        assert_eq!(report.surplus, surplus);
        let bytes = patients.encode();
        assert_eq!(Patients::decode(&bytes, &cohort), Ok(patients));
        assert!(
            Patients::decode(&bytes, &with_labels_per_patient(3)).is_err(),
            "prepared for another number of labels"
        );
    }
}

/// Two stays of each of two patients, one of each not over yet; and one who is in no split.
fn stays() -> [File; 3] {
    let columns = "subject_id:i64 prediction_time:us integer_value:i64";
    let stay = |subject, hours, class| {
        vec![
            cell::int(subject),
            cell::time(PREDICTION + hours * HOUR),
            class,
        ]
    };
    let rows = [
        stay(7, 0, cell::int(1)),
        stay(7, 5, None),
        stay(3, 1, None),
        stay(3, 0, cell::int(2)),
        stay(9, 0, None),
    ];
    let split_rows = [(7, "train"), (3, "tuning")]
        .map(|(subject, split)| vec![cell::int(subject), cell::text(split)]);
    [
        file(
            "events",
            Role::Events,
            &[event(7, Some(PREDICTION - HOUR), "HR", Some(70.0))],
        ),
        table("labels", Role::Labels, columns, &rows),
        table(
            "splits",
            Role::Splits,
            "subject_id:i64 split:text",
            &split_rows,
        ),
    ]
}

#[test]
fn patients_whose_outcome_is_not_known_are_prepared_for_predictions_alone() {
    let refused = prepared(&stays(), BadRows::Stop).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "labels, row 2, column integer_value: the value is missing"
    );
    let (patients, report) = prepared(&stays(), BadRows::Drop).unwrap();
    assert_eq!((patients.len(), report.dropped, report.unknown), (2, 3, 0));

    let study = Digest::of(b"study");
    let (candidates, report) =
        cohort::prepare_any(&cohort(), &study, &stays(), BadRows::Stop).unwrap();
    // The study uses one label of a patient; what is predicted has no such limit.
    assert_eq!(candidates.subjects(), [3, 3, 7, 7, 9]);
    assert_eq!(
        candidates.labels(),
        [Some(2), None, Some(1), None, None],
        "by time"
    );
    assert_eq!(
        candidates.times(),
        [0, 1, 0, 5, 0].map(|hours| PREDICTION + hours * HOUR)
    );
    assert_eq!(candidates.splits()[4], Split::HeldOut);
    assert_eq!((report.unknown, report.surplus), (3, 0));
    assert_eq!(report.classes, [0, 1, 1]);

    let bytes = candidates.encode();
    assert_eq!(
        cohort::Candidates::decode(&bytes, &cohort()),
        Ok(candidates)
    );
    assert_eq!(
        Patients::decode(&bytes, &cohort()),
        Err(cohort::DecodeError::ForPrediction)
    );
    let known = cohort::Candidates::decode(&patients.encode(), &cohort()).unwrap();
    assert_eq!(known.labels(), [Some(2), Some(1)]);
}

#[test]
fn a_list_of_patients_and_times_is_enough_for_a_prediction() {
    let rows = [7, 8].map(|subject| vec![cell::int(subject), cell::time(PREDICTION)]);
    let columns = "subject_id:i64 prediction_time:us";
    let files = [
        file(
            "events",
            Role::Events,
            &[event(7, Some(PREDICTION - HOUR), "HR", Some(70.0))],
        ),
        table("labels", Role::Labels, columns, &rows),
    ];
    let refused = prepared(&files, BadRows::Drop).unwrap_err();
    assert!(
        refused.to_string().contains("there is no such column"),
        "{refused}"
    );
    let study = Digest::of(b"study");
    let (candidates, report) =
        cohort::prepare_any(&cohort(), &study, &files, BadRows::Stop).unwrap();
    assert_eq!(candidates.labels(), [None, None]);
    assert_eq!((report.unknown, report.used, report.empty), (2, 1, 1));
}
