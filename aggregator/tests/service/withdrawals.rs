//! Sites that say that they take no further part.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use protocol::api::{Stage, Withdrawn};
use protocol::codec;
use protocol::id::SiteId;
use protocol::withdrawal::{Cause, Withdrawal};

use crate::bench::{Answer, Bench, Gone, Sites, TIMES, draft};

const BOB: SiteId = SiteId(1);

fn signed(bench: &Bench, round: u32, site: SiteId, cause: Cause) -> Withdrawal {
    let kit = &bench.kit;
    let identity = &kit.identities[usize::from(site.0)];
    Withdrawal::sign(kit.study.digest(), round, site, cause, identity)
}

async fn post(bench: &mut Bench, withdrawal: &Withdrawal) -> Answer {
    bench.post("withdraw", codec::encode(withdrawal)).await
}

async fn withdraw(bench: &mut Bench, round: u32, site: SiteId, cause: Cause) {
    let withdrawal = signed(bench, round, site, cause);
    post(bench, &withdrawal).await.is_taken("a withdrawal");
}

fn bob(bench: &Bench, round: u32, cause: Cause) -> Vec<Withdrawn> {
    let site = bench.kit.study.member(BOB).unwrap().name.clone();
    vec![Withdrawn { site, round, cause }]
}

#[tokio::test]
async fn no_stage_waits_for_a_site_that_has_withdrawn() {
    for stage in Stage::ALL {
        let mut bench = Bench::new(&draft());
        let kit = Arc::clone(&bench.kit);
        let header = bench.open().await.0;
        let mut sites = Sites::of(&kit, &header);
        bench
            .play_until(&mut sites, &Gone::new(), |open| open == stage)
            .await;
        withdraw(&mut bench, 0, BOB, Cause::Refusal).await;
        assert_eq!(bench.open().await.1, stage, "too few have reported yet");
        // It does not depend on memory.
        bench.kill();
        assert_eq!(
            bench.progress().await.withdrawn,
            bob(&bench, 0, Cause::Refusal)
        );
        for site in [SiteId(0), SiteId(2)] {
            let message = bench.message(&mut sites, stage, site).await;
            bench.report(&sites, stage, &message).await;
        }
        let (now, at, waiting) = bench.open().await;
        if stage == Stage::Unmask {
            assert_eq!((now.number, at), (1, Stage::Advertise));
            let rounds = bench.progress().await.rounds;
            assert_eq!(rounds[0].survivors.len(), 3, "its vector was there");
        } else {
            assert!(now.number == 0 && at > stage, "{at}");
            assert!(!waiting.contains(&BOB));
        }
    }
}

#[tokio::test]
async fn the_last_to_withdraw_ends_the_stage() {
    let mut bench = Bench::new(&draft());
    let kit = Arc::clone(&bench.kit);
    let mut sites = Sites::of(&kit, &bench.open().await.0);
    for site in [SiteId(0), SiteId(2)] {
        let message = bench.message(&mut sites, Stage::Advertise, site).await;
        bench.report(&sites, Stage::Advertise, &message).await;
    }
    assert_eq!(bench.open().await.1, Stage::Advertise);
    withdraw(&mut bench, 0, BOB, Cause::Budget).await;
    assert_eq!(bench.open().await.1, Stage::Share);
}

#[tokio::test]
async fn an_abandoned_round_says_who_withdrew_and_why() {
    let mut bench = Bench::new(&draft());
    for site in [BOB, SiteId(2)] {
        withdraw(&mut bench, 0, site, Cause::Budget).await;
    }
    bench
        .play(&Gone::from(
            [1, 2].map(|site| (SiteId(site), Stage::Advertise)),
        ))
        .await;
    let abandoned = bench.progress().await.rounds[0].abandoned.clone().unwrap();
    for site in [BOB, SiteId(2)] {
        let name = &bench.kit.study.member(site).unwrap().name;
        let why = format!("; {name} withdrew: its privacy budget does not cover the round");
        assert!(abandoned.contains(&why), "{abandoned}");
    }
    assert_eq!(
        bench.progress().await.withdrawn.len(),
        2,
        "nobody came back"
    );
}

#[tokio::test]
async fn a_site_that_sends_something_is_back() {
    let mut bench = Bench::new(&draft());
    withdraw(&mut bench, 0, BOB, Cause::Failure).await;
    let kit = Arc::clone(&bench.kit);
    let mut sites = Sites::of(&kit, &bench.open().await.0);
    let message = bench.message(&mut sites, Stage::Advertise, BOB).await;
    bench.report(&sites, Stage::Advertise, &message).await;
    assert_eq!(bench.progress().await.withdrawn, []);
    bench.kill();
    assert_eq!(bench.progress().await.withdrawn, []);
    // Waited for again.
    for stage in [Stage::Advertise, Stage::Share] {
        for site in [SiteId(0), SiteId(2)] {
            let message = bench.message(&mut sites, stage, site).await;
            bench.report(&sites, stage, &message).await;
        }
        bench.wait(Duration::ZERO).await;
        assert_eq!(bench.open().await.1, Stage::Share);
    }
    bench.wait(TIMES.others).await;
    assert_eq!(bench.open().await.2, [SiteId(0), SiteId(2)]);
}

#[tokio::test]
async fn nobody_withdraws_for_another_or_from_another_round() {
    let mut bench = Bench::new(&draft());
    let honest = signed(&bench, 0, BOB, Cause::Budget);
    let as_another = Withdrawal {
        site: SiteId(0),
        ..honest.clone()
    };
    let of_nobody = Withdrawal {
        site: SiteId(9),
        ..honest.clone()
    };
    let other_cause = Withdrawal {
        cause: Cause::Failure,
        ..honest.clone()
    };
    for forged in [as_another, of_nobody, other_cause] {
        post(&mut bench, &forged).await.is(403, "bad-signature");
    }
    let later = signed(&bench, 1, BOB, Cause::Budget);
    post(&mut bench, &later).await.is(404, "unknown-round");
    bench
        .post("withdraw", b"\x84".to_vec())
        .await
        .is(400, "malformed-message");
    bench
        .post("withdraw", vec![0; 1_000])
        .await
        .is(413, "body-too-large");
    assert_eq!(bench.progress().await.withdrawn, []);

    // Twice is once; and once the round is over, it cannot be said again in the site's name.
    for _ in 0..2 {
        let answer = post(&mut bench, &honest).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(
        bench.progress().await.withdrawn,
        bob(&bench, 0, Cause::Budget)
    );
    bench.play(&Gone::new()).await;
    assert_eq!(bench.progress().await.withdrawn, [], "it took part");
    post(&mut bench, &honest).await.is(410, "round-over");
}
