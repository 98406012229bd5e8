//! Sites that vanish in the middle of a round.

use std::sync::Arc;

use protocol::api::Stage;
use protocol::id::{Purpose, SiteId};
use testkit::Draft;

use crate::bench::{Bench, Gone, draft, noised};

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
            round.patients.map(|count| count.value),
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

/// At stage mask without one announcement: some may be on their way.
const LOST: [(&[u16], Stage); 4] = [
    (&[0, 1, 2], Stage::Mask),
    (&[0, 1], Stage::Mask),
    (&[0, 1], Stage::Agree),
    (&[0, 1], Stage::Unmask),
];

fn gone(sites: &[u16], stage: Stage) -> Gone {
    sites.iter().map(|site| (SiteId(*site), stage)).collect()
}

#[tokio::test]
async fn a_noised_step_that_is_lost_at_stage_mask_or_later_is_not_done_again() {
    for (sites, stage) in LOST {
        let mut bench = Bench::new(&noised());
        bench.play(&gone(sites, stage)).await;
        let (header, ..) = bench.open().await;
        assert_eq!((header.number, header.place), (1, 1), "{stage}");
        for _ in 1..bench.kit.study.plan().len() {
            bench.play(&Gone::new()).await;
        }
        assert_eq!(course(&mut bench).await, (1, 3, true), "{stage}");
    }
}

#[tokio::test]
async fn a_step_without_noise_that_is_lost_at_stage_mask_or_later_stops_the_study() {
    for (sites, stage) in LOST {
        let mut bench = Bench::new(&draft());
        bench.play(&gone(sites, stage)).await;
        let told = bench.get("round").await;
        told.is(410, "study-stopped");
        let told = String::from_utf8_lossy(&told.body).into_owned();
        assert!(
            told.contains("the train round at place 0") && told.contains("start a new study"),
            "{told}"
        );
        bench.kill();
        bench.get("round").await.is(410, "study-stopped");
        assert_eq!(course(&mut bench).await, (0, 1, false), "{stage}");
    }
}

/// An evaluation shows no two sums from one state: the next one is of another model.
#[tokio::test]
async fn an_evaluation_without_noise_that_is_lost_is_not_done_again() {
    let mut bench = Bench::new(&draft());
    for _ in 0..2 {
        bench.play(&Gone::new()).await;
    }
    bench.play(&gone(&[0, 1], Stage::Agree)).await;
    assert_eq!(course(&mut bench).await, (2, 3, true));
}

/// Steps of training that were done, rounds in all, and whether there is a model.
async fn course(bench: &mut Bench) -> (usize, usize, bool) {
    let progress = bench.progress().await;
    let steps = progress.rounds.iter();
    let steps = steps.filter(|round| round.patients.is_some()).count();
    (steps, progress.rounds.len(), progress.model.is_some())
}

#[tokio::test]
async fn moments_that_may_have_been_charged_stop_the_study_when_they_are_lost() {
    for draft in [draft(), noised()] {
        let mut bench = Bench::new(&Draft {
            normalisation: "shared",
            ..draft
        });
        let kit = Arc::clone(&bench.kit);
        let (header, ..) = bench.open().await;
        assert_eq!(header.purpose, Purpose::Moments);
        // Before stage mask nobody has charged anything: the same place under a new number.
        bench.play(&gone(&[0, 1], Stage::Share)).await;
        let (again, ..) = bench.open().await;
        assert_eq!((again.number, again.place), (1, header.place));
        bench.play(&gone(&[0, 1], Stage::Agree)).await;
        let advert = kit.sign(&again, Stage::Advertise, SiteId(0), Vec::new());
        for _ in 0..2 {
            bench.get("round").await.is(410, "study-stopped");
            bench
                .send(&again, Stage::Advertise, &advert)
                .await
                .is(410, "study-stopped");
            bench.kill();
        }
        let progress = bench.progress().await;
        assert_eq!(
            (progress.rounds.len(), progress.stage, progress.model),
            (2, None, None)
        );
    }
}
