//! Patients' values while events are read.

use std::collections::HashMap;
use std::ops::Range;

use protocol::door::Split;
use protocol::study::{Cohort, Encoding, Shape, Span};

use crate::bad_row::{Problem, Triage};
use crate::error::CohortError;
use crate::meds::{EventRow, Timestamp};
use crate::patients::{Columns, Patients};
use crate::slots::Slots;

/// Most values of all patients together: half a GiB, and as much again while they are prepared.
const MOST_VALUES: usize = 1 << 27;

/// A label of a patient.
#[derive(Clone, Copy)]
pub(crate) struct Labelled {
    pub(crate) subject: i64,
    pub(crate) time: Timestamp,
    pub(crate) label: u8,
    pub(crate) split: Split,
}

/// The patients' values while events are read.
pub(crate) struct Values {
    targets: HashMap<Vec<u8>, Target>,
    /// Microseconds before the prediction time that are looked at.
    history: i64,
    slots: usize,
    /// `[labels, slots]`: mean so far, or last value.
    means: Vec<f32>,
    /// `[labels, slots]`: events so far.
    counts: Vec<u32>,
    clocks: usize,
    /// `[labels, static features]`: the time of the last value.
    latest: Vec<Timestamp>,
    pub(crate) touched: Vec<bool>,
    /// Labels of the subject of the row before: files are mostly sorted by subject.
    last: Option<(i64, Range<usize>)>,
    pub(crate) events: u64,
    pub(crate) used: u64,
    pub(crate) clipped: u64,
}

impl Values {
    pub(crate) fn new(cohort: &Cohort, labelled: &[Labelled]) -> Result<Self, CohortError> {
        let slots = Slots::of(cohort);
        let labels = labelled.len();
        let len = labels
            .checked_mul(slots.len())
            .filter(|len| *len <= MOST_VALUES);
        let len = len.ok_or(CohortError::TooLarge {
            patients: labels,
            slots: slots.len(),
            most: MOST_VALUES,
        })?;
        let (targets, clocks) = targets(cohort, &slots);
        Ok(Self {
            targets,
            history: micros(cohort.history),
            slots: slots.len(),
            means: vec![0.0; len],
            counts: vec![0; len],
            clocks,
            latest: vec![Timestamp(i64::MIN); labels * clocks],
            touched: vec![false; labels],
            last: None,
            events: 0,
            used: 0,
            clipped: 0,
        })
    }

    /// Uses an event, if it is of a labelled patient and of a feature, and stands in the patient's history.
    pub(crate) fn add(
        &mut self,
        file: &str,
        event: &EventRow<'_>,
        labelled: &[Labelled],
        triage: &mut Triage,
    ) -> Result<(), CohortError> {
        self.events += 1;
        let Some(subject) = event.subject else {
            return Ok(triage.refuse(file, event.row, "subject_id", Problem::Missing)?);
        };
        let Some(code) = event.code else {
            return Ok(triage.refuse(file, event.row, "code", Problem::Missing)?);
        };
        let labels = self.find(subject, labelled);
        if labels.is_empty() {
            return Ok(());
        }
        let Some(target) = self.targets.get(code) else {
            return Ok(());
        };
        let value = match (target.encoding, event.value) {
            (Encoding::Presence, _) => 1.0,
            // A code without a number says nothing about a value.
            (Encoding::Value, None) => return Ok(()),
            (Encoding::Value, Some(value)) if value.is_finite() => value,
            (Encoding::Value, Some(value)) => {
                let problem = Problem::NotFinite(value);
                return Ok(triage.refuse(file, event.row, "numeric_value", problem)?);
            }
        };
        let plausible = match target.encoding {
            Encoding::Presence => value,
            Encoding::Value => value.clamp(target.low, target.high),
        };
        let place = target.place;
        let mut used = false;
        for label in labels {
            used |= self.put(label, place, event.time, labelled[label].time, plausible);
        }
        self.clipped += u64::from(used && (plausible < value || value < plausible));
        self.used += u64::from(used);
        Ok(())
    }

    /// Gives a value to the label at `label`, if the event stands in the label's history; says whether it does.
    fn put(
        &mut self,
        label: usize,
        place: Place,
        time: Option<Timestamp>,
        prediction: Timestamp,
        plausible: f64,
    ) -> bool {
        let Some(age) = self.age(time, prediction) else {
            return false;
        };
        match place {
            Place::Static { slot, clock } => {
                let latest = &mut self.latest[label * self.clocks + clock];
                let time = time.unwrap_or(Timestamp(i64::MIN));
                if time >= *latest {
                    *latest = time;
                    self.means[label * self.slots + slot] = single(plausible);
                    self.counts[label * self.slots + slot] = 1;
                }
            }
            Place::Series {
                offset,
                stride,
                bins,
                bin,
            } => {
                let Age::Micros(age) = age else { return false };
                // The last bin is (prediction time − bin, prediction time], and so are the others; the first one has the
                // history's beginning too.
                let from_end = (age / bin).min(bins - 1);
                let Ok(from_start) = usize::try_from(bins - 1 - from_end) else {
                    return false;
                };
                let place = label * self.slots + offset + from_start * stride;
                self.counts[place] = self.counts[place].saturating_add(1);
                let mean = f64::from(self.means[place]);
                self.means[place] =
                    single(mean + (plausible - mean) / f64::from(self.counts[place]));
            }
        }
        self.touched[label] = true;
        true
    }

    /// The places of a subject's labels: they are sorted by subject.
    fn find(&mut self, subject: i64, labelled: &[Labelled]) -> Range<usize> {
        match &self.last {
            Some((last, places)) if *last == subject => places.clone(),
            _ => {
                let start = labelled.partition_point(|label| label.subject < subject);
                let own = labelled[start..].partition_point(|label| label.subject == subject);
                let places = start..start + own;
                self.last = Some((subject, places.clone()));
                places
            }
        }
    }

    /// How long before the prediction time an event was; nothing where it is not in the history.
    fn age(&self, time: Option<Timestamp>, prediction: Timestamp) -> Option<Age> {
        let Some(time) = time else {
            return Some(Age::Timeless);
        };
        let age = prediction.0.saturating_sub(time.0);
        (0 <= age && age <= self.history).then_some(Age::Micros(age))
    }

    pub(crate) fn finish(self, cohort: &Cohort, labelled: &[Labelled]) -> Patients {
        let always = always_observed(cohort);
        let observed = self
            .counts
            .iter()
            .enumerate()
            .map(|(place, count)| u8::from(*count > 0 || always[place % always.len()]));
        let columns = Columns {
            subjects: labelled.iter().map(|patient| patient.subject).collect(),
            splits: labelled.iter().map(|patient| patient.split).collect(),
            labels: labelled
                .iter()
                .map(|patient| u32::from(patient.label))
                .collect(),
            observed: observed.collect(),
            values: self.means,
        };
        Patients::new(cohort, columns)
    }
}

/// What becomes of an event with a feature's code.
struct Target {
    encoding: Encoding,
    low: f64,
    high: f64,
    place: Place,
}

/// Where a feature's values stand.
#[derive(Clone, Copy)]
enum Place {
    /// The last value, at `slot`; its time is kept at `clock`.
    Static { slot: usize, clock: usize },
    /// Bin `b` of `bins` is at `offset + b·stride`.
    Series {
        offset: usize,
        stride: usize,
        bins: i64,
        bin: i64,
    },
}

/// How long before the prediction time an event was.
enum Age {
    /// From 0, which is at the prediction time.
    Micros(i64),
    /// It holds at any time.
    Timeless,
}

/// What becomes of events by their code, and the number of static features.
fn targets(cohort: &Cohort, slots: &Slots) -> (HashMap<Vec<u8>, Target>, usize) {
    let mut targets = HashMap::new();
    let mut clocks = 0;
    for (modality, block) in cohort.modalities.iter().zip(slots.blocks()) {
        for (index, feature) in modality.features.iter().enumerate() {
            let slot = block.offset + index;
            let place = match modality.shape {
                Shape::Static => {
                    clocks += 1;
                    Place::Static {
                        slot,
                        clock: clocks - 1,
                    }
                }
                Shape::Series { bin, .. } => Place::Series {
                    offset: slot,
                    stride: block.features,
                    bins: i64::try_from(block.bins).unwrap_or(i64::MAX),
                    bin: micros(bin).max(1),
                },
            };
            let (encoding, low, high) =
                (feature.encoding, feature.low, feature.high.max(feature.low));
            let target = Target {
                encoding,
                low,
                high,
                place,
            };
            targets.insert(feature.code.clone().into_bytes(), target);
        }
    }
    (targets, clocks)
}

/// A length of time in microseconds.
fn micros(span: Span) -> i64 {
    i64::from(span.in_hours()) * Timestamp::HOUR
}

/// For each slot, whether it is never missing.
fn always_observed(cohort: &Cohort) -> Vec<bool> {
    let slots = Slots::of(cohort);
    let mut always = vec![false; slots.len()];
    for (feature, places) in cohort.features().zip(slots.of_features()) {
        for place in places {
            always[place] = feature.encoding == Encoding::Presence;
        }
    }
    always
}

/// The nearest finite `f32`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding is what is wanted"
)]
fn single(value: f64) -> f32 {
    (value as f32).clamp(f32::MIN, f32::MAX)
}
