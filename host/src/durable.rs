//! Files that survive a crash and that no other user can read.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}: {cause}", path.display())]
pub struct FileError {
    /// What was tried.
    action: &'static str,
    /// The file or folder.
    path: PathBuf,
    /// In the text, so no `source`: who prints a chain of errors would say it twice.
    cause: io::Error,
}

impl FileError {
    /// Whether the reason is that there is no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.cause.kind() == io::ErrorKind::NotFound
    }

    /// Whether the reason is that there is such a file already.
    #[must_use]
    pub fn is_there_already(&self) -> bool {
        self.cause.kind() == io::ErrorKind::AlreadyExists
    }

    /// Gives a function for `map_err`.
    pub(crate) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self {
            action,
            path,
            cause,
        }
    }
}

/// Reads a whole file.
///
/// # Errors
///
/// A file that is not there or cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    std::fs::read(path).map_err(FileError::at("reading", path))
}

/// Bytes of a file.
///
/// # Errors
///
/// A file that is not there or cannot be read.
pub fn length(path: &Path) -> Result<u64, FileError> {
    let metadata = std::fs::metadata(path).map_err(FileError::at("reading", path))?;
    Ok(metadata.len())
}

/// The files and folders in a folder, by name; none where the folder is not there.
///
/// # Errors
///
/// A folder that cannot be read.
pub fn files_in(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(FileError::at("reading", folder))?,
    };
    let paths = entries.map(|entry| Ok(entry?.path()));
    let mut paths = paths
        .collect::<io::Result<Vec<_>>>()
        .map_err(FileError::at("reading", folder))?;
    paths.sort();
    Ok(paths)
}

/// Makes a folder, and those above it, that only this user can enter; one that is there is left as it is.
///
/// # Errors
///
/// A folder that cannot be made.
pub fn create_folder(path: &Path) -> Result<(), FileError> {
    if path.is_dir() {
        return Ok(());
    }
    // From the outermost, so that each name is durable in a folder that is.
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        create_folder(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(FileError::at("creating", path)(error))
        }
        _ => sync_parent(path),
    }
}

/// Writes a private file that was not there before.
///
/// # Errors
///
/// A file that is there, or that cannot be written.
pub fn create_new(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(path)
        .map_err(FileError::at("creating", path))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(FileError::at("writing", path))?;
    sync_parent(path)
}

/// Writes a private file so that after a crash either the old bytes are there or the new ones.
///
/// # Errors
///
/// A file that cannot be written; what was there before is left.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(PRIVATE)
        .open(&new)
        .map_err(FileError::at("creating", &new))?;
    // A file left by a crash keeps its mode through `open`.
    file.set_permissions(Permissions::from_mode(PRIVATE))
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| file.sync_all())
        .map_err(FileError::at("writing", &new))?;
    std::fs::rename(&new, path).map_err(FileError::at("replacing", path))?;
    sync_parent(path)
}

/// Puts a private file that is written to its end in the place of another, or where none was.
///
/// # Errors
///
/// A file that cannot be moved; what was there before is left.
pub fn put(new: &Path, path: &Path) -> Result<(), FileError> {
    File::open(new)
        .and_then(|file| file.sync_all())
        .map_err(FileError::at("writing", new))?;
    std::fs::rename(new, path).map_err(FileError::at("replacing", path))?;
    sync_parent(path)
}

/// Removes a folder and all that is in it; one that is not there is no error.
///
/// # Errors
///
/// A folder that cannot be removed.
pub fn remove_folder(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::at("removing", path)(error))
        }
        _ => Ok(()),
    }
}

/// Removes a file, or a folder with all that is in it; one that is not there is no error.
///
/// # Errors
///
/// What cannot be removed.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => return remove_folder(path),
        Ok(_) => std::fs::remove_file(path).map_err(FileError::at("removing", path))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FileError::at("removing", path)(error)),
    }
    sync_parent(path)
}

/// Opens a private file for reading and appending, and makes it where it is not there.
///
/// # Errors
///
/// A file that cannot be opened or made.
pub fn open_log(path: &Path) -> Result<File, FileError> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(PRIVATE)
        .open(path)
        .map_err(FileError::at("opening", path))?;
    sync_parent(path)?;
    Ok(file)
}

/// Adds bytes to the end of a private file, which is made where it is not there; on return they are durable.
///
/// # Errors
///
/// A file that cannot be opened or written.
pub fn append(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = open_log(path)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_data())
        .map_err(FileError::at("writing", path))
}

/// Cuts a log off after its first `length` bytes, which a crash left whole.
pub(crate) fn cut(file: &File, path: &Path, length: usize) -> Result<(), FileError> {
    let length = u64::try_from(length).expect("a file in memory is shorter than 2^64 bytes");
    file.set_len(length)
        .and_then(|()| file.sync_data())
        .map_err(FileError::at("writing", path))
}

/// Makes a new name in a folder durable.
fn sync_parent(path: &Path) -> Result<(), FileError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(FileError::at("syncing", folder))
}

/// For the owner alone.
const PRIVATE: u32 = 0o600;

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_and_folders_are_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        create_folder(&deep).unwrap();
        create_folder(&deep).unwrap();
        let file = deep.join("file");
        create_new(&file, b"one").unwrap();
        assert!(create_new(&file, b"two").unwrap_err().is_there_already());
        replace(&file, b"two").unwrap();
        assert_eq!(read(&file).unwrap(), b"two");
        open_log(&deep.join("log")).unwrap();
        assert_eq!(
            [mode(&deep), mode(&file), mode(&deep.join("log"))],
            [0o700, 0o600, 0o600]
        );
        assert!(read(&deep.join("none")).unwrap_err().is_missing());
    }

    #[test]
    fn what_is_removed_is_no_longer_there() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        create_folder(&deep).unwrap();
        let file = deep.join("file");
        create_new(&file, b"one").unwrap();
        for path in [&file, &folder.path().join("a")] {
            assert!(path.exists());
            remove(path).unwrap();
            assert!(!path.exists());
            remove(path).unwrap();
        }
    }
}
