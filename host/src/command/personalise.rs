//! `host personalise`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use host::patients::Cohort;
use learning::metrics::Exact;
use protocol::codec;

use super::predictions::{self, Part, shown};
use super::site::{self, Choice, Chosen, Patients};
use super::{baseline, model};

/// Makes this site's own model from the published one, by the study's [personalisation]; nothing of it is sent
///
/// How both models do on this site's held-out patients is printed and written nowhere: these figures are exact, no noise hides
/// a patient in them, and no budget is charged for them. Treat them, and the model, as patient data.
#[derive(Args, Debug)]
pub(crate) struct Personalise {
    /// The model to begin with: `published`, or a file that `host model` wrote as CBOR
    #[arg(long, value_name = "FILE", default_value = "published")]
    state: PathBuf,
    /// The model to write, for `host predict --state`: JSON where its name ends in .json, else CBOR
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    patients: Patients,
}

impl Personalise {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        let config = site::optional(config)?;
        let start = site::state(&self.state, config.as_ref())?;
        let chosen = self.choice.load(config.as_ref())?;
        let cohorts = self.patients.load(&chosen, config.as_ref(), out)?;
        let personal = baseline::train(&chosen, &cohorts, Some(&start))?;
        model::write(&self.out, &personal)?;
        let before = figures(&chosen, &cohorts, &start)?;
        let after = figures(&chosen, &cohorts, &codec::encode(&personal))?;
        writeln!(
            out,
            "on this site's held-out patients (patient data: not to leave the site)"
        )?;
        for (name, figures) in [("published", &before), ("personal", &after)] {
            writeln!(
                out,
                "{name:<10} accuracy {}  macro AUC {}  macro F1 {}",
                shown(figures.accuracy),
                shown(figures.macro_auc),
                shown(figures.macro_f1)
            )?;
        }
        writeln!(out, "model  {}  (patient data)", self.out.display())?;
        Ok(())
    }
}

/// How a model does on this site's held-out patients.
fn figures(chosen: &Chosen, cohorts: &[Cohort], state: &[u8]) -> Result<Exact> {
    let predictions = predictions::predict(chosen, cohorts, state, Part::HeldOut)?;
    predictions::figures(&predictions, chosen.study.manifest().cohort.classes.len())
}
