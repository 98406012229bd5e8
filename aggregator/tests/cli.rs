//! The program as its operator sees it: arguments, what it prints, how it ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use aggregator::store::Store;
use protocol::api::{Enrol, Reveal};
use protocol::identity::Identity;
use testkit::{Draft, Lots, nonce};

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
    enrol(folder.path(), &token, &name, &identity);
    let key = identity.key();
    let roster = stdout(&run(&["roster"], folder.path()));
    assert_eq!(
        roster,
        format!("[[roster]]\nname = \"St. Mary's\"\nkey = \"{key}\"\n\n")
    );
    let bad = run(&["token", "--site", "\"quoted\""], folder.path());
    assert_eq!(bad.status.code(), Some(2));
}

/// Does what a site's host does.
fn enrol(store: &Path, token: &str, name: &str, identity: &Identity) {
    let commitment = nonce(identity).commitment(&identity.key());
    let signed = Enrol::signed_bytes(token, &commitment, name);
    let enrol = Enrol {
        token: token.to_owned(),
        name: name.to_owned(),
        key: identity.key(),
        commitment,
        signature: identity.sign(&signed),
    };
    let store = Store::at(store).unwrap();
    store.enrolment().enrol(&enrol).unwrap();
}

#[test]
fn a_roster_is_closed_revealed_and_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let enrolment = Store::at(folder.path()).unwrap().enrolment();
    let words = refusal(&run(&["roster", "--close"], folder.path()));
    assert!(words.contains("no site has enrolled"), "{words}");
    let sites = [("Anna", [1; 32]), ("Berta", [2; 32])];
    let sites = sites.map(|(name, seed)| (name.to_owned(), Identity::from_seed(&seed)));
    for (name, identity) in &sites {
        let token = stdout(&run(&["token", "--site", name], folder.path()));
        enrol(folder.path(), token.trim(), name, identity);
    }
    let closed = run(&["roster", "--close"], folder.path());
    let list = enrolment.roll_call().unwrap();
    let names = |lots| {
        let sites = sites
            .each_ref()
            .map(|(name, identity)| (name.clone(), identity));
        let tables = testkit::roster(&sites, lots);
        format!("{}\n", tables.trim_start())
    };
    assert_eq!(stdout(&closed), names(Lots::None));
    let missing = "missing   Anna, Berta (each runs `host reveal`; if one will not, start over with --reopen)\n";
    assert_eq!(
        String::from_utf8(closed.stderr).unwrap(),
        format!("closed    2 sites, list {}\n{missing}", list.digest())
    );
    for (place, (_, identity)) in sites.iter().enumerate() {
        let reveal = Reveal {
            key: identity.key(),
            list: list.digest(),
            lot: nonce(identity).reveal(&list, identity),
        };
        enrolment.reveal(&reveal).unwrap();
        let printed = run(&["roster"], folder.path());
        let told = String::from_utf8(printed.stderr.clone()).unwrap();
        if place == 0 {
            assert!(told.starts_with("missing   Berta (each runs"), "{told}");
        } else {
            assert_eq!(told, "revealed  all sites\n");
            assert_eq!(stdout(&printed), names(Lots::Revealed));
        }
    }
    let both = run(&["roster", "--close", "--reopen"], folder.path());
    assert_eq!(both.status.code(), Some(2));
    let reopened = run(&["roster", "--reopen"], folder.path());
    assert_eq!(stdout(&reopened), "");
    assert_eq!(
        String::from_utf8(reopened.stderr).unwrap(),
        "the roster is open and empty: give each site a new token, with which it enrols again\n"
    );
    assert_eq!(stdout(&run(&["roster"], folder.path())), "");
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
