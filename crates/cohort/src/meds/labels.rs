//! Files of labels.

use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use protocol::door::File;

use super::column::{Booleans, Integers, Numbers, Texts};
use super::parquet_file::ParquetFile;
use super::time::Timestamp;
use crate::error::{CohortError, ColumnProblem};

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

/// Gives every row of `file` to `each`, in order.
pub(crate) fn read(
    file: &File,
    mut each: impl FnMut(&LabelRow<'_>) -> Result<(), CohortError>,
) -> Result<(), CohortError> {
    let parquet = ParquetFile::open(file)?;
    let subject = parquet.required("subject_id")?;
    let time = parquet.required("prediction_time")?;
    let failed = |error| parquet.unreadable(&error);
    let (mut subjects, mut times) = (vec![], vec![]);
    let mut row = 0;
    for group in 0..parquet.groups() {
        let mut subject = parquet.integers(group, subject)?;
        let mut time = parquet.times(group, time)?;
        let mut values = Values::open(&parquet, group)?;
        loop {
            subject
                .read(&mut subjects, |subject| subject)
                .map_err(failed)?;
            time.read(&mut times).map_err(failed)?;
            let rows = subjects.len();
            if times.len() != rows || values.read(rows).map_err(failed)? == Fit::Ragged {
                return Err(parquet.ragged());
            }
            if rows == 0 {
                break;
            }
            for (place, (subject, time)) in subjects.iter().zip(&times).enumerate() {
                row += 1;
                let (column, value) = values.at(place);
                each(&LabelRow {
                    row,
                    subject: *subject,
                    time: *time,
                    value,
                    column,
                })?;
            }
        }
    }
    Ok(())
}

/// The value columns that a file has, and a batch of each.
struct Values {
    boolean: Option<(Booleans, Vec<Option<bool>>)>,
    integer: Option<(Integers, Vec<Option<i64>>)>,
    float: Option<(Numbers, Vec<Option<f64>>)>,
    category: Option<(Texts, Vec<Option<ByteArray>>)>,
}

/// Whether columns have the same number of rows.
#[derive(PartialEq, Eq)]
enum Fit {
    Even,
    Ragged,
}

impl Values {
    fn open(parquet: &ParquetFile<'_>, group: usize) -> Result<Self, CohortError> {
        let [boolean, integer, float, category] = COLUMNS.map(|name| parquet.column(name));
        if [boolean, integer, float, category]
            .iter()
            .all(Option::is_none)
        {
            return Err(CohortError::Column {
                file: parquet.name.to_owned(),
                column: COLUMNS.join(" or "),
                problem: ColumnProblem::Absent,
            });
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
            column.read(values, |value| value)?;
            lengths.push(values.len());
        }
        if let Some((column, values)) = &mut self.integer {
            column.read(values, |value| value)?;
            lengths.push(values.len());
        }
        if let Some((column, values)) = &mut self.float {
            column.read(values)?;
            lengths.push(values.len());
        }
        if let Some((column, values)) = &mut self.category {
            column.read(values, |value| value)?;
            lengths.push(values.len());
        }
        Ok(if lengths.iter().all(|length| *length == rows) {
            Fit::Even
        } else {
            Fit::Ragged
        })
    }

    /// The row's label, and the column that it stands in.
    fn at(&self, place: usize) -> (&'static str, LabelValue<'_>) {
        let [boolean, integer, float, category] = COLUMNS;
        let mut found = [
            cell(&self.boolean, place).map(|value| (boolean, LabelValue::Boolean(*value))),
            cell(&self.integer, place).map(|value| (integer, LabelValue::Integer(*value))),
            cell(&self.float, place).map(|value| (float, LabelValue::Float(*value))),
            cell(&self.category, place).map(|value| (category, LabelValue::Category(value.data()))),
        ]
        .into_iter()
        .flatten();
        match (found.next(), found.next()) {
            (Some(first), None) => first,
            (Some((column, _)), Some(_)) => (column, LabelValue::Many),
            (None, _) => (self.present(), LabelValue::None),
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
