//! Files of labels.

use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use protocol::door::Outcomes;

use super::column::{Booleans, Cell, Integers, Numbers, Texts};
use super::parquet_file::ParquetFile;
use super::reader::{Place, Reader, Taken};
use super::time::Timestamp;
use crate::bad_row::{Problem, Triage};
use crate::error::CohortError;

const COLUMNS: [&str; 4] = [
    "boolean_value",
    "integer_value",
    "float_value",
    "categorical_value",
];

/// A row of a file of labels; an absent value is null in the file.
pub(crate) struct LabelRow<'a> {
    /// From 1.
    pub(crate) row: u64,
    pub(crate) subject: Option<i64>,
    pub(crate) time: Option<Timestamp>,
    pub(crate) value: LabelValue<'a>,
    /// The column that the value stands in.
    pub(crate) column: &'static str,
}

/// A label as the file has it.
pub(crate) enum LabelValue<'a> {
    None,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Category(&'a [u8]),
    /// More than one value column is filled.
    Many,
}

/// The columns of a file of labels.
#[derive(Debug)]
pub(crate) struct LabelColumns {
    subject: usize,
    time: usize,
    /// In the order of [`COLUMNS`]; each may be absent.
    values: [Option<usize>; COLUMNS.len()],
    /// Rows that were read.
    row: u64,
}

impl LabelColumns {
    /// Their places.
    pub(crate) fn places(&self) -> Vec<usize> {
        let values = self.values.into_iter().flatten();
        [self.subject, self.time]
            .into_iter()
            .chain(values)
            .collect()
    }
}

impl Reader {
    /// The columns of a file of labels: all of its value columns may be absent only with [`Outcomes::Any`].
    pub(crate) fn label_columns(
        &mut self,
        parquet: &ParquetFile,
        outcomes: Outcomes,
    ) -> Result<LabelColumns, CohortError> {
        let (subject, time) = (
            parquet.required("subject_id")?,
            parquet.required("prediction_time")?,
        );
        self.clocks.note(parquet, "prediction_time", time)?;
        let mut values = [None; COLUMNS.len()];
        for (value, name) in values.iter_mut().zip(COLUMNS) {
            *value = parquet.column(name)?;
        }
        if outcomes == Outcomes::Known && values.iter().all(Option::is_none) {
            return Err(parquet.absent(&COLUMNS.join(" or ")));
        }
        Ok(LabelColumns {
            subject,
            time,
            values,
            row: 0,
        })
    }

    /// Gives every row of a row group to `each`, in order, but those with a cell that holds no such value.
    pub(crate) fn labels(
        &mut self,
        parquet: &ParquetFile,
        group: usize,
        columns: &mut LabelColumns,
        mut each: impl FnMut(&LabelRow<'_>, &mut Triage) -> Result<(), CohortError>,
    ) -> Result<(), CohortError> {
        let failed = |error| parquet.unreadable(&error);
        let (mut subjects, mut times) = (vec![], vec![]);
        let mut subject = parquet.ids(group, columns.subject)?;
        let mut time = parquet.times(group, columns.time)?;
        let mut values = Values::open(parquet, group, columns.values)?;
        loop {
            subject.read(&mut subjects, 0).map_err(failed)?;
            let rows = subjects.len();
            time.read(&mut times, rows).map_err(failed)?;
            parquet.check_lengths(rows, &[times.len()])?;
            parquet.check_lengths(rows, &values.read(rows).map_err(failed)?)?;
            if rows == 0 {
                return Ok(());
            }
            for (at, (subject, time)) in subjects.iter().zip(&times).enumerate() {
                columns.row += 1;
                let (file, row) = (&parquet.name, columns.row);
                let place = Place { file, row };
                let triage = &mut self.triage;
                let subject = place.take("subject_id", subject, triage)?;
                let time = place.take("prediction_time", time, triage)?;
                let (Taken::Cell(subject), Taken::Cell(time)) = (subject, time) else {
                    continue;
                };
                let (column, value) = match values.at(at) {
                    (column, Ok(value)) => (column, value),
                    (column, Err(problem)) => {
                        triage.refuse(file, row, column, problem.clone())?;
                        continue;
                    }
                };
                let label = LabelRow {
                    row,
                    subject,
                    time,
                    value,
                    column,
                };
                each(&label, triage)?;
            }
        }
    }
}

/// The value columns, and a batch of each: nulls alone where the file has no such column.
struct Values {
    boolean: (Booleans, Vec<Option<bool>>),
    integer: (Integers, Vec<Cell<i64>>),
    float: (Numbers, Vec<Cell<f64>>),
    category: (Texts, Vec<Option<ByteArray>>),
    /// The first one that the file has.
    first: &'static str,
}

impl Values {
    fn open(
        parquet: &ParquetFile,
        group: usize,
        found: [Option<usize>; COLUMNS.len()],
    ) -> Result<Self, CohortError> {
        let first = COLUMNS
            .into_iter()
            .zip(found)
            .find_map(|(name, place)| place.map(|_| name));
        let first = first.unwrap_or(COLUMNS[COLUMNS.len() - 1]);
        let [boolean, integer, float, category] = found;
        let boolean = boolean.map_or(Ok(Booleans::Nothing), |place| {
            parquet.booleans(group, place)
        })?;
        let integer = integer.map_or(Ok(Integers::Nothing), |place| {
            parquet.integers(group, place)
        })?;
        let float = parquet.optional_numbers(group, float)?;
        let category = category.map_or(Ok(Texts::Nothing), |place| parquet.texts(group, place))?;
        Ok(Self {
            boolean: (boolean, vec![]),
            integer: (integer, vec![]),
            float: (float, vec![]),
            category: (category, vec![]),
            first,
        })
    }

    /// Reads the next rows; gives how many each column had.
    fn read(&mut self, rows: usize) -> Result<[usize; COLUMNS.len()], ParquetError> {
        self.boolean.0.read(&mut self.boolean.1, rows)?;
        self.integer.0.read(&mut self.integer.1, rows)?;
        self.float.0.read(&mut self.float.1, rows)?;
        self.category.0.read(&mut self.category.1, rows)?;
        Ok([
            self.boolean.1.len(),
            self.integer.1.len(),
            self.float.1.len(),
            self.category.1.len(),
        ])
    }

    /// The row's label, and the column that it stands in.
    fn at(&self, place: usize) -> (&'static str, Result<LabelValue<'_>, &Problem>) {
        let [boolean, integer, float, category] = COLUMNS;
        let mut found = [
            cell(&self.boolean.1, place).map(|value| (boolean, Ok(LabelValue::Boolean(*value)))),
            cell(&self.integer.1, place).map(|value| (integer, read(value, LabelValue::Integer))),
            cell(&self.float.1, place).map(|value| (float, read(value, LabelValue::Float))),
            cell(&self.category.1, place)
                .map(|value| (category, Ok(LabelValue::Category(value.data())))),
        ]
        .into_iter()
        .flatten();
        match (found.next(), found.next()) {
            (Some(first), None) => first,
            (Some((column, _)), Some(_)) => (column, Ok(LabelValue::Many)),
            (None, _) => (self.first, Ok(LabelValue::None)),
        }
    }
}

fn cell<V>(cells: &[Option<V>], place: usize) -> Option<&V> {
    cells.get(place)?.as_ref()
}

/// A cell's value as a label.
fn read<T: Copy>(
    value: &Result<T, Box<Problem>>,
    label: impl Fn(T) -> LabelValue<'static>,
) -> Result<LabelValue<'static>, &Problem> {
    match value {
        Ok(value) => Ok(label(*value)),
        Err(problem) => Err(problem),
    }
}
