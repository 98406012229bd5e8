//! CSV to MEDS, through a map.
//!
//! ```text
//! map (TOML) ─┐
//! CSV ────────┴▶ rows ─▶ filters ─▶ first row a subject ─▶ events, labels, splits ─▶ Parquet
//! ```
//!
//! A wide table has one row a subject or stay, and its columns become codes (a column may be given more than once, with
//! other codes and levels); a long table has one row an event. What
//! a map can say is in [`Map`]; the maps that come with Wardround are in `maps/`.

mod cell;
mod clock;
mod id;
mod level;
mod long;
mod map;
mod records;
mod table;
mod text;
mod wide;
mod written;

pub use level::LevelRule;
pub use map::{
    As, ClassRule, Column, Csv, EventColumns, Filter, IdKind, Label, LinesInCells, Map, Offset,
    Prediction, Sequence, SplitColumn, Subject, SubjectColumn, TimeFormat, Transform, Unit,
};
use minicbor::bytes::ByteVec;
use protocol::door::{Counted, File, Import, Imported, Role};
pub use records::Broken;

use crate::bad_row::{BadRow, Quoted, Triage};
use crate::meds::{Events, Labels, Splits};

/// Why a CSV file cannot be imported.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The map is not TOML, or not that of a map.
    #[error("the map cannot be read: {0}")]
    Malformed(String),
    /// The map's settings do not fit each other.
    #[error("the map's {setting}: {problem}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// What would be right.
        problem: &'static str,
    },
    /// One cell is listed twice, perhaps in two ways.
    #[error(
        "the map's {setting} lists `{cell}` twice: whole numbers are the same with and without decimals"
    )]
    Twice {
        /// The setting's name.
        setting: &'static str,
        /// The cell.
        cell: String,
    },
    /// The table lacks a column that the map names.
    #[error("{file} has no column {column}, which the map names; its columns: {found}{help}")]
    NoColumn {
        /// The file's name.
        file: String,
        /// The column's name.
        column: String,
        /// The columns that the table has.
        found: String,
        /// What may be wrong; empty where nothing is known.
        help: String,
    },
    /// The table has a column's name twice.
    #[error(
        "{file} has two columns {column}, the columns {first} and {second}: rename one in the file, or name all columns in csv.columns with csv.skip-lines = 1"
    )]
    SameName {
        /// The file's name.
        file: String,
        /// The column's name.
        column: String,
        /// The first place, from 1.
        first: usize,
        /// The second.
        second: usize,
    },
    /// The file is no CSV.
    #[error("{file} is no readable CSV file: {problem}")]
    Unreadable {
        /// The file's name.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The rows of the file cannot be told apart: no row is used.
    #[error("{file}, {}: {broken}", row_name(*row))]
    Broken {
        /// The file's name.
        file: String,
        /// The row in which the trouble begins; 0 is the header.
        row: u64,
        /// What is wrong.
        broken: Broken,
    },
    /// Two ids give one number.
    #[error(
        "{file}: the ids {one} (row {at}) and {other} (row {row}) give one number, so two patients would become one. Where both are the same patient, write them alike; where not, set subject = {{ column = …, as = \"text\" }} in the map"
    )]
    OneNumber {
        /// The file's name.
        file: String,
        /// The first id.
        one: Quoted,
        /// Its row.
        at: u64,
        /// The second id.
        other: Quoted,
        /// Its row.
        row: u64,
    },
    /// Some times name a zone and others do not.
    #[error(
        "{file}: the time in row {zoned} names its zone and the one in row {naive} does not, so they cannot be compared: set zone in the map to the zone of the hospital's clocks, for example zone = \"Europe/Berlin\""
    )]
    MixedZones {
        /// The file's name.
        file: String,
        /// The first row of a time with a zone.
        zoned: u64,
        /// The first row of one without.
        naive: u64,
    },
    /// The map has ids of text, and the request no key for them.
    #[error("ids of text need the site's key, and none was given")]
    NoIdKey,
    /// A row cannot be used, and the site wants to stop at such rows.
    #[error(transparent)]
    Row(#[from] BadRow),
    /// The file has a header at most.
    #[error("{0} has no rows of data: nothing follows its header line")]
    NoData(String),
    /// No row is left.
    #[error("none of the {rows} rows of {file} is left: {why}")]
    NoRows {
        /// The file's name.
        file: String,
        /// Its rows.
        rows: u64,
        /// What became of them.
        why: String,
    },
    /// The counts of rows do not add up: a fault of this program.
    #[error(
        "{file} has {rows} rows, and {counted} are accounted for: nothing was imported; please report this"
    )]
    Unaccounted {
        /// The file's name.
        file: String,
        /// Its rows.
        rows: u64,
        /// Rows kept, passed over, not first, or left out.
        counted: u64,
    },
}

fn row_name(row: u64) -> String {
    match row {
        0 => "the header line".to_owned(),
        row => format!("row {row}"),
    }
}

/// Makes MEDS files of a CSV file.
///
/// The files are named after the CSV: `labs.csv` gives `labs.events.parquet`, and where the map has them
/// `labs.labels.parquet` and `labs.splits.parquet`. Missing values make no event.
///
/// # Errors
///
/// A map that is malformed or does not fit the file; a file whose rows cannot be told apart, or without a usable row; ids
/// or times that cannot be compared; with `Stop` for bad rows, the first row that cannot be used, named by file, row
/// and column.
pub fn import(request: &Import) -> Result<Imported, ImportError> {
    let name = &request.name;
    let map = Map::parse(&request.map)?;
    let table = table::Table::open(name, &request.csv, &map.csv)?;
    let mut triage = Triage::new(request.bad_rows);
    let mut output = Output::default();
    let kind = match &map.subject {
        Subject::Column(column) => column.kind,
        Subject::RowNumber => IdKind::Number,
    };
    let mut ids = id::Ids::new(kind, request.id_key.as_ref(), table.digits)?;
    match &map.event {
        None => wide::read(&map, &table, &mut ids, &mut triage, &mut output)?,
        Some(columns) => long::read(&map, columns, &table, &mut ids, &mut triage, &mut output)?,
    }
    output.account(name, &triage)?;
    let stem = name.strip_suffix(".csv").unwrap_or(name.as_str());
    let file = |kind: &str, role, bytes: Vec<u8>| File {
        name: format!("{stem}.{kind}.parquet"),
        role,
        bytes: ByteVec::from(bytes),
    };
    let mut files = Vec::new();
    if map.event.is_some() || !map.columns.is_empty() {
        files.push(file("events", Role::Events, output.events.into_parquet()));
    }
    if map.label.is_some() {
        files.push(file("labels", Role::Labels, output.labels.into_parquet()));
    }
    if map.split.is_some() {
        files.push(file("splits", Role::Splits, output.splits.into_parquet()));
    }
    let texts = ids.into_texts();
    Ok(Imported {
        files,
        rows: output.read.rows,
        kept: output.kept,
        passed: output.passed,
        later: output.later,
        dropped: triage.dropped,
        dropped_by: triage.dropped_by(),
        reasons: triage.reasons,
        unused: output.unused,
        notes: output.notes,
        ids: (!texts.is_empty()).then(|| id::table(&texts).into()),
    })
}

/// The lines that, added at the end of a map, keep only the rows whose `column` is `value`.
#[must_use]
pub fn only_rows(column: &str, value: &str) -> String {
    format!(
        "\n[[filter]]\ncolumn = {}\nis = [{}]\n",
        quoted(column),
        quoted(value)
    )
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(control)))
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

/// What an import makes, and what became of each row.
#[derive(Default)]
struct Output {
    events: Events,
    labels: Labels,
    splits: Splits,
    read: table::Read,
    /// Rows that passed the filters and could be used.
    kept: u64,
    /// Rows that a filter passed over.
    passed: Vec<Counted>,
    /// The first few cells that each filter passed over.
    seen: Vec<String>,
    /// Rows that are not the first of their subject.
    later: u64,
    unused: Vec<String>,
    notes: Vec<String>,
}

impl Output {
    /// Once all rows were read: takes over the counts of filters, the columns that neither they nor the plan, whose
    /// `columns` these are, use, and the clock of the files' times.
    fn finish(
        &mut self,
        table: &table::Table<'_>,
        filters: &table::Filters<'_>,
        columns: impl Iterator<Item = usize>,
        clock: &clock::Clock<'_>,
    ) -> Result<(), ImportError> {
        for (what, rows, seen) in filters.counts() {
            self.passed.push(Counted { what, rows });
            self.seen.push(seen.join(", "));
        }
        self.unused = table.others(&filters.columns().chain(columns).collect());
        let (kept, notes) = clock.finish(table.name)?;
        self.notes.extend(notes);
        if kept == clock::Kept::Utc {
            self.events.in_utc();
            self.labels.in_utc();
        }
        Ok(())
    }

    /// Sees that each row is accounted for, and that one is left.
    fn account(&mut self, file: &str, triage: &Triage) -> Result<(), ImportError> {
        let table::Read {
            rows,
            blank,
            broken: (broken, first),
        } = self.read;
        let passed: u64 = self.passed.iter().map(|counted| counted.rows).sum();
        let counted = self.kept + passed + self.later + triage.dropped;
        let file = file.to_owned();
        if counted != rows {
            return Err(ImportError::Unaccounted {
                file,
                rows,
                counted,
            });
        }
        if rows == 0 {
            return Err(ImportError::NoData(file));
        }
        if self.kept == 0 {
            let why = self.why(triage);
            return Err(ImportError::NoRows { file, rows, why });
        }
        if blank > 0 {
            self.notes
                .push(format!("{blank} empty lines are not counted as rows"));
        }
        if broken > 0 {
            self.notes.push(format!(
                "{broken} rows have line breaks inside quoted cells, the first is row {first}"
            ));
        }
        Ok(())
    }

    /// Where the rows went.
    fn why(&self, triage: &Triage) -> String {
        let mut why = Vec::new();
        for (counted, seen) in self.passed.iter().zip(&self.seen) {
            if counted.rows > 0 {
                let mut text = format!(
                    "the filter \"{}\" passed over {}",
                    counted.what, counted.rows
                );
                if !seen.is_empty() {
                    text += &format!(" (cells there: {seen})");
                }
                why.push(text);
            }
        }
        for counted in triage.dropped_by() {
            why.push(format!("{} left out, {}", counted.rows, counted.what));
        }
        let first = triage.reasons.first();
        let first = first.map(|first| format!(". The first: {first}"));
        why.join("; ") + &first.unwrap_or_default()
    }
}
