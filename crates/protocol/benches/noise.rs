//! The noise of a sum over that which its study promises, with and without what goes off it.
//!
//! `cargo xtask bench noise` runs this; each line is a figure in JSON. Every figure is measured: the standard deviation of
//! 20,000 entries of a sum, opened in a whole round, over the one that the study's ε asks. It is above 1 by the noise of
//! survivors that are not promised to be honest, and by what stays where a part goes with several survivors.
#![expect(clippy::print_stdout, reason = "a benchmark reports")]

use testkit::{Draft, noise};

fn main() {
    for (sites, threshold, honest) in [
        (3, 2, 2),
        (5, 3, 3),
        (5, 4, 3),
        (10, 7, 7),
        (10, 7, 5),
        (24, 16, 16),
    ] {
        for survivors in threshold..=sites {
            let over = |excess_noise| {
                let draft = Draft {
                    sites,
                    threshold,
                    honest_survivors: honest,
                    excess_noise,
                    parameters: 20_000,
                    epsilon: 1.0,
                    patients_per_site: 100,
                    ..Draft::default()
                };
                noise::excess(&draft, survivors)
            };
            println!(
                "{}",
                serde_json::json!({
                    "name": format!("noise over promised, n = {sites}, t = {threshold}, h = {honest}, {survivors} survive"),
                    "kept": over("kept"),
                    "removed": over("removed"),
                })
            );
        }
    }
}
