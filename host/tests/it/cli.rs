//! The command line as transcripts: arguments in; status, standard output and standard error out.

use crate::tape;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::server::{Reply, Server};
use protocol::codec;
use protocol::door::{
    Checked, Counted, Coverage, Described, Distribution, Explained, ExplainedRow, Imported, Part,
    Piece, Prepared, Progress, Refusal, Report, Response, Role,
};
use protocol::id::Digest;
use protocol::identity::Identity;
use protocol::lottery::{Entry, RollCall};
use tempfile::TempDir;
use testkit::Draft;

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
fn a_module_is_inspected() {
    let desk = Desk::new();
    let sealed = desk.module(
        "sealed.wasm",
        &Response::Refused(Refusal {
            reason: "no".to_owned(),
            fatal: false,
        }),
    );
    let told = desk.host(&["inspect", "sealed.wasm"]);
    assert_eq!(told.status, 0, "{}", told.stderr);
    let expected = format!(
        "sha-256  {}\nsize     {} bytes\nimports  none\nexports  memory (memory)\n         __wbindgen_malloc (function)\n         \
         __wbindgen_free (function)\n         handle (function)\n         panic_message (function)\n",
        Digest::of(&sealed),
        sealed.len()
    );
    assert_eq!(told.stdout, expected);

    let open = wat::parse_str(r#"(module (import "wasi" "clock" (func)))"#).unwrap();
    std::fs::write(desk.path("open.wasm"), open).unwrap();
    let told = desk.host(&["inspect", "open.wasm"]);
    assert_eq!(told.status, 1);
    assert!(
        told.stdout.contains("imports  wasi.clock (function)\n"),
        "{}",
        told.stdout
    );
    assert_eq!(
        told.stderr,
        "host: the module can reach outside: no host runs it\n"
    );

    std::fs::write(desk.path("none.wasm"), "no module").unwrap();
    let told = desk.host(&["inspect", "none.wasm"]);
    assert!(
        told.stderr
            .starts_with("host: this is no module that can be run: "),
        "{}",
        told.stderr
    );
}

#[test]
fn a_study_is_shown_and_checked() {
    let desk = Desk::new();
    let draft = Draft {
        epsilon: 1.0,
        ..Draft::default()
    };
    std::fs::write(desk.path("study.toml"), draft.toml()).unwrap();
    let told = desk.host(&["study", "study.toml"]);
    assert_eq!(told.status, 0, "{}", told.stderr);
    for wanted in [
        &format!("study       {}\n", Digest::of(draft.toml().as_bytes())),
        "sites       5, of which 3 must agree\n",
        "features    vitals: heart rate, SpO2\n",
        "rounds      5: 4 train, 1 evaluate\n",
        "privacy     ε 1 at δ 0.000001 for each patient",
        "fellows     against another hospital, which knows its own noise: ε 1, as against everybody else\n",
        "            against all other hospitals together: ε 2.",
        "tolerates   a lying aggregator that works together with up to 0 dishonest hospitals of a round\n",
        "so one dishonest hospital and the aggregator together can single out another hospital\n",
        "update: 6 numbers; a patient changes them by at most 1.0",
        "noise of each site with sd ",
    ] {
        assert!(
            told.stdout.contains(wanted),
            "{wanted} is not in\n{}",
            told.stdout
        );
    }

    let bad = Draft {
        threshold: 2,
        ..draft
    }
    .toml();
    std::fs::write(desk.path("study.toml"), bad).unwrap();
    let told = desk.host(&["study", "study.toml"]);
    assert_eq!(told.status, 1);
    assert!(
        told.stderr
            .starts_with("host: aggregation.threshold: 2 is not above half of 5 sites"),
        "{}",
        told.stderr
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
fn a_site_enrols_with_a_token() {
    let desk = Desk::new();
    let server = Server::start(|asked| {
        let enrol: protocol::api::Enrol = codec::decode(&asked.body).unwrap();
        let signed =
            protocol::api::Enrol::signed_bytes(&enrol.token, &enrol.commitment, &enrol.name);
        if enrol.key.verifies(&signed, &enrol.signature) && enrol.token == "right" {
            Reply::Answer(204, "", Vec::new())
        } else {
            Reply::problem(403, "unknown-token")
        }
    });
    let key = desk.init_at(&server.url);
    let told = desk.host(&["enrol", "--token", "right", "--config", "anna/host.toml"]);
    assert_eq!(
        (told.status, told.stdout),
        (0, format!("enrolled  Anna as {key}\n")),
        "{}",
        told.stderr
    );
    let told = desk.host(&["enrol", "--token", "wrong", "--config", "anna/host.toml"]);
    assert_eq!(told.status, 1);
    assert_eq!(
        told.stderr,
        format!(
            "host: {}/v1/enrol: HTTP 403: not now: because\n",
            server.url
        )
    );
}

/// What an aggregator has of a site: its key and commitment, and the list that it closes.
#[derive(Default)]
struct Enrolled {
    entries: Vec<Entry>,
    reveals: Vec<protocol::api::Reveal>,
}

/// An aggregator that keeps enrolments, closes the list when it is asked for it, and takes what is revealed.
fn registry(kept: &Arc<Mutex<Enrolled>>) -> Server {
    let kept = Arc::clone(kept);
    Server::start(move |asked| {
        let mut kept = kept.lock().unwrap();
        match asked.line.as_str() {
            "POST /v1/enrol" => {
                let enrol: protocol::api::Enrol = codec::decode(&asked.body).unwrap();
                kept.entries.push(Entry {
                    name: enrol.name,
                    key: enrol.key,
                    commitment: enrol.commitment,
                });
                Reply::Answer(204, "", Vec::new())
            }
            "GET /v1/roll-call" => Reply::cbor(codec::encode(&kept.entries)),
            "POST /v1/reveal" => {
                kept.reveals.push(codec::decode(&asked.body).unwrap());
                Reply::Answer(204, "", Vec::new())
            }
            other => panic!("{other}"),
        }
    })
}

#[test]
fn a_site_reveals_its_nonce_for_one_list_that_a_person_has_seen() {
    let desk = Desk::new();
    let kept = Arc::default();
    let server = registry(&kept);
    let key = desk.init_at(&server.url);
    let anna = ["--config", "anna/host.toml"];
    let host = |command: &[&str]| desk.host(&[command, &anna].concat());
    let told = host(&["reveal", "--yes"]);
    assert!(
        told.stderr.starts_with(
            "host: the closed roster does not have this site's key: nothing is revealed"
        ),
        "{}",
        told.stderr
    );
    assert_eq!(host(&["enrol", "--token", "one"]).status, 0);
    let berta = Identity::from_seed(&[2; 32]);
    kept.lock().unwrap().entries.push(Entry {
        name: "Berta".to_owned(),
        key: berta.key(),
        commitment: testkit::nonce(&berta).commitment(&berta.key()),
    });
    let list = RollCall::new(kept.lock().unwrap().entries.clone()).unwrap();
    let shown = format!(
        "list      {}\n    0     {key}  Anna\n    1     {}  Berta\n",
        list.digest(),
        berta.key()
    );

    let told = host(&["reveal"]);
    assert_eq!((told.status, &told.stdout), (1, &shown));
    assert_eq!(
        told.stderr,
        "host: nobody is there to ask: approve with --yes once a person has read the above\n"
    );
    assert!(kept.lock().unwrap().reveals.is_empty());

    // Twice: the first answer may have been lost.
    for _ in 0..2 {
        let told = host(&["reveal", "--yes"]);
        assert_eq!(
            (told.status, told.stdout),
            (
                0,
                format!("{shown}revealed  the nonce of Anna, for this list alone\n")
            ),
            "{}",
            told.stderr
        );
    }
    let reveals = std::mem::take(&mut kept.lock().unwrap().reveals);
    assert!(reveals.len() == 2 && reveals[0] == reveals[1]);
    let reveal = &reveals[0];
    assert!(reveal.lot.is_by(&reveal.key, list.digest()));
    assert_eq!(reveal.list, list.digest());
    assert_eq!(
        reveal.lot.nonce.commitment(&reveal.key),
        list.entries()[0].commitment
    );

    // A second list, without Berta: who could have both would choose between two draws.
    kept.lock().unwrap().entries.pop();
    let told = host(&["reveal", "--yes"]);
    assert_eq!((told.status, told.stdout.as_str()), (1, ""));
    assert!(
        told.stderr
            .starts_with("host: this site has revealed its nonce for the list "),
        "{}",
        told.stderr
    );
    assert!(kept.lock().unwrap().reveals.is_empty());

    // The roster is opened again: a new token, a new nonce.
    let told = host(&["enrol", "--token", "one"]);
    assert!(
        told.stderr.starts_with("host: this token was used"),
        "{}",
        told.stderr
    );
    kept.lock().unwrap().entries.clear();
    assert_eq!(host(&["enrol", "--token", "two"]).status, 0);
    assert_eq!(host(&["reveal", "--yes"]).status, 0);
    let again = &kept.lock().unwrap().reveals[0];
    assert_ne!(again.lot.nonce, reveal.lot.nonce);
}

#[test]
fn an_enrolment_that_is_repeated_commits_to_the_same_nonce() {
    let desk = Desk::new();
    let kept = Arc::default();
    let server = registry(&kept);
    desk.init_at(&server.url);
    for token in ["one", "one", "two"] {
        let told = desk.host(&["enrol", "--token", token, "--config", "anna/host.toml"]);
        assert_eq!(told.status, 0, "{}", told.stderr);
    }
    let kept = kept.lock().unwrap();
    let commitments: Vec<Digest> = kept.entries.iter().map(|entry| entry.commitment).collect();
    assert_eq!(commitments[0], commitments[1]);
    assert_ne!(commitments[0], commitments[2]);
}

#[test]
fn synthetic_hospitals_are_written() {
    let desk = Desk::new();
    let told = desk.host(&[
        "synth",
        "--hospitals",
        "3",
        "--patients",
        "20",
        "--seed",
        "5",
        "--out",
        "data",
    ]);
    assert_eq!(told.status, 0, "{}", told.stderr);
    let last = told.stdout.lines().last().unwrap();
    let best: f64 = last
        .strip_prefix("best possible accuracy ")
        .unwrap()
        .parse()
        .unwrap();
    assert!((0.5..1.0).contains(&best));
    for name in ["events", "labels", "splits"] {
        assert!(
            desk.path(&format!("data/hospital-01/{name}.parquet"))
                .exists()
        );
    }
    let told = desk.host(&["synth", "--hospitals", "2", "--out", "data"]);
    assert_eq!(told.stderr, "host: 2 hospitals: want 3 to 100\n");
}

#[test]
fn a_refusal_of_the_module_is_told() {
    let desk = Desk::new();
    let refusal = Refusal {
        reason: "labs.csv, row 7, column hr: `abc` is no number".to_owned(),
        fatal: false,
    };
    desk.module("client.wasm", &Response::Refused(refusal));
    std::fs::write(desk.path("labs.csv"), "hr\nabc\n").unwrap();
    std::fs::write(desk.path("map.toml"), "").unwrap();
    let told = desk.host(&[
        "import",
        "csv",
        "labs.csv",
        "--map",
        "map.toml",
        "--where",
        "site=a",
        "--module",
        "client.wasm",
        "--out",
        "data",
    ]);
    assert_eq!(told.status, 1);
    assert_eq!(
        told.stderr,
        "host: labs.csv, row 7, column hr: `abc` is no number\n"
    );
    assert!(!desk.path("data").exists());
}

/// An import of `roles`, as the module answers it.
fn imported(roles: &[Role]) -> Vec<u8> {
    let piece = Response::Read(Piece { file: 0, number: 0 });
    let part = |role: &Role| {
        Response::Part(Part {
            role: *role,
            bytes: b"parquet".to_vec().into(),
        })
    };
    let told = Response::Imported(Imported {
        rows: 5,
        dropped: 1,
        reasons: vec!["labs.csv, row 2, column hr: `abc` is not a number".to_owned()],
        kept: 2,
        passed: vec![Counted {
            what: "site is a".to_owned(),
            rows: 1,
        }],
        later: 1,
        dropped_by: vec![Counted {
            what: "column hr: not a number".to_owned(),
            rows: 1,
        }],
        unused: vec!["note".to_owned()],
        notes: vec!["2 empty lines are not counted as rows".to_owned()],
        ids: Some(b"subject_id,id\n1,\"a\"\n".to_vec().into()),
    });
    let parts = roles.iter().map(part);
    let answers = [piece].into_iter().chain(parts).chain([told]);
    let answers: Vec<Vec<u8>> = answers.map(|answer| codec::encode(&answer)).collect();
    tape::in_turn(&answers)
}

#[test]
fn imports_of_several_tables_stand_beside_each_other() {
    let desk = Desk::new();
    std::fs::write(desk.path("client.wasm"), imported(&[Role::Events])).unwrap();
    std::fs::write(
        desk.path("stays.wasm"),
        imported(&[Role::Labels, Role::Splits]),
    )
    .unwrap();
    std::fs::write(desk.path("labels.wasm"), imported(&[Role::Labels])).unwrap();
    std::fs::write(
        desk.path("map.toml"),
        "subject = { column = \"id\", as = \"text\" }",
    )
    .unwrap();
    let import = |csv: &str, module: &str, more: &[&str]| {
        std::fs::create_dir_all(desk.path(csv).parent().unwrap()).unwrap();
        std::fs::write(desk.path(csv), "id\n1\n").unwrap();
        let base = [
            "import", "csv", csv, "--map", "map.toml", "--module", module, "--out", "data",
        ];
        desk.host(&[&base[..], more].concat())
    };
    let first = import("labs.csv", "client.wasm", &[]);
    assert_eq!(first.status, 0, "{}", first.stderr);
    for told in [
        "made data/ids.key: keep it",
        "data/ids/labs.csv tells which number is which id\n",
        "2 rows  data\nof 5 rows in the file:\n  1 passed over by the filter: site is a\n  1 not the first of their \
         subject\n  1 rows left out\n    1: column hr: not a number\n  left out: labs.csv, row 2, column hr: `abc` is not \
         a number\ncolumns not used: note\nnote: 2 empty lines are not counted as rows\n",
    ] {
        assert!(first.stdout.contains(told), "{}", first.stdout);
    }
    let key = std::fs::read(desk.path("data/ids.key")).unwrap();
    let second = import("vitals.csv", "client.wasm", &[]);
    assert_eq!(second.status, 0, "{}", second.stderr);
    assert!(!second.stdout.contains("made"), "{}", second.stdout);
    assert_eq!(std::fs::read(desk.path("data/ids.key")).unwrap(), key);
    for name in ["labs", "vitals"] {
        assert!(
            desk.path(&format!("data/events.parquet/{name}.parquet"))
                .exists()
        );
    }
    let again = import("labs.csv", "client.wasm", &[]);
    let replaced = "replaced data/events.parquet/labs.parquet of an earlier import\n";
    assert!(again.stdout.contains(replaced), "{}", again.stdout);
    let other = import("ward/labs.csv", "client.wasm", &[]);
    assert_eq!(other.status, 1);
    assert!(
        other.stderr.contains("name this one with --source"),
        "{}",
        other.stderr
    );
    let named = import("ward/labs.csv", "client.wasm", &["--source", "ward-labs"]);
    assert_eq!(named.status, 0, "{}", named.stderr);

    let stays = import("stays.csv", "stays.wasm", &[]);
    assert!(
        stays.stdout.contains("as splits under [data]"),
        "{}",
        stays.stdout
    );
    let labels = import("new.csv", "labels.wasm", &[]);
    assert_eq!(labels.status, 1);
    assert!(
        labels.stderr.contains("splits of another import"),
        "{}",
        labels.stderr
    );
    assert!(!desk.path("data/labels.parquet/new.parquet").exists());

    std::fs::remove_file(desk.path("data/ids.key")).unwrap();
    let gone = import("labs.csv", "client.wasm", &[]);
    assert!(gone.stderr.contains("restore that file"), "{}", gone.stderr);
}

#[test]
fn figures_of_held_out_patients_are_written_to_no_file() {
    let desk = Desk::new();
    let told = desk.host(&[
        "personalise",
        "--out",
        "own.cbor",
        "--report",
        "figures.json",
    ]);
    assert_eq!(told.status, 2, "{}", told.stderr);
    assert!(
        told.stderr.contains("unexpected argument '--report'"),
        "{}",
        told.stderr
    );
    let help = desk.host(&["personalise", "--help"]).stdout;
    assert!(help.contains("patient data"), "{help}");
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let desk = Desk::new();
    for arguments in [
        &["predict", "--out", "p.csv", "--split", "best"][..],
        &["predict", "--out", "p.csv", "--study", "study.toml"],
        &["run", "--memory-mib", "3"],
        &[
            "import", "csv", "a.csv", "--map", "m", "--module", "m", "--out", "d", "--where",
            "site",
        ],
        &[
            "compose",
            "draft.toml",
            "--module",
            "m",
            "--aggregator-key",
            "12",
            "--roster",
            "r",
            "--out",
            "s",
        ],
        &[],
    ] {
        let told = desk.host(arguments);
        assert_eq!(told.status, 2, "{arguments:?}: {}", told.stderr);
    }
    let told = desk.host(&["baseline", "--out", "b.csv"]);
    assert_eq!(
        told.stderr,
        "host: name a study and its module (--study, --module), or a site (--config)\n"
    );
}

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

/// What a module says of ten patients, of whom so many have each feature.
fn report(features: &[u32]) -> Report {
    let coverage = |(place, labels): (usize, &u32)| Coverage {
        code: format!("CODE//{place}"),
        name: format!("feature {place}"),
        patients: *labels,
        labels: *labels,
        events: u64::from(*labels),
        used: u64::from(*labels),
        ..Coverage::default()
    };
    Report {
        train: 10,
        patients: 10,
        training_patients: 10,
        events: 50,
        used: features.iter().map(|labels| u64::from(*labels)).sum(),
        features: features.iter().enumerate().map(coverage).collect(),
        ..Report::default()
    }
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

/// A folder to work in.
pub(crate) struct Desk {
    folder: TempDir,
}

/// What a command said.
pub(crate) struct Told {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn host(&self, arguments: &[&str]) -> Told {
        self.host_with(arguments, &[])
    }

    /// The same with these variables in its environment.
    pub(crate) fn host_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Told {
        let output = Command::new(Path::new(env!("CARGO_BIN_EXE_host")))
            .args(arguments)
            .current_dir(self.folder.path())
            // Nothing is left in the cache of who runs the tests.
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .envs(variables.iter().copied())
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        Told {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Makes a site; gives its key.
    pub(crate) fn init(&self) -> String {
        self.init_at("http://127.0.0.1:9")
    }

    pub(crate) fn init_at(&self, url: &str) -> String {
        self.init_with(url, &["--patient-budget", "none"])
    }

    fn init_with(&self, url: &str, more: &[&str]) -> String {
        let arguments = ["init", "anna", "--site", "Anna", "--aggregator", url];
        let made = self.host(&[&arguments[..], more].concat());
        let line = made
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix("identity  "))
            .unwrap();
        line.to_owned()
    }

    /// Writes a module that always gives this response.
    fn module(&self, name: &str, response: &Response) -> Vec<u8> {
        let bytes = codec::encode(response);
        let data: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let text = format!(
            r#"(module
                (memory (export "memory") 2)
                (data (i32.const 1024) "{data}")
                (func (export "__wbindgen_malloc") (param i32 i32) (result i32) (i32.const 65536))
                (func (export "__wbindgen_free") (param i32 i32 i32))
                (func (export "handle") (param i32 i32) (result i32 i32) (i32.const 1024) (i32.const {}))
                (func (export "panic_message") (result i32 i32) (i32.const 0) (i32.const 0)))"#,
            bytes.len()
        );
        let wasm = wat::parse_str(text).unwrap();
        std::fs::write(self.path(name), &wasm).unwrap();
        wasm
    }

    /// Makes a folder of patients, which no module of tests reads.
    pub(crate) fn patients(&self, folder: &str) {
        let folder = self.path(folder);
        std::fs::create_dir_all(&folder).unwrap();
        for file in ["events.parquet", "labels.parquet"] {
            std::fs::write(folder.join(file), "patients").unwrap();
        }
    }

    fn module_digest(&self) -> Digest {
        Digest::of(&std::fs::read(self.path("client.wasm")).unwrap())
    }

    /// Approves the study without asking.
    pub(crate) fn approve(&self) -> Told {
        self.approve_with(&[])
    }

    fn approve_with(&self, more: &[&str]) -> Told {
        let arguments = [
            "approve",
            "study.toml",
            "--module",
            "client.wasm",
            "--config",
            "anna/host.toml",
            "--yes",
        ];
        self.host(&[&arguments[..], more].concat())
    }

    /// Writes a study without noise whose first site has this key and name, and a module that agrees to it; gives its
    /// digest.
    pub(crate) fn study(&self, key: &str, name: &str) -> Digest {
        self.study_of(key, name, f64::INFINITY)
    }

    /// The same with this ε.
    fn study_of(&self, key: &str, name: &str, epsilon: f64) -> Digest {
        self.study_reporting(key, name, epsilon, report(&[1]))
    }

    /// The same with a module that says this of the site's files.
    fn study_reporting(&self, key: &str, name: &str, epsilon: f64, report: Report) -> Digest {
        let described = Described {
            study: Digest([0; 32]),
            parameters: 6,
            module: "a module of tests".to_owned(),
        };
        let done = Response::Progress(Progress {
            done: 0,
            total: 0,
            unusable: 0,
        });
        let prepared = Response::Prepared(Prepared {
            cohort: b"cohort".to_vec().into(),
            report,
        });
        let answers = [
            Response::Described(described),
            prepared,
            done.clone(),
            done,
            Response::Send(Vec::new().into()),
        ];
        let module = tape::module(&answers.each_ref().map(codec::encode));
        std::fs::write(self.path("client.wasm"), &module).unwrap();
        let module = Digest::of(&module);
        self.patients("anna/data");
        let draft = Draft {
            epsilon,
            ..Draft::default()
        };
        let first = draft.make().identities[0].key();
        let text = draft
            .toml()
            .replace(&Digest::of(b"client.wasm").to_string(), &module.to_string())
            .replace(&first.to_string(), key)
            .replace("\"Hospital 0\"", &format!("\"{name}\""));
        std::fs::write(self.path("study.toml"), &text).unwrap();
        Digest::of(text.as_bytes())
    }
}
