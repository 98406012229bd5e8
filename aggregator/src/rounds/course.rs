//! Where a study stands between its rounds, and how each round's outcome moves it on.
//!
//! ```text
//! plan: Moments? Train Train … Evaluate … Train Evaluate (Seed … Cluster …)?
//!         ▲ place
//! finished    → what was learned is taken in, the place moves on
//! finished, Tune, and too long no better  → the place moves on to the last Evaluate
//! abandoned before stage mask      → the same place under a new number
//! abandoned at stage mask or later → Moments: the study stops
//!                                    Train, Seed, Cluster without noise: the study stops
//!                                    all others: the place moves on without a result
//! ```
//!
//! Numbers only rise and places never go back: a place that may have been charged is never asked for again.
//!
//! **Why a number is never used twice.** A site's masks and noise are bound to the round's number. Two sums under one
//! number, over two sets of survivors, would differ by exactly one site's vector: the one thing that no round shows.
//!
//! **Why a step is not repeated once stage mask has begun.** A site charges its ledger before its masked vector leaves
//! it, and cannot know whether the sum was opened. So the budget of that step is spent, whatever became of it; a
//! repetition would be charged on top, and the sites' ledgers, which hold the study to its ε, would refuse its last
//! rounds. The step is lost instead. That no announcement came in says nothing: one may be on its way, and its site has
//! paid for it. Before stage mask nobody has what a masked vector is made of, so nothing was charged, and a new number
//! costs nothing. So a site pays for each place of the plan once at most, and its ledger covers the study to its end.
//! Moments cannot be done without, so the study stops and says so.
//!
//! **Why a study without noise stops where a step is lost.** The next step would start from the same state. Two sums of
//! the same vectors, over two sets of survivors, differ by one hospital's vector, and at ε = ∞ nothing hides it: so a site
//! that has sent a masked vector does not answer again from that state, and the study cannot go on.

use std::collections::{BTreeMap, BTreeSet};

use learning::metrics;
use learning::optimizer::Descent;
use minicbor::{Decode, Encode};
use protocol::api::{Count, Estimate, Figure, Metrics, RoundRecord, Stage};
use protocol::door::{Moments, State};
use protocol::id::{Digest, Purpose, SiteId};
use protocol::seed::Seed;
use protocol::study::{Algorithm, Averaging, Batch, SectionName, Study, moments_from_sum};

use super::clusters::Clusters;
use super::error::Fault;
use super::nobody;
use super::patients::PatientCount;
use super::step::{self, Step};
use super::sum::{RealSum, real_count};

/// Where a study stands between its rounds.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Course {
    /// Weights and the rule that moves them.
    #[n(0)]
    optimizer: Descent,
    /// What the sites share; empty before, and where the study goes by reference.
    #[n(1)]
    normalisation: Vec<Moments>,
    /// The mean number of training patients.
    #[n(2)]
    patients: PatientCount,
    /// Rounds of the plan that are behind.
    #[n(3)]
    place: u32,
    /// The number of the next round.
    #[n(4)]
    next_number: u32,
    /// Whether it goes on.
    #[n(5)]
    standing: Standing,
    /// The round before the next one.
    #[n(6)]
    last: LastRound,
    /// The sites' shared control variate; empty where the study has none.
    #[n(7)]
    control: Vec<f32>,
    /// The clip norm, where the study adapts it.
    #[n(8)]
    clip_norm: Option<f64>,
    /// The best model so far, where training can stop early.
    #[n(9)]
    best: Option<Best>,
    /// Clusters, where the study looks for them.
    #[n(10)]
    clusters: Clusters,
}

/// The best model so far, by the tuning patients.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Best {
    /// Its macro AUC, with noise.
    #[n(0)]
    macro_auc: f64,
    /// The standard deviation of that noise.
    #[n(3)]
    deviation: f64,
    /// What it adds to the initial weights.
    #[n(1)]
    offset: Vec<f32>,
    /// Looks since.
    #[n(2)]
    looks: u32,
}

/// What outlives a round, so that sites are answered well in the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct LastRound {
    /// Its number.
    #[n(0)]
    pub number: u32,
    /// The sites that had not answered in the stage that it ended in, and those that were away before and had no part in
    /// it: the next round does not wait long for them.
    #[n(1)]
    pub away: BTreeSet<SiteId>,
    /// The digests of the bodies that opened its sum: a site whose answer was lost may send the same again.
    #[n(2)]
    pub opened: BTreeMap<SiteId, Digest>,
}

/// Whether a study goes on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Standing {
    /// There are rounds to do.
    #[n(0)]
    Running,
    /// All rounds are done.
    #[n(1)]
    Finished {
        /// The digest of the published state.
        #[n(0)]
        state: Digest,
    },
    /// It cannot go on.
    #[n(2)]
    Stopped {
        /// Why.
        #[n(0)]
        reason: String,
    },
}

/// Whether sites have charged their ledgers for a round that is abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// None has: the round ended before stage mask.
    Nobody,
    /// Some may have, whether their vectors came in or not.
    Perhaps,
}

impl Charge {
    /// Of a round that ended in this stage: ledgers are charged in stage mask.
    #[must_use]
    pub fn at(stage: Stage) -> Self {
        if stage < Stage::Mask {
            Self::Nobody
        } else {
            Self::Perhaps
        }
    }
}

/// What a round showed, for people.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Labels of training patients in the sum.
    pub patients: Option<Count>,
    /// L2 norm of the mean update.
    pub update_norm: Option<Figure>,
    /// On held-out or tuning patients, with noise.
    pub metrics: Option<Metrics>,
}

impl Course {
    /// The start of a study.
    #[must_use]
    pub fn begin(study: &Study) -> Self {
        let manifest = study.manifest();
        let parameters = usize::try_from(manifest.model.parameters).unwrap_or(usize::MAX);
        let control = if manifest.training.algorithm.has_control_variates() {
            vec![0.0; parameters]
        } else {
            Vec::new()
        };
        let adaptive = manifest.privacy.adaptive_clip;
        Self {
            control,
            clip_norm: adaptive.map(|_| manifest.privacy.clip_norm),
            best: None,
            clusters: Clusters::default(),
            optimizer: Descent::new(&manifest.training, parameters),
            normalisation: Vec::new(),
            patients: PatientCount::default(),
            place: 0,
            next_number: 0,
            standing: Standing::Running,
            last: LastRound::default(),
        }
    }

    /// Whether it goes on.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The number of the next round.
    #[must_use]
    pub fn next_number(&self) -> u32 {
        self.next_number
    }

    /// The round before the next one.
    #[must_use]
    pub fn last(&self) -> &LastRound {
        &self.last
    }

    /// Keeps what is to outlive the round that ends.
    pub fn keep(&mut self, last: LastRound) {
        self.last = last;
    }

    /// Takes the next number; from here on it counts as used.
    pub fn take_number(&mut self) -> u32 {
        let number = self.next_number;
        self.next_number = number.saturating_add(1);
        number
    }

    /// The place of the next round in the study's plan.
    #[must_use]
    pub fn place(&self) -> u32 {
        self.place
    }

    /// What the next round computes; nothing at the end of the plan.
    #[must_use]
    pub fn purpose(&self, study: &Study) -> Option<Purpose> {
        let place = usize::try_from(self.place).ok()?;
        study.plan().get(place).copied()
    }

    /// The state that the next round starts from: the one to train on, or, where all training is behind, the published
    /// one, so that the last evaluation is of the very model that is given out.
    ///
    /// Whatever the sums were, it is one that [`State::of`] takes: sites refuse any other.
    #[must_use]
    pub fn state(&self, study: &Study) -> State {
        let place = usize::try_from(self.place).unwrap_or(usize::MAX);
        let training_is_over = !study
            .plan()
            .iter()
            .skip(place)
            .any(|purpose| *purpose == Purpose::Train);
        let offset = match (&self.best, training_is_over) {
            (Some(best), true) => best.offset.clone(),
            (None, true) => self.optimizer.published(),
            (_, false) => self.optimizer.offset().to_vec(),
        };
        State {
            offset,
            normalisation: self.normalisation.clone(),
            control: self.control.clone(),
            clip_norm: self.clip_norm,
            centres: self.clusters.centres(study, self.purpose(study)),
        }
    }

    /// Takes a round's sum in. A sum that training cannot go on from stops the study.
    ///
    /// # Errors
    ///
    /// A sum that is not of the study's classes; the course is then as it was.
    pub fn finish_round(&mut self, study: &Study, sum: &RealSum) -> Result<Figures, Fault> {
        let figures = match sum.purpose() {
            Purpose::Moments => {
                self.normalisation =
                    moments_from_sum(&study.manifest().cohort, sum.section(SectionName::Moments));
                Figures::default()
            }
            Purpose::Train => self.train(study, sum),
            Purpose::Seed | Purpose::Cluster => {
                self.clusters.take_in(study, sum);
                Figures::default()
            }
            Purpose::Evaluate | Purpose::Tune => Figures {
                metrics: Some(self.measured(study, sum)?),
                ..Figures::default()
            },
        };
        self.place += 1;
        if let (Purpose::Tune, Some(metrics)) = (sum.purpose(), &figures.metrics) {
            self.look(study, metrics.macro_auc.as_ref());
        }
        Ok(figures)
    }

    /// The figures of an evaluation. What draws the replicates of its bootstrap is public, so that everyone who has the sum
    /// computes the same.
    fn measured(&self, study: &Study, sum: &RealSum) -> Result<Metrics, Fault> {
        let manifest = study.manifest();
        let of_study = Seed::new(study.digest().0);
        let noise = metrics::Noise {
            deviation: sum.noise(SectionName::Metrics),
            replicates: of_study
                .derive(&format!(
                    "replicates of the figures at place {}",
                    self.place
                ))
                .rng(),
        };
        Ok(metrics::released(
            sum.section(SectionName::Metrics),
            manifest.cohort.classes.len(),
            &manifest.metrics,
            noise,
        )?)
    }

    /// Takes in how the model does on tuning patients, and ends training where that was long no better.
    ///
    /// A model is better where its area is above that of the best one by more than the standard deviation of the noise in
    /// their difference: of models that are as good as each other the first is kept (the rule of one standard error, Breiman
    /// et al. 1984, section 3.4.3). A look whose figure is withheld, or at nobody, tells nothing, and does not count.
    fn look(&mut self, study: &Study, macro_auc: Option<&Figure>) {
        let Some(stopping) = study.manifest().training.stopping else {
            return;
        };
        let Some(Estimate {
            value, deviation, ..
        }) = macro_auc.and_then(Figure::shown).copied()
        else {
            return;
        };
        match &mut self.best {
            Some(best) if value <= best.macro_auc + best.deviation.hypot(deviation) => {
                best.looks += 1;
            }
            _ => {
                self.best = Some(Best {
                    macro_auc: value,
                    deviation,
                    offset: self.optimizer.offset().to_vec(),
                    looks: 0,
                });
            }
        }
        if self
            .best
            .as_ref()
            .is_some_and(|best| best.looks >= stopping.patience)
        {
            // The last one of every plan is of the model that training ends in.
            let last = study
                .plan()
                .iter()
                .rposition(|purpose| *purpose == Purpose::Evaluate);
            self.place = last
                .and_then(|last| u32::try_from(last).ok())
                .unwrap_or(u32::MAX);
        }
    }

    /// Takes in that a round was abandoned.
    pub fn abandon_round(&mut self, study: &Study, purpose: Purpose, charge: Charge, reason: &str) {
        let is_noised = study.manifest().privacy.epsilon.is_finite();
        match (charge, purpose) {
            (Charge::Nobody, _) => {}
            (Charge::Perhaps, Purpose::Moments) => self.stop(format!(
                "the round of moments was lost when sites may have sent their vectors, because {reason}; it cannot be done \
                 again, since sites charge for it once, and no other round can do without it: start a new study"
            )),
            (Charge::Perhaps, Purpose::Train | Purpose::Seed | Purpose::Cluster) if !is_noised => {
                self.stop(format!(
                    "the {purpose} round at place {} was lost when sites may have sent their vectors, because {reason}; \
                     this study adds no noise (epsilon = inf), and sites do not answer twice from one state then, since \
                     the difference of two sums is one hospital's vector: start a new study, from the same draft and \
                     with the hospitals that can stay to its end",
                    self.place
                ));
            }
            (
                Charge::Perhaps,
                Purpose::Train
                | Purpose::Tune
                | Purpose::Evaluate
                | Purpose::Seed
                | Purpose::Cluster,
            ) => {
                self.place += 1;
            }
        }
    }

    /// The plan is done; `state` is what it made. A study without noise that trained on nobody stops instead, for `records`
    /// say so.
    pub fn publish(&mut self, study: &Study, state: Digest, records: &[RoundRecord]) {
        if self.standing != Standing::Running {
            return;
        }
        match nobody::reason(study, records) {
            Some(reason) => self.stop(reason),
            None => self.standing = Standing::Finished { state },
        }
    }

    fn stop(&mut self, reason: String) {
        self.standing = Standing::Stopped { reason };
    }

    fn train(&mut self, study: &Study, sum: &RealSum) -> Figures {
        let Step { mean, noise } = match study.manifest().training.algorithm {
            Algorithm::Gradient { batch } => self.mean_gradient(study, batch, sum),
            Algorithm::Averaging(averaging) => {
                self.move_control(study, &averaging, sum);
                mean_change(study, sum)
            }
        };
        if let Err(error) = self.optimizer.step(&mean) {
            self.stop(error.to_string());
        }
        Figures {
            patients: step::patients(study, sum),
            update_norm: Some(step::norm(&mean, noise)),
            metrics: None,
        }
    }

    /// The mean gradient over the patients of a step; the clip norm of the next one.
    fn mean_gradient(&mut self, study: &Study, batch: Batch, sum: &RealSum) -> Step {
        let weight = first(sum.section(SectionName::Weight));
        let noise = sum.noise(SectionName::Weight);
        let patients = self.patients.add(weight, sum.survivors(), noise);
        let in_step = match batch {
            Batch::Sampled { rate } => patients * rate,
            Batch::All | Batch::Shuffled { .. } => patients,
        };
        let privacy = &study.manifest().privacy;
        let norm = self.clip_norm.unwrap_or(privacy.clip_norm);
        if let Some(adaptive) = &privacy.adaptive_clip {
            // Andrew et al. 2021, algorithm 1; a share beyond 0 and 1 is noise.
            let short = first(sum.section(SectionName::Short)) / in_step + 0.5;
            let beyond = short.clamp(0.0, 1.0) - adaptive.quantile;
            let next = norm * (-adaptive.rate * beyond).exp();
            // Sites refuse what is beyond: rounding may lead there, and noise in what there is hardly any of.
            let range = study.manifest().clip_norms();
            self.clip_norm = range.map(|range| next.clamp(*range.start(), *range.end()));
        }
        let update = sum.section(SectionName::Update).iter();
        Step {
            mean: update.map(|value| value * norm / in_step).collect(),
            noise: Some(sum.noise(SectionName::Update) * norm / in_step),
        }
    }

    /// Karimireddy et al. 2020, algorithm 1, line 17.
    fn move_control(&mut self, study: &Study, averaging: &Averaging, sum: &RealSum) {
        let sites = real_count(study.manifest().roster.len());
        let scale = averaging.steps_times_rate() * sites;
        // Sites refuse what is beyond; no sum of what sites may send leads there.
        let most = study.manifest().most_control().unwrap_or(0.0);
        let changes = sum.section(SectionName::Control);
        for (control, change) in self.control.iter_mut().zip(changes) {
            *control = (*control + narrow(change / scale)).clamp(-most, most);
        }
    }
}

/// Minus the mean of the sites' changes: what stands for a gradient in averaging.
fn mean_change(study: &Study, sum: &RealSum) -> Step {
    let weight = first(sum.section(SectionName::Weight)).max(1.0);
    let update = sum.section(SectionName::Update).iter();
    let is_noised = study.layout(Purpose::Train).local.is_some();
    Step {
        mean: update.map(|value| -value / weight).collect(),
        noise: (!is_noised).then_some(0.0),
    }
}

pub(super) fn first(section: &[f64]) -> f64 {
    section.first().copied().unwrap_or(0.0)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "control variates are f32, as weights are"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use testkit::Draft;

    use super::*;

    /// Of a plan that stops after the second look in a row that is no better.
    fn study() -> Study {
        let toml = Draft::default().toml();
        let stopping = "rounds = 9\nstopping = { every = 1, patience = 2 }\n";
        let rounds = toml.lines().find(|line| line.starts_with("rounds = "));
        let toml = toml.replace(&format!("{}\n", rounds.unwrap()), stopping);
        Study::parse(toml.as_bytes()).unwrap()
    }

    fn area(value: f64, deviation: f64) -> Figure {
        Figure::Shown(Estimate {
            value,
            deviation,
            low: value - 2.0 * deviation,
            high: value + 2.0 * deviation,
        })
    }

    /// Whether training is over after these looks, and the best area.
    fn after(looks: &[Figure]) -> (bool, Option<f64>) {
        let study = study();
        let mut course = Course::begin(&study);
        for figure in looks {
            course.look(&study, Some(figure));
        }
        let best = course.best.as_ref().map(|best| best.macro_auc);
        (course.purpose(&study) == Some(Purpose::Evaluate), best)
    }

    #[test]
    fn a_gain_that_noise_could_have_made_is_none() {
        let gains = |deviation| [0.70, 0.71, 0.72].map(|value| area(value, deviation));
        assert_eq!(after(&gains(0.0)), (false, Some(0.72)));
        assert_eq!(after(&gains(0.02)), (true, Some(0.70)));
        // A gain of more than the noise of the difference, .014, is one.
        let slow = [0.70, 0.71, 0.72].map(|value| area(value, 0.01));
        assert_eq!(after(&slow), (false, Some(0.72)));
        let worse = [0.7, 0.6, 0.5].map(|value| area(value, 0.0));
        assert_eq!(after(&worse), (true, Some(0.7)));
    }

    #[test]
    fn a_look_that_tells_nothing_does_not_count() {
        let withheld = Figure::Withheld {
            withheld: "noise".to_owned(),
        };
        assert_eq!(after(&vec![withheld.clone(); 5]), (false, None));
        let mut looks = vec![area(0.7, 0.0), area(0.6, 0.0)];
        looks.extend(vec![withheld; 5]);
        assert_eq!(after(&looks), (false, Some(0.7)));
        looks.push(area(0.6, 0.0));
        assert_eq!(after(&looks), (true, Some(0.7)));
    }

    #[test]
    fn a_study_without_noise_that_trained_on_nobody_publishes_nothing() {
        let study = study();
        let round = |value| RoundRecord {
            number: 0,
            purpose: Purpose::Train,
            survivors: vec!["a".to_owned()],
            abandoned: None,
            patients: Some(Count {
                value,
                deviation: 0.0,
            }),
            update_norm: None,
            metrics: None,
        };
        let standing = |records: &[RoundRecord]| {
            let mut course = Course::begin(&study);
            course.publish(&study, Digest([1; 32]), records);
            course.standing().clone()
        };
        let somebody = standing(&[round(0.0), round(1.0)]);
        assert!(matches!(somebody, Standing::Finished { .. }));
        let Standing::Stopped { reason } = standing(&[round(0.0), round(0.0)]) else {
            panic!("it finished");
        };
        assert!(reason.contains("no hospital had a patient to train on"));
    }
}
