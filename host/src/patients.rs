//! The hospital's patients as the module prepared them, kept at the site.
//!
//! The module parses Parquet once; what it made is kept under the state folder, for the owner's eyes alone, and is
//! used again while study, module and files are the same bytes.
//!
//! ```text
//! state/cohorts/<digest of study, module, files>   the digest of what was prepared from them
//! state/cohorts/<digest of cohort>.cbor            what was prepared
//! ```

use std::path::{Path, PathBuf};

use protocol::codec::{self, DecodeError};
use protocol::door::{BadRows, File, Prepare, Prepared, Report, Request, Response, Role};
use protocol::id::Digest;

use crate::config::Data;
use crate::durable::{self, FileError};
use crate::sandbox::{Sandbox, SandboxError};

/// The model's inputs of a hospital's patients: patient data, which stays at the site.
#[derive(Clone, Debug, PartialEq)]
pub struct Cohort {
    /// The digest of the prepared bytes.
    pub digest: Digest,
    /// The prepared bytes.
    pub bytes: Vec<u8>,
    /// What was read.
    pub report: Report,
}

/// Where prepared patients are kept.
#[derive(Clone, Debug)]
pub struct Cohorts {
    folder: PathBuf,
}

impl Cohorts {
    /// Those under a state folder.
    #[must_use]
    pub fn under(state: &Path) -> Self {
        Self {
            folder: state.join("cohorts"),
        }
    }

    /// The patients in `data` for a study; prepared now, or before from the same bytes.
    ///
    /// # Errors
    ///
    /// As [`prepare`], and a disk that does not take the result.
    pub fn get(
        &self,
        sandbox: &Sandbox,
        study: &[u8],
        data: &Data,
        bad_rows: BadRows,
    ) -> Result<Cohort, PatientsError> {
        let files = read(data)?;
        let key = self
            .folder
            .join(key(sandbox.digest(), study, &files, bad_rows).to_string());
        if let Some(cohort) = self.kept(&key) {
            return Ok(cohort);
        }
        let prepared = ask(sandbox, study, files, bad_rows)?;
        let cohort = Cohort::of(prepared.clone());
        durable::create_folder(&self.folder)?;
        durable::replace(&self.path(cohort.digest), &codec::encode(&prepared))?;
        durable::replace(&key, cohort.digest.to_string().as_bytes())?;
        Ok(cohort)
    }

    /// What was once prepared, by the digest that a round's journal names.
    ///
    /// # Errors
    ///
    /// Nothing kept under this digest, and bytes with another one.
    pub fn named(&self, digest: Digest) -> Result<Cohort, PatientsError> {
        let path = self.path(digest);
        let prepared = codec::decode(&durable::read(&path)?);
        let cohort = prepared
            .map(Cohort::of)
            .map_err(|error| PatientsError::Damaged {
                path: path.clone(),
                error,
            })?;
        if cohort.digest == digest {
            Ok(cohort)
        } else {
            Err(PatientsError::Changed(path))
        }
    }

    /// What was prepared from these inputs, where it is whole; else it is prepared anew.
    fn kept(&self, key: &Path) -> Option<Cohort> {
        let digest = String::from_utf8(durable::read(key).ok()?)
            .ok()?
            .parse()
            .ok()?;
        self.named(digest).ok()
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest}.cbor"))
    }
}

impl Cohort {
    fn of(prepared: Prepared) -> Self {
        let bytes = Vec::from(prepared.cohort);
        Self {
            digest: Digest::of(&bytes),
            bytes,
            report: prepared.report,
        }
    }
}

/// Prepares the patients in `data` for a study, and keeps nothing.
///
/// # Errors
///
/// Files that are not there, and files that the module refuses.
pub fn prepare(
    sandbox: &Sandbox,
    study: &[u8],
    data: &Data,
    bad_rows: BadRows,
) -> Result<Cohort, PatientsError> {
    Ok(Cohort::of(ask(sandbox, study, read(data)?, bad_rows)?))
}

/// Why there are no patients.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatientsError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder holds no Parquet file.
    #[error("{} holds no .parquet file", .0.display())]
    Empty(PathBuf),
    /// The module could not prepare them.
    #[error(transparent)]
    Module(#[from] SandboxError),
    /// What was kept is no cohort.
    #[error("{} is damaged ({error}): delete it, and it is prepared anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: DecodeError,
    },
    /// What was kept has another digest than its name.
    #[error("{} is not what it was: delete it, and it is prepared anew", .0.display())]
    Changed(PathBuf),
}

fn ask(
    sandbox: &Sandbox,
    study: &[u8],
    files: Vec<File>,
    bad_rows: BadRows,
) -> Result<Prepared, SandboxError> {
    let request = Request::Prepare(Prepare {
        study: study.to_vec().into(),
        files,
        bad_rows,
    });
    match sandbox.instance()?.ask(&request)? {
        Response::Prepared(prepared) => Ok(prepared),
        _ => Err(SandboxError::OtherAnswer),
    }
}

fn key(module: Digest, study: &[u8], files: &[File], bad_rows: BadRows) -> Digest {
    let mut text = vec![u8::from(bad_rows == BadRows::Drop)];
    text.extend([module.0, Digest::of(study).0].concat());
    for file in files {
        text.extend(codec::encode(&file.role));
        text.extend(Digest::of(file.name.as_bytes()).0);
        text.extend(Digest::of(&file.bytes).0);
    }
    Digest::of(&text)
}

fn read(data: &Data) -> Result<Vec<File>, PatientsError> {
    let mut files = Vec::new();
    let roles = [
        (Role::Events, Some(&data.events)),
        (Role::Labels, Some(&data.labels)),
        (Role::Splits, data.splits.as_ref()),
    ];
    for (role, path) in roles {
        let Some(path) = path else { continue };
        for path in parquet_files(path)? {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            files.push(File {
                name,
                role,
                bytes: durable::read(&path)?.into(),
            });
        }
    }
    Ok(files)
}

/// The file itself, or all Parquet files of a folder and of those in it, in the order of their paths.
fn parquet_files(path: &Path) -> Result<Vec<PathBuf>, PatientsError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(FileError::at("reading", &folder))? {
            let path = entry.map_err(FileError::at("reading", &folder))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "parquet")
            {
                found.push(path);
            }
        }
    }
    found.sort();
    if found.is_empty() {
        Err(PatientsError::Empty(path.to_owned()))
    } else {
        Ok(found)
    }
}
