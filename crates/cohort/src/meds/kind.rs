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
        // The reader gives files with the older converted types the logical type that stands for them, but for these.
        let Some(logical) = column.logical_type_ref() else {
            return match column.converted_type() {
                ConvertedType::NONE => Self::bare(physical),
                ConvertedType::UTF8 | ConvertedType::ENUM => {
                    (physical == Type::BYTE_ARRAY).then_some(Self::Text)
                }
                ConvertedType::DECIMAL => {
                    Self::decimal(physical, column.type_scale(), column.type_precision())
                }
                _ => None,
            };
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
