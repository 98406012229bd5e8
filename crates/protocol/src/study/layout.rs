//! The vector that a round adds: its sections, their noise, and the modulus that none of them can overflow.

use privacy::{Delta, Epsilon, Mu};

use super::{Manifest, StudyError};
use crate::id::Purpose;

/// Bins of a score histogram, of equal width over probabilities from 0 to 1.
pub const HISTOGRAM_BINS: usize = 20;

/// The vector that a round adds.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Its sections, in order.
    pub sections: Vec<Section>,
    /// Entries are added modulo 2 to this power: at most 32.
    pub modulus_bits: u32,
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
    /// Variance, in steps², of the discrete Gaussian noise that each site adds; `None` where ε is infinite.
    pub variance: Option<u128>,
    /// The most that one site's entry can be, in steps either way, noise included: entries beyond are set to it.
    pub bound: u64,
    /// What its release costs; `None` where ε is infinite.
    pub mu: Option<Mu>,
}

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionName {
    /// For each feature: patients with a value, sum, and sum of squares, of each patient's mean value mapped to
    /// -1 at the feature's low and 1 at its high.
    Moments,
    /// The sum of clipped gradients.
    Update,
    /// Training patients.
    Weight,
    /// Of held-out patients: the confusion matrix (row: true class, column: predicted), then for each class two
    /// histograms of its probability, of the patients in that class and of the others.
    Metrics,
}

impl SectionName {
    /// Its name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Moments => "moments",
            Self::Update => "update",
            Self::Weight => "weight",
            Self::Metrics => "metrics",
        }
    }
}

impl Layout {
    /// Entries of all sections.
    #[must_use]
    pub fn length(&self) -> usize {
        self.sections.iter().map(|section| section.length).sum()
    }

    /// What the release of the whole vector costs; `None` where ε is infinite.
    #[must_use]
    pub fn mu(&self) -> Option<Mu> {
        let parts: Option<Vec<Mu>> = self.sections.iter().map(|section| section.mu).collect();
        parts.map(Mu::compose)
    }

    pub(super) fn of(manifest: &Manifest, purpose: Purpose) -> Result<Self, StudyError> {
        let budget = Budget::of(manifest)?;
        let sections = match purpose {
            Purpose::Moments => vec![moments(manifest, budget)?],
            Purpose::Train => vec![update(manifest, budget)?, weight(manifest, budget)?],
            Purpose::Evaluate => vec![metrics(manifest, budget)?],
        };
        let mut modulus_bits = 1;
        for section in &sections {
            modulus_bits = modulus_bits.max(section.modulus_bits(manifest.roster.len())?);
        }
        Ok(Self { sections, modulus_bits })
    }
}

impl Section {
    /// Bits that hold the sum of `sites` entries, either way of 0.
    fn modulus_bits(&self, sites: usize) -> Result<u32, StudyError> {
        let most = u128::from(self.bound) * u128::try_from(sites).unwrap_or(u128::MAX);
        // 2·most + 1 values: from -most to most.
        let bits = u128::BITS - (2 * most).leading_zeros();
        if bits <= 32 { Ok(bits) } else { Err(StudyError::Overflow { section: self.name.name(), bits }) }
    }
}

/// What the whole study may release; `None` where ε is infinite.
#[derive(Clone, Copy)]
struct Budget(Option<Mu>);

impl Budget {
    fn of(manifest: &Manifest) -> Result<Self, StudyError> {
        let privacy = &manifest.privacy;
        if privacy.epsilon.is_infinite() {
            return Ok(Self(None));
        }
        let setting = |setting, problem: String| StudyError::Setting { setting, problem };
        let epsilon = Epsilon::try_from(privacy.epsilon)
            .map_err(|error| setting("privacy.epsilon", error.to_string()))?;
        let delta =
            Delta::try_from(privacy.delta).map_err(|error| setting("privacy.delta", error.to_string()))?;
        Ok(Self(Some(privacy::calibrate(epsilon, delta))))
    }

    /// A share of it, over a number of rounds.
    fn share(self, share: f64, rounds: u32) -> Option<Mu> {
        self.0.map(|total| total.share(share).per_step(rounds.max(1)))
    }
}

/// A section before its noise.
struct Plain {
    name: SectionName,
    length: usize,
    grid: f64,
    /// L2, without rounding.
    sensitivity: f64,
    /// The most that the sum over a site's patients can be, in real values.
    most: f64,
}

impl Plain {
    fn noised(self, manifest: &Manifest, mu: Option<Mu>) -> Result<Section, StudyError> {
        let refused = |problem: String| StudyError::Noise { section: self.name.name(), problem };
        let integer = (self.grid - 1.0).abs() < f64::EPSILON;
        let sensitivity = if integer {
            self.sensitivity
        } else {
            privacy::rounded_sensitivity(self.sensitivity, self.grid, self.length)
        };
        let variance = mu
            .map(|mu| privacy::site_variance(sensitivity, mu, self.grid, manifest.privacy.honest_survivors))
            .transpose()
            .map_err(|error| refused(error.to_string()))?;
        let bound = steps(self.most / self.grid) + 1 + variance.map_or(0, tail);
        Ok(Section {
            name: self.name,
            length: self.length,
            grid: self.grid,
            sensitivity,
            variance,
            bound,
            mu,
        })
    }
}

fn moments(manifest: &Manifest, budget: Budget) -> Result<Section, StudyError> {
    let length = 3 * manifest.cohort.features().count();
    let most = f64::from(manifest.aggregation.patients_per_site);
    let grid = fraction(manifest);
    // Count, mapped mean and its square are each at most 1.
    let plain = Plain { name: SectionName::Moments, length, grid, sensitivity: root(length), most };
    plain.noised(manifest, budget.share(manifest.privacy.moments_share, 1))
}

fn update(manifest: &Manifest, budget: Budget) -> Result<Section, StudyError> {
    let clip = manifest.privacy.clip_norm;
    let length = usize::try_from(manifest.model.parameters).unwrap_or(usize::MAX);
    let most = clip * f64::from(manifest.aggregation.patients_per_site);
    let grid = clip * fraction(manifest);
    let plain = Plain { name: SectionName::Update, length, grid, sensitivity: clip, most };
    let step = budget.share(training_share(manifest), manifest.planned(Purpose::Train));
    plain.noised(manifest, step.map(|mu| mu.share(1.0 - manifest.privacy.weight_share)))
}

fn weight(manifest: &Manifest, budget: Budget) -> Result<Section, StudyError> {
    let most = f64::from(manifest.aggregation.patients_per_site);
    let plain = Plain { name: SectionName::Weight, length: 1, grid: 1.0, sensitivity: 1.0, most };
    let step = budget.share(training_share(manifest), manifest.planned(Purpose::Train));
    plain.noised(manifest, step.map(|mu| mu.share(manifest.privacy.weight_share)))
}

fn metrics(manifest: &Manifest, budget: Budget) -> Result<Section, StudyError> {
    let classes = manifest.cohort.classes.len();
    let length = classes * classes + 2 * classes * HISTOGRAM_BINS;
    let most = f64::from(manifest.aggregation.patients_per_site);
    // A patient is counted in one cell of the matrix and in one bin for each class.
    let sensitivity = root(1 + classes);
    let plain = Plain { name: SectionName::Metrics, length, grid: 1.0, sensitivity, most };
    plain.noised(
        manifest,
        budget.share(manifest.privacy.metrics_share, manifest.planned(Purpose::Evaluate)),
    )
}

/// Share of the budget that training steps have together.
fn training_share(manifest: &Manifest) -> f64 {
    1.0 - manifest.privacy.moments_share - manifest.privacy.metrics_share
}

/// The step of the integers for values of which 1 is the greatest.
fn fraction(manifest: &Manifest) -> f64 {
    (-f64::from(manifest.aggregation.fraction_bits)).exp2()
}

#[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^52")]
fn root(count: usize) -> f64 {
    (count as f64).sqrt()
}

/// The least whole number of steps at or above `value`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, and is then refused")]
fn steps(value: f64) -> u64 {
    // Half of the range, so that adding the noise's tail cannot wrap.
    (value.ceil() as u64).min(u64::MAX / 4)
}

/// Noise beyond this many steps has a probability below 2^-100: 12 standard deviations (CKS20, proposition 25).
fn tail(variance: u128) -> u64 {
    u64::try_from(variance.isqrt() + 1).unwrap_or(u64::MAX / 64).min(u64::MAX / 64) * 12
}
