//! A whole study, and what it publishes.

use axum::http::StatusCode;
use protocol::api::{Count, Figure, Stage, Status};
use protocol::codec;
use protocol::door::State;
use protocol::id::{Digest, Purpose};
use testkit::Draft;

use crate::bench::{Bench, Gone, draft};

#[tokio::test]
async fn a_study_runs_from_its_first_round_to_a_published_model() {
    let mut bench = Bench::new(&draft());
    for _ in bench.kit.study.plan() {
        bench.play(&Gone::new()).await;
    }
    let Status::Finished { state: digest } = bench.view().await.status else {
        panic!("rounds are left")
    };
    let progress = bench.progress().await;
    assert_eq!(
        (progress.model, progress.stage, progress.planned),
        (Some(digest), None, 3)
    );

    let step = &progress.rounds[1];
    assert_eq!(
        (step.number, step.purpose, step.abandoned.as_deref()),
        (1, Purpose::Train, None)
    );
    assert_eq!(step.survivors, ["Hospital 0", "Hospital 1", "Hospital 2"]);
    let exact = |value| Count {
        value,
        deviation: 0.0,
    };
    assert_eq!(step.patients, Some(exact(60.0)));
    // The gradient of the first weight is 1/2 a patient.
    let norm = step.update_norm.as_ref().and_then(Figure::shown).unwrap();
    assert!((norm.value - 0.5).abs() < 1e-12 && norm.high <= norm.low);
    let metrics = progress.rounds[2].metrics.as_ref().unwrap();
    let accuracy = metrics.accuracy.as_ref().and_then(Figure::shown).unwrap();
    assert!((accuracy.value - 0.8).abs() < 1e-12 && accuracy.high <= accuracy.low);
    assert_eq!(metrics.confusion[0], [48.0, 12.0, 0.0].map(exact));
    assert_eq!((progress.stopped, progress.warnings), (None, Vec::new()));

    let answer = bench.get(&format!("states/{digest}")).await;
    assert_eq!(Digest::of(&answer.body), digest);
    let state: State = codec::decode(&answer.body).unwrap();
    // Momentum .9, rate .5: .5·.5, then .5·(.9·.5 + .5).
    assert_eq!(state.offset, [-0.25 - 0.475, 0.0, 0.0]);
    assert!(state.normalisation.is_empty());
}

#[tokio::test]
async fn each_round_starts_from_the_state_that_the_one_before_made() {
    let mut bench = Bench::new(&draft());
    let mut states = Vec::new();
    for _ in bench.kit.study.plan() {
        let (header, ..) = bench.open().await;
        let answer = bench.get(&format!("states/{}", header.state)).await;
        assert_eq!(Digest::of(&answer.body), header.state);
        states.push(header.state);
        bench.play(&Gone::new()).await;
    }
    assert_ne!(states[0], states[1]);
    // The last evaluation is of the very state that is published.
    assert_eq!(
        bench.view().await.status,
        Status::Finished { state: states[2] }
    );
    bench
        .get(&format!("states/{}", states[0]))
        .await
        .is(404, "unknown-state");
}

#[tokio::test]
async fn a_round_of_moments_gives_all_sites_the_same_normalisation() {
    let mut bench = Bench::new(&Draft {
        normalisation: "shared",
        ..draft()
    });
    let (header, stage, waiting) = bench.open().await;
    assert_eq!(
        (header.purpose, stage, waiting.len()),
        (Purpose::Moments, Stage::Advertise, 3)
    );
    bench.play(&Gone::new()).await;
    let (header, ..) = bench.open().await;
    assert_eq!((header.number, header.purpose), (1, Purpose::Train));
    let answer = bench.get(&format!("states/{}", header.state)).await;
    let state: State = codec::decode(&answer.body).unwrap();
    let heart_rate = state.normalisation[0];
    // 60 patients, half at 20 and half at 250.
    assert!((heart_rate.mean - 135.0).abs() < 1e-9);
    assert!((heart_rate.sd - 115.0 * (60.0_f64 / 59.0).sqrt()).abs() < 1e-9);
}

#[tokio::test]
async fn the_study_is_served_byte_for_byte() {
    let mut bench = Bench::new(&draft());
    let answer = bench.get("study").await;
    assert_eq!(
        (answer.status, answer.content_type.as_str()),
        (StatusCode::OK, "application/toml")
    );
    assert_eq!(answer.body, bench.kit.toml.as_bytes());
    assert_eq!(bench.get("health").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn with_noise_the_number_of_patients_is_a_mean_over_rounds() {
    let mut bench = Bench::new(&Draft {
        epsilon: 5.0,
        rounds: 3,
        ..draft()
    });
    for _ in 0..3 {
        bench.play(&Gone::new()).await;
    }
    let progress = bench.progress().await;
    // These sites add no noise, so the mean is the number itself.
    assert!(
        progress
            .rounds
            .iter()
            .all(|round| round.patients.map(|count| count.value) == Some(60.0))
    );
    assert!(
        progress
            .rounds
            .iter()
            .filter_map(|round| round.update_norm.as_ref()?.shown())
            .all(|norm| norm.low <= 0.5 && norm.value <= 0.501)
    );
}
