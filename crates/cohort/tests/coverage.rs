//! Every event is accounted for, by feature.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]
#![expect(clippy::float_cmp, reason = "small whole numbers are exact")]

mod support;

use cohort::meds::Timestamp;
use cohort::{check, prepare};
use protocol::door::{BadRows, Checked, Coverage, Report, Role};
use protocol::id::Digest;
use protocol::study::{Cohort, Encoding, Shape, Span};
use support::{Cell, File, cell, event, feature, file, labels, modality, study};

const DAY: i64 = Timestamp::DAY;

/// Two bins of a day: heart rate, a procedure; static: age.
fn cohort() -> Cohort {
    let series = Shape::Series {
        bin: Span::days(1),
        bins_per_token: 1,
    };
    study(
        2,
        vec![
            modality(
                "vitals",
                series,
                vec![
                    feature("LOINC//8867-4", Encoding::Value, 20.0, 250.0),
                    feature("CT", Encoding::Presence, 0.0, 1.0),
                ],
            ),
            modality(
                "person",
                Shape::Static,
                vec![feature("AGE", Encoding::Value, 0.0, 120.0)],
            ),
        ],
    )
}

/// These events, and patients 1 to 3, each with a label after ten days.
fn files(rows: &[Vec<Cell>]) -> [File; 2] {
    let labels = labels(&[(1, 10 * DAY, 1), (2, 10 * DAY, 0), (3, 10 * DAY, 1)]);
    [file("events", Role::Events, rows), labels]
}

fn report(rows: &[Vec<Cell>]) -> Report {
    let (_, report) = prepare(
        &cohort(),
        &Digest::of(b"study"),
        &files(rows),
        BadRows::Drop,
    )
    .unwrap();
    report
}

fn checked(rows: &[Vec<Cell>], explain: Option<i64>) -> Checked {
    check(
        &cohort(),
        &Digest::of(b"study"),
        &files(rows),
        BadRows::Drop,
        explain,
    )
    .unwrap()
}

fn at(subject: i64, day: i64, code: &str, value: f64) -> Vec<Cell> {
    event(subject, Some(day * DAY), code, Some(value))
}

/// One event for each thing that can become of one.
fn one_of_each() -> Vec<Vec<Cell>> {
    vec![
        at(1, 10, "LOINC//8867-4", 60.0),
        at(1, 9, "LOINC//8867-4", 900.0),
        at(2, 8, "LOINC//8867-4", 80.0),
        at(2, 7, "LOINC//8867-4", 70.0),
        at(2, 11, "LOINC//8867-4", 70.0),
        at(9, 9, "LOINC//8867-4", 70.0),
        event(1, Some(9 * DAY), "LOINC//8867-4", None),
        event(1, None, "LOINC//8867-4", Some(70.0)),
        event(1, Some(9 * DAY), "LOINC//8867-4", Some(f64::NAN)),
        at(1, 9, "CT", 5.0),
        at(1, 9, "LOINC//2823-3", 4.0),
        at(1, 9, "LOINC//2823-3", 4.0),
        at(1, 9, "AGES", 70.0),
        vec![None, cell::time(DAY), cell::text("CT"), None],
        vec![cell::int(1), cell::time(DAY), None, None],
    ]
}

#[test]
fn every_event_is_accounted_for_by_feature() {
    let report = report(&one_of_each());
    let [heart, ct, age] = report.features.as_slice() else {
        panic!("{:?}", report.features)
    };
    assert_eq!(
        *heart,
        Coverage {
            code: "LOINC//8867-4".to_owned(),
            name: "loinc//8867-4".to_owned(),
            patients: 2,
            labels: 2,
            events: 9,
            used: 3,
            at_prediction: 1,
            clipped: 1,
            early: 1,
            late: 1,
            without_label: 1,
            without_number: 1,
            without_time: 1,
            not_finite: 1,
            close: Vec::new(),
        }
    );
    assert_eq!((ct.patients, ct.events, ct.used), (1, 1, 1));
    assert_eq!((age.patients, age.events), (0, 0));
    assert_eq!(age.close, ["AGES"], "the likeliest spelling is named");
    for coverage in &report.features {
        let reasons = coverage.early
            + coverage.late
            + coverage.without_label
            + coverage.without_number
            + coverage.without_time
            + coverage.not_finite;
        assert_eq!(coverage.events, coverage.used + reasons, "{coverage:?}");
    }
    let of_features: u64 = report.features.iter().map(|coverage| coverage.events).sum();
    let without_subject_or_code = 2;
    assert_eq!(
        report.events,
        of_features + report.other_events + without_subject_or_code
    );
    assert_eq!((report.events, report.dropped), (15, 3));
    let other: Vec<(&str, u64)> = report
        .other_codes
        .iter()
        .map(|other| (other.code.as_str(), other.events))
        .collect();
    assert_eq!(other, [("LOINC//2823-3", 2), ("AGES", 1)]);
    assert_eq!((report.patients, report.without_events), (3, 1));
    assert_eq!(report.label_subjects, [1, 2, 3]);
    assert_eq!(report.event_subjects, [1, 2, 9]);
}

#[test]
fn ids_that_do_not_join_show_on_both_sides() {
    let report = report(&[at(101, 9, "LOINC//8867-4", 70.0), at(102, 9, "CT", 1.0)]);
    assert_eq!(
        (report.used, report.without_events, report.empty),
        (0, 3, 3)
    );
    assert_eq!(report.label_subjects, [1, 2, 3]);
    assert_eq!(report.event_subjects, [101, 102]);
    assert_eq!(report.features[0].without_label, 1);
    assert_eq!(report.features[0].events, 1, "its code is spelt right");
}

#[test]
fn an_event_between_two_labels_is_used_for_the_second() {
    let labels = labels(&[10, 12, 30].map(|day| (1, day * DAY, 1)));
    let events = [
        at(1, 11, "CT", 1.0),
        at(1, 12, "CT", 1.0),
        at(1, 20, "CT", 1.0),
        at(1, 31, "CT", 1.0),
        at(1, 7, "CT", 1.0),
    ];
    let files = [file("events", Role::Events, &events), labels];
    let mut cohort = cohort();
    cohort.labels_per_patient = 3;
    let (_, report) = prepare(&cohort, &Digest::of(b"study"), &files, BadRows::Stop).unwrap();
    let ct = &report.features[1];
    assert_eq!((ct.used, ct.at_prediction), (2, 1));
    assert_eq!(
        (ct.early, ct.late),
        (2, 1),
        "day 20 is before the last label's history"
    );
    assert_eq!((ct.patients, ct.labels), (1, 1));
    assert_eq!(report.patients, 1);
}

#[test]
fn a_check_reads_what_training_would_and_tells_values_as_they_are() {
    let rows = one_of_each();
    let checked = checked(&rows, None);
    assert_eq!(checked.report, report(&rows));
    assert_eq!(checked.explained, None);
    let heart = &checked.distributions[0];
    assert_eq!(heart.values, 3);
    assert_eq!(
        (heart.least, heart.greatest),
        (60.0, 900.0),
        "before clipping"
    );
    // Patient 1: 60 today, 900 clipped to 250 yesterday; patient 2: 80 the day before.
    assert_eq!(heart.patient_mean, f64::midpoint(155.0, 80.0));
    assert_eq!(checked.distributions[2].values, 0);
    assert!(checked.distributions[2].bars.is_empty());
}

#[test]
fn a_patient_is_explained_row_by_row_and_input_by_input() {
    let explained = checked(&one_of_each(), Some(1)).explained.unwrap();
    assert_eq!(explained.subject, 1);
    let [label] = explained.labels.as_slice() else {
        panic!("{:?}", explained.labels)
    };
    assert_eq!(label.time, "1970-01-11T00:00:00");
    assert_eq!(label.label, 1);
    // [bin 0: heart rate, CT], [bin 1: heart rate, CT], age.
    assert_eq!(label.values, [250.0, 1.0, 60.0, 0.0, 0.0]);
    assert_eq!(label.observed.to_vec(), [1, 1, 1, 1, 0]);
    // The reference is 135 ± 57.5.
    assert!((label.normalised[0] - 2.0).abs() < 1e-6);
    let told: Vec<(u64, Option<u32>, Option<u32>, &str)> = explained
        .rows
        .iter()
        .map(|row| {
            let bin = row.uses.first().map(|used| used.bin);
            (row.row, row.feature, bin, row.reason.as_str())
        })
        .collect();
    assert_eq!(
        told,
        [
            (1, Some(0), Some(1), ""),
            (2, Some(0), Some(0), ""),
            (7, Some(0), None, "it has no number"),
            (8, Some(0), None, "it has no time"),
            (9, Some(0), None, "its number is not finite"),
            (10, Some(1), Some(0), ""),
            (11, None, None, "no feature has its code"),
            (12, None, None, "no feature has its code"),
            (13, None, None, "no feature has its code"),
        ]
    );
    let nobody = checked(&one_of_each(), Some(77)).explained.unwrap();
    assert!(nobody.labels.is_empty() && nobody.rows.is_empty());
}
