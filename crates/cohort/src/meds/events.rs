//! Files of events.

use protocol::door::File;

use super::parquet_file::ParquetFile;
use super::time::Timestamp;
use crate::error::CohortError;

/// A row of a file of events; an absent value is null in the file.
pub(crate) struct EventRow<'a> {
    /// From 1.
    pub(crate) row: u64,
    pub(crate) subject: Option<i64>,
    /// None for what does not change.
    pub(crate) time: Option<Timestamp>,
    pub(crate) code: Option<&'a [u8]>,
    pub(crate) value: Option<f64>,
}

/// Gives every row of `file` to `each`, in order.
pub(crate) fn read(
    file: &File,
    mut each: impl FnMut(&EventRow<'_>) -> Result<(), CohortError>,
) -> Result<(), CohortError> {
    let parquet = ParquetFile::open(file)?;
    let subject = parquet.required("subject_id")?;
    let time = parquet.required("time")?;
    let code = parquet.required("code")?;
    let value = parquet.required("numeric_value")?;
    let failed = |error| parquet.unreadable(&error);
    let (mut subjects, mut times, mut codes, mut values) = (vec![], vec![], vec![], vec![]);
    let mut row = 0;
    for group in 0..parquet.groups() {
        let mut subject = parquet.integers(group, subject)?;
        let mut time = parquet.times(group, time)?;
        let mut code = parquet.texts(group, code)?;
        let mut value = parquet.numbers(group, value)?;
        loop {
            subject
                .read(&mut subjects, |subject| subject)
                .map_err(failed)?;
            time.read(&mut times).map_err(failed)?;
            code.read(&mut codes, |code| code).map_err(failed)?;
            value.read(&mut values).map_err(failed)?;
            let rows = subjects.len();
            if [times.len(), codes.len(), values.len()]
                .iter()
                .any(|len| *len != rows)
            {
                return Err(parquet.ragged());
            }
            if rows == 0 {
                break;
            }
            let columns = subjects.iter().zip(&times).zip(&codes).zip(&values);
            for (((subject, time), code), value) in columns {
                row += 1;
                let code = code.as_ref().map(parquet::data_type::ByteArray::data);
                each(&EventRow {
                    row,
                    subject: *subject,
                    time: *time,
                    code,
                    value: *value,
                })?;
            }
        }
    }
    Ok(())
}
