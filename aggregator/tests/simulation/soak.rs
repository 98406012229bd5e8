//! Fresh seeds until a time is over: `cargo xtask soak`.

use std::time::Instant;

use crate::setting::Size;
use crate::trial::Trial;
use crate::world::Outcome;

/// Of so many trials one is of many sites, and one of long vectors.
const RARE: u64 = 500;

#[test]
#[ignore = "runs as long as SOAK_MINUTES says: `cargo xtask soak`"]
fn fresh_seeds_until_the_time_is_over() {
    let start = Instant::now();
    let mut total = Outcome::default();
    let seeds = testkit::soak(|seed| {
        let size = match seed % RARE {
            0 => Size::Crowd,
            1 => Size::Long,
            _ => Size::Small,
        };
        total.add(Trial::draw(size, seed).run());
    });
    let Outcome {
        operations,
        finished,
        abandoned,
        ended,
    } = total;
    eprintln!(
        "seeds {} to {}: {ended} studies came to their end, {finished} rounds finished, {abandoned} abandoned, \
         {operations} operations, {:.0} s",
        seeds.start,
        seeds.end - 1,
        start.elapsed().as_secs_f64()
    );
}
