//! Sites that vanish in the middle of a round.

use std::sync::Arc;

use protocol::api::Stage;
use protocol::id::{Purpose, SiteId};
use testkit::Draft;

use crate::bench::{Bench, Gone, Sites, draft};

#[tokio::test]
async fn the_sum_is_of_the_survivors_whatever_the_stage_at_which_one_vanishes() {
    for (stage, survivors) in [
        (Stage::Advertise, ["Hospital 0", "Hospital 2"].as_slice()),
        (Stage::Share, &["Hospital 0", "Hospital 2"]),
        (Stage::Mask, &["Hospital 0", "Hospital 2"]),
        // Its vector is in the sum already.
        (Stage::Agree, &["Hospital 0", "Hospital 1", "Hospital 2"]),
        (Stage::Unmask, &["Hospital 0", "Hospital 1", "Hospital 2"]),
    ] {
        let mut bench = Bench::new(&draft());
        bench.play(&Gone::from([(SiteId(1), stage)])).await;
        let progress = bench.progress().await;
        assert_eq!(progress.rounds.len(), 1, "{stage}");
        let round = &progress.rounds[0];
        assert_eq!(round.survivors, survivors, "{stage}");
        assert_eq!(
            round.patients,
            Some(if survivors.len() == 2 { 40.0 } else { 60.0 }),
            "{stage}"
        );
    }
}

#[tokio::test]
async fn a_step_that_is_lost_before_stage_mask_is_done_again_under_a_new_number() {
    let mut bench = Bench::new(&draft());
    bench
        .play(&Gone::from(
            [0, 1, 2].map(|site| (SiteId(site), Stage::Share)),
        ))
        .await;
    let progress = bench.progress().await;
    assert!(progress.rounds[0].abandoned.is_some());
    assert!(progress.rounds[0].survivors.is_empty());
    let (header, now, waiting) = bench.open().await;
    assert_eq!(
        (header.number, now, waiting.len()),
        (1, Stage::Advertise, 3)
    );
    for _ in bench.kit.study.plan() {
        bench.play(&Gone::new()).await;
    }
    assert_eq!(course(&mut bench).await, (2, 4, true));
}

#[tokio::test]
async fn a_step_that_is_lost_at_stage_mask_or_later_is_not_done_again() {
    // At stage mask without one announcement: some may be on their way.
    for (sites, stage) in [
        ([0, 1, 2].as_slice(), Stage::Mask),
        (&[0, 1], Stage::Mask),
        (&[0, 1], Stage::Agree),
        (&[0, 1], Stage::Unmask),
    ] {
        let mut bench = Bench::new(&draft());
        let gone = sites.iter().map(|site| (SiteId(*site), stage)).collect();
        bench.play(&gone).await;
        for _ in 1..bench.kit.study.plan().len() {
            bench.play(&Gone::new()).await;
        }
        assert_eq!(course(&mut bench).await, (1, 3, true), "{stage}");
    }
}

/// Steps of training that were done, rounds in all, and whether there is a model.
async fn course(bench: &mut Bench) -> (usize, usize, bool) {
    let progress = bench.progress().await;
    let steps = progress.rounds.iter();
    let steps = steps.filter(|round| round.patients.is_some()).count();
    (steps, progress.rounds.len(), progress.model.is_some())
}

#[tokio::test]
async fn moments_that_are_lost_twice_stop_the_study() {
    let mut bench = Bench::new(&Draft {
        normalisation: "shared",
        ..draft()
    });
    let lost = Gone::from([0, 1].map(|site| (SiteId(site), Stage::Agree)));
    bench.play(&lost).await;
    let (header, ..) = bench.open().await;
    assert_eq!((header.number, header.purpose), (1, Purpose::Moments));
    let kit = Arc::clone(&bench.kit);
    let mut sites = Sites::of(&kit, &header);
    bench
        .play_until(&mut sites, &lost, |stage| stage == Stage::Agree)
        .await;
    let advert = bench
        .kit
        .sign(&header, Stage::Advertise, SiteId(0), Vec::new());
    bench.wait(crate::bench::TIMES.others).await;
    bench.get("round").await.is(410, "study-stopped");
    bench
        .send(&header, Stage::Advertise, &advert)
        .await
        .is(410, "study-stopped");
    bench.kill();
    bench.get("round").await.is(410, "study-stopped");
    let progress = bench.progress().await;
    assert_eq!(
        (progress.rounds.len(), progress.stage, progress.model),
        (2, None, None)
    );
}
