//! The vector that a round adds: its sections, their noise, and the modulus that none of them can overflow.

mod budget;
mod plain;
mod sections;

use std::num::NonZeroU32;

use privacy::{Discreteness, Loss, Mu, NoiseMultiplier, Rate};

use self::budget::Budget;
pub(super) use self::plain::{TAIL, tail};
use self::sections::{averaged, cells, gradient, metrics, moments, noised_steps};
use super::accounting::NOISE_MULTIPLIER;
use super::{Algorithm, Batch, Clustering, Manifest, Part, StudyError, excess};
use crate::id::Purpose;

/// The vector that a round adds.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Its sections, in order; none for a purpose that no round of the study's plan has.
    pub sections: Vec<Section>,
    /// Entries are added modulo 2 to this power: at most 32.
    pub modulus_bits: u32,
    /// Noise that each site adds within a round, where it takes noised steps of its own.
    pub local: Option<Local>,
    /// What the release of the whole vector can tell of one patient.
    pub loss: Loss,
}

/// Noise of a site's own steps: no other site's noise helps it, so each carries all of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    /// Steps of a round.
    pub steps: u32,
    /// The clipped gradients of one step, in clip norms.
    pub gradient: Section,
    /// The number of labels of training patients, once a round.
    pub count: Section,
}

/// A part of the vector with one meaning, one range and one noise.
///
/// An entry is an integer: the real value over [`Section::grid`], rounded, plus noise.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// What it holds.
    pub name: SectionName,
    /// Its entries.
    pub length: usize,
    /// The real value of one step of the integers.
    pub grid: f64,
    /// The most, in L2 norm of real values, by which one patient can change the section, rounding included.
    pub sensitivity: f64,
    /// Variance, in steps², of the discrete Gaussian noise that each site adds and that stays in every sum; `None` where
    /// ε is infinite.
    pub variance: Option<u128>,
    /// Further noise of each site, which goes off the sum again where enough sites survive, in ascending order of how
    /// many; the same numbers in all sections of a layout that have noise.
    pub parts: Vec<Part>,
    /// The most that one site's entry can be, in steps either way, noise included but for its parts: entries beyond are
    /// set to it.
    pub bound: u64,
    /// What its release costs, were all patients in it; `None` where ε is infinite.
    pub mu: Option<Mu>,
}

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionName {
    /// For each feature: patients with a value, sum, and sum of squares, of each patient's mean value mapped to
    /// -1 at the feature's low and 1 at its high.
    Moments,
    /// The sum of clipped gradients, in clip norms; or the changes of the weights, each as often as its site counts.
    Update,
    /// The sum of the changes of the control variates, each times local steps and rate.
    Control,
    /// Labels of training patients; or what a site counts.
    Weight,
    /// For each label 1/2 where its patient's gradient is at most as long as the clip norm, else -1/2.
    Short,
    /// Of the labels of held-out or tuning patients: the confusion matrix (row: true class, column: predicted), then for
    /// each class two histograms of its probability ([`Histograms`](super::Histograms)), of the patients in that class
    /// and of the others.
    Metrics,
    /// Training patients in each cell: a cluster, or one of its halves.
    Members,
    /// For each cell the sum of their embeddings, in radii.
    Embeddings,
}

impl SectionName {
    /// Its name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Moments => "moments",
            Self::Update => "update",
            Self::Control => "control",
            Self::Short => "short",
            Self::Weight => "weight",
            Self::Metrics => "metrics",
            Self::Members => "members",
            Self::Embeddings => "embeddings",
        }
    }
}

impl Layout {
    /// Parts of a site's noise: as many keys of them are shared.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.parts_off(usize::MAX)
    }

    /// Parts of a site's noise that go off a sum of `survivors` sites, the first of them.
    #[must_use]
    pub fn parts_off(&self, survivors: usize) -> usize {
        let goes = |part: &&Part| usize::from(part.survivors) <= survivors;
        let of_section = |section: &Section| section.parts.iter().filter(goes).count();
        self.sections.iter().map(of_section).max().unwrap_or(0)
    }

    /// Entries of all sections.
    #[must_use]
    pub fn length(&self) -> usize {
        self.sections.iter().map(|section| section.length).sum()
    }

    /// How far the noise of one such vector is from continuous noise.
    pub(super) fn discreteness(&self, noise: Noise) -> Discreteness {
        let sections = self
            .sections
            .iter()
            .map(|section| section.discreteness(noise));
        let local = self.local.iter().map(Local::discreteness);
        sections
            .chain(local)
            .fold(Discreteness::NONE, Discreteness::and)
    }

    pub(super) fn of(manifest: &Manifest, purpose: Purpose) -> Result<Self, StudyError> {
        if !manifest.plan().contains(&purpose) {
            // No budget is set aside for it, so there must be nothing that it could release.
            return Ok(Self {
                sections: Vec::new(),
                modulus_bits: 1,
                local: None,
                loss: Loss::Gaussian(Mu::ZERO),
            });
        }
        let budget = Budget::of(manifest)?;
        let mut local = None;
        let mut sections = match (purpose, &manifest.training.algorithm) {
            (Purpose::Moments, _) => vec![moments(manifest, budget)?],
            (Purpose::Train, Algorithm::Gradient { .. }) => gradient(manifest, budget)?,
            (Purpose::Train, Algorithm::Averaging(averaging)) => {
                local = noised_steps(manifest, averaging, budget)?;
                averaged(manifest, averaging, local.as_ref())?
            }
            (Purpose::Evaluate | Purpose::Tune, _) => vec![metrics(manifest, budget)?],
            (Purpose::Seed, _) => cells(manifest, Clustering::most_candidates, budget)?,
            (Purpose::Cluster, _) => cells(manifest, |clustering| clustering.clusters, budget)?,
        };
        excess::cut(manifest, purpose, &mut sections);
        let mut modulus_bits = 1;
        for section in &sections {
            modulus_bits = modulus_bits.max(section.modulus_bits(manifest.roster.len())?);
        }
        let sample = (purpose == Purpose::Train)
            .then(|| Sample::of(manifest))
            .transpose()?
            .flatten();
        Ok(Self {
            loss: loss(&sections, local.as_ref(), sample),
            sections,
            modulus_bits,
            local,
        })
    }
}

/// What the release of a vector can tell.
fn loss(sections: &[Section], local: Option<&Local>, sample: Option<Sample>) -> Loss {
    let Some(Sample {
        noise_multiplier,
        rate,
    }) = sample
    else {
        let parts: Option<Vec<Mu>> = sections.iter().map(|section| section.mu).collect();
        return parts.map_or(Loss::Unprotected, |parts| {
            Loss::Gaussian(Mu::compose(parts))
        });
    };
    // Of all that is counted over every patient, not over a sample.
    let whole = match local {
        Some(local) => local.count.mu,
        None => sections
            .iter()
            .find(|section| section.name == SectionName::Weight)
            .and_then(|weight| weight.mu),
    };
    let steps = local.and_then(|local| NonZeroU32::new(local.steps));
    Loss::Sampled {
        noise_multiplier,
        rate,
        steps: steps.unwrap_or(NonZeroU32::MIN),
        gaussian: whole.unwrap_or(Mu::ZERO),
    }
}

/// How a training step of sampled patients is noised; none where ε is infinite or all patients are in it.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    pub(super) noise_multiplier: NoiseMultiplier,
    pub(super) rate: Rate,
}

impl Sample {
    pub(super) fn of(manifest: &Manifest) -> Result<Option<Self>, StudyError> {
        let privacy = &manifest.privacy;
        let Batch::Sampled { rate } = manifest.training.algorithm.batch() else {
            return Ok(None);
        };
        if privacy.epsilon.is_infinite() {
            return Ok(None);
        }
        let stated = privacy.noise_multiplier.ok_or_else(|| {
            let problem = "sampled patients need it stated; `host compose` computes it";
            StudyError::setting(NOISE_MULTIPLIER, &problem)
        })?;
        Ok(Some(Self {
            noise_multiplier: NoiseMultiplier::try_from(stated)
                .map_err(|error| StudyError::setting(NOISE_MULTIPLIER, &error))?,
            rate: Rate::try_from(rate)
                .map_err(|error| StudyError::setting("training.algorithm.batch", &error))?,
        }))
    }

    /// What a step may cost a patient who is surely in it.
    fn budget(self) -> Result<Budget, StudyError> {
        let mu = Mu::from_noise_multiplier(self.noise_multiplier.get());
        let refused = |error: privacy::InvalidMu| StudyError::setting(NOISE_MULTIPLIER, &error);
        Ok(Budget(Some(mu.map_err(refused)?)))
    }
}

impl Local {
    /// Each site's noise is enough by itself, and has no end.
    fn discreteness(&self) -> Discreteness {
        let of = |section: &Section| {
            let of = |variance| Discreteness::of(section.length as u64, variance);
            section.variance.map_or(Discreteness::NONE, of)
        };
        of(&self.gradient)
            .times(self.steps.into())
            .and(of(&self.count))
    }

    /// What a round of such steps costs; `None` where ε is infinite.
    fn mu(&self) -> Option<Mu> {
        let step = self.gradient.mu?;
        let steps = usize::try_from(self.steps).unwrap_or(usize::MAX);
        Some(Mu::compose(
            std::iter::repeat_n(step, steps).chain([self.count.mu?]),
        ))
    }
}

/// The noise of a sum that somebody does not know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise {
    /// Sites whose noise is not known to them, of those that survive.
    pub(super) sites: u16,
    /// All sites of the round.
    pub(super) all: u16,
    /// The variance that the promise asks for over that of their noise, at least 1.
    pub(super) lack: f64,
}

impl Section {
    /// The standard deviation, in real values, of the noise in each entry of a sum of `survivors` sites; 0 without noise.
    #[must_use]
    pub fn deviation(&self, survivors: usize) -> f64 {
        let of_site = self.site_variance(survivors).unwrap_or(0);
        (of_site as f64 * survivors as f64).sqrt() * self.grid
    }

    /// How far its noise is from continuous noise.
    fn discreteness(&self, noise: Noise) -> Discreteness {
        let (Some(variance), Some(mu)) = (self.promised_variance(), self.mu) else {
            return Discreteness::NONE;
        };
        let entries = (self.length as u64).saturating_mul(noise.all.into());
        let shift = mu.get() * (noise.lack / f64::from(noise.sites)).sqrt();
        Discreteness::of(self.length as u64, variance)
            .coarser(noise.lack)
            .cut_at(entries, TAIL as f64, shift)
    }

    /// The variance of a sum's noise, in steps², that what the section costs follows from, rounded down; `None` without noise.
    pub(super) fn promised_variance(&self) -> Option<u128> {
        self.variance?;
        let deviation = self.sensitivity / (self.mu?.get() * self.grid);
        // Less than the rounding of the four operations.
        let variance = (deviation * deviation * (1.0 - 1e-12)).floor();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive whole number; the cast saturates"
        )]
        Some(variance as u128)
    }

    /// Bits that hold the sum of `sites` entries, either way of 0.
    fn modulus_bits(&self, sites: usize) -> Result<u32, StudyError> {
        let most = u128::from(self.reach()) * u128::try_from(sites).unwrap_or(u128::MAX);
        // 2·most + 1 values: from -most to most.
        let bits = u128::BITS - (2 * most).leading_zeros();
        if bits <= 32 {
            Ok(bits)
        } else {
            Err(StudyError::Overflow {
                section: self.name.name(),
                bits,
            })
        }
    }
}
