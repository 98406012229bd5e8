//! Enrolment in a roster, and the nonces of its lottery.

use std::sync::{Arc, Mutex};

use protocol::codec;
use protocol::id::Digest;
use protocol::identity::Identity;
use protocol::lottery::{Entry, RollCall};

use super::Desk;
use crate::server::{Reply, Server};

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
