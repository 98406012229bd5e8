//! A CSV file as rows of named cells.

use std::borrow::Cow;
use std::collections::HashSet;

use super::cell::{Digits, Listed};
use super::clock::Clock;
use super::map::{Csv, Filter, Offset};
use super::records::{Dialect, Record, Records};
use super::{ImportError, text};
use crate::bad_row::{BadRow, Problem, Quoted, Triage};
use crate::meds::Timestamp;

/// A CSV file.
pub(super) struct Table<'a> {
    pub(super) name: &'a str,
    pub(super) digits: Digits,
    /// Decoded, without what stands before the table.
    bytes: Cow<'a, [u8]>,
    start: usize,
    dialect: Dialect,
    header: Header,
    columns: Vec<String>,
    missing: Listed<()>,
}

/// Where the names of the columns are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    InFile,
    InMap,
}

/// A row of a table.
pub(super) struct Row<'a> {
    /// From 1, without the header line.
    pub(super) number: u64,
    record: &'a Record,
    missing: &'a Listed<()>,
    pub(super) digits: Digits,
}

/// A cell that cannot be used: its column and what is wrong.
pub(super) type BadCell = (usize, Problem);

/// What was read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Read {
    /// Rows, bad ones included.
    pub(super) rows: u64,
    /// Lines that hold nothing.
    pub(super) blank: u64,
    /// Rows with line breaks in their cells, and the first of them.
    pub(super) broken: (u64, u64),
}

impl<'a> Table<'a> {
    pub(super) fn open(name: &'a str, bytes: &'a [u8], layout: &Csv) -> Result<Self, ImportError> {
        let bytes = text::decode(name, bytes, layout.encoding.as_deref())?;
        let mut dialect = layout.dialect();
        let mut start = skip(&bytes, layout.skip_lines);
        if let Some((delimiter, length)) = separator_line(&bytes[start..]) {
            if layout.delimiter.is_some() && dialect.delimiter != delimiter {
                return Err(ImportError::Unreadable {
                    file: name.to_owned(),
                    problem: format!(
                        "its first line says sep={} and the map's csv.delimiter is another: take csv.delimiter out",
                        char::from(delimiter)
                    ),
                });
            }
            dialect.delimiter = delimiter;
            start += length;
        }
        let mut table = Self {
            name,
            digits: layout.digits(),
            bytes,
            start,
            dialect,
            header: Header::InMap,
            columns: Vec::new(),
            missing: Listed::cells(&layout.missing, layout.digits()),
        };
        match &layout.columns {
            Some(columns) => table.columns.clone_from(columns),
            None => {
                table.header = Header::InFile;
                let mut header = Record::default();
                let read = table.records().read(&mut header);
                read.map_err(|broken| table.broken(0, broken))?;
                let names = header.iter().map(|cell| String::from_utf8_lossy(cell));
                table.columns = names.map(|name| name.trim().to_owned()).collect();
            }
        }
        Ok(table)
    }

    /// The place of a column.
    pub(super) fn column(&self, name: &str) -> Result<usize, ImportError> {
        let places = self.columns.iter().enumerate();
        let mut places = places.filter(|(_, column)| *column == name);
        let Some((place, _)) = places.next() else {
            return Err(ImportError::NoColumn {
                file: self.name.to_owned(),
                column: name.to_owned(),
                found: self.found(),
                help: self.help(name),
            });
        };
        match places.next() {
            None => Ok(place),
            Some((second, _)) => Err(ImportError::SameName {
                file: self.name.to_owned(),
                column: name.to_owned(),
                first: place + 1,
                second: second + 1,
            }),
        }
    }

    /// The columns other than `used`.
    pub(super) fn others(&self, used: &HashSet<usize>) -> Vec<String> {
        let others = self.columns.iter().enumerate();
        let others = others.filter(|(place, _)| !used.contains(place));
        others
            .map(|(place, name)| match name.as_str() {
                "" => format!("(column {}, without a name)", place + 1),
                name => name.to_owned(),
            })
            .collect()
    }

    /// Gives every row with as many cells as there are columns to `each`; others are bad.
    pub(super) fn rows(
        &self,
        triage: &mut Triage,
        mut each: impl FnMut(&Row<'_>, &mut Triage) -> Result<(), ImportError>,
    ) -> Result<Read, ImportError> {
        let mut records = self.records();
        let mut record = Record::default();
        if self.header == Header::InFile {
            let header = records.read(&mut record);
            header.map_err(|broken| self.broken(0, broken))?;
        }
        let before = records.blank;
        let mut found = Read::default();
        loop {
            let number = found.rows + 1;
            let more = records.read(&mut record);
            if !more.map_err(|broken| self.broken(number, broken))? {
                break;
            }
            found.rows = number;
            if record.breaks > 0 {
                found.broken.0 += 1;
                if found.broken.0 == 1 {
                    found.broken.1 = number;
                }
            }
            let (cells, want) = (record.len(), self.columns.len());
            let name = |place: usize| self.columns.get(place).map_or("(none)", String::as_str);
            if cells != want {
                let problem = Problem::Cells { found: cells, want };
                triage.refuse(self.name, number, name(cells), problem)?;
            } else if let Some(place) = record.nul() {
                triage.refuse(self.name, number, name(place), Problem::Nul)?;
            } else {
                let row = Row {
                    number,
                    record: &record,
                    missing: &self.missing,
                    digits: self.digits,
                };
                each(&row, triage)?;
            }
        }
        found.blank = records.blank - before;
        Ok(found)
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

    fn records(&self) -> Records<'_> {
        Records::new(&self.bytes[self.start..], self.dialect, self.columns.len())
    }

    fn broken(&self, row: u64, broken: super::records::Broken) -> ImportError {
        ImportError::Broken {
            file: self.name.to_owned(),
            row,
            broken,
        }
    }

    /// The first columns, for a message.
    fn found(&self) -> String {
        let names = self.columns.iter().take(COLUMNS_TOLD);
        let names: Vec<String> = names.map(|name| format!("`{}`", shortened(name))).collect();
        let more = self.columns.len().saturating_sub(COLUMNS_TOLD);
        if more > 0 {
            format!("{} and {more} more", names.join(", "))
        } else {
            names.join(", ")
        }
    }

    /// What may be wrong where a column is not there.
    fn help(&self, name: &str) -> String {
        let lower = name.to_lowercase();
        let alike = self
            .columns
            .iter()
            .find(|column| column.to_lowercase() == lower);
        if let Some(alike) = alike {
            return format!(". `{alike}` differs in capitals alone: write it so in the map");
        }
        if self
            .columns
            .iter()
            .any(|column| column.contains('\u{fffd}'))
        {
            return ". The header is not UTF-8: set csv.encoding in the map, for example \"windows-1252\"".to_owned();
        }
        if let [only] = self.columns.as_slice()
            && let Some(delimiter) = [';', '\t', '|', ',']
                .into_iter()
                .find(|sign| only.contains(*sign))
        {
            let written = delimiter.escape_default();
            return format!(
                ". It looks as if cells are separated otherwise: set csv.delimiter = \"{written}\" in the map"
            );
        }
        if self.header == Header::InFile
            && let Some(line) = self.line_with(name)
        {
            let skipped = bytes_lines(&self.bytes[..self.start]) + line;
            return format!(". A later line has it: set csv.skip-lines = {skipped} in the map");
        }
        String::new()
    }

    /// Lines before the one of the first few that holds a cell `name`.
    fn line_with(&self, name: &str) -> Option<usize> {
        let text = &self.bytes[self.start..];
        let mut lines = text.split(|byte| *byte == b'\n').take(LINES_SEARCHED);
        lines.position(|line| {
            let mut record = Record::default();
            let read = Records::new(line, self.dialect, 0).read(&mut record);
            read == Ok(true)
                && record
                    .iter()
                    .any(|cell| cell.trim_ascii() == name.as_bytes())
        })
    }
}

/// Columns that a message names.
const COLUMNS_TOLD: usize = 40;

/// Lines in which a header is looked for.
const LINES_SEARCHED: usize = 50;

fn shortened(name: &str) -> String {
    name.chars().take(60).collect()
}

fn bytes_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// The place after so many lines.
fn skip(bytes: &[u8], lines: usize) -> usize {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    match lines.checked_sub(1) {
        None => 0,
        Some(last) => ends
            .map(|(place, _)| place + 1)
            .nth(last)
            .unwrap_or(bytes.len()),
    }
}

/// The delimiter that a line `sep=;` names, as Excel writes and reads it, and the line's length.
fn separator_line(bytes: &[u8]) -> Option<(u8, usize)> {
    let length = bytes.iter().position(|byte| *byte == b'\n')? + 1;
    let line = bytes[..length].trim_ascii_end();
    let line = line.strip_prefix(b"\"").unwrap_or(line);
    let line = line.strip_suffix(b"\"").unwrap_or(line);
    match line.strip_prefix(b"sep=")? {
        [delimiter] => Some((*delimiter, length)),
        // A tab is trimmed with the line's end.
        [] if bytes.get(4) == Some(&b'\t') => Some((b'\t', length)),
        _ => None,
    }
}

impl Row<'_> {
    /// The cell of a column without the space around it; nothing where it is missing.
    pub(super) fn cell(&self, column: usize) -> Result<Option<&str>, BadCell> {
        let cell = self.record.get(column).unwrap_or_default();
        let cell = std::str::from_utf8(cell)
            .map_err(|_| (column, Problem::NotEncoded))?
            .trim();
        Ok((!self.missing.contains(cell)).then_some(cell))
    }

    /// A cell that must be there.
    pub(super) fn required(&self, column: usize) -> Result<&str, BadCell> {
        self.cell(column)?.ok_or((column, Problem::Missing))
    }

    /// A whole number, which may be written with decimals of 0.
    pub(super) fn integer(&self, column: usize) -> Result<i64, BadCell> {
        let cell = self.required(column)?;
        let wrong = || (column, Problem::NotInteger(Quoted::new(cell.as_bytes())));
        let whole = self.digits.whole(cell);
        whole.and_then(|whole| whole.parse().ok()).ok_or_else(wrong)
    }

    /// A number.
    pub(super) fn number(&self, cell: &str, column: usize) -> Result<f64, BadCell> {
        let number = self.digits.number(cell);
        number.ok_or_else(|| {
            let quoted = Quoted::new(cell.as_bytes());
            let comma = Digits {
                decimal: ',',
                thousands: None,
            };
            match comma.number(cell) {
                Some(_) if self.digits.decimal == '.' && cell.contains(',') => {
                    (column, Problem::DecimalComma(quoted))
                }
                _ => (column, Problem::NotNumber(quoted)),
            }
        })
    }

    /// A time.
    pub(super) fn time(
        &self,
        column: usize,
        clock: &mut Clock<'_>,
    ) -> Result<Option<Timestamp>, BadCell> {
        let Some(cell) = self.cell(column)? else {
            return Ok(None);
        };
        let time = clock.read(cell, self.digits, self.number);
        time.map(Some).map_err(|problem| (column, problem))
    }
}

/// A number as MEDS holds it.
#[expect(clippy::cast_possible_truncation, reason = "MEDS holds values as f32")]
pub(super) fn value(number: f64, cell: &str, column: usize) -> Result<f32, BadCell> {
    let value = number as f32;
    if value.is_finite() {
        Ok(value)
    } else {
        Err((column, Problem::NotNumber(Quoted::new(cell.as_bytes()))))
    }
}

/// A time that is told from another one, with the places of its columns.
pub(super) struct Since<'a> {
    offset: &'a Offset,
    column: usize,
    from: From,
}

enum From {
    Time(Timestamp),
    Column(usize),
}

impl<'a> Since<'a> {
    pub(super) fn of(offset: &'a Offset, table: &Table<'_>) -> Result<Self, ImportError> {
        let from = match &offset.since_column {
            Some(name) => From::Column(table.column(name)?),
            None => {
                let time = offset.since.as_ref().and_then(|time| time.parse().ok());
                From::Time(time.unwrap_or(Timestamp(0)))
            }
        };
        Ok(Self {
            offset,
            column: table.column(&offset.column)?,
            from,
        })
    }

    /// The column of the offset.
    pub(super) fn place(&self) -> usize {
        self.column
    }

    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        let from = match self.from {
            From::Time(_) => None,
            From::Column(place) => Some(place),
        };
        [self.column].into_iter().chain(from)
    }

    /// The time; nothing where the offset is missing.
    pub(super) fn time(
        &self,
        row: &Row<'_>,
        clock: &mut Clock<'_>,
    ) -> Result<Option<Timestamp>, BadCell> {
        let Some(cell) = row.cell(self.column)? else {
            return Ok(None);
        };
        let number = row.number(cell, self.column)?;
        let micros = (number * micros(self.offset.unit.micros())).round();
        if micros.abs() > LONGEST {
            let quoted = Quoted::new(cell.as_bytes());
            return Err((self.column, Problem::NotNumber(quoted)));
        }
        let from = match self.from {
            From::Time(time) => time,
            From::Column(place) => row.time(place, clock)?.ok_or((place, Problem::Missing))?,
        };
        #[expect(clippy::cast_possible_truncation, reason = "below 2^53, and rounded")]
        Ok(Some(from.plus(micros as i64)))
    }
}

/// Two hundred years.
const LONGEST: f64 = 200.0 * 366.0 * 86_400.0 * 1e6;

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds of a day are far below 2^53"
)]
fn micros(micros: i64) -> f64 {
    micros as f64
}

/// A map's filters, with the places of their columns and the rows that each passed over.
pub(super) struct Filters<'a> {
    filters: Vec<Placed<'a>>,
}

struct Placed<'a> {
    filter: &'a Filter,
    column: Option<usize>,
    complete: Vec<usize>,
    is: Listed<()>,
    not: Listed<()>,
    passed: u64,
    /// The first few cells that it passed over.
    seen: Vec<String>,
}

/// Cells that a message names.
const CELLS_TOLD: usize = 5;

/// Whether a row passes the filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passes {
    Yes,
    /// The filter at this place passes it over.
    Not(usize),
}

impl<'a> Filters<'a> {
    pub(super) fn of(filters: &'a [Filter], table: &Table<'_>) -> Result<Self, ImportError> {
        let place = |filter: &'a Filter| {
            let column = filter.column.as_ref().map(|name| table.column(name));
            let complete = filter.complete.iter().map(|name| table.column(name));
            Ok(Placed {
                filter,
                column: column.transpose()?,
                complete: complete.collect::<Result<_, _>>()?,
                is: Listed::cells(&filter.is, table.digits),
                not: Listed::cells(&filter.not, table.digits),
                passed: 0,
                seen: Vec::new(),
            })
        };
        let filters: Result<_, ImportError> = filters.iter().map(place).collect();
        Ok(Self { filters: filters? })
    }

    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        let of_filter =
            |placed: &'_ Placed<'a>| placed.column.into_iter().chain(placed.complete.clone());
        self.filters.iter().flat_map(of_filter)
    }

    /// Whether a row is used.
    pub(super) fn pass(&self, row: &Row<'_>) -> Result<Passes, BadCell> {
        for (place, placed) in self.filters.iter().enumerate() {
            if let Some(column) = placed.column {
                let cell = row.cell(column)?.unwrap_or_default();
                if (!placed.is.is_empty() && !placed.is.contains(cell)) || placed.not.contains(cell)
                {
                    return Ok(Passes::Not(place));
                }
            }
            for column in &placed.complete {
                if row.cell(*column)?.is_none() {
                    return Ok(Passes::Not(place));
                }
            }
        }
        Ok(Passes::Yes)
    }

    /// Takes note of a row that a filter passes over.
    pub(super) fn count(&mut self, place: usize, row: &Row<'_>) {
        let placed = &mut self.filters[place];
        placed.passed += 1;
        if placed.seen.len() < CELLS_TOLD
            && let Some(Ok(cell)) = placed.column.map(|column| row.cell(column))
        {
            let cell = format!("`{}`", shortened(cell.unwrap_or_default()));
            if !placed.seen.contains(&cell) {
                placed.seen.push(cell);
            }
        }
    }

    /// The rows that each filter passed over, with its name and the cells that it saw first.
    pub(super) fn counts(&self) -> impl Iterator<Item = (String, u64, &[String])> {
        let counts = self.filters.iter();
        counts.map(|placed| {
            (
                placed.filter.to_string(),
                placed.passed,
                placed.seen.as_slice(),
            )
        })
    }
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if let Some(column) = &self.column {
            if !self.is.is_empty() {
                parts.push(format!("{column} is {}", self.is.join(" or ")));
            }
            if !self.not.is_empty() {
                parts.push(format!("{column} is not {}", self.not.join(" or ")));
            }
        }
        if !self.complete.is_empty() {
            parts.push(format!("none missing of {}", self.complete.join(", ")));
        }
        f.write_str(&parts.join(", "))
    }
}
