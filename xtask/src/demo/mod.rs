//! `cargo xtask demo`: the main job, from a fresh clone to a trained model.
//!
//! ```text
//! module + programs ─▶ hospitals' files ─▶ baselines ─▶ federation without noise ─▶ federation at ε ─▶ table
//! ```
//!
//! Every process is a real one: one aggregator and one host per hospital, on loopback.

mod comparison;
mod table;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::figures::Figures;
use crate::shell::{root, say, show, target};
use crate::trial::{Built, Hospitals, Source, public_weights};

/// Of `cargo xtask demo`
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Folder of UCI Heart Disease with `flamby_split.csv`, for its four hospitals, or of Diabetes 130-US with
    /// `diabetic_data.csv.gz`, for hospitals simulated from it; instead of synthetic ones
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
    /// Synthetic hospitals
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(3..=100))]
    pub(crate) hospitals: u16,
    /// Patients of each synthetic hospital
    #[arg(long, default_value_t = 1_000)]
    pub(crate) patients: u32,
    /// Seed of the synthetic hospitals
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The model to train
    #[arg(long, value_enum, default_value_t = Model::Linear)]
    pub(crate) model: Model,
    /// ε of the private federation
    #[arg(long, default_value_t = 1.0)]
    pub(crate) epsilon: f64,
    /// Kills the last hospital in the middle of this round of the private federation, for good
    #[arg(long)]
    pub(crate) kill_at: Option<u32>,
    /// Folder that everything is written to [default: target/demo]
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// File that every printed figure is written to
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

/// A model of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Model {
    /// Ordinal regression on each feature's mean and trend
    Linear,
    /// The head of the multimodal Transformer, whose encoder comes from public synthetic patients of another population
    Transformer,
}

/// Runs the demo.
pub(crate) fn run_command(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    let mut figures = Figures::new("demo");
    let Built { module, programs } = Built::now()?;
    figures.record("module bytes", module.bytes);
    figures.record("module digest", &module.digest);
    figures.record("build seconds", start.elapsed().as_secs_f64());
    let folder = arguments
        .out
        .clone()
        .unwrap_or_else(|| target().join("demo"));
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("emptying {}", folder.display()))?;
    }
    let (source, draft, published) = study(arguments)?;
    let hospitals = Hospitals::make(&programs, &source, &folder.join("data"))?;
    if let Some(best) = hospitals.best_accuracy {
        figures.record("best possible accuracy", best);
    }
    let weights = match (&source, arguments.model) {
        (Source::Synthetic { .. }, Model::Transformer) => {
            Some(public_weights(&programs, &module.digest, &draft)?)
        }
        _ => None,
    };
    let rows = comparison::compare(
        &programs,
        arguments,
        &hospitals,
        &draft,
        weights.as_deref(),
        &folder,
    )?;
    show("");
    for line in table::lines(&rows) {
        show(&line);
    }
    if let Some(best) = hospitals.best_accuracy {
        show(&format!(
            "best possible accuracy on these hospitals, known to their generator: {best:.3}"
        ));
    }
    for line in published {
        show(line);
    }
    figures.record("rows", &rows.rows);
    show(&format!(
        "module   {} bytes, imports none, sha-256 {}",
        module.bytes, module.digest
    ));
    show(&format!("model    {}", rows.model.display()));
    show(&format!(
        "in all   {:.1} minutes, building included",
        start.elapsed().as_secs_f64() / 60.0
    ));
    figures.record("total seconds", start.elapsed().as_secs_f64());
    if let Some(path) = &arguments.json {
        figures.write(path)?;
        say(&format!("figures  {}", path.display()));
    }
    Ok(())
}

/// Where the hospitals come from, the draft that suits them, and what is published of them.
fn study(arguments: &Arguments) -> Result<(Source, PathBuf, &'static [&'static str])> {
    let synthetic = Source::Synthetic {
        hospitals: arguments.hospitals,
        patients: arguments.patients,
        seed: arguments.seed,
    };
    let source = match &arguments.data {
        None => synthetic,
        Some(folder) => Source::in_folder(folder)?,
    };
    let (draft, published) = match (&source, arguments.model) {
        (Source::HeartDisease { .. }, _) => ("heart-disease.toml", FLAMBY),
        (Source::Diabetes { .. }, _) => ("diabetes-130.toml", DIABETES),
        (Source::Synthetic { .. }, Model::Linear) => ("readmission.toml", [].as_slice()),
        (Source::Synthetic { .. }, Model::Transformer) => {
            ("readmission-transformer.toml", [].as_slice())
        }
    };
    Ok((source, root().join("studies").join(draft), published))
}

/// `FLamby`'s own rows on this split (Ogier du Terrail et al. 2022, results of its repository, mean of 5 seeds).
const FLAMBY: &[&str] = &[
    "published by FLamby, accuracy on the pooled test, mean of 5 seeds:",
    "  pooled training .795   FedAvg .748   FedProx .748   Scaffold .748   FedAdam .779   FedYogi .779   Cyclic .785",
    "  not like for like: FLamby's federated models are trained on inputs normalised by each hospital's own means and",
    "  tested on inputs normalised by the pooled ones; ours share securely summed means and are tested by the same.",
];

/// What tells how far to believe a figure on Diabetes 130-US.
const DIABETES: &[&str] = &[
    "the hospitals are simulated: the file names none. Each patient is at one of them, by where the first stay came from",
    "what others reach on three of these folds: logistic regression .678 macro AUC, boosted trees .690; above .72 means leakage",
];
