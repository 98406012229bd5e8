//! The aggregator's X25519 secret: 64 hexadecimal digits in a file that its owner alone can read.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use protocol::round::Secret;
use ring::rand::SecureRandom;
use zeroize::Zeroizing;

use super::{StoreError, exists, sync_folder_of};

/// The secret in the file at `path`; drawn from `random` and written there first, where there is none.
///
/// # Errors
///
/// A file that cannot be read or written, or that holds something else.
pub fn load_or_create_key(path: &Path, random: &dyn SecureRandom) -> Result<Secret, StoreError> {
    if exists(path)? {
        return load_key(path);
    }
    let mut bytes = Zeroizing::new([0; 32]);
    random
        .fill(&mut *bytes)
        .map_err(|_| StoreError::NoRandomness)?;
    // Written beside and renamed, so that a kill leaves a whole key or none.
    let beside = path.with_extension("new");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(Zeroizing::new(hex::encode(*bytes)).as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        });
    written
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|source| StoreError::file(path, source))?;
    sync_folder_of(path)?;
    load_key(path)
}

/// The secret in the file at `path`.
///
/// # Errors
///
/// A file that is missing, cannot be read, or holds something else.
pub fn load_key(path: &Path) -> Result<Secret, StoreError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(StoreError::NoKey(path.to_owned()));
        }
        Err(source) => return Err(StoreError::file(path, source)),
    };
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim(), &mut *bytes).map_err(|_| StoreError::Key(path.to_owned()))?;
    Ok(Secret::new(*bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use ring::rand::SystemRandom;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_readable_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aggregator.key");
        let made = load_or_create_key(&path, &SystemRandom::new()).unwrap();
        let again = load_or_create_key(&path, &SystemRandom::new()).unwrap();
        assert_eq!(made.public(), again.public());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aggregator.key");
        assert!(matches!(load_key(&path), Err(StoreError::NoKey(_))));
        fs::write(&path, "not a key").unwrap();
        assert!(matches!(load_key(&path), Err(StoreError::Key(_))));
    }
}
