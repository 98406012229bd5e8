//! `host forget`

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;
use host::config::Config;
use host::pin::Approved;
use host::reporter::Reporter;
use host::retention::{Before, Forgetting, Item, Round, What};

use super::{clock, run};

/// Removes recorded rounds, states and prepared patients that were kept long enough; the ledger stays
#[derive(Args, Debug)]
pub(crate) struct Forget {
    /// All that was last written before this day (UTC), as 2026-11-23 [default: as \[retention\] in host.toml says]
    #[arg(long, value_name = "DATE", conflicts_with = "round")]
    before: Option<String>,
    /// One round of the approved study
    #[arg(long, value_name = "NUMBER")]
    round: Option<u32>,
    /// Only say what would be forgotten
    #[arg(long)]
    dry_run: bool,
}

impl Forget {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        let config = Config::read(config)?;
        // To read a journal is to drop a record that was cut short: nobody may be writing one.
        let _lock = run::lock(&config.state)?;
        let forgetting = self.choose(&config)?;
        for kept in &forgetting.kept {
            writeln!(out, "kept       {}: {}", kept.round, kept.because)?;
        }
        let items = forgetting.items.clone();
        if !self.dry_run {
            forgetting.carry_out(clock::now())?;
        }
        let verb = if self.dry_run {
            "would go"
        } else {
            "forgotten"
        };
        for item in &items {
            describe(item, verb, out)?;
        }
        if items.is_empty() {
            writeln!(out, "nothing is old enough to be forgotten")?;
        }
        Ok(())
    }

    fn choose(&self, config: &Config) -> Result<Forgetting> {
        if let Some(number) = self.round {
            let study = Approved::load(&config.state)?.study.digest();
            return Ok(Forgetting::one(&config.state, Round { study, number })?);
        }
        let before = match &self.before {
            Some(day) => Some(Before::all(clock::day(day)?)),
            None => config.retention.at(clock::now()),
        };
        let Some(before) = before else {
            bail!(
                "nothing says what to forget: set days under [retention] in host.toml, or name a day (--before) or a round \
                 (--round)"
            );
        };
        Ok(Forgetting::older(&config.state, before)?)
    }
}

/// Forgets what `[retention]` says is old enough; for a site that nobody else is working on.
pub(super) fn by_age(config: &Config, reporter: &Reporter) -> Result<()> {
    let now = clock::now();
    let Some(before) = config.retention.at(now) else {
        return Ok(());
    };
    let forgetting = Forgetting::older(&config.state, before)?;
    let count = forgetting.items.len();
    forgetting.carry_out(now)?;
    if count > 0 {
        reporter.note(&format!(
            "{count} recorded rounds, states or cohorts were kept long enough and are forgotten: state/forgotten.jsonl lists them"
        ));
    }
    Ok(())
}

fn describe(item: &Item, verb: &str, out: &mut dyn Write) -> Result<()> {
    match &item.what {
        What::Round { study, round, .. } => {
            writeln!(
                out,
                "{verb:9}  round {round} of study {study}, with its seed"
            )?;
        }
        What::State { study, round } => writeln!(
            out,
            "{verb:9}  the state that round {round} of study {study} started from"
        )?,
        What::Cohort { cohort } => writeln!(out, "{verb:9}  prepared patients {cohort}")?,
    }
    for round in &item.replays {
        writeln!(out, "           {round} can no longer be replayed")?;
    }
    Ok(())
}
