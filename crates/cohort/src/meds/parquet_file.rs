//! A Parquet file whose footer has been checked.

use std::ops::Range;
use std::sync::Arc;

use parquet::basic::{Compression, Type};
use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};

use super::clock::Clock;
use super::codec::Codec;
use super::column::{Booleans, Column, Integers, Numbers, Stored, Texts, Times};
use super::file_bytes::FileBytes;
use super::kind::{self, Kind};
use super::pages::CheckedPages;
use crate::error::{CohortError, ColumnProblem};
use crate::zone::Zone;

/// Columns that a message names.
const MOST_NAMED: usize = 12;

/// A Parquet file's footer, and the bytes of the row group that is read.
#[derive(Debug)]
pub(crate) struct ParquetFile {
    pub(super) name: String,
    /// The zone that its times of UTC are shown in.
    zone: Option<Zone>,
    metadata: ParquetMetaData,
    bytes: Arc<FileBytes>,
}

impl ParquetFile {
    /// A file of so many bytes, whose every column lies within them.
    pub(super) fn new(
        name: &str,
        length: u64,
        zone: Option<Zone>,
        metadata: ParquetMetaData,
    ) -> Result<Self, CohortError> {
        check_extents(&metadata, length).map_err(|problem| CohortError::Unreadable {
            file: name.to_owned(),
            problem: problem.to_owned(),
        })?;
        Ok(Self {
            name: name.to_owned(),
            zone,
            metadata,
            bytes: Arc::default(),
        })
    }

    /// The file's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Takes the bytes of the row group that is read next.
    pub(super) fn load(&mut self, bytes: FileBytes) {
        self.bytes = Arc::new(bytes);
    }

    pub(super) fn groups(&self) -> usize {
        self.metadata.num_row_groups()
    }

    /// Where a column's bytes of a row group lie.
    pub(super) fn range(&self, group: usize, column: usize) -> Range<u64> {
        extent(self.metadata.row_group(group).column(column)).unwrap_or(0..0)
    }

    /// The place of a column that is not nested in another; nothing where there is none of this name.
    ///
    /// # Errors
    ///
    /// Two columns of this name, and one that holds lists or records.
    pub(super) fn column(&self, name: &str) -> Result<Option<usize>, CohortError> {
        let schema = self.schema();
        let mut places = (0..schema.num_columns()).filter(|place| self.root(*place) == name);
        let Some(place) = places.next() else {
            return Ok(None);
        };
        let column = schema.column(place);
        let flat = column.path().parts().len() == 1
            && column.max_rep_level() == 0
            && column.max_def_level() <= 1;
        if !flat {
            return Err(self.refuse(name, ColumnProblem::Nested));
        }
        match places.next() {
            None => Ok(Some(place)),
            Some(_) => Err(self.refuse(name, ColumnProblem::Twice)),
        }
    }

    /// The place of a column that must be there.
    pub(super) fn required(&self, name: &str) -> Result<usize, CohortError> {
        self.column(name)?.ok_or_else(|| self.absent(name))
    }

    /// A column that must be there and is not.
    pub(super) fn absent(&self, name: &str) -> CohortError {
        let mut found: Vec<String> = (0..self.schema().num_columns())
            .map(|place| self.root(place))
            .collect();
        found.dedup();
        let rest = found.split_off(found.len().min(MOST_NAMED));
        let mut found = found.join(", ");
        if !rest.is_empty() {
            found += &format!(" and {} more", rest.len());
        }
        self.refuse(name, ColumnProblem::Absent { found })
    }

    /// The outermost name of a column.
    fn root(&self, place: usize) -> String {
        let column = self.descriptor(place);
        column.path().parts().first().cloned().unwrap_or_default()
    }

    /// A column of ids: nulls alone are none.
    pub(super) fn ids(&self, group: usize, place: usize) -> Result<Integers, CohortError> {
        match self.integers(group, place)? {
            Integers::Nothing => Err(self.refuse_type(place, "int64")),
            ids => Ok(ids),
        }
    }

    pub(super) fn integers(&self, group: usize, place: usize) -> Result<Integers, CohortError> {
        let integers = match self.kind(place) {
            Some(Kind::Nothing) => Some(Integers::Nothing),
            Some(Kind::Signed) => self.stored(group, place)?.map(Integers::Signed),
            Some(Kind::Unsigned32) => self.stored(group, place)?.map(Integers::Unsigned32),
            Some(Kind::Unsigned64) => self.stored(group, place)?.map(Integers::Unsigned64),
            Some(Kind::Decimal { scale }) => self
                .stored(group, place)?
                .map(|stored| Integers::Decimal(stored, scale)),
            _ => None,
        };
        integers.ok_or_else(|| self.refuse_type(place, "int64"))
    }

    pub(super) fn numbers(&self, group: usize, place: usize) -> Result<Numbers, CohortError> {
        const WANT: &str = "float or double";
        match self.kind(place) {
            Some(Kind::Real) => {
                let stored = self.stored(group, place)?;
                stored
                    .map(Numbers::Real)
                    .ok_or_else(|| self.refuse_type(place, WANT))
            }
            Some(
                Kind::Nothing
                | Kind::Signed
                | Kind::Unsigned32
                | Kind::Unsigned64
                | Kind::Decimal { .. },
            ) => Ok(Numbers::Whole(self.integers(group, place)?)),
            _ => Err(self.refuse_type(place, WANT)),
        }
    }

    /// A column that may be absent.
    pub(super) fn optional_numbers(
        &self,
        group: usize,
        place: Option<usize>,
    ) -> Result<Numbers, CohortError> {
        match place {
            Some(place) => self.numbers(group, place),
            None => Ok(Numbers::Whole(Integers::Nothing)),
        }
    }

    pub(super) fn times(&self, group: usize, place: usize) -> Result<Times, CohortError> {
        let times = match self.kind(place) {
            Some(Kind::Nothing) => Some(Times::Nothing),
            Some(Kind::Date) => self.stored(group, place)?.map(Times::Days),
            Some(Kind::Moment { unit, clock }) => {
                let stored = self.stored(group, place)?;
                stored.map(|stored| match (clock, &self.zone) {
                    (Clock::Utc, Some(zone)) => Times::Instants(stored, unit, zone.clone()),
                    _ => Times::Moments(stored, unit),
                })
            }
            _ => None,
        };
        times.ok_or_else(|| {
            if self.descriptor(place).physical_type() == Type::INT96 {
                self.refuse(self.descriptor(place).name(), ColumnProblem::Int96)
            } else {
                self.refuse_type(place, "timestamp[us]")
            }
        })
    }

    /// The clock of a column of times, as they are read; nothing where it holds none.
    pub(super) fn clock(&self, place: usize) -> Option<Clock> {
        match self.kind(place)? {
            Kind::Moment { .. } if self.zone.is_some() => Some(Clock::Local),
            Kind::Moment { clock, .. } => Some(clock),
            // A day begins where the hospital is.
            Kind::Date => Some(Clock::Local),
            _ => None,
        }
    }

    pub(super) fn texts(&self, group: usize, place: usize) -> Result<Texts, CohortError> {
        match self.kind(place) {
            Some(Kind::Nothing) => return Ok(Texts::Nothing),
            Some(Kind::Text) => {
                let reader = self.open_column(group, place)?;
                if let ColumnReader::ByteArrayColumnReader(reader) = reader {
                    return Ok(Texts::Bytes(Box::new(Column::new(
                        reader,
                        self.nullable(place),
                    ))));
                }
            }
            _ => {}
        }
        Err(self.refuse_type(place, "string"))
    }

    pub(super) fn booleans(&self, group: usize, place: usize) -> Result<Booleans, CohortError> {
        match self.kind(place) {
            Some(Kind::Nothing) => return Ok(Booleans::Nothing),
            Some(Kind::Truth) => {
                let reader = self.open_column(group, place)?;
                if let ColumnReader::BoolColumnReader(reader) = reader {
                    return Ok(Booleans::Bits(Box::new(Column::new(
                        reader,
                        self.nullable(place),
                    ))));
                }
            }
            _ => {}
        }
        Err(self.refuse_type(place, "boolean"))
    }

    fn kind(&self, place: usize) -> Option<Kind> {
        Kind::of(&self.descriptor(place))
    }

    fn descriptor(&self, place: usize) -> ColumnDescPtr {
        self.schema().column(place)
    }

    fn schema(&self) -> &SchemaDescriptor {
        self.metadata.file_metadata().schema_descr()
    }

    /// A column of numbers; nothing where its physical type is none of a number.
    fn stored(&self, group: usize, place: usize) -> Result<Option<Stored>, CohortError> {
        let reader = self.open_column(group, place)?;
        Ok(Stored::new(reader, self.nullable(place)))
    }

    pub(super) fn unreadable(&self, error: &ParquetError) -> CohortError {
        unreadable(&self.name, error)
    }

    /// Refuses columns that end at different rows.
    pub(super) fn check_lengths(&self, rows: usize, lengths: &[usize]) -> Result<(), CohortError> {
        if lengths.iter().all(|length| *length == rows) {
            return Ok(());
        }
        Err(CohortError::Unreadable {
            file: self.name.clone(),
            problem: "its columns differ in length".to_owned(),
        })
    }

    fn open_column(&self, group: usize, place: usize) -> Result<ColumnReader, CohortError> {
        let group = self.metadata.row_group(group);
        let chunk = group.column(place);
        let Some(codec) = Codec::of(chunk.compression()) else {
            let codec = format!("{:?}", chunk.compression_codec());
            let column = chunk.column_descr().name();
            return Err(self.refuse(column, ColumnProblem::Compression(codec)));
        };
        let column = chunk.column_descr_ptr();
        let failed = |error| self.unreadable(&error);
        // Pages are handed over as they are, and unpacked within bounds.
        let packed = chunk.clone().into_builder();
        let packed = packed
            .set_compression(Compression::UNCOMPRESSED)
            .build()
            .map_err(failed)?;
        let rows = usize::try_from(group.num_rows()).unwrap_or(usize::MAX);
        let pages = SerializedPageReader::new(self.bytes.clone(), &packed, rows, None);
        let pages = Box::new(pages.map_err(failed)?);
        let pages = CheckedPages::new(pages, codec, &column, self.nullable(place));
        Ok(get_column_reader(column, Box::new(pages)))
    }

    fn nullable(&self, place: usize) -> Nullable {
        if self.descriptor(place).max_def_level() == 0 {
            Nullable::No
        } else {
            Nullable::Yes
        }
    }

    fn refuse_type(&self, place: usize, want: &'static str) -> CohortError {
        let column = self.descriptor(place);
        let found = kind::name(&column);
        self.refuse(column.name(), ColumnProblem::Type { found, want })
    }

    fn refuse(&self, column: &str, problem: ColumnProblem) -> CohortError {
        CohortError::Column {
            file: self.name.clone(),
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
fn check_extents(metadata: &ParquetMetaData, length: u64) -> Result<(), &'static str> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    for group in metadata.row_groups() {
        if group.num_rows() < 0 || group.num_columns() != columns {
            return Err("a row group does not fit the schema");
        }
        for chunk in group.columns() {
            if extent(chunk).is_none_or(|extent| extent.end > length) || chunk.num_values() < 0 {
                return Err("a column lies outside of the file");
            }
        }
    }
    Ok(())
}

/// Where the bytes of a column lie; nothing where the numbers are none of a place.
fn extent(chunk: &ColumnChunkMetaData) -> Option<Range<u64>> {
    let start = chunk.dictionary_page_offset();
    let start = u64::try_from(start.unwrap_or_else(|| chunk.data_page_offset())).ok()?;
    let length = u64::try_from(chunk.compressed_size()).ok()?;
    Some(start..start.checked_add(length)?)
}
