//! Kills between any two requests.

use std::sync::Arc;

use axum::http::StatusCode;
use protocol::api::{Progress, Stage};
use protocol::codec;
use protocol::id::SiteId;
use testkit::Draft;

use crate::bench::{Bench, Gone, Restarts, Sites, draft};

async fn run(draft: &Draft, gone: &Gone, restarts: Restarts) -> Progress {
    let mut bench = Bench::new(draft);
    bench.restarts = restarts;
    for _ in bench.kit.study.plan() {
        bench.play(gone).await;
    }
    bench.progress().await
}

#[tokio::test]
async fn a_service_that_is_killed_after_each_message_comes_to_the_same_model() {
    let draft = Draft {
        normalisation: "shared",
        rounds: 1,
        ..draft()
    };
    for gone in [Gone::new(), Gone::from([(SiteId(2), Stage::Mask)])] {
        let steady = run(&draft, &gone, Restarts::Never).await;
        let killed = run(&draft, &gone, Restarts::AfterEachChange).await;
        assert!(steady.model.is_some());
        assert_eq!(killed, steady);
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill_and_may_be_sent_again() {
    let mut bench = Bench::new(&draft());
    let kit = Arc::clone(&bench.kit);
    let (header, ..) = bench.open().await;
    let mut sites = Sites::of(&kit, &header);
    for stage in Stage::ALL {
        bench
            .play_until(&mut sites, &Gone::new(), |open| open == stage)
            .await;
        let signed = bench.message(&mut sites, stage, SiteId(0)).await;
        assert_eq!(
            bench.send(&header, stage, &signed).await.status,
            StatusCode::NO_CONTENT
        );
        let before = bench.view().await;
        bench.kill();
        assert_eq!(bench.view().await, before, "{stage}");
        bench.report(&sites, stage, &signed).await;
        for site in [SiteId(1), SiteId(2)] {
            let signed = bench.message(&mut sites, stage, site).await;
            bench.report(&sites, stage, &signed).await;
        }
        // Also once the stage is over, and even the round.
        bench.kill();
        assert_eq!(
            bench.send(&header, stage, &signed).await.status,
            StatusCode::NO_CONTENT,
            "{stage}"
        );
    }
    assert_eq!(
        bench.progress().await.rounds[0]
            .patients
            .map(|count| count.value),
        Some(60.0)
    );
}

/// Two bytes number a site: also those above 255 may have lost the last answer.
#[tokio::test]
async fn the_last_message_may_be_sent_again_by_any_of_many_sites() {
    let mut bench = Bench::new(&Draft {
        patients_per_site: 2_580,
        fraction_bits: 8,
        ..Draft::timed(258, 3)
    });
    let kit = Arc::clone(&bench.kit);
    let mut sites = Sites::of(&kit, &bench.open().await.0);
    let gone = (100..125).map(|site| (SiteId(site), Stage::Advertise));
    bench
        .play_until(&mut sites, &gone.collect(), |stage| stage == Stage::Unmask)
        .await;
    let (header, _, waiting) = bench.open().await;
    let mut sent = Vec::new();
    for site in waiting {
        sent.push(bench.message(&mut sites, Stage::Unmask, site).await);
    }
    for signed in sent.iter().chain(&sent) {
        let answer = bench.send(&header, Stage::Unmask, signed).await;
        answer.is_taken(&format!("the message of site {}", signed.site));
    }
    assert_eq!(bench.open().await.0.number, 1);
}

#[tokio::test]
async fn versions_rise_over_restarts() {
    let mut bench = Bench::new(&draft());
    let mut last = 0;
    for _ in bench.kit.study.plan() {
        let kit = Arc::clone(&bench.kit);
        let mut sites = Sites::of(&kit, &bench.open().await.0);
        for stage in Stage::ALL {
            bench
                .play_until(&mut sites, &Gone::new(), |open| open == stage)
                .await;
            bench.kill();
            let version = bench.view().await.version;
            assert!(version > last, "{version} after {last}");
            last = version;
        }
        bench.play_until(&mut sites, &Gone::new(), |_| false).await;
    }
    assert!(bench.view().await.version > last);
}

#[tokio::test]
async fn a_kill_between_the_last_message_of_a_stage_and_its_end_loses_neither() {
    let mut bench = Bench::new(&draft());
    let kit = Arc::clone(&bench.kit);
    let header = bench.open().await.0;
    let mut sites = Sites::of(&kit, &header);
    for stage in Stage::ALL {
        bench
            .play_until(&mut sites, &Gone::new(), |open| open == stage)
            .await;
        for site in [SiteId(0), SiteId(1)] {
            let signed = bench.message(&mut sites, stage, site).await;
            bench.report(&sites, stage, &signed).await;
        }
        let last = codec::encode(&bench.message(&mut sites, stage, SiteId(2)).await);
        bench.kill_and(|journal| {
            let mut commit = journal.begin().unwrap();
            commit.message(stage, SiteId(2), &last).unwrap();
            if stage == Stage::Mask {
                let chunk = sites.sites[&SiteId(2)].chunks().next().unwrap();
                commit.chunk(SiteId(2), 0, &chunk).unwrap();
            }
            commit.finish().unwrap();
        });
    }
    assert_eq!(
        bench.progress().await.rounds[0]
            .patients
            .map(|count| count.value),
        Some(60.0)
    );
    assert_eq!(bench.open().await.0.number, 1);
}
