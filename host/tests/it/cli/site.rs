//! A site: its configuration, its keys, its vault.

use super::{Desk, Told};

#[test]
fn a_new_site_gets_a_configuration_and_a_key_once() {
    let desk = Desk::new();
    let first = desk.host(&[
        "init",
        "anna",
        "--site",
        "Anna",
        "--aggregator",
        "https://fl.example.org",
    ]);
    assert_eq!(first.status, 0, "{}", first.stderr);
    let lines: Vec<&str> = first.stdout.lines().collect();
    assert_eq!(lines[0], "config    anna/host.toml");
    assert!(
        lines[1].starts_with("identity  ") && lines[1].len() == 10 + 64,
        "{}",
        lines[1]
    );
    let text = std::fs::read_to_string(desk.path("anna/host.toml")).unwrap();
    for wanted in [
        "\n[data]\nfolder = \"data\"\n",
        "\n# task",
        "\n[vault]\nkey-file = \"vault.key\"\n",
        "\n[patient-budget]\nepsilon = 3.0\ndelta = 1e-5\n",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
    assert!(
        lines[2].starts_with("vault     anna/vault.key: keep a copy"),
        "{}",
        lines[2]
    );
    assert_eq!(
        lines[3],
        "budget    ε 3 at δ 0.00001 for each patient, over all studies and for good"
    );

    let again = desk.host(&[
        "init",
        "anna",
        "--site",
        "Anna",
        "--aggregator",
        "https://fl.example.org",
    ]);
    assert_eq!(again.status, 1);
    assert!(
        again
            .stderr
            .starts_with("host: creating anna/host.toml: File exists"),
        "{}",
        again.stderr
    );
}

#[test]
fn plain_http_to_another_computer_is_refused_at_once() {
    let desk = Desk::new();
    let told = desk.host(&[
        "init",
        "anna",
        "--site",
        "Anna",
        "--aggregator",
        "http://fl.example.org",
    ]);
    assert_eq!(told.status, 1);
    assert_eq!(
        told.stderr,
        "host: http://fl.example.org is plain HTTP to another computer: use https; http is for loopback addresses \
         alone\n"
    );
    assert!(!desk.path("anna").exists());
}

#[test]
fn data_in_another_folder_is_named_as_it_is() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.path("wards")).unwrap();
    let made = desk.host(&[
        "init",
        "anna",
        "--site",
        "Anna",
        "--aggregator",
        "http://127.0.0.1:9",
        "--data",
        "wards",
    ]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    let text = std::fs::read_to_string(desk.path("anna/host.toml")).unwrap();
    let wards = desk.path("wards").canonicalize().unwrap();
    assert!(
        text.contains(&format!("folder = \"{}\"", wards.display())),
        "{text}"
    );
}

#[test]
fn without_a_configuration_a_command_says_what_to_do() {
    let desk = Desk::new();
    for command in [
        &["run"][..],
        &["ledger"],
        &["replay", "3"],
        &["model", "--out", "m"],
        &["enrol", "--token", "t"],
        &["reveal"],
    ] {
        let told = desk.host(command);
        assert_eq!(told.status, 1, "{command:?}");
        assert_eq!(
            told.stderr,
            "host: host.toml is not there: `host init` writes one, and --config names one elsewhere\n"
        );
    }
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.init();
    let key = desk.path("anna/identity.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let told = desk.host(&["enrol", "--token", "t", "--config", "anna/host.toml"]);
    assert_eq!(told.status, 1);
    assert!(
        told.stderr
            .contains("can be read or changed by other users (mode 644)"),
        "{}",
        told.stderr
    );
}

#[test]
fn a_configuration_of_an_older_version_is_brought_up_by_two_commands() {
    let desk = Desk::new();
    let key = desk.init_with("http://127.0.0.1:9", &[]);
    let file = desk.path("anna/host.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let old = text.replace("[vault]\nkey-file = \"vault.key\"\n", "");
    std::fs::write(&file, &old).unwrap();
    std::fs::remove_dir_all(desk.path("anna/state")).unwrap();
    std::fs::remove_file(desk.path("anna/vault.key")).unwrap();

    let told = desk.host(&["enrol", "--token", "t", "--config", "anna/host.toml"]);
    assert!(
        told.stderr.contains("[vault] is missing") && told.stderr.contains("`host vault init`"),
        "{}",
        told.stderr
    );
    let told = desk.host(&["vault", "init", "--config", "anna/host.toml"]);
    assert_eq!(told.status, 0, "{}", told.stderr);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("\n[vault]\nkey-file = \"vault.key\"\n"),
        "{text}"
    );
    assert!(desk.path("anna/vault.key").exists());
    let told = desk.host(&["vault", "init", "--config", "anna/host.toml"]);
    assert!(
        told.stderr.contains("a vault is made once"),
        "{}",
        told.stderr
    );

    desk.study_of(&key, "Anna", 1.0);
    let told = desk.approve();
    assert!(
        told.stderr.contains("`host budget record --reason …`"),
        "{}",
        told.stderr
    );
    let told = desk.host(&[
        "budget",
        "record",
        "--reason",
        "as before",
        "--config",
        "anna/host.toml",
    ]);
    assert_eq!(told.status, 0, "{}", told.stderr);
    assert_eq!(desk.approve().status, 0);
}

#[test]
fn the_vaults_key_is_changed_and_named_in_the_configuration() {
    let desk = Desk::new();
    desk.init();
    let check = || desk.host(&["vault", "check", "--config", "anna/host.toml"]);
    let id = |told: &Told| told.stdout.split(',').next().unwrap().to_owned();
    let before = check();
    assert_eq!(before.status, 0, "{}", before.stderr);
    let told = desk.host(&["vault", "rekey", "--config", "anna/host.toml"]);
    assert!(told.stderr.contains("name the new key"), "{}", told.stderr);
    let told = desk.host(&[
        "vault",
        "rekey",
        "--key-file",
        "vault.key",
        "--config",
        "anna/host.toml",
    ]);
    assert!(
        told.stderr.contains("is the key already"),
        "{}",
        told.stderr
    );
    let told = desk.host(&[
        "vault",
        "rekey",
        "--key-file",
        "state/new.key",
        "--config",
        "anna/host.toml",
    ]);
    assert!(
        told.stderr.contains("lies in the state folder"),
        "{}",
        told.stderr
    );
    let told = desk.host(&[
        "vault",
        "rekey",
        "--key-file",
        "new.key",
        "--config",
        "anna/host.toml",
    ]);
    assert_eq!(told.status, 0, "{}", told.stderr);
    let text = std::fs::read_to_string(desk.path("anna/host.toml")).unwrap();
    assert!(
        text.contains("key-file = \"new.key\"") && !text.contains("vault.key"),
        "{text}"
    );
    std::fs::remove_file(desk.path("anna/vault.key")).unwrap();
    assert_eq!(id(&check()), id(&before));
}
