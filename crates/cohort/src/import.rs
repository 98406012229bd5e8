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

mod level;
mod long;
mod map;
mod table;
mod wide;

pub use level::LevelRule;
pub use map::{
    As, ClassRule, Column, Csv, EventColumns, Filter, Label, Map, Prediction, Sequence,
    SplitColumn, Subject, TimeFormat, Transform,
};
use minicbor::bytes::ByteVec;
use protocol::door::{File, Import, Imported, Role};

use crate::bad_row::{BadRow, Triage};
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
    /// The table lacks a column that the map names.
    #[error("{file} has no column {column}, which the map names")]
    NoColumn {
        /// The file's name.
        file: String,
        /// The column's name.
        column: String,
    },
    /// The file is no CSV.
    #[error("{file} is no readable CSV file: {problem}")]
    Unreadable {
        /// The file's name.
        file: String,
        /// What the CSV reader says.
        problem: String,
    },
    /// A row cannot be used, and the site wants to stop at such rows.
    #[error(transparent)]
    Row(#[from] BadRow),
    /// No row passes the map's filters.
    #[error("no row of {0} passes the map's filters")]
    NoRows(String),
}

/// Makes MEDS files of a CSV file.
///
/// The files are named after the CSV: `labs.csv` gives `labs.events.parquet`, and where the map has them
/// `labs.labels.parquet` and `labs.splits.parquet`. Missing values make no event.
///
/// # Errors
///
/// A map that is malformed or does not fit the file; a file without a usable row; with `Stop` for bad rows,
/// the first row that cannot be used, named by file, row and column.
pub fn import(request: &Import) -> Result<Imported, ImportError> {
    let name = &request.name;
    let map = Map::parse(&request.map)?;
    let table = table::Table::open(name, &request.csv, &map.csv)?;
    let mut triage = Triage::new(request.bad_rows);
    let mut output = Output::default();
    match &map.event {
        None => wide::read(&map, &table, &mut triage, &mut output)?,
        Some(columns) => long::read(&map, columns, &table, &mut triage, &mut output)?,
    }
    if output.kept == 0 {
        return Err(ImportError::NoRows(name.clone()));
    }
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
    Ok(Imported {
        files,
        rows: output.rows,
        dropped: triage.dropped,
        reasons: triage.reasons,
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

/// What an import makes.
#[derive(Default)]
struct Output {
    events: Events,
    labels: Labels,
    splits: Splits,
    /// Rows of the table.
    rows: u64,
    /// Rows that passed the filters and could be used.
    kept: u64,
}
