//! Study, state and patients, ready for the model.

use cohort::{Batch, Normaliser, Patients};
use learning::model::{self, CHUNK, Network};
use protocol::door::{Moments, Split, State};
use protocol::study::{Normalisation, Study};

use super::error::SessionError;

/// The study's network, if it has as many parameters as the study says.
pub(crate) fn network(study: &Study) -> Result<Network, SessionError> {
    let model = &study.manifest().model;
    let network = Network::new(&study.manifest().cohort, model)?;
    let actual = network.parameters();
    if usize::try_from(model.parameters) == Ok(actual) {
        Ok(network)
    } else {
        Err(SessionError::Parameters {
            stated: model.parameters,
            actual,
        })
    }
}

/// The constants that the study's features are normalised by.
pub(crate) fn moments(study: &Study, state: &State) -> Result<Vec<Moments>, SessionError> {
    match study.manifest().cohort.normalisation {
        Normalisation::Reference => Ok(cohort::reference(&study.manifest().cohort)),
        Normalisation::Shared if state.normalisation.is_empty() => {
            Err(SessionError::NoNormalisation)
        }
        Normalisation::Shared => Ok(state.normalisation.clone()),
    }
}

/// The initial weights with the state's offset added.
pub(crate) fn weights(
    network: &Network,
    study: &Study,
    state: &State,
) -> Result<Vec<f32>, SessionError> {
    let mut weights = network.initial(study.manifest().model.initial_seed);
    let (got, want) = (state.offset.len(), weights.len());
    if got != want {
        return Err(SessionError::StateLength { got, want });
    }
    for (weight, offset) in weights.iter_mut().zip(&state.offset) {
        *weight += offset;
        if !weight.is_finite() {
            return Err(SessionError::StateNotFinite);
        }
    }
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
pub(crate) struct Inputs {
    patients: Patients,
    normaliser: Normaliser,
    places: Vec<usize>,
}

impl Inputs {
    /// The patients of one split, or all of them.
    pub(crate) fn new(patients: Patients, normaliser: Normaliser, split: Option<Split>) -> Self {
        let places = match split {
            Some(split) => patients.of_split(split),
            None => (0..patients.len()).collect(),
        };
        Self {
            patients,
            normaliser,
            places,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Where each of them stands in the cohort.
    pub(crate) fn all(&self) -> &[usize] {
        &self.places
    }

    /// Where the patients of the batch from `start` on stand in the cohort. A batch has the model's own size, so that
    /// results do not depend on how work is cut.
    pub(crate) fn places(&self, start: usize) -> &[usize] {
        let end = self.places.len().min(start + CHUNK);
        &self.places[start.min(end)..end]
    }

    /// The batch of `places` and its labels.
    pub(crate) fn batch(&self, places: &[usize]) -> (Batch, Vec<u32>) {
        let labels = places
            .iter()
            .map(|place| self.patients.labels()[*place])
            .collect();
        (self.normaliser.apply(&self.patients, places), labels)
    }

    /// The cohort that they are of.
    pub(crate) fn patients(&self) -> &Patients {
        &self.patients
    }
}
