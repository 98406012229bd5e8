//! What a user would train with instead, on the same patients with the same ε: PyTorch and Opacus in one place.
//!
//! ```text
//! made-up hospitals ──example `features`──▶ what the head is given ──▶ script ──▶ a line of figures a row
//! public tables of real patients ────────────────────────────────────▶ script ──▶ a line a row and seed
//! ```

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::definition::{Data, Experiment, Peer, Start};
use super::results::Spread;
use super::run::Bench;
use crate::shell::{cargo, output, root, run, say, target};
use crate::trial::public_weights;

/// What came of the peer.
#[derive(Clone, Debug)]
pub(super) enum Peers {
    /// The experiment has none.
    Nothing,
    /// No Python was given.
    NotRun,
    /// It was run.
    Run {
        /// The rows, in the order that the script printed their first lines in.
        rows: Vec<PeerRow>,
        /// What is not the same as in the study.
        differs: &'static str,
    },
}

/// A row of the peer, with all seeds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PeerRow {
    /// What a reader calls it.
    pub(super) row: String,
    lines: Vec<Line>,
}

/// A line that a script prints: what a row reaches with a seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    row: String,
    seed: u32,
    pub(super) accuracy: f64,
    pub(super) macro_auc: f64,
    pub(super) macro_f1: f64,
    noise_multiplier: f64,
}

impl PeerRow {
    /// A figure over the seeds.
    pub(super) fn spread(&self, figure: impl Fn(&Line) -> f64) -> Spread {
        Spread::of(&self.lines.iter().map(figure).collect::<Vec<_>>())
    }
}

impl Peers {
    /// Trains with the peer where a Python is given and the experiment has one.
    pub(super) fn train(
        python: Option<&Path>,
        bench: &Bench<'_>,
        experiment: &Experiment,
        seeds: u32,
    ) -> Result<Self> {
        let Some(python) = python else {
            return Ok(match experiment.peer {
                Peer::Nothing => Self::Nothing,
                Peer::HeartDisease | Peer::Head => Self::NotRun,
            });
        };
        let text = match experiment.peer {
            Peer::Nothing => return Ok(Self::Nothing),
            Peer::HeartDisease => heart_disease(python, bench.data, seeds)?,
            Peer::Head => heads(python, bench, experiment, seeds)?,
        };
        Ok(Self::Run {
            rows: rows(&text, seeds)?,
            differs: experiment.peer.differs(),
        })
    }

    /// The rows; none where the peer was not run.
    pub(super) fn rows(&self) -> &[PeerRow] {
        match self {
            Self::Nothing | Self::NotRun => &[],
            Self::Run { rows, .. } => rows,
        }
    }
}

impl Peer {
    fn differs(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::HeartDisease => {
                "Opacus is given the exact means of all patients for nothing, and no budget for metrics and counts. \
                 Without noise nothing is clipped."
            }
            Self::Head => {
                "The same are the patients and their split, what the last layer is given (written out by our own code, \
                 from the same encoder), the layer with its initial weights, loss, full batches, steps, optimizer, the \
                 average of the last steps, clip norm, ε and δ. Not the same: with Opacus all patients are in one place, \
                 it is told their exact number, and it spends all of ε on gradients, where the study also pays for counts \
                 and held-out metrics. Its noise is that of its own accountant (PRV); the draws of noise are others. \
                 Without noise nothing is clipped: those two rows show that it is the same training. Their figures \
                 are by scikit-learn."
            }
        }
    }
}

/// Logistic regression from `FLamby`'s table; all seeds.
fn heart_disease(python: &Path, data: &Path, seeds: u32) -> Result<String> {
    say("training with PyTorch and Opacus, all patients in one place");
    let mut command = script(python, "opacus_heart_disease.py");
    command
        .arg(data.join("heart_disease/flamby_split.csv"))
        .args(["--epsilon", EPSILON, "--steps", "15"])
        .args(["--rate", "1", "--momentum", "0.5"])
        .args(["--seeds", &seeds.to_string()]);
    output(&mut command)
}

/// The last layer of the study's model, on hospitals that are made up anew for each seed.
fn heads(python: &Path, bench: &Bench<'_>, experiment: &Experiment, seeds: u32) -> Result<String> {
    let Data::Synthetic {
        hospitals,
        patients,
    } = experiment.data
    else {
        anyhow::bail!(
            "{}: features are written out of made-up patients only",
            experiment.name
        );
    };
    let draft = root().join("studies").join(experiment.draft);
    let weights = match experiment.start {
        Start::Seed => None,
        Start::Public => Some(public_weights(
            bench.programs,
            &bench.module.digest,
            &draft,
        )?),
    };
    let features = bench
        .folder
        .join(format!("features-{}.csv", std::process::id()));
    // Of everything at once: with one package alone, dependencies would be built again with other features.
    let build = ["build", "--quiet", "--locked", "--workspace", "--example"];
    run(cargo().args(build).arg("features"))?;
    let mut text = String::new();
    for seed in 1..=seeds {
        let mut export = Command::new(target().join("debug/examples/features"));
        export.arg("--draft").arg(&draft);
        if let Some(weights) = &weights {
            export.arg("--weights").arg(weights);
        }
        export.args(["--hospitals", &hospitals.to_string()]);
        export.args(["--patients", &patients.to_string()]);
        export.args(["--seed", &seed.to_string()]);
        run(export.arg("--out").arg(&features))?;
        say(&format!(
            "training with PyTorch and Opacus, all patients in one place, seed {seed}"
        ));
        let mut command = script(python, "opacus_ordinal.py");
        command.arg(&features).arg(&draft);
        command.args(["--epsilon", EPSILON, "--seed", &seed.to_string()]);
        text += &output(&mut command)?;
    }
    std::fs::remove_file(&features).with_context(|| format!("removing {}", features.display()))?;
    Ok(text)
}

/// The ε that all peers are given.
const EPSILON: &str = "1";

fn script(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python);
    // Bytes of compiled scripts are no part of the sources.
    command.arg("-B");
    command.arg(root().join("xtask/peers").join(name));
    command
}

/// The rows of what a script printed: each has a line for every seed.
fn rows(text: &str, seeds: u32) -> Result<Vec<PeerRow>> {
    let mut rows: Vec<PeerRow> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let line: Line = serde_json::from_str(line).context("reading the peer's figures")?;
        match rows.iter_mut().find(|row| row.row == line.row) {
            Some(row) => row.lines.push(line),
            None => rows.push(PeerRow {
                row: line.row.clone(),
                lines: vec![line],
            }),
        }
    }
    ensure!(!rows.is_empty(), "the peer's script printed no figures");
    for row in &rows {
        let got: Vec<u32> = row.lines.iter().map(|line| line.seed).collect();
        ensure!(
            got.iter().copied().eq(1..=seeds),
            "the peer's row `{}` has the seeds {got:?}, not 1 to {seeds}",
            row.row
        );
    }
    Ok(rows)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn run(differs: &'static str) -> Peers {
        Peers::Run {
            rows: rows(TEXT, 2).unwrap(),
            differs,
        }
    }

    const TEXT: &str = concat!(
        "a warning\n",
        r#"{"row": "plain", "seed": 1, "accuracy": 0.7, "macro_auc": 0.8, "macro_f1": 0.6, "noise_multiplier": 0.0}"#,
        "\n",
        r#"{"row": "noised", "seed": 1, "accuracy": 0.5, "macro_auc": 0.6, "macro_f1": 0.4, "noise_multiplier": 29.4}"#,
        "\n",
        r#"{"row": "plain", "seed": 2, "accuracy": 0.7, "macro_auc": 0.8, "macro_f1": 0.6, "noise_multiplier": 0.0}"#,
        "\n",
        r#"{"row": "noised", "seed": 2, "accuracy": 0.7, "macro_auc": 0.8, "macro_f1": 0.6, "noise_multiplier": 29.4}"#,
        "\n",
    );

    #[test]
    fn rows_are_in_the_order_of_their_first_lines_with_all_seeds() {
        let rows = rows(TEXT, 2).unwrap();
        let names: Vec<&str> = rows.iter().map(|row| row.row.as_str()).collect();
        assert_eq!(names, ["plain", "noised"]);
        let accuracy = rows[1].spread(|line| line.accuracy);
        assert_eq!(accuracy.text(3), "0.600 ± 0.141");
    }

    #[test]
    fn a_seed_that_is_missing_and_lines_that_are_none_are_refused() {
        let error = rows(TEXT, 3).unwrap_err().to_string();
        assert!(error.contains("seeds [1, 2], not 1 to 3"), "{error}");
        assert!(rows("no figures", 1).is_err());
        assert!(rows("{\"row\": \"plain\"}", 1).is_err());
    }
}
