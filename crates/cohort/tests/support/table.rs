//! The events and labels that imports of tables make.

use bytes::Bytes;
use cohort::File;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use protocol::door::Role;

use crate::imported::Imported;

/// The rows of the file of a role, a cell each.
pub(crate) fn cells(files: &[File], role: Role) -> Vec<Vec<Field>> {
    let file = files.iter().find(|file| file.role == role).unwrap();
    let reader = SerializedFileReader::new(Bytes::from(file.bytes.to_vec())).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    let cells = |row: parquet::record::Row| {
        let cells = row.get_column_iter();
        cells.map(|(_, cell)| cell.clone()).collect()
    };
    rows.map(|row| cells(row.unwrap())).collect()
}

/// The codes of a table's events, in the order of subjects and of the map.
pub(crate) fn codes(imported: &Imported) -> Vec<String> {
    let rows = cells(&imported.files, Role::Events);
    let code = |row: &Vec<Field>| match &row[2] {
        Field::Str(code) => code.clone(),
        other => panic!("a code is text, not {other:?}"),
    };
    rows.iter().map(code).collect()
}

/// Subject, microseconds, code and value of each event.
pub(crate) type Event = (i64, Option<i64>, String, Option<f32>);

/// The events of a table.
pub(crate) fn events(imported: &Imported) -> Vec<Event> {
    let rows = cells(&imported.files, Role::Events);
    let codes = codes(imported);
    let event = |(row, code): (&Vec<Field>, String)| {
        let subject = long(&row[0]).unwrap();
        let value = match row[3] {
            Field::Float(value) => Some(value),
            _ => None,
        };
        (subject, long(&row[1]), code, value)
    };
    rows.iter().zip(codes).map(event).collect()
}

/// Subject, microseconds and class of each label.
pub(crate) fn labels(imported: &Imported) -> Vec<(i64, i64, i64)> {
    let rows = cells(&imported.files, Role::Labels);
    let label = |row: &Vec<Field>| {
        let [subject, time, class] = [0, 1, 2].map(|place| long(&row[place]).unwrap());
        (subject, time, class)
    };
    rows.iter().map(label).collect()
}

fn long(cell: &Field) -> Option<i64> {
    match cell {
        Field::Long(number) | Field::TimestampMicros(number) => Some(*number),
        Field::Null => None,
        other => panic!("want a whole number or a time, not {other:?}"),
    }
}
