//! Why the module refuses a request.

use std::fmt;

use protocol::codec::DecodeError;
use protocol::door::State;
use protocol::id::{Digest, Purpose};
use protocol::state::StateError;
use protocol::study::StudyError;

use crate::vector::VectorError;

/// Why the module refuses a request; each message says what the hospital can do, or who is at fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("no session is open: ask to open a round or a baseline first")]
    NoSession,
    #[error("no file is read: ask to prepare, check or import files first")]
    NothingRead,
    #[error("no baseline is open")]
    NoBaseline,
    #[error("work is not done: {done} of {total}")]
    NotDone { done: u64, total: u64 },
    #[error("the round is at another stage: {0} is not what comes next")]
    OutOfOrder(&'static str),
    #[error("the round is of another study than the one given")]
    OtherStudy,
    #[error("the state given is not the one that the round's header names")]
    OtherState,
    #[error(
        "the study says {stated} parameters and its model has {actual}: set model.parameters = {actual}"
    )]
    Parameters { stated: u32, actual: usize },
    #[error("the study starts from public weights with SHA-256 {0}: give the file")]
    NoWeights(Digest),
    #[error("the file of public weights has SHA-256 {got}, and the study names {want}")]
    OtherWeights { got: Digest, want: Digest },
    #[error("the study names no public weights, and was given a file of them")]
    UnwantedWeights,
    #[error(
        "training diverged, a weight went beyond ±{most}: lower the rate of the optimizer",
        most = State::MOST_WEIGHT
    )]
    Diverged,
    #[error(
        "the study clusters in {stated} dimensions and its model has {width}: set clustering.dimensions to at most {width}"
    )]
    Dimensions { stated: u32, width: usize },
    #[error(
        "what this site kept of its last round is of another study or damaged: remove the file `memory` of that round"
    )]
    OtherMemory,
    #[error("the study plans no round of {0}")]
    NotPlanned(Purpose),
    #[error(
        "the header says a round of {purpose} at place {place}, and the study's plan has {planned} there"
    )]
    OtherPlace {
        purpose: Purpose,
        place: u32,
        planned: Planned,
    },
    #[error(
        "the study has no [personalisation], so no site makes a model of its own from the published one"
    )]
    NotPersonal,
    #[error("this site has no patient to train on")]
    NoPatients,
    #[error("the round's layout has other sections than its work")]
    Sections,
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Study(#[from] StudyError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Cohort(#[from] cohort::CohortError),
    #[error(transparent)]
    Patients(#[from] cohort::DecodeError),
    #[error(transparent)]
    Pool(#[from] cohort::PoolError),
    #[error(transparent)]
    Normalise(#[from] cohort::NormaliseError),
    #[error(transparent)]
    Import(#[from] cohort::import::ImportError),
    #[error(transparent)]
    Metrics(#[from] learning::metrics::MetricsError),
    #[error(transparent)]
    Model(#[from] learning::model::ModelError),
    #[error(transparent)]
    Optimizer(#[from] learning::optimizer::StepError),
    #[error(transparent)]
    Vector(#[from] VectorError),
    #[error(transparent)]
    Chunk(#[from] protocol::chunk::ChunkError),
    #[error(transparent)]
    Site(#[from] protocol::site::SiteError),
}

/// What a study's plan has at a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned(pub(crate) Option<Purpose>);

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(purpose) => write!(f, "one of {purpose}"),
            None => f.write_str("none"),
        }
    }
}
