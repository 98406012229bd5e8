//! Files of splits.

use protocol::door::File;

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

impl Reader {
    /// Gives every row of `file` to `each`, in order, but those whose subject is no such number.
    pub(crate) fn splits(
        &mut self,
        file: &File,
        mut each: impl FnMut(&SplitRow<'_>, &mut Triage) -> Result<(), CohortError>,
    ) -> Result<(), CohortError> {
        let parquet = ParquetFile::open(file)?;
        let subject = parquet.required("subject_id")?;
        let split = parquet.required("split")?;
        let failed = |error| parquet.unreadable(&error);
        let (mut subjects, mut splits) = (vec![], vec![]);
        let mut row = 0;
        for group in 0..parquet.groups() {
            let mut subject = parquet.ids(group, subject)?;
            let mut split = parquet.texts(group, split)?;
            loop {
                subject.read(&mut subjects, 0).map_err(failed)?;
                let rows = subjects.len();
                split.read(&mut splits, rows).map_err(failed)?;
                parquet.check_lengths(rows, &[splits.len()])?;
                if rows == 0 {
                    break;
                }
                for (subject, split) in subjects.iter().zip(&splits) {
                    row += 1;
                    let place = Place {
                        file: &file.name,
                        row,
                    };
                    let triage = &mut self.triage;
                    let Taken::Cell(subject) = place.take("subject_id", subject, triage)? else {
                        continue;
                    };
                    let split = split.as_ref().map(parquet::data_type::ByteArray::data);
                    let split = SplitRow {
                        row,
                        subject,
                        split,
                    };
                    each(&split, triage)?;
                }
            }
        }
        Ok(())
    }
}
