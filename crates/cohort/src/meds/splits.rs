//! Files of splits.

use super::parquet_file::ParquetFile;
use super::reader::{Place, Reader, Taken};
use crate::bad_row::Triage;
use crate::error::CohortError;

/// A row of a file of splits; an absent value is null in the file.
pub(crate) struct SplitRow<'a> {
    /// From 1.
    pub(crate) row: u64,
    pub(crate) subject: Option<i64>,
    pub(crate) split: Option<&'a [u8]>,
}

/// The columns of a file of splits.
#[derive(Debug)]
pub(crate) struct SplitColumns {
    subject: usize,
    split: usize,
    /// Rows that were read.
    row: u64,
}

impl SplitColumns {
    pub(crate) fn of(parquet: &ParquetFile) -> Result<Self, CohortError> {
        Ok(Self {
            subject: parquet.required("subject_id")?,
            split: parquet.required("split")?,
            row: 0,
        })
    }

    /// Their places.
    pub(crate) fn places(&self) -> Vec<usize> {
        vec![self.subject, self.split]
    }
}

impl Reader {
    /// Gives every row of a row group to `each`, in order, but those whose subject is no such number.
    pub(crate) fn splits(
        &mut self,
        parquet: &ParquetFile,
        group: usize,
        columns: &mut SplitColumns,
        mut each: impl FnMut(&SplitRow<'_>, &mut Triage) -> Result<(), CohortError>,
    ) -> Result<(), CohortError> {
        let failed = |error| parquet.unreadable(&error);
        let (mut subjects, mut splits) = (vec![], vec![]);
        let mut subject = parquet.ids(group, columns.subject)?;
        let mut split = parquet.texts(group, columns.split)?;
        loop {
            subject.read(&mut subjects, 0).map_err(failed)?;
            let rows = subjects.len();
            split.read(&mut splits, rows).map_err(failed)?;
            parquet.check_lengths(rows, &[splits.len()])?;
            if rows == 0 {
                return Ok(());
            }
            for (subject, split) in subjects.iter().zip(&splits) {
                columns.row += 1;
                let place = Place {
                    file: &parquet.name,
                    row: columns.row,
                };
                let triage = &mut self.triage;
                let Taken::Cell(subject) = place.take("subject_id", subject, triage)? else {
                    continue;
                };
                let split = split.as_ref().map(parquet::data_type::ByteArray::data);
                let split = SplitRow {
                    row: columns.row,
                    subject,
                    split,
                };
                each(&split, triage)?;
            }
        }
    }
}
