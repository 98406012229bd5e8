//! Every kind of row and file that cannot be used: what is said, and what is left when such rows are dropped.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod support;

use cohort::meds::Timestamp;
use cohort::{Preparation, Wants, prepare};
use protocol::door::{BadRows, Report, Role, Source};
use protocol::id::Digest;
use protocol::study::{Cohort, Encoding, Shape, Span};
use support::{Cell, File, cell, event, feature, file, labels, modality, study, table};

const LABELS: &str = "subject_id:i64 prediction_time:us integer_value:i64 categorical_value:text";

fn cohort() -> Cohort {
    let features = vec![feature("HR", Encoding::Value, 20.0, 250.0)];
    study(
        28,
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

fn label(subject: Cell, time: Cell, index: Cell, name: Cell) -> Vec<Cell> {
    vec![subject, time, index, name]
}

/// A patient who can be used, and an event of theirs.
fn good() -> (Vec<Cell>, Vec<Cell>) {
    let label = label(cell::int(1), cell::time(1_000_000), cell::int(2), None);
    (label, event(1, Some(1), "HR", Some(60.0)))
}

fn outcome(files: &[File], bad_rows: BadRows) -> Result<Report, String> {
    let prepared = prepare(&cohort(), &Digest::of(b"study"), files, bad_rows);
    prepared
        .map(|(_, report)| report)
        .map_err(|error| error.to_string())
}

/// Stops with `message`, or drops the one row and keeps the patient who can be used.
fn one_bad_row(files: &[File], message: &str) {
    assert_eq!(outcome(files, BadRows::Stop).unwrap_err(), message);
    let report = outcome(files, BadRows::Drop).unwrap();
    assert_eq!(report.dropped, 1, "{message}");
    assert_eq!(report.reasons, [message]);
    assert_eq!(report.classes, [0, 0, 1], "{message}");
    assert_eq!(report.used, 1, "{message}");
}

#[test]
fn bad_events_are_named() {
    let (label, good) = good();
    let labels = table("l.parquet", Role::Labels, LABELS, &[label]);
    let with = |bad: Vec<Cell>| {
        [
            labels.clone(),
            file("e.parquet", Role::Events, &[good.clone(), bad]),
        ]
    };
    let nan = with(event(1, Some(2), "HR", Some(f64::NAN)));
    one_bad_row(
        &nan,
        "e.parquet, row 2, column numeric_value: NaN is not a finite number",
    );
    let infinite = with(event(1, Some(2), "HR", Some(f64::NEG_INFINITY)));
    one_bad_row(
        &infinite,
        "e.parquet, row 2, column numeric_value: -inf is not a finite number",
    );
    let nobody = with(vec![
        None,
        cell::time(2),
        cell::text("HR"),
        cell::float(1.0),
    ]);
    one_bad_row(
        &nobody,
        "e.parquet, row 2, column subject_id: the value is missing",
    );
    let nothing = with(vec![cell::int(1), cell::time(2), None, cell::float(1.0)]);
    one_bad_row(
        &nothing,
        "e.parquet, row 2, column code: the value is missing",
    );
}

#[test]
fn a_number_that_the_study_does_not_use_stops_nobody() {
    let (label, good) = good();
    let labels = table("l.parquet", Role::Labels, LABELS, &[label]);
    let rows = [
        good,
        event(1, Some(2), "OTHER", Some(f64::NAN)),
        event(2, Some(2), "HR", Some(f64::NAN)),
    ];
    let report = outcome(
        &[labels, file("e.parquet", Role::Events, &rows)],
        BadRows::Stop,
    )
    .unwrap();
    assert_eq!((report.events, report.used, report.dropped), (3, 1, 0));
}

#[test]
fn bad_labels_are_named() {
    let (good, event) = good();
    let events = file("e.parquet", Role::Events, &[event]);
    let with = |bad: Vec<Cell>| {
        [
            events.clone(),
            table("l.parquet", Role::Labels, LABELS, &[good.clone(), bad]),
        ]
    };
    let (subject, time) = (cell::int(2), cell::time(1));
    for (bad, message) in [
        (
            label(None, time.clone(), cell::int(0), None),
            "column subject_id: the value is missing",
        ),
        (
            label(subject.clone(), None, cell::int(0), None),
            "column prediction_time: the value is missing",
        ),
        (
            label(subject.clone(), time.clone(), None, None),
            "column integer_value: the value is missing",
        ),
        (
            label(subject.clone(), time.clone(), cell::int(3), None),
            "column integer_value: `3` is no class of the study",
        ),
        (
            label(subject.clone(), time.clone(), cell::int(-1), None),
            "column integer_value: `-1` is no class of the study",
        ),
        (
            label(subject.clone(), time.clone(), None, cell::text("severe\n")),
            "column categorical_value: `severe\\n` is no class of the study",
        ),
        (
            label(subject, time, cell::int(0), cell::text("low")),
            "column integer_value: the row has more than one label",
        ),
        (
            label(cell::int(1), cell::time(1_000_000), cell::int(0), None),
            "column prediction_time: the subject already has a label at this time: l.parquet, row 1",
        ),
    ] {
        one_bad_row(&with(bad), &format!("l.parquet, row 2, {message}"));
    }
}

#[test]
fn a_label_in_two_files_is_named() {
    let (good, event) = good();
    let first = table(
        "a.parquet",
        Role::Labels,
        LABELS,
        std::slice::from_ref(&good),
    );
    let second = table("b.parquet", Role::Labels, LABELS, &[good]);
    let files = [second, file("e.parquet", Role::Events, &[event]), first];
    one_bad_row(
        &files,
        "b.parquet, row 1, column prediction_time: the subject already has a label at this time: a.parquet, row 1",
    );
}

#[test]
fn bad_splits_are_named() {
    let (label_row, event) = good();
    let events = file("e.parquet", Role::Events, &[event]);
    let labels = table(
        "l.parquet",
        Role::Labels,
        LABELS,
        std::slice::from_ref(&label_row),
    );
    let split = |subject: Cell, name: Cell| vec![subject, name];
    let splits =
        |rows: &[Vec<Cell>]| table("s.parquet", Role::Splits, "subject_id:i64 split:text", rows);
    let good = split(cell::int(1), cell::text("train"));
    for (bad, message) in [
        (
            split(cell::int(2), cell::text("test")),
            "column split: `test` is no split: want train, tuning or held_out",
        ),
        (
            split(cell::int(2), None),
            "column split: the value is missing",
        ),
        (
            split(None, cell::text("train")),
            "column subject_id: the value is missing",
        ),
        (
            split(cell::int(1), cell::text("held_out")),
            "column subject_id: the subject already has a row: s.parquet, row 1",
        ),
    ] {
        let files = [events.clone(), labels.clone(), splits(&[good.clone(), bad])];
        one_bad_row(&files, &format!("s.parquet, row 2, {message}"));
    }
    let other = label(cell::int(5), cell::time(1), cell::int(0), None);
    let labels = table("l.parquet", Role::Labels, LABELS, &[other, label_row]);
    one_bad_row(
        &[events, labels, splits(&[good])],
        "l.parquet, row 1, column subject_id: the subject has a label, but no row in the file of splits",
    );
}

#[test]
fn only_the_first_reasons_are_kept() {
    let (label, good) = good();
    let bad = event(1, Some(2), "HR", Some(f64::NAN));
    let rows: Vec<_> = std::iter::once(good)
        .chain(std::iter::repeat_n(bad, 25))
        .collect();
    let files = [
        table("l", Role::Labels, LABELS, &[label]),
        file("e", Role::Events, &rows),
    ];
    let report = outcome(&files, BadRows::Drop).unwrap();
    assert_eq!((report.dropped, report.reasons.len()), (25, 10));
}

#[test]
fn files_that_cannot_be_used_at_all_are_refused_in_either_mode() {
    let (label, good) = good();
    let labels = table(
        "l.parquet",
        Role::Labels,
        LABELS,
        std::slice::from_ref(&label),
    );
    let events = file("e.parquet", Role::Events, std::slice::from_ref(&good));
    let events_of =
        |columns: &str, row: Vec<Cell>| table("e.parquet", Role::Events, columns, &[row]);
    for (files, message) in [
        (vec![events.clone()], "there is no file of labels"),
        (vec![labels.clone()], "there is no file of events"),
        (
            vec![table("l", Role::Labels, LABELS, &[]), events.clone()],
            "no patient has a usable label",
        ),
        (
            vec![
                labels.clone(),
                events_of("subject_id:i64 time:us numeric_value:i64", {
                    let mut row = good[..2].to_vec();
                    row.push(cell::int(1));
                    row
                }),
            ],
            "e.parquet, column code: there is no such column; the file has subject_id, time, numeric_value",
        ),
        (
            vec![
                labels.clone(),
                events_of("subject_id:text time:us code:text numeric_value:f64", {
                    let mut row = good.clone();
                    row[0] = cell::text("P1");
                    row
                }),
            ],
            "e.parquet, column subject_id: its type is BYTE_ARRAY (string); want int64",
        ),
        (
            vec![
                labels.clone(),
                events_of(
                    "subject_id:i64 time:i96 code:text numeric_value:f64",
                    good.clone(),
                ),
            ],
            "e.parquet, column time: its type is INT96, which has no agreed meaning; write it as timestamp[us]",
        ),
        (
            vec![
                labels.clone(),
                events_of(
                    "subject_id:i64 time:i64 code:text numeric_value:f64",
                    good.clone(),
                ),
            ],
            "e.parquet, column time: its type is INT64; want timestamp[us]",
        ),
        (
            vec![
                labels,
                events_of("subject_id:i64 time:us code:text numeric_value:text", {
                    let mut row = good;
                    row[3] = cell::text("60");
                    row
                }),
            ],
            "e.parquet, column numeric_value: its type is BYTE_ARRAY (string); want float or double",
        ),
        (
            vec![
                table(
                    "l.parquet",
                    Role::Labels,
                    "subject_id:i64 prediction_time:us",
                    &[label[..2].to_vec()],
                ),
                events,
            ],
            "l.parquet, column boolean_value or integer_value or float_value or categorical_value: there is no such column; the file has subject_id, prediction_time",
        ),
    ] {
        for bad_rows in [BadRows::Stop, BadRows::Drop] {
            assert_eq!(outcome(&files, bad_rows).unwrap_err(), message);
        }
    }
}

#[test]
fn times_of_utc_beside_times_without_a_zone_are_refused() {
    let (label, good) = good();
    let labels = table("l.parquet", Role::Labels, LABELS, &[label]);
    let local = file("a.parquet", Role::Events, std::slice::from_ref(&good));
    let zoned = table(
        "b.parquet",
        Role::Events,
        "subject_id:i64 time:utc code:text numeric_value:f64",
        std::slice::from_ref(&good),
    );
    let empty = table(
        "c.parquet",
        Role::Events,
        "subject_id:i64 time:null code:text numeric_value:f64",
        &[{
            let mut row = good;
            row[1] = None;
            row
        }],
    );
    let files = [labels, local, empty];
    assert!(outcome(&files, BadRows::Stop).is_ok());
    let error = outcome(&[&files[..], &[zoned]].concat(), BadRows::Drop).unwrap_err();
    assert!(
        error.starts_with(
            "b.parquet, column time has times of UTC, and l.parquet, column prediction_time has times without a zone"
        ) && error.contains("replace_time_zone(None)"),
        "{error}"
    );
}

#[test]
fn a_column_that_is_there_twice_is_refused() {
    let (label, mut good) = good();
    let labels = table("l.parquet", Role::Labels, LABELS, &[label]);
    good.push(cell::float(9.0));
    let columns = "subject_id:i64 time:us code:text numeric_value:f64 numeric_value:f64";
    let events = table("e.parquet", Role::Events, columns, &[good]);
    assert_eq!(
        outcome(&[labels, events], BadRows::Drop).unwrap_err(),
        "e.parquet, column numeric_value: two columns have this name; write one of them"
    );
}

#[test]
fn times_of_utc_are_what_the_clocks_of_a_stated_zone_showed() {
    let hour = 3_600 * Timestamp::SECOND;
    // A discharge at midnight in winter, Berlin's time; 23:30 UTC is half an hour after it.
    let midnight = 19_724 * Timestamp::DAY;
    let zoned = |time: i64| {
        table(
            "zoned",
            Role::Events,
            "subject_id:i64 time:utc code:text numeric_value:f64",
            &[vec![
                cell::int(1),
                cell::int(time / 1_000),
                cell::text("HR"),
                cell::float(60.0),
            ]],
        )
    };
    let used = |time: i64, zone: &str| {
        let files = [zoned(time), labels(&[(1, midnight, 0)])];
        let sources = files.iter().map(|file| Source {
            zone: Some(zone.to_owned()),
            ..file.source()
        });
        let sources: Vec<Source> = sources.collect();
        let (cohort, study) = (cohort(), Digest::of(b"study"));
        let mut preparation =
            Preparation::<u32>::new(&cohort, &study, &sources, BadRows::Stop).unwrap();
        let mut given = None;
        loop {
            match preparation.next(given) {
                Ok(Wants::Piece(piece)) => given = Some(File::piece(&files, piece)),
                Ok(Wants::Nothing((_, report))) => return Ok(report.used),
                Err(error) => return Err(error.to_string()),
            }
        }
    };
    for (before, zone, count) in [
        (hour, "Europe/Berlin", 1),
        (hour / 2, "Europe/Berlin", 0),
        (hour / 2, "+00:30", 1),
        (0, "UTC", 1),
    ] {
        assert_eq!(used(midnight - before, zone), Ok(count), "{before} {zone}");
    }
    let error = used(midnight, "Berlin").unwrap_err();
    assert!(error.contains("`Berlin` is no zone: want"), "{error}");
}
