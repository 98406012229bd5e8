//! The hospital's decisions on its patient budget, each with its time and its reason: `state/decisions.jsonl`.
//!
//! The last decision is the most that is in force. `host.toml` may ask for less, never for more: so a budget is raised by
//! `host budget raise --reason …`, which leaves a line here, and by no edit of a file.

use std::path::{Path, PathBuf};

use privacy::Budget;
use protocol::id::Digest;
use serde::{Deserialize, Serialize};

use crate::budget::PatientBudget;
use crate::chain::{Chain, ChainError};
use crate::config::Config;
use crate::durable::{self, FileError};

/// A decision on the budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// When it was recorded, in seconds since 1970.
    pub at: u64,
    /// What was allowed before; nothing was decided before the first one.
    pub from: Option<PatientBudget>,
    /// What is allowed from then on.
    pub to: PatientBudget,
    /// Why, in the words of who decided.
    pub reason: String,
}

/// All decisions of a site, with at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Decisions {
    chain: Chain<Decision>,
}

impl Decisions {
    /// Reads those under a state folder.
    ///
    /// # Errors
    ///
    /// No decision, and a file that was changed.
    pub fn read(state: &Path) -> Result<Self, DecisionError> {
        let path = path(state);
        match Chain::read(&path)? {
            Some(chain) if !chain.entries().is_empty() => Ok(Self { chain }),
            _ => Err(DecisionError::None(path)),
        }
    }

    /// Records the first decision of a site.
    ///
    /// # Errors
    ///
    /// A site that has decided before, an empty reason, and a disk that does not take it.
    pub fn first(
        state: &Path,
        to: PatientBudget,
        reason: &str,
        now: u64,
    ) -> Result<Self, DecisionError> {
        let path = path(state);
        if Chain::<Decision>::read(&path)?.is_some_and(|chain| !chain.entries().is_empty()) {
            return Err(DecisionError::Decided(path));
        }
        durable::create_folder(state)?;
        Self::append(&path, None, to, reason, now)
    }

    /// Records that from now on more is allowed.
    ///
    /// # Errors
    ///
    /// A budget that is not above the one decided last, an empty reason, and a disk that does not take it.
    pub fn raise(
        state: &Path,
        to: PatientBudget,
        reason: &str,
        now: u64,
    ) -> Result<Self, DecisionError> {
        let from = Self::read(state)?.last().to;
        if to.is_within(from) {
            return Err(DecisionError::NotAbove { from, to });
        }
        Self::append(&path(state), Some(from), to, reason, now)
    }

    /// The last decision.
    ///
    /// # Panics
    ///
    /// Never: there is one.
    #[must_use]
    pub fn last(&self) -> &Decision {
        self.all()
            .last()
            .expect("decisions are read with at least one")
    }

    /// All decisions, oldest first.
    #[must_use]
    pub fn all(&self) -> &[Decision] {
        self.chain.entries()
    }

    /// The digest of the last line: who keeps it elsewhere can tell whether the file was written again.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.chain.last()
    }

    fn append(
        path: &Path,
        from: Option<PatientBudget>,
        to: PatientBudget,
        reason: &str,
        now: u64,
    ) -> Result<Self, DecisionError> {
        let reason = reason.trim();
        if reason.is_empty() {
            return Err(DecisionError::NoReason);
        }
        let decision = Decision {
            at: now,
            from,
            to,
            reason: reason.to_owned(),
        };
        Ok(Self {
            chain: Chain::append(path, decision)?,
        })
    }
}

/// The patient budget in force: what `host.toml` says, which is within what was decided. `None` where there is no limit.
///
/// # Errors
///
/// A `host.toml` that allows more than was decided, and as [`Decisions::read`].
pub fn budget_in_force(config: &Config) -> Result<Option<Budget>, DecisionError> {
    let decided = Decisions::read(&config.state)?.last().to;
    let said = config.patient_budget;
    if !said.is_within(decided) {
        return Err(DecisionError::NotDecided { said, decided });
    }
    Ok(said.limit())
}

/// Why there is no budget in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecisionError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file was changed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// No decision was recorded.
    #[error(
        "{} is not there: restore it from a backup of the state folder; where this site has never recorded a patient \
         budget, `host budget record --reason …` records what host.toml says", .0.display()
    )]
    None(PathBuf),
    /// A decision was recorded.
    #[error("{} holds a decision already: `host budget raise` records another", .0.display())]
    Decided(PathBuf),
    /// The file says more than people decided.
    #[error(
        "host.toml allows {said} for each patient, and what was decided is {decided}: a higher budget is a decision, which \
         `{}` records with its reason", command(*said)
    )]
    NotDecided {
        /// What the file says.
        said: PatientBudget,
        /// What was decided.
        decided: PatientBudget,
    },
    /// It would not be raised.
    #[error("{to} is not above {from}, which is decided: to allow less, write it into host.toml")]
    NotAbove {
        /// What is decided.
        from: PatientBudget,
        /// What was asked for.
        to: PatientBudget,
    },
    /// Nobody said why.
    #[error("a decision needs its reason: say in --reason who decided what, and why")]
    NoReason,
}

/// The command that would record this budget.
fn command(to: PatientBudget) -> String {
    match to {
        PatientBudget::Limit(Budget { epsilon, delta }) => {
            format!("host budget raise --epsilon {epsilon} --delta {delta} --reason …")
        }
        PatientBudget::None => "host budget raise --none --reason …".to_owned(),
    }
}

fn path(state: &Path) -> PathBuf {
    state.join("decisions.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(epsilon: f64) -> PatientBudget {
        PatientBudget::Limit(Budget {
            epsilon: epsilon.try_into().unwrap(),
            delta: 1e-5.try_into().unwrap(),
        })
    }

    #[test]
    fn a_decision_is_recorded_with_its_time_and_reason() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        assert!(matches!(
            Decisions::read(&state),
            Err(DecisionError::None(_))
        ));
        Decisions::first(&state, limit(3.0), "a new site", 7).unwrap();
        let again = Decisions::first(&state, limit(9.0), "a new site", 8).unwrap_err();
        assert!(matches!(again, DecisionError::Decided(_)), "{again}");
        Decisions::raise(&state, limit(4.0), " the board, 12 May ", 9).unwrap();
        let decisions = Decisions::read(&state).unwrap();
        let wanted = Decision {
            at: 9,
            from: Some(limit(3.0)),
            to: limit(4.0),
            reason: "the board, 12 May".to_owned(),
        };
        assert_eq!((decisions.all().len(), decisions.last()), (2, &wanted));
    }

    #[test]
    fn only_more_is_raised_and_only_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        Decisions::first(state, limit(3.0), "a new site", 7).unwrap();
        for to in [limit(3.0), limit(2.0)] {
            let error = Decisions::raise(state, to, "why not", 8).unwrap_err();
            assert!(matches!(error, DecisionError::NotAbove { .. }), "{error}");
        }
        let error = Decisions::raise(state, limit(4.0), "  ", 8).unwrap_err();
        assert!(matches!(error, DecisionError::NoReason), "{error}");
        assert_eq!(Decisions::read(state).unwrap().all().len(), 1);
    }
}
