//! Scripts that nobody thought of: some always, others by the hour in `cargo xtask soak`.

use std::time::{Duration, Instant};

use crate::checks::{performed, report, violations};
use crate::draw;
use crate::patients::Hospital;

/// Plays the script of a seed to two hospitals that differ in their patients alone.
fn play(seed: u64) {
    let script = draw::script(seed);
    let [usual, odd] = [Hospital::Usual, Hospital::Odd].map(|hospital| {
        let record = performed(&script, hospital);
        let found = violations(&script, &record);
        assert!(
            found.is_empty(),
            "seed {seed} at {hospital:?}: {}",
            report(&script, &record, &found)
        );
        record.seen()
    });
    assert_eq!(usual, odd, "seed {seed}: {script:#?}");
}

#[test]
fn no_script_of_a_few_seeds_breaks_a_promise() {
    for seed in 1..=6 {
        play(seed);
    }
}

#[test]
#[ignore = "runs as long as SOAK_MINUTES says: `cargo xtask soak`"]
fn fresh_seeds_until_the_time_is_over() {
    let number = |name: &str| -> u64 {
        let text = std::env::var(name).expect("`cargo xtask soak` sets it");
        text.parse().expect("it is a number")
    };
    let (first, time) = (
        number("SOAK_SEED"),
        Duration::from_secs(60 * number("SOAK_MINUTES")),
    );
    let (start, mut seed) = (Instant::now(), first);
    while start.elapsed() < time {
        play(seed);
        seed += 1;
    }
    eprintln!("scripts of seeds {first} to {}", seed - 1);
}
