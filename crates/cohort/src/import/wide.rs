//! Wide tables: one row a subject or stay, whose columns become events.

use std::collections::HashMap;

use protocol::door::{BadRows, Split};

use super::level::{plain, same};
use super::map::{As, ClassRule, Column, Label, Map, Prediction, SplitColumn, Subject};
use super::table::{BadCell, Filters, Row, Table, number};
use super::{ImportError, Output};
use crate::bad_row::{Problem, Quoted, Triage};
use crate::first_rows::{FirstRow, FirstRows};
use crate::meds::Timestamp;
use crate::split;

/// Reads a table's rows as subjects, or as their stays. A row is used whole or not at all.
pub(super) fn read(
    map: &Map,
    table: &Table<'_>,
    triage: &mut Triage,
    output: &mut Output,
) -> Result<(), ImportError> {
    let plan = Plan::of(map, table)?;
    let ranks = plan.ranks(table)?;
    let mut stood = Stood::default();
    let mut cells = Cells::default();
    output.rows = table.rows(triage, |row, triage| {
        let kept = match plan.read_row(row, ranks.as_ref(), &mut cells) {
            Ok(Kept::Yes) => stood
                .note(table.name, row.number, &cells)
                .map(Some)
                .map_err(|problem| (plan.subject.unwrap_or(0), problem)),
            Ok(Kept::No) => Ok(None),
            Err(bad) => Err(bad),
        };
        match kept {
            Ok(None) => Ok(()),
            Ok(Some(first)) => {
                plan.write_row(&mut cells, first, output);
                Ok(())
            }
            Err(bad) => Ok(table.refuse(triage, row, bad)?),
        }
    })?;
    Ok(())
}

/// The rows that stood before: one a subject and prediction time, all of a subject in one split.
#[derive(Default)]
struct Stood {
    rows: FirstRows<(i64, Option<Timestamp>)>,
    splits: HashMap<i64, Option<Split>>,
}

/// Whether a row is its subject's first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subjects {
    New,
    Known,
}

impl Stood {
    fn note(&mut self, file: &str, row: u64, cells: &Cells) -> Result<Subjects, Problem> {
        let known = self.splits.get(&cells.subject);
        if known.is_some_and(|split| *split != cells.split) {
            return Err(Problem::OtherSplit);
        }
        let key = (cells.subject, cells.prediction);
        if let Err(FirstRow { file, row }) = self.rows.note(key, file, row) {
            return Err(Problem::SecondRow { file, row });
        }
        match self.splits.insert(cells.subject, cells.split) {
            None => Ok(Subjects::New),
            Some(_) => Ok(Subjects::Known),
        }
    }
}

/// A map with the places of its columns.
struct Plan<'a> {
    map: &'a Map,
    filters: Filters<'a>,
    /// None where the row's number is the subject's.
    subject: Option<usize>,
    /// The column that orders a subject's rows.
    order: Option<usize>,
    prediction: When,
    label: Option<(&'a Label, usize)>,
    split: Option<(&'a SplitColumn, usize)>,
    columns: Vec<(&'a Column, usize)>,
}

/// When a row's label is to be predicted.
enum When {
    Column(usize),
    At(Timestamp),
    /// The first of a subject, and microseconds to each next one.
    Sequence(Timestamp, i64),
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
            Some(Prediction::Sequence(sequence)) => When::Sequence(
                sequence.from.parse().unwrap_or(Timestamp(0)),
                i64::from(sequence.every_days) * Timestamp::DAY,
            ),
            None => When::At(Timestamp(0)),
        };
        let order = match &map.prediction {
            Some(Prediction::Sequence(sequence)) => Some(&sequence.by),
            _ => map.first_by.as_ref(),
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
            order: order.map(|name| table.column(name)).transpose()?,
            prediction,
            label: label.transpose()?,
            split: split.transpose()?,
            columns: columns.collect::<Result<_, _>>()?,
        })
    }

    /// Of each row that passes the filters: how many of its subject are before it, where the map asks for an order.
    fn ranks(&self, table: &Table<'_>) -> Result<Option<HashMap<u64, u32>>, ImportError> {
        let Some(order) = self.order else {
            return Ok(None);
        };
        let mut rows: Vec<(i64, i64, u64)> = Vec::new();
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
                rows.push((subject, order, row.number));
            }
            Ok(())
        })?;
        rows.sort_unstable();
        let of_subjects = rows.chunk_by(|one, next| one.0 == next.0);
        let ranked = of_subjects.flat_map(|rows| (0..).zip(rows));
        Ok(Some(
            ranked.map(|(rank, (_, _, row))| (*row, rank)).collect(),
        ))
    }

    fn read_row(
        &self,
        row: &Row<'_>,
        ranks: Option<&HashMap<u64, u32>>,
        cells: &mut Cells,
    ) -> Result<Kept, BadCell> {
        if !self.filters.pass(row)? {
            return Ok(Kept::No);
        }
        cells.subject = self.subject(row)?;
        let mut rank = 0;
        if let (Some(ranks), Some(order)) = (ranks, self.order) {
            row.integer(order)?;
            rank = ranks.get(&row.number).copied().unwrap_or(0);
            if rank > 0 && self.map.first_by.is_some() {
                return Ok(Kept::No);
            }
        }
        cells.prediction = match self.prediction {
            When::At(time) => Some(time),
            When::Sequence(first, gap) => Some(first.plus(gap.saturating_mul(i64::from(rank)))),
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

    fn write_row(&self, cells: &mut Cells, subject: Subjects, output: &mut Output) {
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
        if let (Subjects::New, Some(split)) = (subject, cells.split) {
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
    let number = match column.numbers.get(cell) {
        Some(number) => *number as f32,
        None => number(cell, place)?,
    };
    match column.transform.of(number) {
        value if value.is_finite() => Ok(value),
        value => Err((place, Problem::NotFinite(f64::from(value)))),
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
