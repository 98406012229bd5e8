//! A CSV file as rows of named cells.

use std::collections::HashSet;

use super::ImportError;
use super::advice;
use super::cell::{Alike, Digits, Listed};
use super::clock::Clock;
use super::map::{Csv, Filter, Map, Offset, Unit};
use super::records::{Broken, Dialect, Found, Goes, Record, Records};
use super::text::Text;
use crate::bad_row::{BadRow, Problem, Quoted, Triage};
use crate::meds::Timestamp;

/// A CSV file's name, columns and ways: all but its rows ([`super::scan::Scan`]).
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    encoding: Option<String>,
    pub(super) digits: Digits,
    pub(super) dialect: Dialect,
    pub(super) columns: Vec<String>,
    pub(super) missing: Missing,
    /// Bytes of its text before the first row.
    pub(super) start: usize,
    header: Header,
    /// Its first lines, from the header on, for messages.
    head: Vec<u8>,
    /// Lines before these.
    skipped: usize,
}

/// The cells that mean missing in all columns.
#[derive(Debug)]
pub(super) struct Missing {
    /// In columns of numbers.
    numbers: Listed<()>,
    /// In others.
    codes: Listed<()>,
}

/// Where the names of the columns are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    InFile,
    InMap,
}

/// A row of a table.
pub(super) struct Row<'a> {
    /// From 1, without the header line.
    pub(super) number: u64,
    pub(super) record: &'a Record,
    pub(super) missing: &'a Missing,
    pub(super) digits: Digits,
}

/// A cell that cannot be used: its column and what is wrong.
pub(super) type BadCell = (usize, Problem);

impl Table {
    /// The table of a file whose first piece this is.
    pub(super) fn open(
        name: &str,
        piece: &[u8],
        goes: Goes,
        layout: &Csv,
    ) -> Result<Self, ImportError> {
        let mut text = Vec::new();
        Text::of(name, piece, layout.encoding.as_deref())?.push(piece, goes, &mut text)?;
        let mut dialect = layout.dialect();
        let mut start = skip(&text, layout.skip_lines);
        if let Some((delimiter, length)) = separator_line(&text[start..]) {
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
        let head = &text[start..];
        let mut table = Self {
            name: name.to_owned(),
            encoding: layout.encoding.clone(),
            digits: layout.digits(),
            dialect,
            columns: Vec::new(),
            missing: Missing {
                numbers: Listed::cells(&layout.missing, layout.digits(), Alike::Number),
                codes: Listed::cells(&layout.missing, layout.digits(), Alike::Code),
            },
            start,
            header: Header::InMap,
            head: head[..head.len().min(HEAD)].to_owned(),
            skipped: bytes_lines(&text[..start]),
        };
        match &layout.columns {
            Some(columns) => table.columns.clone_from(columns),
            None => table.read_header(head, goes)?,
        }
        Ok(table)
    }

    /// The text of its file, whose first piece this is.
    pub(super) fn text(&self, piece: &[u8]) -> Result<Text, ImportError> {
        Text::of(&self.name, piece, self.encoding.as_deref())
    }

    fn read_header(&mut self, head: &[u8], goes: Goes) -> Result<(), ImportError> {
        self.header = Header::InFile;
        let mut header = Record::default();
        let mut records = Records::new(head, goes, self.dialect, 0);
        let read = records.read(&mut header);
        if read.map_err(|broken| self.broken(0, broken))? == Found::Part {
            return Err(self.broken(0, Broken::too_long()));
        }
        let names = header.iter().map(|cell| String::from_utf8_lossy(cell));
        self.columns = names.map(|name| name.trim().to_owned()).collect();
        self.start += head.len() - records.rest.len();
        Ok(())
    }

    /// The place of a column.
    pub(super) fn column(&self, name: &str) -> Result<usize, ImportError> {
        let places = self.columns.iter().enumerate();
        let mut places = places.filter(|(_, column)| *column == name);
        let Some((place, _)) = places.next() else {
            return Err(ImportError::NoColumn {
                file: self.name.clone(),
                column: name.to_owned(),
                found: self.found(),
                help: self.help(name),
            });
        };
        match places.next() {
            None => Ok(place),
            Some((second, _)) => Err(ImportError::SameName {
                file: self.name.clone(),
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

    /// Takes note of a bad cell.
    pub(super) fn refuse(
        &self,
        triage: &mut Triage,
        row: &Row<'_>,
        bad: BadCell,
    ) -> Result<(), BadRow> {
        let (column, problem) = bad;
        triage.refuse(&self.name, row.number, &self.columns[column], problem)
    }

    pub(super) fn broken(&self, row: u64, broken: Broken) -> ImportError {
        ImportError::Broken {
            file: self.name.clone(),
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
        if let Some(encoding) = &self.encoding
            && self.columns.iter().any(|column| column.contains('Ã'))
        {
            return format!(
                ". The header may be UTF-8 that is read as {encoding}: take csv.encoding out of the map"
            );
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
            let skipped = self.skipped + line;
            return format!(". A later line has it: set csv.skip-lines = {skipped} in the map");
        }
        String::new()
    }

    /// Lines before the one of the first few that holds a cell `name`.
    fn line_with(&self, name: &str) -> Option<usize> {
        let mut lines = self.head.split(|byte| *byte == b'\n').take(LINES_SEARCHED);
        lines.position(|line| {
            let mut record = Record::default();
            let read = Records::new(line, Goes::NoFurther, self.dialect, 0).read(&mut record);
            read == Ok(Found::Record)
                && record
                    .iter()
                    .any(|cell| cell.trim_ascii() == name.as_bytes())
        })
    }
}

/// Columns that a message names.
const COLUMNS_TOLD: usize = 40;

/// Bytes in which a header is looked for.
const HEAD: usize = 1 << 16;

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
        self.cell_of(column, Alike::Code)
    }

    /// The cell of a column whose cells are compared so.
    pub(super) fn cell_of(&self, column: usize, alike: Alike) -> Result<Option<&str>, BadCell> {
        let cell = self.text(column)?;
        let missing = match alike {
            Alike::Number => &self.missing.numbers,
            Alike::Code | Alike::Text => &self.missing.codes,
        };
        Ok((!missing.contains(cell)).then_some(cell))
    }

    /// The cell of a column without the space around it, whatever it means.
    pub(super) fn text(&self, column: usize) -> Result<&str, BadCell> {
        let cell = self.record.get(column).unwrap_or_default();
        let cell = std::str::from_utf8(cell).map_err(|_| (column, Problem::NotEncoded))?;
        Ok(cell.trim())
    }

    /// A cell that must be there.
    pub(super) fn required(&self, column: usize) -> Result<&str, BadCell> {
        self.cell(column)?.ok_or((column, Problem::Missing))
    }

    /// A whole number, which may be written with decimals of 0.
    pub(super) fn integer(&self, column: usize) -> Result<i64, BadCell> {
        let cell = self.required(column)?;
        let quoted = || Quoted::new(cell.as_bytes());
        let whole = self.digits.whole(cell);
        let whole = whole.ok_or_else(|| (column, Problem::NotInteger(quoted())))?;
        whole
            .parse()
            .map_err(|_| (column, Problem::IntegerRange(quoted())))
    }

    /// A number.
    pub(super) fn number(&self, cell: &str, column: usize) -> Result<f64, BadCell> {
        let number = self.digits.number(cell);
        number.ok_or_else(|| {
            let help = advice::number(cell, self.digits);
            let quoted = Quoted::new(cell.as_bytes());
            (column, Problem::UnfitNumber(quoted, help))
        })
    }

    /// A time.
    pub(super) fn time(
        &self,
        column: usize,
        clock: &mut Clock,
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
#[derive(Debug)]
pub(super) struct Since {
    unit: Unit,
    column: usize,
    from: From,
}

#[derive(Debug)]
enum From {
    Time(Timestamp),
    Column(usize),
}

impl Since {
    pub(super) fn of(offset: &Offset, table: &Table) -> Result<Self, ImportError> {
        let from = match &offset.since_column {
            Some(name) => From::Column(table.column(name)?),
            None => {
                let time = offset.since.as_ref().and_then(|time| time.parse().ok());
                From::Time(time.unwrap_or(Timestamp(0)))
            }
        };
        Ok(Self {
            unit: offset.unit,
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
        clock: &mut Clock,
    ) -> Result<Option<Timestamp>, BadCell> {
        let Some(cell) = row.cell_of(self.column, Alike::Number)? else {
            return Ok(None);
        };
        let number = row.number(cell, self.column)?;
        let micros = (number * micros(self.unit.micros())).round();
        if micros.abs() > LONGEST {
            let quoted = Quoted::new(cell.as_bytes());
            return Err((self.column, Problem::NotNumber(quoted)));
        }
        let from = match self.from {
            From::Time(time) => time,
            From::Column(place) => row.time(place, clock)?.ok_or((place, Problem::Missing))?,
        };
        #[expect(clippy::cast_possible_truncation, reason = "below 2^53, and rounded")]
        let time = from.plus(micros as i64);
        if time.is_plausible() {
            return Ok(Some(time));
        }
        let quoted = Quoted::new(cell.as_bytes());
        let help =
            format!(": counted from {from} it is {time}; see that offset.unit is what it counts");
        Err((self.column, Problem::FarTime(quoted, help)))
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
#[derive(Debug)]
pub(super) struct Filters {
    filters: Vec<Placed>,
}

#[derive(Debug)]
struct Placed {
    name: String,
    column: Option<usize>,
    complete: Vec<(usize, Alike)>,
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

impl Filters {
    pub(super) fn of(map: &Map, table: &Table) -> Result<Self, ImportError> {
        let place = |filter: &Filter| {
            let column = filter.column.as_ref().map(|name| table.column(name));
            let complete = filter.complete.iter();
            let complete = complete.map(|name| Ok((table.column(name)?, map.alike(name))));
            let alike = match &filter.column {
                Some(name) if !filter.verbatim => map.alike(name),
                _ => Alike::Text,
            };
            Ok(Placed {
                name: filter.to_string(),
                column: column.transpose()?,
                complete: complete.collect::<Result<_, ImportError>>()?,
                is: Listed::cells(&filter.is, table.digits, alike),
                not: Listed::cells(&filter.not, table.digits, alike),
                passed: 0,
                seen: Vec::new(),
            })
        };
        let filters: Result<_, ImportError> = map.filters.iter().map(place).collect();
        Ok(Self { filters: filters? })
    }

    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        let of_filter = |placed: &'_ Placed| {
            let complete: Vec<usize> = placed.complete.iter().map(|(place, _)| *place).collect();
            placed.column.into_iter().chain(complete)
        };
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
            for (column, alike) in &placed.complete {
                if row.cell_of(*column, *alike)?.is_none() {
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
        counts.map(|placed| (placed.name.clone(), placed.passed, placed.seen.as_slice()))
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
