//! The site's identity key on disk: who the hospital is, to the other hospitals.
//!
//! An Ed25519 key in PKCS#8 form, readable by its owner alone. The module never sees it: the host signs what it sends.

use std::path::{Path, PathBuf};

use protocol::identity::Identity;
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;

use crate::durable::{self, FileError};
use crate::entropy::NoEntropy;
use crate::private::{self, PrivateError, Readers};

/// Makes a new key and writes it to a file that was not there before.
///
/// # Errors
///
/// A file that is there: a key is never overwritten, for the hospital would be somebody else.
pub fn create(path: &Path) -> Result<Identity, IdentityError> {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| NoEntropy)?;
    durable::create_new(path, document.as_ref()).map_err(|error| {
        if error.is_there_already() {
            IdentityError::Exists(path.to_owned())
        } else {
            error.into()
        }
    })?;
    parse(path, document.as_ref())
}

/// Reads the key that [`create`] wrote.
///
/// # Errors
///
/// A file that other users can read or change, one that holds no key, and one that cannot be read.
pub fn load(path: &Path) -> Result<Identity, IdentityError> {
    let document = private::read(path, Readers::Owner, LONGEST).map_err(|error| match error {
        PrivateError::Odd(path) => IdentityError::NoKey(path),
        other => other.into(),
    })?;
    parse(path, &document)
}

fn parse(path: &Path, document: &[u8]) -> Result<Identity, IdentityError> {
    Identity::from_pkcs8(document).map_err(|_| IdentityError::NoKey(path.to_owned()))
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// No key could be made.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// There is a key.
    #[error("{} is there already: a site keeps its key, for rosters name it", .0.display())]
    Exists(PathBuf),
    /// The file could not be read, or other users could act as this site.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// The file holds something else.
    #[error("{} holds no Ed25519 private key in PKCS#8 form", .0.display())]
    NoKey(PathBuf),
}

/// Bytes of the longest file that is read as a key; a PKCS#8 document has 83.
const LONGEST: u64 = 1_024;

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_written_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.key");
        let made = create(&path).unwrap();
        assert_eq!(load(&path).unwrap().key(), made.key());
        assert!(matches!(create(&path), Err(IdentityError::Exists(_))));
        assert_eq!(load(&path).unwrap().key(), made.key());
    }

    #[test]
    fn a_key_that_others_can_reach_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.key");
        create(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601, 0o666] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = load(&path).unwrap_err();
            assert!(
                matches!(error, IdentityError::Private(PrivateError::Exposed { mode: found, .. }) if found == mode),
                "{error}"
            );
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert!(load(&path).is_ok());
    }

    #[test]
    fn another_file_is_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.key");
        durable::create_new(&path, &[0; 83]).unwrap();
        assert!(matches!(load(&path), Err(IdentityError::NoKey(_))));
        assert!(matches!(
            load(&folder.path().join("none")),
            Err(IdentityError::Private(PrivateError::File(_)))
        ));
    }
}
