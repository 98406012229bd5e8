//! What may be learned of one patient over all studies.

use testkit::Draft;

use super::Desk;

#[test]
fn a_new_sites_budget_is_three_for_good_and_a_study_above_it_is_not_approved() {
    let desk = Desk::new();
    let key = desk.init_with("http://127.0.0.1:9", &[]);
    for (epsilon, status) in [(1.0, 0), (9.0, 1)] {
        desk.study_of(&key, "Anna", epsilon);
        let told = desk.approve();
        assert_eq!(told.status, status, "{}", told.stderr);
        for wanted in [
            "one patient, at δ 0.00001:\n",
            "so far    ε 0.0000 over all studies (0 releases)",
        ] {
            assert!(told.stdout.contains(wanted), "{}", told.stdout);
        }
        assert!(
            told.stdout.contains("allowed   ε 3 (the patient budget)"),
            "{}",
            told.stdout
        );
        if status == 1 {
            assert!(
                told.stderr
                    .starts_with("host: not approved: with this study ε would be "),
                "{}",
                told.stderr
            );
            assert!(
                told.stderr.contains("`host budget raise --epsilon "),
                "{}",
                told.stderr
            );
        }
    }
    // A study without noise is for experiments.
    desk.study(&key, "Anna");
    let told = desk.approve();
    assert_eq!(told.status, 1);
    assert!(
        told.stderr
            .contains("a release without noise is within no patient budget"),
        "{}",
        told.stderr
    );
}

#[test]
fn what_was_released_before_counts_when_a_study_is_approved() {
    use participant::ledger::{Ledger, LedgerId};
    let desk = Desk::new();
    let key = desk.init_with("http://127.0.0.1:9", &[]);
    let before = Draft {
        epsilon: 2.9,
        ..Draft::default()
    }
    .make();
    let mut bytes = Ledger::begin(LedgerId::new([1; 16]));
    for (number, purpose) in (0..).zip(before.study.plan()) {
        let header = before.header(number, purpose);
        let (ledger, _) = Ledger::decode(&bytes, None).unwrap();
        let line = ledger
            .line(&before.study, &header, header.state, 7)
            .unwrap();
        bytes.extend(line.text().into_bytes());
    }
    std::fs::write(desk.path("anna/state/ledger.jsonl"), bytes).unwrap();
    desk.study_of(&key, "Anna", 2.5);
    let told = desk.approve();
    assert_eq!(told.status, 1, "{}", told.stdout);
    assert!(
        told.stdout.contains("over all studies (5 releases)"),
        "{}",
        told.stdout
    );
    assert!(!desk.path("anna/state/approved").exists());
}

#[test]
fn a_budget_is_raised_by_a_decision_with_a_reason_and_not_by_an_edit() {
    let desk = Desk::new();
    let key = desk.init_with("http://127.0.0.1:9", &[]);
    desk.study_of(&key, "Anna", 3.5);
    let file = desk.path("anna/host.toml");
    let edit = |from: &str, to: &str| {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&file, text.replace(from, to)).unwrap();
    };
    edit("epsilon = 3.0", "epsilon = 4.0");
    let told = desk.host(&["budget", "show", "--config", "anna/host.toml"]);
    assert_eq!(told.status, 1, "{}", told.stdout);
    let told = desk.approve();
    assert_eq!(told.status, 1);
    assert!(
        told.stderr
            .contains("`host budget raise --epsilon 4 --delta 0.00001 --reason …`"),
        "{}",
        told.stderr
    );
    // Less may be written there.
    edit("epsilon = 4.0", "epsilon = 2.0");
    let told = desk.host(&["budget", "show", "--config", "anna/host.toml"]);
    assert!(
        told.stdout.ends_with("in force: ε 2 at δ 0.00001\n"),
        "{}",
        told.stdout
    );

    let raise = |reason: &str| {
        desk.host(&[
            "budget",
            "raise",
            "--epsilon",
            "4",
            "--reason",
            reason,
            "--config",
            "anna/host.toml",
        ])
    };
    let told = raise(" ");
    assert!(
        told.stderr.contains("a decision needs its reason"),
        "{}",
        told.stderr
    );
    let told = raise("the board, 12 May");
    assert_eq!(told.status, 0, "{}", told.stderr);
    assert!(
        told.stdout
            .contains("ε 3 at δ 0.00001 → ε 4 at δ 0.00001: the board, 12 May\n"),
        "{}",
        told.stdout
    );
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .contains("epsilon = 4.0")
    );
    let told = desk.approve();
    assert_eq!(told.status, 0, "{}", told.stderr);

    // The record is not made again where it is missing, nor believed where it was changed.
    let record = desk.path("anna/state/decisions.jsonl");
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replace("\"epsilon\":3.0", "\"epsilon\":9.0")).unwrap();
    let told = desk.approve();
    assert!(
        told.stderr.contains("line 2: it does not follow"),
        "{}",
        told.stderr
    );
    std::fs::remove_file(&record).unwrap();
    let told = desk.approve();
    assert!(
        told.stderr.contains("`host budget record --reason …`"),
        "{}",
        told.stderr
    );
    assert!(!record.exists());
}

#[test]
fn a_budget_without_limit_is_said_and_recorded_too() {
    let desk = Desk::new();
    let key = desk.init_with("http://127.0.0.1:9", &[]);
    desk.study(&key, "Anna");
    let arguments = [
        "budget",
        "raise",
        "--none",
        "--reason",
        "a trial on public data",
        "--config",
        "anna/host.toml",
    ];
    let told = desk.host(&arguments);
    assert_eq!(told.status, 0, "{}", told.stderr);
    let text = std::fs::read_to_string(desk.path("anna/host.toml")).unwrap();
    assert!(
        text.contains("patient-budget = \"none\"\n") && !text.contains("[patient-budget]"),
        "{text}"
    );
    let told = desk.approve();
    assert_eq!(told.status, 0, "{}", told.stderr);
    assert!(
        told.stdout.contains("allowed   without limit"),
        "{}",
        told.stdout
    );
}
