//! `host baseline`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use host::patients::Cohort;
use host::reporter::Reporter;
use host::session::Session;
use protocol::codec;
use protocol::door;

use super::model;
use super::predictions::{self, Part};
use super::site::{self, Choice, Chosen, Patients};

/// Trains the study's model on this site's patients alone, to compare with: nothing is sent
#[derive(Args, Debug)]
pub(crate) struct Baseline {
    /// The file to write: what the model says of patients where its name ends in .csv, all
    /// weights with their names for .safetensors or .json, else CBOR for `host predict --state`
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Which patients to write into a .csv file
    #[arg(long, value_enum, default_value_t = Part::HeldOut)]
    split: Part,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    patients: Patients,
}

impl Baseline {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        let config = site::optional(config)?;
        let chosen = self.choice.load(config.as_ref())?;
        let cohorts = self.patients.load(&chosen, config.as_ref(), out)?;
        let state = train(&chosen, &cohorts, None)?;
        if self
            .out
            .extension()
            .is_some_and(|extension| extension == "csv")
        {
            let all = predictions::predict(&chosen, &cohorts, &state)?;
            let classes = &chosen.study.manifest().cohort.classes;
            return predictions::write(&self.out, classes, &all, self.split, out);
        }
        model::write(&self.out, &chosen, &state)?;
        writeln!(out, "model  {}", self.out.display())?;
        Ok(())
    }
}

/// Trains on the cohorts' patients, pooled; from `start` by the study's personalisation, else from the beginning.
/// Gives the encoded state.
pub(super) fn train(chosen: &Chosen, cohorts: &[Cohort], start: Option<&[u8]>) -> Result<Vec<u8>> {
    let baseline = door::Baseline {
        study: chosen.text.clone().into(),
        cohorts: cohorts
            .iter()
            .map(|cohort| cohort.bytes.clone().into())
            .collect(),
        weights: chosen.weights.clone().map(Into::into),
        state: start.map(|state| state.to_vec().into()),
    };
    let reporter = Reporter::of_terminal();
    let state = Session::baseline(&chosen.sandbox, baseline, &mut |progress| {
        reporter.work(progress)
    })?;
    reporter.done(&format!("trained on {} sites' patients", cohorts.len()));
    Ok(codec::encode(&state))
}
