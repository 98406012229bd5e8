//! The risk of readmission: a score of the hidden state, chance, and thresholds.

use crate::patient::{Comorbidity, Patient};

/// Standard deviation of what no hospital measures.
const CHANCE: f64 = 0.26;

/// The score above which a patient's risk is medium, and high: 55 % and 85 % of all patients are below.
const THRESHOLDS: [f64; 2] = [0.16, 1.11];

const LEVEL: f64 = 0.45;
const TREND: f64 = 0.75;
const AGE: f64 = 0.25;
const MARKER: f64 = 0.45;

/// The mean sum of comorbidities' weights, so that the score is about 0 in the mean.
const MEAN_BURDEN: f64 = 0.43;

/// A patient's score before chance.
pub(crate) fn score(patient: &Patient) -> f64 {
    let burden: f64 = patient.comorbidities().map(weight).sum();
    LEVEL * patient.course.level
        + TREND * patient.course.trend
        + AGE * (patient.age - 65.0) / 15.0
        + MARKER * patient.loads[patient.phenotype.index()]
        + (burden - MEAN_BURDEN)
}

/// The class, 0 to 2, of a score with a standard normal draw of chance.
pub(crate) fn class(score: f64, chance: f64) -> u32 {
    let risk = score + CHANCE * chance;
    THRESHOLDS
        .iter()
        .map(|threshold| u32::from(risk > *threshold))
        .sum()
}

/// The probability of the likeliest class: how often the best classifier is right on a patient with this score.
pub(crate) fn best(score: f64) -> f64 {
    let [medium, high] =
        THRESHOLDS.map(|threshold| 1.0 - normal_below((threshold - score) / CHANCE));
    (1.0 - medium).max(medium - high).max(high)
}

fn weight(comorbidity: Comorbidity) -> f64 {
    match comorbidity {
        Comorbidity::HeartFailure | Comorbidity::Cancer => 0.5,
        Comorbidity::LungDisease | Comorbidity::KidneyDisease => 0.4,
        Comorbidity::Diabetes => 0.2,
        Comorbidity::Hypertension => 0.1,
    }
}

/// The standard normal distribution function (Abramowitz & Stegun 1964, 26.2.17): within 7.5e-8.
fn normal_below(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let powers = [
        0.319_381_530,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let series = powers
        .iter()
        .rev()
        .fold(0.0, |sum, power| (sum + power) * t);
    let above = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt() * series;
    if x < 0.0 { above } else { 1.0 - above }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_has_its_known_values() {
        for (x, below) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746),
            (-1.959_964, 0.025),
            (4.0, 0.999_968_329),
        ] {
            assert!((normal_below(x) - below).abs() < 1e-7, "{x}");
        }
    }

    #[test]
    fn the_best_accuracy_is_half_at_a_threshold_and_1_far_from_all() {
        assert!((best(THRESHOLDS[0]) - 0.5).abs() < 0.01);
        assert!(best(-3.0) > 0.999);
        assert!(best(4.0) > 0.999);
    }
}
