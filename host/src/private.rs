//! Reading a file that holds a secret: only where no other user can.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::durable::FileError;

/// Who, besides its owner, may reach a file that holds a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Nobody.
    Owner,
    /// Its group: how systemd hands a credential to the user of a service.
    Group,
}

/// Reads a secret of at most `longest` bytes.
///
/// # Errors
///
/// A file that cannot be read, that others can reach, or that is longer or no plain file.
pub fn read(
    path: &Path,
    readers: Readers,
    longest: u64,
) -> Result<Zeroizing<Vec<u8>>, PrivateError> {
    let file = File::open(path).map_err(FileError::at("reading", path))?;
    // Of the open file, so that what is checked is what is read.
    let metadata = file.metadata().map_err(FileError::at("reading", path))?;
    let mode = metadata.permissions().mode() & 0o777;
    let forbidden = match readers {
        Readers::Owner => 0o077,
        Readers::Group => 0o037,
    };
    if mode & forbidden != 0 {
        return Err(PrivateError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    if !metadata.is_file() || metadata.size() > longest {
        return Err(PrivateError::Odd(path.to_owned()));
    }
    // Room from the start: a vector that grows leaves copies behind.
    let room = usize::try_from(metadata.size() + 1).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(longest)
        .read_to_end(&mut bytes)
        .map_err(FileError::at("reading", path))?;
    Ok(bytes)
}

/// Why a secret was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Other users can reach it.
    #[error("{} can be read or changed by other users (mode {mode:03o}): run `chmod 600` on it, and ask whether it was copied", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is no plain file, or too long for a secret.
    #[error("{} is not a file that holds a secret: it is too long, or not a plain file", .0.display())]
    Odd(PathBuf),
}
