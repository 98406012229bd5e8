//! The program as its operator sees it: arguments, what it prints, how it ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use aggregator::store::Store;
use protocol::api::Enrol;
use protocol::identity::Identity;
use testkit::Draft;

fn aggregator(arguments: &[&str], store: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aggregator"));
    command.args(arguments).arg("--store").arg(store);
    command
}

fn run(arguments: &[&str], store: &Path) -> Output {
    aggregator(arguments, store).output().unwrap()
}

#[track_caller]
fn stdout(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A service that listens; killed when dropped.
struct Serving {
    process: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

impl Serving {
    fn start(arguments: &[&str], store: &Path) -> Self {
        let mut command = aggregator(
            &[&["serve", "--listen", "127.0.0.1:0"], arguments].concat(),
            store,
        );
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .unwrap()
            .to_owned();
        Self {
            process,
            stdout,
            address,
        }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "GET /v1/{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn terminate(&self) {
        let killed = Command::new("kill")
            .arg(self.process.id().to_string())
            .status()
            .unwrap();
        assert!(killed.success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_key_is_made_once_and_printed_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = stdout(&run(&["key"], folder.path()));
    assert_eq!(first.trim().len(), 64);
    assert_eq!(stdout(&run(&["key"], folder.path())), first);
}

#[test]
fn tokens_and_roster_work_beside_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(&[], folder.path());
    assert!(serving.get("health").starts_with("HTTP/1.1 204"));
    assert!(serving.get("round").starts_with("HTTP/1.1 404"));
    let token = stdout(&run(&["token", "--site", "St. Mary's"], folder.path()));
    assert_eq!(token.trim().len(), 64);
    assert_eq!(stdout(&run(&["roster"], folder.path())), "");
    let identity = Identity::from_seed(&[1; 32]);
    let (token, name) = (token.trim().to_owned(), "St. Mary's".to_owned());
    let signature = identity.sign(&Enrol::signed_bytes(&token, &name));
    let enrol = Enrol {
        token,
        name,
        key: identity.key(),
        signature,
    };
    Store::at(folder.path())
        .unwrap()
        .enrolment()
        .enrol(&enrol)
        .unwrap();
    let key = identity.key();
    let roster = stdout(&run(&["roster"], folder.path()));
    assert_eq!(
        roster,
        format!("[[roster]]\nname = \"St. Mary's\"\nkey = \"{key}\"\n\n")
    );
    let bad = run(&["token", "--site", "\"quoted\""], folder.path());
    assert_eq!(bad.status.code(), Some(2));
}

#[test]
fn a_study_is_served_and_a_termination_is_a_clean_end() {
    let folder = tempfile::tempdir().unwrap();
    let key = stdout(&run(&["key"], folder.path()));
    let kit = Draft::default().make();
    let toml = kit
        .toml
        .replace(&kit.secret().public().to_string(), key.trim());
    let study = folder.path().join("study.toml");
    std::fs::write(&study, &toml).unwrap();
    let mut serving = Serving::start(&["--study", study.to_str().unwrap()], folder.path());
    assert!(serving.get("study").ends_with(&toml));
    assert!(serving.get("progress").contains("\"stage\":\"advertise\""));
    serving.terminate();
    assert!(serving.process.wait().unwrap().success());
    let mut rest = String::new();
    serving.stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn a_study_with_another_key_is_refused_and_the_way_out_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study.toml");
    std::fs::write(&study, Draft::default().toml()).unwrap();
    let serve = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--study",
        study.to_str().unwrap(),
    ];
    assert!(refusal(&run(&serve, folder.path())).contains("make one with `aggregator key`"));
    let key = stdout(&run(&["key"], folder.path()));
    let words = refusal(&run(&serve, folder.path()));
    assert!(
        words.contains("aggregation.key") && words.contains(key.trim()),
        "{words}"
    );
}

#[test]
fn an_address_that_others_can_reach_is_refused_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let words = refusal(&run(&["serve", "--listen", "0.0.0.0:0"], folder.path()));
    assert!(
        words.contains("--tls-certificate") && words.contains("--behind-tls-proxy"),
        "{words}"
    );
}
