//! `host synth`

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

/// Writes made-up hospitals as MEDS files, to try everything with
#[derive(Args, Debug)]
pub(crate) struct Synth {
    /// Hospitals
    #[arg(long, default_value_t = 3)]
    hospitals: u16,
    /// Patients of each hospital
    #[arg(long, default_value_t = 1_000)]
    patients: u32,
    /// Months of history of each patient
    #[arg(long, default_value_t = 6)]
    months: u32,
    /// The same seed gives the same files
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The folder to write one folder a hospital to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Synth {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<()> {
        writeln!(out, "TBD")?;
        Ok(())
    }
}
