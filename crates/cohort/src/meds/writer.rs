//! Writing MEDS Parquet.

use std::collections::HashMap;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use protocol::door::Split;

use super::clock::Clock;
use super::time::Timestamp;
use crate::split;

/// Rows of a row group.
const GROUP: usize = 1 << 20;

/// Events to be written.
#[derive(Clone, Debug, Default)]
pub struct Events {
    subjects: Vec<i64>,
    times: Vec<Option<Timestamp>>,
    /// Places in `names`.
    codes: Vec<u32>,
    values: Vec<Option<f32>>,
    names: Vec<ByteArray>,
    places: HashMap<String, u32>,
    clock: Clock,
}

impl Events {
    /// Adds an event. What never changes has no time; what is no measurement has no value.
    pub fn push(&mut self, subject: i64, time: Option<Timestamp>, code: &str, value: Option<f32>) {
        let place = match self.places.get(code) {
            Some(place) => *place,
            None => {
                let place = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
                self.names.push(ByteArray::from(code));
                self.places.insert(code.to_owned(), place);
                place
            }
        };
        self.subjects.push(subject);
        self.times.push(time);
        self.codes.push(place);
        self.values.push(value);
    }

    /// Says that all times are in UTC.
    pub fn in_utc(&mut self) {
        self.clock = Clock::Utc;
    }

    /// Events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.subjects.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// The file: events by subject and time, as MEDS wants it, those without a time first.
    #[must_use]
    pub fn into_parquet(self) -> Vec<u8> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|row| (self.subjects[*row], self.times[*row]));
        let schema = schema(vec![
            field("subject_id", Physical::INT64, None, Repetition::REQUIRED),
            field(
                "time",
                Physical::INT64,
                Some(micros(self.clock)),
                Repetition::OPTIONAL,
            ),
            field(
                "code",
                Physical::BYTE_ARRAY,
                Some(LogicalType::String),
                Repetition::REQUIRED,
            ),
            field("numeric_value", Physical::FLOAT, None, Repetition::OPTIONAL),
        ]);
        write(schema, &order, |group, rows| {
            column::<Int64Type>(group, rows.iter().map(|row| Some(self.subjects[*row])))?;
            column::<Int64Type>(
                group,
                rows.iter().map(|row| self.times[*row].map(|time| time.0)),
            )?;
            let codes = rows.iter().map(|row| self.codes[*row] as usize);
            column::<ByteArrayType>(group, codes.map(|code| Some(self.names[code].clone())))?;
            column::<FloatType>(group, rows.iter().map(|row| self.values[*row]))
        })
    }
}

/// Labels to be written: one a subject, as the index of a class.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    rows: Vec<(i64, Timestamp, u32)>,
    clock: Clock,
}

impl Labels {
    /// Adds a label: what is to be predicted at `time`.
    pub fn push(&mut self, subject: i64, time: Timestamp, class: u32) {
        self.rows.push((subject, time, class));
    }

    /// Says that all times are in UTC.
    pub fn in_utc(&mut self) {
        self.clock = Clock::Utc;
    }

    /// Labels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The file, by subject: `subject_id, prediction_time, integer_value`.
    #[must_use]
    pub fn into_parquet(self) -> Vec<u8> {
        let mut rows = self.rows;
        rows.sort_by_key(|(subject, time, _)| (*subject, *time));
        let schema = schema(vec![
            field("subject_id", Physical::INT64, None, Repetition::REQUIRED),
            field(
                "prediction_time",
                Physical::INT64,
                Some(micros(self.clock)),
                Repetition::REQUIRED,
            ),
            field("integer_value", Physical::INT64, None, Repetition::OPTIONAL),
        ]);
        write(schema, &rows, |group, rows| {
            column::<Int64Type>(group, rows.iter().map(|(subject, _, _)| Some(*subject)))?;
            column::<Int64Type>(group, rows.iter().map(|(_, time, _)| Some(time.0)))?;
            column::<Int64Type>(
                group,
                rows.iter().map(|(_, _, class)| Some(i64::from(*class))),
            )
        })
    }
}

/// Splits to be written: one a subject.
#[derive(Clone, Debug, Default)]
pub struct Splits {
    rows: Vec<(i64, Split)>,
}

impl Splits {
    /// Adds a subject's split.
    pub fn push(&mut self, subject: i64, split: Split) {
        self.rows.push((subject, split));
    }

    /// The file, by subject: `subject_id, split`.
    #[must_use]
    pub fn into_parquet(self) -> Vec<u8> {
        let mut rows = self.rows;
        rows.sort_by_key(|(subject, _)| *subject);
        let schema = schema(vec![
            field("subject_id", Physical::INT64, None, Repetition::REQUIRED),
            field(
                "split",
                Physical::BYTE_ARRAY,
                Some(LogicalType::String),
                Repetition::REQUIRED,
            ),
        ]);
        write(schema, &rows, |group, rows| {
            column::<Int64Type>(group, rows.iter().map(|(subject, _)| Some(*subject)))?;
            let splits = rows
                .iter()
                .map(|(_, split)| Some(ByteArray::from(split::name(*split))));
            column::<ByteArrayType>(group, splits)
        })
    }
}

fn micros(clock: Clock) -> LogicalType {
    LogicalType::timestamp(clock == Clock::Utc, TimeUnit::MICROS)
}

fn field(
    name: &str,
    physical: Physical,
    logical: Option<LogicalType>,
    repetition: Repetition,
) -> Arc<Type> {
    let field = Type::primitive_type_builder(name, physical)
        .with_repetition(repetition)
        .with_logical_type(logical)
        .build();
    Arc::new(field.expect("the columns of MEDS are valid Parquet types"))
}

fn schema(fields: Vec<Arc<Type>>) -> Arc<Type> {
    let schema = Type::group_type_builder("schema")
        .with_fields(fields)
        .build();
    Arc::new(schema.expect("the columns of MEDS make a valid schema"))
}

/// A file of `rows`, whose groups `write_group` writes column by column.
fn write<R>(
    schema: Arc<Type>,
    rows: &[R],
    write_group: impl Fn(&mut SerializedRowGroupWriter<'_, Vec<u8>>, &[R]) -> Result<(), ParquetError>,
) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by("wardround".to_owned())
        .set_statistics_enabled(EnabledStatistics::None)
        .build();
    let attempt = || -> Result<Vec<u8>, ParquetError> {
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
        for rows in rows.chunks(GROUP) {
            let mut group = writer.next_row_group()?;
            write_group(&mut group, rows)?;
            group.close()?;
        }
        writer.into_inner()
    };
    attempt().expect("writing typed columns into memory cannot fail")
}

/// Writes the next column of a row group; only an optional column may lack values.
fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    cells: impl Iterator<Item = Option<T::T>>,
) -> Result<(), ParquetError> {
    let mut levels = Vec::new();
    let mut values = Vec::new();
    for cell in cells {
        levels.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    let mut writer = group
        .next_column()?
        .ok_or_else(|| ParquetError::General("the schema has fewer columns".to_owned()))?;
    // Required columns ignore the levels.
    writer
        .typed::<T>()
        .write_batch(&values, Some(&levels), None)?;
    writer.close()
}
