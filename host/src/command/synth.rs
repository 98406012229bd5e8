//! `host synth`

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use host::durable;
use synthetic::Settings;

/// Writes made-up hospitals as MEDS files, to try everything with
#[derive(Args, Debug)]
pub(crate) struct Synth {
    /// Hospitals, 3 to 100
    #[arg(long, default_value_t = 3)]
    hospitals: u32,
    /// Patients of each hospital, 5 to 100000
    #[arg(long, default_value_t = 1_000)]
    patients: u32,
    /// Months of history of each patient, 6 to 12, each of four weeks
    #[arg(long, default_value_t = 6)]
    months: u32,
    /// The same seed gives the same files
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Whose hospitals: those that studies are about, or another population's, for public data to start from
    #[arg(long, value_enum, default_value_t = Population::Reference)]
    population: Population,
    /// The folder to write one folder a hospital to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Whose hospitals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Population {
    /// The one that studies are about
    Reference,
    /// Another one: other effects on the risk, younger patients, more noise and gaps
    Shifted,
}

impl From<Population> for synthetic::Population {
    fn from(population: Population) -> Self {
        match population {
            Population::Reference => Self::Reference,
            Population::Shifted => Self::Shifted,
        }
    }
}

impl Synth {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<()> {
        let settings = Settings::new(self.hospitals, self.patients, self.months, self.seed)?
            .of(self.population.into());
        let classes = synthetic::spec(settings).classes;
        let mut best = 0.0;
        for hospital in synthetic::synthesise(settings) {
            let folder = self.out.join(&hospital.name);
            durable::create_folder(&folder)?;
            for (name, bytes) in [
                ("events.parquet", &hospital.events),
                ("labels.parquet", &hospital.labels),
                ("splits.parquet", &hospital.splits),
                ("phenotypes.csv", &hospital.phenotypes),
            ] {
                durable::replace(&folder.join(name), bytes)?;
            }
            let counts: Vec<String> = hospital
                .classes
                .iter()
                .zip(&classes)
                .map(|(count, class)| format!("{count} {class}"))
                .collect();
            writeln!(
                out,
                "{}: {}  {}",
                hospital.name,
                counts.join(", "),
                folder.display()
            )?;
            best += hospital.best_accuracy;
        }
        // All hospitals have as many patients, so the mean over hospitals is that over patients.
        let best = best / f64::from(self.hospitals);
        writeln!(out, "best possible accuracy {best:.4}")?;
        Ok(())
    }
}
