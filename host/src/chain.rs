//! A file to which lines are added and of which none is changed: each names the SHA-256 of the line before it.
//!
//! ```text
//! {"previous":"0000…","entry":{…}}
//! {"previous":"<SHA-256 of the line above, without its end>","entry":{…}}
//! ```
//!
//! A line that was changed, removed from the middle or put in is found when the file is read, and named. Who may write to the
//! file can still write all of it again; the digest of the last line, kept elsewhere, shows that too. A line that a crash
//! cut short was never reported as written, and is dropped.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use protocol::id::Digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::durable::{self, FileError};

/// A file of entries, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain<T> {
    path: PathBuf,
    entries: Vec<T>,
    /// The digest of the last line.
    last: Digest,
}

impl<T: Serialize + DeserializeOwned> Chain<T> {
    /// Reads the file at `path`; `None` where there is none.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, and a line that is not one or does not follow from the one before.
    pub fn read(path: &Path) -> Result<Option<Self>, ChainError> {
        match durable::read(path) {
            Ok(bytes) => Ok(Some(Self::parse(path, &bytes)?.0)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds an entry at the end of the file at `path`, which is made where there is none. On return it is on disk.
    ///
    /// # Errors
    ///
    /// As [`Chain::read`], and a disk that does not take it.
    pub fn append(path: &Path, entry: T) -> Result<Self, ChainError> {
        let mut file = durable::open_log(path)?;
        // Two at once would both follow from the same line.
        file.lock().map_err(FileError::at("locking", path))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(FileError::at("reading", path))?;
        let (mut chain, whole) = Self::parse(path, &bytes)?;
        if whole < bytes.len() {
            durable::cut(&file, path, whole)?;
        }
        chain.write(&mut file, entry)?;
        Ok(chain)
    }

    /// All entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[T] {
        &self.entries
    }

    /// The digest of the last line: who keeps it elsewhere can tell whether the file was written again.
    #[must_use]
    pub fn last(&self) -> Digest {
        self.last
    }

    fn write(&mut self, file: &mut File, entry: T) -> Result<(), ChainError> {
        let line = Line {
            previous: self.last,
            entry,
        };
        let text = serde_json::to_string(&line).expect("an entry has no key that JSON lacks");
        file.write_all(format!("{text}\n").as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(FileError::at("writing", &self.path))?;
        self.last = Digest::of(text.as_bytes());
        self.entries.push(line.entry);
        Ok(())
    }

    /// The entries, and the bytes that their lines take.
    fn parse(path: &Path, bytes: &[u8]) -> Result<(Self, usize), ChainError> {
        let mut chain = Self {
            path: path.to_owned(),
            entries: Vec::new(),
            last: FIRST,
        };
        let mut whole = 0;
        for text in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(text) = text.strip_suffix(b"\n") else {
                break;
            };
            let number = chain.entries.len() + 1;
            let damaged = |reason| ChainError::Damaged {
                path: path.to_owned(),
                number,
                reason,
            };
            let line: Line<T> =
                serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
            if line.previous != chain.last {
                return Err(damaged(
                    "it does not follow from the line before".to_owned(),
                ));
            }
            chain.last = Digest::of(text);
            chain.entries.push(line.entry);
            whole += text.len() + 1;
        }
        Ok((chain, whole))
    }
}

/// Why a file of entries cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// It could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line is not what was written.
    #[error(
        "{}, line {number}: {reason}: a line was changed, removed or put in. Look at who can write to it, and restore the \
         file from a backup", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<T> {
    previous: Digest,
    entry: T,
}

/// What the first line names.
const FIRST: Digest = Digest([0; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> (tempfile::TempDir, PathBuf, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        assert_eq!(Chain::<u32>::read(&path).unwrap(), None);
        for entry in [1_u32, 2, 3] {
            Chain::append(&path, entry).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        (folder, path, text)
    }

    #[test]
    fn what_was_added_is_read_back_in_order() {
        let (_folder, path, text) = three();
        let chain = Chain::<u32>::read(&path).unwrap().unwrap();
        assert_eq!(chain.entries(), [1, 2, 3]);
        let last = text.lines().last().unwrap();
        assert_eq!(chain.last(), Digest::of(last.as_bytes()));
    }

    #[test]
    fn a_line_that_was_changed_removed_or_moved_is_named() {
        let (_folder, path, text) = three();
        let lines: Vec<&str> = text.lines().collect();
        for (changed, number) in [
            (text.replace("\"entry\":2", "\"entry\":7"), 3),
            (format!("{}\n{}\n", lines[0], lines[2]), 2),
            (format!("{}\n{}\n", lines[1], lines[2]), 1),
            (text.replace("\"entry\":1", "\"entry\":-1"), 1),
            (text.replacen("\"entry\"", "\"note\":0,\"entry\"", 1), 1),
        ] {
            std::fs::write(&path, changed).unwrap();
            let error = Chain::<u32>::read(&path).unwrap_err();
            assert!(
                error.to_string().contains(&format!("line {number}:")),
                "{error}"
            );
            assert!(Chain::append(&path, 4_u32).is_err());
        }
    }

    #[test]
    fn a_line_that_a_crash_cut_short_is_dropped() {
        let (_folder, path, text) = three();
        let second = text.match_indices('\n').nth(1).unwrap().0 + 1;
        for cut in second..text.len() {
            std::fs::write(&path, &text[..cut]).unwrap();
            assert_eq!(
                Chain::<u32>::read(&path).unwrap().unwrap().entries(),
                [1, 2]
            );
        }
        Chain::append(&path, 3_u32).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
