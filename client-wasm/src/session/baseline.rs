//! Training on the patients at hand alone: what a site would reach without the others, for its own comparison.
//!
//! The study's own rounds without clipping, noise and masks, on one or more cohorts that this host holds. Nothing of it
//! is sent: no stage of the protocol takes a baseline.

use cohort::{Normaliser, Patients};
use learning::model::Network;
use learning::optimizer::ServerOptimizer;
use protocol::door::{self, Progress, Split, State};
use protocol::study::{Normalisation, Study, moments_from_sum};

use super::error::SessionError;
use super::inputs::{Inputs, initial, network, rows};

/// Training on the patients at hand.
pub(crate) struct Baseline {
    network: Network,
    optimizer: ServerOptimizer,
    initial: Vec<f32>,
    normalisation: Vec<door::Moments>,
    inputs: Inputs,
    rounds: usize,
    /// Steps taken.
    round: usize,
    /// Patients done in this step.
    done: usize,
    /// Sum of the gradients in this step.
    sum: Vec<f64>,
}

impl Baseline {
    /// Pools the cohorts and starts training.
    pub(crate) fn begin(request: &door::Baseline) -> Result<Self, SessionError> {
        let study = Study::parse(&request.study)?;
        let manifest = study.manifest();
        let cohorts: Result<Vec<Patients>, _> = request
            .cohorts
            .iter()
            .map(|bytes| Patients::decode(bytes, &manifest.cohort))
            .collect();
        let patients = Patients::pool(cohorts?)?;
        let network = network(&study)?;
        let reference = cohort::reference(&manifest.cohort);
        let (constants, normalisation) = match manifest.cohort.normalisation {
            Normalisation::Reference => (reference, Vec::new()),
            Normalisation::Shared => {
                let sums = cohort::moment_vector(&patients, &manifest.cohort);
                let moments = moments_from_sum(&manifest.cohort, &sums);
                (moments.clone(), moments)
            }
        };
        let normaliser = Normaliser::new(&manifest.cohort, &constants)?;
        let inputs = Inputs::new(patients, normaliser, Some(Split::Train));
        if inputs.len() == 0 {
            return Err(SessionError::NoPatients);
        }
        Ok(Self {
            initial: initial(
                &network,
                &study,
                request.weights.as_deref().map(Vec::as_slice),
            )?,
            optimizer: ServerOptimizer::new(&manifest.training, network.trained()),
            sum: vec![0.0; network.trained()],
            inputs,
            rounds: usize::try_from(manifest.training.rounds).unwrap_or(usize::MAX),
            network,
            normalisation,
            round: 0,
            done: 0,
        })
    }

    /// Patients done and to do, over all steps.
    pub(crate) fn progress(&self) -> Progress {
        let patients = self.inputs.len();
        Progress {
            done: (self.round * patients + self.done) as u64,
            total: self.rounds.saturating_mul(patients) as u64,
        }
    }

    /// Works on at least `patients` more patients, in whole batches.
    pub(crate) fn work(&mut self, patients: u32) -> Result<Progress, SessionError> {
        let Progress { done, total } = self.progress();
        let goal = done.saturating_add(u64::from(patients.max(1))).min(total);
        while self.progress().done < goal {
            self.step()?;
        }
        Ok(self.progress())
    }

    /// The state that training ends in.
    pub(crate) fn finish(self) -> Result<State, SessionError> {
        if self.round < self.rounds {
            return Err(SessionError::NotDone {
                done: self.round,
                total: self.rounds,
            });
        }
        Ok(State {
            offset: self.optimizer.published(),
            normalisation: self.normalisation,
        })
    }

    fn step(&mut self) -> Result<(), SessionError> {
        let places = self.inputs.places(self.done);
        let (batch, labels) = self.inputs.batch(places);
        let mut weights = self.initial.clone();
        self.network.add(&mut weights, self.optimizer.offset())?;
        self.network.clipped_sum(
            &weights,
            rows(&batch),
            &labels,
            f64::INFINITY,
            &mut self.sum,
        )?;
        self.done += places.len();
        if self.done == self.inputs.len() {
            let patients = self.inputs.len() as f64;
            let mean: Vec<f64> = self.sum.iter().map(|sum| sum / patients).collect();
            self.optimizer.step(&mean)?;
            self.sum.fill(0.0);
            self.done = 0;
            self.round += 1;
        }
        Ok(())
    }
}
