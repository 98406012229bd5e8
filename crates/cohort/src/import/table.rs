//! A CSV file as rows of named cells.

use csv::ByteRecord;

use super::map::{Csv, Filter};
use super::{ImportError, level};
use crate::bad_row::{BadRow, Problem, Quoted, Triage};
use crate::meds::Timestamp;

use super::map::TimeFormat;

/// A CSV file.
pub(super) struct Table<'a> {
    pub(super) name: &'a str,
    bytes: &'a [u8],
    layout: &'a Csv,
    columns: Vec<String>,
}

/// A row of a table.
pub(super) struct Row<'a> {
    /// From 1, without the header line.
    pub(super) number: u64,
    record: &'a ByteRecord,
    missing: &'a [String],
}

/// A cell that cannot be used: its column and what is wrong.
pub(super) type BadCell = (usize, Problem);

impl<'a> Table<'a> {
    pub(super) fn open(
        name: &'a str,
        bytes: &'a [u8],
        layout: &'a Csv,
    ) -> Result<Self, ImportError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut table = Self {
            name,
            bytes,
            layout,
            columns: Vec::new(),
        };
        table.columns = match &layout.columns {
            Some(columns) => columns.clone(),
            None => {
                let mut header = ByteRecord::new();
                table
                    .reader()
                    .read_byte_record(&mut header)
                    .map_err(|error| table.unreadable(&error))?;
                header
                    .iter()
                    .map(|cell| String::from_utf8_lossy(cell).trim().to_owned())
                    .collect()
            }
        };
        Ok(table)
    }

    /// The place of a column.
    pub(super) fn column(&self, name: &str) -> Result<usize, ImportError> {
        self.columns
            .iter()
            .position(|column| column == name)
            .ok_or_else(|| ImportError::NoColumn {
                file: self.name.to_owned(),
                column: name.to_owned(),
            })
    }

    /// Gives every row with as many cells as there are columns to `each`; others are bad.
    pub(super) fn rows(
        &self,
        triage: &mut Triage,
        mut each: impl FnMut(&Row<'_>, &mut Triage) -> Result<(), ImportError>,
    ) -> Result<u64, ImportError> {
        let mut reader = self.reader();
        let mut record = ByteRecord::new();
        let mut read = |record: &mut ByteRecord| {
            reader
                .read_byte_record(record)
                .map_err(|error| self.unreadable(&error))
        };
        if self.layout.columns.is_none() {
            read(&mut record)?;
        }
        let mut number = 0;
        while read(&mut record)? {
            number += 1;
            let (found, want) = (record.len(), self.columns.len());
            if found == want {
                each(
                    &Row {
                        number,
                        record: &record,
                        missing: &self.layout.missing,
                    },
                    triage,
                )?;
            } else {
                let column = self.columns.get(found).map_or("(none)", String::as_str);
                triage.refuse(self.name, number, column, Problem::Cells { found, want })?;
            }
        }
        Ok(number)
    }

    /// Takes note of a bad cell.
    pub(super) fn refuse(
        &self,
        triage: &mut Triage,
        row: &Row<'_>,
        bad: BadCell,
    ) -> Result<(), BadRow> {
        let (column, problem) = bad;
        triage.refuse(self.name, row.number, &self.columns[column], problem)
    }

    fn reader(&self) -> csv::Reader<&'a [u8]> {
        let delimiter = u8::try_from(self.layout.delimiter).unwrap_or(b',');
        csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(self.bytes)
    }

    fn unreadable(&self, error: &csv::Error) -> ImportError {
        ImportError::Unreadable {
            file: self.name.to_owned(),
            problem: error.to_string(),
        }
    }
}

impl Row<'_> {
    /// The cell of a column without the space around it; nothing where it is missing.
    pub(super) fn cell(&self, column: usize) -> Result<Option<&str>, BadCell> {
        let cell = self.record.get(column).unwrap_or_default();
        let cell = std::str::from_utf8(cell)
            .map_err(|_| (column, Problem::NotText))?
            .trim();
        Ok((!self
            .missing
            .iter()
            .any(|missing| level::same(missing, cell)))
        .then_some(cell))
    }

    /// A cell that must be there.
    pub(super) fn required(&self, column: usize) -> Result<&str, BadCell> {
        self.cell(column)?.ok_or((column, Problem::Missing))
    }

    /// A whole number, which may be written with decimals of 0.
    pub(super) fn integer(&self, column: usize) -> Result<i64, BadCell> {
        let cell = self.required(column)?;
        let wrong = || (column, Problem::NotInteger(Quoted::new(cell.as_bytes())));
        level::plain(cell).parse().map_err(|_| wrong())
    }

    /// A time.
    pub(super) fn time(
        &self,
        column: usize,
        format: TimeFormat,
    ) -> Result<Option<Timestamp>, BadCell> {
        let Some(cell) = self.cell(column)? else {
            return Ok(None);
        };
        let wrong = || (column, Problem::NotTime(Quoted::new(cell.as_bytes())));
        let scaled = |scale: i64| {
            let units = level::plain(cell).parse::<i64>().ok();
            units
                .and_then(|units| units.checked_mul(scale))
                .map(Timestamp)
        };
        let time = match format {
            TimeFormat::Iso => cell.parse().ok(),
            TimeFormat::EpochSeconds => scaled(Timestamp::SECOND),
            TimeFormat::EpochMilliseconds => scaled(Timestamp::SECOND / 1_000),
        };
        time.map(Some).ok_or_else(wrong)
    }
}

/// Reads a cell as a number that MEDS can hold.
#[expect(clippy::cast_possible_truncation, reason = "MEDS holds values as f32")]
pub(super) fn number(cell: &str, column: usize) -> Result<f32, BadCell> {
    let number = cell
        .parse::<f64>()
        .ok()
        .map(|number| number as f32)
        .filter(|number| number.is_finite());
    number.ok_or_else(|| (column, Problem::NotNumber(Quoted::new(cell.as_bytes()))))
}

/// A map's filters, with the places of their columns.
pub(super) struct Filters<'a> {
    filters: Vec<(&'a Filter, Option<usize>, Vec<usize>)>,
}

impl<'a> Filters<'a> {
    pub(super) fn of(filters: &'a [Filter], table: &Table<'_>) -> Result<Self, ImportError> {
        let place = |filter: &'a Filter| {
            let column = filter
                .column
                .as_ref()
                .map(|name| table.column(name))
                .transpose()?;
            let complete: Result<Vec<usize>, _> = filter
                .complete
                .iter()
                .map(|name| table.column(name))
                .collect();
            Ok((filter, column, complete?))
        };
        Ok(Self {
            filters: filters
                .iter()
                .map(place)
                .collect::<Result<_, ImportError>>()?,
        })
    }

    /// Whether a row is used.
    pub(super) fn pass(&self, row: &Row<'_>) -> Result<bool, BadCell> {
        for (filter, column, complete) in &self.filters {
            if let Some(column) = column {
                let cell = row.cell(*column)?.unwrap_or_default();
                let among = |list: &[String]| list.iter().any(|text| level::same(text, cell));
                if (!filter.is.is_empty() && !among(&filter.is)) || among(&filter.not) {
                    return Ok(false);
                }
            }
            for column in complete {
                if row.cell(*column)?.is_none() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
