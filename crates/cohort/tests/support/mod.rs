//! Small Parquet tables and studies, shared by the tests.

#![allow(
    dead_code,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "shared by tests, each of which uses its own part"
)]

use std::sync::Arc;

pub(crate) use cohort::File;
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
    Int96, Int96Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use protocol::door::Role;
use protocol::study::{Cohort, Encoding, Feature, Modality, Normalisation, Shape, Span, Split};

/// The columns of [`event`].
pub(crate) const EVENTS: &str = "subject_id:i64 time:us code:text numeric_value:f64";

/// A study with classes low, medium and high.
pub(crate) fn study(history_days: u32, modalities: Vec<Modality>) -> Cohort {
    Cohort {
        history: Span::days(history_days),
        classes: ["low", "medium", "high"].map(str::to_owned).to_vec(),
        normalisation: Normalisation::Reference,
        labels_per_patient: 1,
        split: Split {
            train: 0.75,
            tuning: 0.0,
        },
        modalities,
    }
}

pub(crate) fn modality(name: &str, shape: Shape, features: Vec<Feature>) -> Modality {
    Modality {
        name: name.to_owned(),
        shape,
        features,
    }
}

/// A feature whose reference is the middle of its range.
pub(crate) fn feature(code: &str, encoding: Encoding, low: f64, high: f64) -> Feature {
    Feature {
        code: code.to_owned(),
        name: code.to_lowercase(),
        unit: "1".to_owned(),
        encoding,
        low,
        high,
        mean: (low + high) / 2.0,
        sd: (high - low) / 4.0,
    }
}

/// A cell of a table; `None` is null.
pub(crate) type Cell = Option<Value>;

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
}

pub(crate) mod cell {
    use super::{Cell, Value};

    pub(crate) fn int(value: i64) -> Cell {
        Some(Value::Int(value))
    }

    pub(crate) fn time(micros: i64) -> Cell {
        int(micros)
    }

    pub(crate) fn float(value: f64) -> Cell {
        Some(Value::Float(value))
    }

    pub(crate) fn yes() -> Cell {
        Some(Value::Bool(true))
    }

    pub(crate) fn no() -> Cell {
        Some(Value::Bool(false))
    }

    pub(crate) fn text(value: &str) -> Cell {
        Some(Value::Text(value.to_owned()))
    }
}

/// A row of [`EVENTS`].
pub(crate) fn event(subject: i64, time: Option<i64>, code: &str, value: Option<f64>) -> Vec<Cell> {
    vec![
        cell::int(subject),
        time.and_then(cell::time),
        cell::text(code),
        value.and_then(cell::float),
    ]
}

/// A file of events.
pub(crate) fn file(name: &str, role: Role, rows: &[Vec<Cell>]) -> File {
    table(name, role, EVENTS, rows)
}

/// A file of labels: patient, prediction time and class.
pub(crate) fn labels(rows: &[(i64, i64, i64)]) -> File {
    let rows: Vec<_> = rows
        .iter()
        .map(|(subject, time, class)| {
            vec![cell::int(*subject), cell::time(*time), cell::int(*class)]
        })
        .collect();
    table(
        "labels",
        Role::Labels,
        "subject_id:i64 prediction_time:us integer_value:i64",
        &rows,
    )
}

/// A file with `columns` such as `time:us code:text`, all of them nullable.
pub(crate) fn table(name: &str, role: Role, columns: &str, rows: &[Vec<Cell>]) -> File {
    grouped(name, role, columns, rows, 1_000_000)
}

/// As [`table`], with row groups of `group` rows.
pub(crate) fn grouped(
    name: &str,
    role: Role,
    columns: &str,
    rows: &[Vec<Cell>],
    group: usize,
) -> File {
    written(
        name,
        role,
        columns,
        rows,
        group,
        WriterProperties::default(),
    )
}

/// As [`grouped`], written otherwise.
pub(crate) fn written(
    name: &str,
    role: Role,
    columns: &str,
    rows: &[Vec<Cell>],
    group: usize,
    properties: WriterProperties,
) -> File {
    let columns: Vec<(&str, &str)> = columns
        .split(' ')
        .map(|column| column.split_once(':').unwrap())
        .collect();
    let fields = columns
        .iter()
        .map(|(name, kind)| Arc::new(field(name, kind)))
        .collect();
    let schema = Type::group_type_builder("schema")
        .with_fields(fields)
        .build()
        .unwrap();
    let mut writer =
        SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).unwrap();
    for rows in rows.chunks(group) {
        let mut group = writer.next_row_group().unwrap();
        for (place, (_, kind)) in columns.iter().enumerate() {
            let cells: Vec<&Cell> = rows.iter().map(|row| &row[place]).collect();
            write(&mut group, kind, &cells);
        }
        group.close().unwrap();
    }
    File {
        name: name.to_owned(),
        role,
        bytes: writer.into_inner().unwrap(),
    }
}

fn field(name: &str, kind: &str) -> Type {
    let (physical, logical) = match kind {
        "i32" => (Physical::INT32, None),
        "i64" => (Physical::INT64, None),
        "i96" => (Physical::INT96, None),
        "null" => (Physical::INT32, Some(LogicalType::Unknown)),
        "f32" => (Physical::FLOAT, None),
        "f64" => (Physical::DOUBLE, None),
        "bool" => (Physical::BOOLEAN, None),
        "text" => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        "ms" => (
            Physical::INT64,
            Some(LogicalType::timestamp(false, TimeUnit::MILLIS)),
        ),
        "utc" => (
            Physical::INT64,
            Some(LogicalType::timestamp(true, TimeUnit::MILLIS)),
        ),
        "us" => (
            Physical::INT64,
            Some(LogicalType::timestamp(false, TimeUnit::MICROS)),
        ),
        "ns" => (
            Physical::INT64,
            Some(LogicalType::timestamp(false, TimeUnit::NANOS)),
        ),
        other => panic!("no column type {other}"),
    };
    Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
        .unwrap()
}

fn write(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, kind: &str, cells: &[&Cell]) {
    let int = |value: &Value| match value {
        Value::Int(value) => *value,
        other => panic!("no whole number: {other:?}"),
    };
    let float = |value: &Value| match value {
        Value::Float(value) => *value,
        other => panic!("no number: {other:?}"),
    };
    match kind {
        "i32" | "null" => {
            column::<Int32Type>(group, cells, |value| i32::try_from(int(value)).unwrap())
        }
        "i96" => column::<Int96Type>(group, cells, |_| Int96::new()),
        "f32" => column::<FloatType>(group, cells, |value| float(value) as f32),
        "f64" => column::<DoubleType>(group, cells, float),
        "bool" => column::<BoolType>(group, cells, |value| matches!(value, Value::Bool(true))),
        "text" => column::<ByteArrayType>(group, cells, |value| match value {
            Value::Text(text) => ByteArray::from(text.as_str()),
            other => panic!("no text: {other:?}"),
        }),
        _ => column::<Int64Type>(group, cells, int),
    }
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    cells: &[&Cell],
    convert: impl Fn(&Value) -> T::T,
) {
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    let values: Vec<T::T> = cells
        .iter()
        .filter_map(|cell| cell.as_ref().map(&convert))
        .collect();
    let mut writer = group.next_column().unwrap().unwrap();
    writer
        .typed::<T>()
        .write_batch(&values, Some(&levels), None)
        .unwrap();
    writer.close().unwrap();
}
