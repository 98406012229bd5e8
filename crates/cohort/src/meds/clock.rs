//! One clock for the times of a data set.
//!
//! Parquet tells times of UTC (`isAdjustedToUTC`) from times of some place that it does not name. MEDS's own are of the
//! second sort. Compared with each other, they would be hours apart, and nobody would see it.

use super::parquet_file::ParquetFile;
use crate::error::CohortError;

/// Where the clock of a column of times hangs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Clock {
    /// In Greenwich: the file says so.
    Utc,
    /// The file does not say.
    #[default]
    Local,
}

/// The clock of the times that were read so far.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    first: Option<Timed>,
}

/// A column of times, and its clock.
#[derive(Debug)]
struct Timed {
    clock: Clock,
    file: String,
    column: &'static str,
}

impl Clocks {
    /// Takes note of a column of times; of nulls alone there is nothing to note.
    ///
    /// # Errors
    ///
    /// A column before had another clock.
    pub(super) fn note(
        &mut self,
        parquet: &ParquetFile,
        column: &'static str,
        place: usize,
    ) -> Result<(), CohortError> {
        let file = parquet.name.as_str();
        let Some(clock) = parquet.clock(place) else {
            return Ok(());
        };
        let Some(first) = &self.first else {
            self.first = Some(Timed {
                clock,
                file: file.to_owned(),
                column,
            });
            return Ok(());
        };
        if first.clock == clock {
            return Ok(());
        }
        let before = format!("{}, column {}", first.file, first.column);
        let here = format!("{file}, column {column}");
        let (zoned, naive) = match clock {
            Clock::Utc => (here, before),
            Clock::Local => (before, here),
        };
        Err(CohortError::MixedClocks { zoned, naive })
    }
}
