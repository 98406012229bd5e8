//! The time of day, for lines that say when, and the calendar that people know.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the program's edge is where a clock is read"
)]
pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The date and time of day in UTC, as `2026-11-23 10:31`.
pub(super) fn date(seconds: u64) -> String {
    let (days, minutes) = (seconds / 86_400, seconds % 86_400 / 60);
    let (year, month, day) = civil(days.cast_signed());
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}",
        minutes / 60,
        minutes % 60
    )
}

/// A time of microseconds since 1970 on a clock of its own, as `2026-11-23T10:31:07`, and with its microseconds where it has
/// some.
pub(super) fn micros(micros: i64) -> String {
    let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if micros > 0 {
        text += &format!(".{micros:06}");
    }
    text
}

/// Seconds since 1970 at the start, in UTC, of a day as `2026-11-23`.
pub(super) fn day(text: &str) -> Result<u64, NoDay> {
    let mut parts = text.split('-');
    let mut part = |digits: usize| {
        let part = parts.next().filter(|part| part.len() == digits);
        part.and_then(|part| part.parse::<i64>().ok())
    };
    let no_day = || NoDay(text.to_owned());
    let (Some(year), Some(month), Some(day)) = (part(4), part(2), part(2)) else {
        return Err(no_day());
    };
    if parts.next().is_some() || year < 1970 || !(1..=12).contains(&month) {
        return Err(no_day());
    }
    let days =
        (days_before(year)..days_before(year + 1)).find(|days| civil(*days) == (year, month, day));
    Ok((days.ok_or_else(no_day)? * 86_400).cast_unsigned())
}

/// A text is not a day of the calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a day: want one from 1970 on, as 2026-11-23")]
pub(super) struct NoDay(String);

/// Days from 1970-01-01 to the first of January of a year, which is at least 1970.
fn days_before(year: i64) -> i64 {
    let years = year - 1;
    365 * (year - 1970) + (years / 4 - years / 100 + years / 400) - 477
}

/// Year, month and day of a day counted from 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on, so that the leap day is the last one.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = year_of_era + era * 400;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, wanted) in [
            (0, "1970-01-01 00:00"),
            (951_782_399, "2000-02-28 23:59"),
            (951_782_400, "2000-02-29 00:00"),
            (951_868_800, "2000-03-01 00:00"),
            (1_795_429_860, "2026-11-23 10:31"),
        ] {
            assert_eq!(date(seconds), wanted);
        }
    }

    #[test]
    fn times_are_written_to_the_microsecond_before_1970_too() {
        for (time, wanted) in [
            (0, "1970-01-01T00:00:00"),
            (-1, "1969-12-31T23:59:59.999999"),
            (1_795_429_867_500_000, "2026-11-23T10:31:07.500000"),
            (-2_208_988_800_000_000, "1900-01-01T00:00:00"),
            (i64::MIN, "-290308-12-21T19:59:05.224192"),
            (i64::MAX, "294247-01-10T04:00:54.775807"),
        ] {
            assert_eq!(micros(time), wanted);
        }
    }

    #[test]
    fn a_day_is_read_as_it_is_written() {
        for days in (0..60_000).step_by(97).chain([11_015, 11_016, 47_540]) {
            let text = date(days * 86_400);
            assert_eq!(day(&text[..10]), Ok(days * 86_400), "{text}");
        }
        for bad in [
            "",
            "2026",
            "2026-13-01",
            "2026-02-29",
            "26-01-01",
            "1969-12-31",
            "2026-1-1",
            "2026-01-01-",
        ] {
            assert!(day(bad).is_err(), "{bad}");
        }
    }
}
