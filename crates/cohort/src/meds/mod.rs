//! Reading and writing MEDS Parquet.
//!
//! Columns are read one at a time by name through Parquet's low-level API, a batch of rows at a time; other columns
//! are left alone. Every type of Parquet is read exactly or refused by name (`kind.rs`); all encodings that the format
//! recommends are read, and zstd, snappy, gzip, brotli and LZ4 blocks, any number of row groups.

mod arriving;
mod clock;
mod codec;
mod column;
mod delta;
mod events;
mod file_bytes;
mod kind;
mod labels;
mod pages;
mod parquet_file;
#[cfg(test)]
mod peers;
mod reader;
mod splits;
mod time;
mod whole;
mod writer;

pub(crate) use arriving::{Arrived, Arriving};
pub(crate) use clock::Clock;
pub(crate) use events::{EventColumns, EventRow};
pub(crate) use labels::{LabelColumns, LabelRow, LabelValue};
pub(crate) use parquet_file::ParquetFile;
pub(crate) use reader::Reader;
pub(crate) use splits::{SplitColumns, SplitRow};
pub(crate) use time::fixed_zone;
pub use time::{DateOrder, Named, NotTime, OfDay, Timestamp, Written};
pub use writer::{Events, Labels, Splits};
pub(crate) use writer::{EventsFile, Rest};
