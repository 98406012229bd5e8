//! Files of events.

use protocol::door::File;

use super::parquet_file::ParquetFile;
use super::reader::{Place, Reader, Taken};
use super::time::Timestamp;
use crate::bad_row::Triage;
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

impl Reader {
    /// Gives every row of `file` to `each`, in order, but those with a cell that holds no such value; says how many those are.
    ///
    /// `numeric_value` may be absent: then no event has one.
    pub(crate) fn events(
        &mut self,
        file: &File,
        mut each: impl FnMut(&EventRow<'_>, &mut Triage) -> Result<(), CohortError>,
    ) -> Result<u64, CohortError> {
        let parquet = ParquetFile::open(file)?;
        let subject = parquet.required("subject_id")?;
        let time = parquet.required("time")?;
        let code = parquet.required("code")?;
        let value = parquet.column("numeric_value")?;
        self.clocks.note(&parquet, "time", time)?;
        let failed = |error| parquet.unreadable(&error);
        let (mut subjects, mut times, mut codes, mut values) = (vec![], vec![], vec![], vec![]);
        let (mut row, mut refused) = (0, 0);
        for group in 0..parquet.groups() {
            let mut subject = parquet.ids(group, subject)?;
            let mut time = parquet.times(group, time)?;
            let mut code = parquet.texts(group, code)?;
            let mut value = parquet.optional_numbers(group, value)?;
            loop {
                subject.read(&mut subjects, 0).map_err(failed)?;
                let rows = subjects.len();
                time.read(&mut times, rows).map_err(failed)?;
                code.read(&mut codes, rows).map_err(failed)?;
                value.read(&mut values, rows).map_err(failed)?;
                parquet.check_lengths(rows, &[times.len(), codes.len(), values.len()])?;
                if rows == 0 {
                    break;
                }
                let columns = subjects.iter().zip(&times).zip(&codes).zip(&values);
                for (((subject, time), code), value) in columns {
                    row += 1;
                    let place = Place {
                        file: &file.name,
                        row,
                    };
                    let triage = &mut self.triage;
                    let subject = place.take("subject_id", subject, triage)?;
                    let time = place.take("time", time, triage)?;
                    let value = place.take("numeric_value", value, triage)?;
                    let (Taken::Cell(subject), Taken::Cell(time), Taken::Cell(value)) =
                        (subject, time, value)
                    else {
                        refused += 1;
                        continue;
                    };
                    let code = code.as_ref().map(parquet::data_type::ByteArray::data);
                    let event = EventRow {
                        row,
                        subject,
                        time,
                        code,
                        value,
                    };
                    each(&event, triage)?;
                }
            }
        }
        Ok(refused)
    }
}
