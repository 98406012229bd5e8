//! CSV files of every shape a map knows, and what is said of rows and maps that do not fit.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

#[path = "support/imported.rs"]
mod imported;
mod support;

use cohort::import::{Map, only_rows};
use cohort::prepare;
use imported::imported;
use protocol::door::{BadRows, Role, Split};
use protocol::id::Digest;
use protocol::study::{Cohort, Encoding, Shape};
use support::{feature, modality, study};

const WIDE: &str = r#"
subject = { column = "id" }
prediction = { column = "discharged" }
csv = { missing = ["", "?"] }
label = { column = "back", class = { levels = { "NO" = 0, ">30" = 1, "<30" = 2 } } }
split = { column = "part", levels = { test = "held_out" } }

[[column]]
name = "pressure"
code = "BP"
missing = ["0"]

[[column]]
name = "age"
numbers = { "[70-80)" = 75 }

[[column]]
name = "pain"
code = "CP"
as = "level"

[[column]]
name = "icd"
as = "level"
levels = [
    { level = "heart", from = 390, below = 460 },
    { level = "cause", prefix = ["E"] },
    { level = "other" },
]
"#;

const TABLE: &str = "\
id,discharged,back,part,pressure,age,pain,icd
1,2020-01-10,NO,train,120,[70-80),4.0,410.5
2, 2020-01-10 12:00 ,<30,test,0.0,66,?,E850
3,2020-01-10T00:00:00,>30,train,?,,2,V45
";

fn cohort() -> Cohort {
    let codes = ["CP//4", "CP//2", "icd//heart", "icd//cause", "icd//other"];
    let mut features = vec![
        feature("BP", Encoding::Value, 0.0, 300.0),
        feature("age", Encoding::Value, 0.0, 120.0),
    ];
    features.extend(codes.map(|code| feature(code, Encoding::Presence, 0.0, 1.0)));
    study(7, vec![modality("all", Shape::Static, features)])
}

/// Stops with `message`, or drops that row and keeps three.
fn one_bad_row(row: &str, message: &str) {
    let csv = format!("{TABLE}{row}\n");
    assert_eq!(imported(WIDE, &csv, BadRows::Stop).unwrap_err(), message);
    let dropped = imported(WIDE, &csv, BadRows::Drop).unwrap();
    assert_eq!((dropped.rows, dropped.dropped), (4, 1));
    assert_eq!(dropped.reasons, [message]);
    assert_eq!(
        dropped.files,
        imported(WIDE, TABLE, BadRows::Stop).unwrap().files
    );
}

#[test]
fn a_wide_table_becomes_events_labels_and_splits() {
    let imported = imported(WIDE, TABLE, BadRows::Stop).unwrap();
    let names: Vec<_> = imported
        .files
        .iter()
        .map(|file| (file.name.as_str(), file.role))
        .collect();
    let expected = [
        ("t.events.parquet", Role::Events),
        ("t.labels.parquet", Role::Labels),
        ("t.splits.parquet", Role::Splits),
    ];
    assert_eq!(names, expected);
    let (patients, report) = prepare(
        &cohort(),
        &Digest::of(b"study"),
        &imported.files,
        BadRows::Stop,
    )
    .unwrap();
    assert_eq!(patients.values(0), [120.0, 75.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!(patients.values(1), [0.0, 66.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(patients.values(2), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    assert_eq!(
        patients.observed(1)[..2],
        [0, 1],
        "0 means missing in that column"
    );
    assert_eq!(
        patients.observed(2)[..2],
        [0, 0],
        "what is missing is not 0"
    );
    assert_eq!(patients.labels(), [0, 2, 1]);
    assert_eq!(
        patients.splits(),
        [Split::Train, Split::HeldOut, Split::Train]
    );
    assert_eq!((report.events, report.used), (8, 8));
}

#[test]
fn bad_rows_are_named() {
    for (row, message) in [
        (
            "x,2020-01-10,NO,train,1,1,1,1",
            "column id: `x` is not a whole number; for ids of text, set subject = { column = …, as = \"text\" } in the map",
        ),
        (
            ",2020-01-10,NO,train,1,1,1,1",
            "column id: the value is missing",
        ),
        (
            "4,10.01.2020,NO,train,1,1,1,1",
            "column discharged: `10.01.2020` is not a time as the map says times are written (time-format = \"iso\": \
             2024-01-31, 2024-01-31 9:05, 2024-01-31T09:05:00+01:00). It fits \"day-month-year\" and \
             \"month-day-year\": only the hospital knows which; set time-format to it",
        ),
        (
            "4,?,NO,train,1,1,1,1",
            "column discharged: the value is missing",
        ),
        (
            "4,2020-01-10,MAYBE,train,1,1,1,1",
            "column back: `MAYBE` is none of the levels in the map",
        ),
        (
            "4,2020-01-10,?,train,1,1,1,1",
            "column back: the value is missing",
        ),
        (
            "4,2020-01-10,NO,dev,1,1,1,1",
            "column part: `dev` is no split: want train, tuning or held_out",
        ),
        (
            "4,2020-01-10,NO,train,\"12,5\",1,1,1",
            "column pressure: `12,5` is not a number; if the table has decimal commas, set csv.decimal = \",\" in the map",
        ),
        (
            "4,2020-01-10,NO,train,inf,1,1,1",
            "column pressure: `inf` is not a number",
        ),
        (
            "4,2020-01-10,NO,train,1e300,1,1,1",
            "column pressure: `1e300` is not a number",
        ),
        (
            "4,2020-01-10,NO,train,1,[80-90),1,1",
            "column age: `[80-90)` is not a number",
        ),
        (
            "1,2020-01-10,NO,train,1,1,1,1",
            "column id: the subject already has a row: t.csv, row 1",
        ),
        (
            "4,2020-01-10,NO,train,1,1,1",
            "column icd: the row has 7 cells and the table has 8 columns",
        ),
        (
            "4,2020-01-10,NO,train,1,1,1,1,1",
            "column (none): the row has 9 cells and the table has 8 columns",
        ),
    ] {
        one_bad_row(row, &format!("t.csv, row 4, {message}"));
    }
    let mut csv = TABLE.as_bytes().to_vec();
    csv.extend(b"4,2020-01-10,NO,train,1,1,\xff,1\n");
    let error = imported(WIDE, &csv, BadRows::Stop).unwrap_err();
    assert_eq!(
        error,
        "t.csv, row 4, column pain: the text is not UTF-8: set csv.encoding in the map, for example \"windows-1252\""
    );
}

#[test]
fn a_level_that_no_rule_fits_is_bad() {
    let map = WIDE.replace("    { level = \"other\" },\n", "");
    let error = imported(&map, TABLE, BadRows::Stop).unwrap_err();
    assert_eq!(
        error,
        "t.csv, row 3, column icd: `V45` is none of the levels in the map"
    );
}

#[test]
fn filters_pass_rows_over_and_count_them() {
    let kept = |filter: &str| {
        let imported = imported(&format!("{WIDE}{filter}"), TABLE, BadRows::Stop)?;
        assert_eq!((imported.rows, imported.dropped), (3, 0));
        let (patients, _) = prepare(
            &cohort(),
            &Digest::of(b"study"),
            &imported.files,
            BadRows::Stop,
        )
        .unwrap();
        Ok::<_, String>(patients.subjects().to_vec())
    };
    assert_eq!(kept(&only_rows("part", "train")), Ok(vec![1, 3]));
    assert_eq!(
        kept("[[filter]]\ncolumn = \"pain\"\nis = [\"4\", \"5\"]"),
        Ok(vec![1])
    );
    assert_eq!(
        kept("[[filter]]\ncolumn = \"part\"\nnot = [\"train\"]"),
        Ok(vec![2])
    );
    assert_eq!(
        kept("[[filter]]\ncomplete = [\"pressure\", \"pain\"]"),
        Ok(vec![1])
    );
    assert_eq!(
        kept(&(only_rows("part", "train") + &only_rows("id", "3.0"))),
        Ok(vec![3])
    );
    assert_eq!(
        kept(&only_rows("part", "a\"b\\c\n")),
        Err("none of the 3 rows of t.csv is left: the filter \"part is a\"b\\c\n\" passed over 3 (cells there: `train`, `test`)".to_owned())
    );
    assert_eq!(
        kept(&only_rows("ward", "7")),
        Err("t.csv has no column ward, which the map names; its columns: `id`, `discharged`, `back`, `part`, `pressure`, \
             `age`, `pain`, `icd`".to_owned())
    );
}

#[test]
fn the_first_row_of_a_subject_is_kept() {
    let map = r#"
        subject = { column = "id" }
        prediction = { at = "2020-01-01" }
        first-by = "stay"
        label = { column = "back", class = "integer" }
        filter = [{ column = "dead", not = ["1"] }]
    "#;
    let csv = "id,stay,dead,back\n1,20,0,1\n1,10,0,2\n1,5,1,0\n2,7,0,0\n1,30,0,0\n";
    let imported = imported(map, csv, BadRows::Stop).unwrap();
    assert_eq!(imported.files.len(), 1);
    let events = support::file("e", Role::Events, &[]);
    let files = [imported.files[0].clone(), events];
    let (patients, _) = prepare(&cohort(), &Digest::of(b"study"), &files, BadRows::Stop).unwrap();
    assert_eq!(
        (patients.subjects(), patients.labels()),
        ([1, 2].as_slice(), [2, 0].as_slice())
    );

    let unordered = csv.replace("1,30", "1,x");
    let error = self::imported(map, &unordered, BadRows::Stop).unwrap_err();
    assert_eq!(
        error,
        "t.csv, row 5, column stay: `x` is not a whole number"
    );
}

const STAYS: &str = r#"
    subject = { column = "id" }
    prediction.sequence = { by = "stay", from = "2020-01-02", every-days = 30 }
    label = { column = "back", class = "integer" }
    split = { column = "part" }
    column = [{ name = "BP" }, { name = "BP", code = "high", as = "level", levels = [{ level = "yes", from = 140 }, { level = "no" }] }]
    filter = [{ column = "dead", not = ["1"] }]
"#;

#[test]
fn stays_without_a_date_follow_each_other_in_their_order() {
    let csv = "id,stay,dead,back,part,BP\n\
               1,20,0,1,train,150\n1,10,0,2,train,120\n1,5,1,0,train,90\n2,7,0,0,held_out,80\n";
    let imported = imported(STAYS, csv, BadRows::Stop).unwrap();
    let features = vec![
        feature("BP", Encoding::Value, 0.0, 300.0),
        feature("high//yes", Encoding::Presence, 0.0, 1.0),
    ];
    let cohort = Cohort {
        labels_per_patient: 5,
        ..study(7, vec![modality("all", Shape::Static, features)])
    };
    let (patients, report) = prepare(
        &cohort,
        &Digest::of(b"study"),
        &imported.files,
        BadRows::Stop,
    )
    .unwrap();
    assert_eq!(patients.subjects(), [1, 1, 2]);
    assert_eq!(patients.labels(), [2, 1, 0]);
    assert_eq!(
        patients.splits(),
        [Split::Train, Split::Train, Split::HeldOut]
    );
    let values: Vec<&[f32]> = (0..3).map(|row| patients.values(row)).collect();
    assert_eq!(values, [[120.0, 0.0], [150.0, 1.0], [80.0, 0.0]]);
    assert_eq!(report.surplus, 0);
}

#[test]
fn stays_that_cannot_be_ordered_or_split_are_refused() {
    let head = "id,stay,dead,back,part,BP\n1,20,0,1,train,150\n";
    let refused = |row: &str| imported(STAYS, format!("{head}{row}\n"), BadRows::Stop).unwrap_err();
    assert_eq!(
        refused("1,x,0,1,train,150"),
        "t.csv, row 2, column stay: `x` is not a whole number"
    );
    assert_eq!(
        refused("1,21,0,1,held_out,150"),
        "t.csv, row 2, column id: an earlier row has the subject in another split"
    );
    for (this, that) in [
        ("every-days = 30", "every-days = 0"),
        ("2020-01-02", "yesterday"),
        ("label =", "first-by = \"stay\"\nlabel ="),
    ] {
        let error = imported(&STAYS.replace(this, that), head, BadRows::Stop).unwrap_err();
        assert!(
            error.starts_with("the map's prediction.sequence"),
            "{error}"
        );
    }
}

#[test]
fn the_logarithm_of_a_count_is_taken_where_the_map_says_so() {
    let map = r#"
        subject = "row-number"
        prediction = { at = "2020-01-02" }
        label = { column = "num", class = "integer" }
        column = [{ name = "visits", code = "BP", transform = "log1p" }]
    "#;
    let imported = imported(map, "visits,num\n0,0\n7,1\n", BadRows::Stop).unwrap();
    let (patients, _) = prepare(
        &cohort(),
        &Digest::of(b"study"),
        &imported.files,
        BadRows::Stop,
    )
    .unwrap();
    for (row, want) in [(0, 0.0), (1, 8_f32.ln())] {
        assert!((patients.values(row)[0] - want).abs() < 1e-6);
    }
    let error = self::imported(map, "visits,num\n-1,0\n", BadRows::Stop).unwrap_err();
    assert_eq!(
        error,
        "t.csv, row 1, column visits: -inf is not a finite number"
    );
    let level = map.replace("transform", "as = \"level\", transform");
    let error = self::imported(&level, "visits,num\n1,0\n", BadRows::Stop).unwrap_err();
    assert!(error.contains("column.transform"), "{error}");
}

#[test]
fn tables_without_a_header_and_with_other_delimiters_are_read() {
    let map = r#"
        subject = "row-number"
        prediction = { at = "2020-01-02" }
        label = { column = "num", class = { above = 1 } }
        csv = { delimiter = ";", columns = ["BP", "num"], missing = ["NA"] }
        column = [{ name = "BP" }]
    "#;
    let imported = imported(map, "120;0\r\nNA;1\r\n140;2", BadRows::Stop).unwrap();
    let (patients, _) = prepare(
        &cohort(),
        &Digest::of(b"study"),
        &imported.files,
        BadRows::Stop,
    )
    .unwrap();
    assert_eq!(
        (patients.subjects(), patients.labels()),
        ([1, 2, 3].as_slice(), [0, 0, 1].as_slice())
    );
    assert_eq!(patients.observed(1)[0], 0);
}

#[test]
fn a_long_table_becomes_events() {
    let map = r#"
        subject = { column = "patient" }
        time-format = "epoch-seconds"
        zone = "UTC"
        event = { time = "when", code = "what", value = "result" }
        csv = { missing = ["", "NULL"] }
    "#;
    let csv = "\u{feff}patient,when,what,result\n7,86400,BP,120\n7,,age,70\n7,90000,CP//4,NULL\n8,90000,BP,1\n";
    let imported = imported(map, csv, BadRows::Stop).unwrap();
    assert_eq!((imported.files.len(), imported.rows), (1, 4));
    let mut labels = cohort::meds::Labels::default();
    labels.push(
        7,
        cohort::meds::Timestamp(2 * cohort::meds::Timestamp::DAY),
        1,
    );
    let labels = cohort::File {
        name: "l".to_owned(),
        role: Role::Labels,
        bytes: labels.into_parquet(),
    };
    let files = [imported.files[0].clone(), labels];
    let (patients, report) =
        prepare(&cohort(), &Digest::of(b"study"), &files, BadRows::Stop).unwrap();
    assert_eq!(patients.values(0)[..3], [120.0, 70.0, 1.0]);
    assert_eq!((report.events, report.used), (4, 3));

    let error = self::imported(map, csv.replace("CP//4", ""), BadRows::Stop).unwrap_err();
    assert_eq!(error, "t.csv, row 3, column what: the value is missing");
}

#[test]
fn maps_that_do_not_fit_are_refused() {
    for (map, message) in [
        ("subject = 7", None),
        ("subject = \"row-number\"\nmystery = 1", None),
        (
            "subject = \"row-number\"",
            Some("the map's column: want something to import"),
        ),
        (
            "subject = \"row-number\"\ncolumn = [{ name = \"BP\" }]",
            Some("the map's prediction: want one for labels and for a wide table"),
        ),
        (
            "subject = \"row-number\"\nprediction = { at = \"soon\" }\ncolumn = [{ name = \"BP\" }]",
            Some(
                "the map's prediction.at: want an ISO 8601 date, or date and time, of the years 1800 to 2300",
            ),
        ),
        (
            "subject = \"row-number\"\nevent = { time = \"t\", code = \"c\" }\nfilter = [{ is = [\"1\"] }]",
            Some("the map's filter: `is` and `not` go with a `column`"),
        ),
        (
            "subject = \"row-number\"\nsplit = { column = \"s\", levels = { a = \"test\" } }",
            Some("the map's split.levels: want train, tuning or held_out"),
        ),
        (
            "subject = \"row-number\"\ncsv = { delimiter = \"é\" }\nsplit = { column = \"s\" }",
            Some("the map's csv.delimiter: want one ASCII character"),
        ),
    ] {
        let error = imported(map, TABLE, BadRows::Drop).unwrap_err();
        match message {
            Some(message) => assert_eq!(error, message),
            None => assert!(error.starts_with("the map cannot be read: "), "{error}"),
        }
    }
    assert!(Map::parse(b"\xff").is_err());
    assert!(Map::parse(WIDE.as_bytes()).is_ok());
}
