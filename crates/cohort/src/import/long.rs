//! Long tables: one row an event.

use super::map::{EventColumns, Map, Subject};
use super::table::{BadCell, Filters, Row, Table, number};
use super::{ImportError, Output};
use crate::bad_row::Triage;

/// Reads a table's rows as events.
pub(super) fn read(
    map: &Map,
    columns: &EventColumns,
    table: &Table<'_>,
    triage: &mut Triage,
    output: &mut Output,
) -> Result<(), ImportError> {
    let filters = Filters::of(&map.filters, table)?;
    let subject = match &map.subject {
        Subject::Column(name) => table.column(name)?,
        Subject::RowNumber => {
            let problem = "a long table has many rows a subject: want a column";
            return Err(ImportError::Setting {
                setting: "subject",
                problem,
            });
        }
    };
    let time = table.column(&columns.time)?;
    let code = table.column(&columns.code)?;
    let value = columns
        .value
        .as_ref()
        .map(|name| table.column(name))
        .transpose()?;
    let mut use_row = |row: &Row<'_>| -> Result<(), BadCell> {
        if !filters.pass(row)? {
            return Ok(());
        }
        let subject = row.integer(subject)?;
        let time = row.time(time, map.time_format)?;
        let code = row.required(code)?;
        let value = match value {
            Some(column) => row
                .cell(column)?
                .map(|cell| number(cell, column))
                .transpose()?,
            None => None,
        };
        output.events.push(subject, time, code, value);
        output.kept += 1;
        Ok(())
    };
    output.rows = table.rows(triage, |row, triage| match use_row(row) {
        Ok(()) => Ok(()),
        Err(bad) => Ok(table.refuse(triage, row, bad)?),
    })?;
    Ok(())
}
