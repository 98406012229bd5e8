//! `host personalise`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use host::patients::Cohort;
use learning::metrics::Exact;

use super::predictions::{self, Part, shown};
use super::published::Published;
use super::site::{self, Choice, Chosen, Patients};
use super::{baseline, model};

/// Makes this site's own model from the published one, by the study's [personalisation]; nothing of it is sent
///
/// How both models do on this site's held-out patients is printed and written nowhere: these figures are exact, no noise hides
/// a patient in them, and no budget is charged for them. Treat them, and the model, as patient data.
#[derive(Args, Debug)]
pub(crate) struct Personalise {
    /// The model to begin with: `published` is the one that `host run` kept of the finished study, else the aggregator's; or a
    /// file that `host model` wrote as CBOR
    #[arg(long, value_name = "FILE", default_value = "published")]
    state: PathBuf,
    /// The model to write, for `host predict --state` as CBOR; all weights with their names where its name ends in
    /// .safetensors or .json
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
        let chosen = self.choice.load(config.as_ref())?;
        let start = Published::find(&self.state, config.as_ref(), &chosen.study)?;
        start.tell(out)?;
        let start = start.bytes;
        let cohorts = self.patients.load(&chosen, config.as_ref(), out)?;
        let personal = baseline::train(&chosen, &cohorts, Some(&start))?;
        model::write(&self.out, &chosen, &personal)?;
        let before = figures(&chosen, &cohorts, &start)?;
        let after = figures(&chosen, &cohorts, &personal)?;
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
    let all = predictions::predict(chosen, cohorts, state)?;
    let classes = chosen.study.manifest().cohort.classes.len();
    predictions::figures(&Part::HeldOut.of(&all), classes)
}
