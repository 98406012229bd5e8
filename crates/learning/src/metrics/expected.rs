//! How much noise a figure has to be expected to have: from the study and the numbers of patients, not from the figure.
//!
//! Where the noise of an area depends on scores, they are those of a calibrated model whose log-odds are normal in either
//! class: with log-odds of the prevalence `c` and distance `d`, `N(c + d²/2, d²)` in the class and `N(c − d²/2, d²)` among
//! the others, which is the only pair of normal distributions that is calibrated. Its area is `Φ(d / √2)`.

use std::f64::consts::{PI, SQRT_2};

use protocol::api::Estimate;
use protocol::study::Histograms;

use super::counts::{LEFT, Reading};

/// Scores of a calibrated model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scores {
    /// Patients in the class.
    pub(super) inside: f64,
    /// The others.
    pub(super) others: f64,
    /// How far the two are apart, in deviations.
    pub(super) distance: f64,
}

/// What an area computed from bins is off by.
#[derive(Clone, Copy, Debug)]
pub(super) struct AreaError {
    /// The standard deviation that noise gives it.
    pub(super) deviation: f64,
    /// What bins alone make of it.
    pub(super) bias: f64,
}

impl Scores {
    /// Of a model with an area of .8: between what is published of most risk models and what a good one has.
    pub(super) fn usual(inside: f64, others: f64) -> Self {
        Self {
            inside,
            others,
            distance: 1.19,
        }
    }

    /// The error of the area where each count has noise of this deviation.
    ///
    /// With `F` the share of the others below a bin, `G` that of the class above it, and ties halved, an area `A` moves by
    /// `(F − A) / inside` with the bin's count of the class and by `(G − A) / others` with that of the others, and by
    /// `(K − A) / (inside · others)` with the product of two bins' noise, where `K` says whether the pair is in order.
    pub(super) fn error(&self, histograms: &Histograms, noise: f64) -> AreaError {
        let Self {
            inside,
            others,
            distance,
        } = *self;
        if inside <= 0.0 || others <= 0.0 {
            return AreaError {
                deviation: f64::INFINITY,
                bias: 0.0,
            };
        }
        let centre = (inside / others).ln();
        let shift = distance * distance / 2.0;
        let of_class = shares(histograms, centre + shift, distance);
        let of_others = shares(histograms, centre - shift, distance);
        let below = halved_sums(&of_others);
        let area: f64 = of_class.iter().zip(&below).map(|(a, b)| a * b).sum();
        let above = halved_sums(&of_class).into_iter().map(|sum| 1.0 - sum);
        let squares = |shares: &mut dyn Iterator<Item = f64>, patients: f64| {
            shares.map(|share| (share - area).powi(2)).sum::<f64>() / (patients * patients)
        };
        let linear =
            squares(&mut below.iter().copied(), inside) + squares(&mut above.into_iter(), others);
        let bins = histograms.bins() as f64;
        let in_order = bins * (bins - 1.0) / 2.0;
        let pairs = in_order * ((1.0 - area).powi(2) + area * area) + bins * (0.5 - area).powi(2);
        let products = pairs / (inside * others).powi(2);
        AreaError {
            deviation: noise * (linear + noise * noise * products).sqrt(),
            bias: area - normal(distance / SQRT_2),
        }
    }
}

/// The share of normal log-odds in each bin.
fn shares(histograms: &Histograms, mean: f64, deviation: f64) -> Vec<f64> {
    let below = |bin: usize| match bin {
        0 => 0.0,
        bin if bin == histograms.bins() => 1.0,
        bin => normal((histograms.lower(bin) - mean) / deviation),
    };
    (0..histograms.bins())
        .map(|bin| below(bin + 1) - below(bin))
        .collect()
}

/// For each share the sum of those before it and half of its own.
fn halved_sums(shares: &[f64]) -> Vec<f64> {
    let mut before = 0.0;
    let halved = |share: &f64| {
        before += share;
        before - share / 2.0
    };
    shares.iter().map(halved).collect()
}

/// The deviation of an accuracy over `patients`, at most: it moves by `(1 − a) / patients` with a count on the diagonal of
/// the matrix and by `a / patients` with any other.
pub(super) fn accuracy(patients: f64, classes: usize, noise: f64) -> f64 {
    let classes = classes as f64;
    over(
        noise * (classes * (classes - 1.0).max(1.0)).sqrt(),
        patients,
    )
}

/// The deviation of the mean of F1 over classes of these sizes, at most: that of a class moves by at most `2 / size` with
/// the noise of its own cell and of its row and column.
pub(super) fn macro_f1(sizes: &[f64], noise: f64) -> f64 {
    let squares = sizes.iter().map(|size| over(2.0 * noise, *size).powi(2));
    squares.sum::<f64>().sqrt() / sizes.len() as f64
}

/// The deviation of a calibration error over `patients`, the bias that noise leaves in it included.
pub(super) fn calibration(patients: f64, classes: usize, reading: &Reading, noise: f64) -> f64 {
    let squares: f64 = reading.spread.iter().map(|spread| spread * spread).sum();
    let deviation = over(noise * squares.sqrt(), patients) / (classes as f64).sqrt();
    deviation + left(patients, reading, noise) / (2.0 * Estimate::HALF)
}

/// The most that noise makes a calibration error too large, once what can be is taken off.
pub(super) fn left(patients: f64, reading: &Reading, noise: f64) -> f64 {
    over(LEFT * noise * reading.spread.iter().sum::<f64>(), patients)
}

/// `deviation / size`; of nobody there is nothing to know, but without noise.
fn over(deviation: f64, size: f64) -> f64 {
    if deviation <= 0.0 {
        0.0
    } else if size <= 0.0 {
        f64::INFINITY
    } else {
        deviation / size
    }
}

/// The mean of `|distance + e|` for normal noise e of this deviation.
pub(super) fn folded(distance: f64, deviation: f64) -> f64 {
    if deviation <= 0.0 {
        return distance;
    }
    let ratio = distance / deviation;
    deviation * (2.0 / PI).sqrt() * (-ratio * ratio / 2.0).exp()
        + distance * libm::erf(ratio / SQRT_2)
}

/// The normal distribution function.
fn normal(value: f64) -> f64 {
    libm::erfc(-value / SQRT_2) / 2.0
}
