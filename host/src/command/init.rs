//! `host init`

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use host::aggregator::Aggregator;
use host::budget::PatientBudget;
use host::config::{Config, Data};
use host::decisions::Decisions;
use host::vault::{Surroundings, Vault};
use host::{durable, identity};
use participant::patience::Patience;

use super::clock;
use super::vault_key::{self, VaultKey};

/// Makes a new site: a configuration, an identity key, and a key for its secrets
#[derive(Args, Debug)]
pub(crate) struct Init {
    /// The site's folder; it is made where it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The site's name, as the study's roster will have it
    #[arg(long, value_name = "NAME")]
    site: String,
    /// The base URL of the aggregator
    #[arg(long, value_name = "URL")]
    aggregator: String,
    /// The folder of the site's patients: the root of a MEDS data set, or events.parquet, labels.parquet and, if it is
    /// there, splits.parquet
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Which labels, where the data set has several tasks
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// The most that may be learned of one patient, over all studies and for good
    #[arg(long, value_name = "BUDGET", value_enum, default_value_t)]
    patient_budget: FirstBudget,
    #[command(flatten)]
    key: VaultKey,
}

/// The patient budget of a new site.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum FirstBudget {
    /// ε 3 at δ 0.00001; a higher one is a decision of its own (`host budget raise`)
    #[default]
    Default,
    /// No limit: for experiments alone
    None,
}

impl FirstBudget {
    fn budget(self) -> PatientBudget {
        match self {
            Self::Default => PatientBudget::of_new_site(),
            Self::None => PatientBudget::None,
        }
    }
}

impl Init {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<()> {
        // Refused now rather than at the first run.
        Aggregator::new(&self.aggregator, None, Patience::SHORT)?;
        durable::create_folder(&self.folder)?;
        let config = self.folder.join("host.toml");
        let budget = self.patient_budget.budget();
        let key = self.key.source();
        let text = Config::template(&self.site, &self.aggregator, &self.data()?, &key, budget);
        durable::create_new(&config, text.as_bytes())?;
        let identity = identity::create(&self.folder.join("identity.key"))?;
        writeln!(out, "config    {}", config.display())?;
        writeln!(out, "identity  {}", identity.key())?;
        let written = Config::parse(&config, &text)?;
        Vault::make(&written.vault, &Surroundings::of_process())
            .context("the vault is not made: `host vault init` makes it, then record the budget with `host budget record`")?;
        writeln!(out, "vault     {}", vault_key::advice(&written.vault.key))?;
        Decisions::first(
            &written.state,
            budget,
            "the budget of a new site",
            clock::now(),
        )?;
        writeln!(
            out,
            "budget    {budget} for each patient, over all studies and for good"
        )?;
        writeln!(
            out,
            "next      put the patients where [data] in host.toml says, then `host enrol`"
        )?;
        Ok(())
    }

    /// The files as the configuration names them: relative to its folder, or absolute.
    fn data(&self) -> Result<Data> {
        let inside = self.folder.join(&self.data);
        let folder = if inside.exists() || !self.data.exists() {
            self.data.clone()
        } else {
            self.data
                .canonicalize()
                .with_context(|| format!("finding {}", self.data.display()))?
        };
        Ok(Data::in_folder(&folder).with_task(self.task.clone()))
    }
}
