//! Reading and writing MEDS Parquet.
//!
//! Columns are read one at a time by name through Parquet's low-level API, a batch of rows at a time; other columns
//! are left alone. Common physical variants are taken: 32- or 64-bit integers and floats, timestamps in ms, µs or
//! ns, dates, plain and dictionary encodings, snappy or no compression, any number of row groups.

mod column;
mod events;
mod file_bytes;
mod labels;
mod pages;
mod parquet_file;
mod splits;
mod time;
mod writer;

pub(crate) use events::EventRow;
pub(crate) use labels::LabelValue;
pub use time::{NotTime, Timestamp};
pub use writer::{Events, Labels, Splits};

pub(crate) use events::read as read_events;
pub(crate) use labels::read as read_labels;
pub(crate) use splits::read as read_splits;
