//! CSV to MEDS, through a map.
//!
//! ```text
//! map (TOML) ─┐
//! CSV ────────┴▶ rows ─▶ filters ─▶ first row a subject ─▶ events, labels, splits ─▶ Parquet
//! ```
//!
//! The CSV comes in pieces, and is read more than once where its events do not fit in memory.
//!
//! A wide table has one row a subject or stay, and its columns become codes (a column may be given more than once, with
//! other codes and levels); a long table has one row an event. What
//! a map can say is in [`Map`]; the maps that come with Wardround are in `maps/`.

mod advice;
mod batch;
mod cell;
mod clock;
mod holes;
mod id;
mod importing;
mod level;
mod long;
mod map;
mod records;
mod scan;
mod swallowed;
mod table;
mod take;
mod text;
mod wide;
mod written;

pub use importing::{Importing, Makes};
pub use level::LevelRule;
pub use map::{
    As, ClassRule, Column, Csv, EventColumns, Filter, IdKind, Label, LinesInCells, Map, Offset,
    Prediction, Sequence, SplitColumn, Subject, SubjectColumn, TimeFormat, Transform, Unit,
};
use protocol::door::{Counted, Import, Imported, Role, piece};
pub use records::Broken;

use crate::bad_row::{BadRow, Quoted, Triage};
use crate::file::File;
use crate::meds::{self, Labels, Splits};
use batch::Batch;

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
        "the map's {setting} lists `{cell}` twice: two ways to write one number are the same cell"
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
    /// One patient has more events than memory is to hold.
    #[error(
        "{file} has more than {most} events of one patient, which do not fit in memory: is the column of subjects the right one? If so, raise --memory-mib"
    )]
    OnePatient {
        /// The file's name.
        file: String,
        /// The most events of a patient.
        most: usize,
    },
    /// The file is another one than it was when it was read first.
    #[error(
        "{0} changed while it was read: wait until whatever writes it is done, then start again"
    )]
    Changed(String),
    /// More was given than was asked for: a fault of the program that runs this one.
    #[error("the import was over, and was asked to go on: please report this")]
    Over,
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

fn one_patient(file: &str, most: usize) -> ImportError {
    ImportError::OnePatient {
        file: file.to_owned(),
        most,
    }
}

fn row_name(row: u64) -> String {
    match row {
        0 => "the header line".to_owned(),
        row => format!("row {row}"),
    }
}

/// As [`Importing`], of a file that is in memory.
///
/// The files are named after the CSV: `labs.csv` gives `labs.events.parquet`, and where the map has them
/// `labs.labels.parquet` and `labs.splits.parquet`.
///
/// # Errors
///
/// As [`Importing::next`].
pub fn import(request: &Import, csv: &[u8]) -> Result<(Vec<File>, Imported), ImportError> {
    let mut importing = Importing::new(request.clone())?;
    let stem = request.name.strip_suffix(".csv").unwrap_or(&request.name);
    let mut files: Vec<File> = Vec::new();
    let mut given = None;
    loop {
        match importing.next(given.take())? {
            Makes::Wants(number) => given = Some(piece(csv, number)),
            Makes::Part(part) => match files.iter_mut().find(|file| file.role == part.role) {
                Some(file) => file.bytes.extend_from_slice(&part.bytes),
                None => files.push(File {
                    name: format!("{stem}.{}.parquet", kind(part.role)),
                    role: part.role,
                    bytes: part.bytes.into(),
                }),
            },
            Makes::Imported(imported) => return Ok((files, *imported)),
        }
    }
}

fn kind(role: Role) -> &'static str {
    match role {
        Role::Events => "events",
        Role::Labels => "labels",
        Role::Splits => "splits",
    }
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

/// What a reading of a table makes, and what became of each row.
struct Output {
    events: Batch,
    labels: Labels,
    splits: Splits,
    turn: Turn,
    /// Rows that passed the filters and could be used.
    kept: u64,
    /// Cells of these rows that are missing or may mean it.
    holes: holes::Holes,
    /// Rows that a filter passed over.
    passed: Vec<Counted>,
    /// The first few cells that each filter passed over.
    seen: Vec<String>,
    /// Rows that are not the first of their subject.
    later: u64,
    unused: Vec<String>,
    notes: Vec<String>,
}

/// Which reading of a table it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The first: every row is looked at and accounted for.
    First,
    /// A later one, for the events of patients that the one before put off.
    Later,
}

impl Output {
    fn new(events: Batch, turn: Turn) -> Self {
        Self {
            events,
            labels: Labels::default(),
            splits: Splits::default(),
            turn,
            kept: 0,
            holes: holes::Holes::default(),
            passed: Vec::new(),
            seen: Vec::new(),
            later: 0,
            unused: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Whether a row of this subject has to be looked at.
    fn wants(&self, subject: i64) -> bool {
        self.turn == Turn::First || self.events.takes(subject)
    }

    /// Once all rows were read: takes over the counts of filters, the columns that neither they nor the plan, whose
    /// `columns` these are, use, and the clock of the files' times.
    fn finish(
        &mut self,
        table: &table::Table,
        filters: &table::Filters,
        columns: Vec<usize>,
        clock: &clock::Clock,
    ) -> Result<meds::Clock, ImportError> {
        for (what, rows, seen) in filters.counts() {
            self.passed.push(Counted { what, rows });
            self.seen.push(seen.join(", "));
        }
        self.unused = table.others(&filters.columns().chain(columns).collect());
        let (kept, notes) = clock.finish(&table.name)?;
        self.notes.extend(notes);
        self.notes
            .extend(self.holes.notes(&table.columns, self.kept));
        Ok(match kept {
            clock::Kept::Utc => meds::Clock::Utc,
            clock::Kept::Local => meds::Clock::Local,
        })
    }

    /// Sees that each row is accounted for, and that one is left.
    fn account(
        &mut self,
        file: &str,
        read: scan::Read,
        triage: &Triage,
    ) -> Result<(), ImportError> {
        let scan::Read {
            rows,
            blank,
            broken: (broken, first),
        } = read;
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
