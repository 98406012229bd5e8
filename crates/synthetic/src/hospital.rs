//! Hospitals, made one at a time.

use std::fmt::Write as _;

use cohort::meds::{Events, Labels, Splits, Timestamp};
use protocol::door::Split;

use crate::measure;
use crate::patient::Patient;
use crate::population::Effects;
use crate::random::Random;
use crate::settings::Settings;

/// 2024-01-01: all histories end within the year that follows.
const FIRST_DISCHARGE: Timestamp = Timestamp(1_704_067_200 * Timestamp::SECOND);

/// One of this many patients is held out.
const HELD_OUT_OF: i64 = 5;

/// A made-up hospital: MEDS Parquet files.
#[derive(Clone, Debug, PartialEq)]
pub struct Hospital {
    /// Its name: `hospital-01` and so on.
    pub name: String,
    /// Events: `subject_id, time, code, numeric_value`.
    pub events: Vec<u8>,
    /// Labels: `subject_id, prediction_time, integer_value`, the index of a class of [`crate::spec()`].
    pub labels: Vec<u8>,
    /// Splits: 80 % `train`, 20 % `held_out`.
    pub splits: Vec<u8>,
    /// What is wrong with each patient in the main, which no measurement says outright: CSV of `subject_id,phenotype`, to
    /// judge clusters by. No site of a study would have it, and the module never reads it.
    pub phenotypes: Vec<u8>,
    /// Patients of each class.
    pub classes: Vec<u32>,
    /// How often the best classifier is right that sees the hidden state, over this hospital's patients.
    pub best_accuracy: f64,
}

/// Hospitals that are made as they are asked for, so that memory holds one at a time.
#[derive(Clone, Debug)]
pub struct Hospitals {
    settings: Settings,
    next: u32,
}

/// Makes hospitals: the same settings make the same bytes on one kind of machine.
#[must_use]
pub fn synthesise(settings: Settings) -> Hospitals {
    Hospitals { settings, next: 0 }
}

/// How often the best classifier is right that sees the hidden state of all patients.
///
/// The expectation over the risk's chance, exact for the patients that these settings make. No model of the
/// measurements can expect more.
#[must_use]
pub fn best_accuracy(settings: Settings) -> f64 {
    let hospitals = settings.hospitals();
    let sum: f64 = (0..hospitals)
        .map(|hospital| Cohort::draw(settings, hospital).best_accuracy())
        .sum();
    sum / f64::from(hospitals)
}

impl Iterator for Hospitals {
    type Item = Hospital;

    fn next(&mut self) -> Option<Hospital> {
        if self.next == self.settings.hospitals() {
            return None;
        }
        self.next += 1;
        Some(Cohort::draw(self.settings, self.next - 1).write(self.settings))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.settings.hospitals() - self.next).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Hospitals {}

/// How a hospital differs from others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Traits {
    /// Mean age of its patients, in years.
    pub(crate) age: f64,
    /// Weights of the phenotypes among its patients.
    pub(crate) case_mix: [f64; 4],
    /// Mean severity of its patients.
    pub(crate) severity: f64,
    /// Share of days with vitals.
    pub(crate) vitals: f64,
    /// Share of weeks with a blood count, and with a metabolic panel.
    pub(crate) labs: f64,
    /// Share of weeks with markers, for a patient of mean severity.
    pub(crate) markers: f64,
    /// Share of patients with an expression array.
    pub(crate) arrays: f64,
    /// Offset of each laboratory method, in standard deviations of its noise; of the arrays' batch in the last.
    pub(crate) calibration: [f64; 16],
}

impl Traits {
    pub(crate) fn draw(settings: Settings, hospital: u32) -> Self {
        let mut random = Random::new(settings.seed(), "hospital", hospital);
        let habits = &settings.effects().habits;
        Self {
            age: random.within(&habits.age),
            case_mix: std::array::from_fn(|_| random.within(&(0.4..1.6))),
            severity: habits.severity * random.normal(),
            vitals: random.within(&habits.vitals),
            labs: random.within(&habits.labs),
            markers: random.within(&habits.markers),
            arrays: random.within(&habits.arrays),
            calibration: std::array::from_fn(|_| habits.calibration * random.normal()),
        }
    }
}

/// A hospital's patients, before anything is measured.
struct Cohort {
    hospital: u32,
    effects: &'static Effects,
    traits: Traits,
    /// Patients with their classes.
    patients: Vec<(Patient, u32)>,
}

impl Cohort {
    fn draw(settings: Settings, hospital: u32) -> Self {
        let traits = Traits::draw(settings, hospital);
        let effects = settings.effects();
        let mut random = Random::new(settings.seed(), "patients", hospital);
        let patients = (0..settings.patients()).map(|_| {
            let patient = Patient::draw(&traits, effects, &mut random);
            let class = effects.label(&patient, &mut random);
            (patient, class)
        });
        Self {
            hospital,
            effects,
            patients: patients.collect(),
            traits,
        }
    }

    fn best_accuracy(&self) -> f64 {
        let sum: f64 = self
            .patients
            .iter()
            .map(|(patient, _)| self.effects.best(patient))
            .sum();
        sum / f64::from(u32::try_from(self.patients.len()).unwrap_or(u32::MAX))
    }

    fn write(&self, settings: Settings) -> Hospital {
        let mut random = Random::new(settings.seed(), "measurements", self.hospital);
        let (mut events, mut labels, mut splits) =
            (Events::default(), Labels::default(), Splits::default());
        let mut classes = vec![0; self.effects.classes()];
        let mut phenotypes = "subject_id,phenotype\n".to_owned();
        for (subject, (patient, class)) in (1..).zip(&self.patients) {
            let minute = 60.0 * 24.0 * 365.0 * random.uniform();
            #[expect(clippy::cast_possible_truncation, reason = "a minute of a year")]
            let discharge = FIRST_DISCHARGE.plus(minute as i64 * 60 * Timestamp::SECOND);
            let mut chart = measure::Chart {
                effects: self.effects,
                subject,
                discharge,
                days: settings.days(),
                events: &mut events,
            };
            chart.measure(patient, &self.traits, &mut random);
            labels.push(subject, discharge, *class);
            // Patients stand in no order, so every fifth is as good as any.
            splits.push(
                subject,
                if subject % HELD_OUT_OF == 0 {
                    Split::HeldOut
                } else {
                    Split::Train
                },
            );
            writeln!(phenotypes, "{subject},{}", patient.phenotype.name())
                .expect("writing into a string cannot fail");
            classes[*class as usize] += 1;
        }
        Hospital {
            name: format!("hospital-{:02}", self.hospital + 1),
            events: events.into_parquet(),
            labels: labels.into_parquet(),
            splits: splits.into_parquet(),
            phenotypes: phenotypes.into_bytes(),
            classes,
            best_accuracy: self.best_accuracy(),
        }
    }
}
