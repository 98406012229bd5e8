//! Patients' values while events are read.

use std::collections::HashMap;
use std::ops::Range;

use protocol::door::Split;
use protocol::study::{Cohort, Encoding, Shape, Span};

use crate::bad_row::{Problem, Triage};
use crate::check::Inspection;
use crate::coverage::{Counted, Tally, Unused, Used};
use crate::error::CohortError;
use crate::meds::{EventRow, Timestamp};
use crate::patients::{Columns, Outcome, Rows};
use crate::slots::Slots;

/// Most values of all patients together: half a GiB, and as much again while they are prepared.
const MOST_VALUES: usize = 1 << 27;

/// A label of a patient.
#[derive(Clone, Copy)]
pub(crate) struct Labelled<L> {
    pub(crate) subject: i64,
    pub(crate) time: Timestamp,
    pub(crate) label: L,
    pub(crate) split: Split,
}

/// Labels that are sorted by subject: those of each subject.
pub(crate) fn of_subjects<L>(labelled: &[Labelled<L>]) -> impl Iterator<Item = &[Labelled<L>]> {
    labelled.chunk_by(|one, next| one.subject == next.subject)
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
    /// Labels of the subject of the row before: files are mostly sorted by subject.
    last: Option<(i64, Range<usize>)>,
    /// Labels and bins that the last event was used for.
    uses: Vec<(usize, usize)>,
    tally: Tally,
    inspection: Option<Inspection>,
    pub(crate) events: u64,
}

impl Values {
    pub(crate) fn new<L>(
        cohort: &Cohort,
        labelled: &[Labelled<L>],
        inspection: Option<Inspection>,
    ) -> Result<Self, CohortError> {
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
            last: None,
            uses: Vec::new(),
            tally: Tally::new(cohort, labels),
            inspection,
            events: 0,
        })
    }

    /// Uses an event, if it is of a labelled patient and of a feature, and is in the patient's history.
    pub(crate) fn add<L>(
        &mut self,
        file: &str,
        event: &EventRow<'_>,
        labelled: &[Labelled<L>],
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
        let first = (!labels.is_empty()).then_some(labels.start);
        self.tally.subject(subject, first);
        self.uses.clear();
        let fate = match self.targets.get(code).copied() {
            None => Fate::Other,
            Some(target) => match self.offer(target, event, labels.clone(), labelled) {
                Ok(used) => Fate::Used(target.feature, used),
                Err(unused) => Fate::Unused(target.feature, unused),
            },
        };
        self.count(code, fate);
        if let Some(inspection) = &mut self.inspection {
            let row = Row {
                file,
                event,
                subject,
                code,
                fate,
            };
            inspection.see(&row, &labels, &self.uses);
        }
        match (fate, event.value) {
            (Fate::Unused(_, Unused::NotFinite), Some(value)) => {
                let problem = Problem::NotFinite(value);
                Ok(triage.refuse(file, event.row, "numeric_value", problem)?)
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, code: &[u8], fate: Fate) {
        match fate {
            Fate::Other => self.tally.other(code),
            Fate::Unused(feature, why) => self.tally.unused(feature, why),
            Fate::Used(feature, used) => self.tally.used(feature, used),
        }
    }

    /// Gives an event to all labels in whose history it is, and notes where in `uses`.
    fn offer<L>(
        &mut self,
        target: Target,
        event: &EventRow<'_>,
        labels: Range<usize>,
        labelled: &[Labelled<L>],
    ) -> Result<Used, Unused> {
        if labels.is_empty() {
            return Err(Unused::NoLabel);
        }
        let given = Given::of(target.encoding, event)?;
        let mut used = None;
        let mut unused = Unused::Late;
        for label in labels {
            let age = match given {
                Given::Number(_) => self.age(event.time, labelled[label].time),
                Given::Years(since) => years_age(since, labelled[label].time),
            };
            let age = match age {
                Ok(age) => age,
                // Labels are sorted by time: an event that is after some and before the history of the others is early.
                Err(why) => {
                    unused = why;
                    continue;
                }
            };
            let value = given.value(age);
            let plausible = target.plausible(value);
            let Some(bin) = self.put(label, target.place, event.time, age, plausible) else {
                unused = Unused::NoTime;
                continue;
            };
            let used = used.get_or_insert(Used {
                value,
                at_prediction: false,
                clipped: false,
            });
            used.at_prediction |= matches!(age, Age::Micros(0));
            used.clipped |= plausible < value || value < plausible;
            self.uses.push((label, bin));
        }
        used.ok_or(unused)
    }

    /// Gives a value to the label at `label`; gives the bin, or nothing where a series is to take what has no time.
    fn put(
        &mut self,
        label: usize,
        place: Place,
        time: Option<Timestamp>,
        age: Age,
        plausible: f64,
    ) -> Option<usize> {
        let bin = match place {
            Place::Static { slot, clock } => {
                let latest = &mut self.latest[label * self.clocks + clock];
                let time = time.unwrap_or(Timestamp(i64::MIN));
                if time >= *latest {
                    *latest = time;
                    self.means[label * self.slots + slot] = single(plausible);
                    self.counts[label * self.slots + slot] = 1;
                }
                0
            }
            Place::Series {
                offset,
                stride,
                bins,
                bin,
            } => {
                let Age::Micros(age) = age else { return None };
                // The last bin is (prediction time − bin, prediction time], and so are the others; the first one has the
                // history's beginning too.
                let from_end = (age / bin).min(bins - 1);
                let from_start = usize::try_from(bins - 1 - from_end).ok()?;
                let place = label * self.slots + offset + from_start * stride;
                self.counts[place] = self.counts[place].saturating_add(1);
                let mean = f64::from(self.means[place]);
                self.means[place] =
                    single(mean + (plausible - mean) / f64::from(self.counts[place]));
                from_start
            }
        };
        Some(bin)
    }

    /// The places of a subject's labels: they are sorted by subject.
    fn find<L>(&mut self, subject: i64, labelled: &[Labelled<L>]) -> Range<usize> {
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

    /// How long before the prediction time an event was, if it is in the history.
    fn age(&self, time: Option<Timestamp>, prediction: Timestamp) -> Result<Age, Unused> {
        let Some(time) = time else {
            return Ok(Age::Timeless);
        };
        let age = prediction.0.saturating_sub(time.0);
        if age < 0 {
            Err(Unused::Late)
        } else if age > self.history {
            Err(Unused::Early)
        } else {
            Ok(Age::Micros(age))
        }
    }

    /// What was noted for a closer look.
    pub(crate) fn take_inspection(&mut self) -> Option<Inspection> {
        self.inspection.take()
    }

    /// The patients, and what was counted.
    pub(crate) fn finish<L: Outcome>(
        self,
        cohort: &Cohort,
        labelled: &[Labelled<L>],
    ) -> (Rows<L>, Counted) {
        let counted = self.tally.finish(cohort, labelled, &self.counts);
        let always = always_observed(cohort);
        let observed = self
            .counts
            .iter()
            .enumerate()
            .map(|(place, count)| u8::from(*count > 0 || always[place % always.len()]));
        let columns = Columns {
            subjects: labelled.iter().map(|patient| patient.subject).collect(),
            times: labelled.iter().map(|patient| patient.time.0).collect(),
            splits: labelled.iter().map(|patient| patient.split).collect(),
            labels: labelled.iter().map(|patient| patient.label).collect(),
            observed: observed.collect(),
            values: self.means,
        };
        (Rows::new(cohort, columns), counted)
    }
}

/// A row of events, and what became of it.
pub(crate) struct Row<'a> {
    pub(crate) file: &'a str,
    pub(crate) event: &'a EventRow<'a>,
    pub(crate) subject: i64,
    pub(crate) code: &'a [u8],
    pub(crate) fate: Fate,
}

/// What became of an event, by the place of its feature.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// No feature has its code.
    Other,
    Unused(usize, Unused),
    Used(usize, Used),
}

/// What becomes of an event with a feature's code.
#[derive(Clone, Copy)]
struct Target {
    /// The feature's place in the study.
    feature: usize,
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
#[derive(Clone, Copy)]
enum Age {
    /// From 0, which is at the prediction time.
    Micros(i64),
    /// It holds at any time.
    Timeless,
}

/// What an event gives a feature.
#[derive(Clone, Copy)]
enum Given {
    Number(f64),
    /// The years since this time.
    Years(Timestamp),
}

impl Given {
    fn of(encoding: Encoding, event: &EventRow<'_>) -> Result<Self, Unused> {
        match (encoding, event.value) {
            (Encoding::YearsSince, _) => event.time.map(Self::Years).ok_or(Unused::NoTime),
            (Encoding::Presence, _) => Ok(Self::Number(1.0)),
            // A code without a number says nothing about a value.
            (Encoding::Value, None) => Err(Unused::NoNumber),
            (Encoding::Value, Some(value)) if value.is_finite() => Ok(Self::Number(value)),
            (Encoding::Value, Some(_)) => Err(Unused::NotFinite),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a microsecond in a hundred years is nothing"
    )]
    fn value(self, age: Age) -> f64 {
        match (self, age) {
            (Self::Number(value), _) => value,
            (Self::Years(_), Age::Micros(micros)) => micros as f64 / YEAR,
            (Self::Years(_), Age::Timeless) => 0.0,
        }
    }
}

/// Microseconds of a year of 365.25 days.
const YEAR: f64 = 365.25 * 86_400.0 * 1e6;

/// How long before the prediction time something began, however long ago it was.
fn years_age(since: Timestamp, prediction: Timestamp) -> Result<Age, Unused> {
    match prediction.0.saturating_sub(since.0) {
        age if age < 0 => Err(Unused::Late),
        age => Ok(Age::Micros(age)),
    }
}

impl Target {
    /// The nearest value that the study takes for one.
    fn plausible(&self, value: f64) -> f64 {
        match self.encoding {
            Encoding::Presence => value,
            Encoding::Value | Encoding::YearsSince => value.clamp(self.low, self.high),
        }
    }
}

/// What becomes of events by their code, and the number of static features.
fn targets(cohort: &Cohort, slots: &Slots) -> (HashMap<Vec<u8>, Target>, usize) {
    let mut targets: HashMap<Vec<u8>, Target> = HashMap::new();
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
                feature: targets.len(),
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
