//! `cargo xtask experiments released-metrics`: how far released figures can be believed.
//!
//! ```text
//! patients drawn anew ─▶ exact figures ─────────────────────────────┐
//!         └─▶ counts in the bins that compose chooses ─▶ + noise ─▶ released figures ─▶ held? how wide?
//! ```
//!
//! In memory, with the arithmetic of module and aggregator: counting, the choice of bins, the noise that follows from ε and
//! the metrics' share, bootstrap and withholding are theirs. Noise is normal; that of a study is discrete, on a grid of 1/64.

use anyhow::{Context, Result};
use learning::metrics::{self, Exact, Noise, normal, uniform};
use privacy::allocation::{self, Share};
use privacy::{Delta, Epsilon, Mu};
use protocol::api::{Estimate, Figure, Metrics};
use protocol::seed::Seed;
use protocol::study::Histograms;
use rand_core::Rng;

/// What it is called on the command line, and its page.
pub(super) const NAME: &str = "released-metrics";

const EPSILONS: [f64; 4] = [0.5, 1.0, 5.0, f64::INFINITY];
const PATIENTS: [usize; 4] = [1_000, 5_000, 20_000, 100_000];
const PREVALENCES: [f64; 4] = [0.005, 0.05, 0.2, 0.5];
const RUNS: usize = 200;
const DELTA: f64 = 1e-5;
/// Of the shipped drafts.
const METRICS_SHARE: f64 = 0.05;
const CLASSES: usize = 2;

/// The figures that are compared.
struct Kind {
    name: &'static str,
    exact: fn(&Exact) -> Option<f64>,
    released: fn(&Metrics) -> Option<&Figure>,
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "macro AUC",
        exact: |exact| exact.macro_auc,
        released: |metrics| metrics.macro_auc.as_ref(),
    },
    Kind {
        name: "accuracy",
        exact: |exact| exact.accuracy,
        released: |metrics| metrics.accuracy.as_ref(),
    },
    Kind {
        name: "macro F1",
        exact: |exact| exact.macro_f1,
        released: |metrics| metrics.macro_f1.as_ref(),
    },
    Kind {
        name: "calibration error",
        exact: |exact| exact.calibration_error,
        released: |metrics| metrics.calibration_error.as_ref(),
    },
];

/// A figure in one setting, over all runs.
#[derive(Clone, Debug, Default)]
struct Line {
    /// Exact value and what was released of it, where it was shown.
    shown: Vec<(f64, Estimate)>,
    withheld: usize,
}

impl Line {
    fn add(&mut self, exact: Option<f64>, released: Option<&Figure>) {
        match (exact, released) {
            (Some(exact), Some(Figure::Shown(estimate))) => self.shown.push((exact, *estimate)),
            (_, Some(Figure::Withheld { .. })) => self.withheld += 1,
            // Nobody has such a figure.
            (None, _) | (_, None) => {}
        }
    }

    fn mean(&self, of: impl Fn(&(f64, Estimate)) -> f64) -> f64 {
        self.shown.iter().map(of).sum::<f64>() / self.shown.len() as f64
    }

    /// Percent of the shown ones whose interval holds the exact value.
    fn held(&self) -> f64 {
        self.mean(|(exact, estimate)| {
            // The exact area of a float's last bit is no error of the interval.
            let is_held = estimate.low - 1e-9 <= *exact && *exact <= estimate.high + 1e-9;
            100.0 * f64::from(u8::from(is_held))
        })
    }

    /// The width of the stated interval, and that which the errors of the runs have.
    fn widths(&self) -> (f64, f64) {
        let error = |(exact, estimate): &(f64, Estimate)| estimate.value - exact;
        let mean = self.mean(error);
        let variance = self.mean(|run| (error(run) - mean).powi(2));
        let stated = self.mean(|(_, estimate)| estimate.high - estimate.low);
        (stated, 2.0 * Estimate::HALF * variance.sqrt())
    }

    fn cells(&self) -> String {
        if self.shown.len() < RUNS / 10 {
            return format!("| | | | | | {:.0} % |", self.withheld_percent());
        }
        let (stated, empirical) = self.widths();
        let ratio = if empirical > 1e-6 {
            format!("{:.2}", stated / empirical)
        } else {
            String::new()
        };
        format!(
            "| {:.3} | {:.3} | {:.1} % | {stated:.4} | {ratio} | {:.0} % |",
            self.mean(|(exact, _)| *exact),
            self.mean(|(_, estimate)| estimate.value),
            self.held(),
            self.withheld_percent(),
        )
    }

    fn withheld_percent(&self) -> f64 {
        let all = (self.shown.len() + self.withheld).max(1);
        100.0 * self.withheld as f64 / all as f64
    }
}

/// The page's tables, and a line of what they come to.
pub(super) fn page(command: &str, date: &str) -> Result<String> {
    let mut tables: Vec<String> = KINDS.map(|kind| head(kind.name)).to_vec();
    let mut all = KINDS.map(|_| Vec::new());
    for patients in PATIENTS {
        for prevalence in PREVALENCES {
            let lines = setting(patients, prevalence)?;
            for (epsilon, of_kinds) in EPSILONS.iter().zip(lines) {
                for (kind, line) in of_kinds.into_iter().enumerate() {
                    let epsilon = if epsilon.is_finite() {
                        epsilon.to_string()
                    } else {
                        "∞".to_owned()
                    };
                    tables[kind] += &format!(
                        "| {epsilon} | {patients} | {} % {}\n",
                        prevalence * 100.0,
                        line.cells()
                    );
                    all[kind].push(line);
                }
            }
        }
    }
    let summaries: Vec<String> = KINDS
        .iter()
        .zip(&all)
        .map(|(kind, lines)| summary(kind, lines))
        .collect();
    Ok(format!(
        "# Released figures beside exact ones\n\n{ABOUT}\n\n{}\n{}\nMade by `{command}` on {date}, in memory.\n",
        summaries.join("\n") + "\n",
        tables.join("\n")
    ))
}

const ABOUT: &str = "\
What a study publishes of its held-out patients has noise. Each line is 200 runs: patients drawn anew, of two classes, their \
scores those of a calibrated model with an area of .8; counted as the module counts, in the bins that `host compose` chooses \
for this many patients and this noise; noised for ε at δ = 10⁻⁵, of which the metrics have a share of .05, as in the shipped \
drafts, at one evaluation; and shown as the aggregator shows them, with a 95 % interval, or withheld.

*Patients* are those held out, all hospitals together. *Held* is how often the stated interval held the exact figure of the \
same patients, of the runs in which it was shown. *Width* is that of the stated interval, and the column after it that over \
3.92 standard deviations of the errors of the runs. Where fewer than 20 runs showed a figure there is nothing to tell. At \
ε = ∞ there is no noise: what an area is off by is the bins' alone.";

fn head(name: &str) -> String {
    format!(
        "## {name}\n\n| ε | patients | prevalence | exact | released | held | width | over empirical | withheld |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    )
}

/// Over all settings with a finite ε.
fn summary(kind: &Kind, lines: &[Line]) -> String {
    let finite = lines
        .iter()
        .enumerate()
        .filter(|(place, _)| place % EPSILONS.len() != 3);
    let lines: Vec<&Line> = finite.map(|(_, line)| line).collect();
    let told: Vec<&&Line> = lines
        .iter()
        .filter(|line| line.shown.len() >= RUNS / 10)
        .collect();
    let held: Vec<f64> = told.iter().map(|line| line.held()).collect();
    let ratios = told
        .iter()
        .map(|line| line.widths())
        .filter(|(_, empirical)| *empirical > 1e-6);
    let ratios: Vec<f64> = ratios
        .map(|(stated, empirical)| stated / empirical)
        .collect();
    let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    format!(
        "- {}: shown in {} of {} settings with a finite ε; held in {:.1} to {:.1} %, in the mean {:.1} %; {:.2} to {:.2} times as wide as \
         empirically",
        kind.name,
        told.len(),
        lines.len(),
        least(&held),
        most(&held),
        held.iter().sum::<f64>() / held.len() as f64,
        least(&ratios),
        most(&ratios)
    )
}

/// All runs of a setting: for each ε, a line for each kind.
fn setting(patients: usize, prevalence: f64) -> Result<Vec<Vec<Line>>> {
    let designs = EPSILONS
        .iter()
        .map(|epsilon| {
            let noise = deviation(*epsilon)?;
            Ok((noise, metrics::choose(patients as f64, noise)))
        })
        .collect::<Result<Vec<(f64, Histograms)>>>()?;
    let mut lines = vec![vec![Line::default(); KINDS.len()]; EPSILONS.len()];
    for run in 0..RUNS {
        let seed = Seed::new([1; 32]).derive(&format!("{patients} {prevalence} {run}"));
        let (probabilities, labels) =
            draw(patients, prevalence, &mut seed.derive("patients").rng());
        let exact = metrics::exact(&probabilities, &labels, CLASSES).context("exact figures")?;
        for (place, (noise, histograms)) in designs.iter().enumerate() {
            let mut counts = vec![0; metrics::counts_length(CLASSES, histograms)];
            for (row, label) in probabilities.chunks_exact(CLASSES).zip(&labels) {
                metrics::count(row, *label, histograms, &mut counts).context("counting")?;
            }
            let mut rng = seed.derive(&format!("noise {place}")).rng();
            let noised: Vec<f64> = counts
                .iter()
                .map(|count| *count as f64 + noise * normal(&mut rng))
                .collect();
            let noise = Noise {
                deviation: *noise,
                replicates: seed.derive("replicates").rng(),
            };
            let released = metrics::released(&noised, CLASSES, histograms, noise)
                .context("released figures")?;
            for (kind, line) in KINDS.iter().zip(&mut lines[place]) {
                line.add((kind.exact)(&exact), (kind.released)(&released));
            }
        }
    }
    Ok(lines)
}

/// The standard deviation of the noise in each count, as a study with one evaluation has it where as many sites survive as
/// it counts on.
fn deviation(epsilon: f64) -> Result<f64> {
    if epsilon.is_infinite() {
        return Ok(0.0);
    }
    let total = Mu::calibrate(Epsilon::try_from(epsilon)?, Delta::try_from(DELTA)?);
    let mu = allocation::share(total, Share::try_from(METRICS_SHARE)?);
    // A patient is counted in one cell of the matrix and in one bin for each class.
    let sensitivity = (1.0 + CLASSES as f64).sqrt();
    Ok(sensitivity / mu.get())
}

/// Patients of a calibrated model with an area of .8: log-odds normal in either class, 1.19 deviations apart.
fn draw(patients: usize, prevalence: f64, rng: &mut impl Rng) -> (Vec<f32>, Vec<u32>) {
    const APART: f64 = 1.19;
    let centre = (prevalence / (1.0 - prevalence)).ln();
    let mut probabilities = Vec::with_capacity(CLASSES * patients);
    let mut labels = Vec::with_capacity(patients);
    for _ in 0..patients {
        let is_in = uniform(rng) <= prevalence;
        let side = if is_in { 0.5 } else { -0.5 };
        let log_odds = centre + APART * (APART * side + normal(rng));
        let probability = single(1.0 / (1.0 + (-log_odds).exp()));
        probabilities.extend([1.0 - probability, probability]);
        labels.push(u32::from(is_in));
    }
    (probabilities, labels)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a model's probabilities are f32"
)]
fn single(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_hold_and_are_as_wide_as_they_have_to_be() {
        let lines = setting(5_000, 0.2).unwrap();
        // ε = 5: all are shown.
        for (kind, line) in KINDS.iter().zip(&lines[2]) {
            let (stated, empirical) = line.widths();
            assert_eq!(line.withheld, 0, "{}", kind.name);
            assert!(line.held() >= 90.0, "{}: {}", kind.name, line.held());
            assert!(
                stated < 1.6 * empirical,
                "{}: {stated} and {empirical}",
                kind.name
            );
        }
        // ε = ∞: all are exact but for bins.
        for (kind, line) in KINDS.iter().zip(&lines[3]) {
            let off = line.mean(|(exact, estimate)| (exact - estimate.value).abs());
            assert!(off < 0.002, "{}: {off}", kind.name);
        }
    }
}
