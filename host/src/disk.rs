//! What a participant keeps, as files under the site's state folder.
//!
//! ```text
//! state/ledger.jsonl                          the ledger of all studies
//! state/cohorts/<digest of study, module, files>   which prepared cohort was made of them
//! state/cohorts/<digest of cohort>.cbor       a prepared cohort
//! state/studies/<study>/register              each round that was begun
//! state/studies/<study>/memory                what the site keeps of its last round
//! state/studies/<study>/model.cbor            the published model
//! state/studies/<study>/rounds/00007/         journal, seed, state, chunks/00000 … of a round
//! ```

use std::path::{Path, PathBuf};

use participant::{Key, Write};

use crate::durable::{self, FileError};

/// The files of a site in one study.
#[derive(Clone, Debug)]
pub struct Disk {
    state: PathBuf,
    study: PathBuf,
}

impl Disk {
    /// Those under the state folder `state`, and of the study that is kept in the folder `study`.
    #[must_use]
    pub fn new(state: &Path, study: &Path) -> Self {
        Self {
            state: state.to_owned(),
            study: study.to_owned(),
        }
    }

    /// Makes a change; on return it is durable.
    ///
    /// # Errors
    ///
    /// A disk that does not take it.
    pub fn write(&self, write: &Write) -> Result<(), FileError> {
        match write {
            Write::Append(key, bytes) => durable::append(&self.made(*key)?, bytes),
            Write::Put(key, bytes) => durable::replace(&self.made(*key)?, bytes),
            Write::ForgetChunks(round) => durable::remove_folder(&self.round(*round).join(CHUNKS)),
        }
    }

    /// What is kept; `None` where nothing is.
    ///
    /// # Errors
    ///
    /// A file that is there and cannot be read.
    pub fn load(&self, key: Key) -> Result<Option<Vec<u8>>, FileError> {
        match durable::read(&self.path(key)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file of a key.
    #[must_use]
    pub fn path(&self, key: Key) -> PathBuf {
        match key {
            Key::Ledger => self.state.join("ledger.jsonl"),
            Key::Prepared(digest) => self.state.join(COHORTS).join(digest.to_string()),
            Key::Cohort(digest) => self.state.join(COHORTS).join(format!("{digest}.cbor")),
            Key::Register => self.study.join("register"),
            Key::Memory => self.study.join("memory"),
            Key::Model => self.study.join("model.cbor"),
            Key::Journal(round) => self.round(round).join("journal"),
            Key::Seed(round) => self.round(round).join("seed"),
            Key::State(round) => self.round(round).join("state"),
            Key::Chunk(round, chunk) => self.round(round).join(CHUNKS).join(format!("{chunk:05}")),
        }
    }

    /// The folder of a round.
    #[must_use]
    pub fn round(&self, number: u32) -> PathBuf {
        self.study.join("rounds").join(format!("{number:05}"))
    }

    /// The file of a key, in a folder that is there.
    fn made(&self, key: Key) -> Result<PathBuf, FileError> {
        let path = self.path(key);
        if let Some(folder) = path.parent() {
            durable::create_folder(folder)?;
        }
        Ok(path)
    }
}

const COHORTS: &str = "cohorts";
const CHUNKS: &str = "chunks";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_loaded_and_chunks_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(&folder.path().join("state"), &folder.path().join("study"));
        assert_eq!(disk.load(Key::Journal(7)).unwrap(), None);
        for bytes in [b"one", b"two"] {
            disk.write(&Write::Append(Key::Journal(7), bytes.to_vec()))
                .unwrap();
            disk.write(&Write::Put(Key::Chunk(7, 3), bytes.to_vec()))
                .unwrap();
        }
        assert_eq!(disk.load(Key::Journal(7)).unwrap().unwrap(), b"onetwo");
        assert_eq!(disk.load(Key::Chunk(7, 3)).unwrap().unwrap(), b"two");
        disk.write(&Write::ForgetChunks(7)).unwrap();
        disk.write(&Write::ForgetChunks(8)).unwrap();
        assert_eq!(disk.load(Key::Chunk(7, 3)).unwrap(), None);
        assert!(disk.load(Key::Journal(7)).unwrap().is_some());
    }
}
