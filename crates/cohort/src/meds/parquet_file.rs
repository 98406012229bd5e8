//! A Parquet file whose footer has been checked.

use parquet::basic::{Compression, LogicalType, TimeUnit, Type};
use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetStatisticsPolicy};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;
use protocol::door::File;

use super::column::{Integers, Numbers, Times, Unit};
use super::file_bytes::FileBytes;
use super::pages::CheckedPages;
use crate::error::{CohortError, ColumnProblem};

/// A Parquet file.
pub(super) struct ParquetFile<'a> {
    pub(super) name: &'a str,
    reader: SerializedFileReader<FileBytes>,
}

impl<'a> ParquetFile<'a> {
    /// Opens a file whose every column lies within its bytes.
    pub(super) fn open(file: &'a File) -> Result<Self, CohortError> {
        let options = ReadOptionsBuilder::new()
            .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .build();
        let bytes = FileBytes::new(&file.bytes);
        let reader = SerializedFileReader::new_with_options(bytes, options)
            .map_err(|error| unreadable(&file.name, &error))?;
        check_extents(reader.metadata(), file.bytes.len()).map_err(|problem| {
            CohortError::Unreadable {
                file: file.name.clone(),
                problem: problem.to_owned(),
            }
        })?;
        Ok(Self {
            name: &file.name,
            reader,
        })
    }

    pub(super) fn groups(&self) -> usize {
        self.reader.num_row_groups()
    }

    /// The place of a column that is not nested in another.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        (0..schema.num_columns()).find(|place| {
            let column = schema.column(*place);
            column.max_rep_level() == 0
                && column.max_def_level() <= 1
                && column
                    .path()
                    .parts()
                    .first()
                    .is_some_and(|first| first == name)
                && column.path().parts().len() == 1
        })
    }

    /// The place of a column that must be there.
    pub(super) fn required(&self, name: &str) -> Result<usize, CohortError> {
        self.column(name)
            .ok_or_else(|| self.refuse(name, ColumnProblem::Absent))
    }

    pub(super) fn integers(&self, group: usize, place: usize) -> Result<Integers, CohortError> {
        match self.open_column(group, place)? {
            ColumnReader::Int32ColumnReader(reader) => {
                Ok(Integers::int32(reader, self.nullable(place)))
            }
            ColumnReader::Int64ColumnReader(reader) => {
                Ok(Integers::int64(reader, self.nullable(place)))
            }
            _ => Err(self.refuse_type(place, "int64")),
        }
    }

    pub(super) fn numbers(&self, group: usize, place: usize) -> Result<Numbers, CohortError> {
        let nullable = self.nullable(place);
        match self.open_column(group, place)? {
            ColumnReader::FloatColumnReader(reader) => Ok(Numbers::float(reader, nullable)),
            ColumnReader::DoubleColumnReader(reader) => Ok(Numbers::double(reader, nullable)),
            ColumnReader::Int32ColumnReader(reader) => {
                Ok(Numbers::int(Integers::int32(reader, nullable)))
            }
            ColumnReader::Int64ColumnReader(reader) => {
                Ok(Numbers::int(Integers::int64(reader, nullable)))
            }
            _ => Err(self.refuse_type(place, "float or double")),
        }
    }

    pub(super) fn times(&self, group: usize, place: usize) -> Result<Times, CohortError> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        let column = schema.column(place);
        if column.physical_type() == Type::INT96 {
            return Err(self.refuse(column.name(), ColumnProblem::Int96));
        }
        // The reader gives files with the older converted types the logical type that stands for them.
        let unit = match column.logical_type_ref() {
            Some(LogicalType::Date) => Unit::Day,
            Some(LogicalType::Timestamp(timestamp)) => match timestamp.unit {
                TimeUnit::MILLIS => Unit::Milli,
                TimeUnit::MICROS => Unit::Micro,
                TimeUnit::NANOS => Unit::Nano,
            },
            _ => return Err(self.refuse_type(place, "timestamp[us]")),
        };
        Ok(Times::new(self.integers(group, place)?, unit))
    }

    pub(super) fn texts(
        &self,
        group: usize,
        place: usize,
    ) -> Result<super::column::Texts, CohortError> {
        match self.open_column(group, place)? {
            ColumnReader::ByteArrayColumnReader(reader) => {
                Ok(super::column::Column::new(reader, self.nullable(place)))
            }
            _ => Err(self.refuse_type(place, "string")),
        }
    }

    pub(super) fn booleans(
        &self,
        group: usize,
        place: usize,
    ) -> Result<super::column::Booleans, CohortError> {
        match self.open_column(group, place)? {
            ColumnReader::BoolColumnReader(reader) => {
                Ok(super::column::Column::new(reader, self.nullable(place)))
            }
            _ => Err(self.refuse_type(place, "boolean")),
        }
    }

    pub(super) fn unreadable(&self, error: &ParquetError) -> CohortError {
        unreadable(self.name, error)
    }

    /// Columns of one file that end at different rows.
    pub(super) fn ragged(&self) -> CohortError {
        CohortError::Unreadable {
            file: self.name.to_owned(),
            problem: "its columns differ in length".to_owned(),
        }
    }

    fn open_column(&self, group: usize, place: usize) -> Result<ColumnReader, CohortError> {
        let chunk = self.reader.metadata().row_group(group).column(place);
        if !matches!(
            chunk.compression(),
            Compression::UNCOMPRESSED | Compression::SNAPPY
        ) {
            let codec = format!("{:?}", chunk.compression_codec());
            return Err(self.refuse(
                chunk.column_descr().name(),
                ColumnProblem::Compression(codec),
            ));
        }
        let column = chunk.column_descr_ptr();
        let group = self
            .reader
            .get_row_group(group)
            .map_err(|error| self.unreadable(&error))?;
        let pages = group
            .get_column_page_reader(place)
            .map_err(|error| self.unreadable(&error))?;
        let pages = CheckedPages::new(pages, &column, self.nullable(place));
        Ok(get_column_reader(column, Box::new(pages)))
    }

    fn nullable(&self, place: usize) -> Nullable {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        if schema.column(place).max_def_level() == 0 {
            Nullable::No
        } else {
            Nullable::Yes
        }
    }

    fn refuse_type(&self, place: usize, want: &'static str) -> CohortError {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        let column = schema.column(place);
        let found = match column.logical_type_ref() {
            Some(logical) => format!("{} ({logical:?})", column.physical_type()),
            None => column.physical_type().to_string(),
        };
        self.refuse(column.name(), ColumnProblem::Type { found, want })
    }

    fn refuse(&self, column: &str, problem: ColumnProblem) -> CohortError {
        CohortError::Column {
            file: self.name.to_owned(),
            column: column.to_owned(),
            problem,
        }
    }
}

/// Whether a column may lack values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nullable {
    /// Every row has a value.
    No,
    /// A row may have none.
    Yes,
}

fn unreadable(file: &str, error: &ParquetError) -> CohortError {
    CohortError::Unreadable {
        file: file.to_owned(),
        problem: error.to_string(),
    }
}

/// Refuses a footer that points outside of the file: the reader takes its offsets as they are, and panics on some.
fn check_extents(metadata: &ParquetMetaData, file: usize) -> Result<(), &'static str> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    for group in metadata.row_groups() {
        if group.num_rows() < 0 || group.num_columns() != columns {
            return Err("a row group does not fit the schema");
        }
        for chunk in group.columns() {
            let start = chunk
                .dictionary_page_offset()
                .unwrap_or_else(|| chunk.data_page_offset());
            let start = usize::try_from(start).ok();
            let length = usize::try_from(chunk.compressed_size()).ok();
            let end = start
                .zip(length)
                .and_then(|(start, length)| start.checked_add(length));
            if end.is_none_or(|end| end > file) || chunk.num_values() < 0 {
                return Err("a column lies outside of the file");
            }
        }
    }
    Ok(())
}
