//! A site's own steps in a round of averaging: `FedAvg`, `FedProx`, `SCAFFOLD`.
//!
//! ```text
//! weights of the round ─▶ batch ─▶ Σ clipped gradients ─▶ + noise ─▶ mean ─▶ − c_i + c ─▶ step ─┐ × steps
//!                           ▲                                                                   │
//!                           └───────────────────────────────────────────────────────────────────┘
//! ─▶ change of the weights, change of c_i
//! ```
//!
//! With a finite ε each sum is noised before anything is computed from it, so all that follows is covered by the
//! steps' own cost ([`protocol::study::Local`]).
//!
//! Nothing here ends for what patients are: one of whom the model makes no finite number adds nothing, and weights stop at
//! [`protocol::door::State::MOST_WEIGHT`].

use learning::model::Network;
use learning::optimizer::Descent;
use privacy::BlockedSum;
use protocol::seed::Seed;
use protocol::study::{Averaging, Batch, Local, Weighting};

use super::error::SessionError;
use super::inputs::{Inputs, rows};
use super::schedule::Schedule;
use crate::vector;

/// A site's own steps in a round.
pub(crate) struct LocalTraining {
    network: Network,
    inputs: Inputs,
    /// The weights that the round starts from.
    start: Vec<f32>,
    descent: Descent,
    settings: Averaging,
    clip_norm: f64,
    noise: Option<Local>,
    seed: Seed,
    /// Labels of training patients, as far as what leaves may know: with noise where there is any.
    labels: f64,
    control: Option<Control>,
    schedule: Schedule,
    /// Steps made.
    step: u32,
    /// The patients of this step.
    batch: Vec<usize>,
    /// Of these, done.
    done: usize,
    /// Labels of those.
    labels_done: usize,
    /// Of those, who could not be used.
    unusable_now: u64,
    /// The most who could not be used in a step.
    unusable: u64,
    /// Sum of the clipped gradients in this step.
    sum: BlockedSum,
}

/// The control variates of the round (Karimireddy et al. 2020, algorithm 1).
pub(crate) struct Control {
    /// That of all sites, c.
    pub(crate) shared: Vec<f32>,
    /// This site's, `c_i`.
    pub(crate) own: Vec<f32>,
    /// The most that a value of either can be.
    pub(crate) most: f32,
}

/// What a site's steps came to.
pub(crate) struct Outcome {
    /// What the site counts in the mean.
    pub(crate) weight: f64,
    /// The change of the weights, not longer than the study's change norm.
    pub(crate) change: Vec<f64>,
    /// The change of `c_i` times local steps and rate, not longer than that either; empty without control variates.
    pub(crate) control_change: Vec<f64>,
    /// `c_i` of the next round; empty without control variates.
    pub(crate) control: Vec<f32>,
}

/// What the steps of a round start from.
pub(crate) struct Start {
    pub(crate) network: Network,
    pub(crate) weights: Vec<f32>,
    pub(crate) inputs: Inputs,
    /// How a step is made.
    pub(crate) descent: Descent,
    pub(crate) seed: Seed,
    pub(crate) clip_norm: f64,
    pub(crate) noise: Option<Local>,
    pub(crate) control: Option<Control>,
}

impl LocalTraining {
    /// Before the first step.
    pub(crate) fn begin(settings: Averaging, start: Start) -> Result<Self, SessionError> {
        let Start {
            network,
            weights,
            inputs,
            descent,
            seed,
            clip_norm,
            noise,
            control,
        } = start;
        let labels = match &noise {
            None => inputs.labels() as f64,
            Some(local) => noised_count(local, inputs.labels(), &seed)?,
        };
        let schedule = Schedule::new(settings.batch, inputs.len(), seed.derive("schedule"));
        let mut training = Self {
            start: weights,
            sum: BlockedSum::new(network.trained()),
            unusable: 0,
            unusable_now: 0,
            step: 0,
            batch: Vec::new(),
            done: 0,
            labels_done: 0,
            descent,
            clip_norm,
            network,
            inputs,
            settings,
            noise,
            seed,
            labels,
            control,
            schedule,
        };
        training.next_batch();
        Ok(training)
    }

    /// Starts another round of averaging from weights that are `offset` away from `initial`.
    pub(crate) fn begin_again(
        &mut self,
        initial: &[f32],
        offset: &[f32],
        seed: Seed,
    ) -> Result<(), SessionError> {
        self.schedule = Schedule::new(
            self.settings.batch,
            self.inputs.len(),
            seed.derive("schedule"),
        );
        self.start = moved(&self.network, initial, offset)?;
        self.seed = seed;
        let Averaging {
            optimizer,
            proximal,
            ..
        } = self.settings;
        self.descent = Descent::local(optimizer, proximal, self.network.trained());
        self.step = 0;
        self.next_batch();
        Ok(())
    }

    /// The rule, as far as it has moved the weights.
    pub(crate) fn descent(&self) -> &Descent {
        &self.descent
    }

    /// Patients done, over all steps; a step counts as many as it is expected to have.
    pub(crate) fn done(&self) -> u64 {
        let expected = self.schedule.expected();
        // Never all of a step before it is made.
        u64::from(self.step) * expected as u64 + self.done.min(expected - 1) as u64
    }

    /// Patients to do. In 64 bits: the module's addresses have 32, and steps times patients can be more.
    pub(crate) fn total(&self) -> u64 {
        u64::from(self.settings.steps) * self.schedule.expected() as u64
    }

    /// Patients who could not be used, in the step that had the most of them.
    pub(crate) fn unusable(&self) -> u64 {
        self.unusable
    }

    /// Whether all steps are made.
    pub(crate) fn is_over(&self) -> bool {
        self.step >= self.settings.steps
    }

    /// Does the next chunk of patients and, with the last one of a batch, the step.
    pub(crate) fn work(&mut self) -> Result<(), SessionError> {
        if self.done < self.batch.len() {
            let portion = self.inputs.portion(self.batch[self.done..].iter().copied());
            let report = self.network.clipped_sum_by_patient(
                &moved(&self.network, &self.start, self.descent.offset())?,
                rows(&portion.values),
                &portion.labels,
                &portion.patients,
                self.clip_norm,
                self.sum.block(),
            )?;
            self.sum.added(portion.patients.len());
            self.unusable_now += report.unusable as u64;
            self.unusable = self.unusable.max(self.unusable_now);
            self.done += portion.patients.len();
            self.labels_done += portion.labels.len();
        }
        if self.done == self.batch.len() {
            self.make_step()?;
            self.next_batch();
        }
        Ok(())
    }

    /// What the steps came to.
    pub(crate) fn finish(self) -> Outcome {
        let norm = self.settings.change_norm;
        let weight = match self.settings.weighting {
            Weighting::Patients => self.labels,
            Weighting::Sites => 1.0,
        };
        let offset = self.descent.offset();
        let change = shortened(offset.iter().map(|change| f64::from(*change)), norm);
        let Some(Control {
            shared,
            mut own,
            most,
        }) = self.control
        else {
            return Outcome {
                weight,
                change,
                control_change: Vec::new(),
                control: Vec::new(),
            };
        };
        let steps_times_rate = self.settings.steps_times_rate();
        let control_change = shortened(
            offset.iter().zip(&shared).map(|(change, shared)| {
                -f64::from(*change) - f64::from(*shared) * steps_times_rate
            }),
            norm,
        );
        for (own, change) in own.iter_mut().zip(&control_change) {
            *own = (*own + narrow(change / steps_times_rate)).clamp(-most, most);
        }
        Outcome {
            weight,
            change,
            control_change,
            control: own,
        }
    }

    fn next_batch(&mut self) {
        self.done = 0;
        self.labels_done = 0;
        self.unusable_now = 0;
        self.batch = if self.is_over() {
            Vec::new()
        } else {
            self.schedule.next()
        };
    }

    fn make_step(&mut self) -> Result<(), SessionError> {
        let labels = match self.settings.batch {
            Batch::All => self.labels,
            Batch::Sampled { rate } => self.labels * rate,
            Batch::Shuffled { .. } => self.labels_done as f64,
        };
        let mut mean = self.noised_sum()?;
        for mean in &mut mean {
            *mean /= labels.max(1.0);
        }
        if let Some(Control { shared, own, .. }) = &self.control {
            for ((mean, shared), own) in mean.iter_mut().zip(shared).zip(own) {
                *mean += f64::from(*shared) - f64::from(*own);
            }
        }
        self.descent.step_within(&mean)?;
        self.sum.clear();
        self.step += 1;
        Ok(())
    }

    /// The sum of this step's gradients, with its noise.
    fn noised_sum(&self) -> Result<Vec<f64>, SessionError> {
        let Some(local) = &self.noise else {
            return Ok(self.sum.total());
        };
        let mut in_clip_norms = self.sum.total();
        for sum in &mut in_clip_norms {
            *sum /= self.clip_norm;
        }
        let seed = self.seed.derive(&format!("local step {}", self.step));
        let steps = vector::noised_section(&local.gradient, &in_clip_norms, &seed)?;
        let unit = local.gradient.grid * self.clip_norm;
        Ok(steps.into_iter().map(|steps| steps as f64 * unit).collect())
    }
}

/// The control variates of a round, where the study has them: `shared` is of a parsed state, no value beyond `most`.
pub(crate) fn control(shared: &[f32], own: Vec<f32>, most: Option<f32>) -> Option<Control> {
    let most = most?;
    let own = if own.is_empty() {
        vec![0.0; shared.len()]
    } else {
        own
    };
    Some(Control {
        shared: shared.to_vec(),
        own,
        most,
    })
}

/// Weights with an offset added to the trained ones.
fn moved(network: &Network, weights: &[f32], offset: &[f32]) -> Result<Vec<f32>, SessionError> {
    let mut weights = weights.to_vec();
    network.add(&mut weights, offset)?;
    Ok(weights)
}

/// The labels of training patients with noise, at least 1.
fn noised_count(local: &Local, labels: usize, seed: &Seed) -> Result<f64, SessionError> {
    let seed = seed.derive("local count");
    let steps = vector::noised_section(&local.count, &[labels as f64], &seed)?;
    let most = local.count.bound as f64 * local.count.grid;
    Ok((steps[0] as f64 * local.count.grid).clamp(1.0, most))
}

/// The values, scaled down where their L2 norm is above `norm`.
fn shortened(values: impl Iterator<Item = f64>, norm: f64) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    let actual = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    if actual > norm {
        for value in &mut values {
            *value *= norm / actual;
        }
    }
    values
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "control variates are f32, as weights are"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}
