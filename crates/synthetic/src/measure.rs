//! What is measured of a patient, and what is not.

use cohort::meds::{Events, Timestamp};

use crate::hospital::Traits;
use crate::patient::{Comorbidity, Patient, Phenotype};
use crate::population::Effects;
use crate::random::Random;
use crate::spec::{AGE, GENES, HISTORY, LABS, MARKERS, VITALS, gene};

/// Share of single results that are lost: a clotted tube, a slipped probe.
const LOST: f64 = 0.02;

/// Genes whose expression a phenotype raises, and as many whose expression it lowers.
const SIGNATURE: usize = 8;

/// One patient's part of the events.
pub(crate) struct Chart<'a> {
    pub(crate) effects: &'a Effects,
    pub(crate) subject: i64,
    /// The prediction time; the history ends before it.
    pub(crate) discharge: Timestamp,
    pub(crate) days: u32,
    pub(crate) events: &'a mut Events,
}

/// A quantity of a patient: their own baseline, and how exactly it is written down.
struct Quantity {
    code: &'static str,
    range: [f64; 2],
    baseline: f64,
    /// Standard deviation from one measurement to the next.
    noise: f64,
    /// How much a unit of severity changes it.
    slope: f64,
    scale: Scale,
    /// 1 over the last digit.
    digits: f64,
}

/// How a quantity's parts add up.
#[derive(Clone, Copy)]
enum Scale {
    Linear,
    /// Parts add up in the logarithm.
    Log,
}

impl Chart<'_> {
    /// Writes a patient's events.
    pub(crate) fn measure(&mut self, patient: &Patient, traits: &Traits, random: &mut Random) {
        let drugs = self.history(patient, random);
        let vitals = vitals(patient, &drugs, random);
        let labs = labs(patient, traits, random);
        let markers = markers(patient, traits, random);
        let mut wobble = 0.0;
        let mut away = 0;
        for day in 0..self.days {
            // Day-to-day swings of severity last about ten days.
            wobble = 0.9 * wobble + 0.11 * random.normal();
            let severity = patient.course.at(f64::from(day) / f64::from(self.days - 1)) + wobble;
            // Vitals come with gaps of several days, as when a patient travels.
            if away == 0 && random.chance(0.01) {
                away = 3 + random.choose(&[1.0; 8]);
            }
            if away > 0 {
                away -= 1;
            } else if random.chance(traits.vitals) {
                self.panel(day, severity, &vitals, random);
            }
            if day % 7 == 3 {
                let (count, metabolic) = labs.split_at(4);
                for panel in [count, metabolic] {
                    if random.chance(traits.labs) {
                        self.panel(day, severity, panel, random);
                    }
                }
                // Markers are ordered for the sicker.
                if random.chance((traits.markers + 0.1 * severity).clamp(0.1, 0.95)) {
                    self.panel(day, severity, &markers, random);
                }
            }
        }
        if random.chance(traits.arrays) {
            self.expression(patient, traits, random);
        }
    }

    /// Measures some quantities at one moment of a day.
    fn panel(&mut self, day: u32, severity: f64, quantities: &[Quantity], random: &mut Random) {
        let time = self.time(day, random);
        for quantity in quantities {
            let noise = self.effects.noise * quantity.noise * random.normal();
            if !random.chance(LOST) {
                let value = quantity.value(severity, noise);
                self.events
                    .push(self.subject, Some(time), quantity.code, Some(value));
            }
        }
    }

    /// Writes age, sex, comorbidities and drugs; answers which drugs, in the order of [`HISTORY`].
    fn history(&mut self, patient: &Patient, random: &mut Random) -> [bool; 6] {
        self.events
            .push(self.subject, None, AGE.0, Some(single(patient.age.floor())));
        let day = self.time(0, random);
        let has = |comorbidity| if patient.has(comorbidity) { 1.0 } else { 0.0 };
        let drugs = [
            0.15 + 0.4 * has(Comorbidity::HeartFailure) + 0.2 * has(Comorbidity::Hypertension),
            0.1 + 0.3 * has(Comorbidity::HeartFailure) + 0.4 * has(Comorbidity::Hypertension),
            0.1 + 0.5 * has(Comorbidity::HeartFailure) + 0.1 * has(Comorbidity::KidneyDisease),
            0.05 + 0.3 * has(Comorbidity::LungDisease) + 0.15 * has(Comorbidity::Cancer),
            0.02 + 0.4 * has(Comorbidity::Diabetes),
            0.2 + if patient.phenotype == Phenotype::Thrombotic {
                0.5
            } else {
                0.0
            },
        ]
        .map(|share| random.chance(share));
        let diseases = Comorbidity::ALL.map(|comorbidity| patient.has(comorbidity));
        let present = std::iter::once(patient.male).chain(diseases).chain(drugs);
        for ((code, _, _), present) in HISTORY.iter().zip(present) {
            if present {
                // Sex has no date; diagnoses and prescriptions do.
                let time = (*code != HISTORY[0].0).then_some(day);
                self.events.push(self.subject, time, code, None);
            }
        }
        drugs
    }

    /// Expression of 64 genes, once: a phenotype raises eight and lowers eight others.
    fn expression(&mut self, patient: &Patient, traits: &Traits, random: &mut Random) {
        let time = self.time(1, random);
        let batch = 0.3 * traits.calibration[15];
        let raised = patient.phenotype.index() * SIGNATURE;
        let lowered = GENES / 2 + raised;
        let [up, down] = self.effects.signature;
        for place in 0..GENES {
            let signature = if (raised..raised + SIGNATURE).contains(&place) {
                up
            } else if (lowered..lowered + SIGNATURE).contains(&place) {
                down
            } else {
                0.0
            };
            let value = signature + batch + random.normal();
            let rounded = (value * 1_000.0).round() / 1_000.0;
            self.events.push(
                self.subject,
                Some(time),
                &gene(place),
                Some(single(rounded)),
            );
        }
    }

    /// A minute of a day of the history, which ends a day before the discharge's hour.
    fn time(&self, day: u32, random: &mut Random) -> Timestamp {
        #[expect(clippy::cast_possible_truncation, reason = "a minute of a day")]
        let minute = (1.0 + 1_438.0 * random.uniform()) as i64;
        let start = self.discharge.plus(-i64::from(self.days) * Timestamp::DAY);
        start.plus(i64::from(day) * Timestamp::DAY + minute * 60 * Timestamp::SECOND)
    }
}

impl Quantity {
    fn value(&self, severity: f64, noise: f64) -> f32 {
        let sum = self.baseline + self.slope * severity + noise;
        let value = match self.scale {
            Scale::Linear => sum,
            Scale::Log => sum.exp(),
        };
        let [low, high] = self.range;
        single(((value * self.digits).round() / self.digits).clamp(low, high))
    }
}

fn vitals(patient: &Patient, drugs: &[bool; 6], random: &mut Random) -> [Quantity; 5] {
    let has = |comorbidity| if patient.has(comorbidity) { 1.0 } else { 0.0 };
    let beta_blocker = if drugs[0] { 1.0 } else { 0.0 };
    let older = patient.age - 65.0;
    let fever = patient.loads[Phenotype::Inflammatory.index()];
    // Mean, between-patient sd, noise, slope of severity, digits.
    let rows = [
        (74.0 - 6.0 * beta_blocker, 7.0, 5.0, 6.0, 1.0),
        (
            128.0 + 0.35 * older + 8.0 * has(Comorbidity::Hypertension),
            9.0,
            8.0,
            -5.0,
            1.0,
        ),
        (76.0, 6.0, 6.0, -3.0, 1.0),
        (
            96.3 - 1.5 * has(Comorbidity::LungDisease),
            0.6,
            1.0,
            -1.0,
            1.0,
        ),
        (36.8 + 0.08 * fever, 0.15, 0.25, 0.12, 10.0),
    ];
    let mut rows = VITALS.iter().zip(rows);
    std::array::from_fn(|_| {
        let (spec, (mean, between, noise, slope, digits)) =
            rows.next().expect("one row a vital sign");
        Quantity {
            code: spec.0,
            range: [spec.3[0], spec.3[1]],
            baseline: mean + between * random.normal(),
            noise,
            slope,
            scale: Scale::Linear,
            digits,
        }
    })
}

fn labs(patient: &Patient, traits: &Traits, random: &mut Random) -> [Quantity; 12] {
    let has = |comorbidity| if patient.has(comorbidity) { 1.0 } else { 0.0 };
    let male = if patient.male { 1.0 } else { 0.0 };
    let kidney = has(Comorbidity::KidneyDisease);
    let inflamed = patient.loads[Phenotype::Inflammatory.index()];
    let renal = patient.loads[Phenotype::Renal.index()];
    let haemoglobin = 13.0 + 1.2 * male - 0.8 * kidney + 0.9 * random.normal();
    use Scale::{Linear, Log};
    // Mean, between-patient sd, noise, slope of severity, digits, scale.
    let rows = [
        (7.2_f64.ln() + 0.08 * inflamed, 0.15, 0.10, 0.08, 10.0, Log),
        (haemoglobin, 0.0, 0.4, -0.4, 10.0, Linear),
        (3.0 * haemoglobin, 0.5, 1.2, -1.2, 10.0, Linear),
        (250.0, 55.0, 20.0, 8.0, 1.0, Linear),
        (139.5, 1.5, 1.4, -0.8, 1.0, Linear),
        (4.2 + 0.1 * renal, 0.25, 0.25, 0.06, 10.0, Linear),
        (102.0, 1.8, 1.6, -0.4, 1.0, Linear),
        (25.0 - 0.5 * renal, 1.2, 1.2, -0.5, 1.0, Linear),
        (
            16.0_f64.ln() + 0.25 * renal + 0.3 * kidney,
            0.15,
            0.12,
            0.12,
            1.0,
            Log,
        ),
        (
            0.95_f64.ln() + 0.25 * renal + 0.35 * kidney + 0.1 * male,
            0.12,
            0.08,
            0.05,
            100.0,
            Log,
        ),
        (
            105.0_f64.ln() + 0.25 * has(Comorbidity::Diabetes),
            0.1,
            0.15,
            0.04,
            1.0,
            Log,
        ),
        (9.3, 0.3, 0.25, -0.08, 10.0, Linear),
    ];
    let mut rows = LABS.iter().zip(rows).zip(&traits.calibration);
    std::array::from_fn(|_| {
        let ((spec, (mean, between, noise, slope, digits, scale)), offset) = rows
            .next()
            .expect("one row an analyte, and more calibrations than analytes");
        Quantity {
            code: spec.0,
            range: [spec.3[0], spec.3[1]],
            baseline: mean + between * random.normal() + noise * offset,
            noise,
            slope,
            scale,
            digits,
        }
    })
}

fn markers(patient: &Patient, traits: &Traits, random: &mut Random) -> [Quantity; 3] {
    let has = |comorbidity| if patient.has(comorbidity) { 1.0 } else { 0.0 };
    let load = |phenotype: Phenotype| patient.loads[phenotype.index()];
    // Mean of the logarithm, load, noise, slope of severity, digits.
    let rows = [
        (5.0_f64.ln(), load(Phenotype::Inflammatory), 0.5, 0.3, 10.0),
        (
            0.6_f64.ln() + 0.2 * has(Comorbidity::Cancer),
            load(Phenotype::Thrombotic),
            0.45,
            0.2,
            100.0,
        ),
        (
            8.0_f64.ln() + 0.3 * has(Comorbidity::HeartFailure),
            load(Phenotype::Cardiac),
            0.5,
            0.25,
            10.0,
        ),
    ];
    let mut rows = MARKERS
        .iter()
        .zip(rows)
        .zip(traits.calibration[12..].iter());
    std::array::from_fn(|_| {
        let ((spec, (mean, load, noise, slope, digits)), offset) =
            rows.next().expect("one row and one calibration a marker");
        Quantity {
            code: spec.0,
            range: [spec.3[0], spec.3[1]],
            baseline: mean + 0.8 * load + 0.15 * random.normal() + 0.3 * noise * offset,
            noise,
            slope,
            scale: Scale::Log,
            digits,
        }
    })
}

#[expect(clippy::cast_possible_truncation, reason = "MEDS holds values as f32")]
fn single(value: f64) -> f32 {
    value as f32
}
