//! `host predict`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::predictions::{self, Part};
use super::site::{self, Choice, Patients};

/// Writes what the model says of each patient; the file stays here
#[derive(Args, Debug)]
pub(crate) struct Predict {
    /// Which patients
    #[arg(long, value_enum, default_value_t = Part::HeldOut)]
    split: Part,
    /// The model: `published`, or a file that `host model` or `host baseline` wrote as CBOR
    #[arg(long, value_name = "FILE", default_value = "published")]
    state: PathBuf,
    /// The CSV file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    patients: Patients,
}

impl Predict {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        let config = site::optional(config)?;
        let state = site::state(&self.state, config.as_ref())?;
        let chosen = self.choice.load(config.as_ref())?;
        let cohorts = self.patients.load(&chosen, config.as_ref(), out)?;
        let predictions = predictions::predict(&chosen, &cohorts, &state, self.split)?;
        predictions::write(
            &self.out,
            &chosen.study.manifest().cohort.classes,
            &predictions,
        )?;
        predictions::tell(&self.out, &predictions, out)
    }
}
