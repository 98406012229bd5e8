//! The risk of readmission: a score of the hidden state, chance, and thresholds.

use crate::patient::Patient;
use crate::population::{Effects, Risk};
use crate::random::Random;

impl Effects {
    /// A patient's label: the class of the one outcome, or which of several outcomes the patient has, as bits.
    pub(crate) fn label(&self, patient: &Patient, random: &mut Random) -> u32 {
        let mut class = |risk: &Risk| risk.class(risk.score(patient), random.normal());
        match self.outcomes {
            [risk] => class(risk),
            outcomes => outcomes
                .iter()
                .rev()
                .fold(0, |label, risk| 2 * label + u32::from(class(risk) > 0)),
        }
    }

    /// How many labels there are.
    pub(crate) fn classes(&self) -> usize {
        match self.outcomes {
            [risk] => risk.thresholds.len() + 1,
            outcomes => 1 << outcomes.len(),
        }
    }

    /// The probability of the likeliest label: how often the best classifier is right on this patient.
    pub(crate) fn best(&self, patient: &Patient) -> f64 {
        match self.outcomes {
            [risk] => risk.best(risk.score(patient)),
            // Chance is of each outcome alone.
            outcomes => outcomes
                .iter()
                .map(|risk| risk.best_of_two(risk.score(patient)))
                .product(),
        }
    }
}

impl Risk {
    /// A patient's score before chance.
    pub(crate) fn score(&self, patient: &Patient) -> f64 {
        let has = patient.diseases.iter().zip(self.comorbidities);
        let burden: f64 = has.filter(|(has, _)| **has).map(|(_, weight)| weight).sum();
        self.level * patient.course.level
            + self.trend * patient.course.trend
            + self.age * (patient.age - 65.0) / 15.0
            + self.marker * patient.loads[patient.phenotype.index()]
            + (burden - self.mean_burden)
    }

    /// The class, 0 to 2, of a score with a standard normal draw of chance.
    pub(crate) fn class(&self, score: f64, chance: f64) -> u32 {
        let risk = score + self.chance * chance;
        self.thresholds
            .iter()
            .map(|threshold| u32::from(risk > *threshold))
            .sum()
    }

    /// The probability of the likeliest class: how often the best classifier is right on a patient with this score.
    pub(crate) fn best(&self, score: f64) -> f64 {
        let [medium, high] = self
            .thresholds
            .map(|threshold| 1.0 - normal_below((threshold - score) / self.chance));
        (1.0 - medium).max(medium - high).max(high)
    }

    /// The same where it is only told whether the risk is above the first threshold.
    fn best_of_two(&self, score: f64) -> f64 {
        let above = 1.0 - normal_below((self.thresholds[0] - score) / self.chance);
        above.max(1.0 - above)
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
    use crate::population::Population;

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
        for population in [Population::Reference, Population::Shifted] {
            for risk in population.effects().outcomes {
                assert!((risk.best(risk.thresholds[0]) - 0.5).abs() < 0.02);
                assert!(risk.best(-4.0) > 0.999);
                assert!(risk.best(4.0) > 0.999);
            }
        }
    }
}
