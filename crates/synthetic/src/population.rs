//! Two populations that hospitals can be made of.

use std::ops::Range;

/// Which people the patients are, and how their hospitals measure.
///
/// Bodies work alike in both: what severity, a disease or a drug does to a measurement is the same. What differs is how
/// much each of these counts for readmission, how common it is, and how well and how often it is measured. So a model
/// of one is a start for the other, and no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Population {
    /// The one that studies are about.
    #[default]
    Reference,
    /// Another one, for public data: other outcomes are labelled, for each of which other things count; more is left to
    /// chance; younger patients, more noise, more gaps, weaker signatures of expression.
    ///
    /// A label holds four outcomes as the bits of its number, the first as the lowest: which of them the patient had.
    Shifted,
}

/// A population in numbers.
#[derive(Debug)]
pub(crate) struct Effects {
    /// What counts for each outcome that is labelled.
    pub(crate) outcomes: &'static [Risk],
    /// How common it is that a patient is stable, mends, gets worse, or goes up and down.
    pub(crate) courses: [f64; 4],
    /// How a hospital's habits are spread.
    pub(crate) habits: Habits,
    /// Factor of all measurements' noise.
    pub(crate) noise: f64,
    /// What a phenotype adds to the expression of its raised genes, and of its lowered ones.
    pub(crate) signature: [f64; 2],
}

/// Weights of the parts of one outcome's risk score.
#[derive(Debug)]
pub(crate) struct Risk {
    /// Of the mean severity.
    pub(crate) level: f64,
    /// Of the change of severity over the months.
    pub(crate) trend: f64,
    /// Of 15 years of age.
    pub(crate) age: f64,
    /// Of the load of the marker that fits the phenotype.
    pub(crate) marker: f64,
    /// Of each comorbidity, in the order of `Comorbidity::ALL`.
    pub(crate) comorbidities: [f64; 6],
    /// The mean sum of comorbidities' weights, so that the score is about 0 in the mean.
    pub(crate) mean_burden: f64,
    /// Standard deviation of what no hospital measures.
    pub(crate) chance: f64,
    /// The score above which a patient's risk is medium, and high.
    pub(crate) thresholds: [f64; 2],
}

/// How a hospital's habits are spread.
#[derive(Debug)]
pub(crate) struct Habits {
    /// Mean age of a hospital's patients, in years.
    pub(crate) age: Range<f64>,
    /// Standard deviation of a hospital's mean severity.
    pub(crate) severity: f64,
    /// Share of days with vitals.
    pub(crate) vitals: Range<f64>,
    /// Share of weeks with a panel of each kind.
    pub(crate) labs: Range<f64>,
    /// Share of weeks with markers, for a patient of mean severity.
    pub(crate) markers: Range<f64>,
    /// Share of patients with an expression array.
    pub(crate) arrays: Range<f64>,
    /// Standard deviation of a method's offset, in those of its noise.
    pub(crate) calibration: f64,
}

/// Thresholds: 55 % and 85 % of all patients are below.
const REFERENCE: Effects = Effects {
    outcomes: &[Risk {
        level: 0.45,
        trend: 0.75,
        age: 0.25,
        marker: 0.45,
        comorbidities: [0.5, 0.4, 0.4, 0.2, 0.5, 0.1],
        mean_burden: 0.43,
        chance: 0.26,
        thresholds: [0.16, 1.11],
    }],
    courses: [0.45, 0.2, 0.25, 0.1],
    habits: Habits {
        age: 56.0..72.0,
        severity: 0.25,
        vitals: 0.65..0.95,
        labs: 0.65..0.95,
        markers: 0.3..0.7,
        arrays: 0.6..0.95,
        calibration: 0.5,
    },
    noise: 1.0,
    signature: [1.2, -0.8],
};

/// Thresholds: of each outcome about 45 % and 80 % of all patients are below.
const SHIFTED: Effects = Effects {
    outcomes: &[
        Risk {
            level: 0.6,
            trend: 0.5,
            age: 0.35,
            marker: 0.35,
            comorbidities: [0.3, 0.6, 0.2, 0.3, 0.7, 0.2],
            mean_burden: 0.4,
            chance: 0.4,
            thresholds: [-0.29, 0.77],
        },
        Risk {
            level: 0.9,
            trend: 0.2,
            age: 0.15,
            marker: 0.3,
            comorbidities: [0.7, 0.2, 0.5, 0.1, 0.3, 0.3],
            mean_burden: 0.4,
            chance: 0.4,
            thresholds: [-0.14, 1.0],
        },
        Risk {
            level: 0.2,
            trend: 0.9,
            age: 0.2,
            marker: 0.3,
            comorbidities: [0.2, 0.5, 0.2, 0.5, 0.6, 0.0],
            mean_burden: 0.4,
            chance: 0.4,
            thresholds: [-0.36, 0.63],
        },
        Risk {
            level: 0.3,
            trend: 0.3,
            age: 0.3,
            marker: 0.7,
            comorbidities: [0.5, 0.2, 0.6, 0.1, 0.2, 0.3],
            mean_burden: 0.4,
            chance: 0.4,
            thresholds: [-0.27, 0.75],
        },
    ],
    courses: [0.35, 0.3, 0.2, 0.15],
    habits: Habits {
        age: 50.0..66.0,
        severity: 0.35,
        vitals: 0.5..0.85,
        labs: 0.5..0.85,
        markers: 0.2..0.55,
        arrays: 0.4..0.8,
        calibration: 0.8,
    },
    noise: 1.3,
    signature: [0.9, -0.6],
};

impl Population {
    pub(crate) fn effects(self) -> &'static Effects {
        match self {
            Self::Reference => &REFERENCE,
            Self::Shifted => &SHIFTED,
        }
    }
}
