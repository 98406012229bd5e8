//! Patients' hidden state.

use crate::hospital::Traits;
use crate::population::Effects;
use crate::random::Random;

/// What is wrong with a patient in the main.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phenotype {
    Cardiac,
    Thrombotic,
    Inflammatory,
    Renal,
}

impl Phenotype {
    pub(crate) const ALL: [Self; 4] = [
        Self::Cardiac,
        Self::Thrombotic,
        Self::Inflammatory,
        Self::Renal,
    ];

    /// Its place, and that of the marker that fits it: troponin, D-dimer, CRP, creatinine.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Cardiac => 0,
            Self::Thrombotic => 1,
            Self::Inflammatory => 2,
            Self::Renal => 3,
        }
    }

    /// Its name in files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cardiac => "cardiac",
            Self::Thrombotic => "thrombotic",
            Self::Inflammatory => "inflammatory",
            Self::Renal => "renal",
        }
    }
}

/// A disease that a patient has besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comorbidity {
    HeartFailure,
    LungDisease,
    KidneyDisease,
    Diabetes,
    Cancer,
    Hypertension,
}

impl Comorbidity {
    pub(crate) const ALL: [Self; 6] = [
        Self::HeartFailure,
        Self::LungDisease,
        Self::KidneyDisease,
        Self::Diabetes,
        Self::Cancer,
        Self::Hypertension,
    ];

    /// How common it is at 65, and how much commoner in the phenotypes that it goes with.
    fn prevalence(self, phenotype: Phenotype) -> f64 {
        let fits = |phenotypes: &[Phenotype]| {
            if phenotypes.contains(&phenotype) {
                1.0
            } else {
                0.0
            }
        };
        match self {
            Self::HeartFailure => 0.12 + 0.30 * fits(&[Phenotype::Cardiac]),
            Self::LungDisease => 0.14 + 0.15 * fits(&[Phenotype::Inflammatory]),
            Self::KidneyDisease => 0.14 + 0.40 * fits(&[Phenotype::Renal]),
            Self::Diabetes => 0.22 + 0.15 * fits(&[Phenotype::Renal, Phenotype::Cardiac]),
            Self::Cancer => 0.10 + 0.12 * fits(&[Phenotype::Thrombotic]),
            Self::Hypertension => 0.45 + 0.15 * fits(&[Phenotype::Renal, Phenotype::Cardiac]),
        }
    }
}

/// How severity goes over the months, in standard deviations between patients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Course {
    /// Mean.
    pub(crate) level: f64,
    /// Last minus first.
    pub(crate) trend: f64,
    /// Height of slow ups and downs, for those who have them.
    pub(crate) swing: f64,
    /// Where these begin, in turns.
    pub(crate) phase: f64,
}

impl Course {
    /// Severity at a time from 0, the first day, to 1, the last.
    pub(crate) fn at(&self, time: f64) -> f64 {
        // Two whole turns, so that neither level nor trend change.
        let turn = std::f64::consts::TAU * (2.0 * time + self.phase);
        self.level + self.trend * (time - 0.5) + self.swing * turn.sin()
    }
}

/// A patient as nobody sees them.
#[derive(Clone, Debug)]
pub(crate) struct Patient {
    /// Years.
    pub(crate) age: f64,
    pub(crate) male: bool,
    pub(crate) phenotype: Phenotype,
    pub(crate) course: Course,
    /// Marker loads, standard normal: of troponin, D-dimer, CRP, creatinine.
    pub(crate) loads: [f64; 4],
    /// In the order of [`Comorbidity::ALL`].
    pub(crate) diseases: [bool; 6],
}

impl Patient {
    pub(crate) fn draw(traits: &Traits, effects: &Effects, random: &mut Random) -> Self {
        let age = (traits.age + 13.0 * random.normal()).clamp(18.0, 98.0);
        let phenotype = Phenotype::ALL[random.choose(&traits.case_mix)];
        let older = (age - 65.0) / 100.0;
        Self {
            age,
            male: random.chance(0.5),
            phenotype,
            course: draw_course(traits, effects, random),
            loads: std::array::from_fn(|_| random.normal()),
            diseases: Comorbidity::ALL
                .map(|disease| random.chance(disease.prevalence(phenotype) + 0.4 * older)),
        }
    }

    pub(crate) fn has(&self, comorbidity: Comorbidity) -> bool {
        self.comorbidities().any(|has| has == comorbidity)
    }

    pub(crate) fn comorbidities(&self) -> impl Iterator<Item = Comorbidity> {
        Comorbidity::ALL
            .into_iter()
            .zip(self.diseases)
            .filter(|(_, has)| *has)
            .map(|(comorbidity, _)| comorbidity)
    }
}

/// Stable, mending, worsening, or up and down.
fn draw_course(traits: &Traits, effects: &Effects, random: &mut Random) -> Course {
    let level = traits.severity + random.normal();
    let (trend, swing) = match random.choose(&effects.courses) {
        0 => (0.15 * random.normal(), 0.0),
        1 => (-1.0 + 0.35 * random.normal(), 0.0),
        2 => (1.1 + 0.35 * random.normal(), 0.0),
        _ => (0.3 * random.normal(), 0.6),
    };
    Course {
        level,
        trend,
        swing,
        phase: random.uniform(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::{Population, Risk};
    use crate::settings::Settings;

    fn patients(population: Population) -> Vec<(Patient, f64)> {
        let mut random = Random::new(11, "test", 0);
        let settings = Settings::new(100, 200, 6, 11).unwrap().of(population);
        let draw = |hospital| {
            let traits = Traits::draw(settings, hospital);
            let patients: Vec<_> = (0..settings.patients())
                .map(|_| {
                    let patient = Patient::draw(&traits, settings.effects(), &mut random);
                    (patient, random.normal())
                })
                .collect();
            patients
        };
        (0..100).flat_map(draw).collect()
    }

    fn risk() -> &'static Risk {
        &Population::Reference.effects().outcomes[0]
    }

    /// Accuracy of a score that stands in for the true one: by its regression on the true score, without chance.
    fn accuracy(patients: &[(Patient, f64)], stand_in: impl Fn(&Patient) -> f64) -> f64 {
        let truth: Vec<f64> = patients
            .iter()
            .map(|(patient, _)| risk().score(patient))
            .collect();
        let seen: Vec<f64> = patients
            .iter()
            .map(|(patient, _)| stand_in(patient))
            .collect();
        let count = f64::from(u32::try_from(patients.len()).unwrap());
        let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
        let (mean_truth, mean_seen) = (mean(&truth), mean(&seen));
        let both = truth.iter().zip(&seen);
        let covariance: f64 = both
            .map(|(truth, seen)| (truth - mean_truth) * (seen - mean_seen))
            .sum();
        let variance: f64 = seen.iter().map(|seen| (seen - mean_seen).powi(2)).sum();
        let right =
            patients
                .iter()
                .zip(&truth)
                .zip(&seen)
                .filter(|(((_, chance), truth), seen)| {
                    let estimate = mean_truth + covariance / variance * (*seen - mean_seen);
                    risk().class(estimate, 0.0) == risk().class(**truth, *chance)
                });
        f64::from(u32::try_from(right.count()).unwrap()) / count
    }

    #[test]
    fn classes_are_as_common_as_the_population_says() {
        for (population, want) in [
            (Population::Reference, [0.55, 0.30, 0.15]),
            (Population::Shifted, [0.45, 0.35, 0.20]),
        ] {
            for (outcome, risk) in population.effects().outcomes.iter().enumerate() {
                let mut counts = [0.0_f64; 3];
                for (patient, chance) in &patients(population) {
                    counts[risk.class(risk.score(patient), *chance) as usize] += 1.0 / 20_000.0;
                }
                for (count, want) in counts.iter().zip(want) {
                    assert!(
                        (count - want).abs() < 0.02,
                        "{population:?}, outcome {outcome}: {counts:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn without_trend_or_phenotype_the_risk_cannot_be_told_as_well() {
        let patients = patients(Population::Reference);
        let all = accuracy(&patients, |patient| risk().score(patient));
        let last_values = accuracy(&patients, |patient| {
            let without = Course {
                trend: 0.0,
                ..patient.course
            };
            let rest = risk().score(&Patient {
                course: Course {
                    level: 0.0,
                    ..without
                },
                ..patient.clone()
            });
            rest + 0.8 * patient.course.at(1.0)
        });
        let any_marker = accuracy(&patients, |patient| {
            let mean = patient.loads.iter().sum::<f64>() / 2.0;
            risk().score(&Patient {
                loads: [mean / 2.0; 4],
                ..patient.clone()
            })
        });
        assert!((0.84..0.90).contains(&all), "{all}");
        assert!(last_values < all - 0.03, "{last_values} of {all}");
        assert!(any_marker < all - 0.05, "{any_marker} of {all}");
    }

    #[test]
    fn ups_and_downs_change_neither_level_nor_trend() {
        let course = Course {
            level: 1.0,
            trend: 0.5,
            swing: 0.6,
            phase: 0.3,
        };
        assert!((course.at(1.0) - course.at(0.0) - 0.5).abs() < 1e-9);
        let mean = (0..1_000)
            .map(|step| course.at(f64::from(step) / 1_000.0))
            .sum::<f64>()
            / 1_000.0;
        assert!((mean - 1.0).abs() < 1e-3);
    }
}
