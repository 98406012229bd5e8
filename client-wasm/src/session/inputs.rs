//! Study, state and patients, ready for the model.

use std::ops::Range;

use cohort::{Batch, Normaliser, Outcome, Rows};
use learning::model::{self, Network, whole_patients};
use minicbor::bytes::ByteVec;
use protocol::codec;
use protocol::door::{Moments, Split, State};
use protocol::id::Digest;
use protocol::study::{Normalisation, Study};

use super::error::SessionError;

/// The study's network, if it trains as many parameters as the study says.
pub(crate) fn network(study: &Study) -> Result<Network, SessionError> {
    let model = &study.manifest().model;
    let network = Network::new(&study.manifest().cohort, model)?;
    let actual = network.trained();
    if usize::try_from(model.parameters) == Ok(actual) {
        Ok(network)
    } else {
        Err(SessionError::Parameters {
            stated: model.parameters,
            actual,
        })
    }
}

/// The constants that the study's features are normalised by; the state is parsed, so it has them where they are shared.
pub(crate) fn moments(study: &Study, state: &State) -> Vec<Moments> {
    match study.manifest().cohort.normalisation {
        Normalisation::Reference => cohort::reference(&study.manifest().cohort),
        Normalisation::Shared => state.normalisation.clone(),
    }
}

/// The weights before training: those of the file that the study names, or of its seed.
pub(crate) fn initial(
    network: &Network,
    study: &Study,
    file: Option<&ByteVec>,
) -> Result<Vec<f32>, SessionError> {
    let model = &study.manifest().model;
    match (model.initial_weights, file) {
        (None, None) => Ok(network.initial(model.initial_seed)),
        (Some(want), Some(bytes)) if Digest::of(bytes) == want => {
            Ok(network.start(&codec::decode(bytes)?, model.initial_seed)?)
        }
        (Some(want), Some(bytes)) => Err(SessionError::OtherWeights {
            got: Digest::of(bytes),
            want,
        }),
        (Some(want), None) => Err(SessionError::NoWeights(want)),
        (None, Some(_)) => Err(SessionError::UnwantedWeights),
    }
}

/// The initial weights with the state's offset added to the trained ones.
pub(crate) fn weights(
    network: &Network,
    study: &Study,
    file: Option<&ByteVec>,
    state: &State,
) -> Result<Vec<f32>, SessionError> {
    let mut weights = initial(network, study, file)?;
    network.add(&mut weights, &state.offset)?;
    Ok(weights)
}

/// A batch as the model takes it.
pub(crate) fn rows(batch: &Batch) -> model::Batch<'_> {
    model::Batch {
        values: &batch.values,
        missing: &batch.missing,
    }
}

/// Some patients of a cohort, normalised batch by batch.
pub(crate) struct Inputs<L = u32> {
    patients: Rows<L>,
    normaliser: Normaliser,
    /// The rows of each patient in the cohort.
    rows: Vec<Range<usize>>,
    labels: usize,
}

/// Whole patients that are computed together: all their labels.
pub(crate) struct Portion<L = u32> {
    /// Normalised values, a row a label.
    pub(crate) values: Batch,
    /// The class of each label.
    pub(crate) labels: Vec<L>,
    /// The labels of each patient.
    pub(crate) patients: Vec<usize>,
    /// Where the labels stand in the cohort.
    pub(crate) places: Vec<usize>,
}

impl<L: Outcome> Inputs<L> {
    /// The patients of one split, or all of them.
    pub(crate) fn new(patients: Rows<L>, normaliser: Normaliser, split: Option<Split>) -> Self {
        let rows: Vec<Range<usize>> = match split {
            Some(split) => patients.of_split(split).collect(),
            None => patients.patients().to_vec(),
        };
        Self {
            patients,
            normaliser,
            labels: rows.iter().map(Range::len).sum(),
            rows,
        }
    }

    /// How many patients there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many labels they have.
    pub(crate) fn labels(&self) -> usize {
        self.labels
    }

    /// The first of these patients, as many as the model computes together, so that results do not depend on how work
    /// is cut.
    pub(crate) fn portion(&self, patients: impl Iterator<Item = usize> + Clone) -> Portion<L> {
        let rows = patients.map(|patient| self.rows[patient].clone());
        let together = whole_patients(rows.clone().map(|rows| rows.len()));
        let rows: Vec<Range<usize>> = rows.take(together).collect();
        let places: Vec<usize> = rows.iter().cloned().flatten().collect();
        let label = |place: &usize| self.patients.labels()[*place];
        Portion {
            values: self.normaliser.apply(&self.patients, &places),
            labels: places.iter().map(label).collect(),
            patients: rows.iter().map(Range::len).collect(),
            places,
        }
    }

    /// The cohort that they are of.
    pub(crate) fn patients(&self) -> &Rows<L> {
        &self.patients
    }
}
