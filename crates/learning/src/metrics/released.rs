//! Figures of released counts, each with its noise, or withheld.
//!
//! The noise of a count is known: it follows from the study. What it does to a ratio or an area is found by a parametric
//! bootstrap (Efron & Tibshirani 1993, section 6.5): the released counts are noised again, [`REPLICATES`] times, and the
//! deviation of the figures is that of the replicates. It uses what is public alone, so it costs no patient anything.
//!
//! A figure is withheld where the noise on it is to be expected above [`MOST_DEVIATION`]. That follows from the study and
//! from the noised number of patients in each class ([`super::expected`]), never from the figure.

use protocol::api::{Count, Estimate, Figure, Metrics, Reliability};
use protocol::study::Histograms;
use rand_core::Rng;

use super::counts::{ACCURACY, Area, CALIBRATION, CLASS_AUC, Counts, MACRO_AUC, MACRO_F1, Reading};
use super::expected::{self, Scores};
use super::random::normal;
use super::{MetricsError, check_counts};

/// A figure whose noise is to be expected to have a greater standard deviation is withheld: its interval would be wider
/// than .2.
pub const MOST_DEVIATION: f64 = 0.05;

/// Replicates of a bootstrap: the deviation is then known to 1 in 28.
const REPLICATES: usize = 400;

/// The noise in counts.
#[derive(Debug)]
pub struct Noise<R> {
    /// The standard deviation in each count; 0 for none.
    pub deviation: f64,
    /// Draws the replicates: the same ones for the same round, so that everyone computes the same figures.
    pub replicates: R,
}

/// The figures of released counts, which need not be whole or positive.
///
/// Nothing is set to 0 before it is added up, so noise of mean 0 does not shift the figures; only the figures
/// themselves are held in 0 to 1.
///
/// # Errors
///
/// A number of counts that does not fit the classes, and a count that is not finite.
pub fn released(
    counts: &[f64],
    classes: usize,
    histograms: &Histograms,
    noise: Noise<impl Rng>,
) -> Result<Metrics, MetricsError> {
    check_counts(counts.len(), classes, histograms)?;
    if let Some(entry) = counts.iter().position(|count| !count.is_finite()) {
        return Err(MetricsError::Count { entry });
    }
    let reading = Reading::new(*histograms, noise.deviation);
    let read = Counts::new(counts, classes, &reading);
    let release = Release {
        values: read.figures(),
        deviations: deviations(counts, classes, &reading, noise),
        expected: Expected::of(&read, histograms, &reading),
        areas: read.areas().collect(),
        reading: &reading,
        counts: read,
    };
    Ok(release.metrics())
}

/// What is known of the counts of a round.
struct Release<'a> {
    counts: Counts<'a>,
    reading: &'a Reading,
    values: Vec<Option<f64>>,
    deviations: Vec<f64>,
    expected: Expected,
    areas: Vec<Option<Area>>,
}

/// The deviations to be expected.
struct Expected {
    accuracy: f64,
    macro_f1: f64,
    calibration: f64,
    areas: Vec<f64>,
}

impl Expected {
    fn of(counts: &Counts<'_>, histograms: &Histograms, reading: &Reading) -> Self {
        let noise = reading.noise;
        let (total, sizes) = (counts.total(), counts.sizes());
        let area = |size: &f64| {
            let scores = Scores::usual(*size, total - size);
            scores.error(histograms, noise).deviation
        };
        Self {
            accuracy: expected::accuracy(total, counts.classes, noise),
            macro_f1: expected::macro_f1(&sizes, noise),
            calibration: expected::calibration(total, counts.classes, reading, noise),
            areas: if noise > 0.0 {
                sizes.iter().map(area).collect()
            } else {
                vec![0.0; counts.classes]
            },
        }
    }

    /// Of the mean of the areas: their noise is independent.
    fn macro_auc(&self) -> f64 {
        let squares: f64 = self.areas.iter().map(|area| area * area).sum();
        squares.sqrt() / self.areas.len() as f64
    }
}

impl Release<'_> {
    fn metrics(&self) -> Metrics {
        let classes = self.counts.classes;
        let noise = self.reading.noise;
        let count = |value: &f64| Count {
            value: *value,
            deviation: noise,
        };
        let rows = self.counts.confusion.chunks_exact(classes);
        let known: Vec<Area> = self.areas.iter().copied().flatten().collect();
        Metrics {
            patients: Count {
                value: self.counts.total(),
                deviation: noise * classes as f64,
            },
            accuracy: self.figure(ACCURACY, self.expected.accuracy, Margin::NONE),
            macro_f1: self.figure(MACRO_F1, self.expected.macro_f1, Margin::NONE),
            macro_auc: self.figure(
                MACRO_AUC,
                self.expected.macro_auc(),
                Margin::of_areas(&known),
            ),
            calibration_error: self.figure(
                CALIBRATION,
                self.expected.calibration,
                Margin::of_calibration(self.counts.total(), self.reading),
            ),
            class_auc: (0..classes).map(|class| self.class_auc(class)).collect(),
            confusion: rows.map(|row| row.iter().map(count).collect()).collect(),
            reliability: (0..classes).map(|class| self.reliability(class)).collect(),
        }
    }

    fn class_auc(&self, class: usize) -> Option<Figure> {
        let area: Vec<Area> = self.areas[class].into_iter().collect();
        self.figure(
            CLASS_AUC + class,
            self.expected.areas[class],
            Margin::of_areas(&area),
        )
    }

    /// A figure; absent where there is nobody to have one, and where noise hides whether there is, withheld.
    fn figure(&self, place: usize, expected: f64, margin: Margin) -> Option<Figure> {
        // Written so that what is no number is withheld.
        let is_known = expected <= MOST_DEVIATION;
        if !is_known {
            return Some(Figure::Withheld {
                withheld: reason(expected),
            });
        }
        let value = self.values[place]?;
        let deviation = self.deviations[place];
        let half = Estimate::HALF * deviation.hypot(margin.deviation) + margin.either;
        if !(half + margin.below).is_finite() {
            return Some(Figure::Withheld {
                withheld: reason(f64::INFINITY),
            });
        }
        Some(Figure::Shown(Estimate {
            value: value.clamp(0.0, 1.0),
            deviation,
            low: (value - half - margin.below).clamp(0.0, 1.0),
            high: (value + half).clamp(0.0, 1.0),
        }))
    }

    fn reliability(&self, class: usize) -> Vec<Reliability> {
        let groups = self.reading.groups.iter();
        let each = groups.zip(self.counts.reliability(class));
        each.map(|(group, (inside, others))| {
            let deviation = self.reading.noise * (group.bins.len() as f64).sqrt();
            Reliability {
                predicted: group.predicted(),
                patients: Count {
                    value: inside + others,
                    deviation: deviation * std::f64::consts::SQRT_2,
                },
                in_class: Count {
                    value: inside,
                    deviation,
                },
            }
        })
        .collect()
    }
}

/// By how much an interval is wider than noise makes it.
#[derive(Clone, Copy)]
struct Margin {
    /// A deviation beside that of noise.
    deviation: f64,
    /// At either end.
    either: f64,
    /// At the lower end.
    below: f64,
}

impl Margin {
    const NONE: Self = Self {
        deviation: 0.0,
        either: 0.0,
        below: 0.0,
    };

    /// What bins make of the mean of areas: the order in them, which is the same for all classes at worst, and half of what
    /// was put back.
    fn of_areas(areas: &[Area]) -> Self {
        let number = areas.len().max(1) as f64;
        let mean = |of: fn(&Area) -> f64| areas.iter().map(of).sum::<f64>() / number;
        Self {
            deviation: mean(|area| area.order),
            either: mean(|area| area.put_back.abs()) / 2.0,
            below: 0.0,
        }
    }

    /// Of a calibration error: what noise leaves in it and, where there is none, that all patients in a bin of width `w` are
    /// taken to be in its middle: `p(1 − p)·w / √12` for each, at random, and the slope of their density.
    fn of_calibration(patients: f64, reading: &Reading) -> Self {
        if reading.noise > 0.0 {
            return Self {
                below: expected::left(patients, reading, reading.noise),
                ..Self::NONE
            };
        }
        let width = reading.width();
        Self {
            deviation: width / (4.0 * (12.0 * patients.max(1.0)).sqrt()),
            either: width * width / 24.0,
            below: 0.0,
        }
    }
}

fn reason(expected: f64) -> String {
    if expected.is_finite() {
        format!(
            "the noise on it has a standard deviation of about {expected:.3}, above {MOST_DEVIATION}: it would tell nothing; \
             more patients, a larger epsilon or metrics-share, or fewer evaluations make it less"
        )
    } else {
        "the noise on the number of patients is larger than the number; more patients, a larger epsilon or metrics-share, or \
         fewer evaluations make it less"
            .to_owned()
    }
}

/// The deviation of each figure over the replicates; 0 without noise.
fn deviations(
    counts: &[f64],
    classes: usize,
    reading: &Reading,
    mut noise: Noise<impl Rng>,
) -> Vec<f64> {
    let mut spreads = vec![Spread::default(); CLASS_AUC + classes];
    if noise.deviation > 0.0 {
        let mut replicate = vec![0.0; counts.len()];
        for _ in 0..REPLICATES {
            for (replicate, count) in replicate.iter_mut().zip(counts) {
                *replicate = count + noise.deviation * normal(&mut noise.replicates);
            }
            let figures = Counts::new(&replicate, classes, reading).figures();
            for (spread, figure) in spreads.iter_mut().zip(figures) {
                spread.add(figure);
            }
        }
    }
    spreads.iter().map(Spread::deviation).collect()
}

/// Mean and sum of squares of what is added (Welford 1962).
#[derive(Clone, Copy, Default)]
struct Spread {
    number: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn add(&mut self, figure: Option<f64>) {
        let Some(figure) = figure else { return };
        self.number += 1.0;
        let apart = figure - self.mean;
        self.mean += apart / self.number;
        self.squares += apart * (figure - self.mean);
    }

    fn deviation(&self) -> f64 {
        (self.squares / (self.number - 1.0).max(1.0)).sqrt()
    }
}
