//! `host model`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use host::config::Config;
use host::durable;
use protocol::codec;
use protocol::door::State;
use protocol::id::Digest;

use super::site;

/// Fetches the model that the finished study published
#[derive(Args, Debug)]
pub(crate) struct Model {
    /// The file to write: JSON where its name ends in .json, else CBOR
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Model {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        let config = Config::read(config)?;
        let bytes = site::published(&config)?;
        let state: State = codec::decode(&bytes).context("the published model is none")?;
        write(&self.out, &state)?;
        writeln!(out, "model  {}  {}", Digest::of(&bytes), self.out.display())?;
        Ok(())
    }
}

/// Writes a model: as JSON where the file's name ends in .json, else as CBOR.
pub(super) fn write(path: &Path, state: &State) -> Result<()> {
    let is_json = path
        .extension()
        .is_some_and(|extension| extension == "json");
    let bytes = if is_json {
        json(state)?
    } else {
        codec::encode(state)
    };
    Ok(durable::replace(path, &bytes)?)
}

fn json(state: &State) -> Result<Vec<u8>> {
    let moments: Vec<_> = state
        .normalisation
        .iter()
        .map(|moments| serde_json::json!({ "mean": moments.mean, "sd": moments.sd }))
        .collect();
    let document = serde_json::json!({ "offset": state.offset, "normalisation": moments });
    Ok(serde_json::to_vec(&document)?)
}
