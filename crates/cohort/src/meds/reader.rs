//! What the readers of a data set's files share.

use protocol::door::BadRows;

use super::clock::Clocks;
use super::column::Cell;
use crate::bad_row::Triage;
use crate::error::CohortError;

/// Reads the files of one data set, one after the other.
#[derive(Debug)]
pub(crate) struct Reader {
    /// What became of rows that cannot be used.
    pub(crate) triage: Triage,
    /// Where the clock of the data set hangs.
    pub(super) clocks: Clocks,
}

impl Reader {
    pub(crate) fn new(bad_rows: BadRows) -> Self {
        Self {
            triage: Triage::new(bad_rows),
            clocks: Clocks::default(),
        }
    }
}

/// Where a cell stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    /// From 1.
    pub(super) row: u64,
}

impl Place<'_> {
    /// The cell's value, if it has one; a cell that is none is refused, and then the row is not to be used.
    pub(super) fn take<T: Copy>(
        self,
        column: &str,
        cell: &Cell<T>,
        triage: &mut Triage,
    ) -> Result<Taken<T>, CohortError> {
        match cell {
            None => Ok(Taken::Cell(None)),
            Some(Ok(value)) => Ok(Taken::Cell(Some(*value))),
            Some(Err(problem)) => {
                triage.refuse(self.file, self.row, column, (**problem).clone())?;
                Ok(Taken::Refused)
            }
        }
    }
}

/// What was taken of a cell.
pub(super) enum Taken<T> {
    /// Its value, or nothing where it is null.
    Cell(Option<T>),
    /// Nothing: the row is refused.
    Refused,
}
