//! Whole rounds of secure aggregation in one process and one thread: what a site and the aggregator spend.
//!
//! `cargo xtask bench secagg` runs this; each line is a figure in JSON. Nothing is sent, and no disk is written. Every
//! site is real: the aggregator gets from each what it would get from a hospital.
//!
//! Arguments: `rounds` (the default), `many` (rounds of up to 1,000 sites and 10 million weights, which take minutes
//! each), `kernels` (the loops under a round beside the machine's memory bandwidth and the `chacha20` crate).
#![expect(clippy::print_stdout, reason = "a benchmark reports")]

mod heap;
mod kernels;
mod round;

use serde_json::json;

use self::heap::Heap;
use self::round::{Size, Spent};

#[global_allocator]
static HEAP: Heap = Heap::new();

fn main() {
    match std::env::args().find(|argument| PARTS.contains(&argument.as_str())) {
        Some(part) if part == "kernels" => kernels::measure(),
        Some(part) if part == "many" => many(),
        _ => rounds(),
    }
}

const PARTS: [&str; 3] = ["rounds", "many", "kernels"];

fn rounds() {
    for parameters in [20_000, 200_000, 1_000_000] {
        for (sites, dropped) in [
            (5, 0),
            (5, 1),
            (10, 0),
            (10, 1),
            (20, 0),
            (20, 2),
            (100, 0),
            (100, 10),
        ] {
            let entries = u64::from(sites) * u64::from(sites) * u64::from(parameters);
            let repeats = if entries > 1 << 30 { 1 } else { 5 };
            report(
                Size {
                    sites,
                    dropped,
                    parameters,
                },
                repeats,
            );
        }
    }
    for dropped in [0, 1] {
        report(
            Size {
                sites: 5,
                dropped,
                parameters: 10_000_000,
            },
            1,
        );
    }
}

/// Rounds that take long; a thousand sites with ten million weights are more than memory holds.
fn many() {
    for (sites, dropped, parameters) in [
        (20, 0, 10_000_000),
        (20, 2, 10_000_000),
        (100, 0, 10_000_000),
        (100, 10, 10_000_000),
        (1_000, 0, 20_000),
        (1_000, 100, 20_000),
        (1_000, 0, 200_000),
        (1_000, 100, 200_000),
        (1_000, 0, 1_000_000),
        (1_000, 100, 1_000_000),
    ] {
        let size = Size {
            sites,
            dropped,
            parameters,
        };
        report(size, 1);
    }
}

/// The best of some rounds.
fn report(size: Size, repeats: usize) {
    let mut best = round::play(size);
    for _ in 1..repeats {
        best.keep(&round::play(size));
    }
    let Size {
        sites,
        dropped,
        parameters,
    } = size;
    let Spent {
        site,
        site_masking,
        aggregator,
        unmasking,
        up,
        down,
        memory,
        ..
    } = best;
    println!(
        "{}",
        json!({
            "name": format!("secure aggregation, n = {sites}, {dropped} dropped, d = {parameters}"),
            "sites": sites,
            "dropped": dropped,
            "parameters": parameters,
            "bits": best.bits,
            "site_seconds": site.as_secs_f64(),
            "site_masking_seconds": site_masking.as_secs_f64(),
            "server_seconds": aggregator.as_secs_f64(),
            "server_unmasking_seconds": unmasking.as_secs_f64(),
            "server_peak_bytes": memory,
            "bytes_up": up,
            "bytes_down": down,
        })
    );
}
