//! `host replay`

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;
use host::compiled::Compiled;
use host::config::Config;
use host::journal::Journal;
use host::patients::Cohorts;
use host::pin::Approved;
use host::reporter::Reporter;
use host::retention::{Forgotten, Round};
use host::sandbox::Sandbox;
use host::{replay, round};

use super::clock;
use super::site::Limits;

/// Runs a recorded round again, and compares what was sent with what the module computes
#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// The round's number
    #[arg(value_name = "ROUND")]
    number: u32,
    #[command(flatten)]
    limits: Limits,
}

impl Replay {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        let config = Config::read(config)?;
        let approved = Approved::load(&config.state)?;
        let folder = round::folder(&approved.rounds(), self.number);
        let round = Round {
            study: approved.study.digest(),
            number: self.number,
        };
        let forgotten = Forgotten::read(&config.state)?;
        let Some(journal) = Journal::open(&folder)? else {
            refuse("the record of", round, forgotten.round(round))?;
            bail!(
                "this site took no part in round {} of the approved study",
                self.number
            );
        };
        let opened = journal.opened();
        let sandbox = Sandbox::load_approved(
            &approved.module,
            opened.module,
            self.limits.allowance(Some(&config)),
            &Compiled::Anew,
        )?;
        let patients = Cohorts::under(&config.state).named(opened.cohort);
        let cohort = patients.or_else(|error| {
            refuse("the patients of", round, forgotten.cohort(opened.cohort))?;
            Err(anyhow::Error::from(error))
        })?;
        let state = Journal::state(&folder, &opened.header).or_else(|error| {
            refuse("the state before", round, forgotten.state_of(round))?;
            Err(anyhow::Error::from(error))
        })?;
        let reporter = Reporter::of_terminal();
        reporter.round(&opened.header);
        let mut progress = |progress| reporter.work(progress);
        let comparisons = replay::replay(
            &sandbox,
            &approved.text,
            approved.weights.as_deref(),
            &cohort,
            &state,
            &journal,
            &mut progress,
        )?;
        reporter.clear();
        for comparison in &comparisons {
            let verdict = if comparison.is_identical() {
                "identical"
            } else {
                "DIFFERS"
            };
            writeln!(
                out,
                "{:9}  {:>9} bytes  {}  {verdict}",
                comparison.stage.name(),
                comparison.bytes,
                comparison.sent
            )?;
            if let Some(commitment) = comparison.commitment {
                writeln!(
                    out,
                    "           commitment to patients, state and seed: {commitment}"
                )?;
            }
        }
        if comparisons.iter().all(replay::Comparison::is_identical) {
            writeln!(
                out,
                "round {}: all {} messages are what the module computes",
                self.number,
                comparisons.len()
            )?;
            return Ok(());
        }
        bail!(
            "round {}: what was sent is not what the module computes",
            self.number
        )
    }
}

/// Refuses to replay without what was forgotten, if it was.
fn refuse(what: &str, round: Round, forgotten: Option<u64>) -> Result<()> {
    let Some(at) = forgotten else { return Ok(()) };
    bail!(
        "{what} {round} was forgotten on {} (UTC), by `host forget`: it can no longer be replayed; the ledger still says \
         what the round cost",
        clock::date(at)
    )
}
