//! How long recorded rounds and prepared patients are kept, and what is forgotten after that.
//!
//! ```text
//! state/studies/<digest>/rounds/<number>/   journals-days: all of it, the seed too; states-days: the file `state` alone
//! state/cohorts/<digest>.cbor               cohorts-days: prepared patients, since a round last used them
//! state/forgotten.jsonl                     a line for each thing forgotten: when, and what it was
//! ```
//!
//! What was forgotten cannot be replayed. It cannot be asked again either: the ledger, the decisions and what is approved are
//! never touched, and a line says which round it was, at which place, with which header and which masked input. Of each
//! study the last round stays, for it may be open.

mod forgotten;
mod record;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use participant::journal::Damaged;
use protocol::id::Digest;
use serde::Deserialize;

use crate::chain::{Chain, ChainError};
use crate::durable::{self, FileError};

pub use forgotten::{Forgotten, Line, What};
use record::Record;

/// How many days things are kept after they were last written; without a number, for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Retention {
    /// Recorded rounds, with their seeds.
    pub journals_days: Option<u32>,
    /// The states that rounds started from.
    pub states_days: Option<u32>,
    /// Prepared patients.
    pub cohorts_days: Option<u32>,
}

impl Retention {
    /// Refuses a number of days in which nothing could be audited.
    pub(crate) fn check(self) -> Result<(), (&'static str, String)> {
        for (setting, days) in [
            ("retention.journals-days", self.journals_days),
            ("retention.states-days", self.states_days),
            ("retention.cohorts-days", self.cohorts_days),
        ] {
            if days == Some(0) {
                return Err((setting, "is 0; want at least 1, or leave it out".to_owned()));
            }
        }
        Ok(())
    }

    /// What is too old at `now`, in seconds since 1970; `None` where all is kept for good.
    #[must_use]
    pub fn at(self, now: u64) -> Option<Before> {
        let before = |days: Option<u32>| {
            days.map(|days| now.saturating_sub(u64::from(days) * SECONDS_OF_A_DAY))
        };
        let before = Before {
            journals: before(self.journals_days),
            states: before(self.states_days),
            cohorts: before(self.cohorts_days),
        };
        (before != Before::default()).then_some(before)
    }
}

/// Times before which things are forgotten, in seconds since 1970; without one, nothing of the kind is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Recorded rounds.
    pub journals: Option<u64>,
    /// The states that rounds started from.
    pub states: Option<u64>,
    /// Prepared patients.
    pub cohorts: Option<u64>,
}

impl Before {
    /// One time for all of them.
    #[must_use]
    pub fn all(time: u64) -> Self {
        Self {
            journals: Some(time),
            states: Some(time),
            cohorts: Some(time),
        }
    }
}

/// What would be forgotten; nothing is, until it is carried out.
#[derive(Debug)]
pub struct Forgetting {
    state: PathBuf,
    /// What would be forgotten, in the order in which it is.
    pub items: Vec<Item>,
    /// What is old enough and stays.
    pub kept: Vec<Kept>,
}

/// Something that would be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub what: What,
    /// Rounds that can no longer be replayed without it, and could with it.
    pub replays: Vec<Round>,
    paths: Vec<PathBuf>,
}

/// A round of a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Round {
    /// The study.
    pub study: Digest,
    /// The round's number.
    pub number: u32,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {} of study {}", self.number, self.study)
    }
}

/// A round that is old enough to be forgotten, and stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The round.
    pub round: Round,
    /// Why it stays.
    pub because: String,
}

impl Forgetting {
    /// All that is older than `before` says, of all studies.
    ///
    /// # Errors
    ///
    /// A folder that cannot be read.
    pub fn older(state: &Path, before: Before) -> Result<Self, ForgetError> {
        let records = record::all(state)?;
        let mut this = Self {
            state: state.to_owned(),
            items: Vec::new(),
            kept: Vec::new(),
        };
        for record in &records {
            this.add_round(record, before);
        }
        if let Some(before) = before.cohorts {
            this.add_cohorts(&records, before)?;
        }
        Ok(this)
    }

    /// One round of a study, however old it is.
    ///
    /// # Errors
    ///
    /// A round that is not there, one that must stay, and a folder that cannot be read.
    pub fn one(state: &Path, round: Round) -> Result<Self, ForgetError> {
        let records = record::all(state)?;
        let record = records.iter().find(|record| record.round == round);
        let record = record.ok_or(ForgetError::NotThere(round))?;
        if let Some(because) = record.stays() {
            return Err(ForgetError::Stays { round, because });
        }
        Ok(Self {
            state: state.to_owned(),
            items: vec![record.whole()],
            kept: Vec::new(),
        })
    }

    /// Forgets all of it. What a crash leaves undone is found the next time.
    ///
    /// # Errors
    ///
    /// A line that cannot be written or a file that cannot be removed; what comes after it is left.
    pub fn carry_out(self, now: u64) -> Result<(), ForgetError> {
        for item in self.items {
            let line = Line {
                at: now,
                what: item.what,
            };
            // Said first: nothing is ever gone without a line that says when.
            Chain::append(&Forgotten::path(&self.state), line)?;
            for path in &item.paths {
                durable::remove(path)?;
            }
        }
        Ok(())
    }

    fn add_round(&mut self, record: &Record, before: Before) {
        let old = |time: Option<u64>| time.is_some_and(|time| record.changed < time);
        let (whole, state) = (old(before.journals), old(before.states));
        let state = state && record.has_state();
        if !(whole || state) {
            return;
        }
        match record.stays() {
            Some(because) => self.kept.push(Kept {
                round: record.round,
                because,
            }),
            None if whole => self.items.push(record.whole()),
            None => self.items.push(record.state()),
        }
    }

    fn add_cohorts(&mut self, records: &[Record], before: u64) -> Result<(), ForgetError> {
        let mut used: BTreeMap<Digest, Vec<&Record>> = BTreeMap::new();
        for record in records {
            if let Some(cohort) = record.cohort() {
                used.entry(cohort).or_default().push(record);
            }
        }
        let whole: Vec<Round> = self
            .items
            .iter()
            .filter_map(|item| item.what.round())
            .collect();
        for cohort in record::cohorts(&self.state)? {
            let rounds = used.get(&cohort.digest).map_or(&[][..], Vec::as_slice);
            let last = rounds.iter().map(|record| record.changed).max();
            if last.unwrap_or(0).max(cohort.changed) >= before
                || rounds.iter().any(|record| record.stays().is_some())
            {
                continue;
            }
            let rounds = rounds.iter().map(|record| record.round);
            self.items.push(Item {
                what: What::Cohort {
                    cohort: cohort.digest,
                },
                replays: rounds.filter(|round| !whole.contains(round)).collect(),
                paths: cohort.paths,
            });
        }
        Ok(())
    }
}

/// Why nothing more is forgotten.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForgetError {
    /// A file or folder could not be read, written or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// What was forgotten before cannot be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A round's journal cannot be read.
    #[error(transparent)]
    Journal(#[from] Damaged),
    /// The site has no such round.
    #[error("this site has no record of {0}: `host ledger` lists the rounds that it took part in")]
    NotThere(Round),
    /// The round is still needed.
    #[error("{round} stays: {because}")]
    Stays {
        /// The round.
        round: Round,
        /// Why.
        because: String,
    },
}

const SECONDS_OF_A_DAY: u64 = 86_400;

#[cfg(test)]
mod tests;
