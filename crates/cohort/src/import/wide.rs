//! Wide tables: one row a subject or stay, whose columns become events.

use std::collections::HashMap;

use protocol::door::{BadRows, Split};

use super::cell::Listed;
use super::clock::Clock;
use super::id::Ids;
use super::level::Levels;
use super::map::{As, ClassRule, Column, Label, Map, Prediction, SplitColumn, Subject};
use super::table::{BadCell, Filters, Passes, Row, Since, Table, value};
use super::written::{self, Written};
use super::{ImportError, Output};
use crate::bad_row::{Problem, Quoted, Triage};
use crate::first_rows::{FirstRow, FirstRows};
use crate::meds::Timestamp;
use crate::split;

/// Reads a table's rows as subjects, or as their stays. A row is used whole or not at all.
pub(super) fn read(
    map: &Map,
    table: &Table<'_>,
    ids: &mut Ids,
    triage: &mut Triage,
    output: &mut Output,
) -> Result<(), ImportError> {
    let mut filters = Filters::of(&map.filters, table)?;
    let mut clock = Clock::new(&map.time_format, map.zone.as_deref())?;
    let mut plan = Plan::of(map, table)?;
    plan.find_written(table, output)?;
    let ranks = plan.ranks(&filters, ids, table)?;
    let mut stood = Stood::default();
    let mut cells = Cells::default();
    output.read = table.rows(triage, |row, triage| {
        let kept = plan.read_row(row, &filters, ranks.as_ref(), (ids, &mut clock), &mut cells);
        // Of each row that counts as its subject's, whether it is used or not.
        if let (Ok(Kept::Yes | Kept::Later), Some(column)) = (&kept, plan.subject) {
            let id = row.cell(column).ok().flatten().unwrap_or_default();
            ids.note(table.name, cells.subject, id, row.number)?;
        }
        let kept = match kept {
            Ok(Kept::Yes) => stood
                .note(table.name, row.number, &cells)
                .map(Some)
                .map_err(|problem| (plan.subject.unwrap_or(0), problem)),
            Ok(Kept::Passed(place)) => {
                filters.count(place, row);
                Ok(None)
            }
            Ok(Kept::Later) => {
                output.later += 1;
                Ok(None)
            }
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
    output.finish(table, &filters, plan.columns(), &clock)
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
    /// None where the row's number is the subject's.
    subject: Option<usize>,
    /// The column that orders a subject's rows.
    order: Option<usize>,
    prediction: When<'a>,
    label: Option<(Class, usize)>,
    split: Option<(Listed<&'a str>, usize)>,
    columns: Vec<Placed<'a>>,
}

/// A column of the map, ready for its cells.
struct Placed<'a> {
    column: &'a Column,
    place: usize,
    missing: Listed<()>,
    numbers: Listed<f64>,
    levels: Levels<'a>,
    written: Written,
}

/// How a cell becomes a class.
enum Class {
    Integer,
    Above(f64),
    Levels(Listed<u32>),
}

/// When a row's label is to be predicted.
enum When<'a> {
    Column(usize),
    At(Timestamp),
    Since(Since<'a>),
    /// The first of a subject, and microseconds to each next one.
    Sequence(Timestamp, i64),
}

/// Whether a row is used.
enum Kept {
    Yes,
    /// The filter at this place passes it over.
    Passed(usize),
    /// It is not the first of its subject.
    Later,
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
            Subject::Column(subject) => Some(table.column(&subject.column)?),
            Subject::RowNumber => None,
        };
        let prediction = match &map.prediction {
            Some(Prediction::Column(name)) => When::Column(table.column(name)?),
            Some(Prediction::At(time)) => When::At(time.parse().unwrap_or(Timestamp(0))),
            Some(Prediction::Offset(offset)) => When::Since(Since::of(offset, table)?),
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
        let label = map.label.as_ref().map(|label| Class::of(label, table));
        let split = map.split.as_ref().map(|split| splits_of(split, table));
        let columns = map.columns.iter().map(|column| Placed::of(column, table));
        Ok(Self {
            map,
            subject,
            order: order.map(|name| table.column(name)).transpose()?,
            prediction,
            label: label.transpose()?,
            split: split.transpose()?,
            columns: columns.collect::<Result<_, _>>()?,
        })
    }

    /// The columns that are used.
    fn columns(&self) -> impl Iterator<Item = usize> {
        let prediction: Vec<usize> = match &self.prediction {
            When::Column(place) => vec![*place],
            When::Since(since) => since.columns().collect(),
            When::At(_) | When::Sequence(..) => Vec::new(),
        };
        let label = self.label.as_ref().map(|(_, place)| *place);
        let split = self.split.as_ref().map(|(_, place)| *place);
        let single = [self.subject, self.order, label, split];
        let columns = self.columns.iter().map(|placed| placed.place);
        single
            .into_iter()
            .flatten()
            .chain(prediction)
            .chain(columns)
    }

    /// Finds how columns of levels are written, where the map does not say.
    fn find_written(&mut self, table: &Table<'_>, output: &mut Output) -> Result<(), ImportError> {
        let open = |placed: &&mut Placed<'_>| {
            placed.column.kind == As::Level
                && placed.levels.is_empty()
                && placed.column.verbatim.is_none()
        };
        let mut open: Vec<&mut Placed<'_>> = self.columns.iter_mut().filter(open).collect();
        if open.is_empty() {
            return Ok(());
        }
        let mut seen = vec![written::Seen::default(); open.len()];
        // Bad rows are told of when the rows are read for good.
        table.rows(&mut Triage::new(BadRows::Drop), |row, _| {
            for (placed, seen) in open.iter().zip(&mut seen) {
                if let Ok(Some(cell)) = row.cell(placed.place)
                    && !placed.missing.contains(cell)
                {
                    seen.note(cell);
                }
            }
            Ok(())
        })?;
        for (placed, seen) in open.iter_mut().zip(seen) {
            placed.written = seen.written();
            let note = seen.note_for(&placed.column.name);
            if let Some(note) = note
                && !output.notes.contains(&note)
            {
                output.notes.push(note);
            }
        }
        Ok(())
    }

    /// Of each row that passes the filters: how many of its subject are before it, where the map asks for an order.
    fn ranks(
        &self,
        filters: &Filters<'_>,
        ids: &Ids,
        table: &Table<'_>,
    ) -> Result<Option<HashMap<u64, u32>>, ImportError> {
        let Some(order) = self.order else {
            return Ok(None);
        };
        let mut rows: Vec<(i64, i64, u64)> = Vec::new();
        // Bad rows are told of when the rows are read for good.
        table.rows(&mut Triage::new(BadRows::Drop), |row, _| {
            let place = || {
                Ok::<_, BadCell>((
                    filters.pass(row)?,
                    self.subject(row, ids)?,
                    row.integer(order)?,
                ))
            };
            if let Ok((Passes::Yes, subject, order)) = place() {
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
        filters: &Filters<'_>,
        ranks: Option<&HashMap<u64, u32>>,
        (ids, clock): (&Ids, &mut Clock<'_>),
        cells: &mut Cells,
    ) -> Result<Kept, BadCell> {
        if let Passes::Not(place) = filters.pass(row)? {
            return Ok(Kept::Passed(place));
        }
        cells.subject = self.subject(row, ids)?;
        let mut rank = 0;
        if let (Some(ranks), Some(order)) = (ranks, self.order) {
            row.integer(order)?;
            rank = ranks.get(&row.number).copied().unwrap_or(0);
            if rank > 0 && self.map.first_by.is_some() {
                return Ok(Kept::Later);
            }
        }
        cells.prediction = match &self.prediction {
            When::At(time) => Some(*time),
            When::Sequence(first, gap) => Some(first.plus(gap.saturating_mul(i64::from(rank)))),
            When::Column(column) => Some(
                row.time(*column, clock)?
                    .ok_or((*column, Problem::Missing))?,
            ),
            When::Since(since) => Some(
                since
                    .time(row, clock)?
                    .ok_or((since.place(), Problem::Missing))?,
            ),
        };
        let label = self.label.as_ref();
        cells.class = label
            .map(|(class, column)| class.of_row(row, *column))
            .transpose()?;
        let split = self.split.as_ref();
        cells.split = split
            .map(|(levels, column)| split_of(levels, row, *column))
            .transpose()?;
        cells.used = 0;
        for placed in &self.columns {
            if let Some(cell) = row.cell(placed.place)?
                && !placed.missing.contains(cell)
            {
                cells.add(placed, row, cell)?;
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

    fn subject(&self, row: &Row<'_>, ids: &Ids) -> Result<i64, BadCell> {
        match self.subject {
            Some(column) => {
                let number = ids.number(row.required(column)?);
                number.map_err(|problem| (column, problem))
            }
            None => Ok(i64::try_from(row.number).unwrap_or(i64::MAX)),
        }
    }
}

impl<'a> Placed<'a> {
    fn of(column: &'a Column, table: &Table<'_>) -> Result<Self, ImportError> {
        let numbers = column.numbers.iter();
        let numbers = numbers.map(|(cell, number)| (cell.as_str(), *number));
        let digits = table.digits;
        Ok(Self {
            column,
            place: table.column(&column.name)?,
            missing: Listed::cells(&column.missing, digits),
            numbers: Listed::of("column.numbers", numbers, digits)?,
            levels: Levels::of(&column.levels, digits),
            written: match column.verbatim {
                Some(false) => Written::Whole,
                None | Some(true) => Written::AsIs,
            },
        })
    }

    fn level<'cell>(&'cell self, cell: &'cell str) -> Result<&'cell str, BadCell> {
        if self.levels.is_empty() {
            return Ok(self.written.of(cell));
        }
        let level = self.levels.of_cell(cell);
        level.ok_or_else(|| unknown(cell, self.place))
    }

    fn number(&self, row: &Row<'_>, cell: &str) -> Result<f32, BadCell> {
        let number = match self.numbers.get(cell) {
            Some(number) => *number,
            None => row.number(cell, self.place)?,
        };
        let number = value(number, cell, self.place)?;
        match self.column.transform.of(number) {
            value if value.is_finite() => Ok(value),
            value => Err((self.place, Problem::NotFinite(f64::from(value)))),
        }
    }
}

impl Cells {
    fn add(&mut self, placed: &Placed<'_>, row: &Row<'_>, cell: &str) -> Result<(), BadCell> {
        let (level, value) = match placed.column.kind {
            As::Level => (Some(placed.level(cell)?), None),
            As::Number => (None, Some(placed.number(row, cell)?)),
        };
        if self.used == self.events.len() {
            self.events.push((String::new(), None));
        }
        let event = &mut self.events[self.used];
        event.0.clear();
        let code = placed.column.code.as_ref();
        event.0.push_str(code.unwrap_or(&placed.column.name));
        if let Some(level) = level {
            event.0.push_str("//");
            event.0.push_str(level);
        }
        event.1 = value;
        self.used += 1;
        Ok(())
    }
}

impl Class {
    fn of(label: &Label, table: &Table<'_>) -> Result<(Self, usize), ImportError> {
        let class = match &label.class {
            ClassRule::Integer => Self::Integer,
            ClassRule::Above(limit) => Self::Above(*limit),
            ClassRule::Levels(levels) => {
                let levels = levels.iter().map(|(cell, class)| (cell.as_str(), *class));
                Self::Levels(Listed::of("label.class.levels", levels, table.digits)?)
            }
        };
        Ok((class, table.column(&label.column)?))
    }

    fn of_row(&self, row: &Row<'_>, column: usize) -> Result<u32, BadCell> {
        let cell = row.required(column)?;
        match self {
            Self::Integer => u32::try_from(row.integer(column)?).map_err(|_| unknown(cell, column)),
            Self::Above(limit) => Ok(u32::from(row.number(cell, column)? > *limit)),
            Self::Levels(levels) => {
                let class = levels.get(cell).copied();
                class.ok_or_else(|| unknown(cell, column))
            }
        }
    }
}

fn splits_of<'a>(
    split: &'a SplitColumn,
    table: &Table<'_>,
) -> Result<(Listed<&'a str>, usize), ImportError> {
    let levels = split.levels.iter();
    let levels = levels.map(|(cell, name)| (cell.as_str(), name.as_str()));
    let levels = Listed::of("split.levels", levels, table.digits)?;
    Ok((levels, table.column(&split.column)?))
}

fn split_of(levels: &Listed<&str>, row: &Row<'_>, column: usize) -> Result<Split, BadCell> {
    let cell = row.required(column)?;
    let name = levels.get(cell).copied().unwrap_or(cell);
    let wrong = || (column, Problem::UnknownSplit(Quoted::new(cell.as_bytes())));
    split::by_name(name.as_bytes()).ok_or_else(wrong)
}

fn unknown(cell: &str, column: usize) -> BadCell {
    (column, Problem::UnknownLevel(Quoted::new(cell.as_bytes())))
}
