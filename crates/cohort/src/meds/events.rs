//! Files of events.

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

/// The columns of a file of events.
#[derive(Debug)]
pub(crate) struct EventColumns {
    subject: usize,
    time: usize,
    code: usize,
    /// It may be absent: then no event has a value.
    value: Option<usize>,
    /// Rows that were read.
    row: u64,
}

impl EventColumns {
    /// Their places.
    pub(crate) fn places(&self) -> Vec<usize> {
        let places = [self.subject, self.time, self.code].into_iter();
        places.chain(self.value).collect()
    }
}

impl Reader {
    /// The columns of a file of events.
    pub(crate) fn event_columns(
        &mut self,
        parquet: &ParquetFile,
    ) -> Result<EventColumns, CohortError> {
        let columns = EventColumns {
            subject: parquet.required("subject_id")?,
            time: parquet.required("time")?,
            code: parquet.required("code")?,
            value: parquet.column("numeric_value")?,
            row: 0,
        };
        self.clocks.note(parquet, "time", columns.time)?;
        Ok(columns)
    }

    /// Gives every row of a row group to `each`, in order, but those with a cell that holds no such value; says how many
    /// those are.
    pub(crate) fn events(
        &mut self,
        parquet: &ParquetFile,
        group: usize,
        columns: &mut EventColumns,
        mut each: impl FnMut(&EventRow<'_>, &mut Triage) -> Result<(), CohortError>,
    ) -> Result<u64, CohortError> {
        let failed = |error| parquet.unreadable(&error);
        let (mut subjects, mut times, mut codes, mut values) = (vec![], vec![], vec![], vec![]);
        let mut refused = 0;
        let mut subject = parquet.ids(group, columns.subject)?;
        let mut time = parquet.times(group, columns.time)?;
        let mut code = parquet.texts(group, columns.code)?;
        let mut value = parquet.optional_numbers(group, columns.value)?;
        loop {
            subject.read(&mut subjects, 0).map_err(failed)?;
            let rows = subjects.len();
            time.read(&mut times, rows).map_err(failed)?;
            code.read(&mut codes, rows).map_err(failed)?;
            value.read(&mut values, rows).map_err(failed)?;
            parquet.check_lengths(rows, &[times.len(), codes.len(), values.len()])?;
            if rows == 0 {
                return Ok(refused);
            }
            let cells = subjects.iter().zip(&times).zip(&codes).zip(&values);
            for (((subject, time), code), value) in cells {
                columns.row += 1;
                let place = Place {
                    file: &parquet.name,
                    row: columns.row,
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
                    row: columns.row,
                    subject,
                    time,
                    code,
                    value,
                };
                each(&event, triage)?;
            }
        }
    }
}
