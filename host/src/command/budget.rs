//! `host budget`

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use host::budget::PatientBudget;
use host::config::Config;
use host::decisions::{self, Decision, Decisions};
use host::durable;
use privacy::{Delta, Epsilon};
use toml_edit::{DocumentMut, Item, Table, value};

use super::clock;

/// The most that may be learned of one patient over all studies, and who decided so
#[derive(Debug, Subcommand)]
pub(crate) enum Budget {
    Show(Show),
    Raise(Raise),
    Record(Record),
}

/// Shows the budget in force, and all decisions that led to it
#[derive(Args, Debug)]
pub(crate) struct Show {}

/// Records that from now on more may be learned, and writes it into host.toml
#[derive(Args, Debug)]
pub(crate) struct Raise {
    /// The new limit of ε
    #[arg(long, required_unless_present = "none")]
    epsilon: Option<f64>,
    /// The δ at which ε is counted [default: as before]
    #[arg(long, requires = "epsilon")]
    delta: Option<f64>,
    /// No limit: for experiments alone
    #[arg(long, conflicts_with = "epsilon")]
    none: bool,
    /// Who decided it, and why
    #[arg(long)]
    reason: String,
}

/// Records what host.toml says, at a site that has never recorded a budget
#[derive(Args, Debug)]
pub(crate) struct Record {
    /// Who decided it, and why
    #[arg(long)]
    reason: String,
}

impl Budget {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        match self {
            Self::Show(_) => show(config, out),
            Self::Raise(raise) => raise.run(config, out),
            Self::Record(record) => record.run(config, out),
        }
    }
}

impl Raise {
    fn run(&self, path: &Path, out: &mut dyn Write) -> Result<()> {
        let config = Config::read(path)?;
        let to = self.budget(Decisions::read(&config.state)?.last().to)?;
        let text = with_budget(path, to)?;
        let decisions = Decisions::raise(&config.state, to, &self.reason, clock::now())?;
        // Recorded first: a crash in between leaves the lower budget in force.
        durable::replace(path, text.as_bytes())?;
        recorded(&decisions, out)
    }

    fn budget(&self, before: PatientBudget) -> Result<PatientBudget> {
        let Some(epsilon) = self.epsilon else {
            return Ok(PatientBudget::None);
        };
        let delta = match (self.delta, before.limit()) {
            (Some(delta), _) => Delta::try_from(delta).context("--delta")?,
            (None, Some(budget)) => budget.delta,
            (None, None) => bail!("no budget is decided whose δ could stay: name one with --delta"),
        };
        Ok(PatientBudget::Limit(privacy::Budget {
            epsilon: Epsilon::try_from(epsilon).context("--epsilon")?,
            delta,
        }))
    }
}

impl Record {
    fn run(&self, path: &Path, out: &mut dyn Write) -> Result<()> {
        let config = Config::read(path)?;
        let decisions = Decisions::first(
            &config.state,
            config.patient_budget,
            &self.reason,
            clock::now(),
        )?;
        recorded(&decisions, out)
    }
}

fn recorded(decisions: &Decisions, out: &mut dyn Write) -> Result<()> {
    line(decisions.last(), out)?;
    writeln!(
        out,
        "recorded, with digest {}; a host that runs takes it at its next start",
        decisions.digest()
    )?;
    Ok(())
}

fn show(path: &Path, out: &mut dyn Write) -> Result<()> {
    let config = Config::read(path)?;
    let decisions = Decisions::read(&config.state)?;
    for decision in decisions.all() {
        line(decision, out)?;
    }
    writeln!(out, "digest of the last line {}", decisions.digest())?;
    decisions::budget_in_force(&config)?;
    writeln!(out, "in force: {}", config.patient_budget)?;
    Ok(())
}

fn line(decision: &Decision, out: &mut dyn Write) -> Result<()> {
    let from = decision
        .from
        .map_or_else(String::new, |from| format!("{from} → "));
    writeln!(
        out,
        "{} (UTC)  {from}{}: {}",
        clock::date(decision.at),
        decision.to,
        // What a person typed is shown, never obeyed.
        decision.reason.replace(char::is_control, " ")
    )?;
    Ok(())
}

/// The text of host.toml with this budget, and all else as it is.
fn with_budget(path: &Path, budget: PatientBudget) -> Result<String> {
    const NAME: &str = "patient-budget";
    let text = String::from_utf8(durable::read(path)?)
        .with_context(|| format!("{} is not UTF-8", path.display()))?;
    let mut file: DocumentMut = text
        .parse()
        .with_context(|| format!("{} is not a configuration", path.display()))?;
    match (
        budget.limit(),
        file.get_mut(NAME).and_then(Item::as_table_like_mut),
    ) {
        (Some(budget), Some(table)) => {
            table.insert("epsilon", value(budget.epsilon.get()));
            table.insert("delta", value(budget.delta.get()));
        }
        (Some(budget), None) => {
            file.remove(NAME);
            let mut table = Table::new();
            table.insert("epsilon", value(budget.epsilon.get()));
            table.insert("delta", value(budget.delta.get()));
            file.insert(NAME, Item::Table(table));
        }
        (None, _) => {
            file.remove(NAME);
            file.insert(NAME, value("none"));
        }
    }
    let text = file.to_string();
    Config::parse(path, &text)?;
    Ok(text)
}
