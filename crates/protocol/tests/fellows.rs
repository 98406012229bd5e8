//! What a study promises against fellow hospitals, and of how many dishonest ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use protocol::id::Purpose;
use protocol::study::{Study, Survivors};
use testkit::{Draft, Random};

fn study(sites: u16, threshold: u16, honest_survivors: u16, excess_noise: &'static str) -> Study {
    let toml = Draft {
        sites,
        threshold,
        honest_survivors,
        excess_noise,
        epsilon: 1.0,
        fraction_bits: 18,
        patients_per_site: 100,
        ..Draft::default()
    }
    .toml();
    Study::parse(toml.replace("delta = 1e-6", "delta = 1e-5").as_bytes()).unwrap()
}

fn against(study: &Study, fellows: u16) -> [String; 2] {
    [Survivors::All, Survivors::Fewest]
        .map(|survivors| format!("{:.2}", study.epsilon_against(fellows, survivors)))
}

#[test]
fn a_fellow_that_knows_its_own_noise_faces_what_is_left() {
    let three = study(3, 2, 2, "removed");
    assert_eq!(against(&three, 1), ["1.25", "1.46"]);
    assert_eq!(against(&three, 0), ["1.00", "1.00"]);
    // Two of three know all noise but one hospital's: a third of the variance.
    assert!(three.epsilon_against(2, Survivors::All) > 1.8);
    assert_eq!(against(&three, 2)[1], "1.46");
    let all = study(3, 3, 2, "removed");
    for survivors in [Survivors::All, Survivors::Fewest] {
        assert!((all.epsilon_against(1, survivors) - 1.0).abs() <= 0.0);
    }
    // Kept noise: with all three of 1/2 each, a fellow leaves exactly the promise.
    let kept = study(3, 2, 2, "kept");
    assert_eq!(against(&kept, 1), ["1.00", "1.46"]);
}

#[test]
fn nothing_is_promised_against_fellows_without_noise() {
    let study = Draft::default().make().study;
    assert!(study.epsilon_against(1, Survivors::All).is_infinite());
}

#[test]
fn a_hospitals_own_noised_steps_hold_against_all_others() {
    let averaging = "algorithm.averaging = { steps = 5, batch = \"all\", weighting = \"sites\", change-norm = 1.0, \
                     optimizer.momentum = { rate = 0.1, momentum = 0.0 } }";
    let gradient = "algorithm.gradient = { batch = \"all\" }";
    let draft = Draft {
        epsilon: 1.0,
        fraction_bits: 16,
        ..Draft::default()
    };
    let [pooled, alone] = [draft.toml(), draft.toml().replace(gradient, averaging)]
        .map(|toml| Study::parse(toml.as_bytes()).unwrap())
        .map(|study| study.epsilon_against(4, Survivors::Fewest));
    // Only the shared metrics, a tenth of the budget, are weaker.
    assert!(alone < 1.2 && pooled > 1.2, "{alone} {pooled}");
}

#[test]
fn a_study_tolerates_the_lesser_of_noise_and_agreement() {
    for (sites, threshold, honest, want) in [
        (3, 2, 2, 0),
        (3, 2, 1, 0),
        (3, 3, 2, 1),
        (5, 4, 3, 1),
        (5, 4, 1, 2),
        (10, 7, 6, 1),
    ] {
        let study = study(sites, threshold, honest, "removed");
        assert_eq!(
            study.manifest().tolerates(),
            want,
            "{sites} {threshold} {honest}"
        );
        assert_eq!(study.manifest().tolerates_in_roster(), want);
    }
}

#[test]
fn a_roster_may_hold_no_more_dishonest_sites_than_draws_keep_apart() {
    let drawn = |some: u16| {
        let draft = Draft {
            sites: 30,
            threshold: 25,
            honest_survivors: 5,
            rounds: 100,
            random: Some(Random {
                sites: some,
                threshold: some,
            }),
            ..Draft::default()
        };
        draft.make().study
    };
    let study = drawn(12);
    let crowd = study.manifest().crowd(Purpose::Train);
    assert_eq!(crowd.tolerates(), 7);
    // With 8 dishonest ones, all 8 are among the 12 in C(22, 4) of C(30, 12) draws: a chance of 8e-5.
    assert_eq!(study.manifest().tolerates_in_roster(), 7);
    assert_eq!(drawn(10).manifest().tolerates_in_roster(), 5);
}
