//! `host pretrain`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use host::durable;
use host::sandbox::SandboxError;
use protocol::codec;
use protocol::door::{Export, Request, Response};
use protocol::id::Digest;

use super::baseline;
use super::site::{self, Choice, Patients};

/// Trains a study's model on public patients, and writes all its weights for other studies to start from: whoever gets
/// the file can learn of each patient in it
#[derive(Args, Debug)]
pub(crate) struct Pretrain {
    /// The file to write, for `host compose --weights` and `host approve --weights`
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A part of the model to leave out, as model.trained.blocks names it: `head` where the studies have other classes;
    /// can be repeated
    #[arg(long, value_name = "BLOCK")]
    without: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    patients: Patients,
}

impl Pretrain {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        let config = site::optional(config)?;
        let chosen = self.choice.load(config.as_ref())?;
        let cohorts = self.patients.load(&chosen, config.as_ref())?;
        let state = baseline::train(&chosen, &cohorts)?;
        let request = Request::Export(Export {
            study: chosen.text.into(),
            state: codec::encode(&state).into(),
            weights: chosen.weights.map(Into::into),
            without: self.without.clone(),
        });
        let Response::Exported(weights) = chosen.sandbox.instance()?.ask(&request)? else {
            return Err(SandboxError::OtherAnswer.into());
        };
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
