//! The client of the aggregator's service, against a server that misbehaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::server::{Reply, Server};
use host::aggregator::{Aggregator, AggregatorError};
use host::tls::TrustError;
use participant::patience::Patience;
use participant::{Failure, Fetch};
use protocol::api::{Announcement, Announcements, RoundView, Status};
use protocol::codec;
use protocol::id::{Digest, Header, Purpose, SiteId};

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
    let error = client(&server).fetch(Fetch::Survivors(1)).unwrap_err();
    assert!(
        error.to_string().ends_with("HTTP 500: not now: because"),
        "{error}"
    );
    assert!(server.asked().len() > 3);

    let nobody = Aggregator::new("http://127.0.0.1:1", None, QUICK).unwrap();
    let error = nobody.fetch(Fetch::Survivors(1)).unwrap_err();
    assert!(
        matches!(error, AggregatorError::Unreachable { .. }),
        "{error}"
    );
}

#[test]
fn a_refusal_is_not_repeated() {
    let server = in_turn(vec![Reply::problem(403, "bad-signature")]);
    let error = client(&server).fetch(Fetch::Adverts(2)).unwrap_err();
    assert!(
        matches!(&error, AggregatorError::Refused { problem, .. } if problem.status == 403),
        "{error}"
    );
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn what_is_too_late_is_told_from_what_contradicts_and_from_what_may_pass() {
    let failure = |status, kind| {
        let server = in_turn(vec![Reply::problem(status, kind)]);
        client(&server)
            .fetch(Fetch::Adverts(7))
            .unwrap_err()
            .failure()
    };
    for (status, kind) in [
        (409, "stage-closed"),
        (410, "round-over"),
        (404, "unknown-round"),
    ] {
        assert!(
            matches!(failure(status, kind), Failure::TooLate(_)),
            "{kind}"
        );
    }
    assert!(matches!(
        failure(409, "different-message"),
        Failure::Conflict(_)
    ));
    assert!(matches!(failure(403, "bad-signature"), Failure::Refused(_)));
    assert!(matches!(failure(503, "internal"), Failure::Unreachable(_)));
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
        client(&garbage).view(0, Duration::ZERO),
        Err(AggregatorError::Answer(_))
    ));
    let elsewhere = in_turn(vec![Reply::Answer(302, "text/html", Vec::new())]);
    assert!(client(&elsewhere).fetch(Fetch::Survivors(1)).is_err());
}

/// A sign-in page may answer for a while, with any status, or send who asks elsewhere.
#[test]
fn a_page_in_the_aggregators_place_is_waited_out_and_named() {
    let page = |status, kind, body: &str| Reply::Answer(status, kind, body.as_bytes().to_vec());
    let pages = || {
        vec![
            page(200, "text/html; charset=utf-8", "<!doctype html>"),
            page(200, "application/octet-stream", "\n<html>"),
            page(403, "text/html", "blocked"),
            page(302, "text/plain", ""),
        ]
    };
    let mut replies = pages();
    replies.push(Reply::cbor(codec::encode(&view())));
    let server = in_turn(replies);
    assert_eq!(client(&server).view(0, Duration::ZERO).unwrap(), view());
    assert_eq!(server.asked().len(), 5);
    for reply in pages() {
        let server = in_turn(vec![reply]);
        let error = client(&server).view(0, Duration::ZERO).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("a proxy or sign-in page answered"), "{text}");
        assert!(matches!(error.failure(), Failure::Unreachable(_)), "{text}");
    }
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
        matches!(error, AggregatorError::Trust(TrustError::NoCertificate(_))),
        "{error}"
    );
}

/// A page whose numbers do not rise would have a site ask for ever.
#[test]
fn announcements_bring_the_end_nearer_or_are_refused() {
    let page = |numbers: &[u32]| {
        let announcement = |number: &u32| Announcement {
            header: Header {
                study: Digest([1; 32]),
                number: *number,
                place: 0,
                purpose: Purpose::Train,
                state: Digest([2; 32]),
            },
            message: vec![7].into(),
        };
        Announcements {
            announcements: numbers.iter().map(announcement).collect(),
        }
    };
    for (numbers, fits) in [
        (&[][..], true),
        (&[5, 6, 90], true),
        (&[7, u32::MAX], true),
        (&[4], false),
        (&[5, 5], false),
        (&[6, 5], false),
        (&[u32::MAX, u32::MAX], false),
    ] {
        let server = in_turn(vec![Reply::cbor(codec::encode(&page(numbers)))]);
        let got = client(&server).announcements(SiteId(3), 5);
        assert_eq!(server.asked()[0].line, "GET /v1/announcements/3?from=5");
        if fits {
            assert_eq!(got.unwrap(), page(numbers));
        } else {
            let error = got.unwrap_err();
            assert!(matches!(error, AggregatorError::Order { .. }), "{error}");
        }
    }
}
