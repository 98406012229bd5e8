//! The sections of each kind of round.

use privacy::Mu;

use super::budget::Budget;
use super::plain::{Kind, Plain};
use super::{Local, Sample, Section, SectionName};
use crate::id::Purpose;
use crate::study::{Averaging, Clustering, Manifest, StudyError, Weighting};

pub(super) fn moments(manifest: &Manifest, budget: Budget) -> Result<Section, StudyError> {
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
pub(super) fn gradient(manifest: &Manifest, budget: Budget) -> Result<Vec<Section>, StudyError> {
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
pub(super) fn noised_steps(
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
pub(super) fn averaged(
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

pub(super) fn metrics(manifest: &Manifest, budget: Budget) -> Result<Section, StudyError> {
    let classes = manifest.cohort.classes.len();
    let length = classes * classes + 2 * classes * manifest.metrics.bins();
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
pub(super) fn cells(
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

/// The grid of counts: fine enough for noise of less than one patient.
const COUNT_GRID: f64 = 1.0 / 64.0;
