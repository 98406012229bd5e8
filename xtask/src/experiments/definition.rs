//! What an experiment is: data, a draft, and ways to train that stand side by side in a table.

use std::path::Path;

use crate::trial::{Source, Stays};

/// A table, and the plots that go with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Experiment {
    /// What it is called on the command line, and its files.
    pub(super) name: &'static str,
    /// The heading of its page.
    pub(super) title: &'static str,
    /// What a reader must know to judge the figures, paragraph by paragraph.
    pub(super) about: &'static [&'static str],
    /// Where the hospitals come from.
    pub(super) data: Data,
    /// The draft, in the folder `studies`.
    pub(super) draft: &'static str,
    /// What training starts from.
    pub(super) start: Start,
    /// Seeds where the command line names no number, and the most that say anything new.
    pub(super) seeds: u32,
    /// The rows of the table.
    pub(super) rows: &'static [Row],
    /// What others' programs train on the same patients.
    pub(super) peer: Peer,
    /// Published figures to read beside ours.
    pub(super) published: Published,
}

/// What training starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// The study's seed.
    Seed,
    /// Weights of public synthetic patients of another population.
    Public,
}

/// A way to train: a row of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// What a reader calls it, unique in its experiment.
    pub(super) name: &'static str,
    /// Whose patients train, and where.
    pub(super) way: Way,
    /// ε of the study; infinite for no noise.
    pub(super) epsilon: f64,
    /// Settings of the draft that are replaced, each as `name=value`.
    pub(super) settings: &'static [&'static str],
    /// The modalities that the model is given; all where none is named.
    pub(super) modalities: &'static [&'static str],
}

/// Whose patients train, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Each hospital on its own; the figures are the mean over the hospitals.
    Alone,
    /// All patients in one place, without clipping and noise.
    Pooled,
    /// The study as it is run.
    Federated,
}

/// Where hospitals come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// Made by the generator, anew for each seed.
    Synthetic {
        /// Hospitals.
        hospitals: u16,
        /// Patients of each.
        patients: u32,
    },
    /// The four hospitals of UCI Heart Disease; a seed is that of the initial weights and of all noise.
    HeartDisease,
    /// Simulated hospitals of Diabetes 130-US; each seed holds out another of its five folds.
    Diabetes(Stays),
}

/// What others' programs train on the same patients, where a Python is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// Nothing.
    Nothing,
    /// The whole model, from the public table of UCI Heart Disease.
    HeartDisease,
    /// The last layer, an ordinal one, on what our encoder makes of made-up patients. Nothing else of the model is
    /// trained.
    Head,
}

/// Published figures to read beside ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Published {
    /// None.
    Nothing,
    /// The rows of `FLamby`'s benchmark, from the file of its results.
    Flamby,
}

impl Data {
    /// The hospitals for a seed, from 1; `folder` holds the data sets.
    pub(super) fn source(self, folder: &Path, seed: u32) -> Source {
        match self {
            Self::Synthetic {
                hospitals,
                patients,
            } => Source::Synthetic {
                hospitals,
                patients,
                seed: u64::from(seed),
            },
            Self::HeartDisease => Source::HeartDisease {
                folder: folder.join("heart_disease"),
            },
            Self::Diabetes(stays) => Source::Diabetes {
                folder: folder.join("diabetes130"),
                fold: u8::try_from((seed - 1) % 5).unwrap_or(0),
                stays,
            },
        }
    }
}

impl Row {
    /// All settings of `draft` that are replaced for a seed.
    pub(super) fn settings(&self, draft: &toml::Table, seed: u32) -> Vec<String> {
        let epsilon = toml::Value::Float(self.epsilon);
        let mut settings = vec![
            format!("privacy.epsilon={epsilon}"),
            format!("model.initial-seed={seed}"),
        ];
        settings.extend(self.settings.iter().map(|setting| (*setting).to_owned()));
        if !self.modalities.is_empty() {
            settings.push(format!("cohort.modality={}", self.kept(draft)));
        }
        settings
    }

    /// The draft's modalities that the row keeps.
    fn kept(&self, draft: &toml::Table) -> toml::Value {
        let all = draft
            .get("cohort")
            .and_then(|cohort| cohort.get("modality"))
            .and_then(toml::Value::as_array);
        let is_kept = |modality: &&toml::Value| {
            let name = modality.get("name").and_then(toml::Value::as_str);
            name.is_some_and(|name| self.modalities.contains(&name))
        };
        toml::Value::Array(all.into_iter().flatten().filter(is_kept).cloned().collect())
    }
}
