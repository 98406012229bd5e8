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
    rows: Vec<Event>,
    names: Vec<ByteArray>,
    places: HashMap<String, u32>,
}

/// An event, as small as it can be: there are many.
#[derive(Clone, Copy, Debug)]
struct Event {
    subject: i64,
    /// [`i64::MIN`], which is no time of a file, where there is none.
    time: i64,
    /// A place among the names.
    code: u32,
    /// Not a number, which no value is, where there is none.
    value: f32,
}

impl Event {
    fn order(&self) -> (i64, i64) {
        (self.subject, self.time)
    }
}

impl Events {
    /// Adds an event. What never changes has no time; what is no measurement has no value.
    pub fn push(&mut self, subject: i64, time: Option<Timestamp>, code: &str, value: Option<f32>) {
        let code = match self.places.get(code) {
            Some(place) => *place,
            None => {
                let place = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
                self.names.push(ByteArray::from(code));
                self.places.insert(code.to_owned(), place);
                place
            }
        };
        self.rows.push(Event {
            subject,
            time: time.map_or(i64::MIN, |time| time.0),
            code,
            value: value.unwrap_or(f32::NAN),
        });
    }

    /// Events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Of the events from `first` on, leaves out those of the patients with the greater numbers, about half of them; gives
    /// the greatest number that is left, or nothing where all of them are of one patient.
    pub(crate) fn halve(&mut self, first: usize) -> Option<i64> {
        let rows = self.rows.get_mut(first..)?;
        rows.sort_by_key(Event::order);
        let middle = rows.get(rows.len() / 2)?.subject;
        let after = rows.partition_point(|event| event.subject <= middle);
        let before = rows.partition_point(|event| event.subject < middle);
        let left = if after < rows.len() { after } else { before };
        let greatest = rows.get(left.checked_sub(1)?)?.subject;
        self.rows.truncate(first + left);
        Some(greatest)
    }

    /// Puts events by subject and time, as MEDS wants it, those without a time first.
    pub(crate) fn sort(&mut self) {
        self.rows.sort_by_key(Event::order);
    }

    /// The file: events by subject and time, as MEDS wants it, those without a time first.
    #[must_use]
    pub fn into_parquet(mut self) -> Vec<u8> {
        self.sort();
        let mut file = EventsFile::new(Clock::Local);
        let mut bytes = Vec::new();
        while let Some(part) = file.group(&mut self, Rest::Written) {
            bytes.extend(part);
        }
        bytes.extend(file.end());
        bytes
    }
}

/// A file of events that is written row group by row group.
pub(crate) struct EventsFile {
    writer: SerializedFileWriter<Vec<u8>>,
}

/// What becomes of events that do not fill a row group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// They wait for more.
    Kept,
    /// No more come: they are a row group of their own.
    Written,
}

impl EventsFile {
    pub(crate) fn new(clock: Clock) -> Self {
        let schema = schema(vec![
            field("subject_id", Physical::INT64, None, Repetition::REQUIRED),
            field(
                "time",
                Physical::INT64,
                Some(micros(clock)),
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
        let writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties()));
        Self {
            writer: writer.expect(NEVER),
        }
    }

    /// Takes a row group off the front of events that are sorted; gives what is written of it, or nothing where there is none.
    pub(crate) fn group(&mut self, events: &mut Events, rest: Rest) -> Option<Vec<u8>> {
        let rows = match (events.rows.len(), rest) {
            (0, _) => return None,
            (rows, Rest::Kept) if rows < GROUP => return None,
            (rows, _) => rows.min(GROUP),
        };
        let later = events.rows.split_off(rows);
        let rows = std::mem::replace(&mut events.rows, later);
        self.write(&rows, &events.names).expect(NEVER);
        Some(std::mem::take(self.writer.inner_mut()))
    }

    fn write(&mut self, rows: &[Event], names: &[ByteArray]) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        let some = |time: i64| (time > i64::MIN).then_some(time);
        let number = |value: f32| (!value.is_nan()).then_some(value);
        column::<Int64Type>(&mut group, rows.iter().map(|row| Some(row.subject)))?;
        column::<Int64Type>(&mut group, rows.iter().map(|row| some(row.time)))?;
        let codes = rows.iter().map(|row| names.get(row.code as usize).cloned());
        column::<ByteArrayType>(&mut group, codes)?;
        column::<FloatType>(&mut group, rows.iter().map(|row| number(row.value)))?;
        group.close()?;
        self.writer.flush()?;
        Ok(())
    }

    /// The end of the file.
    pub(crate) fn end(self) -> Vec<u8> {
        self.writer.into_inner().expect(NEVER)
    }
}

/// Why what is written into memory can be taken for granted.
const NEVER: &str = "writing typed columns into memory cannot fail";

/// Labels to be written: one a subject, as the index of a class.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    rows: Vec<(i64, Timestamp, u32)>,
}

impl Labels {
    /// Adds a label: what is to be predicted at `time`.
    pub fn push(&mut self, subject: i64, time: Timestamp, class: u32) {
        self.rows.push((subject, time, class));
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
        self.into_parquet_on(Clock::Local)
    }

    /// As [`Labels::into_parquet`], with the clock of its times.
    pub(crate) fn into_parquet_on(self, clock: Clock) -> Vec<u8> {
        let mut rows = self.rows;
        rows.sort_by_key(|(subject, time, _)| (*subject, *time));
        let schema = schema(vec![
            field("subject_id", Physical::INT64, None, Repetition::REQUIRED),
            field(
                "prediction_time",
                Physical::INT64,
                Some(micros(clock)),
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
    let attempt = || -> Result<Vec<u8>, ParquetError> {
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties()))?;
        for rows in rows.chunks(GROUP) {
            let mut group = writer.next_row_group()?;
            write_group(&mut group, rows)?;
            group.close()?;
        }
        writer.into_inner()
    };
    attempt().expect(NEVER)
}

fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by("wardround".to_owned())
        .set_statistics_enabled(EnabledStatistics::None)
        .build()
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
