//! What several commands need of this site.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use host::aggregator::Aggregator;
use host::compiled::Compiled;
use host::config::{Config, Data, MEMORY_MIB, REQUEST_SECONDS};
use host::disk::Disk;
use host::durable;
use host::patients::{self, Cohort};
use host::pin::{self, Approved};
use host::sandbox::{Allowance, Sandbox};
use participant::patience::Patience;
use protocol::api::Status;
use protocol::door::BadRows;
use protocol::study::Study;

/// What the module may use.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The most memory for the module, in MiB [default: memory-mib of host.toml, or 1024]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(16..=4096))]
    memory_mib: Option<u32>,
    /// The longest time for one request to the module, in seconds [default: request-seconds of host.toml, or 600]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    request_seconds: Option<u32>,
}

impl Limits {
    pub(super) fn allowance(self, config: Option<&Config>) -> Allowance {
        let of_config = |get: fn(&Config) -> u32, default| config.map_or(default, get);
        Allowance {
            memory_mib: self
                .memory_mib
                .unwrap_or_else(|| of_config(|config| config.memory_mib, MEMORY_MIB)),
            request_seconds: self
                .request_seconds
                .unwrap_or_else(|| of_config(|config| config.request_seconds, REQUEST_SECONDS)),
        }
    }
}

/// A study and its module: the approved ones, or two files.
#[derive(Args, Clone, Debug)]
pub(super) struct Choice {
    /// A study file [default: the approved study]
    #[arg(long, value_name = "FILE", requires = "module")]
    study: Option<PathBuf>,
    /// The study's module [default: the approved one]
    #[arg(long, value_name = "FILE", requires = "study")]
    module: Option<PathBuf>,
    /// The public weights that the study names [default: the approved ones]
    #[arg(long, value_name = "FILE", requires = "study")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    limits: Limits,
}

/// A study with its module, ready to run.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) study: Study,
    pub(super) text: Vec<u8>,
    pub(super) weights: Option<Vec<u8>>,
    pub(super) sandbox: Sandbox,
}

impl Choice {
    pub(super) fn load(&self, config: Option<&Config>) -> Result<Chosen> {
        let (text, module, weights) = match (&self.study, &self.module, config) {
            (Some(study), Some(module), _) => (
                durable::read(study)?,
                durable::read(module)?,
                read(self.weights.as_deref())?,
            ),
            (_, _, Some(config)) => {
                let approved = Approved::load(&config.state)?;
                (approved.text, approved.module, approved.weights)
            }
            _ => bail!("name a study and its module (--study, --module), or a site (--config)"),
        };
        let study = Study::parse(&text)?;
        pin::check_weights(&study, weights.as_deref())?;
        let approved = study.manifest().module;
        let sandbox = Sandbox::load_approved(
            &module,
            approved,
            self.limits.allowance(config),
            &Compiled::of_user(),
        )?;
        Ok(Chosen {
            study,
            text,
            weights,
            sandbox,
        })
    }
}

/// The encoded state that `state` names: `published`, or a file.
pub(super) fn state(state: &Path, config: Option<&Config>) -> Result<Vec<u8>> {
    match (state == Path::new("published"), config) {
        (false, _) => Ok(durable::read(state)?),
        (true, Some(config)) => published(config),
        (true, None) => {
            bail!("the published model is the site's aggregator's to give: name a site (--config)")
        }
    }
}

/// The bytes of a file, if one is named.
pub(super) fn read(path: Option<&Path>) -> Result<Option<Vec<u8>>> {
    Ok(path.map(durable::read).transpose()?)
}

/// Whose patients: the site's, or those in folders.
#[derive(Args, Clone, Debug)]
pub(super) struct Patients {
    /// A folder of patients: the root of a MEDS data set, or events.parquet, labels.parquet and, if it is there,
    /// splits.parquet [default: the site's data]
    #[arg(long = "data", value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Which labels, where a data set has several tasks [default: task of host.toml, with the site's data]
    #[arg(long, value_name = "TASK", requires = "folders")]
    task: Option<String>,
    /// Leave out rows that cannot be used, and count them [default: on-bad-rows of host.toml, or stop]
    #[arg(long)]
    drop_bad_rows: bool,
}

impl Patients {
    /// A cohort for each folder.
    pub(super) fn load(&self, chosen: &Chosen, config: Option<&Config>) -> Result<Vec<Cohort>> {
        let of_config = config.map_or(BadRows::Stop, |config| config.bad_rows);
        let bad_rows = if self.drop_bad_rows {
            BadRows::Drop
        } else {
            of_config
        };
        if self.folders.is_empty() {
            let Some(config) = config else {
                bail!("name a folder of patients (--data), or a site (--config)");
            };
            // Prepared patients are kept for all studies in one place.
            let disk = Disk::new(&config.state, &config.state);
            return Ok(vec![patients::get(
                &chosen.sandbox,
                &chosen.text,
                &config.data,
                bad_rows,
                &disk,
            )?]);
        }
        let prepare = |folder: &PathBuf| {
            patients::prepare(
                &chosen.sandbox,
                &chosen.text,
                &Data::in_folder(folder).with_task(self.task.clone()),
                bad_rows,
            )
            .with_context(|| format!("reading the patients in {}", folder.display()))
        };
        self.folders.iter().map(prepare).collect()
    }
}

/// The configuration, where there is one: some commands make do without.
pub(super) fn optional(config: &Path) -> Result<Option<Config>> {
    if config.exists() {
        Ok(Some(Config::read(config)?))
    } else {
        Ok(None)
    }
}

/// The site's aggregator, for a person who is waiting.
pub(super) fn aggregator(config: &Config) -> Result<Aggregator> {
    Ok(Aggregator::trusting(
        &config.aggregator,
        &config.trust,
        Patience::SHORT,
    )?)
}

/// The encoded state that the finished study published.
pub(super) fn published(config: &Config) -> Result<Vec<u8>> {
    let aggregator = aggregator(config)?;
    match aggregator.view(0, Duration::ZERO)?.status {
        Status::Finished { state } => Ok(aggregator.state(state)?),
        Status::Open { header, .. } => bail!(
            "the study is not finished: round {} is open; a published model comes after the last one",
            header.number
        ),
    }
}
