//! Long tables: one row an event.

use super::batch::OnePatient;
use super::cell::Alike;
use super::clock::Clock;
use super::id::Ids;
use super::map::{EventColumns, Map, Subject};
use super::table::{BadCell, Passes, Row, Since, Table, value};
use super::take::Hands;
use super::{ImportError, Output, one_patient};
use crate::bad_row::Triage;
use crate::meds::Timestamp;

/// Reads a table's rows as events.
pub(super) struct Long {
    plan: Plan,
    /// Memory for the next row's code.
    code: String,
}

/// The places of a long table's columns.
struct Plan {
    subject: usize,
    time: When,
    code: usize,
    prefix: String,
    value: Option<usize>,
    text: Option<usize>,
}

enum When {
    Column(usize),
    Since(Since),
}

impl Long {
    pub(super) fn new(
        map: &Map,
        columns: &EventColumns,
        table: &Table,
    ) -> Result<Self, ImportError> {
        Ok(Self {
            plan: Plan::of(map, columns, table)?,
            code: String::new(),
        })
    }

    /// The columns that are used.
    pub(super) fn columns(&self) -> Vec<usize> {
        self.plan.columns().collect()
    }

    pub(super) fn row(
        &mut self,
        table: &Table,
        row: &Row<'_>,
        triage: &mut Triage,
        hands: &mut Hands,
    ) -> Result<(), ImportError> {
        let Hands {
            ids,
            filters,
            clock,
            output,
        } = hands;
        let passes = match filters.pass(row) {
            Ok(Passes::Not(place)) => {
                filters.count(place, row);
                return Ok(());
            }
            Ok(Passes::Yes) => Ok(()),
            Err(bad) => Err(bad),
        };
        let here = |subject| output.wants(subject);
        let event =
            passes.and_then(|()| self.plan.read_row(row, clock, (ids, here), &mut self.code));
        match event {
            Ok(None) => Ok(()),
            Ok(Some(event)) => {
                ids.note(&table.name, event.subject, event.id, row.number)?;
                let Event {
                    subject,
                    time,
                    value,
                    ..
                } = event;
                output.kept += 1;
                self.plan.count(row, value, output);
                let events = &mut output.events;
                let pushed = events.push(subject, time, &self.code, value);
                pushed.map_err(|OnePatient(most)| one_patient(&table.name, most))
            }
            Err(bad) => Ok(table.refuse(triage, row, bad)?),
        }
    }
}

struct Event<'a> {
    subject: i64,
    id: &'a str,
    time: Option<Timestamp>,
    value: Option<f32>,
}

impl Plan {
    fn of(map: &Map, columns: &EventColumns, table: &Table) -> Result<Self, ImportError> {
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
            prefix: columns.prefix.clone(),
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

    /// The event of a row, whose code is left in `code`; nothing where its subject is not wanted.
    fn read_row<'row>(
        &self,
        row: &'row Row<'_>,
        clock: &mut Clock,
        (ids, wanted): (&Ids, impl Fn(i64) -> bool),
        code: &mut String,
    ) -> Result<Option<Event<'row>>, BadCell> {
        let id = row.required(self.subject)?;
        let subject = ids.number(id).map_err(|problem| (self.subject, problem))?;
        if !wanted(subject) {
            return Ok(None);
        }
        let time = match &self.time {
            When::Column(place) => row.time(*place, clock)?,
            When::Since(since) => since.time(row, clock)?,
        };
        code.clear();
        code.push_str(&self.prefix);
        code.push_str(row.required(self.code)?);
        let value = self.value(row)?;
        if let (None, Some(text)) = (value, self.text)
            && let Some(text) = row.cell_of(text, self.alike(text))?
        {
            code.push_str("//");
            code.push_str(text);
        }
        Ok(Some(Event {
            subject,
            id,
            time,
            value,
        }))
    }

    /// Counts what is missing of a row that is kept: the code never is.
    fn count(&self, row: &Row<'_>, number: Option<f32>, output: &mut Output) {
        let time = match &self.time {
            When::Column(place) => (*place, Alike::Code),
            When::Since(since) => (since.place(), Alike::Number),
        };
        let value = self.value.map(|place| (place, Alike::Number));
        let text = self.text.filter(|place| self.value != Some(*place));
        let text = text.map(|place| (place, Alike::Code));
        for (place, alike) in [Some(time), value, text].into_iter().flatten() {
            if let Ok(None) = row.cell_of(place, alike) {
                output
                    .holes
                    .missing(place, row.text(place).unwrap_or_default());
            }
        }
        let used = self.text.filter(|_| number.is_none());
        for place in [Some(self.code), used].into_iter().flatten() {
            if let Ok(Some(cell)) = row.cell(place) {
                output.holes.kept(place, cell);
            }
        }
    }

    /// When two cells of the column of texts are the same: its numbers are those of the column of values.
    fn alike(&self, text: usize) -> Alike {
        if self.value == Some(text) {
            Alike::Number
        } else {
            Alike::Code
        }
    }

    /// The number of a row. A cell that is not a number is a bad one, unless the column holds texts too.
    fn value(&self, row: &Row<'_>) -> Result<Option<f32>, BadCell> {
        let Some(place) = self.value else {
            return Ok(None);
        };
        let Some(cell) = row.cell_of(place, Alike::Number)? else {
            return Ok(None);
        };
        if self.text == self.value && row.digits.number(cell).is_none() {
            return Ok(None);
        }
        value(row.number(cell, place)?, cell, place).map(Some)
    }
}
