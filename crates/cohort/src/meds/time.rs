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
    /// Microseconds in a day.
    pub const DAY: i64 = DAY;

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

/// ISO 8601: a date, or a date and a time of day, with or without fraction and zone; the zone is applied.
impl FromStr for Timestamp {
    type Err = NotTime;

    fn from_str(text: &str) -> Result<Self, NotTime> {
        let mut rest = text.trim().as_bytes();
        let year = number(&mut rest, 4)?;
        literal(&mut rest, b"-")?;
        let month = number(&mut rest, 2)?;
        literal(&mut rest, b"-")?;
        let day = number(&mut rest, 2)?;
        if !(1..=12).contains(&month) || day < 1 || day > days_of(year, month) {
            return Err(NotTime);
        }
        let midnight = days_from_epoch(year, month, day) * DAY;
        if rest.is_empty() {
            return Ok(Self(midnight));
        }
        literal(&mut rest, b"T ")?;
        Ok(Self(midnight + time_of_day(&mut rest)?))
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

/// Microseconds since midnight of `HH:MM[:SS[.fraction]][zone]`, moved to UTC where a zone is given.
fn time_of_day(rest: &mut &[u8]) -> Result<i64, NotTime> {
    let hour = number(rest, 2)?;
    literal(rest, b":")?;
    let minute = number(rest, 2)?;
    let mut second = 0;
    let mut micros = 0;
    if literal(rest, b":").is_ok() {
        second = number(rest, 2)?;
        if literal(rest, b".").is_ok() {
            micros = fraction(rest)?;
        }
    }
    // A leap second is the first moment after its minute.
    if hour > 23 || minute > 59 || second > 60 {
        return Err(NotTime);
    }
    let local = (hour * 3_600 + minute * 60 + second) * Timestamp::SECOND + micros;
    Ok(local - zone(rest)? * Timestamp::SECOND)
}

/// Seconds east of UTC.
fn zone(rest: &mut &[u8]) -> Result<i64, NotTime> {
    let sign = match rest.split_first() {
        None => return Ok(0),
        Some((b'Z', [])) => return Ok(0),
        Some((b'+', tail)) => {
            *rest = tail;
            1
        }
        Some((b'-', tail)) => {
            *rest = tail;
            -1
        }
        Some(_) => return Err(NotTime),
    };
    let hours = number(rest, 2)?;
    // `+01:00`, `+0100` and `+01` all occur.
    let _ = literal(rest, b":");
    let minutes = if rest.is_empty() { 0 } else { number(rest, 2)? };
    if rest.is_empty() && hours <= 18 && minutes <= 59 {
        Ok(sign * (hours * 3_600 + minutes * 60))
    } else {
        Err(NotTime)
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
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
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
            "２０２０-01-01",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(NotTime), "{text}");
        }
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
