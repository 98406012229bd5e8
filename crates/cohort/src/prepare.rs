//! From a hospital's files to its patients' values.
//!
//! ```text
//! labels ──▶ the first of each patient, as many as the study uses ◀── splits, or a hash
//! events ──▶ feature ──▶ in the history, up to the prediction time? ──▶ clip ──▶ bin's mean, or last value
//! ```
//!
//! Files are read in the order of their names, so the order in which a host lists them changes nothing.

use std::collections::HashMap;

use protocol::door::{BadRows, Piece, Report, Role, Source, Split};
use protocol::id::Digest;
use protocol::study::Cohort;

use crate::bad_row::{Problem, Quoted, Triage};
use crate::check::Inspection;
use crate::coverage::{first_subjects, number};
use crate::error::CohortError;
use crate::file::{File, Wants, feed};
use crate::first_rows::{FirstRow, FirstRows};
use crate::meds::{
    Arrived, Arriving, EventColumns, LabelColumns, LabelRow, LabelValue, ParquetFile, Reader,
    SplitColumns, SplitRow, Timestamp,
};
use crate::patients::{Candidates, Outcome, Patients, Rows};
use crate::split;
use crate::values::{Labelled, Values, of_subjects};

/// Most labels of a site.
const MOST_PATIENTS: usize = 10_000_000;

/// A hospital's files on their way to the values of its labelled patients, in the order of their subject numbers and
/// prediction times.
///
/// Of a patient with more labels than [`Cohort::labels_per_patient`], the first by time are used and the others counted
/// in the report. Only events up to and including a label's prediction time, and not older than the study's history, are used
/// ("up to and including": the `prediction_time` of MEDS's label schema, meds 0.4.1); what has no time is used for static
/// features. Values outside of their plausible range are set to its end and counted. A
/// feature takes the mean of a bin's values, or, where it is static, the last value.
///
/// [`Patients`] are of labels whose outcome is known. [`Candidates`] are of all labels of
/// each patient, for predictions alone: a row without a value, and every row of a file without a column of values, is of a
/// patient whose outcome is not known. Such a patient need not be in a file of splits: nobody trained on what was not known,
/// so the row is held out.
///
/// With [`BadRows::Drop`], a row that cannot be used is left out, counted and (the first few) named in the report.
///
/// Beside the patients' values, the chosen columns of one row group are in memory.
pub struct Preparation<L> {
    cohort: Cohort,
    study: Digest,
    reader: Reader,
    /// Splits, labels, events, each in the order of their names; with their places in the request.
    files: Vec<(u32, Source)>,
    /// The place of the file that is read.
    at: usize,
    open: Option<Open>,
    splits: Option<SplitsRead>,
    labels: LabelsRead<L>,
    values: Option<Values>,
    surplus: u32,
    inspection: Option<Inspection>,
}

impl<L> std::fmt::Debug for Preparation<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preparation").finish_non_exhaustive()
    }
}

/// The file that is read.
struct Open {
    arriving: Arriving,
    columns: Option<Columns>,
}

/// The columns of the file that is read.
enum Columns {
    Splits(SplitColumns),
    Labels(LabelColumns),
    Events(EventColumns),
}

/// What was read.
pub(crate) struct Read<L> {
    pub(crate) patients: Rows<L>,
    pub(crate) report: Report,
    /// One a row of the patients.
    pub(crate) labelled: Vec<Labelled<L>>,
    pub(crate) inspection: Option<Inspection>,
}

impl<L: Outcome> Preparation<L> {
    /// Begins to read files.
    ///
    /// # Errors
    ///
    /// No file of labels, or none of events.
    pub fn new(
        cohort: &Cohort,
        study: &Digest,
        files: &[Source],
        bad_rows: BadRows,
    ) -> Result<Self, CohortError> {
        Self::inspecting(cohort, study, files, bad_rows, None)
    }

    /// As [`Preparation::new`], with a closer look.
    pub(crate) fn inspecting(
        cohort: &Cohort,
        study: &Digest,
        files: &[Source],
        bad_rows: BadRows,
        inspection: Option<Inspection>,
    ) -> Result<Self, CohortError> {
        let of_role = |role| of_role(files, role);
        let (splits, labels, events) = (
            of_role(Role::Splits),
            of_role(Role::Labels),
            of_role(Role::Events),
        );
        if labels.is_empty() {
            return Err(CohortError::NoFile("labels"));
        }
        if events.is_empty() {
            return Err(CohortError::NoFile("events"));
        }
        Ok(Self {
            cohort: cohort.clone(),
            study: *study,
            reader: Reader::new(bad_rows),
            splits: (!splits.is_empty()).then(SplitsRead::default),
            files: [splits, labels, events].concat(),
            at: 0,
            open: None,
            labels: LabelsRead::default(),
            values: None,
            surplus: 0,
            inspection,
        })
    }

    /// Goes on with the piece that was wanted; at first without one.
    ///
    /// # Errors
    ///
    /// A file that is no Parquet file, lacks a column or has one of a type that it cannot have, or changes while it is read;
    /// times of UTC beside times without a zone; with [`BadRows::Stop`], the first row that cannot be used, named by file, row
    /// and column; no labels; more patients than memory holds. Nothing more is to be asked of the preparation then.
    pub fn next(&mut self, given: Option<&[u8]>) -> Result<Wants<(Rows<L>, Report)>, CohortError> {
        Ok(match self.read(given)? {
            Wants::Piece(piece) => Wants::Piece(piece),
            Wants::Nothing(read) => Wants::Nothing((read.patients, read.report)),
        })
    }

    /// As [`Preparation::next`], with all that was read.
    pub(crate) fn read(&mut self, given: Option<&[u8]>) -> Result<Wants<Read<L>>, CohortError> {
        if let (Some(open), Some(bytes)) = (&mut self.open, given) {
            open.arriving.take(bytes)?;
        }
        while let Some((place, source)) = self.files.get(self.at) {
            let (file, role) = (*place, source.role);
            if self.open.is_none() {
                self.open = Some(Open {
                    arriving: Arriving::new(source)?,
                    columns: None,
                });
            }
            if role == Role::Events && self.values.is_none() {
                self.values = Some(self.labelled()?);
            }
            if let Some(number) = self.advance(role)? {
                return Ok(Wants::Piece(Piece { file, number }));
            }
            self.open = None;
            self.at += 1;
        }
        self.finish().map(Wants::Nothing)
    }

    /// Reads what there is of the open file; gives the piece that is missing, or nothing at the file's end.
    fn advance(&mut self, role: Role) -> Result<Option<u64>, CohortError> {
        let Some(Open { arriving, columns }) = &mut self.open else {
            return Ok(None);
        };
        loop {
            let (parquet, group) = match arriving.next()? {
                Arrived::Wants(number) => return Ok(Some(number)),
                Arrived::End => return Ok(None),
                Arrived::Footer(parquet) => {
                    let found = Columns::of::<L>(role, &mut self.reader, parquet)?;
                    let places = found.places();
                    *columns = Some(found);
                    arriving.choose(places);
                    continue;
                }
                Arrived::Group(parquet, group) => (parquet, group),
            };
            let name = parquet.name();
            match columns {
                Some(Columns::Splits(columns)) => {
                    let splits = self.splits.get_or_insert_default();
                    self.reader.splits(parquet, group, columns, |row, triage| {
                        splits.add(name, row, triage)
                    })?;
                }
                Some(Columns::Labels(columns)) => {
                    let (cohort, study) = (&self.cohort, &self.study);
                    let splits = self.splits.as_ref();
                    let labels = &mut self.labels;
                    self.reader.labels(parquet, group, columns, |row, triage| {
                        labels.add(cohort, study, splits, (name, row), triage)
                    })?;
                }
                Some(Columns::Events(columns)) => {
                    let labelled = &self.labels.rows;
                    if let Some(values) = &mut self.values {
                        let refused =
                            self.reader
                                .events(parquet, group, columns, |event, triage| {
                                    values.add(name, event, labelled, triage)
                                })?;
                        values.events += refused;
                    }
                }
                None => {}
            }
        }
    }

    /// Once all labels were read: where events are put.
    fn labelled(&mut self) -> Result<Values, CohortError> {
        let labelled = &mut self.labels.rows;
        if labelled.is_empty() {
            return Err(CohortError::NoPatients);
        }
        labelled.sort_by_key(|label| (label.subject, label.time));
        self.surplus = number(keep_first(&self.cohort, labelled));
        Values::new(&self.cohort, labelled, self.inspection.take())
    }

    /// Once all files were read.
    fn finish(&mut self) -> Result<Read<L>, CohortError> {
        let mut values = match self.values.take() {
            Some(values) => values,
            None => self.labelled()?,
        };
        let inspection = values.take_inspection();
        let cohort = &self.cohort;
        let labelled = std::mem::take(&mut self.labels.rows);
        let triage = &mut self.reader.triage;
        let events = values.events;
        let (patients, counted) = values.finish(cohort, &labelled);
        let features = counted.features;
        let report = Report {
            events,
            used: features.iter().map(|coverage| coverage.used).sum(),
            dropped: triage.dropped,
            reasons: std::mem::take(&mut triage.reasons),
            clipped: features.iter().map(|coverage| coverage.clipped).sum(),
            surplus: self.surplus,
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
            inspection,
        })
    }
}

impl Columns {
    fn of<L: Outcome>(
        role: Role,
        reader: &mut Reader,
        parquet: &ParquetFile,
    ) -> Result<Self, CohortError> {
        Ok(match role {
            Role::Splits => Self::Splits(SplitColumns::of(parquet)?),
            Role::Labels => Self::Labels(reader.label_columns(parquet, L::OUTCOMES)?),
            Role::Events => Self::Events(reader.event_columns(parquet)?),
        })
    }

    fn places(&self) -> Vec<usize> {
        match self {
            Self::Splits(columns) => columns.places(),
            Self::Labels(columns) => columns.places(),
            Self::Events(columns) => columns.places(),
        }
    }
}

/// As [`Preparation`], of files that are in memory and labels whose outcome is known.
///
/// # Errors
///
/// As [`Preparation::next`].
pub fn prepare(
    cohort: &Cohort,
    study: &Digest,
    files: &[File],
    bad_rows: BadRows,
) -> Result<(Patients, Report), CohortError> {
    in_memory(cohort, study, files, bad_rows)
}

/// As [`prepare`], of all labels of each patient.
///
/// # Errors
///
/// As [`Preparation::next`].
pub fn prepare_any(
    cohort: &Cohort,
    study: &Digest,
    files: &[File],
    bad_rows: BadRows,
) -> Result<(Candidates, Report), CohortError> {
    in_memory(cohort, study, files, bad_rows)
}

fn in_memory<L: Outcome>(
    cohort: &Cohort,
    study: &Digest,
    files: &[File],
    bad_rows: BadRows,
) -> Result<(Rows<L>, Report), CohortError> {
    let sources: Vec<Source> = files.iter().map(File::source).collect();
    let mut preparation = Preparation::new(cohort, study, &sources, bad_rows)?;
    feed(files, |given| preparation.next(given))
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
fn of_role(files: &[Source], role: Role) -> Vec<(u32, Source)> {
    let files = (0..).zip(files).filter(|(_, file)| file.role == role);
    let mut files: Vec<(u32, Source)> = files.map(|(place, file)| (place, file.clone())).collect();
    files.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
    files
}

/// The split of each subject, where the site gives files of splits.
#[derive(Default)]
struct SplitsRead {
    splits: HashMap<i64, Split>,
    first: FirstRows<i64>,
}

impl SplitsRead {
    fn add(
        &mut self,
        name: &str,
        row: &SplitRow<'_>,
        triage: &mut Triage,
    ) -> Result<(), CohortError> {
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
        if let Err(FirstRow { file, row: first }) = self.first.note(subject, name, row.row) {
            let second = Problem::SecondRow { file, row: first };
            return Ok(triage.refuse(name, row.row, "subject_id", second)?);
        }
        self.splits.insert(subject, split);
        within_memory(self.splits.len())
    }
}

/// The labels that were read.
struct LabelsRead<L> {
    rows: Vec<Labelled<L>>,
    first: FirstRows<(i64, Timestamp)>,
}

impl<L> Default for LabelsRead<L> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            first: FirstRows::default(),
        }
    }
}

impl<L: Outcome> LabelsRead<L> {
    fn add(
        &mut self,
        cohort: &Cohort,
        study: &Digest,
        splits: Option<&SplitsRead>,
        (name, row): (&str, &LabelRow<'_>),
        triage: &mut Triage,
    ) -> Result<(), CohortError> {
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
            Some(read) => match read.splits.get(&subject) {
                Some(split) => *split,
                None if class.is_none() => Split::HeldOut,
                None => return refuse("subject_id", Problem::NoSplit),
            },
        };
        if let Err(FirstRow { file, row }) = self.first.note((subject, time), name, row.row) {
            return refuse("prediction_time", Problem::SecondLabel { file, row });
        }
        self.rows.push(Labelled {
            subject,
            time,
            label,
            split,
        });
        within_memory(self.rows.len())
    }
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
