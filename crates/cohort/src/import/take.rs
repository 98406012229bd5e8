//! One reading of a table's rows for good.

use super::clock::Clock;
use super::id::Ids;
use super::long::Long;
use super::map::Map;
use super::scan::Scan;
use super::table::{Filters, Table};
use super::wide::{Looked, Wide};
use super::{ImportError, Output};
use crate::bad_row::Triage;

/// What the reading of a row has at hand.
pub(super) struct Hands {
    pub(super) ids: Ids,
    pub(super) filters: Filters,
    pub(super) clock: Clock,
    pub(super) output: Output,
}

/// A reading.
pub(super) struct Take {
    pub(super) scan: Scan,
    pub(super) triage: Triage,
    pub(super) hands: Hands,
    shape: Shape,
}

/// How a table's rows are read.
enum Shape {
    Wide(Box<Wide>),
    Long(Long),
}

impl Take {
    pub(super) fn new(
        map: &Map,
        table: &Table,
        looked: &Looked,
        (ids, triage, output): (Ids, Triage, Output),
    ) -> Result<Self, ImportError> {
        let hands = Hands {
            ids,
            filters: Filters::of(map, table)?,
            clock: Clock::new(&map.time_format, map.zone.as_deref())?,
            output,
        };
        let shape = match &map.event {
            None => Shape::Wide(Box::new(Wide::new(map, table, looked)?)),
            Some(columns) => Shape::Long(Long::new(map, columns, table)?),
        };
        Ok(Self {
            scan: Scan::new(table),
            triage,
            hands,
            shape,
        })
    }

    /// Reads the rows of the next piece.
    pub(super) fn piece(
        &mut self,
        table: &Table,
        looked: &Looked,
        piece: &[u8],
    ) -> Result<(), ImportError> {
        let Self {
            scan,
            triage,
            hands,
            shape,
        } = self;
        scan.piece(table, piece, triage, |row, triage| match shape {
            Shape::Wide(wide) => wide.row(table, looked, row, triage, hands),
            Shape::Long(long) => long.row(table, row, triage, hands),
        })
    }

    /// The columns that are used, filters' aside.
    pub(super) fn columns(&self) -> Vec<usize> {
        match &self.shape {
            Shape::Wide(wide) => wide.columns(),
            Shape::Long(long) => long.columns(),
        }
    }
}
