//! The sealed chunks of a masked vector on this site's disk, from before it is announced until the aggregator has all.
//!
//! ```text
//! rounds/00007/chunks/00000    the first sealed chunk, as it is sent
//! ```
//!
//! They follow from the journal's seed and requests, but to make them again is to train again. So after a crash those that
//! the aggregator lacks are read from here.

use std::path::{Path, PathBuf};

use protocol::id::ChunkDigest;

use crate::durable::{self, FileError};

/// The chunks of the round whose journal is in this folder.
#[derive(Clone, Debug)]
pub struct Chunks(PathBuf);

impl Chunks {
    /// Those beside a round's journal.
    #[must_use]
    pub fn of_round(folder: &Path) -> Self {
        Self(folder.join("chunks"))
    }

    /// Keeps a chunk; on return it is on the disk.
    ///
    /// # Errors
    ///
    /// A disk that does not take it.
    pub fn keep(&self, number: u32, sealed: &[u8]) -> Result<(), FileError> {
        durable::create_folder(&self.0)?;
        durable::replace(&self.file(number), sealed)
    }

    /// The chunk with this number and digest; `None` where it is not there or is damaged.
    ///
    /// # Errors
    ///
    /// A file that is there and cannot be read.
    pub fn kept(&self, number: u32, digest: &ChunkDigest) -> Result<Option<Vec<u8>>, FileError> {
        match durable::read(&self.file(number)) {
            Ok(sealed) => Ok(Some(sealed).filter(|sealed| ChunkDigest::of(sealed) == *digest)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes all of them: the aggregator has them, or the round is over.
    ///
    /// # Errors
    ///
    /// A folder that cannot be removed.
    pub fn forget(&self) -> Result<(), FileError> {
        durable::remove_folder(&self.0)
    }

    fn file(&self, number: u32) -> PathBuf {
        self.0.join(format!("{number:05}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_what_was_kept_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let chunks = Chunks::of_round(folder.path());
        let digest = ChunkDigest::of(b"sealed");
        assert_eq!(chunks.kept(3, &digest).unwrap(), None);
        chunks.forget().unwrap();
        chunks.keep(3, b"sealed").unwrap();
        assert_eq!(chunks.kept(3, &digest).unwrap().unwrap(), b"sealed");
        assert_eq!(chunks.kept(3, &ChunkDigest::of(b"other")).unwrap(), None);
        assert_eq!(chunks.kept(2, &digest).unwrap(), None);
        chunks.forget().unwrap();
        assert_eq!(chunks.kept(3, &digest).unwrap(), None);
        assert!(!folder.path().join("chunks").exists());
    }
}
