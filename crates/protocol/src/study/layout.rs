//! The vector that a round adds: its sections, their noise, and the modulus that none of them can overflow.

use std::num::{NonZeroU16, NonZeroU32};

use privacy::allocation::{self, Share};
use privacy::{Loss, Mu, NoiseMultiplier, Rate, discreteness, rounding};

use super::accounting::{NOISE_MULTIPLIER, promise};
use super::{
    Algorithm, Averaging, Batch, Clustering, Manifest, Part, StudyError, Weighting, excess,
};
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
    /// each class two
    /// histograms of its probability, of the patients in that class and of the others.
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

    /// By how much ε has to be raised for `rounds` such vectors, since their noise is discrete; 0 without noise.
    pub(super) fn excess_epsilon(&self, rounds: u32, honest_survivors: u16) -> f64 {
        let of_section = |section: &Section| {
            let coordinates = (section.length as u64).saturating_mul(u64::from(rounds));
            section.added_variance().map_or(0.0, |variance| {
                // A sum keeps the least whole number that is enough for its survivors, which can be less by what the
                // threshold's was rounded up.
                let rounding = u128::from(!section.parts.is_empty());
                let of_sum = (variance - rounding).saturating_mul(u128::from(honest_survivors));
                discreteness::excess_epsilon(coordinates, of_sum)
            })
        };
        let of_sum: f64 = self.sections.iter().map(of_section).sum();
        of_sum
            + self
                .local
                .as_ref()
                .map_or(0.0, |local| local.excess_epsilon(rounds))
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
    /// As [`Layout::excess_epsilon`].
    fn excess_epsilon(&self, rounds: u32) -> f64 {
        let of = |section: &Section, times: u64| {
            let coordinates = (section.length as u64).saturating_mul(times);
            section.variance.map_or(0.0, |variance| {
                discreteness::excess_epsilon(coordinates, variance)
            })
        };
        let rounds = u64::from(rounds);
        of(&self.gradient, rounds * u64::from(self.steps)) + of(&self.count, rounds)
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

impl Section {
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

/// What the whole study may release; `None` where ε is infinite.
#[derive(Clone, Copy)]
struct Budget(Option<Mu>);

impl Budget {
    fn of(manifest: &Manifest) -> Result<Self, StudyError> {
        let privacy = &manifest.privacy;
        if privacy.epsilon.is_infinite() {
            return Ok(Self(None));
        }
        let (epsilon, delta) = promise(manifest)?;
        Ok(Self(Some(Mu::calibrate(epsilon, delta))))
    }

    /// A share of it.
    fn share(self, share: f64) -> Result<Self, StudyError> {
        let Some(total) = self.0 else { return Ok(self) };
        let share =
            Share::try_from(share).map_err(|error| StudyError::setting("privacy", &error))?;
        Ok(Self(Some(allocation::share(total, share))))
    }

    /// What each of the planned rounds with this purpose may cost.
    fn per_round(self, manifest: &Manifest, purpose: Purpose) -> Self {
        self.per_step(manifest.planned(purpose))
    }

    /// What each of `steps` equal releases may cost.
    fn per_step(self, steps: u32) -> Self {
        let steps = NonZeroU32::new(steps).unwrap_or(NonZeroU32::MIN);
        Self(self.0.map(|total| allocation::per_step(total, steps)))
    }
}

/// A section before its noise.
#[derive(Clone, Copy)]
struct Plain {
    name: SectionName,
    length: usize,
    /// Entries that one patient can change.
    touched: usize,
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
    /// With noise of which the sites that are promised to survive have enough together.
    fn noised(self, manifest: &Manifest, budget: Budget) -> Result<Section, StudyError> {
        self.noised_among(manifest.privacy.honest_survivors, budget)
    }

    /// With noise of which `sites` have enough together.
    fn noised_among(self, sites: u16, Budget(mu): Budget) -> Result<Section, StudyError> {
        let refused = |problem: String| StudyError::Noise {
            section: self.name.name(),
            problem,
        };
        let sensitivity = match self.kind {
            Kind::Counts => self.sensitivity,
            Kind::Reals => rounding::rounded_sensitivity(
                self.sensitivity * FLOAT_MARGIN,
                self.grid,
                self.touched,
            ),
        };
        let honest = NonZeroU16::new(sites)
            .ok_or_else(|| refused("no site is promised to survive".to_owned()))?;
        let variance = mu
            .map(|mu| allocation::site_variance(sensitivity, mu, self.grid, honest))
            .transpose()
            .map_err(|error| refused(error.to_string()))?;
        Ok(Section {
            bound: self.bound() + variance.map_or(0, tail),
            sensitivity,
            variance,
            mu,
            ..self.unnoised(None)
        })
    }

    /// Without noise, since what it holds has its own or is none of a patient's; `mu` is what it costs.
    fn unnoised(self, mu: Option<Mu>) -> Section {
        Section {
            name: self.name,
            length: self.length,
            grid: self.grid,
            sensitivity: self.sensitivity,
            variance: None,
            parts: Vec::new(),
            bound: self.bound(),
            mu,
        }
    }

    fn bound(&self) -> u64 {
        steps(self.most / self.grid) + 1
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
        touched: length,
        grid,
        sensitivity: root(length),
        most,
        kind: Kind::Reals,
    };
    let budget = budget.share(manifest.privacy.moments_share)?;
    plain.noised(manifest, budget.per_round(manifest, Purpose::Moments))
}

/// The sections of a step of the pooled training.
fn gradient(manifest: &Manifest, budget: Budget) -> Result<Vec<Section>, StudyError> {
    let training = budget.share(training_share(manifest))?;
    let per_round = |budget: Budget| budget.per_round(manifest, Purpose::Train);
    let weight = training.share(manifest.privacy.weight_share)?;
    let step = match Sample::of(manifest)? {
        Some(sample) => sample.budget()?,
        None => per_round(training.share(1.0 - manifest.privacy.weight_share)?),
    };
    let weight = count(manifest).noised(manifest, per_round(weight))?;
    let Some(adaptive) = manifest.privacy.adaptive_clip else {
        return Ok(vec![clipped(manifest).noised(manifest, step)?, weight]);
    };
    let update = step.share(1.0 - adaptive.share)?;
    let short = Plain {
        name: SectionName::Short,
        // As fine as the update's, since it has as little noise where patients are sampled.
        grid: fraction(manifest).min(COUNT_GRID),
        sensitivity: labels_per_patient(manifest) / 2.0,
        ..count(manifest)
    };
    let short = short.noised(manifest, step.share(adaptive.share)?)?;
    let update = clipped(manifest).noised(manifest, update)?;
    Ok(vec![update, weight, short])
}

/// The noise of each site's own steps; none where ε is infinite.
fn noised_steps(
    manifest: &Manifest,
    averaging: &Averaging,
    budget: Budget,
) -> Result<Option<Local>, StudyError> {
    if budget.0.is_none() {
        return Ok(None);
    }
    let training = budget
        .share(training_share(manifest))?
        .per_round(manifest, Purpose::Train);
    let weight = training.share(manifest.privacy.weight_share)?;
    let step = match Sample::of(manifest)? {
        Some(sample) => sample.budget()?,
        None => training
            .share(1.0 - manifest.privacy.weight_share)?
            .per_step(averaging.steps),
    };
    Ok(Some(Local {
        steps: averaging.steps,
        gradient: clipped(manifest).noised_among(1, step)?,
        count: count(manifest).noised_among(1, weight)?,
    }))
}

/// The sections of a round of averaging, which follow from what `local` covers.
fn averaged(
    manifest: &Manifest,
    averaging: &Averaging,
    local: Option<&Local>,
) -> Result<Vec<Section>, StudyError> {
    let most = match averaging.weighting {
        Weighting::Patients => most_labels(manifest),
        Weighting::Sites => 1.0,
    };
    let norm = averaging.change_norm;
    let update = Plain {
        name: SectionName::Update,
        // A power of two: a value over the grid is then exact.
        grid: power_of_two(norm) * fraction(manifest),
        most: norm * most,
        ..clipped(manifest)
    };
    let control = Plain {
        name: SectionName::Control,
        most: norm,
        ..update
    };
    let weight = Plain {
        most,
        ..count(manifest)
    };
    // All of it follows from the noised steps: the cost is told once.
    let free = local.map(|_| Mu::ZERO);
    let mut sections = vec![
        update.unnoised(local.and_then(Local::mu)),
        weight.unnoised(free),
    ];
    if manifest.training.algorithm.has_control_variates() {
        sections.push(control.unnoised(free));
    }
    Ok(sections)
}

/// A sum of clipped gradients, in clip norms.
fn clipped(manifest: &Manifest) -> Plain {
    let length = usize::try_from(manifest.model.parameters).unwrap_or(usize::MAX);
    Plain {
        name: SectionName::Update,
        length,
        touched: length,
        grid: fraction(manifest),
        sensitivity: 1.0,
        most: f64::from(manifest.aggregation.patients_per_site),
        kind: Kind::Reals,
    }
}

/// A number of labels.
fn count(manifest: &Manifest) -> Plain {
    Plain {
        name: SectionName::Weight,
        length: 1,
        touched: 1,
        grid: COUNT_GRID,
        sensitivity: labels_per_patient(manifest),
        most: most_labels(manifest),
        kind: Kind::Counts,
    }
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
        touched: length,
        grid: COUNT_GRID,
        sensitivity,
        most: most_labels(manifest),
        kind: Kind::Counts,
    };
    let looks = manifest.planned(Purpose::Evaluate) + manifest.planned(Purpose::Tune);
    let budget = budget.share(manifest.privacy.metrics_share)?;
    plain.noised(manifest, budget.per_step(looks))
}

/// The sections of a round of clustering, of as many cells as `of` says: each patient is in one of them.
fn cells(
    manifest: &Manifest,
    of: impl Fn(&Clustering) -> u32,
    budget: Budget,
) -> Result<Vec<Section>, StudyError> {
    let Some(clustering) = &manifest.clustering else {
        return Ok(Vec::new());
    };
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let (cells, dimensions) = (size(of(clustering)), size(clustering.dimensions));
    let rounds = manifest.planned(Purpose::Seed) + manifest.planned(Purpose::Cluster);
    let budget = budget.share(clustering.share)?.per_step(rounds);
    let members = Plain {
        name: SectionName::Members,
        length: cells,
        touched: 1,
        grid: COUNT_GRID,
        sensitivity: 1.0,
        most: f64::from(manifest.aggregation.patients_per_site),
        kind: Kind::Counts,
    };
    let embeddings = Plain {
        name: SectionName::Embeddings,
        length: cells * dimensions,
        // Each entry is rounded by itself, so those of other cells stay as they are.
        touched: dimensions,
        grid: fraction(manifest),
        kind: Kind::Reals,
        ..members
    };
    let count = clustering.count_share();
    Ok(vec![
        members.noised(manifest, budget.share(count)?)?,
        embeddings.noised(manifest, budget.share(1.0 - count)?)?,
    ])
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
    let clustering = manifest
        .clustering
        .map_or(0.0, |clustering| clustering.share);
    1.0 - manifest.privacy.moments_share - manifest.privacy.metrics_share - clustering
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
pub(super) fn tail(variance: u128) -> u64 {
    u64::try_from(variance.isqrt() + 1)
        .unwrap_or(u64::MAX / 64)
        .min(u64::MAX / 64)
        * 12
}
