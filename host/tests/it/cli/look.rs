//! A look at files.

use protocol::codec;
use protocol::door::{Checked, Distribution, Explained, ExplainedRow, Report, Response};
use testkit::Draft;

use super::{Desk, report};
use crate::tape;

#[test]
fn files_are_looked_at_against_a_draft_before_there_is_a_study() {
    let desk = Desk::new();
    let draft = Draft::default().toml();
    // What only a study has is not asked for.
    let draft = draft.split("[[roster]]").next().unwrap();
    std::fs::write(desk.path("draft.toml"), draft).unwrap();
    desk.patients("data");
    let mut found = report(&[9, 8]);
    found.features[0].name = "<heart rate>".to_owned();
    let distribution = |median: f64| Distribution {
        values: 9,
        quantiles: [median; 5],
        patient_mean: median,
        from: 50.0,
        to: 100.0,
        bars: vec![1, 4, 2],
        ..Distribution::default()
    };
    let explained = Explained {
        subject: -7,
        labels: Vec::new(),
        rows: vec![ExplainedRow {
            file: "events.parquet".to_owned(),
            row: 3,
            time: Some("2020-01-01T00:00:00".to_owned()),
            code: "LAB".to_owned(),
            value: Some(4.5),
            feature: None,
            uses: Vec::new(),
            reason: "no feature has its code".to_owned(),
        }],
        more: 0,
    };
    let answer = |report: &Report, explained| {
        let checked = Response::Checked(Checked {
            report: report.clone(),
            distributions: vec![distribution(75.0), distribution(980.0)],
            explained,
        });
        std::fs::write(
            desk.path("client.wasm"),
            tape::module(&vec![codec::encode(&checked); 17]),
        )
        .unwrap();
    };
    answer(&found, None);
    let check = [
        "data",
        "check",
        "--study",
        "draft.toml",
        "--module",
        "client.wasm",
        "--data",
        "data",
    ];
    let told = desk.host(&[&check[..], &["--html", "page.html"]].concat());
    assert_eq!(told.status, 0, "{}", told.stderr);
    for wanted in [
        "<heart rate>",
        "▂█▄",
        "10 times too large",
        "the files can be used",
        "mean =",
    ] {
        assert!(told.stdout.contains(wanted), "{wanted}: {}", told.stdout);
    }
    let page = std::fs::read_to_string(desk.path("page.html")).unwrap();
    assert!(page.contains("10 times too large") && page.contains("<svg"));
    assert!(!page.contains("<heart") && !page.contains("src="), "{page}");

    answer(&found, Some(explained));
    let told = desk.host(&[&check[..], &["--explain", "-7"]].concat());
    assert!(
        told.stdout
            .contains("events.parquet, row 3: 2020-01-01T00:00:00  LAB  4.5  not used: no feature has its code"),
        "{}",
        told.stdout
    );

    found.without_events = 10;
    (found.label_subjects, found.event_subjects) = (vec![1, 2], vec![11, 12]);
    answer(&found, None);
    let told = desk.host(&check);
    assert_eq!(told.status, 1);
    assert!(
        told.stderr
            .contains("labels are of patients 1, 2, …, events of patients 11, 12, …"),
        "{}",
        told.stderr
    );
    let told = desk.host(&[&check[..], &["--accept-doubts"]].concat());
    assert_eq!(told.status, 0, "{}", told.stderr);

    std::fs::write(desk.path("draft.toml"), "title = \"no cohort\"").unwrap();
    let told = desk.host(&check);
    assert!(
        told.stderr.contains("draft.toml: the study cannot be read"),
        "{}",
        told.stderr
    );
    let told = desk.host(&["data", "check"]);
    assert!(
        told.stderr
            .contains("name a study or a draft and its module"),
        "{}",
        told.stderr
    );
}
