//! Scripts that nobody thought of: some always, others by the hour in `cargo xtask soak`.

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
#[expect(clippy::print_stderr, reason = "a person waits for it")]
#[ignore = "runs as long as SOAK_MINUTES says: `cargo xtask soak`"]
fn fresh_seeds_until_the_time_is_over() {
    let seeds = testkit::soak(play);
    eprintln!("scripts of seeds {} to {}", seeds.start, seeds.end - 1);
}
