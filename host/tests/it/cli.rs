//! The command line as transcripts: arguments in; status, standard output and standard error out.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::{Reply, Server};
use protocol::codec;
use protocol::door::{Described, Refusal, Response};
use protocol::id::Digest;
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
    assert!(
        text.contains("events = \"data/events.parquet\"") && text.contains("\n# splits"),
        "{text}"
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
    std::fs::write(desk.path("wards/splits.parquet"), "").unwrap();
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
    let splits = desk.path("wards/splits.parquet").canonicalize().unwrap();
    assert!(
        text.contains(&format!("splits = \"{}\"", splits.display())),
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
    assert_eq!(
        pinned,
        format!(
            "study = \"{study}\"\nmodule = \"{}\"\n",
            desk.module_digest()
        )
    );

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
        let signed = protocol::api::Enrol::signed_bytes(&enrol.token, &enrol.name);
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

/// A folder to work in.
struct Desk {
    folder: TempDir,
}

/// What a command said.
struct Told {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Desk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn host(&self, arguments: &[&str]) -> Told {
        let output = Command::new(Path::new(env!("CARGO_BIN_EXE_host")))
            .args(arguments)
            .current_dir(self.folder.path())
            // Nothing is left in the cache of who runs the tests.
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
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
    fn init(&self) -> String {
        self.init_at("http://127.0.0.1:9")
    }

    fn init_at(&self, url: &str) -> String {
        let made = self.host(&["init", "anna", "--site", "Anna", "--aggregator", url]);
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

    fn module_digest(&self) -> Digest {
        Digest::of(&std::fs::read(self.path("client.wasm")).unwrap())
    }

    /// Writes a study whose first site has this key and name, and a module that agrees to it; gives its digest.
    fn study(&self, key: &str, name: &str) -> Digest {
        let described = Described {
            study: Digest([0; 32]),
            parameters: 6,
            module: "a module of tests".to_owned(),
        };
        let module = Digest::of(&self.module("client.wasm", &Response::Described(described)));
        let draft = Draft::default();
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
