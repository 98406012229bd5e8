//! What a user would pick instead: PyTorch and Opacus, Flower, by the scripts beside the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Values, json_lines};
use crate::shell::{output, root, say};

/// The peers' scripts and the Python that runs them.
#[derive(Clone, Debug)]
pub(super) enum Peers {
    Here {
        python: PathBuf,
        scripts: PathBuf,
    },
    /// Left out, and why.
    Absent(String),
}

impl Peers {
    /// Looks for the scripts in `../shared/reference/peers`.
    pub(super) fn find(python: Option<&Path>) -> Self {
        let scripts = root().join("../shared/reference/peers");
        let Some(python) = python else {
            return Self::Absent(
                "no Python was given: --peers PYTHON, with the packages of shared/reference/peers/setup.sh"
                    .to_owned(),
            );
        };
        if scripts.join("bench_train.py").is_file() {
            Self::Here {
                python: python.to_owned(),
                scripts,
            }
        } else {
            Self::Absent("../shared/reference/peers/bench_train.py is not here".to_owned())
        }
    }

    /// Trains in every mode, with both ways to compute attention, on one thread and on two.
    pub(super) fn train(&self, patients: u32, batch: u32) -> Result<Vec<Values>> {
        let Self::Here { python, scripts } = self else {
            return Ok(Vec::new());
        };
        say(&format!(
            "training with the peers, {batch} patients a batch"
        ));
        let mut command = Command::new(python);
        command.current_dir(scripts).arg("bench_train.py");
        command.args(["--patients", &patients.to_string()]);
        command.args(["--batches", &batch.to_string()]);
        command.args(["--threads", "1,2", "--attention", "sdpa,explicit"]);
        command.args(["--epochs", "3"]);
        // Settings for other programs' linear algebra would slow PyTorch's down.
        for name in ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"] {
            command.env_remove(name);
        }
        json_lines(&output(&mut command)?)
    }
    /// Rounds of secure aggregation: everyone with everyone up to 20 sites, sparse above.
    pub(super) fn aggregate(&self) -> Result<Vec<Values>> {
        let Self::Here { python, scripts } = self else {
            return Ok(Vec::new());
        };
        let mut rounds = Vec::new();
        for (sites, graph, repeats) in [("5,10,20", "complete", "3"), ("100", "sparse", "1")] {
            say(&format!("aggregating with Flower, {sites} sites"));
            let mut command = Command::new(python);
            command.current_dir(scripts).arg("bench_secagg_flower.py");
            command.args(["--n", sites, "--d", "20000,200000,1000000"]);
            command.args(["--graphs", graph, "--dropout", "0,0.1", "--repeat", repeats]);
            for name in ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"] {
                command.env_remove(name);
            }
            rounds.extend(json_lines(&output(&mut command)?)?);
        }
        Ok(rounds)
    }
}
