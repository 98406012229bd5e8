//! The vector that a round adds: its sections, their noise, and the modulus that none of them can overflow.

use std::num::{NonZeroU16, NonZeroU32};

use privacy::allocation::{self, Share};
use privacy::{Delta, Epsilon, Mu, discreteness, rounding};

use super::{Manifest, StudyError};
use crate::id::Purpose;

/// Bins of a score histogram, of equal width over probabilities from 0 to 1.
pub const HISTOGRAM_BINS: usize = 20;

/// The vector that a round adds.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Its sections, in order; none for a purpose that no round of the study's plan has.
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
    /// Labels of training patients.
    Weight,
    /// Of the labels of held-out patients: the confusion matrix (row: true class, column: predicted), then for each class two
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

    /// By how much ε has to be raised for `rounds` such vectors, since their noise is discrete; 0 without noise.
    pub(super) fn excess_epsilon(&self, rounds: u32, honest_survivors: u16) -> f64 {
        let of_section = |section: &Section| {
            let coordinates = (section.length as u64).saturating_mul(u64::from(rounds));
            section.variance.map_or(0.0, |variance| {
                let of_sum = variance.saturating_mul(u128::from(honest_survivors));
                discreteness::excess_epsilon(coordinates, of_sum)
            })
        };
        self.sections.iter().map(of_section).sum()
    }

    pub(super) fn of(manifest: &Manifest, purpose: Purpose) -> Result<Self, StudyError> {
        if !manifest.plan().contains(&purpose) {
            // No budget is set aside for it, so there must be nothing that it could release.
            return Ok(Self {
                sections: Vec::new(),
                modulus_bits: 1,
            });
        }
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
        Ok(Self {
            sections,
            modulus_bits,
        })
    }
}

impl Section {
    /// Bits that hold the sum of `sites` entries, either way of 0.
    fn modulus_bits(&self, sites: usize) -> Result<u32, StudyError> {
        let most = u128::from(self.bound) * u128::try_from(sites).unwrap_or(u128::MAX);
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
        let epsilon = Epsilon::try_from(privacy.epsilon * (1.0 - DISCRETENESS))
            .map_err(|error| setting("privacy.epsilon", error.to_string()))?;
        let delta = Delta::try_from(privacy.delta)
            .map_err(|error| setting("privacy.delta", error.to_string()))?;
        Ok(Self(Some(Mu::calibrate(epsilon, delta))))
    }

    /// A share of it.
    fn share(self, share: f64) -> Result<Self, StudyError> {
        let Some(total) = self.0 else { return Ok(self) };
        let share = Share::try_from(share).map_err(|error| StudyError::Setting {
            setting: "privacy",
            problem: error.to_string(),
        })?;
        Ok(Self(Some(allocation::share(total, share))))
    }

    /// What each of the planned rounds with this purpose may cost.
    fn per_round(self, manifest: &Manifest, purpose: Purpose) -> Self {
        let rounds = NonZeroU32::new(manifest.planned(purpose)).unwrap_or(NonZeroU32::MIN);
        Self(self.0.map(|total| allocation::per_step(total, rounds)))
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
    kind: Kind,
}

/// What the entries of a section are.
#[derive(Clone, Copy)]
enum Kind {
    /// Whole numbers of labels: multiples of the grid, which rounding leaves as they are.
    Counts,
    /// Sums of floating-point numbers, rounded to the grid at random.
    Reals,
}

/// What one patient changes is at most this many times the clip norm: floating-point sums depend on their order and on
/// who shares a batch, by less than one part in 2^23 for each of at most 2^13 patients in it.
const FLOAT_MARGIN: f64 = 1.0 + 1.0 / 1_024.0;

/// The grid of counts: fine enough for noise of less than one patient.
const COUNT_GRID: f64 = 1.0 / 64.0;

/// What part of ε and δ is kept back for the difference between discrete noise and the continuous noise that the
/// accountant counts ([`privacy::discreteness`]).
pub(super) const DISCRETENESS: f64 = 1e-3;

impl Plain {
    fn noised(self, manifest: &Manifest, Budget(mu): Budget) -> Result<Section, StudyError> {
        let refused = |problem: String| StudyError::Noise {
            section: self.name.name(),
            problem,
        };
        let sensitivity = match self.kind {
            Kind::Counts => self.sensitivity,
            Kind::Reals => rounding::rounded_sensitivity(
                self.sensitivity * FLOAT_MARGIN,
                self.grid,
                self.length,
            ),
        };
        let honest = NonZeroU16::new(manifest.privacy.honest_survivors)
            .ok_or_else(|| refused("no site is promised to survive".to_owned()))?;
        let variance = mu
            .map(|mu| allocation::site_variance(sensitivity, mu, self.grid, honest))
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
    let plain = Plain {
        name: SectionName::Moments,
        length,
        grid,
        sensitivity: root(length),
        most,
        kind: Kind::Reals,
    };
    let budget = budget.share(manifest.privacy.moments_share)?;
    plain.noised(manifest, budget.per_round(manifest, Purpose::Moments))
}

fn update(manifest: &Manifest, budget: Budget) -> Result<Section, StudyError> {
    let clip = manifest.privacy.clip_norm;
    let length = usize::try_from(manifest.model.parameters).unwrap_or(usize::MAX);
    let most = clip * f64::from(manifest.aggregation.patients_per_site);
    // A power of two: a value over the grid is then exact, as the bound of its rounding wants.
    let grid = power_of_two(clip) * fraction(manifest);
    let plain = Plain {
        name: SectionName::Update,
        length,
        grid,
        sensitivity: clip,
        most,
        kind: Kind::Reals,
    };
    let budget = budget
        .share(training_share(manifest))?
        .share(1.0 - manifest.privacy.weight_share)?;
    plain.noised(manifest, budget.per_round(manifest, Purpose::Train))
}

fn weight(manifest: &Manifest, budget: Budget) -> Result<Section, StudyError> {
    let plain = Plain {
        name: SectionName::Weight,
        length: 1,
        grid: COUNT_GRID,
        sensitivity: labels_per_patient(manifest),
        most: most_labels(manifest),
        kind: Kind::Counts,
    };
    let budget = budget
        .share(training_share(manifest))?
        .share(manifest.privacy.weight_share)?;
    plain.noised(manifest, budget.per_round(manifest, Purpose::Train))
}

fn metrics(manifest: &Manifest, budget: Budget) -> Result<Section, StudyError> {
    let classes = manifest.cohort.classes.len();
    let length = classes * classes + 2 * classes * HISTOGRAM_BINS;
    // A label is counted in one cell of the matrix and in one bin for each class; those of one patient can all be
    // counted in the same ones.
    let sensitivity = labels_per_patient(manifest) * root(1 + classes);
    let plain = Plain {
        name: SectionName::Metrics,
        length,
        grid: COUNT_GRID,
        sensitivity,
        most: most_labels(manifest),
        kind: Kind::Counts,
    };
    let budget = budget.share(manifest.privacy.metrics_share)?;
    plain.noised(manifest, budget.per_round(manifest, Purpose::Evaluate))
}

/// By how much one patient changes a count of labels.
fn labels_per_patient(manifest: &Manifest) -> f64 {
    f64::from(manifest.cohort.labels_per_patient)
}

/// The most labels that one site can bring.
fn most_labels(manifest: &Manifest) -> f64 {
    labels_per_patient(manifest) * f64::from(manifest.aggregation.patients_per_site)
}

/// Share of the budget that training steps have together.
fn training_share(manifest: &Manifest) -> f64 {
    1.0 - manifest.privacy.moments_share - manifest.privacy.metrics_share
}

/// The step of the integers for values of which 1 is the greatest.
fn fraction(manifest: &Manifest) -> f64 {
    (-f64::from(manifest.aggregation.fraction_bits)).exp2()
}

/// The greatest power of two at or below `value`, which is above 0 and no subnormal number.
fn power_of_two(value: f64) -> f64 {
    // Sign and exponent of the number alone (IEEE 754).
    f64::from_bits(value.to_bits() & (0xfff << 52))
}

fn root(count: usize) -> f64 {
    (count as f64).sqrt()
}

/// The least whole number of steps at or above `value`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and is then refused"
)]
fn steps(value: f64) -> u64 {
    // Half of the range, so that adding the noise's tail cannot wrap.
    (value.ceil() as u64).min(u64::MAX / 4)
}

/// Noise beyond this many steps has a probability below 2^-100: 12 standard deviations (CKS20, proposition 25).
fn tail(variance: u128) -> u64 {
    u64::try_from(variance.isqrt() + 1)
        .unwrap_or(u64::MAX / 64)
        .min(u64::MAX / 64)
        * 12
}
