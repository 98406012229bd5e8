//! What a site keeps of its rounds and patients, as it lies on disk.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use participant::journal::{Damaged, Journal};
use protocol::api::Stage;
use protocol::codec;
use protocol::id::Digest;

use super::{ForgetError, Item, Round, What};
use crate::durable::{self, FileError};

/// The record of a round.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) round: Round,
    /// When its journal was last written, in seconds since 1970.
    pub(super) changed: u64,
    folder: PathBuf,
    role: Role,
    journal: Result<Option<Summary>, Damaged>,
}

/// What a study still needs of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Last,
    Past,
}

/// What is left of a journal.
#[derive(Clone, Copy, Debug)]
struct Summary {
    place: u32,
    header: Digest,
    body: Option<Digest>,
    cohort: Digest,
}

impl Record {
    /// Why the round must stay, if it must.
    pub(super) fn stays(&self) -> Option<String> {
        match (self.role, &self.journal) {
            (Role::Last, _) => Some("it is the last one of its study, and may be open".to_owned()),
            (Role::Past, Err(error)) => Some(error.to_string()),
            (Role::Past, Ok(_)) => None,
        }
    }

    /// All of it.
    pub(super) fn whole(&self) -> Item {
        let summary = self.summary();
        Item {
            what: What::Round {
                study: self.round.study,
                round: self.round.number,
                place: summary.map(|summary| summary.place),
                header: summary.map(|summary| summary.header),
                body: summary.and_then(|summary| summary.body),
            },
            replays: vec![self.round],
            // The journal first: a crash in between must leave none that seems whole.
            paths: vec![self.folder.join(JOURNAL), self.folder.clone()],
        }
    }

    /// The state that it started from.
    pub(super) fn state(&self) -> Item {
        Item {
            what: What::State {
                study: self.round.study,
                round: self.round.number,
            },
            replays: vec![self.round],
            paths: vec![self.folder.join(STATE)],
        }
    }

    pub(super) fn has_state(&self) -> bool {
        self.folder.join(STATE).exists()
    }

    /// The digest of the patients that it was computed from.
    pub(super) fn cohort(&self) -> Option<Digest> {
        self.summary().map(|summary| summary.cohort)
    }

    fn summary(&self) -> Option<Summary> {
        *self.journal.as_ref().ok()?
    }
}

/// Prepared patients.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) digest: Digest,
    /// When they were prepared, in seconds since 1970.
    pub(super) changed: u64,
    /// Their file, and those that lead to it.
    pub(super) paths: Vec<PathBuf>,
}

/// The records of all rounds of all studies, by study and number.
pub(super) fn all(state: &Path) -> Result<Vec<Record>, ForgetError> {
    let mut records = Vec::new();
    for (name, folder) in entries(&state.join("studies"))? {
        let Ok(study) = name.parse() else { continue };
        let mut rounds = Vec::new();
        for (name, folder) in entries(&folder.join("rounds"))? {
            let Ok(number) = name.parse() else { continue };
            rounds.push((Round { study, number }, folder));
        }
        rounds.sort();
        let last = rounds.last().map(|(round, _)| *round);
        for (round, folder) in rounds {
            let role = match round {
                round if Some(round) == last => Role::Last,
                _ => Role::Past,
            };
            records.push(Record {
                round,
                changed: changed(&folder.join(JOURNAL)).or_else(|_| changed(&folder))?,
                journal: summary(&folder),
                folder,
                role,
            });
        }
    }
    records.sort_by_key(|record| record.round);
    Ok(records)
}

/// All prepared patients.
pub(super) fn cohorts(state: &Path) -> Result<Vec<Prepared>, ForgetError> {
    let entries = entries(&state.join("cohorts"))?;
    let mut cohorts = Vec::new();
    for (name, path) in &entries {
        let digest = name
            .strip_suffix(".cbor")
            .and_then(|name| name.parse().ok());
        let Some(digest) = digest else { continue };
        let leads = |path: &&(String, PathBuf)| {
            durable::read(&path.1).is_ok_and(|bytes| bytes == Digest::to_string(&digest).as_bytes())
        };
        let keys = entries.iter().filter(|(name, _)| !name.contains('.'));
        let keys = keys.filter(leads).map(|(_, path)| path.clone());
        cohorts.push(Prepared {
            digest,
            changed: changed(path)?,
            paths: keys.chain([path.clone()]).collect(),
        });
    }
    Ok(cohorts)
}

fn summary(folder: &Path) -> Result<Option<Summary>, Damaged> {
    let Ok(bytes) = durable::read(&folder.join(JOURNAL)) else {
        return Ok(None);
    };
    let (Some(journal), _) = Journal::decode(&bytes)? else {
        return Ok(None);
    };
    let opened = journal.opened();
    Ok(Some(Summary {
        place: opened.header.place,
        header: Digest::of(&codec::encode(&opened.header)),
        body: journal.sending(Stage::Mask).map(|sent| sent.body()),
        cohort: opened.cohort,
    }))
}

/// Names and paths in a folder, by name; none where it is not there.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, FileError> {
    let mut entries = Vec::new();
    if !folder.exists() {
        return Ok(entries);
    }
    for entry in std::fs::read_dir(folder).map_err(FileError::at("reading", folder))? {
        let entry = entry.map_err(FileError::at("reading", folder))?;
        if let Ok(name) = entry.file_name().into_string() {
            entries.push((name, entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}

/// When a file was last written, in seconds since 1970.
fn changed(path: &Path) -> Result<u64, FileError> {
    let metadata = std::fs::metadata(path).map_err(FileError::at("reading", path))?;
    let time = metadata
        .modified()
        .map_err(FileError::at("reading", path))?;
    Ok(time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs()))
}

const JOURNAL: &str = "journal";
const STATE: &str = "state";
