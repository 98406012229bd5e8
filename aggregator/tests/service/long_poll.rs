//! Waiting for news.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use protocol::api::RoundView;
use protocol::api::Stage;
use protocol::codec;
use protocol::id::SiteId;

use crate::bench::{Bench, Sites, draft};

/// More than any of these tests takes, less than anybody waits for a test.
const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn news_are_told_at_once_and_no_news_after_the_wait() {
    let mut bench = Bench::new(&draft());
    let version = bench.view().await.version;
    let answer = bench.get("round?seen=0&wait=20").await;
    assert_eq!(
        codec::decode::<RoundView>(&answer.body).unwrap().version,
        version
    );
    let answer = bench.get(&format!("round?seen={version}&wait=1")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        codec::decode::<RoundView>(&answer.body).unwrap().version,
        version
    );
    bench.get("round?seen=now").await.is(400, "malformed-query");
}

#[tokio::test]
async fn who_waits_is_told_when_a_stage_closes() {
    let mut bench = Bench::new(&draft());
    let kit = Arc::clone(&bench.kit);
    let view = bench.view().await;
    let (header, ..) = bench.open().await;
    let service = Arc::clone(&bench.service);
    let waiting = tokio::spawn(async move { service.news(view.version, LONG).await });
    let mut sites = Sites::of(&kit, &header);
    for site in (0..3).map(SiteId) {
        let signed = bench.message(&mut sites, Stage::Advertise, site).await;
        bench.send(&header, Stage::Advertise, &signed).await;
    }
    let board = tokio::time::timeout(LONG / 2, waiting)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(board.view().unwrap().version > view.version);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_those_who_wait() {
    let mut bench = Bench::new(&draft());
    let view = bench.view().await;
    let service = Arc::clone(&bench.service);
    let waiting = tokio::spawn(async move { service.news(view.version, LONG).await });
    bench.service.drain();
    tokio::time::timeout(LONG / 2, waiting)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}
