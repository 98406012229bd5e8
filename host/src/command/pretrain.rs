//! `host pretrain`

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use host::compose::{Draft, Parts};
use host::sandbox::Sandbox;
use host::{durable, entropy};
use protocol::agreement::Secret;
use protocol::id::Digest;
use protocol::identity::Identity;

use super::baseline;
use super::compose::{self, Settings};
use super::site::{Chosen, Patients};

/// Trains a draft's model on public patients, and writes its weights for studies to start from: whoever gets the file
/// can learn of each patient in it
#[derive(Args, Debug)]
pub(crate) struct Pretrain {
    #[command(flatten)]
    settings: Settings,
    /// A part of the model to leave out, as model.trained.blocks names it: `head` where studies have other classes; can
    /// be repeated
    #[arg(long, value_name = "BLOCK")]
    without: Vec<String>,
    /// The file to write, for `host compose --weights` and `host approve --weights`
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    patients: Patients,
}

impl Pretrain {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<()> {
        let (sandbox, draft) = self.settings.load()?;
        let chosen = alone(sandbox, draft)?;
        let cohorts = self.patients.load(&chosen, None, out)?;
        let state = baseline::train(&chosen, &cohorts, None)?;
        let weights = chosen.export(&state, &self.without)?.weights;
        durable::replace(&self.out, &weights)?;
        writeln!(
            out,
            "weights  {}  {}",
            Digest::of(&weights),
            self.out.display()
        )?;
        Ok(())
    }
}

/// A study of the draft that nobody takes part in: all weights are trained, without noise, and the keys are thrown away.
fn alone(sandbox: Sandbox, mut draft: Draft) -> Result<Chosen> {
    draft.set("privacy.epsilon", "inf")?;
    draft.set("model.trained", "\"all\"")?;
    let mut roster = String::new();
    for place in 0..3 {
        let key = Identity::from_seed(&entropy::seed()?).key();
        roster.push_str(&format!(
            "[[roster]]\nname = \"nobody {place}\"\nkey = \"{key}\"\n"
        ));
    }
    let parts = Parts {
        module: sandbox.digest(),
        aggregator: Secret::new(entropy::seed()?).public(),
        roster: &roster,
        weights: None,
        dishonest: None,
    };
    let study = compose::complete(&mut draft, &parts, &sandbox, None)?;
    Ok(Chosen {
        text: draft.text().into_bytes(),
        study,
        weights: None,
        sandbox,
    })
}
