//! From a hospital's files to its patients' values.
//!
//! ```text
//! labels ──▶ one patient a row ◀── splits, or a hash
//! events ──▶ feature ──▶ in the history, before the prediction time? ──▶ clip ──▶ bin's mean, or last value
//! ```
//!
//! Files are read in the order of their names, so the order in which a host lists them changes nothing.

use std::collections::HashMap;

use protocol::door::{BadRows, File, Report, Role, Split};
use protocol::id::Digest;
use protocol::study::{Cohort, Encoding, Shape};

use crate::bad_row::{Problem, Quoted, Triage};
use crate::error::CohortError;
use crate::first_rows::FirstRows;
use crate::meds::{self, EventRow, LabelValue, Timestamp};
use crate::patients::{Columns, Patients};
use crate::slots::Slots;
use crate::split;

/// Most labelled patients of a site: the most that a study can allow.
const MOST_PATIENTS: usize = 10_000_000;

/// Most values of all patients together: half a GiB, and as much again while they are prepared.
const MOST_VALUES: usize = 1 << 27;

/// Parses a hospital's files into the values of its labelled patients, in the order of their subject numbers.
///
/// Only events before the patient's prediction time, and not older than the study's history, are used; what has no
/// time is used for static features. Values outside of their plausible range are set to its end and counted. A
/// feature takes the mean of a bin's values, or, where it is static, the last value.
///
/// With [`BadRows::Drop`], a row that cannot be used is left out, counted and (the first few) named in the report.
///
/// # Errors
///
/// A file that is no Parquet file or lacks a column; with [`BadRows::Stop`], the first row that cannot be used, named
/// by file, row and column; no labels; more patients than memory holds.
pub fn prepare(
    cohort: &Cohort,
    study: &Digest,
    files: &[File],
    bad_rows: BadRows,
) -> Result<(Patients, Report), CohortError> {
    let mut triage = Triage::new(bad_rows);
    let splits = read_splits(&of_role(files, Role::Splits), &mut triage)?;
    let labelled = read_labels(cohort, study, files, splits.as_ref(), &mut triage)?;
    let mut values = Values::new(cohort, &labelled)?;
    let events = of_role(files, Role::Events);
    if events.is_empty() {
        return Err(CohortError::NoFile("events"));
    }
    for file in events {
        meds::read_events(file, |event| {
            values.add(&file.name, event, &labelled, &mut triage)
        })?;
    }
    let mut report = Report {
        classes: vec![0; cohort.classes.len()],
        events: values.events,
        used: values.used,
        dropped: triage.dropped,
        reasons: triage.reasons,
        clipped: values.clipped,
        empty: count(values.touched.iter().filter(|touched| !**touched).count()),
        ..Report::default()
    };
    for patient in &labelled {
        match patient.split {
            Split::Train => report.train += 1,
            Split::Tuning => report.tuning += 1,
            Split::HeldOut => report.held_out += 1,
        }
        if let Some(class) = report.classes.get_mut(usize::from(patient.label)) {
            *class += 1;
        }
    }
    Ok((values.finish(cohort, &labelled), report))
}

/// A patient with a label.
struct Labelled {
    subject: i64,
    time: Timestamp,
    label: u8,
    split: Split,
}

/// Files of one kind, in the order of their names.
fn of_role(files: &[File], role: Role) -> Vec<&File> {
    let mut files: Vec<&File> = files.iter().filter(|file| file.role == role).collect();
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files
}

/// The split of each subject, where the site gives files of splits.
fn read_splits(
    files: &[&File],
    triage: &mut Triage,
) -> Result<Option<HashMap<i64, Split>>, CohortError> {
    let mut splits = HashMap::new();
    let mut first = FirstRows::default();
    for file in files {
        let name = &file.name;
        meds::read_splits(file, |row| {
            let Some(subject) = row.subject else {
                return Ok(triage.refuse(name, row.row, "subject_id", Problem::Missing)?);
            };
            let Some(text) = row.split else {
                return Ok(triage.refuse(name, row.row, "split", Problem::Missing)?);
            };
            let Some(split) = split::by_name(text) else {
                let problem = Problem::UnknownSplit(Quoted::new(text));
                return Ok(triage.refuse(name, row.row, "split", problem)?);
            };
            if let Err(second) = first.note(subject, name, row.row) {
                return Ok(triage.refuse(name, row.row, "subject_id", second)?);
            }
            splits.insert(subject, split);
            within_memory(splits.len())
        })?;
    }
    Ok((!files.is_empty()).then_some(splits))
}

/// The labelled patients in the order of their subject numbers, each once.
fn read_labels(
    cohort: &Cohort,
    study: &Digest,
    files: &[File],
    splits: Option<&HashMap<i64, Split>>,
    triage: &mut Triage,
) -> Result<Vec<Labelled>, CohortError> {
    let files = of_role(files, Role::Labels);
    if files.is_empty() {
        return Err(CohortError::NoFile("labels"));
    }
    let mut labelled: Vec<Labelled> = Vec::new();
    let mut first = FirstRows::default();
    for file in files {
        let name = &file.name;
        meds::read_labels(file, |row| {
            let mut refuse = |column, problem| Ok(triage.refuse(name, row.row, column, problem)?);
            let Some(subject) = row.subject else {
                return refuse("subject_id", Problem::Missing);
            };
            let Some(time) = row.time else {
                return refuse("prediction_time", Problem::Missing);
            };
            let label = match class_of(&row.value, &cohort.classes) {
                Ok(label) => label,
                Err(problem) => return refuse(row.column, problem),
            };
            let split = match splits {
                None => split::by_hash(study, subject, cohort.split),
                Some(splits) => match splits.get(&subject) {
                    Some(split) => *split,
                    None => return refuse("subject_id", Problem::NoSplit),
                },
            };
            if let Err(second) = first.note(subject, name, row.row) {
                return refuse("subject_id", second);
            }
            labelled.push(Labelled {
                subject,
                time,
                label,
                split,
            });
            within_memory(labelled.len())
        })?;
    }
    if labelled.is_empty() {
        return Err(CohortError::NoPatients);
    }
    labelled.sort_by_key(|patient| patient.subject);
    Ok(labelled)
}

fn within_memory(patients: usize) -> Result<(), CohortError> {
    if patients <= MOST_PATIENTS {
        Ok(())
    } else {
        Err(CohortError::TooLarge {
            patients,
            slots: 1,
            most: MOST_PATIENTS,
        })
    }
}

/// The index of a label's class: a label is an index or a name.
fn class_of(value: &LabelValue<'_>, classes: &[String]) -> Result<u8, Problem> {
    let at = |index: i64| {
        u8::try_from(index)
            .ok()
            .filter(|index| usize::from(*index) < classes.len())
    };
    let unknown = |text: &dyn std::fmt::Display| {
        Problem::UnknownClass(Quoted::new(text.to_string().as_bytes()))
    };
    match value {
        LabelValue::None => Err(Problem::Missing),
        LabelValue::Many => Err(Problem::ManyLabels),
        LabelValue::Boolean(value) => at(i64::from(*value)).ok_or_else(|| unknown(value)),
        LabelValue::Integer(value) => at(*value).ok_or_else(|| unknown(value)),
        LabelValue::Float(value) => (0..=i64::from(u8::MAX))
            .find(|index| same(*index, *value))
            .and_then(at)
            .ok_or_else(|| unknown(value)),
        LabelValue::Category(text) => {
            let named = classes.iter().position(|class| class.as_bytes() == *text);
            let index = match named {
                Some(index) => i64::try_from(index).ok(),
                None => std::str::from_utf8(text)
                    .ok()
                    .and_then(|text| text.parse().ok()),
            };
            index
                .and_then(at)
                .ok_or_else(|| Problem::UnknownClass(Quoted::new(text)))
        }
    }
}

#[expect(
    clippy::float_cmp,
    clippy::cast_precision_loss,
    reason = "a class is a small whole number, exactly"
)]
fn same(index: i64, value: f64) -> bool {
    index as f64 == value
}

/// What becomes of an event with a feature's code.
struct Target {
    encoding: Encoding,
    low: f64,
    high: f64,
    place: Place,
}

/// Where a feature's values stand.
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

/// The patients' values while events are read.
struct Values {
    targets: HashMap<Vec<u8>, Target>,
    /// Microseconds before the prediction time that are looked at.
    history: i64,
    slots: usize,
    /// `[patients, slots]`: mean so far, or last value.
    means: Vec<f32>,
    /// `[patients, slots]`: events so far.
    counts: Vec<u32>,
    clocks: usize,
    /// `[patients, static features]`: the time of the last value.
    latest: Vec<Timestamp>,
    touched: Vec<bool>,
    /// Place of the subject of the row before: files are mostly sorted by subject.
    last: Option<(i64, Option<usize>)>,
    events: u64,
    used: u64,
    clipped: u64,
}

impl Values {
    fn new(cohort: &Cohort, labelled: &[Labelled]) -> Result<Self, CohortError> {
        let slots = Slots::of(cohort);
        let patients = labelled.len();
        let len = patients
            .checked_mul(slots.len())
            .filter(|len| *len <= MOST_VALUES);
        let len = len.ok_or(CohortError::TooLarge {
            patients,
            slots: slots.len(),
            most: MOST_VALUES,
        })?;
        let (targets, clocks) = targets(cohort, &slots);
        Ok(Self {
            targets,
            history: i64::from(cohort.history_days) * Timestamp::DAY,
            slots: slots.len(),
            means: vec![0.0; len],
            counts: vec![0; len],
            clocks,
            latest: vec![Timestamp(i64::MIN); patients * clocks],
            touched: vec![false; patients],
            last: None,
            events: 0,
            used: 0,
            clipped: 0,
        })
    }

    /// Uses an event, if it is of a labelled patient and of a feature, and stands in the patient's history.
    fn add(
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
        let Some(patient) = self.find(subject, labelled) else {
            return Ok(());
        };
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
        let Some(age) = self.age(event.time, labelled[patient].time) else {
            return Ok(());
        };
        match target.place {
            Place::Static { slot, clock } => {
                let latest = &mut self.latest[patient * self.clocks + clock];
                let time = event.time.unwrap_or(Timestamp(i64::MIN));
                if time >= *latest {
                    *latest = time;
                    self.means[patient * self.slots + slot] = single(plausible);
                    self.counts[patient * self.slots + slot] = 1;
                }
            }
            Place::Series {
                offset,
                stride,
                bins,
                bin,
            } => {
                let Age::Micros(age) = age else { return Ok(()) };
                // The last bin is [prediction time − bin, prediction time).
                let from_end = (age - 1) / bin;
                let Ok(from_start) = usize::try_from(bins - 1 - from_end) else {
                    return Ok(());
                };
                let place = patient * self.slots + offset + from_start * stride;
                self.counts[place] = self.counts[place].saturating_add(1);
                let mean = f64::from(self.means[place]);
                self.means[place] =
                    single(mean + (plausible - mean) / f64::from(self.counts[place]));
            }
        }
        self.clipped += u64::from(plausible < value || value < plausible);
        self.used += 1;
        self.touched[patient] = true;
        Ok(())
    }

    /// The place of a subject among the labelled patients.
    fn find(&mut self, subject: i64, labelled: &[Labelled]) -> Option<usize> {
        match self.last {
            Some((last, place)) if last == subject => place,
            _ => {
                let place = labelled
                    .binary_search_by_key(&subject, |patient| patient.subject)
                    .ok();
                self.last = Some((subject, place));
                place
            }
        }
    }

    /// How long before the prediction time an event was; nothing where it is not in the history.
    fn age(&self, time: Option<Timestamp>, prediction: Timestamp) -> Option<Age> {
        let Some(time) = time else {
            return Some(Age::Timeless);
        };
        let age = prediction.0.saturating_sub(time.0);
        (0 < age && age <= self.history).then_some(Age::Micros(age))
    }

    fn finish(self, cohort: &Cohort, labelled: &[Labelled]) -> Patients {
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

/// How long before the prediction time an event was.
enum Age {
    /// Above 0.
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
                Shape::Series { bin_days, .. } => Place::Series {
                    offset: slot,
                    stride: block.features,
                    bins: i64::try_from(block.bins).unwrap_or(i64::MAX),
                    bin: i64::from(bin_days.max(1)) * Timestamp::DAY,
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

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
