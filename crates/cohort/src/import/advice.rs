//! What a cell may be that is no number or no time as the map says, or a time that no patient had; and what to do.

use super::cell::{Digits, PLAIN};
use super::holes;
use super::map::{TimeFormat, Unit};
use crate::meds::{DateOrder, Timestamp};

const ORDERS: [(DateOrder, &str); 4] = [
    (DateOrder::YearMonthDay, "iso"),
    (DateOrder::DayMonthYear, "day-month-year"),
    (DateOrder::MonthDayYear, "month-day-year"),
    (DateOrder::Compact, "compact"),
];

/// Units of counts since 1970, with how many are in a second.
const EPOCHS: [(i64, &str); 4] = [
    (1, "seconds"),
    (1_000, "milliseconds"),
    (1_000_000, "microseconds"),
    (1_000_000_000, "nanoseconds"),
];

/// Of a text that is no number; empty where nothing is known.
pub(super) fn number(cell: &str, digits: Digits) -> String {
    if cell.is_empty() {
        return ": the cell is empty, and csv.missing in the map does not list \"\"".to_owned();
    }
    if holes::may_be_one(cell) {
        return format!(
            "; where it means missing, add it in the map: csv.missing = [\"\", \"{}\"]",
            cell.escape_default()
        );
    }
    let fits = |(decimal, thousands): &(char, Option<char>)| {
        let way = Digits {
            decimal: *decimal,
            thousands: *thousands,
        };
        way != digits
            && thousands.is_none_or(|sign| cell.contains(sign))
            && way.number(cell).is_some()
    };
    let fitting = WAYS.iter().filter(|way| fits(way));
    let fitting: Vec<String> = fitting.map(|way| described(*way, digits)).collect();
    match fitting.as_slice() {
        [] => String::new(),
        ways => format!(
            "; if the table has {} in the map",
            ways.join(", or if it has ")
        ),
    }
}

/// Decimals and groups of three digits, as they are written in the world.
const WAYS: [(char, Option<char>); 11] = [
    ('.', None),
    (',', None),
    ('.', Some(',')),
    (',', Some('.')),
    ('.', Some(' ')),
    (',', Some(' ')),
    ('.', Some('\'')),
    ('.', Some('\u{2019}')),
    (',', Some('\u{a0}')),
    (',', Some('\u{202f}')),
    ('.', Some('\u{a0}')),
];

fn described((decimal, thousands): (char, Option<char>), digits: Digits) -> String {
    let name = if decimal == ',' {
        "decimal commas"
    } else {
        "decimal points"
    };
    let sign = match thousands {
        Some(sign @ ('\u{a0}' | '\u{202f}')) => format!("\\u{:04X}", u32::from(sign)),
        sign => sign.map(String::from).unwrap_or_default(),
    };
    match (decimal == digits.decimal, thousands) {
        (_, None) => format!("{name}, set csv.decimal = \"{decimal}\""),
        (true, Some(_)) => format!("groups of three digits, set csv.thousands = \"{sign}\""),
        (false, Some(_)) => format!(
            "{name} and groups of three digits, set csv.decimal = \"{decimal}\" and csv.thousands = \"{sign}\""
        ),
    }
}

/// Of a text that is no such time.
pub(super) fn unread(format: &TimeFormat, cell: &str, digits: Digits) -> String {
    let next = known(cell).unwrap_or_else(|| other_format(format, cell, digits));
    format!(
        " as the map says times are written ({}). {next}",
        example(format)
    )
}

/// Of a time that is beyond the years that are read.
pub(super) fn far(format: &TimeFormat, cell: &str, digits: Digits) -> String {
    match format {
        TimeFormat::Epoch(unit) => {
            let (unit, _) = epoch(*unit);
            match count(cell, digits).and_then(fitting_epoch) {
                Some((fits, time)) => format!(
                    " when counted in {unit}. In {fits} since 1970 it is {time}: {}",
                    set_epoch(fits)
                ),
                None => format!(
                    " when counted in {unit} since 1970. Look what the column counts; where the cell stands for an unknown \
                     time, add it to csv.missing"
                ),
            }
        }
        TimeFormat::Pattern(pattern) if pattern.contains("%Y") => {
            ". For years of two digits write %y in time-format; where the cell stands for an unknown or open time, add it to \
             csv.missing"
                .to_owned()
        }
        TimeFormat::Order(_) | TimeFormat::Pattern(_) => {
            ". Where it stands for an unknown or open time, add it to csv.missing; else correct it in the file"
                .to_owned()
        }
    }
}

/// What of all times of a file may be another unit, where they are all before 1973.
pub(super) fn early(format: &TimeFormat, latest: Timestamp) -> Option<String> {
    let TimeFormat::Epoch(unit) = format else {
        return None;
    };
    let (unit, most) = epoch(*unit);
    // Seconds of 2001 taken for milliseconds are 12 days; dates such as 20240131 taken for seconds are 234.
    let limit = Timestamp(100_000_000 * Timestamp::SECOND);
    (latest < limit).then(|| {
        format!(
            "all times are before March 1973, counted in {unit} since 1970: the latest is {latest}. Where the file counts \
             {most}, set time-format to what it is"
        )
    })
}

/// Forms that are never read, and are told by themselves.
fn known(cell: &str) -> Option<String> {
    let parts: Vec<&str> = cell.split(['-', '/', '.']).collect();
    let numbers = |parts: &[&str]| {
        let digits =
            |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        parts.iter().all(digits)
    };
    let month_alone = match parts.as_slice() {
        [year, month] => {
            numbers(&parts) && (year.len(), month.len()) == (4, 2)
                || (year.len(), month.len()) == (2, 4) && numbers(&parts)
        }
        [year] => numbers(&parts) && year.len() == 4,
        _ => false,
    };
    if month_alone {
        return Some(
            "It names no day, and none is guessed: write a whole date in the file, for example the first of the month; or, \
             where it means that the day is not known, add the cell to csv.missing"
                .to_owned(),
        );
    }
    let midnight = cell.replacen("24:00", "00:00", 1);
    if midnight != cell
        && ORDERS
            .iter()
            .any(|(order, _)| Timestamp::read(&midnight, *order).is_ok())
    {
        return Some(
            "Hours are 00 to 23: write 24:00 as 00:00 of the next day in the file".to_owned(),
        );
    }
    let days = PLAIN
        .number(cell)
        .filter(|days| (10_000.0..100_000.0).contains(days))?;
    let length = cell.split_once('.').map_or(cell, |(whole, _)| whole).len();
    #[expect(clippy::cast_possible_truncation, reason = "below 100,000")]
    let day = Timestamp::midnight(1899, 12, 30)?.plus(days.floor() as i64 * Timestamp::DAY);
    (length == 5).then(|| {
        format!(
            "It may be a day number of Excel ({}): give the column a date format such as yyyy-mm-dd there and save the CSV \
             again",
            &day.to_string()[..10]
        )
    })
}

/// The formats that a cell fits.
fn other_format(format: &TimeFormat, cell: &str, digits: Digits) -> String {
    let fits =
        |order| Timestamp::read(cell, order).is_ok_and(|written| written.time.is_plausible());
    let orders = ORDERS
        .iter()
        .filter(|(order, _)| *format != TimeFormat::Order(*order) && fits(*order));
    let mut fitting: Vec<String> = orders.map(|(_, name)| format!("\"{name}\"")).collect();
    if fitting.is_empty()
        && !matches!(format, TimeFormat::Epoch(_))
        && let Some((unit, time)) = count(cell, digits).and_then(fitting_epoch)
        && time > Timestamp(100_000_000 * Timestamp::SECOND)
    {
        match unit {
            "seconds" | "milliseconds" => fitting.push(format!("\"epoch-{unit}\"")),
            _ => {
                return format!(
                    "It may count {unit} since 1970 ({time}): {}",
                    set_epoch(unit)
                );
            }
        }
    }
    match fitting.as_slice() {
        [] => "Set time-format to \"iso\", \"day-month-year\", \"month-day-year\", \"compact\", \"epoch-seconds\", \
               \"epoch-milliseconds\" or a pattern such as \"%d.%m.%y %H:%M\"; where the cell means missing, add it to \
               csv.missing"
            .to_owned(),
        [one] => format!("It fits {one}: if the whole column does, set time-format = {one}"),
        several => format!(
            "It fits {}: only the hospital knows which; set time-format to it",
            several.join(" and ")
        ),
    }
}

fn count(cell: &str, digits: Digits) -> Option<i64> {
    digits.whole(cell)?.parse().ok()
}

/// The unit in which a count since 1970 is of a patient's years, the longest first, and the time.
fn fitting_epoch(count: i64) -> Option<(&'static str, Timestamp)> {
    EPOCHS.iter().find_map(|(in_second, name)| {
        let micros = i128::from(count) * i128::from(Timestamp::SECOND) / i128::from(*in_second);
        let time = Timestamp(i64::try_from(micros).ok()?);
        time.is_plausible().then_some((*name, time))
    })
}

fn set_epoch(unit: &str) -> String {
    match unit {
        "seconds" | "milliseconds" => format!("set time-format = \"epoch-{unit}\""),
        "microseconds" => {
            "divide it by 1,000 in the file and set time-format = \"epoch-milliseconds\"".to_owned()
        }
        _ => "divide it by 1,000,000 in the file and set time-format = \"epoch-milliseconds\""
            .to_owned(),
    }
}

/// The unit of a format, and what a file of small counts may hold.
fn epoch(unit: Unit) -> (&'static str, &'static str) {
    match unit {
        Unit::Milliseconds => ("milliseconds", "seconds"),
        _ => ("seconds", "days, or has dates such as 20240131"),
    }
}

/// A format's name with what it looks like.
fn example(format: &TimeFormat) -> String {
    match format {
        TimeFormat::Order(DateOrder::YearMonthDay) => {
            "time-format = \"iso\": 2024-01-31, 2024-01-31 9:05, 2024-01-31T09:05:00+01:00"
                .to_owned()
        }
        TimeFormat::Order(DateOrder::DayMonthYear) => {
            "time-format = \"day-month-year\": 31.01.2024, 31/1/2024 9:05".to_owned()
        }
        TimeFormat::Order(DateOrder::MonthDayYear) => {
            "time-format = \"month-day-year\": 01/31/2024, 1/31/2024 9:05 AM".to_owned()
        }
        TimeFormat::Order(DateOrder::Compact) => {
            "time-format = \"compact\": 20240131, 20240131090500".to_owned()
        }
        TimeFormat::Epoch(Unit::Seconds) => {
            "time-format = \"epoch-seconds\": 1706688300".to_owned()
        }
        TimeFormat::Epoch(_) => "time-format = \"epoch-milliseconds\": 1706688300000".to_owned(),
        TimeFormat::Pattern(pattern) => format!("time-format = \"{pattern}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_is_no_number_says_how_it_may_be_read() {
        let german = Digits {
            decimal: ',',
            thousands: None,
        };
        for (cell, digits, hint) in [
            (
                "7,4",
                PLAIN,
                "; if the table has decimal commas, set csv.decimal = \",\" in the map",
            ),
            (
                "1.234,5",
                PLAIN,
                "; if the table has decimal commas and groups of three digits, set csv.decimal = \",\" and csv.thousands = \".\" in the map",
            ),
            (
                "1,234.5",
                PLAIN,
                "; if the table has groups of three digits, set csv.thousands = \",\" in the map",
            ),
            (
                "1,234",
                PLAIN,
                "; if the table has decimal commas, set csv.decimal = \",\", or if it has groups of three digits, set csv.thousands = \",\" in the map",
            ),
            (
                "1'234.5",
                PLAIN,
                "; if the table has groups of three digits, set csv.thousands = \"'\" in the map",
            ),
            (
                "1.234,5",
                german,
                "; if the table has groups of three digits, set csv.thousands = \".\" in the map",
            ),
            (
                "7.4",
                german,
                "; if the table has decimal points, set csv.decimal = \".\" in the map",
            ),
            (
                "1\u{a0}234,5",
                german,
                "; if the table has groups of three digits, set csv.thousands = \"\\u00A0\" in the map",
            ),
            (
                "N/A",
                PLAIN,
                "; where it means missing, add it in the map: csv.missing = [\"\", \"N/A\"]",
            ),
            (
                "",
                PLAIN,
                ": the cell is empty, and csv.missing in the map does not list \"\"",
            ),
            ("positive", PLAIN, ""),
            ("12,34,5", PLAIN, ""),
        ] {
            assert_eq!(number(cell, digits), hint, "{cell}");
        }
    }
}
