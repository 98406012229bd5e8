//! Wide tables: one row a subject or stay, whose columns become events.

use std::collections::HashMap;

use protocol::door::{BadRows, Split};

use super::level::{plain, same};
use super::map::{As, ClassRule, Column, Label, Map, Prediction, SplitColumn, Subject};
use super::table::{BadCell, Filters, Row, Table, number};
use super::{ImportError, Output};
use crate::bad_row::{Problem, Quoted, Triage};
use crate::first_rows::FirstRows;
use crate::meds::Timestamp;
use crate::split;

/// Reads a table's rows as subjects. A row is used whole or not at all.
pub(super) fn read(
    map: &Map,
    table: &Table<'_>,
    triage: &mut Triage,
    output: &mut Output,
) -> Result<(), ImportError> {
    let plan = Plan::of(map, table)?;
    let chosen = plan.first_rows(table)?;
    let mut first = FirstRows::default();
    let mut cells = Cells::default();
    output.rows = table.rows(triage, |row, triage| {
        match plan.read_row(row, chosen.as_ref(), &mut cells) {
            Ok(Kept::No) => Ok(()),
            Ok(Kept::Yes) => match first.note(cells.subject, table.name, row.number) {
                Ok(()) => {
                    plan.write_row(&mut cells, output);
                    Ok(())
                }
                Err(second) => {
                    Ok(table.refuse(triage, row, (plan.subject.unwrap_or(0), second))?)
                }
            },
            Err(bad) => Ok(table.refuse(triage, row, bad)?),
        }
    })?;
    Ok(())
}

/// A map with the places of its columns.
struct Plan<'a> {
    map: &'a Map,
    filters: Filters<'a>,
    /// None where the row's number is the subject's.
    subject: Option<usize>,
    first_by: Option<usize>,
    prediction: When,
    label: Option<(&'a Label, usize)>,
    split: Option<(&'a SplitColumn, usize)>,
    columns: Vec<(&'a Column, usize)>,
}

/// When a row's label is to be predicted.
enum When {
    Column(usize),
    At(Timestamp),
}

/// Whether a row passes the filters.
enum Kept {
    No,
    Yes,
}

/// What a row holds.
#[derive(Default)]
struct Cells {
    subject: i64,
    prediction: Option<Timestamp>,
    class: Option<u32>,
    split: Option<Split>,
    /// Codes and values; the codes are kept as memory for the next row.
    events: Vec<(String, Option<f32>)>,
    used: usize,
}

impl<'a> Plan<'a> {
    fn of(map: &'a Map, table: &Table<'_>) -> Result<Self, ImportError> {
        let subject = match &map.subject {
            Subject::Column(name) => Some(table.column(name)?),
            Subject::RowNumber => None,
        };
        let prediction = match &map.prediction {
            Some(Prediction::Column(name)) => When::Column(table.column(name)?),
            Some(Prediction::At(time)) => When::At(time.parse().unwrap_or(Timestamp(0))),
            None => When::At(Timestamp(0)),
        };
        let label = map
            .label
            .as_ref()
            .map(|label| placed(label, &label.column, table));
        let split = map
            .split
            .as_ref()
            .map(|split| placed(split, &split.column, table));
        let columns = map
            .columns
            .iter()
            .map(|column| placed(column, &column.name, table));
        Ok(Self {
            map,
            filters: Filters::of(&map.filters, table)?,
            subject,
            first_by: map
                .first_by
                .as_ref()
                .map(|name| table.column(name))
                .transpose()?,
            prediction,
            label: label.transpose()?,
            split: split.transpose()?,
            columns: columns.collect::<Result<_, _>>()?,
        })
    }

    /// For each subject the row to use, where the map asks for the first.
    fn first_rows(&self, table: &Table<'_>) -> Result<Option<HashMap<i64, u64>>, ImportError> {
        let Some(order) = self.first_by else {
            return Ok(None);
        };
        let mut first: HashMap<i64, (i64, u64)> = HashMap::new();
        // Bad rows are told of when the rows are read for good.
        table.rows(&mut Triage::new(BadRows::Drop), |row, _| {
            let place = || {
                Ok::<_, BadCell>((
                    self.filters.pass(row)?,
                    self.subject(row)?,
                    row.integer(order)?,
                ))
            };
            if let Ok((true, subject, order)) = place() {
                let here = (order, row.number);
                first
                    .entry(subject)
                    .and_modify(|first| *first = here.min(*first))
                    .or_insert(here);
            }
            Ok(())
        })?;
        Ok(Some(
            first
                .into_iter()
                .map(|(subject, (_, row))| (subject, row))
                .collect(),
        ))
    }

    fn read_row(
        &self,
        row: &Row<'_>,
        chosen: Option<&HashMap<i64, u64>>,
        cells: &mut Cells,
    ) -> Result<Kept, BadCell> {
        if !self.filters.pass(row)? {
            return Ok(Kept::No);
        }
        cells.subject = self.subject(row)?;
        if let (Some(chosen), Some(order)) = (chosen, self.first_by) {
            row.integer(order)?;
            if chosen.get(&cells.subject) != Some(&row.number) {
                return Ok(Kept::No);
            }
        }
        cells.prediction = match self.prediction {
            When::At(time) => Some(time),
            When::Column(column) => Some(
                row.time(column, self.map.time_format)?
                    .ok_or((column, Problem::Missing))?,
            ),
        };
        cells.class = self
            .label
            .map(|(label, column)| class(&label.class, row, column))
            .transpose()?;
        cells.split = self
            .split
            .map(|(split, column)| split_of(split, row, column))
            .transpose()?;
        cells.used = 0;
        for (column, place) in &self.columns {
            if let Some(cell) = row.cell(*place)?
                && !column.missing.iter().any(|missing| same(missing, cell))
            {
                let code = column.code.as_ref().unwrap_or(&column.name);
                cells.add(code, column, cell, *place)?;
            }
        }
        Ok(Kept::Yes)
    }

    fn write_row(&self, cells: &mut Cells, output: &mut Output) {
        output.kept += 1;
        let Some(prediction) = cells.prediction else {
            return;
        };
        let time = prediction.plus(-i64::from(self.map.lead_days) * Timestamp::DAY);
        for (code, value) in &cells.events[..cells.used] {
            output.events.push(cells.subject, Some(time), code, *value);
        }
        if let Some(class) = cells.class {
            output.labels.push(cells.subject, prediction, class);
        }
        if let Some(split) = cells.split {
            output.splits.push(cells.subject, split);
        }
    }

    fn subject(&self, row: &Row<'_>) -> Result<i64, BadCell> {
        match self.subject {
            Some(column) => row.integer(column),
            None => Ok(i64::try_from(row.number).unwrap_or(i64::MAX)),
        }
    }
}

/// An entry of the map with the place of its column.
fn placed<'a, T>(
    entry: &'a T,
    column: &str,
    table: &Table<'_>,
) -> Result<(&'a T, usize), ImportError> {
    Ok((entry, table.column(column)?))
}

impl Cells {
    fn add(
        &mut self,
        code: &str,
        column: &Column,
        cell: &str,
        place: usize,
    ) -> Result<(), BadCell> {
        let (level, value) = match column.kind {
            As::Level => (Some(level_of(column, cell, place)?), None),
            As::Number => (None, Some(number_of(column, cell, place)?)),
        };
        if self.used == self.events.len() {
            self.events.push((String::new(), None));
        }
        let event = &mut self.events[self.used];
        event.0.clear();
        event.0.push_str(code);
        if let Some(level) = level {
            event.0.push_str("//");
            event.0.push_str(level);
        }
        event.1 = value;
        self.used += 1;
        Ok(())
    }
}

fn level_of<'a>(column: &'a Column, cell: &'a str, place: usize) -> Result<&'a str, BadCell> {
    if column.levels.is_empty() {
        return Ok(plain(cell));
    }
    let rule = column.levels.iter().find(|rule| rule.fits(cell));
    rule.map(|rule| rule.level.as_str())
        .ok_or_else(|| unknown(cell, place))
}

fn number_of(column: &Column, cell: &str, place: usize) -> Result<f32, BadCell> {
    #[expect(clippy::cast_possible_truncation, reason = "MEDS holds values as f32")]
    match column.numbers.get(cell) {
        Some(number) => Ok(*number as f32),
        None => number(cell, place),
    }
}

fn class(rule: &ClassRule, row: &Row<'_>, column: usize) -> Result<u32, BadCell> {
    let cell = row.required(column)?;
    match rule {
        ClassRule::Integer => {
            u32::try_from(row.integer(column)?).map_err(|_| unknown(cell, column))
        }
        ClassRule::Above(limit) => Ok(u32::from(f64::from(number(cell, column)?) > *limit)),
        ClassRule::Levels(levels) => levels
            .get(cell)
            .copied()
            .ok_or_else(|| unknown(cell, column)),
    }
}

fn split_of(map: &SplitColumn, row: &Row<'_>, column: usize) -> Result<Split, BadCell> {
    let cell = row.required(column)?;
    let name = map.levels.get(cell).map_or(cell, String::as_str);
    let wrong = || (column, Problem::UnknownSplit(Quoted::new(cell.as_bytes())));
    split::by_name(name.as_bytes()).ok_or_else(wrong)
}

fn unknown(cell: &str, column: usize) -> BadCell {
    (column, Problem::UnknownLevel(Quoted::new(cell.as_bytes())))
}
