//! Columns of a row group, read a batch of rows at a time.

use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{
    BoolType, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::ParquetError;

use super::parquet_file::Nullable;
use super::time::Timestamp;

/// Rows that are decoded at a time: bounds the memory, whatever a file's footer says.
pub(super) const BATCH: usize = 8_192;

/// A column of text.
pub(super) type Texts = Column<ByteArrayType>;

/// A column of truth values.
pub(super) type Booleans = Column<BoolType>;

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
    pub(super) fn read<U>(
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

/// A column of whole numbers.
pub(super) enum Integers {
    Int32(Column<Int32Type>),
    Int64(Column<Int64Type>),
}

impl Integers {
    pub(super) fn int32(reader: ColumnReaderImpl<Int32Type>, nullable: Nullable) -> Self {
        Self::Int32(Column::new(reader, nullable))
    }

    pub(super) fn int64(reader: ColumnReaderImpl<Int64Type>, nullable: Nullable) -> Self {
        Self::Int64(Column::new(reader, nullable))
    }

    pub(super) fn read<U>(
        &mut self,
        out: &mut Vec<Option<U>>,
        convert: impl Fn(i64) -> U,
    ) -> Result<(), ParquetError> {
        match self {
            Self::Int32(column) => column.read(out, |value| convert(i64::from(value))),
            Self::Int64(column) => column.read(out, convert),
        }
    }
}

/// A column of numbers.
pub(super) enum Numbers {
    Float(Column<FloatType>),
    Double(Column<DoubleType>),
    Int(Integers),
}

impl Numbers {
    pub(super) fn float(reader: ColumnReaderImpl<FloatType>, nullable: Nullable) -> Self {
        Self::Float(Column::new(reader, nullable))
    }

    pub(super) fn double(reader: ColumnReaderImpl<DoubleType>, nullable: Nullable) -> Self {
        Self::Double(Column::new(reader, nullable))
    }

    pub(super) fn int(integers: Integers) -> Self {
        Self::Int(integers)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "whole numbers above 2^53 are no clinical values"
    )]
    pub(super) fn read(&mut self, out: &mut Vec<Option<f64>>) -> Result<(), ParquetError> {
        match self {
            Self::Float(column) => column.read(out, f64::from),
            Self::Double(column) => column.read(out, |value| value),
            Self::Int(integers) => integers.read(out, |value| value as f64),
        }
    }
}

/// A column of times. Times that do not fit into 64 bits of microseconds are set to the end of that range.
pub(super) struct Times {
    integers: Integers,
    unit: Unit,
}

/// The unit of a time column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Day,
    Milli,
    Micro,
    Nano,
}

impl Times {
    pub(super) fn new(integers: Integers, unit: Unit) -> Self {
        Self { integers, unit }
    }

    pub(super) fn read(&mut self, out: &mut Vec<Option<Timestamp>>) -> Result<(), ParquetError> {
        let unit = self.unit;
        self.integers.read(out, |value| {
            Timestamp(match unit {
                Unit::Day => value.saturating_mul(Timestamp::DAY),
                Unit::Milli => value.saturating_mul(1_000),
                Unit::Micro => value,
                Unit::Nano => value.div_euclid(1_000),
            })
        })
    }
}
