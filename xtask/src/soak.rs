//! `cargo xtask soak`: what takes longer than a test may: defences taken out one by one, and random runs on fresh seeds.

mod patch;
mod threats;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::module;
use crate::peer_files;
use crate::shell::{cargo, run, say, target};

/// Options of `cargo xtask soak`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Minutes that it runs, for all checks together; taking defences out is never cut short, and leaves the others a
    /// minute each at the least
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// The first seed; the time of day where none is given
    #[arg(long)]
    seed: Option<u64>,
    /// Run this check alone
    #[arg(long, value_name = "CHECK")]
    only: Option<Check>,
}

/// A check that takes long.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Check {
    /// Each defence of docs/THREATS.md that has a patch is taken out: its test must then fail
    Threats,
    /// Random operations on whole studies in memory
    Simulation,
    /// Random lies of an aggregator to a real host
    Lying,
    /// Odd CSV files of fresh seeds, imported and compared with what pandas reads of them
    Tables,
}

impl Check {
    const ALL: [Self; 4] = [Self::Threats, Self::Simulation, Self::Lying, Self::Tables];
}

/// Runs the checks; the first that fails ends it, and is told with its seed and what was done.
pub(crate) fn run_command(arguments: &Arguments) -> Result<()> {
    let seed = arguments.seed.map_or_else(seconds, Ok)?;
    let start = Instant::now();
    let checks = Check::ALL.into_iter();
    let checks: Vec<Check> = checks
        .filter(|check| arguments.only.is_none_or(|only| only == *check))
        .collect();
    for (place, check) in checks.iter().enumerate() {
        let time = Duration::from_secs(60 * arguments.minutes).saturating_sub(start.elapsed());
        let minutes = share(time, checks.len() - place);
        match check {
            Check::Threats => threats::run_all()?,
            Check::Simulation => until_the_time_is_over("simulation", "soak", seed, minutes)?,
            Check::Lying => {
                module::build(&target().join("module-out"))?;
                run(cargo().args(PROGRAMS))?;
                until_the_time_is_over("lying_aggregator", "random", seed, minutes)?;
            }
            Check::Tables => tables_until_the_time_is_over(seed, minutes)?,
        }
    }
    say("all checks passed");
    Ok(())
}

/// The arguments of cargo that build host and aggregator: as a by-product of their tests, with which they share all that
/// they are made of.
const PROGRAMS: [&str; 8] = [
    "test",
    "--locked",
    "--workspace",
    "--test",
    "it",
    "--test",
    "cli",
    "--no-run",
];

/// Whole minutes for one of so many checks that share a time; at least one.
fn share(time: Duration, checks: usize) -> u64 {
    let checks = u64::try_from(checks).unwrap_or(u64::MAX);
    (time.as_secs() / 60 / checks).max(1)
}

/// Tables of a seed.
const TABLES: u64 = 2_000;

/// Imports tables of a seed, and of the ones after it while there is time.
fn tables_until_the_time_is_over(seed: u64, minutes: u64) -> Result<()> {
    let start = Instant::now();
    for seed in seed.. {
        say(&format!("tables of seed {seed}"));
        let Some((variable, folder)) = peer_files::tables_of(seed, TABLES)? else {
            break;
        };
        let mut test = cargo();
        test.args(["test", "--locked", "--workspace", "--test", "import_peers"]);
        run(test.env(variable, folder))?;
        if start.elapsed() > Duration::from_secs(60 * minutes) {
            break;
        }
    }
    Ok(())
}

/// Runs the test target's test of fresh seeds, which is in its module `module`.
fn until_the_time_is_over(test: &str, module: &str, seed: u64, minutes: u64) -> Result<()> {
    let mut soak = cargo();
    // The whole workspace: with other packages chosen, dependencies would be built again with other features.
    soak.args(["test", "--locked", "--workspace", "--test", test])
        .args(["--", "--ignored", "--nocapture", "--exact"])
        .arg(format!("{module}::fresh_seeds_until_the_time_is_over"))
        .env("SOAK_SEED", seed.to_string())
        .env("SOAK_MINUTES", minutes.to_string());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_share_the_time_and_none_is_left_without() {
        assert_eq!(share(Duration::from_secs(600), 2), 5);
        assert_eq!(share(Duration::from_secs(600), 1), 10);
        assert_eq!(share(Duration::ZERO, 2), 1);
    }
}
