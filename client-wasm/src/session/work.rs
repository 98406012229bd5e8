//! What a site computes on its patients in a round, cut into steps.
//!
//! Whether a round is answered depends on study, header and state, not on the patients. So nothing here is refused for what
//! patients are or how many: one of whom the model makes no finite number (the weights of a round may be such) adds no
//! gradient, is in no cluster, and is evaluated as if all classes were equally probable. How many these are is told to the
//! site's own people.

use cohort::{Normaliser, Patients};
use learning::clustering::Cells;
use learning::metrics;
use learning::model::Network;
use learning::optimizer::Descent;
use minicbor::bytes::ByteVec;
use privacy::BlockedSum;
use protocol::door::{Split, State};
use protocol::id::Purpose;
use protocol::seed::Seed;
use protocol::study::{Algorithm, Averaging, Layout, Manifest, Study};

use super::embedding::Embedding;
use super::error::SessionError;
use super::inputs::{Inputs, moments, network, rows, weights};
use super::local::{self, LocalTraining, Outcome};
use super::memory::Memory;
use super::schedule::Schedule;

/// A round's work and its result so far.
pub(crate) struct Work {
    task: Task,
    /// A sum for each section of the round's layout.
    sums: Vec<BlockedSum>,
    /// Patients so far who could not be used.
    unusable: u64,
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
    Moments {
        patients: Box<Patients>,
        /// Once it is known.
        sum: Option<Vec<f64>>,
    },
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
        let sections = &start.layout.sections;
        let sums = sections
            .iter()
            .map(|section| BlockedSum::new(section.length))
            .collect();
        Ok(Self {
            task: Task::new(start, split)?,
            sums,
            unusable: 0,
        })
    }

    /// Patients done.
    pub(crate) fn done(&self) -> u64 {
        match &self.task {
            Task::Moments { sum: None, .. } => 0,
            Task::Moments { sum: Some(_), .. } => self.total(),
            Task::Gradient(gradient) => gradient.learner.done as u64,
            Task::Local(local) => local.done(),
            Task::Evaluate(learner) => learner.done as u64,
            Task::Cluster(cluster) => cluster.learner.done as u64,
        }
    }

    /// Patients to do.
    pub(crate) fn total(&self) -> u64 {
        match &self.task {
            Task::Moments { patients, .. } => patients.of_split(Split::Train).count() as u64,
            Task::Gradient(gradient) => gradient.patients.len() as u64,
            Task::Local(local) => local.total(),
            Task::Evaluate(learner) => learner.inputs.len() as u64,
            Task::Cluster(cluster) => cluster.learner.inputs.len() as u64,
        }
    }

    /// Patients so far who could not be used.
    pub(crate) fn unusable(&self) -> u64 {
        match &self.task {
            Task::Local(local) => local.unusable(),
            _ => self.unusable,
        }
    }

    /// Whether all is done.
    pub(crate) fn is_over(&self) -> bool {
        match &self.task {
            Task::Moments { sum, .. } => sum.is_some(),
            Task::Local(local) => local.is_over(),
            Task::Gradient(_) | Task::Evaluate(_) | Task::Cluster(_) => self.done() >= self.total(),
        }
    }

    /// Does the next batch.
    pub(crate) fn step(&mut self, study: &Study) -> Result<(), SessionError> {
        match &mut self.task {
            Task::Moments { patients, sum } => {
                *sum = Some(cohort::moment_vector(patients, &study.manifest().cohort));
            }
            Task::Local(local) => local.work()?,
            Task::Gradient(gradient) => self.unusable += gradient.step(&mut self.sums)?,
            Task::Evaluate(learner) => {
                let [counts] = &mut self.sums[..] else {
                    return Err(SessionError::Sections);
                };
                self.unusable += learner.count(study.manifest(), counts)?;
            }
            Task::Cluster(cluster) => self.unusable += cluster.step(&mut self.sums)?,
        }
        Ok(())
    }

    /// What it came to.
    pub(crate) fn finish(self, study: &Study) -> Result<Results, SessionError> {
        let totals = || self.sums.into_iter().map(BlockedSum::into_total).collect();
        let mut memory = Vec::new();
        let sums = match self.task {
            Task::Moments { sum, .. } => vec![sum.ok_or(SessionError::Sections)?],
            Task::Evaluate(_) | Task::Cluster(_) => totals(),
            Task::Gradient(gradient) => gradient.finish(totals())?,
            Task::Local(local) => {
                let outcome = local.finish();
                if !outcome.control.is_empty() {
                    memory = Memory::new(study.digest(), outcome.control.clone()).encode();
                }
                sections(outcome)
            }
        };
        Ok(Results { sums, memory })
    }
}

impl Task {
    fn new(start: Start<'_>, split: Split) -> Result<Self, SessionError> {
        match (start.purpose, start.study.manifest().training.algorithm) {
            (Purpose::Moments, _) => {
                let nobody = start.patients.of_split(split).next().is_none();
                let length = start.layout.length();
                Ok(Self::Moments {
                    patients: Box::new(start.patients),
                    sum: nobody.then(|| vec![0.0; length]),
                })
            }
            (Purpose::Train, Algorithm::Gradient { batch }) => {
                // A parsed state has one where the study adapts it, within the study's range.
                let own = start.study.manifest().privacy.clip_norm;
                let clip_norm = start.state.clip_norm.unwrap_or(own);
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
                let cells = embedding.cells(purpose, state);
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
    /// Adds the next batch; says how many of its patients could not be used.
    fn step(&mut self, sums: &mut [BlockedSum]) -> Result<u64, SessionError> {
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
            update.block(),
        )?;
        update.added(portion.patients.len());
        if let [short] = rest {
            for (norm, labels) in report.norms.iter().zip(&portion.patients) {
                let half = if *norm <= self.clip_norm { 0.5 } else { -0.5 };
                short.block()[0] += half * *labels as f64;
            }
        }
        learner.done += portion.patients.len();
        Ok(report.unusable as u64)
    }

    /// The sections from the sums of all patients.
    fn finish(self, mut sums: Vec<Vec<f64>>) -> Result<Vec<Vec<f64>>, SessionError> {
        let [update, weight, ..] = &mut sums[..] else {
            return Err(SessionError::Sections);
        };
        for sum in update {
            *sum /= self.clip_norm;
        }
        // All of them, sampled or not: the aggregator knows the rate.
        weight[0] = self.learner.inputs.labels() as f64;
        Ok(sums)
    }
}

impl Cluster {
    /// Adds the next batch; says how many of its patients could not be used.
    fn step(&mut self, sums: &mut [BlockedSum]) -> Result<u64, SessionError> {
        let learner = &mut self.learner;
        let [members, embeddings] = sums else {
            return Err(SessionError::Sections);
        };
        if members.block().len() < self.cells.count() {
            return Err(SessionError::Sections);
        }
        let portion = learner.inputs.portion(learner.done..learner.inputs.len());
        let points = self
            .embedding
            .points(&learner.network, &learner.weights, &portion)?;
        for point in points.iter().flatten() {
            self.cells.add(point, members.block(), embeddings.block());
        }
        embeddings.added(points.len());
        learner.done += points.len();
        Ok(points.iter().filter(|point| point.is_none()).count() as u64)
    }
}

impl Learner {
    fn new(start: Start<'_>, split: Split) -> Result<Self, SessionError> {
        let Start { study, state, .. } = start;
        let network = network(study)?;
        let weights = weights(&network, study, start.weights, state)?;
        let normaliser = Normaliser::new(&study.manifest().cohort, &moments(study, state))?;
        Ok(Self {
            network,
            weights,
            inputs: Inputs::new(start.patients, normaliser, Some(split)),
            done: 0,
        })
    }

    /// Counts the next batch; says how many of its patients could not be used. Each label of such a patient counts as one for
    /// which all classes were equally probable.
    fn count(&mut self, study: &Manifest, sums: &mut BlockedSum) -> Result<u64, SessionError> {
        let classes = study.cohort.classes.len();
        let portion = self.inputs.portion(self.done..self.inputs.len());
        let probabilities = self
            .network
            .usable_probabilities(&self.weights, rows(&portion.values))?;
        let unknown = vec![single(1.0 / classes as f64); classes];
        let mut counts = vec![0; sums.block().len()];
        let mut of_labels = probabilities.each().zip(&portion.labels);
        let mut unusable = 0;
        for labels in &portion.patients {
            let own: Vec<_> = of_labels.by_ref().take(*labels).collect();
            let is_usable = own
                .iter()
                .all(|(row, _)| row.is_some_and(are_probabilities));
            unusable += u64::from(!is_usable);
            for (row, label) in own {
                let row = row.filter(|_| is_usable).unwrap_or(&unknown);
                metrics::count(row, *label, &study.metrics, &mut counts)?;
            }
        }
        for (sum, count) in sums.block().iter_mut().zip(counts) {
            *sum += count as f64;
        }
        self.done += portion.patients.len();
        Ok(unusable)
    }
}

fn are_probabilities(row: &[f32]) -> bool {
    row.iter().all(|value| (0.0..=1.0).contains(value))
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
        control: local::control(&state.control, own, study.manifest().most_control()),
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

#[expect(
    clippy::cast_possible_truncation,
    reason = "probabilities are f32 wherever they are counted"
)]
fn single(value: f64) -> f32 {
    value as f32
}
