//! Requests that are refused, and what they are told.

use std::sync::Arc;

use aggregator::store::Store;
use aggregator::{BodyLimits, Service, StartError, SystemClock};
use axum::http::{Method, StatusCode};
use protocol::agreement::Secret;
use protocol::api::Stage;
use protocol::codec;
use protocol::id::{ChunkDigest, Digest, Header, SiteId};
use protocol::message::{Agreement, MaskedInput, Signed};

use crate::bench::{Answer, Bench, Gone, Sites, TIMES, draft};

/// A bench whose open round is at the start of `stage`.
async fn at(stage: Stage) -> (Bench, Header) {
    let mut bench = Bench::new(&draft());
    let kit = Arc::clone(&bench.kit);
    let header = bench.open().await.0;
    let mut sites = Sites::of(&kit, &header);
    bench
        .play_until(&mut sites, &Gone::new(), |open| open == stage)
        .await;
    (bench, header)
}

async fn send_body(bench: &mut Bench, header: &Header, stage: Stage, body: Vec<u8>) -> Answer {
    let signed = bench.kit.sign(header, stage, SiteId(0), body);
    bench.send(header, stage, &signed).await
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_told() {
    let mut bench = Bench::new(&draft());
    bench.get("nothing").await.is(404, "not-found");
    bench.get("rounds/0/nothing").await.is(404, "not-found");
    bench
        .post("rounds/0/adverts", Vec::new())
        .await
        .is(404, "not-found");
    bench
        .get("rounds/minus/adverts")
        .await
        .is(404, "malformed-path");
    bench.get("states/minus").await.is(404, "malformed-path");
    bench
        .get(&format!("states/{}", Digest([0; 32])))
        .await
        .is(404, "unknown-state");
    bench
        .request(Method::DELETE, "study", Vec::new())
        .await
        .is(405, "method-not-allowed");
    bench
        .request(Method::PUT, "round", Vec::new())
        .await
        .is(405, "method-not-allowed");
}

#[tokio::test]
async fn rounds_that_are_not_open_are_told_from_those_that_are_over() {
    let mut bench = Bench::new(&draft());
    let (header, ..) = bench.open().await;
    let later = Header {
        number: 7,
        ..header.clone()
    };
    send_body(&mut bench, &later, Stage::Advertise, Vec::new())
        .await
        .is(404, "unknown-round");
    bench.get("rounds/7/adverts").await.is(404, "unknown-round");
    bench.play(&Gone::new()).await;
    send_body(&mut bench, &header, Stage::Advertise, Vec::new())
        .await
        .is(410, "round-over");
    send_body(&mut bench, &header, Stage::Unmask, Vec::new())
        .await
        .is(410, "round-over");
    bench.get("rounds/0/adverts").await.is(410, "round-over");
}

#[tokio::test]
async fn stages_that_are_not_open_are_told_from_those_that_are_closed() {
    let (mut bench, header) = at(Stage::Share).await;
    let kit = Arc::clone(&bench.kit);
    send_body(&mut bench, &header, Stage::Mask, Vec::new())
        .await
        .is(409, "stage-not-open");
    for part in ["shares/0", "survivors", "statements"] {
        bench
            .get(&format!("rounds/0/{part}"))
            .await
            .is(409, "stage-not-open");
    }
    assert_eq!(bench.get("rounds/0/adverts").await.status, StatusCode::OK);
    // Site 1 is late with its shares, and the round goes on without it.
    let mut bench = Bench::new(&draft());
    let mut sites = Sites::of(&kit, &header);
    bench
        .play_until(&mut sites, &Gone::new(), |open| open == Stage::Share)
        .await;
    let late = bench.message(&mut sites, Stage::Share, SiteId(1)).await;
    bench
        .play_until(
            &mut sites,
            &Gone::from([(SiteId(1), Stage::Share)]),
            |open| open == Stage::Mask,
        )
        .await;
    bench
        .send(&header, Stage::Share, &late)
        .await
        .is(409, "stage-closed");
    bench.get("rounds/0/shares/1").await.is(409, "not-awaited");
    let late = bench
        .kit
        .sign(&header, Stage::Mask, SiteId(1), masked_input());
    bench
        .send(&header, Stage::Mask, &late)
        .await
        .is(409, "not-awaited");
    bench
        .play_until(&mut sites, &Gone::new(), |open| open == Stage::Agree)
        .await;
    bench.get("rounds/0/shares/0").await.is(409, "stage-closed");
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused() {
    let (mut bench, header) = at(Stage::Advertise).await;
    for bytes in [b"".as_slice(), b"\xff", b"no CBOR"] {
        bench
            .post("rounds/0/advertise", bytes.to_vec())
            .await
            .is(400, "malformed-message");
    }
    send_body(&mut bench, &header, Stage::Advertise, b"no advert".to_vec())
        .await
        .is(400, "malformed-message");
}

#[tokio::test]
async fn messages_that_a_site_did_not_sign_for_this_place_are_refused() {
    let (mut bench, header) = at(Stage::Advertise).await;
    let kit = Arc::clone(&bench.kit);
    let mut sites = Sites::of(&kit, &header);
    let advert = bench.message(&mut sites, Stage::Advertise, SiteId(0)).await;
    let altered = Signed {
        site: SiteId(1),
        ..advert.clone()
    };
    bench
        .send(&header, Stage::Advertise, &altered)
        .await
        .is(403, "bad-signature");
    let stranger = Signed {
        site: SiteId(9),
        ..advert.clone()
    };
    bench
        .send(&header, Stage::Advertise, &stranger)
        .await
        .is(403, "not-in-roster");
    let other_round = Header {
        number: 1,
        ..header.clone()
    };
    let replayed = kit.sign(
        &other_round,
        Stage::Advertise,
        SiteId(0),
        advert.body.to_vec(),
    );
    bench
        .send(&header, Stage::Advertise, &replayed)
        .await
        .is(403, "bad-signature");
    assert_eq!(
        bench.send(&header, Stage::Advertise, &advert).await.status,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn the_same_message_may_come_twice_and_another_may_not() {
    let (mut bench, header) = at(Stage::Advertise).await;
    let kit = Arc::clone(&bench.kit);
    let mut sites = Sites::of(&kit, &header);
    let first = bench.message(&mut sites, Stage::Advertise, SiteId(0)).await;
    let second = bench.message(&mut sites, Stage::Advertise, SiteId(1)).await;
    for _ in 0..3 {
        assert_eq!(
            bench.send(&header, Stage::Advertise, &first).await.status,
            StatusCode::NO_CONTENT
        );
    }
    let another = kit.sign(&header, Stage::Advertise, SiteId(0), second.body.to_vec());
    bench
        .send(&header, Stage::Advertise, &another)
        .await
        .is(409, "different-message");
    let reused = kit.sign(&header, Stage::Advertise, SiteId(1), first.body.to_vec());
    bench
        .send(&header, Stage::Advertise, &reused)
        .await
        .is(422, "refused-message");
    assert_eq!(
        bench.send(&header, Stage::Advertise, &second).await.status,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn signed_messages_that_the_stage_cannot_take_are_refused_and_harm_nothing() {
    let mut bench = Bench::new(&draft());
    let kit = Arc::clone(&bench.kit);
    let header = bench.open().await.0;
    let mut sites = Sites::of(&kit, &header);
    bench
        .play_until(&mut sites, &Gone::new(), |open| open == Stage::Mask)
        .await;
    send_body(&mut bench, &header, Stage::Mask, masked_input())
        .await
        .is(422, "refused-message");
    bench
        .play_until(&mut sites, &Gone::new(), |open| open == Stage::Agree)
        .await;
    let other = codec::encode(&Agreement::on(&[SiteId(0), SiteId(1)].into()));
    send_body(&mut bench, &header, Stage::Agree, other)
        .await
        .is(422, "refused-message");
    bench.play_until(&mut sites, &Gone::new(), |_| false).await;
    assert_eq!(
        bench.progress().await.rounds[0]
            .patients
            .map(|count| count.value),
        Some(60.0)
    );
}

#[tokio::test]
async fn bodies_beyond_what_a_stage_can_have_are_refused_at_each_stage() {
    let mut bench = Bench::new(&draft());
    let limits = BodyLimits::of(&bench.kit.study);
    for stage in Stage::ALL {
        let path = format!("rounds/0/{stage}");
        bench
            .post(&path, vec![0; limits.message(stage) + 1])
            .await
            .is(413, "body-too-large");
    }
    bench
        .post("enrol", vec![0; 5_000])
        .await
        .is(413, "body-too-large");
}

#[tokio::test]
async fn a_study_of_another_key_is_not_started() {
    let bench = Bench::new(&draft());
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path()).unwrap();
    let started = Service::with_study(
        &store,
        bench.kit.toml.clone().into_bytes(),
        Secret::new([9; 32]),
        TIMES,
        Arc::new(SystemClock),
    );
    let error = started.unwrap_err();
    assert!(matches!(error, StartError::OtherKey { .. }));
    assert!(
        error
            .to_string()
            .contains(&Secret::new([9; 32]).public().to_string())
    );
}

fn masked_input() -> Vec<u8> {
    let encapsulated = Secret::new([7; 32]).public();
    codec::encode(&MaskedInput {
        encapsulated,
        sharers: Digest([0; 32]),
        commitment: Digest([0; 32]),
        chunks: vec![ChunkDigest([0; 32]); 2],
    })
}
