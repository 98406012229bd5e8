//! `host predict`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::predictions::{self, Part};
use super::published::Published;
use super::site::{self, Choice, Patients};

/// Writes what the model says of each patient; the file stays here
///
/// One line for each stay (each row of the files of labels), also of a patient whose outcome is not known: a row without a
/// value, or a file of labels that has the columns `subject_id` and `prediction_time` alone. Where the outcome is not known, the
/// columns `split`, `label` and `class` are empty.
#[derive(Args, Debug)]
pub(crate) struct Predict {
    /// Which patients; those whose outcome is not known are in no part, and are always written
    #[arg(long, value_enum, default_value_t = Part::HeldOut)]
    split: Part,
    /// The model: `published` is the one that `host run` kept of the finished study, else the aggregator's; or a file that
    /// `host model` or `host baseline` wrote as CBOR
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
        let chosen = self.choice.load(config.as_ref())?;
        let model = Published::find(&self.state, config.as_ref(), &chosen.study)?;
        model.tell(out)?;
        let cohorts = self.patients.candidates(&chosen, config.as_ref(), out)?;
        let all = predictions::predict(&chosen, &cohorts, &model.bytes)?;
        let classes = &chosen.study.manifest().cohort.classes;
        predictions::write(&self.out, classes, &all, self.split, out)
    }
}
