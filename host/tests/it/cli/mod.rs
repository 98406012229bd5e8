//! The command line as transcripts: arguments in; status, standard output and standard error out.

use std::path::{Path, PathBuf};
use std::process::Command;

use protocol::codec;
use protocol::door::{Coverage, Described, Prepared, Progress, Report, Response};
use protocol::id::Digest;
use tempfile::TempDir;
use testkit::Draft;

use crate::tape;

mod approval;
mod budget;
mod enrolment;
mod import;
mod look;
mod retention;
mod site;
mod study;

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
