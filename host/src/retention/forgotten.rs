//! What was forgotten, and when: `state/forgotten.jsonl`.

use std::path::{Path, PathBuf};

use protocol::id::Digest;
use serde::{Deserialize, Serialize};

use super::Round;
use crate::chain::{Chain, ChainError};

/// A thing that was forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// When, in seconds since 1970.
    pub at: u64,
    /// What it was.
    pub what: What,
}

/// What was forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// The record of a round: its journal and all that is kept with it.
    Round {
        /// The study.
        study: Digest,
        /// The round's number.
        round: u32,
        /// Its place in the study's plan; none where a crash left no more than the round's folder.
        place: Option<u32>,
        /// The digest of its header.
        header: Option<Digest>,
        /// The digest of the masked input's body, where one was made.
        body: Option<Digest>,
    },
    /// The state that a round started from.
    State {
        /// The study.
        study: Digest,
        /// The round's number.
        round: u32,
    },
    /// Prepared patients.
    Cohort {
        /// Their digest.
        cohort: Digest,
    },
}

impl What {
    /// The round whose whole record this is.
    pub(super) fn round(&self) -> Option<Round> {
        match self {
            Self::Round { study, round, .. } => Some(Round {
                study: *study,
                number: *round,
            }),
            Self::State { .. } | Self::Cohort { .. } => None,
        }
    }
}

/// All that was forgotten at a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten(Vec<Line>);

impl Forgotten {
    /// Reads it; nothing was forgotten where there is no file.
    ///
    /// # Errors
    ///
    /// A file that was changed.
    pub fn read(state: &Path) -> Result<Self, ChainError> {
        let chain = Chain::read(&Self::path(state))?;
        Ok(Self(
            chain.map_or_else(Vec::new, |chain| chain.entries().to_vec()),
        ))
    }

    /// When the record of a round was forgotten, if it was.
    #[must_use]
    pub fn round(&self, round: Round) -> Option<u64> {
        self.last(|what| what.round() == Some(round))
    }

    /// When the state that a round started from was forgotten, if it was.
    #[must_use]
    pub fn state_of(&self, round: Round) -> Option<u64> {
        let wanted = What::State {
            study: round.study,
            round: round.number,
        };
        self.last(|what| *what == wanted)
    }

    /// When these prepared patients were forgotten, if they were.
    #[must_use]
    pub fn cohort(&self, cohort: Digest) -> Option<u64> {
        self.last(|what| *what == What::Cohort { cohort })
    }

    pub(super) fn path(state: &Path) -> PathBuf {
        state.join("forgotten.jsonl")
    }

    fn last(&self, wanted: impl Fn(&What) -> bool) -> Option<u64> {
        let line = self.0.iter().rev().find(|line| wanted(&line.what));
        line.map(|line| line.at)
    }
}
