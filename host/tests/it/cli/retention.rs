//! Rounds that are forgotten.

use super::Desk;

#[test]
fn a_round_that_was_forgotten_is_told_from_one_that_never_was() {
    let desk = Desk::new();
    let key = desk.init();
    let study = desk.study(&key, "Anna");
    assert_eq!(desk.approve().status, 0);
    for number in ["00000", "00001"] {
        let folder = desk.path(&format!("anna/state/studies/{study}/rounds/{number}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("state"), "a state").unwrap();
    }
    let host =
        |arguments: &[&str]| desk.host(&[arguments, &["--config", "anna/host.toml"]].concat());
    let told = host(&["forget"]);
    assert!(
        told.stderr.contains("set days under [retention]"),
        "{}",
        told.stderr
    );
    let told = host(&["forget", "--round", "1"]);
    assert!(
        told.stderr.contains("it is the last one of its study"),
        "{}",
        told.stderr
    );
    let told = host(&["forget", "--round", "7"]);
    assert!(
        told.stderr.contains("this site has no record of round 7"),
        "{}",
        told.stderr
    );
    let told = host(&["forget", "--round", "0", "--dry-run"]);
    assert!(
        told.stdout
            .starts_with(&format!("would go   round 0 of study {study}")),
        "{}",
        told.stdout
    );
    assert!(
        desk.path(&format!("anna/state/studies/{study}/rounds/00000"))
            .exists()
    );
    let told = host(&["replay", "0"]);
    assert!(
        told.stderr.contains("has no journal of round 0"),
        "{}",
        told.stderr
    );
    let told = host(&["forget", "--round", "0"]);
    assert_eq!(told.status, 0, "{}", told.stderr);
    assert!(
        told.stdout.contains("can no longer be replayed"),
        "{}",
        told.stdout
    );
    assert!(
        !desk
            .path(&format!("anna/state/studies/{study}/rounds/00000"))
            .exists()
    );
    let told = host(&["replay", "0"]);
    assert!(
        told.stderr.starts_with(&format!(
            "host: the record of round 0 of study {study} was forgotten on 20"
        )),
        "{}",
        told.stderr
    );
    let told = host(&["forget", "--before", "2026-02-30"]);
    assert!(told.stderr.contains("is not a day"), "{}", told.stderr);
}

#[test]
fn a_host_that_starts_forgets_what_is_old_enough() {
    use std::time::{Duration, UNIX_EPOCH};
    let desk = Desk::new();
    let key = desk.init();
    let study = desk.study(&key, "Anna");
    assert_eq!(desk.approve().status, 0);
    let rounds = desk.path(&format!("anna/state/studies/{study}/rounds"));
    for number in ["00000", "00001"] {
        std::fs::create_dir_all(rounds.join(number)).unwrap();
        let folder = std::fs::File::open(rounds.join(number)).unwrap();
        folder
            .set_modified(UNIX_EPOCH + Duration::from_secs(86_400))
            .unwrap();
    }
    // It stops before it asks the aggregator, which is not there.
    std::fs::remove_file(desk.path("anna/data/.wardround-ledger")).unwrap();
    let file = desk.path("anna/host.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let run = || desk.host(&["run", "--config", "anna/host.toml"]);
    run();
    assert!(
        rounds.join("00000").exists(),
        "without a setting all is kept"
    );
    std::fs::write(&file, text + "\n[retention]\njournals-days = 30\n").unwrap();
    run();
    assert!(!rounds.join("00000").exists() && rounds.join("00001").exists());
}
