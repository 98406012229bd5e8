//! Files of splits.

use protocol::door::File;

use super::parquet_file::ParquetFile;
use crate::error::CohortError;

/// A row of a file of splits; an absent value is null in the file.
pub(crate) struct SplitRow<'a> {
    /// From 1.
    pub(crate) row: u64,
    pub(crate) subject: Option<i64>,
    pub(crate) split: Option<&'a [u8]>,
}

/// Gives every row of `file` to `each`, in order.
pub(crate) fn read(
    file: &File,
    mut each: impl FnMut(&SplitRow<'_>) -> Result<(), CohortError>,
) -> Result<(), CohortError> {
    let parquet = ParquetFile::open(file)?;
    let subject = parquet.required("subject_id")?;
    let split = parquet.required("split")?;
    let failed = |error| parquet.unreadable(&error);
    let (mut subjects, mut splits) = (vec![], vec![]);
    let mut row = 0;
    for group in 0..parquet.groups() {
        let mut subject = parquet.integers(group, subject)?;
        let mut split = parquet.texts(group, split)?;
        loop {
            subject
                .read(&mut subjects, |subject| subject)
                .map_err(failed)?;
            split.read(&mut splits, |split| split).map_err(failed)?;
            if splits.len() != subjects.len() {
                return Err(parquet.ragged());
            }
            if subjects.is_empty() {
                break;
            }
            for (subject, split) in subjects.iter().zip(&splits) {
                row += 1;
                let split = split.as_ref().map(parquet::data_type::ByteArray::data);
                each(&SplitRow {
                    row,
                    subject: *subject,
                    split,
                })?;
            }
        }
    }
    Ok(())
}
