//! Columns of a row group, read a batch of rows at a time.

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType,
    Int32Type, Int64Type,
};
use parquet::errors::ParquetError;

use super::kind::Unit;
use super::parquet_file::Nullable;
use super::time::Timestamp;
use super::whole::{self, Decimal};
use crate::bad_row::{Problem, Quoted};
use crate::zone::Zone;

/// Rows that are decoded at a time: bounds the memory, whatever a file's footer says.
pub(super) const BATCH: usize = 8_192;

/// What stands in a row: nothing, a value, or something that is none.
pub(super) type Cell<T> = Option<Result<T, Box<Problem>>>;

/// A column of one physical type.
pub(super) struct Column<T: DataType> {
    reader: ColumnReaderImpl<T>,
    nullable: Nullable,
    /// One a row: 1 where there is a value; empty where all rows have one.
    levels: Vec<i16>,
    /// One a row with a value.
    values: Vec<T::T>,
}

impl<T: DataType> Column<T> {
    pub(super) fn new(reader: ColumnReaderImpl<T>, nullable: Nullable) -> Self {
        Self {
            reader,
            nullable,
            levels: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Reads up to [`BATCH`] rows into `out`, which is emptied first; none at the end.
    fn read<U>(
        &mut self,
        out: &mut Vec<Option<U>>,
        mut convert: impl FnMut(T::T) -> U,
    ) -> Result<(), ParquetError> {
        out.clear();
        self.levels.clear();
        self.values.clear();
        self.reader
            .read_records(BATCH, Some(&mut self.levels), None, &mut self.values)?;
        match self.nullable {
            Nullable::No => out.extend(self.values.drain(..).map(|value| Some(convert(value)))),
            Nullable::Yes => {
                let mut values = self.values.drain(..);
                let row = |level: &i16| {
                    (*level > 0)
                        .then(|| values.next().map(&mut convert))
                        .flatten()
                };
                out.extend(self.levels.iter().map(row));
            }
        }
        Ok(())
    }
}

/// A column of numbers, however they are stored.
pub(super) enum Stored {
    Int32(Column<Int32Type>),
    Int64(Column<Int64Type>),
    Float(Column<FloatType>),
    Double(Column<DoubleType>),
    Bytes(Column<ByteArrayType>),
    Fixed(Column<FixedLenByteArrayType>),
}

impl Stored {
    /// Nothing for what holds no numbers.
    pub(super) fn new(reader: ColumnReader, nullable: Nullable) -> Option<Self> {
        Some(match reader {
            ColumnReader::Int32ColumnReader(reader) => Self::Int32(Column::new(reader, nullable)),
            ColumnReader::Int64ColumnReader(reader) => Self::Int64(Column::new(reader, nullable)),
            ColumnReader::FloatColumnReader(reader) => Self::Float(Column::new(reader, nullable)),
            ColumnReader::DoubleColumnReader(reader) => Self::Double(Column::new(reader, nullable)),
            ColumnReader::ByteArrayColumnReader(reader) => {
                Self::Bytes(Column::new(reader, nullable))
            }
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                Self::Fixed(Column::new(reader, nullable))
            }
            ColumnReader::BoolColumnReader(_) | ColumnReader::Int96ColumnReader(_) => return None,
        })
    }

    /// As [`Column::read`], of numbers with `scale` decimal places.
    fn read_decimals<U>(
        &mut self,
        out: &mut Vec<Cell<U>>,
        scale: u32,
        convert: impl Fn(Decimal) -> Result<U, Box<Problem>>,
    ) -> Result<(), ParquetError> {
        match self {
            Self::Int32(column) => {
                column.read(out, |value| convert(Decimal::new(value.into(), scale)))
            }
            Self::Int64(column) => {
                column.read(out, |value| convert(Decimal::new(value.into(), scale)))
            }
            Self::Bytes(column) => column.read(out, |value| {
                Decimal::of_bytes(value.data(), scale).and_then(&convert)
            }),
            Self::Fixed(column) => column.read(out, |value| {
                Decimal::of_bytes(value.data(), scale).and_then(&convert)
            }),
            Self::Float(_) | Self::Double(_) => Err(other_type()),
        }
    }
}

/// A column of whole numbers.
pub(super) enum Integers {
    /// Nulls alone.
    Nothing,
    Signed(Stored),
    Unsigned32(Stored),
    Unsigned64(Stored),
    Decimal(Stored, u32),
}

impl Integers {
    /// Reads the next rows, at most [`BATCH`]; `rows` of them where the column does not say.
    pub(super) fn read(
        &mut self,
        out: &mut Vec<Cell<i64>>,
        rows: usize,
    ) -> Result<(), ParquetError> {
        match self {
            Self::Nothing => nothing(out, rows),
            Self::Signed(Stored::Int32(column)) => column.read(out, |value| Ok(i64::from(value))),
            Self::Signed(Stored::Int64(column)) => column.read(out, Ok),
            Self::Unsigned32(Stored::Int32(column)) => {
                column.read(out, |value| Ok(i64::from(value.cast_unsigned())))
            }
            Self::Unsigned64(Stored::Int64(column)) => {
                column.read(out, |value| whole::signed(value.cast_unsigned()))
            }
            Self::Decimal(stored, scale) => stored.read_decimals(out, *scale, Decimal::whole),
            _ => Err(other_type()),
        }
    }
}

/// A column of numbers.
pub(super) enum Numbers {
    Real(Stored),
    Whole(Integers),
}

impl Numbers {
    /// As [`Integers::read`]; a number of more digits than a double has is the nearest double.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest double is what is wanted"
    )]
    pub(super) fn read(
        &mut self,
        out: &mut Vec<Cell<f64>>,
        rows: usize,
    ) -> Result<(), ParquetError> {
        match self {
            Self::Whole(Integers::Nothing) => nothing(out, rows),
            Self::Real(Stored::Float(column)) => column.read(out, |value| Ok(value.into())),
            Self::Real(Stored::Double(column)) => column.read(out, Ok),
            Self::Real(Stored::Fixed(column)) => {
                column.read(out, |value| Ok(whole::half(value.data())))
            }
            Self::Whole(Integers::Signed(Stored::Int32(column))) => {
                column.read(out, |value| Ok(value.into()))
            }
            Self::Whole(Integers::Signed(Stored::Int64(column))) => {
                column.read(out, |value| Ok(value as f64))
            }
            Self::Whole(Integers::Unsigned32(Stored::Int32(column))) => {
                column.read(out, |value| Ok(value.cast_unsigned().into()))
            }
            Self::Whole(Integers::Unsigned64(Stored::Int64(column))) => {
                column.read(out, |value| Ok(value.cast_unsigned() as f64))
            }
            Self::Whole(Integers::Decimal(stored, scale)) => {
                stored.read_decimals(out, *scale, |decimal| Ok(decimal.number()))
            }
            _ => Err(other_type()),
        }
    }
}

/// A column of times.
pub(super) enum Times {
    /// Nulls alone.
    Nothing,
    Days(Stored),
    Moments(Stored, Unit),
    /// Moments of UTC, to be read off the clocks of a zone.
    Instants(Stored, Unit, Zone),
}

impl Times {
    /// As [`Integers::read`].
    pub(super) fn read(
        &mut self,
        out: &mut Vec<Cell<Timestamp>>,
        rows: usize,
    ) -> Result<(), ParquetError> {
        match self {
            Self::Nothing => nothing(out, rows),
            Self::Days(Stored::Int32(column)) => {
                column.read(out, |days| timestamp(days.into(), Timestamp::DAY))
            }
            Self::Moments(Stored::Int64(column), unit) => {
                column.read(out, |time| moment(time, *unit))
            }
            Self::Instants(Stored::Int64(column), unit, zone) => column.read(out, |time| {
                let shown = zone.shown(moment(time, *unit)?);
                shown.ok_or_else(|| Box::new(Problem::TimeRange))
            }),
            _ => Err(other_type()),
        }
    }
}

/// A column of text.
pub(super) enum Texts {
    /// Nulls alone.
    Nothing,
    Bytes(Box<Column<ByteArrayType>>),
}

impl Texts {
    /// As [`Integers::read`].
    pub(super) fn read(
        &mut self,
        out: &mut Vec<Option<ByteArray>>,
        rows: usize,
    ) -> Result<(), ParquetError> {
        match self {
            Self::Nothing => nothing(out, rows),
            Self::Bytes(column) => column.read(out, |text| text),
        }
    }
}

/// A column of truth values.
pub(super) enum Booleans {
    /// Nulls alone.
    Nothing,
    Bits(Box<Column<BoolType>>),
}

impl Booleans {
    /// As [`Integers::read`].
    pub(super) fn read(
        &mut self,
        out: &mut Vec<Option<bool>>,
        rows: usize,
    ) -> Result<(), ParquetError> {
        match self {
            Self::Nothing => nothing(out, rows),
            Self::Bits(column) => column.read(out, |value| value),
        }
    }
}

fn moment(time: i64, unit: Unit) -> Result<Timestamp, Box<Problem>> {
    match unit {
        Unit::Milli => timestamp(time, 1_000),
        Unit::Micro => timestamp(time, 1),
        Unit::Nano => timestamp(time.div_euclid(1_000), 1),
    }
}

fn timestamp(count: i64, micros: i64) -> Result<Timestamp, Box<Problem>> {
    let time = count.checked_mul(micros).map(Timestamp);
    let time = time.ok_or_else(|| Box::new(Problem::TimeRange))?;
    if time.is_plausible() {
        return Ok(time);
    }
    Err(Box::new(Problem::FarTime(
        Quoted::new(time.to_string().as_bytes()),
        ": write null where it is not known, and see that the column's unit is that of its numbers"
            .to_owned(),
    )))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it is an arm beside those that can fail"
)]
fn nothing<T>(out: &mut Vec<Option<T>>, rows: usize) -> Result<(), ParquetError> {
    out.clear();
    out.resize_with(rows, || None);
    Ok(())
}

/// [`super::kind::Kind::of`] lets no such pair of physical and logical type pass.
fn other_type() -> ParquetError {
    ParquetError::General("a column has another type than the file's schema says".to_owned())
}
