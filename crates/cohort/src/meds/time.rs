//! Times of events.

use std::fmt;
use std::str::FromStr;

const DAY: i64 = 86_400 * Timestamp::SECOND;

/// A time: microseconds since 1970-01-01T00:00:00, in whatever zone the hospital keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Microseconds in a second.
    pub const SECOND: i64 = 1_000_000;
    /// Microseconds in an hour.
    pub const HOUR: i64 = 3_600 * Self::SECOND;
    /// Microseconds in a day.
    pub const DAY: i64 = DAY;

    /// Whether it is in the years 1800 to 2300. Real times are, and those of sets that move their dates: MIMIC's reach
    /// 2210, and 1800 for births of patients above 89 ([MIMIC-III, `PATIENTS`]). What is beyond stands for an unknown time
    /// (`9999-12-31`), or is counted in another unit.
    ///
    /// [MIMIC-III, `PATIENTS`]: https://mimic.mit.edu/docs/iii/tables/patients/
    #[must_use]
    pub fn is_plausible(self) -> bool {
        const FIRST: i64 = days_from_epoch(1800, 1, 1) * DAY;
        const END: i64 = days_from_epoch(2301, 1, 1) * DAY;
        (FIRST..END).contains(&self.0)
    }

    /// The time `micros` microseconds later; stays within the range of 64 bits.
    #[must_use]
    pub fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

/// The text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("want a time such as 2020-02-29, 2020-02-29 13:45 or 2020-02-29T13:45:00.5+01:00")]
pub struct NotTime;

/// The order in which a date's parts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrder {
    /// ISO 8601: `2024-01-31`, `2024/1/31`, `20240131`.
    YearMonthDay,
    /// `31.01.2024`, `31/1/2024`, `31-01-2024`.
    DayMonthYear,
    /// `01/31/2024`, `1/31/2024`, `01-31-2024`.
    MonthDayYear,
    /// Digits alone: `20240131`, `202401311345`, `20240131134500`, `20240131T134500`.
    Compact,
}

/// A time as a text says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The time: in UTC where `zone` says so, else on the clock of whoever wrote it.
    pub time: Timestamp,
    /// Whether the text names a zone.
    pub zone: Named,
    /// Whether the text has a time of day.
    pub of_day: OfDay,
}

/// Whether a text names its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// It does, as `Z`, `UTC`, `+01:00` or `+0100`; the zone is applied.
    Zone,
    /// It does not.
    Nothing,
}

/// Whether a text has a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfDay {
    /// It has.
    Given,
    /// It is a date alone: midnight, at its beginning.
    Midnight,
}

impl Timestamp {
    /// Midnight at the beginning of a day of the Gregorian calendar; nothing where there is no such day.
    #[must_use]
    pub fn midnight(year: i64, month: i64, day: i64) -> Option<Self> {
        let there = (1..=12).contains(&month) && day >= 1 && day <= days_of(year, month);
        there.then(|| Self(days_from_epoch(year, month, day) * DAY))
    }

    /// Reads a date, or a date and a time of day, with or without fraction, `AM` or `PM`, and zone.
    ///
    /// # Errors
    ///
    /// Any other text.
    pub fn read(text: &str, order: DateOrder) -> Result<Written, NotTime> {
        let mut rest = text.trim().as_bytes();
        let midnight = date(&mut rest, order)?;
        if rest.is_empty() {
            return Ok(Written {
                time: midnight,
                zone: Named::Nothing,
                of_day: OfDay::Midnight,
            });
        }
        let digits_follow = rest.first().is_some_and(u8::is_ascii_digit);
        if !(digits_follow && order == DateOrder::Compact) {
            // `31/01/2024, 13:45` occurs.
            let _ = literal(&mut rest, b",");
            literal(&mut rest, b"T ")?;
            spaces(&mut rest);
        }
        let (micros, zone) = time_of_day(&mut rest, order)?;
        Ok(Written {
            time: midnight.plus(micros),
            zone,
            of_day: OfDay::Given,
        })
    }
}

/// ISO 8601: a date, or a date and a time of day, with or without fraction and zone; the zone is applied.
impl FromStr for Timestamp {
    type Err = NotTime;

    fn from_str(text: &str) -> Result<Self, NotTime> {
        Self::read(text, DateOrder::YearMonthDay).map(|written| written.time)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.0.div_euclid(DAY));
        let seconds = self.0.rem_euclid(DAY) / Self::SECOND;
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )
    }
}

/// Takes a date, and gives its midnight.
fn date(rest: &mut &[u8], order: DateOrder) -> Result<Timestamp, NotTime> {
    let eight = rest.len() >= 8 && rest[..8].iter().all(u8::is_ascii_digit);
    let (year, month, day) = match order {
        DateOrder::Compact => (number(rest, 4)?, number(rest, 2)?, number(rest, 2)?),
        DateOrder::YearMonthDay if eight && rest.get(8).is_none_or(|next| b"T ".contains(next)) => {
            (number(rest, 4)?, number(rest, 2)?, number(rest, 2)?)
        }
        DateOrder::YearMonthDay => {
            let year = number(rest, 4)?;
            let separator = separator(rest)?;
            let month = short(rest)?;
            literal(rest, &[separator])?;
            (year, month, short(rest)?)
        }
        DateOrder::DayMonthYear | DateOrder::MonthDayYear => {
            let first = short(rest)?;
            let separator = separator(rest)?;
            let second = short(rest)?;
            literal(rest, &[separator])?;
            let year = number(rest, 4)?;
            if order == DateOrder::DayMonthYear {
                (year, second, first)
            } else {
                (year, first, second)
            }
        }
    };
    Timestamp::midnight(year, month, day).ok_or(NotTime)
}

/// Takes what stands between the parts of a date.
fn separator(rest: &mut &[u8]) -> Result<u8, NotTime> {
    let first = rest.first().copied().ok_or(NotTime)?;
    literal(rest, b"-/.")?;
    Ok(first)
}

/// Microseconds since midnight of `H:MM[:SS[.fraction]][ AM|PM][zone]`, moved to UTC where a zone is given; compact
/// without the colons.
fn time_of_day(rest: &mut &[u8], order: DateOrder) -> Result<(i64, Named), NotTime> {
    let colons = rest.iter().take(3).any(|byte| *byte == b':');
    let (mut second, mut micros) = (0, 0);
    let (mut hour, minute) = if colons {
        let hour = short(rest)?;
        literal(rest, b":")?;
        (hour, number(rest, 2)?)
    } else if order == DateOrder::Compact || order == DateOrder::YearMonthDay {
        (number(rest, 2)?, number(rest, 2)?)
    } else {
        return Err(NotTime);
    };
    let seconds = if colons {
        literal(rest, b":").is_ok()
    } else {
        rest.first().is_some_and(u8::is_ascii_digit)
    };
    if seconds {
        second = number(rest, 2)?;
        if literal(rest, b".,").is_ok() {
            micros = fraction(rest)?;
        }
    }
    spaces(rest);
    if let Some(half) = half_of_day(rest) {
        if !(1..=12).contains(&hour) {
            return Err(NotTime);
        }
        hour = hour % 12 + half;
    }
    // A leap second is the first moment after its minute.
    if hour > 23 || minute > 59 || second > 60 {
        return Err(NotTime);
    }
    let local = (hour * 3_600 + minute * 60 + second) * Timestamp::SECOND + micros;
    spaces(rest);
    match zone(rest)? {
        None => Ok((local, Named::Nothing)),
        Some(east) => Ok((local - east * Timestamp::SECOND, Named::Zone)),
    }
}

/// Takes `AM` or `PM`, and gives the hours to add.
fn half_of_day(rest: &mut &[u8]) -> Option<i64> {
    let (half, tail) = rest.split_at_checked(2)?;
    let hours = match half.to_ascii_uppercase().as_slice() {
        b"AM" => 0,
        b"PM" => 12,
        _ => return None,
    };
    *rest = tail;
    Some(hours)
}

/// Seconds east of UTC, where a zone is named.
fn zone(rest: &mut &[u8]) -> Result<Option<i64>, NotTime> {
    if matches!(*rest, b"" | b"Z" | b"z" | b"UTC" | b"GMT") {
        return Ok((!rest.is_empty()).then_some(0));
    }
    offset(rest).map(Some)
}

/// Takes all of an offset such as `+01:00`, `+0100` or `+01`, and gives its seconds east of UTC.
fn offset(rest: &mut &[u8]) -> Result<i64, NotTime> {
    let sign = match rest.first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Err(NotTime),
    };
    *rest = &rest[1..];
    let hours = number(rest, 2)?;
    let _ = literal(rest, b":");
    let minutes = if rest.is_empty() { 0 } else { number(rest, 2)? };
    if rest.is_empty() && hours <= 18 && minutes <= 59 {
        Ok(sign * (hours * 3_600 + minutes * 60))
    } else {
        Err(NotTime)
    }
}

/// The seconds east of UTC of an offset such as `+01:00`; 0 for `UTC`.
pub(crate) fn fixed_zone(text: &str) -> Option<i64> {
    match text {
        "UTC" | "Z" => Some(0),
        text => offset(&mut text.as_bytes()).ok(),
    }
}

/// Takes spaces.
fn spaces(rest: &mut &[u8]) {
    *rest = rest.trim_ascii_start();
}

/// Takes a number of one or two digits.
fn short(rest: &mut &[u8]) -> Result<i64, NotTime> {
    let digits = rest.iter().take(2).take_while(|byte| byte.is_ascii_digit());
    match digits.count() {
        0 => Err(NotTime),
        digits => number(rest, digits),
    }
}

/// Microseconds of a decimal fraction; digits beyond are left out.
fn fraction(rest: &mut &[u8]) -> Result<i64, NotTime> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return Err(NotTime);
    }
    let (fraction, tail) = rest.split_at(digits);
    *rest = tail;
    let padded = fraction
        .iter()
        .copied()
        .chain(std::iter::repeat(b'0'))
        .take(6);
    Ok(padded.fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
}

/// Takes a number of exactly `digits` digits.
fn number(rest: &mut &[u8], digits: usize) -> Result<i64, NotTime> {
    let (number, tail) = rest.split_at_checked(digits).ok_or(NotTime)?;
    if !number.iter().all(u8::is_ascii_digit) {
        return Err(NotTime);
    }
    *rest = tail;
    Ok(number
        .iter()
        .fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
}

/// Takes one of the bytes `any`.
fn literal(rest: &mut &[u8], any: &[u8]) -> Result<(), NotTime> {
    match rest.split_first() {
        Some((first, tail)) if any.contains(first) => {
            *rest = tail;
            Ok(())
        }
        _ => Err(NotTime),
    }
}

fn days_of(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms",
/// `days_from_civil`): years begin in March, in eras of 400 years.
const fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day (`civil_from_days` of the same).
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_usual_forms() {
        // Seconds from `date -u -d … +%s`.
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2020-02-29", 1_582_934_400),
            ("2020-02-29 13:45", 1_582_983_900),
            ("2020-02-29T13:45:00Z", 1_582_983_900),
            ("2020-02-29T13:45:00+01:00", 1_582_980_300),
            ("2020-02-29T13:45:00-0530", 1_583_003_700),
            ("1969-12-31 23:59:59", -1),
            ("2180-03-23 11:51:00", 6_634_093_860),
            ("2020-02-29 13:45:00 UTC", 1_582_983_900),
            ("2020-02-29 13:45:00 +0000", 1_582_983_900),
            ("2020-02-29 1:45 pm", 1_582_983_900),
            ("2020-02-29 9:05", 1_582_967_100),
            ("2020/2/29", 1_582_934_400),
            ("20200229", 1_582_934_400),
            ("20200229T134500Z", 1_582_983_900),
        ] {
            assert_eq!(
                text.parse(),
                Ok(Timestamp(seconds * Timestamp::SECOND)),
                "{text}"
            );
        }
        assert_eq!("1970-01-01 00:00:00.5".parse(), Ok(Timestamp(500_000)));
        assert_eq!(
            "1970-01-01 00:00:00.1234567".parse(),
            Ok(Timestamp(123_456))
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2020",
            "2020-13-01",
            "2021-02-29",
            "2020-00-10",
            "2020-01-01T",
            "2020-01-01 24:00",
            "2020-01-01 10:60",
            "2020-01-01 10:00:00.",
            "2020-01-01 10:00 Uhr",
            "01/02/2020",
            "2020-01-01 10:00+25:00",
            "2020-01-01 10:00Z0",
            "2020-01/01",
            "2018-08",
            "2020-01-01 13:00 AM",
            "2020-01-01 0:00 PM",
            "1582983900",
            "20200229134500",
            "２０２０-01-01",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(NotTime), "{text}");
        }
    }

    #[test]
    fn dates_are_read_in_the_order_that_is_asked_for() {
        let read = |text, order| Timestamp::read(text, order).map(|written| written.time);
        let day = "2024-03-02".parse();
        let minute = "2024-03-02 09:05".parse();
        for (text, order, time) in [
            ("02.03.2024", DateOrder::DayMonthYear, day),
            ("2/3/2024", DateOrder::DayMonthYear, day),
            ("03-02-2024", DateOrder::MonthDayYear, day),
            ("3/2/2024 9:05 AM", DateOrder::MonthDayYear, minute),
            ("02/03/2024, 09:05", DateOrder::DayMonthYear, minute),
            ("20240302", DateOrder::Compact, day),
            ("202403020905", DateOrder::Compact, minute),
            ("20240302090500", DateOrder::Compact, minute),
            ("20240302 0905", DateOrder::Compact, minute),
            ("31/01/2024", DateOrder::MonthDayYear, Err(NotTime)),
            ("31.01.24", DateOrder::DayMonthYear, Err(NotTime)),
            ("31/01.2024", DateOrder::DayMonthYear, Err(NotTime)),
            ("2024-03-02", DateOrder::DayMonthYear, Err(NotTime)),
            ("2024-03-02", DateOrder::Compact, Err(NotTime)),
        ] {
            assert_eq!(read(text, order), time, "{text} {order:?}");
        }
        let zone = |text| Timestamp::read(text, DateOrder::YearMonthDay).map(|read| read.zone);
        assert_eq!(zone("2024-03-02 10:00 +0100"), Ok(Named::Zone));
        assert_eq!(zone("2024-03-02 10:00"), Ok(Named::Nothing));
        assert_eq!(
            (fixed_zone("+05:30"), fixed_zone("UTC")),
            (Some(19_800), Some(0))
        );
        assert_eq!((fixed_zone("5"), fixed_zone("Mars")), (None, None));
    }

    #[test]
    fn times_are_written_as_they_are_read() {
        for text in [
            "1899-12-31T23:59:59",
            "1970-01-01T00:00:00",
            "2000-02-29T12:00:01",
            "2100-03-01T00:00:00",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
        assert!(!Timestamp(i64::MIN).to_string().is_empty());
    }
}
