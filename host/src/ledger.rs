//! The site's privacy ledger on disk ([`participant::ledger`]), and the mark that it leaves beside the patients.
//!
//! ```text
//! state/ledger.jsonl             one line for each release; begun when the first study is approved
//! data/.wardround-ledger         the ledger's id, in the folder of the patients' files
//! ```
//!
//! Two ledgers over the same patients would each allow the whole budget. So the folder of the patients' files names the one
//! that counts for them. A ledger is never begun in the place of one that is missing.

use std::path::{Path, PathBuf};

use participant::ledger::{Ledger, LedgerError, LedgerId, NoLedgerId};
use privacy::{Budget, Discreteness};
use protocol::id::{Digest, Purpose};
use protocol::study::Study;

use crate::config::Data;
use crate::durable::{self, FileError};
use crate::entropy::{self, NoEntropy};

/// Where the ledger is.
#[must_use]
pub fn path(state: &Path) -> PathBuf {
    state.join("ledger.jsonl")
}

/// Reads the ledger under a state folder; `budget` is what the hospital allows over all studies, if it set a limit. `None`
/// where the site has never approved a study.
///
/// # Errors
///
/// A ledger that is damaged, of another format, or missing where studies were taken part in.
pub fn read(state: &Path, budget: Option<Budget>) -> Result<Option<Ledger>, LedgerFileError> {
    let path = path(state);
    match durable::read(&path) {
        Ok(bytes) => Ok(Some(Ledger::decode(&bytes, budget)?.0)),
        Err(error) if !error.is_missing() => Err(error.into()),
        Err(_) if took_part(state) => Err(LedgerError::Missing.into()),
        Err(_) => Ok(None),
    }
}

/// Reads the ledger, and begins one at a site that has never taken part in a study.
///
/// # Errors
///
/// As [`read`]; patients that another ledger counts for, and a disk that does not take the file.
pub fn begin(state: &Path, budget: Option<Budget>, data: &Data) -> Result<Ledger, LedgerFileError> {
    if let Some(ledger) = read(state, budget)? {
        return Ok(ledger);
    }
    if let Some(other) = marked(data)? {
        return Err(LedgerFileError::Elsewhere {
            folder: data.folder().to_owned(),
            other,
        });
    }
    start(state, budget)
}

/// Begins a ledger for patients that another one counted for so far.
///
/// # Errors
///
/// As [`read`], and a disk that does not take the file.
pub fn begin_anew(
    state: &Path,
    budget: Option<Budget>,
    data: &Data,
) -> Result<Ledger, LedgerFileError> {
    let ledger = match read(state, budget)? {
        Some(ledger) => ledger,
        None => start(state, budget)?,
    };
    durable::replace(&mark_of(data), text(ledger.id()).as_bytes())?;
    Ok(ledger)
}

/// Marks the patients as counted by this ledger.
///
/// # Errors
///
/// Patients that another ledger counts for, and a folder that does not take the mark.
pub fn mark(ledger: &Ledger, data: &Data) -> Result<(), LedgerFileError> {
    match check_mark(ledger, data) {
        Err(LedgerFileError::Unmarked(path)) => {
            durable::replace(&path, text(ledger.id()).as_bytes()).map_err(|error| {
                LedgerFileError::NoMark {
                    path,
                    own: ledger.id(),
                    error,
                }
            })
        }
        checked => checked,
    }
}

/// Refuses patients that do not bear this ledger's mark.
///
/// # Errors
///
/// Patients that another ledger counts for, or none.
pub fn check_mark(ledger: &Ledger, data: &Data) -> Result<(), LedgerFileError> {
    match marked(data)? {
        Some(id) if id == ledger.id() => Ok(()),
        Some(other) => Err(LedgerFileError::Other {
            folder: data.folder().to_owned(),
            other,
            own: ledger.id(),
        }),
        None => Err(LedgerFileError::Unmarked(mark_of(data))),
    }
}

/// Carries a ledger of format 1 over; gives how many lines it has.
///
/// # Errors
///
/// A ledger that is of the present format, or damaged; the old one is kept as `ledger-format-1.jsonl`.
pub fn upgrade(state: &Path) -> Result<usize, LedgerFileError> {
    let path = path(state);
    let old = durable::read(&path)?;
    let new = Ledger::upgrade(&old, new_id()?, |study, purpose| {
        discreteness(state, study, purpose)
    })?;
    // Again after a crash: it is the same one.
    durable::replace(&state.join("ledger-format-1.jsonl"), &old)?;
    durable::replace(&path, &new)?;
    Ok(Ledger::decode(&new, None)?.0.lines().len())
}

/// How far the noise of a study's rounds is from continuous noise: the most of those with this purpose.
fn discreteness(state: &Path, study: Digest, purpose: privacy::Purpose) -> Option<Discreteness> {
    let path = state
        .join("studies")
        .join(study.to_string())
        .join("study.toml");
    let study = Study::parse(&durable::read(&path).ok()?).ok()?;
    let purposes: &[Purpose] = match purpose {
        privacy::Purpose::Normalisation => &[Purpose::Moments],
        privacy::Purpose::Training => &[Purpose::Train],
        privacy::Purpose::Evaluation => &[Purpose::Evaluate, Purpose::Tune],
        privacy::Purpose::Clustering => &[Purpose::Seed, Purpose::Cluster],
    };
    let of = |purpose: &Purpose| study.cost(*purpose).discreteness;
    let raise = |discreteness: &Discreteness| discreteness.raised(0.0);
    let all = purposes.iter().map(of);
    all.max_by(|one, other| raise(one).total_cmp(&raise(other)))
}

fn start(state: &Path, budget: Option<Budget>) -> Result<Ledger, LedgerFileError> {
    let bytes = Ledger::begin(new_id()?);
    durable::create_folder(state)?;
    durable::create_new(&path(state), &bytes)?;
    Ok(Ledger::decode(&bytes, budget)?.0)
}

fn new_id() -> Result<LedgerId, NoEntropy> {
    let seed = entropy::seed()?;
    let half = seed.first_chunk().expect("32 bytes have a first half");
    Ok(LedgerId::new(*half))
}

/// Whether rounds were begun under this state folder.
fn took_part(state: &Path) -> bool {
    let studies = std::fs::read_dir(state.join("studies"));
    studies.is_ok_and(|studies| {
        studies.flatten().any(|study| {
            let has = |name| study.path().join(name).exists();
            has("register") || has("rounds")
        })
    })
}

/// The id in the folder of the patients.
fn marked(data: &Data) -> Result<Option<LedgerId>, LedgerFileError> {
    let path = mark_of(data);
    match durable::read(&path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let id = text.trim().parse();
            id.map(Some)
                .map_err(|error| LedgerFileError::DamagedMark { path, error })
        }
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The mark of the ledger that counts for the patients in a folder.
pub(crate) const MARK: &str = ".wardround-ledger";

fn mark_of(data: &Data) -> PathBuf {
    data.folder().join(MARK)
}

fn text(id: LedgerId) -> String {
    format!("{id}\n")
}

/// Why there is no ledger to charge.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerFileError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// No id could be drawn.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The patients were counted by a ledger that is not here.
    #[error(
        "the patients in {} are counted by ledger {other}, and this state folder has no ledger: use the state folder that has it, or \
         restore it from a backup (`state` in host.toml). Where another ledger is to count for them from now on, \
         `host approve --new-ledger` begins one: what was spent before is then in the other one alone",
        folder.display()
    )]
    Elsewhere {
        /// Where the patients are.
        folder: PathBuf,
        /// The ledger that counts for them.
        other: LedgerId,
    },
    /// Another ledger counts for the patients.
    #[error(
        "the patients in {} are counted by ledger {other}, and this state folder has ledger {own}: two ledgers would each allow the whole \
         budget. Use the state folder of the other one (`state` in host.toml), or, where this one is to count for them from now on, \
         run `host approve --new-ledger`",
        folder.display()
    )]
    Other {
        /// Where the patients are.
        folder: PathBuf,
        /// The ledger that counts for them.
        other: LedgerId,
        /// The one of this state folder.
        own: LedgerId,
    },
    /// No ledger counts for the patients.
    #[error(
        "{} is not there, which says which ledger counts for these patients: were they moved or replaced? Run `host approve` again, \
         which looks at them and marks them",
        .0.display()
    )]
    Unmarked(PathBuf),
    /// The mark cannot be written.
    #[error(
        "the folder of the patients does not take the mark of their ledger ({error}): write the line {own} into {} by hand",
        path.display()
    )]
    NoMark {
        /// The mark's file.
        path: PathBuf,
        /// What it is to say.
        own: LedgerId,
        /// Why not.
        error: FileError,
    },
    /// The mark cannot be read.
    #[error("{} does not name a ledger ({error}): restore it, or remove it and run `host approve` again", path.display())]
    DamagedMark {
        /// The mark's file.
        path: PathBuf,
        /// What is wrong.
        error: NoLedgerId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Site {
        folder: tempfile::TempDir,
    }

    impl Site {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("data")).unwrap();
            Self { folder }
        }

        fn state(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn data(&self) -> Data {
            Data::in_folder(&self.folder.path().join("data"))
        }
    }

    #[test]
    fn a_ledger_is_begun_once_and_never_in_the_place_of_one_that_is_missing() {
        let site = Site::new();
        let (state, data) = (site.state("state"), site.data());
        assert!(read(&state, None).unwrap().is_none());
        let ledger = begin(&state, None, &data).unwrap();
        assert_eq!(begin(&state, None, &data).unwrap().id(), ledger.id());
        std::fs::create_dir_all(state.join("studies/x/rounds")).unwrap();
        std::fs::remove_file(path(&state)).unwrap();
        for tried in [
            read(&state, None).map(drop),
            begin(&state, None, &data).map(drop),
        ] {
            let error = tried.unwrap_err();
            assert!(
                matches!(error, LedgerFileError::Ledger(LedgerError::Missing)),
                "{error}"
            );
        }
    }

    #[test]
    fn two_state_folders_over_the_same_patients_are_refused() {
        let site = Site::new();
        let data = site.data();
        let first = begin(&site.state("one"), None, &data).unwrap();
        assert!(matches!(
            check_mark(&first, &data),
            Err(LedgerFileError::Unmarked(_))
        ));
        mark(&first, &data).unwrap();
        check_mark(&first, &data).unwrap();
        let error = begin(&site.state("two"), None, &data).unwrap_err();
        assert!(
            matches!(error, LedgerFileError::Elsewhere { .. }),
            "{error}"
        );
        let second = begin_anew(&site.state("two"), None, &data).unwrap();
        check_mark(&second, &data).unwrap();
        for tried in [check_mark(&first, &data), mark(&first, &data)] {
            let error = tried.unwrap_err();
            assert!(matches!(error, LedgerFileError::Other { .. }), "{error}");
        }
    }

    #[test]
    fn a_ledger_of_format_1_is_carried_over_by_a_command() {
        let site = Site::new();
        let state = site.state("state");
        std::fs::create_dir(&state).unwrap();
        let kit = testkit::Draft {
            epsilon: 1.0,
            ..testkit::Draft::default()
        }
        .make();
        let study = kit.study.digest();
        let old = format!(
            "{{\"charged_at\":7,\"title\":\"old\",\"study\":\"{study}\",\"round\":3,\"purpose\":\"training\",\"loss\":{{\"gaussian\":0.05}}}}\n"
        );
        std::fs::write(path(&state), &old).unwrap();
        let error = read(&state, None).unwrap_err().to_string();
        assert!(error.contains("host ledger upgrade"), "{error}");
        let error = upgrade(&state).unwrap_err().to_string();
        assert!(error.contains("study.toml"), "{error}");
        let folder = state.join(format!("studies/{study}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("study.toml"), &kit.toml).unwrap();
        assert_eq!(upgrade(&state).unwrap(), 1);
        assert_eq!(read(&state, None).unwrap().unwrap().lines().len(), 1);
        let kept = std::fs::read_to_string(state.join("ledger-format-1.jsonl")).unwrap();
        assert_eq!(kept, old);
    }
}
