//! Wide tables: one row a subject or stay, whose columns become events.

use std::collections::HashMap;

use protocol::door::Split;

use super::batch::OnePatient;
use super::cell::{Alike, Listed};
use super::clock::Clock;
use super::id::Ids;
use super::level::Levels;
use super::map::{As, ClassRule, Column, Label, Map, Prediction, SplitColumn, Subject};
use super::table::{BadCell, Filters, Passes, Row, Since, Table, value};
use super::take::Hands;
use super::written::{Seen, Written};
use super::{ImportError, Output, one_patient};
use crate::bad_row::{Problem, Quoted, Triage};
use crate::first_rows::{FirstRow, FirstRows};
use crate::meds::Timestamp;
use crate::split;

/// Reads a table's rows as subjects, or as their stays. A row is used whole or not at all.
pub(super) struct Wide {
    plan: Plan,
    stood: Stood,
    /// Memory for the next row.
    cells: Cells,
}

impl Wide {
    pub(super) fn new(map: &Map, table: &Table, looked: &Looked) -> Result<Self, ImportError> {
        let mut plan = Plan::of(map, table)?;
        for (placed, written) in plan.columns.iter_mut().zip(&looked.written) {
            if let Some(written) = written {
                placed.written = *written;
            }
        }
        Ok(Self {
            plan,
            stood: Stood::default(),
            cells: Cells::default(),
        })
    }

    /// The columns that are used.
    pub(super) fn columns(&self) -> Vec<usize> {
        self.plan.columns().collect()
    }

    pub(super) fn row(
        &mut self,
        table: &Table,
        looked: &Looked,
        row: &Row<'_>,
        triage: &mut Triage,
        hands: &mut Hands,
    ) -> Result<(), ImportError> {
        let (plan, cells) = (&self.plan, &mut self.cells);
        let kept = plan.read_row(row, looked.ranks.as_ref(), hands, cells);
        // Of each row that counts as its subject's, whether it is used or not.
        if let (Ok(Kept::Yes | Kept::Later), Some(column)) = (&kept, plan.subject) {
            let id = row.cell(column).ok().flatten().unwrap_or_default();
            hands.ids.note(&table.name, cells.subject, id, row.number)?;
        }
        let first = match kept {
            Ok(Kept::Yes) => {
                let noted = self.stood.note(&table.name, row.number, cells);
                noted.map_err(|problem| (plan.subject.unwrap_or(0), problem))
            }
            Ok(Kept::Passed(place)) => {
                hands.filters.count(place, row);
                return Ok(());
            }
            Ok(Kept::Later) => {
                hands.output.later += 1;
                return Ok(());
            }
            Ok(Kept::Elsewhere) => return Ok(()),
            Err(bad) => Err(bad),
        };
        match first {
            Ok(first) => {
                cells.count(row, &mut hands.output);
                plan.write_row(&table.name, cells, first, &mut hands.output)
            }
            Err(bad) => Ok(table.refuse(triage, row, bad)?),
        }
    }
}

/// What can only be known once all rows were seen.
#[derive(Default)]
pub(super) struct Looked {
    /// How each column of the map writes its levels, where the map does not say.
    written: Vec<Option<Written>>,
    /// Of each row that passes the filters: how many of its subject are before it, where the map asks for an order.
    ranks: Option<HashMap<u64, u32>>,
    pub(super) notes: Vec<String>,
}

/// A first look at all rows. Bad ones are told of when they are read for good.
pub(super) struct Look {
    plan: Plan,
    /// One a column of the map: what was seen of it, where the map does not say how it is written.
    seen: Vec<Option<Seen>>,
    /// Subject, order and number of each row.
    rows: Option<Vec<(i64, i64, u64)>>,
}

impl Look {
    /// A look, where there is something to look for.
    pub(super) fn new(map: &Map, table: &Table) -> Result<Option<Self>, ImportError> {
        let plan = Plan::of(map, table)?;
        let is_open = |placed: &Placed| {
            placed.column.kind == As::Level
                && placed.levels.is_empty()
                && placed.column.verbatim.is_none()
        };
        let seen = plan.columns.iter();
        let seen: Vec<_> = seen
            .map(|placed| is_open(placed).then(Seen::default))
            .collect();
        let rows = plan.order.is_some().then(Vec::new);
        let needed = rows.is_some() || seen.iter().any(Option::is_some);
        Ok(needed.then_some(Self { plan, seen, rows }))
    }

    pub(super) fn row(&mut self, row: &Row<'_>, filters: &Filters, ids: &Ids) {
        for (placed, seen) in self.plan.columns.iter().zip(&mut self.seen) {
            if let Some(seen) = seen
                && let Ok(Some(cell)) = row.cell_of(placed.place, placed.column.alike())
                && !placed.missing.contains(cell)
            {
                seen.note(cell);
            }
        }
        if let (Some(rows), Some(order)) = (&mut self.rows, self.plan.order)
            && let Ok(Passes::Yes) = filters.pass(row)
            && let Ok(subject) = self.plan.subject(row, ids)
            && let Ok(order) = row.integer(order)
        {
            rows.push((subject, order, row.number));
        }
    }

    pub(super) fn finish(self) -> Looked {
        let mut notes = Vec::new();
        for (placed, seen) in self.plan.columns.iter().zip(&self.seen) {
            let note = seen
                .as_ref()
                .and_then(|seen| seen.note_for(&placed.column.name));
            notes.extend(note.filter(|note| !notes.contains(note)));
        }
        let ranks = self.rows.map(|mut rows| {
            rows.sort_unstable();
            let of_subjects = rows.chunk_by(|one, next| one.0 == next.0);
            let ranked = of_subjects.flat_map(|rows| (0..).zip(rows));
            ranked.map(|(rank, (_, _, row))| (*row, rank)).collect()
        });
        let written = self.seen.iter();
        Looked {
            written: written
                .map(|seen| seen.as_ref().map(Seen::written))
                .collect(),
            ranks,
            notes,
        }
    }
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
struct Plan {
    /// Whether of a subject's rows the first one alone is used.
    first_alone: bool,
    /// Microseconds from events to the prediction time.
    lead: i64,
    /// None where the row's number is the subject's.
    subject: Option<usize>,
    /// The column that orders a subject's rows.
    order: Option<usize>,
    prediction: When,
    label: Option<(Class, usize)>,
    split: Option<(Listed<String>, usize)>,
    columns: Vec<Placed>,
}

/// A column of the map, ready for its cells.
struct Placed {
    column: Column,
    place: usize,
    missing: Listed<()>,
    numbers: Listed<f64>,
    levels: Levels,
    written: Written,
}

/// How a cell becomes a class.
enum Class {
    Integer,
    Above(f64),
    Levels(Listed<u32>),
}

/// When a row's label is to be predicted.
enum When {
    Column(usize),
    At(Timestamp),
    Since(Since),
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
    /// Its subject is of another batch.
    Elsewhere,
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
    /// The columns whose cells are missing, and those of levels that are not.
    missing: Vec<usize>,
    levels: Vec<usize>,
}

impl Plan {
    fn of(map: &Map, table: &Table) -> Result<Self, ImportError> {
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
        let label = map.label.as_ref().map(|label| Class::of(label, map, table));
        let split = map.split.as_ref().map(|split| splits_of(split, map, table));
        let columns = map.columns.iter().map(|column| Placed::of(column, table));
        Ok(Self {
            first_alone: map.first_by.is_some(),
            lead: i64::from(map.lead_days) * Timestamp::DAY,
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

    fn read_row(
        &self,
        row: &Row<'_>,
        ranks: Option<&HashMap<u64, u32>>,
        hands: &mut Hands,
        cells: &mut Cells,
    ) -> Result<Kept, BadCell> {
        if let Passes::Not(place) = hands.filters.pass(row)? {
            return Ok(Kept::Passed(place));
        }
        cells.subject = self.subject(row, &hands.ids)?;
        if !hands.output.wants(cells.subject) {
            return Ok(Kept::Elsewhere);
        }
        let clock: &mut Clock = &mut hands.clock;
        let mut rank = 0;
        if let (Some(ranks), Some(order)) = (ranks, self.order) {
            row.integer(order)?;
            rank = ranks.get(&row.number).copied().unwrap_or(0);
            if rank > 0 && self.first_alone {
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
        cells.missing.clear();
        cells.levels.clear();
        for placed in &self.columns {
            let note = match row.cell_of(placed.place, placed.column.alike())? {
                Some(cell) if !placed.missing.contains(cell) => {
                    cells.add(placed, row, cell)?;
                    let is_level = placed.column.kind == As::Level && !placed.levels.names(cell);
                    is_level.then_some(&mut cells.levels)
                }
                _ => Some(&mut cells.missing),
            };
            if let Some(note) = note
                && !note.contains(&placed.place)
            {
                note.push(placed.place);
            }
        }
        Ok(Kept::Yes)
    }

    fn write_row(
        &self,
        file: &str,
        cells: &Cells,
        subject: Subjects,
        output: &mut Output,
    ) -> Result<(), ImportError> {
        output.kept += 1;
        let Some(prediction) = cells.prediction else {
            return Ok(());
        };
        let time = prediction.plus(-self.lead);
        for (code, value) in &cells.events[..cells.used] {
            let pushed = output.events.push(cells.subject, Some(time), code, *value);
            pushed.map_err(|OnePatient(most)| one_patient(file, most))?;
        }
        if let Some(class) = cells.class {
            output.labels.push(cells.subject, prediction, class);
        }
        if let (Subjects::New, Some(split)) = (subject, cells.split) {
            output.splits.push(cells.subject, split);
        }
        Ok(())
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

impl Placed {
    fn of(column: &Column, table: &Table) -> Result<Self, ImportError> {
        let numbers = column.numbers.iter();
        let numbers = numbers.map(|(cell, number)| (cell.as_str(), *number));
        let digits = table.digits;
        Ok(Self {
            column: column.clone(),
            place: table.column(&column.name)?,
            missing: Listed::cells(&column.missing, digits, column.alike()),
            numbers: Listed::of("column.numbers", numbers, digits, Alike::Number)?,
            levels: Levels::of(&column.levels, digits, column.alike()),
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
    /// Counts what is missing of a row that is kept.
    fn count(&self, row: &Row<'_>, output: &mut Output) {
        let text = |place: &usize| row.text(*place).unwrap_or_default();
        for place in &self.missing {
            output.holes.missing(*place, text(place));
        }
        for place in &self.levels {
            output.holes.kept(*place, text(place));
        }
    }

    fn add(&mut self, placed: &Placed, row: &Row<'_>, cell: &str) -> Result<(), BadCell> {
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
    fn of(label: &Label, map: &Map, table: &Table) -> Result<(Self, usize), ImportError> {
        let alike = map.alike(&label.column);
        let class = match &label.class {
            ClassRule::Integer => Self::Integer,
            ClassRule::Above(limit) => Self::Above(*limit),
            ClassRule::Levels(levels) => {
                let levels = levels.iter().map(|(cell, class)| (cell.as_str(), *class));
                Self::Levels(Listed::of(
                    "label.class.levels",
                    levels,
                    table.digits,
                    alike,
                )?)
            }
        };
        Ok((class, table.column(&label.column)?))
    }

    fn of_row(&self, row: &Row<'_>, column: usize) -> Result<u32, BadCell> {
        let alike = match self {
            Self::Integer | Self::Above(_) => Alike::Number,
            Self::Levels(_) => Alike::Code,
        };
        let cell = row.cell_of(column, alike)?;
        let cell = cell.ok_or((column, Problem::Missing))?;
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

fn splits_of(
    split: &SplitColumn,
    map: &Map,
    table: &Table,
) -> Result<(Listed<String>, usize), ImportError> {
    let levels = split.levels.iter();
    let levels = levels.map(|(cell, name)| (cell.as_str(), name.clone()));
    let levels = Listed::of(
        "split.levels",
        levels,
        table.digits,
        map.alike(&split.column),
    )?;
    Ok((levels, table.column(&split.column)?))
}

fn split_of(levels: &Listed<String>, row: &Row<'_>, column: usize) -> Result<Split, BadCell> {
    let cell = row.required(column)?;
    let name = levels.get(cell).map_or(cell, String::as_str);
    let wrong = || (column, Problem::UnknownSplit(Quoted::new(cell.as_bytes())));
    split::by_name(name.as_bytes()).ok_or_else(wrong)
}

fn unknown(cell: &str, column: usize) -> BadCell {
    (column, Problem::UnknownLevel(Quoted::new(cell.as_bytes())))
}
