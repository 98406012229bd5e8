//! What the values of a column are: every type of Parquet, read exactly or refused by name.
//!
//! | physical type | annotation, old converted types alike | kind |
//! | --- | --- | --- |
//! | any | Unknown (a column of nulls, as pyarrow and pandas write it) | [`Kind::Nothing`] |
//! | BOOLEAN | none | [`Kind::Truth`] |
//! | INT32, INT64 | none, Integer (signed) | [`Kind::Signed`] |
//! | INT32 | Integer (unsigned, 8 to 32 bits) | [`Kind::Unsigned32`] |
//! | INT64 | Integer (unsigned, 64 bits) | [`Kind::Unsigned64`] |
//! | INT32, INT64, BYTE\_ARRAY, FIXED\_LEN\_BYTE\_ARRAY | Decimal, scale 0 to 38 | [`Kind::Decimal`] |
//! | FLOAT, DOUBLE; FIXED\_LEN\_BYTE\_ARRAY(2) | none; Float16 | [`Kind::Real`] |
//! | INT32 | Date | [`Kind::Date`] |
//! | INT64 | Timestamp | [`Kind::Moment`] |
//! | BYTE\_ARRAY | none, String, Enum | [`Kind::Text`] |
//! | INT96 | | refused: it has no agreed meaning |
//! | all else: time of day, Interval, Json, Bson, Uuid, Variant, Geometry … | | refused by name |
//!
//! And what a column is used for decides which kinds it takes:
//!
//! | kind | ids, `integer_value` | `numeric_value`, `float_value` | times | texts | `boolean_value` |
//! | --- | --- | --- | --- | --- | --- |
//! | Nothing | null, but no id | null | null | null | null |
//! | Truth | | | | | as it is |
//! | Signed, Unsigned32 | as it is | nearest double | | | |
//! | Unsigned64 | below 2^63, else a bad row | nearest double | | | |
//! | Decimal | whole values, else a bad row | nearest double of value / 10^scale | | | |
//! | Real | | as it is | | | |
//! | Date | | | midnight | | |
//! | Moment | | | µs, rounded down; beyond 64 bits a bad row | | |
//! | Text | | | | as it is | |
//!
//! Source: the Apache Parquet format's `LogicalTypes.md`.

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::schema::types::ColumnDescriptor;

use super::clock::Clock;

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nulls alone.
    Nothing,
    /// True or false.
    Truth,
    /// Whole numbers.
    Signed,
    /// Whole numbers of 8 to 32 bits, none below 0, in 32 bits.
    Unsigned32,
    /// Whole numbers of 64 bits, none below 0.
    Unsigned64,
    /// Whole numbers that are to be divided by 10^scale.
    Decimal {
        /// Decimal places, at most [`MOST_PLACES`].
        scale: u32,
    },
    /// Floats of 2, 4 or 8 bytes.
    Real,
    /// Days since 1970-01-01.
    Date,
    /// Times since 1970-01-01T00:00:00.
    Moment {
        /// What is counted.
        unit: Unit,
        /// Where it is 1970-01-01T00:00:00.
        clock: Clock,
    },
    /// Text in UTF-8.
    Text,
}

/// The unit of a time column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Milli,
    Micro,
    Nano,
}

/// 10^38 is the last power of ten in 128 bits.
const MOST_PLACES: u32 = 38;

impl Kind {
    /// What the column holds; nothing where that is a type that no column of MEDS has.
    pub(super) fn of(column: &ColumnDescriptor) -> Option<Self> {
        let physical = column.physical_type();
        let Some(logical) = column.logical_type_ref() else {
            return Self::converted(column);
        };
        match (physical, logical) {
            (_, LogicalType::Unknown) => Some(Self::Nothing),
            (Type::INT32 | Type::INT64, LogicalType::Integer(integer)) if integer.is_signed => {
                Some(Self::Signed)
            }
            (Type::INT32, LogicalType::Integer(_)) => Some(Self::Unsigned32),
            (Type::INT64, LogicalType::Integer(_)) => Some(Self::Unsigned64),
            (_, LogicalType::Decimal(decimal)) => {
                Self::decimal(physical, decimal.scale, decimal.precision)
            }
            (Type::FIXED_LEN_BYTE_ARRAY, LogicalType::Float16) => {
                (column.type_length() == 2).then_some(Self::Real)
            }
            (Type::INT32, LogicalType::Date) => Some(Self::Date),
            (Type::INT64, LogicalType::Timestamp(timestamp)) => Some(Self::Moment {
                unit: match timestamp.unit {
                    TimeUnit::MILLIS => Unit::Milli,
                    TimeUnit::MICROS => Unit::Micro,
                    TimeUnit::NANOS => Unit::Nano,
                },
                clock: if timestamp.is_adjusted_to_u_t_c {
                    Clock::Utc
                } else {
                    Clock::Local
                },
            }),
            (Type::BYTE_ARRAY, LogicalType::String | LogicalType::Enum) => Some(Self::Text),
            _ => None,
        }
    }

    /// By the annotation of older files, or without any. Times with one are of UTC, says the format.
    fn converted(column: &ColumnDescriptor) -> Option<Self> {
        let physical = column.physical_type();
        let moment = |unit| Self::Moment {
            unit,
            clock: Clock::Utc,
        };
        match (physical, column.converted_type()) {
            (_, ConvertedType::NONE) => Self::bare(physical),
            (_, ConvertedType::DECIMAL) => {
                Self::decimal(physical, column.type_scale(), column.type_precision())
            }
            (Type::BYTE_ARRAY, ConvertedType::UTF8 | ConvertedType::ENUM) => Some(Self::Text),
            (Type::INT32, ConvertedType::INT_8 | ConvertedType::INT_16 | ConvertedType::INT_32)
            | (Type::INT64, ConvertedType::INT_64) => Some(Self::Signed),
            (
                Type::INT32,
                ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32,
            ) => Some(Self::Unsigned32),
            (Type::INT64, ConvertedType::UINT_64) => Some(Self::Unsigned64),
            (Type::INT32, ConvertedType::DATE) => Some(Self::Date),
            (Type::INT64, ConvertedType::TIMESTAMP_MILLIS) => Some(moment(Unit::Milli)),
            (Type::INT64, ConvertedType::TIMESTAMP_MICROS) => Some(moment(Unit::Micro)),
            _ => None,
        }
    }

    /// Without annotation.
    fn bare(physical: Type) -> Option<Self> {
        match physical {
            Type::BOOLEAN => Some(Self::Truth),
            Type::INT32 | Type::INT64 => Some(Self::Signed),
            Type::FLOAT | Type::DOUBLE => Some(Self::Real),
            // Hive, Impala and others leave texts without annotation.
            Type::BYTE_ARRAY => Some(Self::Text),
            Type::INT96 | Type::FIXED_LEN_BYTE_ARRAY => None,
        }
    }

    fn decimal(physical: Type, scale: i32, precision: i32) -> Option<Self> {
        let stored = matches!(
            physical,
            Type::INT32 | Type::INT64 | Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY
        );
        let scale = u32::try_from(scale).ok()?;
        (stored && scale <= MOST_PLACES && precision > 0).then_some(Self::Decimal { scale })
    }
}

/// What people call a column's type: the physical one, and what it stands for.
pub(super) fn name(column: &ColumnDescriptor) -> String {
    let physical = match column.physical_type() {
        Type::FIXED_LEN_BYTE_ARRAY => format!("FIXED_LEN_BYTE_ARRAY({})", column.type_length()),
        other => other.to_string(),
    };
    match annotation(column) {
        Some(annotation) => format!("{physical} ({annotation})"),
        None => physical,
    }
}

fn annotation(column: &ColumnDescriptor) -> Option<String> {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::MILLIS => "ms",
        TimeUnit::MICROS => "us",
        TimeUnit::NANOS => "ns",
    };
    let text = match column.logical_type_ref() {
        None => match column.converted_type() {
            ConvertedType::NONE => return None,
            ConvertedType::INTERVAL => "interval".to_owned(),
            other => other.to_string(),
        },
        Some(LogicalType::Unknown) => "nulls alone".to_owned(),
        Some(LogicalType::Integer(integer)) => format!(
            "{}int{}",
            if integer.is_signed { "" } else { "u" },
            integer.bit_width
        ),
        Some(LogicalType::Decimal(decimal)) => {
            format!("decimal({}, {})", decimal.precision, decimal.scale)
        }
        Some(LogicalType::Time(time)) => format!("time of day in {}", unit(&time.unit)),
        Some(LogicalType::Timestamp(timestamp)) => {
            let zone = if timestamp.is_adjusted_to_u_t_c {
                ", UTC"
            } else {
                ""
            };
            format!("timestamp[{}{zone}]", unit(&timestamp.unit))
        }
        Some(other) => format!("{other:?}").to_lowercase(),
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::schema::parser::parse_message_type;
    use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};

    use super::*;

    const PHYSICAL: [&str; 9] = [
        "BOOLEAN",
        "INT32",
        "INT64",
        "INT96",
        "FLOAT",
        "DOUBLE",
        "BYTE_ARRAY",
        "FIXED_LEN_BYTE_ARRAY(2)",
        "FIXED_LEN_BYTE_ARRAY(16)",
    ];

    const ANNOTATIONS: [&str; 37] = [
        "",
        "UNKNOWN",
        "STRING",
        "UTF8",
        "ENUM",
        "JSON",
        "BSON",
        "UUID",
        "FLOAT16",
        "INTERVAL",
        "DATE",
        "INTEGER(8,true)",
        "INTEGER(16,true)",
        "INTEGER(32,true)",
        "INTEGER(64,true)",
        "INTEGER(8,false)",
        "INTEGER(16,false)",
        "INTEGER(32,false)",
        "INTEGER(64,false)",
        "INT_8",
        "INT_64",
        "UINT_8",
        "UINT_16",
        "UINT_32",
        "UINT_64",
        "DECIMAL(4,0)",
        "DECIMAL(4,2)",
        "TIME(MILLIS,true)",
        "TIME(MICROS,false)",
        "TIME_MILLIS",
        "TIME_MICROS",
        "TIMESTAMP(MILLIS,true)",
        "TIMESTAMP(MICROS,false)",
        "TIMESTAMP(NANOS,true)",
        "TIMESTAMP_MILLIS",
        "TIMESTAMP_MICROS",
        "MAP",
    ];

    fn column(physical: &str, annotation: &str) -> Option<ColumnDescPtr> {
        let annotation = if annotation.is_empty() {
            String::new()
        } else {
            format!(" ({annotation})")
        };
        let text = format!("message m {{ OPTIONAL {physical} x{annotation}; }}");
        let schema = SchemaDescriptor::new(Arc::new(parse_message_type(&text).ok()?));
        Some(schema.column(0))
    }

    /// What the format says, by annotation and not by kind as the code does.
    fn right(physical: &str, annotation: &str) -> Option<Kind> {
        let moment = |unit, clock| Some(Kind::Moment { unit, clock });
        match annotation {
            "" => match physical {
                "BOOLEAN" => Some(Kind::Truth),
                "INT32" | "INT64" => Some(Kind::Signed),
                "FLOAT" | "DOUBLE" => Some(Kind::Real),
                "BYTE_ARRAY" => Some(Kind::Text),
                _ => None,
            },
            "UNKNOWN" => Some(Kind::Nothing),
            "STRING" | "UTF8" | "ENUM" => Some(Kind::Text),
            "FLOAT16" => Some(Kind::Real),
            "DATE" => Some(Kind::Date),
            "INTEGER(64,false)" | "UINT_64" => Some(Kind::Unsigned64),
            "DECIMAL(4,0)" => Some(Kind::Decimal { scale: 0 }),
            "DECIMAL(4,2)" => Some(Kind::Decimal { scale: 2 }),
            "TIMESTAMP(MILLIS,true)" | "TIMESTAMP_MILLIS" => moment(Unit::Milli, Clock::Utc),
            "TIMESTAMP(MICROS,false)" => moment(Unit::Micro, Clock::Local),
            "TIMESTAMP_MICROS" => moment(Unit::Micro, Clock::Utc),
            "TIMESTAMP(NANOS,true)" => moment(Unit::Nano, Clock::Utc),
            unsigned if unsigned.contains("false") && unsigned.starts_with("INTEGER") => {
                Some(Kind::Unsigned32)
            }
            unsigned if unsigned.starts_with("UINT") => Some(Kind::Unsigned32),
            signed if signed.starts_with("INT") && signed != "INTERVAL" => Some(Kind::Signed),
            _ => None,
        }
    }

    #[test]
    fn every_physical_type_with_every_annotation_is_read_or_has_a_name() {
        let mut seen = 0;
        for physical in PHYSICAL {
            for annotation in ANNOTATIONS {
                // The format has no other pairs.
                let Some(column) = column(physical, annotation) else {
                    continue;
                };
                seen += 1;
                let kind = Kind::of(&column);
                assert_eq!(kind, right(physical, annotation), "{physical} {annotation}");
                let name = name(&column);
                assert!(name.starts_with(physical), "{name}");
                assert_eq!(name == physical, annotation.is_empty(), "{name}");
            }
        }
        assert!(seen > 45, "{seen} types");
    }
}
