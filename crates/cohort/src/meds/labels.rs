//! Files of labels.

use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use protocol::door::{File, Outcomes};

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

impl Reader {
    /// Gives every row of `file` to `each`, in order, but those with a cell that holds no such value.
    ///
    /// Each value column may be absent, but all of them only with [`Outcomes::Any`].
    pub(crate) fn labels(
        &mut self,
        file: &File,
        outcomes: Outcomes,
        mut each: impl FnMut(&LabelRow<'_>, &mut Triage) -> Result<(), CohortError>,
    ) -> Result<(), CohortError> {
        let parquet = ParquetFile::open(file)?;
        let subject = parquet.required("subject_id")?;
        let time = parquet.required("prediction_time")?;
        self.clocks.note(&parquet, "prediction_time", time)?;
        let failed = |error| parquet.unreadable(&error);
        let (mut subjects, mut times) = (vec![], vec![]);
        let mut row = 0;
        for group in 0..parquet.groups() {
            let mut subject = parquet.ids(group, subject)?;
            let mut time = parquet.times(group, time)?;
            let mut values = Values::open(&parquet, group, outcomes)?;
            loop {
                subject.read(&mut subjects, 0).map_err(failed)?;
                let rows = subjects.len();
                time.read(&mut times, rows).map_err(failed)?;
                if times.len() != rows || values.read(rows).map_err(failed)? == Fit::Ragged {
                    return Err(parquet.ragged());
                }
                if rows == 0 {
                    break;
                }
                for (at, (subject, time)) in subjects.iter().zip(&times).enumerate() {
                    row += 1;
                    let place = Place {
                        file: &file.name,
                        row,
                    };
                    let triage = &mut self.triage;
                    let subject = place.take("subject_id", subject, triage)?;
                    let time = place.take("prediction_time", time, triage)?;
                    let (Taken::Cell(subject), Taken::Cell(time)) = (subject, time) else {
                        continue;
                    };
                    let (column, value) = match values.at(at) {
                        (column, Ok(value)) => (column, value),
                        (column, Err(problem)) => {
                            triage.refuse(&file.name, row, column, problem.clone())?;
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
        Ok(())
    }
}

/// The value columns that a file has, and a batch of each.
struct Values {
    boolean: Option<(Booleans, Vec<Option<bool>>)>,
    integer: Option<(Integers, Vec<Cell<i64>>)>,
    float: Option<(Numbers, Vec<Cell<f64>>)>,
    category: Option<(Texts, Vec<Option<ByteArray>>)>,
}

/// Whether columns have the same number of rows.
#[derive(PartialEq, Eq)]
enum Fit {
    Even,
    Ragged,
}

impl Values {
    fn open(
        parquet: &ParquetFile<'_>,
        group: usize,
        outcomes: Outcomes,
    ) -> Result<Self, CohortError> {
        let [boolean, integer, float, category] = COLUMNS;
        let boolean = parquet.column(boolean)?;
        let integer = parquet.column(integer)?;
        let float = parquet.column(float)?;
        let category = parquet.column(category)?;
        let found = [boolean, integer, float, category];
        if outcomes == Outcomes::Known && found.iter().all(Option::is_none) {
            return Err(parquet.absent(&COLUMNS.join(" or ")));
        }
        let boolean = boolean
            .map(|place| parquet.booleans(group, place))
            .transpose()?;
        let integer = integer
            .map(|place| parquet.integers(group, place))
            .transpose()?;
        let float = float
            .map(|place| parquet.numbers(group, place))
            .transpose()?;
        let category = category
            .map(|place| parquet.texts(group, place))
            .transpose()?;
        Ok(Self {
            boolean: boolean.map(|column| (column, vec![])),
            integer: integer.map(|column| (column, vec![])),
            float: float.map(|column| (column, vec![])),
            category: category.map(|column| (column, vec![])),
        })
    }

    fn read(&mut self, rows: usize) -> Result<Fit, ParquetError> {
        let mut lengths = Vec::with_capacity(COLUMNS.len());
        if let Some((column, values)) = &mut self.boolean {
            column.read(values, rows)?;
            lengths.push(values.len());
        }
        if let Some((column, values)) = &mut self.integer {
            column.read(values, rows)?;
            lengths.push(values.len());
        }
        if let Some((column, values)) = &mut self.float {
            column.read(values, rows)?;
            lengths.push(values.len());
        }
        if let Some((column, values)) = &mut self.category {
            column.read(values, rows)?;
            lengths.push(values.len());
        }
        Ok(if lengths.iter().all(|length| *length == rows) {
            Fit::Even
        } else {
            Fit::Ragged
        })
    }

    /// The row's label, and the column that it stands in.
    fn at(&self, place: usize) -> (&'static str, Result<LabelValue<'_>, &Problem>) {
        let [boolean, integer, float, category] = COLUMNS;
        let mut found = [
            cell(&self.boolean, place).map(|value| (boolean, Ok(LabelValue::Boolean(*value)))),
            cell(&self.integer, place).map(|value| (integer, read(value, LabelValue::Integer))),
            cell(&self.float, place).map(|value| (float, read(value, LabelValue::Float))),
            cell(&self.category, place)
                .map(|value| (category, Ok(LabelValue::Category(value.data())))),
        ]
        .into_iter()
        .flatten();
        match (found.next(), found.next()) {
            (Some(first), None) => first,
            (Some((column, _)), Some(_)) => (column, Ok(LabelValue::Many)),
            (None, _) => (self.present(), Ok(LabelValue::None)),
        }
    }

    /// The first value column that the file has.
    fn present(&self) -> &'static str {
        let [boolean, integer, float, category] = COLUMNS;
        if self.boolean.is_some() {
            boolean
        } else if self.integer.is_some() {
            integer
        } else if self.float.is_some() {
            float
        } else {
            category
        }
    }
}

fn cell<C, V>(column: &Option<(C, Vec<Option<V>>)>, place: usize) -> Option<&V> {
    column.as_ref()?.1.get(place)?.as_ref()
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
