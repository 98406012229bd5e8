//! Stages that end because their time is over.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use protocol::api::Stage;
use protocol::id::SiteId;

use crate::bench::{Bench, Gone, Sites, TIMES, draft, noised};

const MOMENT: Duration = Duration::from_millis(1);

#[tokio::test]
async fn a_stage_waits_its_time_for_a_site_and_no_longer() {
    let mut bench = Bench::new(&draft());
    let kit = Arc::clone(&bench.kit);
    let (header, ..) = bench.open().await;
    let mut sites = Sites::of(&kit, &header);
    bench
        .play_until(&mut sites, &Gone::new(), |stage| stage == Stage::Share)
        .await;
    for site in [SiteId(0), SiteId(2)] {
        let signed = bench.message(&mut sites, Stage::Share, site).await;
        bench.send(&header, Stage::Share, &signed).await;
    }
    bench.wait(TIMES.others - MOMENT).await;
    assert_eq!(bench.open().await.1, Stage::Share);
    bench.wait(MOMENT).await;
    let (_, stage, waiting) = bench.open().await;
    assert_eq!((stage, waiting), (Stage::Mask, vec![SiteId(0), SiteId(2)]));
}

#[tokio::test]
async fn a_round_that_nobody_has_joined_waits_on() {
    let mut bench = Bench::new(&draft());
    bench.wait(TIMES.advertise * 3).await;
    let (header, stage, _) = bench.open().await;
    assert_eq!((header.number, stage), (0, Stage::Advertise));
    assert!(bench.progress().await.rounds.is_empty());
}

#[tokio::test]
async fn a_round_that_too_few_have_joined_is_abandoned() {
    let mut bench = Bench::new(&draft());
    bench
        .play(&Gone::from(
            [0, 1].map(|site| (SiteId(site), Stage::Advertise)),
        ))
        .await;
    let progress = bench.progress().await;
    assert_eq!(
        progress.rounds[0].abandoned.as_deref(),
        Some("1 sites reported at stage advertise in time; the study's threshold is 2")
    );
    assert_eq!(bench.open().await.0.number, 1);
}

#[tokio::test]
async fn a_site_that_is_away_costs_each_later_round_a_quick_stage_alone() {
    let mut bench = Bench::new(&draft());
    let away = Gone::from([(SiteId(1), Stage::Advertise)]);
    bench.play(&away).await;
    let kit = Arc::clone(&bench.kit);
    let (header, _, waiting) = bench.open().await;
    assert_eq!((header.number, waiting.len()), (1, 3));
    let mut sites = Sites::of(&kit, &header);
    for site in [SiteId(0), SiteId(2)] {
        let signed = bench.message(&mut sites, Stage::Advertise, site).await;
        bench.send(&header, Stage::Advertise, &signed).await;
    }
    bench.wait(TIMES.others - MOMENT).await;
    assert_eq!(bench.open().await.1, Stage::Advertise);
    // It is back just in time.
    let signed = bench.message(&mut sites, Stage::Advertise, SiteId(1)).await;
    assert_eq!(
        bench.send(&header, Stage::Advertise, &signed).await.status,
        StatusCode::NO_CONTENT
    );
    let (_, stage, waiting) = bench.open().await;
    assert_eq!((stage, waiting.len()), (Stage::Share, 3));
}

#[tokio::test]
async fn a_stage_has_its_full_time_again_after_a_restart() {
    let mut bench = Bench::new(&noised());
    let kit = Arc::clone(&bench.kit);
    let mut sites = Sites::of(&kit, &bench.open().await.0);
    bench
        .play_until(&mut sites, &Gone::new(), |stage| stage == Stage::Mask)
        .await;
    bench.wait(TIMES.others - MOMENT).await;
    bench.kill();
    bench.wait(TIMES.others - MOMENT).await;
    assert_eq!(bench.open().await.1, Stage::Mask);
    bench.wait(MOMENT).await;
    assert_eq!(bench.open().await.0.number, 1);
}
