//! The hospital's patients as the module prepared them, kept at the site.
//!
//! The module parses Parquet once, in pieces that it asks for; what it made is kept under the state folder, for the owner's eyes alone, and is
//! used again while study, module and files are the same bytes ([`participant::reading`]).

use std::path::PathBuf;

use participant::reading::{Next, PatientFile, Reading, ReadingError};
use participant::{Event, Failure, Key, Step};
use protocol::door::{
    BadRows, Check, Checked, Outcomes, Prepare, Report, Request, Response, Source, ask_with_pieces,
};
use protocol::id::Digest;

pub use participant::reading::Cohort;

use crate::config::Data;
use crate::dataset::{DataFile, DataSetError};
use crate::disk::Disk;
use crate::durable::{self, FileError};
use crate::pieces;
use crate::reporter::Reporter;
use crate::run;
use crate::sandbox::{Instance, Sandbox, SandboxError};

/// Patients, and the digest of the files that they were read from.
#[derive(Debug)]
pub struct Kept {
    /// The patients.
    pub cohort: Cohort,
    /// The digest of the files ([`Reading::data`]), which approval pins.
    pub data: Digest,
}

/// The patients in `data` for a study; prepared now, or before from the same bytes.
///
/// # Errors
///
/// As [`prepare`], and a disk that does not take the result.
pub fn get(
    sandbox: &Sandbox,
    study: &[u8],
    data: &Data,
    bad_rows: BadRows,
    disk: &Disk,
) -> Result<Kept, PatientsError> {
    let (files, paths) = files(data)?;
    let mut reading = Reading::new(study, sandbox.digest(), files, bad_rows);
    let (mut step, mut instance) = (reading.begin()?, None);
    loop {
        match reading.next(answer(sandbox, &mut instance, &paths, disk, step))? {
            Next::Step(next) => step = next,
            Next::Done(cohort) => {
                return Ok(Kept {
                    cohort: *cohort,
                    data: reading.data().ok_or(ReadingError::OutOfOrder)?,
                });
            }
        }
    }
}

/// Does a step of reading.
fn answer(
    sandbox: &Sandbox,
    instance: &mut Option<Instance>,
    paths: &[PathBuf],
    disk: &Disk,
    step: Step,
) -> Event {
    match step {
        Step::Read(piece) => run::read(paths, piece),
        Step::Load(key) => run::load(disk, key),
        Step::Store(writes) => run::store(disk, writes),
        Step::Open(request) => run::open(sandbox, instance, &request),
        Step::Ask(request) => run::ask(instance, &request),
        other => Event::Failed(Failure::Site(format!("reading asked for {other:?}"))),
    }
}

/// What was once prepared, by the digest that a round's journal names.
///
/// # Errors
///
/// Nothing kept under this digest, and bytes with another one.
pub fn named(disk: &Disk, digest: Digest) -> Result<Cohort, PatientsError> {
    let path = disk.path(Key::Cohort(digest));
    let bytes = durable::read(&path)?;
    Cohort::kept(&bytes, digest).ok_or(PatientsError::Changed(path))
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
    outcomes: Outcomes,
) -> Result<Cohort, PatientsError> {
    let (files, paths) = sources(data)?;
    let request = Request::Prepare(Prepare {
        study: study.to_vec().into(),
        files,
        bad_rows,
        outcomes,
    });
    match ask(sandbox, &request, &paths)? {
        Response::Prepared(prepared) => Ok(Cohort::of(prepared)),
        _ => Err(SandboxError::OtherAnswer.into()),
    }
}

/// Looks at the files in `data` for a study or a draft, and keeps nothing.
///
/// # Errors
///
/// Files that are not there, and files that the module refuses.
pub fn check(
    sandbox: &Sandbox,
    study: &[u8],
    data: &Data,
    bad_rows: BadRows,
    explain: Option<i64>,
) -> Result<Checked, PatientsError> {
    let (files, paths) = sources(data)?;
    let request = Request::Check(Check {
        study: study.to_vec().into(),
        files,
        bad_rows,
        explain,
    });
    match ask(sandbox, &request, &paths)? {
        Response::Checked(checked) => Ok(checked),
        _ => Err(SandboxError::OtherAnswer.into()),
    }
}

/// Why there are no patients.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatientsError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The files are not where they should be.
    #[error(transparent)]
    DataSet(#[from] DataSetError),
    /// The module could not prepare them.
    #[error(transparent)]
    Module(#[from] SandboxError),
    /// What was kept has another digest than its name.
    #[error("{} is damaged: delete it, and it is prepared again", .0.display())]
    Changed(PathBuf),
    /// They cannot be read or prepared.
    #[error(transparent)]
    Reading(#[from] ReadingError),
}

/// Asks a fresh instance, which wants pieces of files.
fn ask(sandbox: &Sandbox, request: &Request, paths: &[PathBuf]) -> Result<Response, PatientsError> {
    let mut instance = sandbox.instance()?;
    ask_with_pieces(
        request,
        |request| Ok(instance.ask(request)?),
        |piece| Ok(pieces::of(paths, piece)?),
    )
}

/// The files of a hospital's patients as a request lists them, and where they are.
fn sources(data: &Data) -> Result<(Vec<Source>, Vec<PathBuf>), PatientsError> {
    let (files, paths) = files(data)?;
    let source = |(file, path): (PatientFile, &PathBuf)| {
        Ok(Source {
            name: file.name,
            role: file.role,
            bytes: durable::length(path)?,
            zone: file.zone,
        })
    };
    let sources: Result<_, PatientsError> = files.into_iter().zip(&paths).map(source).collect();
    Ok((sources?, paths))
}

/// The files of a hospital's patients, and where they are. What lies beside them and is not read is told.
///
/// # Errors
///
/// As [`Data::find`].
pub fn files(data: &Data) -> Result<(Vec<PatientFile>, Vec<PathBuf>), PatientsError> {
    let set = data.find()?;
    if let Some(text) = set.passed_over() {
        Reporter::of_terminal().note(&text);
    }
    let file = |file: DataFile| {
        let named = PatientFile {
            name: file.name,
            role: file.role,
            zone: data.zone.clone(),
        };
        (named, file.path)
    };
    Ok(set.files.into_iter().map(file).unzip())
}

/// What was read from a hospital's files, in a line or two.
#[must_use]
pub fn describe(report: &Report) -> String {
    let Report {
        train,
        tuning,
        held_out,
        events,
        used,
        dropped,
        clipped,
        empty,
        surplus,
        unknown,
        ..
    } = report;
    let mut text =
        format!("{train} labels to train on, {tuning} to choose by, {held_out} held out");
    if *unknown > 0 {
        text += &format!(", {unknown} whose outcome is not known");
    }
    text += &format!("; {used} of {events} events used");
    for (count, what) in [
        (*clipped, "values set to the end of their plausible range"),
        (u64::from(*empty), "labels without any usable event"),
        (
            u64::from(*surplus),
            "labels beyond those that the study uses of one patient",
        ),
        (*dropped, "rows left out"),
    ] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    for reason in &report.reasons {
        text += &format!("\n  left out: {reason}");
    }
    text
}
