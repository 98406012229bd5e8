//! The client of the aggregator's service, against a server that misbehaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::server::{Reply, Server};
use host::aggregator::{Aggregator, AggregatorError, Delivery};
use participant::patience::Patience;
use protocol::api::{RoundView, Stage, Status};
use protocol::codec;
use protocol::id::Digest;

const QUICK: Patience = Patience {
    first: Duration::from_millis(2),
    longest: Duration::from_millis(8),
    total: Duration::from_millis(60),
};

fn client(server: &Server) -> Aggregator {
    Aggregator::new(&server.url, None, QUICK).unwrap()
}

fn view() -> RoundView {
    RoundView {
        version: 4,
        status: Status::Finished {
            state: Digest([3; 32]),
        },
    }
}

/// Gives the replies in turn, and the last one for ever.
fn in_turn(replies: Vec<Reply>) -> Server {
    let mut replies = replies.into_iter().peekable();
    let mut last = Reply::HangUp;
    Server::start(move |_| {
        if let Some(reply) = replies.next() {
            last = reply;
        }
        last.clone()
    })
}

#[test]
fn a_call_that_fails_for_now_is_repeated() {
    let server = in_turn(vec![
        Reply::HangUp,
        Reply::problem(503, "internal"),
        Reply::problem(429, "busy"),
        Reply::problem(404, "no-study"),
        Reply::cbor(codec::encode(&view())),
    ]);
    let waits = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&waits);
    let aggregator = client(&server).with_notice(Box::new(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
    }));
    assert_eq!(aggregator.view(3, Duration::from_secs(9)).unwrap(), view());
    assert_eq!(waits.load(Ordering::SeqCst), 4);
    let asked = server.asked();
    assert_eq!(asked.len(), 5);
    assert!(
        asked
            .iter()
            .all(|asked| asked.line == "GET /v1/round?seen=3&wait=9"),
        "{asked:?}"
    );
}

#[test]
fn patience_ends() {
    let server = in_turn(vec![Reply::problem(500, "internal")]);
    let error = client(&server).survivors(1).unwrap_err();
    assert!(
        error.to_string().ends_with("HTTP 500: not now: because"),
        "{error}"
    );
    assert!(server.asked().len() > 3);

    let nobody = Aggregator::new("http://127.0.0.1:1", None, QUICK).unwrap();
    let error = nobody.survivors(1).unwrap_err();
    assert!(
        matches!(error, AggregatorError::Unreachable { .. }),
        "{error}"
    );
}

#[test]
fn a_refusal_is_not_repeated() {
    let server = in_turn(vec![Reply::problem(403, "bad-signature")]);
    let error = client(&server).adverts(2).unwrap_err();
    assert!(
        matches!(&error, AggregatorError::Refused { problem, .. } if problem.status == 403),
        "{error}"
    );
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_message_that_is_too_late_is_told_from_one_that_contradicts_another() {
    let late = in_turn(vec![Reply::problem(409, "stage-closed")]);
    assert!(matches!(
        client(&late).send(7, Stage::Mask, b"m"),
        Ok(Delivery::TooLate(_))
    ));
    let asked = late.asked();
    assert_eq!(
        (asked[0].line.as_str(), asked[0].body.as_slice()),
        ("POST /v1/rounds/7/mask", &b"m"[..])
    );
    let over = in_turn(vec![Reply::problem(410, "round-over")]);
    assert!(matches!(
        client(&over).send(7, Stage::Mask, b"m"),
        Ok(Delivery::TooLate(_))
    ));
    let other = in_turn(vec![Reply::problem(409, "different-message")]);
    let error = client(&other).send(7, Stage::Mask, b"m").unwrap_err();
    assert!(error.to_string().contains("a second host"), "{error}");
    let fine = in_turn(vec![Reply::Answer(204, "", Vec::new())]);
    assert_eq!(
        client(&fine).send(7, Stage::Mask, b"m").unwrap(),
        Delivery::Accepted
    );
}

#[test]
fn a_state_under_another_name_is_refused() {
    let server = in_turn(vec![Reply::cbor(b"weights".to_vec())]);
    assert_eq!(
        client(&server).state(Digest::of(b"weights")).unwrap(),
        b"weights"
    );
    let error = client(&server).state(Digest::of(b"other")).unwrap_err();
    assert!(
        matches!(error, AggregatorError::OtherState { .. }),
        "{error}"
    );
}

#[test]
fn an_answer_that_is_none_and_a_redirect_are_refused() {
    let garbage = in_turn(vec![Reply::cbor(vec![0xff])]);
    assert!(matches!(
        client(&garbage).survivors(1),
        Err(AggregatorError::Answer(_))
    ));
    let elsewhere = in_turn(vec![Reply::Answer(302, "text/html", Vec::new())]);
    assert!(client(&elsewhere).survivors(1).is_err());
}

#[test]
fn plain_http_is_for_loopback_alone() {
    for url in [
        "http://127.0.0.1:8480",
        "http://localhost/",
        "http://[::1]:80",
        "https://fl.example.org",
    ] {
        assert!(Aggregator::new(url, None, QUICK).is_ok(), "{url}");
    }
    for url in [
        "http://fl.example.org",
        "http://10.0.0.1",
        "http://127.0.0.1.example.org",
        "http://localhost.example",
    ] {
        let error = Aggregator::new(url, None, QUICK).unwrap_err();
        assert!(
            matches!(error, AggregatorError::PlainHttp(_)),
            "{url}: {error}"
        );
    }
    for url in ["ftp://127.0.0.1", "fl.example.org", "", "https://a?b=c"] {
        assert!(
            matches!(
                Aggregator::new(url, None, QUICK),
                Err(AggregatorError::NoUrl(_))
            ),
            "{url}"
        );
    }
}

#[test]
fn a_pinned_authority_must_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, "not a certificate").unwrap();
    let error = Aggregator::new("https://fl.example.org", Some(&path), QUICK).unwrap_err();
    assert!(
        matches!(error, AggregatorError::NoCertificate(_)),
        "{error}"
    );
}
