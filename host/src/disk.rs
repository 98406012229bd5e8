//! What a participant keeps, as files under the site's state folder.
//!
//! ```text
//! state/ledger.jsonl                          the ledger of all studies
//! state/cohorts/<digest of study, module, files>   which prepared cohort was made of them
//! state/cohorts/<digest of cohort>.cbor       a prepared cohort
//! state/studies/<study>/register              each round that was begun
//! state/studies/<study>/memory                what the site keeps of its last round; sealed
//! state/studies/<study>/model.cbor            the published model
//! state/studies/<study>/rounds/00007/         journal, seed (sealed), kept (sealed), state, chunks/00000 … of a round
//! ```

use std::path::{Path, PathBuf};

use participant::{Key, Write};
use protocol::id::Digest;

use crate::durable::{self, FileError};
use crate::vault::{Vault, VaultError};

/// The files of a site in one study.
#[derive(Debug)]
pub struct Disk {
    state: PathBuf,
    study: PathBuf,
    /// Seals seeds and what the site keeps of a round.
    vault: Option<Vault>,
}

impl Disk {
    /// Those under the state folder `state`, and of the study that is kept in the folder `study`.
    #[must_use]
    pub fn new(state: &Path, study: &Path) -> Self {
        Self {
            state: state.to_owned(),
            study: study.to_owned(),
            vault: None,
        }
    }

    /// The same files; secrets among them can be read and written.
    #[must_use]
    pub fn with_vault(self, vault: Vault) -> Self {
        Self {
            vault: Some(vault),
            ..self
        }
    }

    /// Makes a change; on return it is durable.
    ///
    /// # Errors
    ///
    /// A disk that does not take it.
    pub fn write(&self, write: &Write) -> Result<(), DiskError> {
        match write {
            Write::Append(key, bytes) => durable::append(&self.made(*key)?, bytes)?,
            Write::Put(key, bytes) => durable::replace(&self.made(*key)?, bytes)?,
            Write::Seal(key, secret) => {
                let context = self.context(*key).unwrap_or_default();
                let sealed = self.vault(*key)?.seal(&context, secret);
                durable::replace(&self.made(*key)?, &sealed)?;
            }
            Write::ForgetChunks(round) => {
                durable::remove_folder(&self.round(*round).join(CHUNKS))?;
            }
        }
        Ok(())
    }

    /// What is kept; `None` where nothing is.
    ///
    /// # Errors
    ///
    /// A file that is there and cannot be read.
    pub fn load(&self, key: Key) -> Result<Option<Vec<u8>>, DiskError> {
        let bytes = match durable::read(&self.path(key)) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(context) = self.context(key) else {
            return Ok(Some(bytes));
        };
        let opened = self.vault(key)?.open(&context, &bytes);
        let secret = opened.map_err(|error| DiskError::Sealed {
            path: self.path(key),
            error,
        })?;
        Ok(Some(secret.to_vec()))
    }

    /// Refuses a study whose register of rounds is gone while their records are there: it is not begun again in silence.
    ///
    /// # Errors
    ///
    /// [`DiskError::NoRegister`].
    pub fn check_register(&self) -> Result<(), DiskError> {
        let register = self.path(Key::Register);
        if !register.exists() && self.study.join("rounds").exists() {
            return Err(DiskError::NoRegister(register));
        }
        Ok(())
    }

    /// What a secret is sealed for: its kind, study and round; `None` of what is no secret.
    fn context(&self, key: Key) -> Option<Vec<u8>> {
        let (kind, round) = match key {
            Key::Seed(round) => ("seed", round),
            Key::Kept(round) => ("kept", round),
            Key::Memory => ("memory", 0),
            _ => return None,
        };
        let study = self.study.file_name().unwrap_or_default();
        let study = Digest::of(study.as_encoded_bytes());
        Some([kind.as_bytes(), &study.0, &round.to_be_bytes()].concat())
    }

    fn vault(&self, key: Key) -> Result<&Vault, DiskError> {
        self.vault
            .as_ref()
            .ok_or_else(|| DiskError::Locked(self.path(key)))
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
            Key::Kept(round) => self.round(round).join("kept"),
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

/// Why something is not kept, or cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A secret cannot be opened.
    #[error("{}: {error}", path.display())]
    Sealed {
        /// Its file.
        path: PathBuf,
        /// Why not.
        error: VaultError,
    },
    /// The register of a study is gone.
    #[error(
        "{} is not there, and records of rounds are: restore it from a backup, or run `host ledger reconcile`, which writes what the ledger \
         has",
        .0.display()
    )]
    NoRegister(PathBuf),
    /// The vault was not opened.
    #[error("{} is a secret, and the vault was not opened", .0.display())]
    Locked(PathBuf),
}

const COHORTS: &str = "cohorts";
const CHUNKS: &str = "chunks";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{KeySource, Surroundings, VaultSettings};

    /// The name of a study's folder is its digest.
    fn disk(folder: &Path) -> Disk {
        let settings = VaultSettings {
            key: KeySource::File(folder.join("vault.key")),
            state: folder.join("state"),
        };
        let vault = Vault::make(&settings, &Surroundings::of_process()).unwrap();
        Disk::new(&settings.state, &folder.join("study")).with_vault(vault)
    }

    #[test]
    fn a_rounds_seed_is_sealed_for_its_study_and_round_alone() {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(folder.path());
        let seed = [7; 32];
        for key in [Key::Seed(3), Key::Kept(3), Key::Memory] {
            disk.write(&Write::Seal(key, seed.to_vec().into())).unwrap();
            let kept = std::fs::read(disk.path(key)).unwrap();
            assert!(!kept.windows(8).any(|some| some == &seed[..8]), "{key:?}");
            assert_eq!(disk.load(key).unwrap().unwrap(), seed);
        }
        std::fs::create_dir_all(disk.round(4)).unwrap();
        std::fs::copy(disk.path(Key::Seed(3)), disk.path(Key::Seed(4))).unwrap();
        let moved = disk.load(Key::Seed(4));
        assert!(matches!(moved, Err(DiskError::Sealed { .. })), "{moved:?}");
        let locked = Disk::new(&folder.path().join("state"), &folder.path().join("study"));
        let refused = locked.load(Key::Seed(3));
        assert!(matches!(refused, Err(DiskError::Locked(_))), "{refused:?}");
    }

    #[test]
    fn what_is_written_is_loaded_and_chunks_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(folder.path());
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
