//! What a user would train with instead, on the same patients with the same ε: PyTorch and Opacus in one place.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::definition::{Experiment, Published};
use super::results::Spread;
use crate::shell::{output, root, say};

/// Figures of the peer over its seeds.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) accuracy: Spread,
    pub(super) macro_auc: Spread,
    pub(super) macro_f1: Spread,
}

/// A line that the script prints.
#[derive(Debug, Deserialize)]
struct Line {
    accuracy: f64,
    macro_auc: f64,
    macro_f1: f64,
}

/// Trains with the peer where a Python is given and the experiment has a script.
pub(super) fn opacus(
    python: Option<&Path>,
    experiment: &Experiment,
    data: &Path,
    seeds: u32,
) -> Result<Option<Peer>> {
    let (Some(python), Published::Flamby) = (python, experiment.published) else {
        return Ok(None);
    };
    say("training with PyTorch and Opacus, all patients in one place");
    let mut command = Command::new(python);
    command
        .arg(root().join("xtask/peers/opacus_heart_disease.py"))
        .arg(data.join("heart_disease/flamby_split.csv"))
        .args(["--epsilon", "1", "--steps", "15"])
        .args(["--rate", "1", "--momentum", "0.5"])
        .args(["--seeds", &seeds.to_string()]);
    let lines: Vec<Line> = output(&mut command)?
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(serde_json::from_str)
        .collect::<std::result::Result<_, _>>()
        .context("reading the peer's figures")?;
    Ok((!lines.is_empty()).then(|| Peer {
        accuracy: spread(&lines, |line| line.accuracy),
        macro_auc: spread(&lines, |line| line.macro_auc),
        macro_f1: spread(&lines, |line| line.macro_f1),
    }))
}

fn spread(lines: &[Line], figure: fn(&Line) -> f64) -> Spread {
    Spread::of(&lines.iter().map(figure).collect::<Vec<_>>())
}
