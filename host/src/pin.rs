//! What the hospital's people have approved: the study and the module, by their digests.
//!
//! ```text
//! state/approved                     digests of the study, the module and the files of patients that `host run` may run with, and this site's pace
//! state/studies/<digest>/study.toml  the approved bytes
//! state/studies/<digest>/client.wasm
//! state/studies/<digest>/weights.cbor  public weights to start from, where the study names some
//! state/studies/<digest>/…           what a participant keeps of the study: see [`crate::disk`]
//! ```

use std::path::{Path, PathBuf};

use protocol::id::Digest;
use protocol::study::{Study, StudyError};
use serde::{Deserialize, Serialize};

use crate::durable::{self, FileError};

/// A study that the hospital approved, with its module; both are the approved bytes.
#[derive(Debug)]
pub struct Approved {
    /// The study.
    pub study: Study,
    /// The bytes of its file.
    pub text: Vec<u8>,
    /// The bytes of its module.
    pub module: Vec<u8>,
    /// The bytes of the public weights that it starts from, where it names some.
    pub weights: Option<Vec<u8>>,
    /// How many times the study's floor is doubled until this site's adverts leave.
    pub doublings: u8,
    /// The digest of the files of patients that people looked at.
    pub data: Digest,
    /// Where this study's things are kept.
    pub folder: PathBuf,
}

impl Approved {
    /// Reads what is approved under the state folder.
    ///
    /// # Errors
    ///
    /// Nothing approved yet, and bytes that are not the approved ones.
    pub fn load(state: &Path) -> Result<Self, PinError> {
        let path = state.join(APPROVED);
        let bytes = durable::read(&path).map_err(|error| {
            if error.is_missing() {
                PinError::Nothing(state.to_owned())
            } else {
                error.into()
            }
        })?;
        let text = String::from_utf8_lossy(&bytes);
        let pin: Pin = toml::from_str(&text).map_err(|_| PinError::Changed(path))?;
        let folder = folder(state, pin.study);
        let text = pinned(&folder.join(STUDY), pin.study)?;
        let module = pinned(&folder.join(MODULE), pin.module)?;
        let study = Study::parse(&text)?;
        let weights = study.manifest().model.initial_weights;
        Ok(Self {
            weights: weights
                .map(|digest| pinned(&folder.join(WEIGHTS), digest))
                .transpose()?,
            study,
            text,
            module,
            doublings: pin.doublings,
            data: pin.data,
            folder,
        })
    }

    /// Pins a study, its module, its public weights, this site's pace and the files of its patients: from now on `host run` runs these, and only these.
    ///
    /// # Errors
    ///
    /// A study that cannot be run, a module or weights that are not the study's, and a disk that does not take them.
    pub fn pin(
        state: &Path,
        text: &[u8],
        module: &[u8],
        weights: Option<&[u8]>,
        doublings: u8,
        data: Digest,
    ) -> Result<Self, PinError> {
        let study = Study::parse(text)?;
        let (got, want) = (Digest::of(module), study.manifest().module);
        if got != want {
            return Err(PinError::OtherModule { got, want });
        }
        check_weights(&study, weights)?;
        let folder = folder(state, study.digest());
        durable::create_folder(&folder)?;
        durable::replace(&folder.join(STUDY), text)?;
        durable::replace(&folder.join(MODULE), module)?;
        if let Some(weights) = weights {
            durable::replace(&folder.join(WEIGHTS), weights)?;
        }
        // Last, so that a crash leaves what was approved before.
        let digest = study.digest();
        let pin = format!(
            "study = \"{digest}\"\nmodule = \"{want}\"\ndoublings = {doublings}\ndata = \"{data}\"\n"
        );
        durable::replace(&state.join(APPROVED), pin.as_bytes())?;
        Ok(Self {
            study,
            text: text.to_vec(),
            module: module.to_vec(),
            weights: weights.map(<[u8]>::to_vec),
            doublings,
            data,
            folder,
        })
    }
}

/// Why there is nothing to run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The study cannot be run.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// Nothing is approved.
    #[error("no study is approved under {}: read one with `host study`, then run `host approve`", .0.display())]
    Nothing(PathBuf),
    /// The bytes on disk are not those that were approved.
    #[error("{} is not what was approved: look who changed it, then run `host approve` again", .0.display())]
    Changed(PathBuf),
    /// The module is not the study's.
    #[error("the module's SHA-256 is {got}, and the study names {want}")]
    OtherModule {
        /// The digest of the module given.
        got: Digest,
        /// The digest that the study names.
        want: Digest,
    },
    /// The public weights are not the study's, or there are none.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// Why public weights do not fit a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The study names some, and none were given.
    #[error("the study starts from public weights with SHA-256 {0}: give the file with --weights")]
    Missing(Digest),
    /// They are others.
    #[error("the public weights' SHA-256 is {got}, and the study names {want}")]
    Other {
        /// The digest of those given.
        got: Digest,
        /// The digest that the study names.
        want: Digest,
    },
    /// The study names none.
    #[error("the study names no public weights: leave --weights out, or set model.initial-weights")]
    Unwanted,
}

/// Refuses weights that are not those that the study names.
///
/// # Errors
///
/// Other weights, none where it names some, and some where it names none.
pub fn check_weights(study: &Study, weights: Option<&[u8]>) -> Result<(), WeightsError> {
    match (
        study.manifest().model.initial_weights,
        weights.map(Digest::of),
    ) {
        (None, None) => Ok(()),
        (Some(want), Some(got)) if got == want => Ok(()),
        (Some(want), Some(got)) => Err(WeightsError::Other { got, want }),
        (Some(want), None) => Err(WeightsError::Missing(want)),
        (None, Some(_)) => Err(WeightsError::Unwanted),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pin {
    study: Digest,
    module: Digest,
    #[serde(default)]
    doublings: u8,
    data: Digest,
}

/// Where the things of a study are kept.
#[must_use]
pub fn folder(state: &Path, study: Digest) -> PathBuf {
    state.join("studies").join(study.to_string())
}

fn pinned(path: &Path, want: Digest) -> Result<Vec<u8>, PinError> {
    let bytes = durable::read(path)?;
    if Digest::of(&bytes) == want {
        Ok(bytes)
    } else {
        Err(PinError::Changed(path.to_owned()))
    }
}

const APPROVED: &str = "approved";
const STUDY: &str = "study.toml";
const MODULE: &str = "client.wasm";
const WEIGHTS: &str = "weights.cbor";
