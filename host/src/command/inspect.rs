//! `host inspect`

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use host::compiled::Compiled;
use host::durable;
use host::sandbox::Anatomy;

/// Shows what a module is: its digest, and that it can reach nothing outside
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// The module
    #[arg(value_name = "FILE")]
    module: PathBuf,
}

impl Inspect {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<()> {
        let anatomy = Anatomy::of(&durable::read(&self.module)?, &Compiled::of_user())?;
        writeln!(out, "sha-256  {}", anatomy.digest)?;
        writeln!(out, "size     {} bytes", anatomy.bytes)?;
        list(out, "imports", &anatomy.imports)?;
        list(out, "exports", &anatomy.exports)?;
        if !anatomy.imports.is_empty() {
            bail!("the module can reach outside: no host runs it");
        }
        Ok(())
    }
}

fn list(out: &mut dyn Write, what: &str, names: &[String]) -> Result<()> {
    if names.is_empty() {
        writeln!(out, "{what}  none")?;
    }
    for (place, name) in names.iter().enumerate() {
        let what = if place == 0 { what } else { "" };
        writeln!(out, "{what:7}  {name}")?;
    }
    Ok(())
}
