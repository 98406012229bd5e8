//! What outlives the process: a folder with one file a thing.
//!
//! ```text
//! STORE/aggregator.key         the X25519 secret, mode 0600
//! STORE/enrolment.redb         tokens (as SHA-256), enrolled sites, the closed list of them and what they reveal; opened
//!                              for moments, so that the commands `token` and `roster` work beside a running service
//! STORE/studies/DIGEST.redb    the rounds of the study with that digest; held open, and locked, by the service
//! ```

mod enrolment;
mod journal;
mod key;

pub use enrolment::{
    EnrolError, Enrolled, Enrolment, Roster, RosterError, SiteName, SiteNameError, Token,
};
pub use journal::{Commit, Journal};
pub use key::{load_key, load_or_create_key};

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use protocol::codec::DecodeError;
use protocol::id::{Digest, SiteId};

/// The folder.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// The store in `folder`, which is made where it is missing, readable by its owner alone.
    ///
    /// # Errors
    ///
    /// A folder that cannot be made.
    pub fn at(folder: &Path) -> Result<Self, StoreError> {
        let studies = folder.join("studies");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&studies)
            .map_err(|source| StoreError::file(&studies, source))?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Where the aggregator's secret is.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.folder.join("aggregator.key")
    }

    /// The tokens and enrolled sites.
    #[must_use]
    pub fn enrolment(&self) -> Enrolment {
        Enrolment::new(self.folder.join("enrolment.redb"))
    }

    /// The rounds of a study.
    ///
    /// # Errors
    ///
    /// A file that cannot be opened, or that another process holds.
    pub fn journal(&self, study: Digest) -> Result<Journal, StoreError> {
        Journal::open(&self.folder.join("studies").join(format!("{study}.redb")))
    }
}

/// Why the store does not do as it is asked. No site can act on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of the key is not one of ours.
    #[error("{}: want 64 hexadecimal digits, the aggregator's secret", .0.display())]
    Key(PathBuf),
    /// There is no key yet.
    #[error("{}: there is no key; make one with `aggregator key`", .0.display())]
    NoKey(PathBuf),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// The embedded database could not be opened again after a failure.
    #[error("the database is closed after a failure")]
    Closed,
    /// The embedded database failed.
    #[error("the database failed: {0}")]
    Database(#[from] redb::Error),
    /// A stored value cannot be read back.
    #[error("a stored {what} cannot be read: {source}")]
    Unreadable {
        /// What the value is.
        what: &'static str,
        /// Why.
        source: DecodeError,
    },
    /// A chunk that was stored is gone.
    #[error("chunk {number} of site {site} is not there any more")]
    NoChunk {
        /// Whose vector it is of.
        site: SiteId,
        /// Its number.
        number: u32,
    },
    /// A stored record of a round cannot be read back.
    #[error("a stored record of a round cannot be read: {0}")]
    Record(#[from] serde_json::Error),
}

impl StoreError {
    fn file(path: &Path, source: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }
}

/// Makes the entry of a new file in its folder durable.
fn sync_folder_of(path: &Path) -> Result<(), StoreError> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| StoreError::file(folder, source))
}

/// Whether `path` exists; an unreadable folder is an error, not "no".
fn exists(path: &Path) -> Result<bool, StoreError> {
    fs::exists(path).map_err(|source| StoreError::file(path, source))
}
