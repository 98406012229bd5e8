//! What makes a manifest one that can be run.

mod clustering;
mod cohort;
mod lots;
mod model;
mod privacy;
mod roster;
mod training;

use std::collections::BTreeSet;

use super::{Cohort, Manifest};
use crate::lottery::Lottery;

/// Why a study file is refused. The study's author can act on each.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// The file is not UTF-8.
    #[error("the study is not a UTF-8 text file")]
    NotText,
    /// The file is no TOML of a manifest.
    #[error("the study cannot be read: {0}")]
    Malformed(String),
    /// A setting is out of its range, or does not fit another.
    #[error("{setting}: {problem}")]
    Setting {
        /// The setting's name in the file.
        setting: &'static str,
        /// What is wrong, with the values, and what would be right.
        problem: String,
    },
    /// The sum of all sites' values could pass the modulus.
    #[error(
        "section {section} needs a modulus of {bits} bits and 32 is the most: lower aggregation.fraction-bits or \
         aggregation.patients-per-site"
    )]
    Overflow {
        /// The section of the vector.
        section: &'static str,
        /// Bits that it would need.
        bits: u32,
    },
    /// The grid is so coarse against the noise that discrete noise cannot stand for continuous noise.
    #[error(
        "the grid is too coarse for the noise: ε would have to rise by {excess:.2e}, above a thousandth of it; raise \
         aggregation.fraction-bits"
    )]
    Coarse {
        /// By how much ε would have to rise.
        excess: f64,
    },
    /// The planned rounds cost more than is promised, though their noise was computed from it.
    #[error(
        "the planned rounds cost an ε of {would:.4}, and privacy.epsilon is {promised}: a single round would tell so much that \
         its noise does not fit the range of the sum; plan more rounds, or lower privacy.epsilon"
    )]
    Dear {
        /// ε of all rounds.
        would: f64,
        /// ε that is promised.
        promised: f64,
    },
    /// No noise that can be added in this layout gives the budget.
    #[error("section {section}: {problem}")]
    Noise {
        /// The section of the vector.
        section: &'static str,
        /// What is wrong.
        problem: String,
    },
}

impl StudyError {
    /// A setting with a problem.
    pub(super) fn setting(setting: &'static str, problem: &impl ToString) -> Self {
        Self::Setting {
            setting,
            problem: problem.to_string(),
        }
    }
}

/// Refuses a manifest that cannot be run as it says; gives the lottery of its roster, if it has one. Overflow and noise are
/// checked with the layouts.
pub(super) fn check(manifest: &Manifest) -> Result<Option<Lottery>, StudyError> {
    check_cohort(&manifest.cohort)?;
    model::check(&manifest.model)?;
    training::check(&manifest.training)?;
    if let Some(personalisation) = &manifest.personalisation {
        training::check_personalisation(personalisation)?;
    }
    if let Some(clustering) = &manifest.clustering {
        clustering::check(clustering)?;
    }
    manifest.metrics.check()?;
    manifest.rounds.check()?;
    privacy::check(&manifest.privacy, manifest.cohort.normalisation)?;
    privacy::check_shares(manifest)?;
    privacy::check_accounting(manifest)?;
    roster::check(manifest)?;
    lots::check(manifest)
}

/// Refuses a cohort that cannot be read as it says.
pub(super) fn check_cohort(cohort: &Cohort) -> Result<(), StudyError> {
    cohort::check(cohort)
}

fn unique<T: Ord + std::fmt::Display>(
    values: impl Iterator<Item = T>,
    setting: &'static str,
) -> Result<(), StudyError> {
    let mut seen = BTreeSet::new();
    for value in values {
        if seen.contains(&value) {
            return Err(StudyError::setting(
                setting,
                &format!("{value} appears twice"),
            ));
        }
        seen.insert(value);
    }
    Ok(())
}

#[expect(
    clippy::fn_params_excessive_bools,
    reason = "the condition itself, not a mode"
)]
pub(super) fn require(
    holds: bool,
    setting: &'static str,
    problem: impl FnOnce() -> String,
) -> Result<(), StudyError> {
    if holds {
        Ok(())
    } else {
        Err(StudyError::setting(setting, &problem()))
    }
}
