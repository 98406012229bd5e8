//! Rows that cannot be used: what is wrong with them, and what the site wants done.

use std::collections::BTreeMap;
use std::fmt;

use protocol::door::{BadRows, Counted};

/// Reasons that are kept; further bad rows are counted alone.
const REASONS_KEPT: usize = 10;

/// Characters of a cell that a message quotes.
const QUOTED: usize = 40;

/// A row that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{file}, row {row}, column {column}: {problem}")]
pub struct BadRow {
    /// The file's name.
    pub file: String,
    /// The row, from 1; a CSV's header line is not counted.
    pub row: u64,
    /// The column's name.
    pub column: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A cell that must hold something is empty.
    #[error("the value is missing")]
    Missing,
    /// A number is not a number, or is infinite.
    #[error("{0} is not a finite number")]
    NotFinite(f64),
    /// Text cannot be read as a number.
    #[error("{0} is not a number")]
    NotNumber(Quoted),
    /// Text cannot be read as a whole number.
    #[error("{0} is not a whole number")]
    NotInteger(Quoted),
    /// A whole number is beyond 64 bits with a sign.
    #[error("{0} does not fit into int64: write numbers below 2^63")]
    IntegerRange(Quoted),
    /// A decimal is beyond 128 bits.
    #[error("a decimal of {0} bytes is beyond 38 digits")]
    DecimalRange(usize),
    /// A time is beyond what is counted in microseconds.
    #[error("the time is beyond the years -290308 to 294247")]
    TimeRange,
    /// A time that no patient had: what is in the file, and what to do.
    #[error("{0} is beyond the years 1800 to 2300{1}")]
    FarTime(Quoted, String),
    /// A cell cannot be read as a number: what it may be, and what to do.
    #[error("{0} is not a number{1}")]
    UnfitNumber(Quoted, String),
    /// An id that is a whole number beyond 64 bits.
    #[error(
        "{0} is a whole number beyond 64 bits: for ids as long as that, set subject = {{ column = …, as = \"text\" }} in the map"
    )]
    LongId(Quoted),
    /// An id of which a program has left the beginning alone.
    #[error(
        "{0} is a rounded number, as spreadsheets write long ids: other patients may have the same. Export the ids again as text"
    )]
    RoundedId(Quoted),
    /// An id that is no whole number.
    #[error(
        "{0} is not a whole number; for ids of text, set subject = {{ column = …, as = \"text\" }} in the map"
    )]
    NotId(Quoted),
    /// Text cannot be read as a time: what is read, and what to do.
    #[error("{0} is not a time{1}")]
    NotTime(Quoted, String),
    /// A cell holds a byte that no text has.
    #[error(
        "the cell holds a NUL byte: the file is damaged, or not in the encoding that it is read in"
    )]
    Nul,
    /// Bytes of a CSV file are not text.
    #[error("the text is not UTF-8: set csv.encoding in the map, for example \"windows-1252\"")]
    NotEncoded,
    /// Bytes are not text.
    #[error("the text is not UTF-8")]
    NotText,
    /// Text is none of the levels that the map lists.
    #[error("{0} is none of the levels in the map")]
    UnknownLevel(Quoted),
    /// A label is no class of the study.
    #[error("{0} is no class of the study")]
    UnknownClass(Quoted),
    /// More than one of the label's value columns is filled.
    #[error("the row has more than one label")]
    ManyLabels,
    /// A split is none of MEDS's three.
    #[error("{0} is no split: want train, tuning or held_out")]
    UnknownSplit(Quoted),
    /// A patient is in one split.
    #[error("the subject already has a row: {file}, row {row}")]
    SecondRow {
        /// The file with the subject's first row.
        file: String,
        /// That row.
        row: u64,
    },
    /// One thing is predicted of a patient at a time.
    #[error("the subject already has a label at this time: {file}, row {row}")]
    SecondLabel {
        /// The file with the first label.
        file: String,
        /// Its row.
        row: u64,
    },
    /// A patient is in one split, with all rows.
    #[error("an earlier row has the subject in another split")]
    OtherSplit,
    /// The site gives a file of splits, and the patient is not in it.
    #[error("the subject has a label, but no row in the file of splits")]
    NoSplit,
    /// A CSV row is longer or shorter than the header.
    #[error("the row has {found} cells and the table has {want} columns")]
    Cells {
        /// Cells in the row.
        found: usize,
        /// Columns of the table.
        want: usize,
    },
}

impl Problem {
    /// What is wrong, without the cell: for counting.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "the value is missing",
            Self::NotFinite(_) => "not a finite number",
            Self::NotNumber(_) | Self::UnfitNumber(..) => "not a number",
            Self::NotInteger(_) | Self::NotId(_) => "not a whole number",
            Self::RoundedId(_) => "a rounded id",
            Self::LongId(_) | Self::IntegerRange(_) | Self::DecimalRange(_) => {
                "beyond the range of numbers"
            }
            Self::TimeRange | Self::FarTime(..) => "beyond the range of times",
            Self::NotTime(..) => "not a time",
            Self::NotText | Self::NotEncoded => "not UTF-8",
            Self::Nul => "a NUL byte",
            Self::UnknownLevel(_) => "none of the levels in the map",
            Self::UnknownClass(_) => "no class of the study",
            Self::ManyLabels => "more than one label",
            Self::UnknownSplit(_) => "no split",
            Self::SecondRow { .. } => "the subject already has a row",
            Self::SecondLabel { .. } => "the subject already has a label at this time",
            Self::OtherSplit => "the subject is in another split",
            Self::NoSplit => "no row in the file of splits",
            Self::Cells { .. } => "another number of cells than the table has columns",
        }
    }
}

/// The beginning of a cell, quoted for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    pub(crate) fn new(cell: &[u8]) -> Self {
        Self(String::from_utf8_lossy(cell).chars().take(QUOTED).collect())
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.escape_debug())
    }
}

/// Stops at the first bad row, or counts them, as the site wants it.
#[derive(Debug)]
pub(crate) struct Triage {
    bad_rows: BadRows,
    pub(crate) dropped: u64,
    pub(crate) reasons: Vec<String>,
    /// Rows left out by column and problem.
    by: BTreeMap<(String, &'static str), u64>,
}

impl Triage {
    pub(crate) fn new(bad_rows: BadRows) -> Self {
        Self {
            bad_rows,
            dropped: 0,
            reasons: Vec::new(),
            by: BTreeMap::new(),
        }
    }

    /// Rows left out, by reason.
    pub(crate) fn dropped_by(&self) -> Vec<Counted> {
        let counted = self.by.iter().map(|((column, kind), rows)| Counted {
            what: format!("column {column}: {kind}"),
            rows: *rows,
        });
        counted.collect()
    }

    /// Takes note of a bad row that is left out; gives it back where the site wants to stop.
    pub(crate) fn refuse(
        &mut self,
        file: &str,
        row: u64,
        column: &str,
        problem: Problem,
    ) -> Result<(), BadRow> {
        let bad = BadRow {
            file: file.to_owned(),
            row,
            column: column.to_owned(),
            problem,
        };
        match self.bad_rows {
            BadRows::Stop => Err(bad),
            BadRows::Drop => {
                self.dropped += 1;
                let reason = (bad.column.clone(), bad.problem.kind());
                *self.by.entry(reason).or_default() += 1;
                if self.reasons.len() < REASONS_KEPT {
                    self.reasons.push(bad.to_string());
                }
                Ok(())
            }
        }
    }
}
