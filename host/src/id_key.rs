//! The key that makes numbers of ids of text: a file of 64 hexadecimal digits that no other user can read.
//!
//! It is the site's own and never leaves it. With it, all tables of the site give one patient one number; without it, nobody
//! can tell from a number whose it is by trying ids.

use std::path::{Path, PathBuf};

use protocol::id::Digest;
use protocol::seed::Seed;
use zeroize::Zeroizing;

use crate::durable::{self, FileError};
use crate::entropy::{self, NoEntropy};
use crate::imports::{Entry, Imports};
use crate::private::{self, PrivateError, Readers};

/// The key of a site.
#[derive(Debug)]
pub enum IdKey {
    /// It was read from its file.
    Kept(Seed),
    /// It was just made, and is in no file yet.
    New(Seed),
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdKeyError {
    /// The file cannot be read.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file holds something else.
    #[error("{} is not a key for ids: want 64 hexadecimal digits", .0.display())]
    NotKey(PathBuf),
    /// A new key would give patients of earlier imports second numbers.
    #[error(
        "{} is not there, and the ids of {source_name} in this folder were numbered with a key: restore that file, or name it with --id-key",
        path.display()
    )]
    Gone {
        /// Where the key is looked for.
        path: PathBuf,
        /// A source whose ids were numbered with a key.
        source_name: String,
    },
    /// No key can be made.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

impl IdKey {
    /// The key in a file; a new one where there is no such file and no import needed one.
    ///
    /// # Errors
    ///
    /// A file that holds no key or that others can read, and one that is gone.
    pub fn find(path: &Path, imports: &Imports) -> Result<Self, IdKeyError> {
        if path.exists() {
            return Ok(Self::Kept(read(path)?));
        }
        match imports.with_key() {
            Some(Entry { source, .. }) => Err(IdKeyError::Gone {
                path: path.to_owned(),
                source_name: source.clone(),
            }),
            None => Ok(Self::New(Seed::new(entropy::seed()?))),
        }
    }

    /// The key itself.
    #[must_use]
    pub fn seed(&self) -> &Seed {
        match self {
            Self::Kept(seed) | Self::New(seed) => seed,
        }
    }

    /// Its SHA-256: which key it is.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.seed().expose())
    }
}

/// Writes a new key to its file.
///
/// # Errors
///
/// A file that is there, or that cannot be written.
pub fn write(path: &Path, seed: &Seed) -> Result<(), FileError> {
    let text = Zeroizing::new(format!("{}\n", hex::encode(seed.expose())));
    durable::create_new(path, text.as_bytes())
}

fn read(path: &Path) -> Result<Seed, IdKeyError> {
    let text = private::read(path, Readers::Owner, LONGEST)?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim_ascii(), &mut bytes)
        .map_err(|_| IdKeyError::NotKey(path.to_owned()))?;
    Ok(Seed::new(bytes))
}

/// Bytes of a file with a key.
const LONGEST: u64 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids.key");
        let imports = Imports::of(folder.path()).unwrap();
        let made = IdKey::find(&path, &imports).unwrap();
        assert!(matches!(made, IdKey::New(_)));
        write(&path, made.seed()).unwrap();
        let kept = IdKey::find(&path, &imports).unwrap();
        assert!(matches!(kept, IdKey::Kept(_)));
        assert_eq!(kept.digest(), made.digest());
        durable::replace(&path, b"not a key").unwrap();
        assert!(matches!(
            IdKey::find(&path, &imports),
            Err(IdKeyError::NotKey(_))
        ));
    }
}
