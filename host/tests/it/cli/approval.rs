//! Studies that a site approves, and what stops it.

use protocol::id::Digest;

use super::{Desk, report};

#[test]
fn nothing_runs_before_it_is_approved() {
    let desk = Desk::new();
    desk.init();
    let told = desk.host(&["run", "--config", "anna/host.toml"]);
    assert_eq!(told.status, 1);
    assert_eq!(
        told.stderr,
        "host: no study is approved under anna/state: read one with `host study`, then run `host approve`\n"
    );
    let told = desk.host(&["ledger", "--config", "anna/host.toml"]);
    assert_eq!(
        (told.status, told.stdout.as_str()),
        (0, "nothing was released\n")
    );
}

#[test]
fn a_study_is_approved_by_a_person_with_its_own_module() {
    let desk = Desk::new();
    let key = desk.init();
    let study = desk.study(&key, "Anna");
    // Nobody sits at a test's terminal.
    let approve = [
        "approve",
        "study.toml",
        "--module",
        "client.wasm",
        "--config",
        "anna/host.toml",
    ];
    let told = desk.host(&approve);
    assert_eq!(told.status, 1);
    assert!(
        told.stdout.contains(&format!("study       {study}\n")),
        "{}",
        told.stdout
    );
    assert!(
        told.stderr
            .contains("approve with --yes once a person has read"),
        "{}",
        told.stderr
    );
    assert!(!desk.path("anna/state/approved").exists());

    let told = desk.host(&[&approve[..], &["--yes"]].concat());
    assert_eq!(told.status, 0, "{}", told.stderr);
    assert!(told.stdout.ends_with(&format!(
        "approved    study {study} with module {}\n",
        desk.module_digest()
    )));
    let pinned = std::fs::read_to_string(desk.path("anna/state/approved")).unwrap();
    let (approved, data) = pinned.split_once("data = ").unwrap();
    assert_eq!(
        approved,
        format!(
            "study = \"{study}\"\nmodule = \"{}\"\ndoublings = 0\n",
            desk.module_digest()
        )
    );
    assert_eq!(data.len(), "\"\"\n".len() + 64, "{data}");

    // Whoever changes the pinned files is found out.
    let kept = desk.path(&format!("anna/state/studies/{study}/client.wasm"));
    std::fs::write(&kept, "other").unwrap();
    let told = desk.host(&["run", "--config", "anna/host.toml"]);
    assert!(
        told.stderr.contains("is not what was approved"),
        "{}",
        told.stderr
    );

    std::fs::write(desk.path("client.wasm"), "other").unwrap();
    let told = desk.host(&[&approve[..], &["--yes"]].concat());
    assert!(
        told.stderr.starts_with("host: the module's SHA-256 is "),
        "{}",
        told.stderr
    );
}

#[test]
fn public_weights_are_approved_and_kept_with_their_study() {
    let desk = Desk::new();
    let key = desk.init();
    desk.study(&key, "Anna");
    let approve = |more: &[&str]| {
        let arguments = [
            "approve",
            "study.toml",
            "--module",
            "client.wasm",
            "--config",
            "anna/host.toml",
            "--yes",
        ];
        desk.host(&[&arguments[..], more].concat())
    };
    std::fs::write(desk.path("weights.cbor"), "weights").unwrap();
    let told = approve(&["--weights", "weights.cbor"]);
    assert_eq!(
        told.stderr,
        "host: the study names no public weights: leave --weights out, or set model.initial-weights\n"
    );

    let weights = Digest::of(b"weights");
    let text = std::fs::read_to_string(desk.path("study.toml")).unwrap();
    let text = text.replace(
        "initial-seed = 1\n",
        &format!(
            "initial-seed = 1\ninitial-weights = \"{weights}\"\ntrained.blocks = [\"head\"]\n"
        ),
    );
    std::fs::write(desk.path("study.toml"), &text).unwrap();
    let told = approve(&[]);
    assert_eq!(
        told.stderr,
        format!(
            "host: the study starts from public weights with SHA-256 {weights}: give the file with --weights\n"
        )
    );
    std::fs::write(desk.path("others.cbor"), "others").unwrap();
    let told = approve(&["--weights", "others.cbor"]);
    assert!(
        told.stderr
            .starts_with("host: the public weights' SHA-256 is "),
        "{}",
        told.stderr
    );

    let told = approve(&["--weights", "weights.cbor"]);
    assert_eq!(told.status, 0, "{}", told.stderr);
    for line in [
        "parameters  6, of head\n".to_owned(),
        format!("starts      from public weights, sha-256 {weights}\n"),
    ] {
        assert!(told.stdout.contains(&line), "{}", told.stdout);
    }
    let study = Digest::of(text.as_bytes());
    let kept = desk.path(&format!("anna/state/studies/{study}/weights.cbor"));
    assert_eq!(std::fs::read(&kept).unwrap(), b"weights");
    std::fs::write(&kept, "others").unwrap();
    let told = desk.host(&["run", "--config", "anna/host.toml"]);
    assert!(
        told.stderr.contains("is not what was approved"),
        "{}",
        told.stderr
    );
}

#[test]
fn a_study_without_this_site_is_not_approved() {
    let desk = Desk::new();
    let key = desk.init();
    desk.study(&key, "Berta");
    let approve = [
        "approve",
        "study.toml",
        "--module",
        "client.wasm",
        "--config",
        "anna/host.toml",
        "--yes",
    ];
    let told = desk.host(&approve);
    assert_eq!(
        told.stderr,
        "host: the study's roster calls this site `Berta`, and host.toml calls it `Anna`\n"
    );
    desk.study(&"77".repeat(32), "Anna");
    let told = desk.host(&approve);
    assert!(
        told.stderr.contains("is not in the study's roster"),
        "{}",
        told.stderr
    );
}

#[test]
fn a_dead_input_stops_an_approval_until_a_person_accepts_it() {
    let desk = Desk::new();
    let key = desk.init();
    let mut found = report(&[9, 0]);
    found.features[1].close = vec!["CODE/1".to_owned()];
    desk.study_reporting(&key, "Anna", f64::INFINITY, found);
    let told = desk.approve();
    assert_eq!(told.status, 1);
    assert!(told.stdout.contains("feature 0"), "{}", told.stdout);
    assert!(
        told.stderr.contains(
            "feature 1 (CODE//1): no event has this code; the files have CODE/1: is it one of these?"
        ),
        "{}",
        told.stderr
    );
    assert!(told.stderr.contains("--accept-doubts"), "{}", told.stderr);
    assert!(!desk.path("anna/state/approved").exists());
    let told = desk.approve_with(&["--accept-doubts"]);
    assert_eq!(told.status, 0, "{}", told.stderr);
    assert!(
        told.stdout.contains("accepted    feature 1"),
        "{}",
        told.stdout
    );
}

#[test]
fn a_site_with_more_patients_than_the_study_has_room_for_learns_it_before_it_joins() {
    let desk = Desk::new();
    let key = desk.init();
    let mut found = report(&[9]);
    found.patients = 1_000_000;
    desk.study_reporting(&key, "Anna", f64::INFINITY, found);
    let told = desk.approve();
    assert_eq!(told.status, 1);
    assert!(
        told.stderr
            .contains("this site has 1000000 patients, and the study has room for"),
        "{}",
        told.stderr
    );
}

#[test]
fn files_that_changed_since_the_approval_are_not_run_with() {
    let desk = Desk::new();
    let key = desk.init();
    desk.study(&key, "Anna");
    assert_eq!(desk.approve().status, 0);
    std::fs::write(desk.path("anna/data/events.parquet"), "other patients").unwrap();
    let told = desk.host(&["run", "--config", "anna/host.toml"]);
    assert_eq!(told.status, 1);
    assert!(
        told.stderr
            .contains("are not those that were approved: run `host approve` again"),
        "{}",
        told.stderr
    );
    let told = desk.approve();
    assert_eq!(told.status, 0, "{}", told.stderr);
}
