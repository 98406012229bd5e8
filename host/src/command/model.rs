//! `host model`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use host::config::Config;
use host::durable;
use protocol::id::Digest;

use super::published::Published;
use super::site::{self, Choice, Chosen};
use super::tensors::Tensors;

/// Writes the model that the finished study published: for other programs, or as it is
///
/// With --out model.safetensors (or .json) all weights are written with their names and shapes, together with the study, its
/// features in the order of the inputs and how they are normalised: docs/MODEL.md says how to compute with them. Any other name
/// gives the state as CBOR, for `host predict --state`.
#[derive(Args, Debug)]
pub(crate) struct Model {
    /// The model: `published` is the one that `host run` kept of the finished study, else the aggregator's; or a file that
    /// `host model`, `host baseline` or `host personalise` wrote as CBOR
    #[arg(long, value_name = "FILE", default_value = "published")]
    state: PathBuf,
    /// The file to write: all weights where its name ends in .safetensors or .json, else CBOR
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    choice: Choice,
}

impl Model {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        let config = if self.choice.is_of_site() {
            Some(Config::read(config)?)
        } else {
            site::optional(config)?
        };
        let chosen = self.choice.load(config.as_ref())?;
        let model = Published::find(&self.state, config.as_ref(), &chosen.study)?;
        write(&self.out, &chosen, &model.bytes)?;
        let digest = Digest::of(&model.bytes);
        writeln!(out, "model  {digest}  {}", self.out.display())?;
        model.tell(out)
    }
}

/// Writes the model of an encoded state: with all weights where the file's name ends in .safetensors or .json, else as it is.
pub(super) fn write(path: &Path, chosen: &Chosen, state: &[u8]) -> Result<()> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let bytes = match extension {
        Some("safetensors") => Tensors::of(chosen, state)?.safetensors()?,
        Some("json") => Tensors::of(chosen, state)?.json()?,
        _ => state.to_vec(),
    };
    Ok(durable::replace(path, &bytes)?)
}
