//! From a hospital's files to its patients' values.
//!
//! ```text
//! labels ──▶ the first of each patient, as many as the study uses ◀── splits, or a hash
//! events ──▶ feature ──▶ in the history, up to the prediction time? ──▶ clip ──▶ bin's mean, or last value
//! ```
//!
//! Files are read in the order of their names, so the order in which a host lists them changes nothing.

use std::collections::HashMap;

use protocol::door::{BadRows, File, Report, Role, Split};
use protocol::id::Digest;
use protocol::study::Cohort;

use crate::bad_row::{Problem, Quoted};
use crate::check::Inspection;
use crate::coverage::{first_subjects, number};
use crate::error::CohortError;
use crate::first_rows::{FirstRow, FirstRows};
use crate::meds::{LabelValue, Reader};
use crate::patients::{Candidates, Outcome, Patients, Rows};
use crate::split;
use crate::values::{Labelled, Values, of_subjects};

/// Most labels of a site.
const MOST_PATIENTS: usize = 10_000_000;

/// Parses a hospital's files into the values of its labelled patients, in the order of their subject numbers and
/// prediction times.
///
/// Of a patient with more labels than [`Cohort::labels_per_patient`], the first by time are used and the others counted
/// in the report. Only events up to and including a label's prediction time, and not older than the study's history, are used
/// ("up to and including": the `prediction_time` of MEDS's label schema, meds 0.4.1); what has no time is used for static
/// features. Values outside of their plausible range are set to its end and counted. A
/// feature takes the mean of a bin's values, or, where it is static, the last value.
///
/// With [`BadRows::Drop`], a row that cannot be used is left out, counted and (the first few) named in the report.
///
/// # Errors
///
/// A file that is no Parquet file, lacks a column or has one of a type that it cannot have; times of UTC beside times without
/// a zone; with [`BadRows::Stop`], the first row that cannot be used, named
/// by file, row and column; no labels; more patients than memory holds.
pub fn prepare(
    cohort: &Cohort,
    study: &Digest,
    files: &[File],
    bad_rows: BadRows,
) -> Result<(Patients, Report), CohortError> {
    let read = read(cohort, study, files, bad_rows, None)?;
    Ok((read.patients, read.report))
}

/// As [`prepare`], of all labels of each patient, whether the outcome is known or not: for predictions alone.
///
/// A row without a value, and every row of a file without a column of values, is of a patient whose outcome is not known.
/// Such a patient need not be in a file of splits: nobody trained on what was not known, so the row is held out.
///
/// # Errors
///
/// As [`prepare`], but for labels without a value.
pub fn prepare_any(
    cohort: &Cohort,
    study: &Digest,
    files: &[File],
    bad_rows: BadRows,
) -> Result<(Candidates, Report), CohortError> {
    let read = read(cohort, study, files, bad_rows, None)?;
    Ok((read.patients, read.report))
}

/// What was read.
pub(crate) struct Read<L> {
    pub(crate) patients: Rows<L>,
    pub(crate) report: Report,
    /// One a row of the patients.
    pub(crate) labelled: Vec<Labelled<L>>,
}

/// As [`prepare`] or [`prepare_any`], with a closer look.
pub(crate) fn read<L: Outcome>(
    cohort: &Cohort,
    study: &Digest,
    files: &[File],
    bad_rows: BadRows,
    inspection: Option<&mut Inspection>,
) -> Result<Read<L>, CohortError> {
    let mut reader = Reader::new(bad_rows);
    let splits = read_splits(&of_role(files, Role::Splits), &mut reader)?;
    let mut labelled: Vec<Labelled<L>> =
        read_labels(cohort, study, files, splits.as_ref(), &mut reader)?;
    let surplus = number(keep_first(cohort, &mut labelled));
    let mut values = Values::new(cohort, &labelled, inspection)?;
    let events = of_role(files, Role::Events);
    if events.is_empty() {
        return Err(CohortError::NoFile("events"));
    }
    for file in events {
        let refused = reader.events(file, |event, triage| {
            values.add(&file.name, event, &labelled, triage)
        })?;
        values.events += refused;
    }
    let events = values.events;
    let (patients, counted) = values.finish(cohort, &labelled);
    let features = counted.features;
    let report = Report {
        events,
        used: features.iter().map(|coverage| coverage.used).sum(),
        dropped: reader.triage.dropped,
        reasons: reader.triage.reasons,
        clipped: features.iter().map(|coverage| coverage.clipped).sum(),
        surplus,
        empty: counted.empty,
        without_events: counted.without_events,
        features,
        other_events: counted.other_events,
        other_codes: counted.other_codes,
        event_subjects: counted.event_subjects,
        ..of_labels(cohort, &labelled)
    };
    Ok(Read {
        patients,
        report,
        labelled,
    })
}

/// What the labels say; they are sorted by subject.
fn of_labels<L: Outcome>(cohort: &Cohort, labelled: &[Labelled<L>]) -> Report {
    let mut report = Report {
        classes: vec![0; cohort.classes.len()],
        label_subjects: first_subjects(labelled),
        ..Report::default()
    };
    for labels in of_subjects(labelled) {
        report.patients += 1;
        report.training_patients += u32::from(labels[0].split == Split::Train);
    }
    for label in labelled {
        let Some(class) = label.label.class() else {
            report.unknown += 1;
            continue;
        };
        match label.split {
            Split::Train => report.train += 1,
            Split::Tuning => report.tuning += 1,
            Split::HeldOut => report.held_out += 1,
        }
        let class = usize::try_from(class).unwrap_or(usize::MAX);
        if let Some(count) = report.classes.get_mut(class) {
            *count += 1;
        }
    }
    report
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
    reader: &mut Reader,
) -> Result<Option<HashMap<i64, Split>>, CohortError> {
    let mut splits = HashMap::new();
    let mut first = FirstRows::default();
    for file in files {
        let name = &file.name;
        reader.splits(file, |row, triage| {
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
            if let Err(FirstRow { file, row: first }) = first.note(subject, name, row.row) {
                let second = Problem::SecondRow { file, row: first };
                return Ok(triage.refuse(name, row.row, "subject_id", second)?);
            }
            splits.insert(subject, split);
            within_memory(splits.len())
        })?;
    }
    Ok((!files.is_empty()).then_some(splits))
}

/// All labels, by subject and then by time.
fn read_labels<L: Outcome>(
    cohort: &Cohort,
    study: &Digest,
    files: &[File],
    splits: Option<&HashMap<i64, Split>>,
    reader: &mut Reader,
) -> Result<Vec<Labelled<L>>, CohortError> {
    let files = of_role(files, Role::Labels);
    if files.is_empty() {
        return Err(CohortError::NoFile("labels"));
    }
    let mut labelled = Vec::new();
    let mut first = FirstRows::default();
    for file in files {
        let name = &file.name;
        reader.labels(file, L::OUTCOMES, |row, triage| {
            let mut refuse = |column, problem| Ok(triage.refuse(name, row.row, column, problem)?);
            let Some(subject) = row.subject else {
                return refuse("subject_id", Problem::Missing);
            };
            let Some(time) = row.time else {
                return refuse("prediction_time", Problem::Missing);
            };
            let class = match class_of(&row.value, &cohort.classes) {
                Ok(class) => class,
                Err(problem) => return refuse(row.column, problem),
            };
            let Some(label) = L::of(class) else {
                return refuse(row.column, Problem::Missing);
            };
            let split = match splits {
                None => split::by_hash(study, subject, cohort.split),
                Some(splits) => match splits.get(&subject) {
                    Some(split) => *split,
                    None if class.is_none() => Split::HeldOut,
                    None => return refuse("subject_id", Problem::NoSplit),
                },
            };
            if let Err(FirstRow { file, row }) = first.note((subject, time), name, row.row) {
                return refuse("prediction_time", Problem::SecondLabel { file, row });
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
    labelled.sort_by_key(|label| (label.subject, label.time));
    Ok(labelled)
}

/// Keeps the first labels of each subject, as many as the study uses; gives the number of the others.
///
/// By time, not by chance: which labels are used can then be told from the file, and is the same in every study.
fn keep_first<L: Outcome>(cohort: &Cohort, labelled: &mut Vec<Labelled<L>>) -> usize {
    let most = L::most_rows(cohort);
    let before = labelled.len();
    let (mut subject, mut kept) = (None, 0);
    labelled.retain(|label| {
        kept = if subject == Some(label.subject) {
            kept + 1
        } else {
            1
        };
        subject = Some(label.subject);
        kept <= most
    });
    before - labelled.len()
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

/// The index of a label's class, if there is one: a label is an index or a name.
fn class_of(value: &LabelValue<'_>, classes: &[String]) -> Result<Option<u32>, Problem> {
    let at = |index: i64| {
        u8::try_from(index)
            .ok()
            .filter(|index| usize::from(*index) < classes.len())
            .map(|index| Some(u32::from(index)))
    };
    let unknown = |text: &dyn std::fmt::Display| {
        Problem::UnknownClass(Quoted::new(text.to_string().as_bytes()))
    };
    match value {
        LabelValue::None => Ok(None),
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
