//! `cargo xtask soak`: the simulation of whole rounds on fresh seeds, until the time is over.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Args;

use crate::shell::{cargo, run};

/// Options of `cargo xtask soak`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Minutes that it runs
    #[arg(long)]
    minutes: u64,
    /// The first seed; the time of day where none is given
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs simulations; the first that fails ends it, and is told with its seed and operations.
pub(crate) fn run_command(arguments: &Arguments) -> Result<()> {
    let seed = arguments.seed.map_or_else(seconds, Ok)?;
    let mut soak = cargo();
    // The whole workspace: with other packages chosen, dependencies would be built again with other features.
    soak.args(["test", "--locked", "--workspace", "--test", "simulation"])
        .args(["--", "--ignored", "--nocapture", "--exact"])
        .arg("soak::fresh_seeds_until_the_time_is_over")
        .env("SOAK_SEED", seed.to_string())
        .env("SOAK_MINUTES", arguments.minutes.to_string());
    run(&mut soak)
}

/// Seconds since 1970: seeds that were not tried before.
#[expect(clippy::disallowed_methods, reason = "the driver is an edge")]
fn seconds() -> Result<u64> {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970; give --seed")?;
    Ok(elapsed.as_secs())
}
