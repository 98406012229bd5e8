//! Long tables: one row an event.

use super::clock::Clock;
use super::id::Ids;
use super::map::{EventColumns, Map, Subject};
use super::table::{BadCell, Filters, Passes, Row, Since, Table, value};
use super::{ImportError, Output};
use crate::bad_row::Triage;
use crate::meds::Timestamp;

/// The places of a long table's columns.
struct Plan<'a> {
    subject: usize,
    time: When<'a>,
    code: usize,
    prefix: &'a str,
    value: Option<usize>,
    text: Option<usize>,
}

enum When<'a> {
    Column(usize),
    Since(Since<'a>),
}

/// Reads a table's rows as events.
pub(super) fn read(
    map: &Map,
    columns: &EventColumns,
    table: &Table<'_>,
    ids: &mut Ids,
    triage: &mut Triage,
    output: &mut Output,
) -> Result<(), ImportError> {
    let mut filters = Filters::of(&map.filters, table)?;
    let mut clock = Clock::new(&map.time_format, map.zone.as_deref())?;
    let plan = Plan::of(map, columns, table)?;
    let mut code = String::new();
    output.read = table.rows(triage, |row, triage| {
        let passes = match filters.pass(row) {
            Ok(Passes::Not(place)) => {
                filters.count(place, row);
                return Ok(());
            }
            Ok(Passes::Yes) => Ok(()),
            Err(bad) => Err(bad),
        };
        let event = passes.and_then(|()| plan.read_row(row, &mut clock, ids, &mut code));
        match event {
            Ok(event) => {
                if let Subject::Column(_) = &map.subject {
                    ids.note(table.name, event.subject, event.id, row.number)?;
                }
                output
                    .events
                    .push(event.subject, event.time, &code, event.value);
                output.kept += 1;
                Ok(())
            }
            Err(bad) => Ok(table.refuse(triage, row, bad)?),
        }
    })?;
    output.finish(table, &filters, plan.columns(), &clock)
}

struct Event<'a> {
    subject: i64,
    id: &'a str,
    time: Option<Timestamp>,
    value: Option<f32>,
}

impl<'a> Plan<'a> {
    fn of(map: &Map, columns: &'a EventColumns, table: &Table<'_>) -> Result<Self, ImportError> {
        let place =
            |name: &Option<String>| name.as_ref().map(|name| table.column(name)).transpose();
        let subject = match &map.subject {
            Subject::Column(subject) => table.column(&subject.column)?,
            Subject::RowNumber => {
                let problem = "a long table has many rows a subject: want a column";
                return Err(ImportError::Setting {
                    setting: "subject",
                    problem,
                });
            }
        };
        let time = match (&columns.time, &columns.offset) {
            (Some(name), _) => When::Column(table.column(name)?),
            (None, Some(offset)) => When::Since(Since::of(offset, table)?),
            (None, None) => {
                return Err(ImportError::Setting {
                    setting: "event",
                    problem: "want `time` or `offset`, one of them",
                });
            }
        };
        Ok(Self {
            subject,
            time,
            code: table.column(&columns.code)?,
            prefix: &columns.prefix,
            value: place(&columns.value)?,
            text: place(&columns.text)?,
        })
    }

    fn columns(&self) -> impl Iterator<Item = usize> {
        let time: Vec<usize> = match &self.time {
            When::Column(place) => vec![*place],
            When::Since(since) => since.columns().collect(),
        };
        let optional = [self.value, self.text].into_iter().flatten();
        [self.subject, self.code]
            .into_iter()
            .chain(time)
            .chain(optional)
    }

    /// The event of a row, whose code is left in `code`.
    fn read_row<'row>(
        &self,
        row: &'row Row<'_>,
        clock: &mut Clock<'_>,
        ids: &Ids,
        code: &mut String,
    ) -> Result<Event<'row>, BadCell> {
        let id = row.required(self.subject)?;
        let subject = ids.number(id).map_err(|problem| (self.subject, problem))?;
        let time = match &self.time {
            When::Column(place) => row.time(*place, clock)?,
            When::Since(since) => since.time(row, clock)?,
        };
        code.clear();
        code.push_str(self.prefix);
        code.push_str(row.required(self.code)?);
        let value = self.value(row)?;
        if let (None, Some(text)) = (value, self.text)
            && let Some(text) = row.cell(text)?
        {
            code.push_str("//");
            code.push_str(text);
        }
        Ok(Event {
            subject,
            id,
            time,
            value,
        })
    }

    /// The number of a row. A cell that is not a number is a bad one, unless the column holds texts too.
    fn value(&self, row: &Row<'_>) -> Result<Option<f32>, BadCell> {
        let Some(place) = self.value else {
            return Ok(None);
        };
        let Some(cell) = row.cell(place)? else {
            return Ok(None);
        };
        if self.text == self.value && row.digits.number(cell).is_none() {
            return Ok(None);
        }
        value(row.number(cell, place)?, cell, place).map(Some)
    }
}
