//! What a site computes on its patients in a round, cut into steps.

use cohort::{Normaliser, Patients};
use learning::clustering::Cells;
use learning::metrics;
use learning::model::Network;
use learning::optimizer::Descent;
use minicbor::bytes::ByteVec;
use protocol::door::{Split, State};
use protocol::id::Purpose;
use protocol::seed::Seed;
use protocol::study::{Algorithm, Averaging, Layout, Study};

use super::embedding::Embedding;
use super::error::SessionError;
use super::inputs::{Inputs, moments, network, rows, weights};
use super::local::{self, LocalTraining, Outcome};
use super::memory::Memory;
use super::schedule::Schedule;

/// A round's work and its result so far.
pub(crate) struct Work {
    task: Task,
    /// One list of real sums a section of the round's layout.
    sums: Vec<Vec<f64>>,
}

/// What work came to.
pub(crate) struct Results {
    /// One list of real sums a section of the round's layout.
    pub(crate) sums: Vec<Vec<f64>>,
    /// What the site keeps for its next round; empty where that is nothing.
    pub(crate) memory: Vec<u8>,
}

/// What work starts from.
pub(crate) struct Start<'a> {
    pub(crate) study: &'a Study,
    pub(crate) state: &'a State,
    pub(crate) patients: Patients,
    pub(crate) purpose: Purpose,
    pub(crate) layout: &'a Layout,
    pub(crate) seed: &'a Seed,
    /// What the site kept of its last round.
    pub(crate) memory: &'a [u8],
    /// The file of public weights that the study names.
    pub(crate) weights: Option<&'a ByteVec>,
}

/// What is summed up.
enum Task {
    /// The training patients' mean values.
    Moments { patients: Box<Patients>, done: bool },
    /// Clipped gradients of training patients.
    Gradient(Box<Gradient>),
    /// Steps of this site's own.
    Local(Box<LocalTraining>),
    /// How the model does on patients that it was not trained on.
    Evaluate(Box<Learner>),
    /// Counts and sums of the training patients' embeddings.
    Cluster(Box<Cluster>),
}

/// A model and the patients that it is brought.
struct Learner {
    network: Network,
    weights: Vec<f32>,
    inputs: Inputs,
    done: usize,
}

/// A step of the pooled training.
struct Gradient {
    learner: Learner,
    /// The patients of the step.
    patients: Vec<usize>,
    clip_norm: f64,
}

/// A round of clustering.
struct Cluster {
    learner: Learner,
    embedding: Embedding,
    cells: Cells,
}

impl Work {
    /// The work of a round.
    pub(crate) fn new(start: Start<'_>) -> Result<Self, SessionError> {
        if start.layout.sections.is_empty() {
            return Err(SessionError::NotPlanned(start.purpose));
        }
        let split = match start.purpose {
            Purpose::Moments | Purpose::Train | Purpose::Seed | Purpose::Cluster => Split::Train,
            Purpose::Tune => Split::Tuning,
            Purpose::Evaluate => Split::HeldOut,
        };
        let found = start.patients.of_split(split).count();
        let most = start.study.manifest().aggregation.patients_per_site;
        if found > usize::try_from(most).unwrap_or(usize::MAX) {
            return Err(SessionError::TooManyPatients { found, most });
        }
        let sections = &start.layout.sections;
        let sums = sections
            .iter()
            .map(|section| vec![0.0; section.length])
            .collect();
        Ok(Self {
            task: Task::new(start, split)?,
            sums,
        })
    }

    /// Patients done.
    pub(crate) fn done(&self) -> usize {
        match &self.task {
            Task::Moments { done: false, .. } => 0,
            Task::Moments { done: true, .. } => self.total(),
            Task::Gradient(gradient) => gradient.learner.done,
            Task::Local(local) => local.done(),
            Task::Evaluate(learner) => learner.done,
            Task::Cluster(cluster) => cluster.learner.done,
        }
    }

    /// Patients to do.
    pub(crate) fn total(&self) -> usize {
        match &self.task {
            Task::Moments { patients, .. } => patients.of_split(Split::Train).count(),
            Task::Gradient(gradient) => gradient.patients.len(),
            Task::Local(local) => local.total(),
            Task::Evaluate(learner) => learner.inputs.len(),
            Task::Cluster(cluster) => cluster.learner.inputs.len(),
        }
    }

    /// Whether all is done.
    pub(crate) fn is_over(&self) -> bool {
        match &self.task {
            Task::Moments { done, .. } => *done,
            Task::Local(local) => local.is_over(),
            Task::Gradient(_) | Task::Evaluate(_) | Task::Cluster(_) => self.done() >= self.total(),
        }
    }

    /// Does the next batch.
    pub(crate) fn step(&mut self, study: &Study) -> Result<(), SessionError> {
        match &mut self.task {
            Task::Moments { patients, done } => {
                self.sums[0] = cohort::moment_vector(patients, &study.manifest().cohort);
                *done = true;
                Ok(())
            }
            Task::Gradient(gradient) => gradient.step(&mut self.sums),
            Task::Local(local) => local.work(),
            Task::Evaluate(learner) => {
                let classes = study.manifest().cohort.classes.len();
                learner.count(classes, &mut self.sums[0])
            }
            Task::Cluster(cluster) => cluster.step(&mut self.sums),
        }
    }

    /// What it came to.
    pub(crate) fn finish(mut self, study: &Study) -> Result<Results, SessionError> {
        let mut memory = Vec::new();
        match self.task {
            Task::Moments { .. } | Task::Evaluate(_) | Task::Cluster(_) => {}
            Task::Gradient(gradient) => gradient.finish(&mut self.sums)?,
            Task::Local(local) => {
                let outcome = local.finish();
                if !outcome.control.is_empty() {
                    memory = Memory::new(study.digest(), outcome.control.clone()).encode();
                }
                self.sums = sections(outcome);
            }
        }
        Ok(Results {
            sums: self.sums,
            memory,
        })
    }
}

impl Task {
    fn new(start: Start<'_>, split: Split) -> Result<Self, SessionError> {
        match (start.purpose, start.study.manifest().training.algorithm) {
            (Purpose::Moments, _) => {
                let done = start.patients.of_split(split).next().is_none();
                let patients = Box::new(start.patients);
                Ok(Self::Moments { patients, done })
            }
            (Purpose::Train, Algorithm::Gradient { batch }) => {
                let adapted = start.study.manifest().privacy.adaptive_clip.is_some();
                let clip_norm = match start.state.clip_norm {
                    Some(norm) if adapted => positive(norm)?,
                    _ => start.study.manifest().privacy.clip_norm,
                };
                let seed = start.seed.derive("schedule");
                let learner = Learner::new(start, split)?;
                let patients = Schedule::new(batch, learner.inputs.len(), seed).next();
                Ok(Self::Gradient(Box::new(Gradient {
                    learner,
                    patients,
                    clip_norm,
                })))
            }
            (Purpose::Train, Algorithm::Averaging(settings)) => {
                local_training(start, settings, split)
            }
            (Purpose::Evaluate | Purpose::Tune, _) => {
                let learner = Learner::new(start, split)?;
                Ok(Self::Evaluate(Box::new(learner)))
            }
            (purpose @ (Purpose::Seed | Purpose::Cluster), _) => {
                let Start { study, state, .. } = start;
                let learner = Learner::new(start, split)?;
                let embedding = Embedding::of(study, &learner.network)?
                    .ok_or(SessionError::NotPlanned(purpose))?;
                let cells = embedding.cells(purpose, state)?;
                Ok(Self::Cluster(Box::new(Cluster {
                    learner,
                    embedding,
                    cells,
                })))
            }
        }
    }
}

impl Gradient {
    fn step(&mut self, sums: &mut [Vec<f64>]) -> Result<(), SessionError> {
        let learner = &mut self.learner;
        let left = self.patients[learner.done..].iter().copied();
        let portion = learner.inputs.portion(left);
        let [update, _, rest @ ..] = sums else {
            return Err(SessionError::Sections);
        };
        let report = learner.network.clipped_sum_by_patient(
            &learner.weights,
            rows(&portion.values),
            &portion.labels,
            &portion.patients,
            self.clip_norm,
            update,
        )?;
        if let [short] = rest {
            for (norm, labels) in report.norms.iter().zip(&portion.patients) {
                let half = if *norm <= self.clip_norm { 0.5 } else { -0.5 };
                short[0] += half * *labels as f64;
            }
        }
        learner.done += portion.patients.len();
        Ok(())
    }

    fn finish(self, sums: &mut [Vec<f64>]) -> Result<(), SessionError> {
        let [update, weight, ..] = sums else {
            return Err(SessionError::Sections);
        };
        for sum in update {
            *sum /= self.clip_norm;
        }
        // All of them, sampled or not: the aggregator knows the rate.
        weight[0] = self.learner.inputs.labels() as f64;
        Ok(())
    }
}

impl Cluster {
    /// Adds the next batch.
    fn step(&mut self, sums: &mut [Vec<f64>]) -> Result<(), SessionError> {
        let learner = &mut self.learner;
        let [members, embeddings] = sums else {
            return Err(SessionError::Sections);
        };
        if members.len() < self.cells.count() {
            return Err(SessionError::Centres);
        }
        let portion = learner.inputs.portion(learner.done..learner.inputs.len());
        let points = self
            .embedding
            .points(&learner.network, &learner.weights, &portion)?;
        for point in &points {
            self.cells.add(point, members, embeddings);
        }
        learner.done += points.len();
        Ok(())
    }
}

impl Learner {
    fn new(start: Start<'_>, split: Split) -> Result<Self, SessionError> {
        let Start { study, state, .. } = start;
        let network = network(study)?;
        let weights = weights(&network, study, start.weights, state)?;
        let normaliser = Normaliser::new(&study.manifest().cohort, &moments(study, state)?)?;
        Ok(Self {
            network,
            weights,
            inputs: Inputs::new(start.patients, normaliser, Some(split)),
            done: 0,
        })
    }

    /// Counts the next batch.
    fn count(&mut self, classes: usize, sums: &mut [f64]) -> Result<(), SessionError> {
        let portion = self.inputs.portion(self.done..self.inputs.len());
        let probabilities = self
            .network
            .probabilities(&self.weights, rows(&portion.values))?;
        let mut counts = vec![0; sums.len()];
        for (row, label) in probabilities.chunks_exact(classes).zip(&portion.labels) {
            metrics::count(row, *label, &mut counts)?;
        }
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count as f64;
        }
        self.done += portion.patients.len();
        Ok(())
    }
}

fn local_training(
    start: Start<'_>,
    settings: Averaging,
    split: Split,
) -> Result<Task, SessionError> {
    let Start {
        study,
        state,
        layout,
        memory,
        seed,
        ..
    } = start;
    let learner = Learner::new(start, split)?;
    let parameters = learner.network.trained();
    let own = Memory::decode(memory, study.digest(), parameters)?;
    let start = local::Start {
        control: local::control(&settings, &state.control, own, parameters)?,
        descent: Descent::local(settings.optimizer, settings.proximal, parameters),
        clip_norm: study.manifest().privacy.clip_norm,
        network: learner.network,
        weights: learner.weights,
        inputs: learner.inputs,
        seed: seed.derive("local training"),
        noise: layout.local.clone(),
    };
    let training = LocalTraining::begin(settings, start)?;
    Ok(Task::Local(Box::new(training)))
}

/// The sections of a round of averaging, in the order of the layout.
fn sections(outcome: Outcome) -> Vec<Vec<f64>> {
    let Outcome {
        weight,
        mut change,
        control_change,
        ..
    } = outcome;
    for change in &mut change {
        *change *= weight;
    }
    let mut sections = vec![change, vec![weight]];
    if !control_change.is_empty() {
        sections.push(control_change);
    }
    sections
}

fn positive(norm: f64) -> Result<f64, SessionError> {
    if norm > 0.0 && norm.is_finite() {
        Ok(norm)
    } else {
        Err(SessionError::ClipNorm(norm))
    }
}
