//! Training on the patients at hand alone: what a site would reach without the others, for its own comparison, and how
//! public weights to start from are made.
//!
//! The study's own rounds as a federation of one, without clipping, noise, masks and early stopping, on one or more
//! cohorts that this host holds. Nothing of it is sent: no stage of the protocol takes a baseline.

use cohort::{Normaliser, Patients};
use learning::model::Network;
use learning::optimizer::Descent;
use protocol::door::{self, Progress, Split, State};
use protocol::id::Digest;
use protocol::seed::Seed;
use protocol::study::{
    Algorithm, Averaging, Batch, ControlVariates, Manifest, Normalisation, Optimizer,
    Personalisation, Study, Weighting, moments_from_sum,
};

use super::error::SessionError;
use super::inputs::{Inputs, moments, network, weights};
use super::local::{self, LocalTraining};

/// Training on the patients at hand.
pub(crate) struct Baseline {
    initial: Vec<f32>,
    server: Server,
    seed: Seed,
    training: LocalTraining,
    /// Rounds done.
    round: u32,
    rounds: u32,
    /// The state that training begins at: the published one for a personal model.
    start: State,
}

/// What the aggregator would do.
enum Server {
    /// Gradient rounds of one site are its own steps.
    None,
    /// Takes each round's change in.
    Descent(Box<Descent>),
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
        let (start, plan) = match &request.state {
            Some(bytes) => (
                State::published(&study, bytes)?,
                Plan::personal(manifest, network.trained())?,
            ),
            None => (
                beginning(manifest, &network, &patients),
                Plan::of(manifest, network.trained()),
            ),
        };
        let normaliser = Normaliser::new(&manifest.cohort, &moments(&study, &start))?;
        let inputs = Inputs::new(patients, normaliser, Some(Split::Train));
        if inputs.len() == 0 {
            return Err(SessionError::NoPatients);
        }
        let initial = weights(&network, &study, request.weights.as_ref(), &start)?;
        // Public: chances of a comparison that nobody else sees, the same for the same study.
        let seed = Seed::new(Digest::of(&request.study).0).derive("baseline");
        let training = local::Start {
            weights: initial.clone(),
            seed: seed.derive("round 0"),
            clip_norm: f64::INFINITY,
            noise: None,
            control: None,
            network,
            inputs,
            descent: plan.descent,
        };
        Ok(Self {
            training: LocalTraining::begin(plan.settings, training)?,
            round: 0,
            initial,
            server: plan.server,
            seed,
            rounds: plan.rounds,
            start,
        })
    }

    /// Patients done and to do, over all steps.
    pub(crate) fn progress(&self) -> Progress {
        let patients = self.training.total();
        let behind = if self.is_over() {
            0
        } else {
            self.training.done()
        };
        Progress {
            done: u64::from(self.round) * patients + behind,
            total: u64::from(self.rounds) * patients,
            unusable: self.training.unusable(),
        }
    }

    /// Works on at least `patients` more patients, in whole batches.
    pub(crate) fn work(&mut self, patients: u32) -> Result<Progress, SessionError> {
        let goal = self.progress().done.saturating_add(patients.max(1).into());
        while !self.is_over() && self.progress().done < goal {
            self.training.work()?;
            if self.training.is_over() {
                self.end_round()?;
            }
        }
        Ok(self.progress())
    }

    /// The state that training ends in.
    pub(crate) fn finish(self) -> Result<State, SessionError> {
        if !self.is_over() {
            let Progress { done, total, .. } = self.progress();
            return Err(SessionError::NotDone { done, total });
        }
        let mut offset = match self.server {
            Server::None => self.training.descent().published(),
            Server::Descent(descent) => descent.published(),
        };
        for (offset, start) in offset.iter_mut().zip(&self.start.offset) {
            *offset += start;
        }
        // Said this way round, so that what is no number has diverged too.
        if !offset
            .iter()
            .all(|weight| weight.abs() < State::MOST_WEIGHT)
        {
            return Err(SessionError::Diverged);
        }
        Ok(State {
            offset,
            normalisation: self.start.normalisation,
            ..State::default()
        })
    }

    fn is_over(&self) -> bool {
        self.round >= self.rounds
    }

    fn end_round(&mut self) -> Result<(), SessionError> {
        self.round += 1;
        let Server::Descent(server) = &mut self.server else {
            return Ok(());
        };
        let change = self.training.descent().offset();
        let gradient: Vec<f64> = change.iter().map(|change| -f64::from(*change)).collect();
        server.step(&gradient)?;
        if self.round < self.rounds {
            let seed = self.seed.derive(&format!("round {}", self.round));
            self.training
                .begin_again(&self.initial, server.offset(), seed)?;
        }
        Ok(())
    }
}

/// The state that a study of these patients begins its training at.
fn beginning(manifest: &Manifest, network: &Network, patients: &Patients) -> State {
    let normalisation = match manifest.cohort.normalisation {
        Normalisation::Reference => Vec::new(),
        Normalisation::Shared => {
            let sums = cohort::moment_vector(patients, &manifest.cohort);
            moments_from_sum(&manifest.cohort, &sums)
        }
    };
    State {
        offset: vec![0.0; network.trained()],
        normalisation,
        ..State::default()
    }
}

/// Training as local steps.
struct Plan {
    settings: Averaging,
    /// The rule that makes them.
    descent: Descent,
    server: Server,
    rounds: u32,
}

impl Plan {
    /// The study's training as a federation of one.
    fn of(manifest: &Manifest, parameters: usize) -> Self {
        let training = &manifest.training;
        let server = Descent::new(training, parameters);
        match training.algorithm {
            Algorithm::Gradient { batch } => Self {
                settings: alone(training.rounds, batch, training.optimizer),
                descent: server,
                server: Server::None,
                rounds: 1,
            },
            Algorithm::Averaging(settings) => Self {
                settings,
                descent: Descent::local(settings.optimizer, settings.proximal, parameters),
                server: Server::Descent(Box::new(server)),
                rounds: training.rounds,
            },
        }
    }

    /// The study's personalisation.
    fn personal(manifest: &Manifest, parameters: usize) -> Result<Self, SessionError> {
        let Personalisation {
            steps,
            batch,
            optimizer,
            proximal,
        } = manifest.personalisation.ok_or(SessionError::NotPersonal)?;
        Ok(Self {
            settings: alone(steps, batch, optimizer),
            descent: Descent::local(optimizer, proximal, parameters),
            server: Server::None,
            rounds: 1,
        })
    }
}

/// Steps of which nobody else hears.
fn alone(steps: u32, batch: Batch, optimizer: Optimizer) -> Averaging {
    Averaging {
        steps,
        batch,
        optimizer,
        proximal: 0.0,
        control_variates: ControlVariates::None,
        weighting: Weighting::Sites,
        change_norm: f64::INFINITY,
    }
}
