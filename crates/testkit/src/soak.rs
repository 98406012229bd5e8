//! Fresh seeds until a time is over: `cargo xtask soak`.

use std::ops::Range;
use std::time::{Duration, Instant};

/// Calls `play` with one seed after the other, from `SOAK_SEED` on, for `SOAK_MINUTES`; gives the seeds that it played.
///
/// # Panics
///
/// Without these two variables, which `cargo xtask soak` sets.
pub fn soak(mut play: impl FnMut(u64)) -> Range<u64> {
    let (first, time) = (
        number("SOAK_SEED"),
        Duration::from_secs(60 * number("SOAK_MINUTES")),
    );
    let (start, mut seed) = (Instant::now(), first);
    while start.elapsed() < time {
        play(seed);
        seed += 1;
    }
    first..seed
}

fn number(name: &str) -> u64 {
    let text = std::env::var(name).expect("`cargo xtask soak` sets it");
    text.parse().expect("it is a number")
}
