//! What several commands need of this site.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use host::aggregator::Aggregator;
use host::compiled::Compiled;
use host::config::{Config, Data, MEMORY_MIB, REQUEST_SECONDS};
use host::coverage::{self, Verdict};
use host::disk::Disk;
use host::durable;
use host::patients::{self, Cohort};
use host::pin::{self, Approved};
use host::reporter::Reporter;
use host::sandbox::{Allowance, Sandbox, SandboxError};
use participant::patience::Patience;
use protocol::door::{BadRows, Export, Exported, Outcomes, Request, Response};
use protocol::id::Digest;
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
    /// Whether the site's approved study is meant, and no files.
    pub(super) fn is_of_site(&self) -> bool {
        self.study.is_none()
    }

    pub(super) fn load(&self, config: Option<&Config>) -> Result<Chosen> {
        let compiled = Compiled::of_user();
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
        let allowance = self.limits.allowance(config);
        let want = study.manifest().module;
        let sandbox = if self.is_of_site() {
            Sandbox::load_approved(&module, want, allowance, &compiled)?
        } else {
            let sandbox = Sandbox::load(&module, allowance, &compiled)?;
            if sandbox.digest() != want {
                Reporter::of_terminal().note(&other_module(want, sandbox.digest()));
            }
            sandbox
        };
        Ok(Chosen {
            study,
            text,
            weights,
            sandbox,
        })
    }
}

impl Chosen {
    /// All weights of the model that `state` encodes, but for the blocks that `without` names.
    pub(super) fn export(&self, state: &[u8], without: &[String]) -> Result<Exported> {
        let request = Request::Export(Export {
            study: self.text.clone().into(),
            state: state.to_vec().into(),
            weights: self.weights.clone().map(Into::into),
            without: without.to_vec(),
        });
        match self.sandbox.instance()?.ask(&request)? {
            Response::Exported(exported) => Ok(exported),
            _ => Err(SandboxError::OtherAnswer.into()),
        }
    }
}

/// What is said of a module that the study does not name: a person named both files, and nothing leaves the site.
fn other_module(want: Digest, got: Digest) -> String {
    format!(
        "the study names the module with SHA-256 {want}, and the one given has {got}: it is used, since nothing leaves this \
         site, but its figures may differ from those of the study's own module"
    )
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
    /// The zone of the hospital's clocks, such as Europe/Berlin: times that the files keep in UTC become what these clocks showed
    /// [default: zone of host.toml, with the site's data]
    #[arg(long, value_name = "ZONE", requires = "folders")]
    zone: Option<String>,
    /// Leave out rows that cannot be used, and count them [default: on-bad-rows of host.toml, or stop]
    #[arg(long)]
    drop_bad_rows: bool,
    /// Go on although nothing joins, no event is used or a feature has no value: people have looked and know why
    #[arg(long)]
    accept_doubts: bool,
}

impl Patients {
    /// A cohort for each folder. What was read of each is told on `out`.
    ///
    /// # Errors
    ///
    /// Files that cannot be read; and patients of whom people should know something first.
    pub(super) fn load(
        &self,
        chosen: &Chosen,
        config: Option<&Config>,
        out: &mut dyn Write,
    ) -> Result<Vec<Cohort>> {
        self.read(chosen, config, Outcomes::Known, out)
    }

    /// As [`Patients::load`], for predictions alone: all labels, whether the outcome is known or not.
    pub(super) fn candidates(
        &self,
        chosen: &Chosen,
        config: Option<&Config>,
        out: &mut dyn Write,
    ) -> Result<Vec<Cohort>> {
        self.read(chosen, config, Outcomes::Any, out)
    }

    fn read(
        &self,
        chosen: &Chosen,
        config: Option<&Config>,
        outcomes: Outcomes,
        out: &mut dyn Write,
    ) -> Result<Vec<Cohort>> {
        let mut cohorts = Vec::new();
        for source in self.sources(config)? {
            let cohort = source
                .load(chosen, self.bad_rows(config), outcomes, config)
                .with_context(|| format!("reading the patients in {}", source.name()))?;
            write!(out, "{}: ", source.name())?;
            coverage::show(&cohort.report, out)?;
            let doubts = coverage::doubts(&cohort.report);
            coverage::judge(doubts, self.verdict(), out).with_context(|| source.name())?;
            cohorts.push(cohort);
        }
        Ok(cohorts)
    }

    /// Where patients are: the folders that are named, else the site's data.
    pub(super) fn sources(&self, config: Option<&Config>) -> Result<Vec<Source>> {
        let named = self.folders.iter().map(|folder| {
            let data = Data::in_folder(folder).with_task(self.task.clone());
            Source::Folder(data.with_zone(self.zone.clone()))
        });
        match (self.folders.is_empty(), config) {
            (false, _) => Ok(named.collect()),
            (true, Some(config)) => Ok(vec![Source::Site(config.data.clone())]),
            (true, None) => {
                bail!("name a folder of patients (--data), or a site (--config)")
            }
        }
    }

    /// What to do with rows that cannot be used.
    pub(super) fn bad_rows(&self, config: Option<&Config>) -> BadRows {
        if self.drop_bad_rows {
            BadRows::Drop
        } else {
            config.map_or(BadRows::Stop, |config| config.bad_rows)
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        verdict(self.accept_doubts)
    }
}

/// What `--accept-doubts` says.
#[expect(
    clippy::fn_params_excessive_bools,
    reason = "the flag itself, as it was parsed"
)]
pub(super) fn verdict(accept_doubts: bool) -> Verdict {
    if accept_doubts {
        Verdict::Accept
    } else {
        Verdict::Stop
    }
}

/// Where patients are.
pub(super) enum Source {
    /// The site's own data.
    Site(Data),
    /// A folder that is named.
    Folder(Data),
}

impl Source {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Site(_) => "this site's data".to_owned(),
            Self::Folder(data) => data.folder().display().to_string(),
        }
    }

    /// The files.
    pub(super) fn data(&self) -> &Data {
        match self {
            Self::Site(data) | Self::Folder(data) => data,
        }
    }

    fn load(
        &self,
        chosen: &Chosen,
        bad_rows: BadRows,
        outcomes: Outcomes,
        config: Option<&Config>,
    ) -> Result<Cohort, patients::PatientsError> {
        let (sandbox, text) = (&chosen.sandbox, &chosen.text);
        match (self, outcomes, config) {
            (Self::Site(data), Outcomes::Known, Some(config)) => {
                // Prepared patients are kept for all studies in one place.
                let disk = Disk::new(&config.state, &config.state);
                Ok(patients::get(sandbox, text, data, bad_rows, &disk)?.cohort)
            }
            _ => patients::prepare(sandbox, text, self.data(), bad_rows, outcomes),
        }
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
