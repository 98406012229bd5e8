//! Figures of counts, whole or noised, as they are: nothing is held in a range, so that noise of mean 0 shifts nothing.

use protocol::study::Histograms;

use super::expected::folded;
use super::groups::{Group, groups, probability};

/// The counts of a study, and how to read them.
#[derive(Clone, Debug)]
pub(super) struct Counts<'a> {
    pub(super) confusion: &'a [f64],
    bins: &'a [f64],
    pub(super) classes: usize,
    reading: &'a Reading,
}

/// What is the same for all counts of a study.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    histograms: Histograms,
    pub(super) groups: Vec<Group>,
    /// The probability in the middle of each bin.
    middles: Vec<f64>,
    /// The deviation of the noise in what the probabilities of each group miss, for noise of deviation 1 in a count.
    pub(super) spread: Vec<f64>,
    /// The standard deviation of the noise in each count.
    pub(super) noise: f64,
}

impl Reading {
    pub(super) fn new(histograms: Histograms, noise: f64) -> Self {
        let groups = groups(&histograms);
        let middle = |bin| probability(histograms.middle(bin));
        let middles: Vec<f64> = (0..histograms.bins()).map(middle).collect();
        let of_bin = |middle: &f64| (1.0 - middle).powi(2) + middle * middle;
        let of_group = |group: &Group| {
            let bins = &middles[group.bins.clone()];
            bins.iter().map(of_bin).sum::<f64>().sqrt()
        };
        Self {
            spread: groups.iter().map(of_group).collect(),
            histograms,
            groups,
            middles,
            noise,
        }
    }

    /// The width of a bin in log-odds.
    pub(super) fn width(&self) -> f64 {
        1.0 / f64::from(self.histograms.bins_per_unit)
    }
}

/// The places of [`Counts::figures`]: accuracy, macro F1, macro AUC, calibration error, then the AUC of each
/// class.
pub(super) const ACCURACY: usize = 0;
pub(super) const MACRO_F1: usize = 1;
pub(super) const MACRO_AUC: usize = 2;
pub(super) const CALIBRATION: usize = 3;
pub(super) const CLASS_AUC: usize = 4;

impl<'a> Counts<'a> {
    /// Of counts whose length fits.
    pub(super) fn new(counts: &'a [f64], classes: usize, reading: &'a Reading) -> Self {
        let (confusion, bins) = counts.split_at(classes * classes);
        Self {
            confusion,
            bins,
            classes,
            reading,
        }
    }

    /// All figures; none where there is nobody to have one.
    pub(super) fn figures(&self) -> Vec<Option<f64>> {
        let areas: Vec<Option<f64>> = self.areas().map(|area| Some(area?.value)).collect();
        let errors = (0..self.classes).map(|class| self.calibration_error(class));
        let mut figures = vec![
            accuracy(self.confusion, self.classes),
            macro_f1(self.confusion, self.classes),
            mean(areas.iter().copied()),
            mean(errors),
        ];
        figures.extend(areas);
        figures
    }

    /// The area under the curve of each class.
    ///
    /// The matrix tells the size of a class too, with less noise than the histograms: each bin is moved by the same, so far
    /// that their sum is the mean of both, weighted by the inverse of their variances. Without noise both are the same.
    pub(super) fn areas(&self) -> impl Iterator<Item = Option<Area>> {
        let classes = self.classes as f64;
        let (total, sizes) = (self.total(), self.sizes());
        (0..self.classes).map(move |class| {
            let (inside, others) = self.histograms(class);
            let inside = moved(inside, sizes[class], classes);
            let others = moved(others, total - sizes[class], classes * (classes - 1.0));
            area(&inside, &others)
        })
    }

    /// Labels counted.
    pub(super) fn total(&self) -> f64 {
        self.confusion.iter().sum()
    }

    /// Labels of each class.
    pub(super) fn sizes(&self) -> Vec<f64> {
        let rows = self.confusion.chunks_exact(self.classes);
        rows.map(|row| row.iter().sum()).collect()
    }

    /// For each group of a class's reliability diagram, the patients in the class and the others.
    pub(super) fn reliability(&self, class: usize) -> impl Iterator<Item = (f64, f64)> {
        let (inside, others) = self.histograms(class);
        self.reading.groups.iter().map(move |group| {
            let sum = |histogram: &[f64]| histogram[group.bins.clone()].iter().sum();
            (sum(inside), sum(others))
        })
    }

    fn histograms(&self, class: usize) -> (&'a [f64], &'a [f64]) {
        let bins = self.reading.histograms.bins();
        self.bins[2 * class * bins..][..2 * bins].split_at(bins)
    }

    /// The expected calibration error of a class.
    ///
    /// Noise makes a distance longer: `|d + e|` is in the mean above `|d|`, by as much as [`folded`] says. What it says at
    /// the noised distance is taken off, which leaves at most [`LEFT`] of the noise's deviation, where there was no distance.
    fn calibration_error(&self, class: usize) -> Option<f64> {
        let (inside, others) = self.histograms(class);
        let reading = self.reading;
        let distance = |(group, spread): (&Group, &f64)| {
            let apart = |bin: usize| {
                let middle = reading.middles[bin];
                (1.0 - middle) * inside[bin] - middle * others[bin]
            };
            let distance = group.bins.clone().map(apart).sum::<f64>().abs();
            2.0 * distance - folded(distance, spread * reading.noise)
        };
        let groups = reading.groups.iter().zip(&reading.spread);
        share(groups.map(distance).sum(), self.total())
    }
}

/// What is left of the bias of `|d + e|` at a distance d of 0, in deviations of e: `(2 − √2)·√(2/π)`.
pub(super) const LEFT: f64 = 0.467_387;

/// What makes the logistic function most like Φ (Camilli 1994).
const LOGISTIC: f64 = 1.702;

/// A histogram whose sum is moved towards `size`, which is a sum of as many counts as `cells` says.
fn moved(histogram: &[f64], size: f64, cells: f64) -> Vec<f64> {
    let apart = size - histogram.iter().sum::<f64>();
    let shift = apart / (histogram.len() as f64 + cells);
    histogram.iter().map(|bin| bin + shift).collect()
}

/// The area under a curve whose points are bins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    /// The area; what bins take off it is put back as far as they tell.
    pub(super) value: f64,
    /// How much was put back.
    pub(super) put_back: f64,
    /// The standard deviation that the order of patients in one bin has, were it random (Mann & Whitney 1947).
    pub(super) order: f64,
}

/// The probability that a patient of the class has a higher score than another: a sum over pairs of bins, which is linear
/// in either histogram's noise.
///
/// A pair in one bin counts half. Of a model that is of use more than half of such pairs are in order: with `t` half of their
/// share and normal scores, the area is too small by `t²·z / 3φ(z)` where `z = Φ⁻¹(area)` (bins of width w add w²/12 to the
/// variance of scores). The logistic function stands for Φ here.
pub(super) fn area(inside: &[f64], others: &[f64]) -> Option<Area> {
    let (mut below, mut pairs, mut tied, mut order) = (0.0, 0.0, 0.0, 0.0);
    for (inside, others) in inside.iter().zip(others) {
        pairs += inside * (below + others / 2.0);
        tied += inside * others / 2.0;
        order += inside * others * (inside + others + 1.0) / 12.0;
        below += others;
    }
    let inside: f64 = inside.iter().sum();
    (inside > 0.0 && below > 0.0).then(|| {
        let all = inside * below;
        let value = pairs / all;
        let ties = (tied / all).clamp(0.0, 0.25);
        let held = value.clamp(0.02, 0.98);
        let odds = held / (1.0 - held);
        let put_back = ties * ties * odds.ln() / (3.0 * LOGISTIC * LOGISTIC * held * (1.0 - held));
        Area {
            value: value + put_back,
            put_back,
            order: order.max(0.0).sqrt() / all,
        }
    })
}

pub(super) fn accuracy(confusion: &[f64], classes: usize) -> Option<f64> {
    let right = confusion.iter().step_by(classes + 1).sum();
    share(right, confusion.iter().sum())
}

/// Mean over the classes of `2·tp / (2·tp + fp + fn)`.
pub(super) fn macro_f1(confusion: &[f64], classes: usize) -> Option<f64> {
    mean((0..classes).map(|class| {
        let truly: f64 = confusion[class * classes..][..classes].iter().sum();
        let predicted: f64 = confusion.iter().skip(class).step_by(classes).sum();
        share(2.0 * confusion[class * (classes + 1)], truly + predicted)
    }))
}

/// `part / whole`; nothing where the whole is not positive.
pub(super) fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// The mean of those that there are.
pub(super) fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let add = |(sum, count), value| (sum + value, count + 1.0);
    let (sum, count) = values.flatten().fold((0.0, 0.0), add);
    share(sum, count)
}
