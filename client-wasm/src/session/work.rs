//! What a site computes on its patients in a round, cut into steps.

use cohort::{Normaliser, Patients};
use learning::metrics;
use learning::model::Network;
use protocol::door::{Split, State};
use protocol::id::Purpose;
use protocol::study::{Layout, Study};

use super::error::SessionError;
use super::inputs::{Inputs, moments, network, rows, weights};

/// A round's work and its result so far.
pub(crate) struct Work {
    task: Task,
    clip_norm: f64,
    done: usize,
    total: usize,
    /// One list of real sums a section of the round's layout.
    sums: Vec<Vec<f64>>,
}

/// What is summed up.
enum Task {
    /// The training patients' mean values.
    Moments(Box<Patients>),
    /// The clipped gradients of the training patients.
    Gradient(Box<Learner>),
    /// How the model does on the held-out patients.
    Evaluate(Box<Learner>),
}

/// A model and the patients that it is brought.
struct Learner {
    network: Network,
    weights: Vec<f32>,
    inputs: Inputs,
}

impl Work {
    /// The work of a round with this purpose.
    pub(crate) fn new(
        study: &Study,
        file: Option<&[u8]>,
        state: &State,
        patients: Patients,
        purpose: Purpose,
        layout: &Layout,
    ) -> Result<Self, SessionError> {
        if layout.sections.is_empty() {
            return Err(SessionError::NotPlanned(purpose));
        }
        let (total, task) = match purpose {
            Purpose::Moments => (
                patients.of_split(Split::Train).len(),
                Task::Moments(Box::new(patients)),
            ),
            Purpose::Train => {
                let learner = Learner::new(study, file, state, patients, Split::Train)?;
                (learner.inputs.len(), Task::Gradient(Box::new(learner)))
            }
            Purpose::Evaluate => {
                let learner = Learner::new(study, file, state, patients, Split::HeldOut)?;
                (learner.inputs.len(), Task::Evaluate(Box::new(learner)))
            }
        };
        let most = study.manifest().aggregation.patients_per_site;
        if total > usize::try_from(most).unwrap_or(usize::MAX) {
            return Err(SessionError::TooManyPatients { found: total, most });
        }
        let sums = layout
            .sections
            .iter()
            .map(|section| vec![0.0; section.length])
            .collect();
        Ok(Self {
            task,
            clip_norm: study.manifest().privacy.clip_norm,
            done: 0,
            total,
            sums,
        })
    }

    /// Patients done.
    pub(crate) fn done(&self) -> usize {
        self.done
    }

    /// Patients to do.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Does the next batch.
    pub(crate) fn step(&mut self, study: &Study) -> Result<(), SessionError> {
        match &self.task {
            Task::Moments(patients) => {
                self.sums[0] = cohort::moment_vector(patients, &study.manifest().cohort);
                self.done = self.total;
            }
            Task::Gradient(learner) => {
                let places = learner.inputs.places(self.done);
                let (batch, labels) = learner.inputs.batch(places);
                let [update, weight] = self.sums.as_mut_slice() else {
                    return Err(SessionError::Sections);
                };
                learner.network.clipped_sum(
                    &learner.weights,
                    rows(&batch),
                    &labels,
                    self.clip_norm,
                    update,
                )?;
                weight[0] += labels.len() as f64;
                self.done += places.len();
            }
            Task::Evaluate(learner) => {
                let places = learner.inputs.places(self.done);
                let (batch, labels) = learner.inputs.batch(places);
                let probabilities = learner
                    .network
                    .probabilities(&learner.weights, rows(&batch))?;
                let mut counts = vec![0; self.sums[0].len()];
                let classes = study.manifest().cohort.classes.len();
                for (row, label) in probabilities.chunks_exact(classes).zip(&labels) {
                    metrics::count(row, *label, &mut counts)?;
                }
                for (sum, count) in self.sums[0].iter_mut().zip(counts) {
                    *sum += count as f64;
                }
                self.done += places.len();
            }
        }
        Ok(())
    }

    /// The sums, one list a section.
    pub(crate) fn into_sums(self) -> Vec<Vec<f64>> {
        self.sums
    }
}

impl Learner {
    fn new(
        study: &Study,
        file: Option<&[u8]>,
        state: &State,
        patients: Patients,
        split: Split,
    ) -> Result<Self, SessionError> {
        let network = network(study)?;
        let weights = weights(&network, study, file, state)?;
        let normaliser = Normaliser::new(&study.manifest().cohort, &moments(study, state)?)?;
        Ok(Self {
            network,
            weights,
            inputs: Inputs::new(patients, normaliser, Some(split)),
        })
    }
}
