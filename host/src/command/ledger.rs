//! `host ledger`

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use host::config::Config;
use host::ledger;
use host::pin::Approved;
use privacy::{Delta, Total};

use super::clock;

/// Shows what this site has released of its patients, and what that adds up to
#[derive(Args, Debug)]
pub(crate) struct Ledger {
    /// The δ at which ε is counted [default: that of the patient budget, or of the approved study, or 1e-6]
    #[arg(long)]
    delta: Option<f64>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Carries over the ledger that an older version wrote
    Upgrade,
}

impl Ledger {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        let config = Config::read(config)?;
        match self.action {
            None => self.show(&config, out),
            Some(Action::Upgrade) => {
                let lines = ledger::upgrade(&config.state)?;
                writeln!(out, "{lines} releases were carried over")?;
                Ok(())
            }
        }
    }

    fn show(&self, config: &Config, out: &mut dyn Write) -> Result<()> {
        let Some(ledger) = ledger::read(&config.state, config.patient_budget)? else {
            writeln!(out, "nothing was released")?;
            return Ok(());
        };
        let delta = self.delta(config)?;
        writeln!(
            out,
            "{:16}  {:>5}  {:>5}  {:9}  {:>9}  {:>9}  study",
            "charged (UTC)", "round", "place", "purpose", "ε alone", "ε so far"
        )?;
        let mut so_far = Total::ZERO;
        for line in ledger.lines() {
            so_far = so_far.and(line.loss);
            let place = line
                .round
                .map_or_else(|| "-".to_owned(), |round| round.place.to_string());
            writeln!(
                out,
                "{:16}  {:>5}  {place:>5}  {:9}  {:>9}  {:>9}  {} {}",
                clock::date(line.charged_at),
                line.number,
                line.purpose.to_string(),
                epsilon(&Total::of([line.loss]), delta),
                epsilon(&so_far, delta),
                &line.study.to_string()[..12],
                line.title
            )?;
        }
        writeln!(
            out,
            "{} releases; all together ε {} at δ {delta}",
            ledger.lines().len(),
            epsilon(&ledger.total(), delta)
        )?;
        if let Some(budget) = ledger.budget() {
            writeln!(
                out,
                "patient budget: ε {} at δ {}",
                budget.epsilon, budget.delta
            )?;
        }
        writeln!(out, "ledger {}", ledger.id())?;
        Ok(())
    }

    fn delta(&self, config: &Config) -> Result<Delta> {
        if let Some(delta) = self.delta {
            return Delta::try_from(delta).context("--delta");
        }
        if let Some(budget) = config.patient_budget {
            return Ok(budget.delta);
        }
        let approved = Approved::load(&config.state).ok();
        let delta = approved.map_or(1e-6, |approved| approved.study.manifest().privacy.delta);
        Ok(Delta::try_from(delta)?)
    }
}

fn epsilon(total: &Total, delta: Delta) -> String {
    let epsilon = total.epsilon(delta);
    if epsilon.is_infinite() {
        "infinite".to_owned()
    } else {
        format!("{epsilon:.4}")
    }
}
