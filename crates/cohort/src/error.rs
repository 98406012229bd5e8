//! Why a hospital's files cannot be used.

use crate::bad_row::BadRow;
use crate::zone::WANT;

/// Why a hospital's files cannot be used. People at the site can act on each.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CohortError {
    /// The zone that the site states is none.
    #[error("`{0}` is no zone: {WANT}")]
    NoZone(String),
    /// The bytes are no Parquet file, or a broken one.
    #[error("{file} is no readable Parquet file: {problem}")]
    Unreadable {
        /// The file's name.
        file: String,
        /// What the Parquet reader says.
        problem: String,
    },
    /// A column cannot be used as what MEDS says it is.
    #[error("{file}, column {column}: {problem}")]
    Column {
        /// The file's name.
        file: String,
        /// The column's name.
        column: String,
        /// What is wrong.
        problem: ColumnProblem,
    },
    /// Times of UTC and times without a zone cannot be compared.
    #[error(
        "{zoned} has times of UTC, and {naive} has times without a zone, so that they cannot be compared: say which \
         zone the hospital's clocks are in (zone = \"Europe/Berlin\" under [data] in host.toml, or --zone), and times of UTC \
         become what these showed; or write all times of the data set without a zone, as MEDS does, in polars with \
         .dt.convert_time_zone(\"Europe/Berlin\").dt.replace_time_zone(None) and the hospital's own zone"
    )]
    MixedClocks {
        /// A file and column.
        zoned: String,
        /// A file and column.
        naive: String,
    },
    /// A row cannot be used, and the site wants to stop at such rows.
    #[error(transparent)]
    Row(#[from] BadRow),
    /// There is no file of this kind.
    #[error("there is no file of {0}")]
    NoFile(&'static str),
    /// The files of labels hold no patient.
    #[error("no patient has a usable label")]
    NoPatients,
    /// More than can be held in memory.
    #[error(
        "{patients} patients with {slots} values each are more than the {most} values that fit in memory"
    )]
    TooLarge {
        /// Labelled patients.
        patients: usize,
        /// Values of one patient.
        slots: usize,
        /// Most values of all patients.
        most: usize,
    },
}

/// What is wrong with a column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ColumnProblem {
    /// The file has no such column.
    #[error("there is no such column; the file has {found}")]
    Absent {
        /// The columns that there are.
        found: String,
    },
    /// Two columns have this name.
    #[error("two columns have this name; write one of them")]
    Twice,
    /// The column holds lists or records.
    #[error("it holds lists or records; write one value a row")]
    Nested,
    /// The column has another type.
    #[error("its type is {found}; want {want}")]
    Type {
        /// What the file says.
        found: String,
        /// What can be read.
        want: &'static str,
    },
    /// The old 96-bit timestamps of Hive and Impala.
    #[error("its type is INT96, which has no agreed meaning; write it as timestamp[us]")]
    Int96,
    /// A codec that the module does not carry.
    #[error(
        "it is compressed with {0}; write it with zstd, snappy, gzip, brotli, lz4_raw or without compression"
    )]
    Compression(String),
}
