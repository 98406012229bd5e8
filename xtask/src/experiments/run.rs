//! One run: a row of an experiment with a seed, or what is kept of it from before.
//!
//! What is kept is named by a digest of all that a run follows from: the module, the draft, the settings, the data and
//! the seed. So an experiment that was broken off goes on where it was, and nothing old is taken for new. The module
//! holds all training code, the aggregator's optimizers included; seconds are those of the run that is kept.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use e2e::Programs;
use protocol::id::Digest;
use serde::{Deserialize, Serialize};

use super::definition::{Experiment, Row, Start, Way};
use super::scores::Scores;
use crate::module::Sealed;
use crate::shell::{root, say};
use crate::trial::{Ground, Hospitals, Source, public_weights};

/// What a run ended in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// On the pooled held-out patients.
    pub(super) scores: Scores,
    /// Seconds of training.
    pub(super) seconds: f64,
    /// Rounds of training; none where nothing was sent.
    pub(super) rounds: Option<usize>,
    /// The best accuracy that any model can have, where the hospitals are synthetic.
    pub(super) best_accuracy: Option<f64>,
}

/// Where runs are made and kept.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    pub(super) programs: &'a Programs,
    pub(super) module: &'a Sealed,
    /// The data sets.
    pub(super) data: &'a Path,
    /// What is kept, and what a run writes while it lasts.
    pub(super) folder: &'a Path,
}

impl Bench<'_> {
    /// The run's outcome, kept or new.
    pub(super) fn outcome(&self, experiment: &Experiment, row: &Row, seed: u32) -> Result<Outcome> {
        let source = experiment.data.source(self.data, seed);
        let draft = root().join("studies").join(experiment.draft);
        let inputs = Inputs {
            version: VERSION,
            module: self.module.digest.clone(),
            draft: digest(&draft)?,
            settings: row.settings(&table(&draft)?, seed),
            way: format!("{:?}", row.way),
            files: source.files().iter().map(digest).collect::<Result<_>>()?,
            // Where data lies does not change what it says.
            source: match &source {
                Source::Synthetic { .. } => format!("{source:?}"),
                Source::HeartDisease { .. } => "heart disease".to_owned(),
                Source::Diabetes { fold, stays, .. } => format!("diabetes {fold} {stays:?}"),
            },
        };
        let kept = self.folder.join(format!("{}.json", inputs.digest()?));
        if let Ok(text) = std::fs::read_to_string(&kept) {
            let run: Kept = serde_json::from_str(&text).with_context(|| {
                format!(
                    "{} is damaged: delete it, and it is run anew",
                    kept.display()
                )
            })?;
            say(&format!(
                "{}: {}, seed {seed}: kept",
                experiment.name, row.name
            ));
            return Ok(run.outcome);
        }
        say(&format!("{}: {}, seed {seed}", experiment.name, row.name));
        let weights = match experiment.start {
            Start::Seed => None,
            Start::Public => Some(public_weights(self.programs, &self.module.digest, &draft)?),
        };
        let outcome = self.run(row, &source, &draft, &inputs.settings, weights.as_deref())?;
        let text = serde_json::to_string_pretty(&Kept {
            inputs,
            outcome: outcome.clone(),
        })?;
        write_whole(&kept, &text)?;
        Ok(outcome)
    }

    fn run(
        &self,
        row: &Row,
        source: &Source,
        draft: &Path,
        settings: &[String],
        weights: Option<&Path>,
    ) -> Result<Outcome> {
        // Experiments can be run side by side. What a run that failed leaves here says why.
        let folder = self.folder.join(format!("running-{}", std::process::id()));
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("emptying {}", folder.display()))?;
        }
        let hospitals = Hospitals::make(self.programs, source, &folder.join("data"))?;
        let mut ground = Ground::set_up(
            self.programs,
            &hospitals.sites,
            draft,
            settings,
            weights,
            &folder.join("study"),
        )?;
        let trained = match row.way {
            Way::Alone => (0..hospitals.sites.len())
                .map(|place| ground.alone(place))
                .collect::<Result<Vec<_>>>()?,
            Way::Pooled => vec![ground.pooled()?],
            Way::Federated => vec![ground.federated(row.name, None)?],
        };
        let scores = trained
            .iter()
            .map(|trained| Scores::of(&ground.predictions(trained)?))
            .collect::<Result<Vec<_>>>()?;
        let seconds = trained.iter().map(|trained| trained.seconds).sum::<f64>();
        drop(ground);
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("emptying {}", folder.display()))?;
        Ok(Outcome {
            scores: Scores::mean(&scores),
            seconds: seconds / trained.len() as f64,
            rounds: trained[0].rounds,
            best_accuracy: hospitals.best_accuracy,
        })
    }
}

/// Raised where runs kept before would mean something else.
const VERSION: u32 = 1;

/// All that a run follows from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Inputs {
    version: u32,
    module: String,
    draft: String,
    settings: Vec<String>,
    way: String,
    files: Vec<String>,
    source: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    inputs: Inputs,
    outcome: Outcome,
}

impl Inputs {
    fn digest(&self) -> Result<String> {
        Ok(Digest::of(&serde_json::to_vec(self)?).to_string())
    }
}

fn table(draft: &Path) -> Result<toml::Table> {
    let text =
        std::fs::read_to_string(draft).with_context(|| format!("reading {}", draft.display()))?;
    text.parse()
        .with_context(|| format!("reading {}", draft.display()))
}

fn digest(path: &PathBuf) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(Digest::of(&bytes).to_string())
}

/// Writes a file that is there whole or not at all.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    let part = path.with_extension("part");
    std::fs::write(&part, text).with_context(|| format!("writing {}", part.display()))?;
    std::fs::rename(&part, path).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::scores::tests::scores;
    use super::*;

    fn inputs() -> Inputs {
        Inputs {
            version: VERSION,
            module: "ab".to_owned(),
            draft: "cd".to_owned(),
            settings: vec!["privacy.epsilon=1.0".to_owned()],
            way: "Federated".to_owned(),
            files: vec![],
            source: "heart disease".to_owned(),
        }
    }

    #[test]
    fn what_changes_a_run_changes_its_name() {
        let name = inputs().digest().unwrap();
        assert_eq!(name, inputs().digest().unwrap());
        let others = [
            Inputs {
                module: "ac".to_owned(),
                ..inputs()
            },
            Inputs {
                settings: vec![],
                ..inputs()
            },
            Inputs {
                way: "Pooled".to_owned(),
                ..inputs()
            },
        ];
        for other in others {
            assert_ne!(other.digest().unwrap(), name, "{other:?}");
        }
    }

    #[test]
    fn a_kept_run_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        let outcome = Outcome {
            scores: scores(0.75),
            seconds: 1.5,
            rounds: Some(3),
            best_accuracy: None,
        };
        let kept = Kept {
            inputs: inputs(),
            outcome: outcome.clone(),
        };
        write_whole(&path, &serde_json::to_string(&kept).unwrap()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            serde_json::from_str::<Kept>(&text).unwrap().outcome,
            outcome
        );
    }
}
