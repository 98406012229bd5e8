//! Times of a table, on one clock.
//!
//! A text with a zone says an instant, one without says what a clock showed. The two meet in one file only where the map
//! states the file's zone: then all times are what clocks of that zone showed. Without it, a file of instants alone is
//! kept in UTC, and says so.

use jiff::civil;
use jiff::fmt::strtime;

use super::ImportError;
use super::cell::Digits;
use super::map::{TimeFormat, Unit};
use crate::bad_row::{Problem, Quoted};
use crate::meds::{DateOrder, Named, OfDay, Timestamp, Written};
use crate::zone::{WANT, Zone};

/// Whose clock a file's times are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// The hospital's.
    Local,
    /// UTC.
    Utc,
}

/// Reads the times of a table, and takes note of how they are written.
#[derive(Debug)]
pub(super) struct Clock {
    format: TimeFormat,
    zone: Option<Zone>,
    /// The first row of a time with a zone, and of one without.
    zoned: Option<u64>,
    naive: Option<u64>,
    /// Times, and dates alone among them.
    times: u64,
    dates: u64,
}

impl Clock {
    pub(super) fn new(format: &TimeFormat, zone: Option<&str>) -> Result<Self, ImportError> {
        let zone = zone.map(|name| {
            Zone::of(name).ok_or(ImportError::Setting {
                setting: "zone",
                problem: WANT,
            })
        });
        Ok(Self {
            format: format.clone(),
            zone: zone.transpose()?,
            zoned: None,
            naive: None,
            times: 0,
            dates: 0,
        })
    }

    /// The time in a cell of a row.
    pub(super) fn read(
        &mut self,
        cell: &str,
        digits: Digits,
        row: u64,
    ) -> Result<Timestamp, Problem> {
        let written = written(&self.format, cell, digits).ok_or_else(|| {
            Problem::NotTime(Quoted::new(cell.as_bytes()), self.format.help(cell))
        })?;
        self.times += 1;
        self.dates += u64::from(written.of_day == OfDay::Midnight);
        match (written.zone, &self.zone) {
            (Named::Nothing, _) => {
                self.naive.get_or_insert(row);
                Ok(written.time)
            }
            (Named::Zone, None) => {
                self.zoned.get_or_insert(row);
                Ok(written.time)
            }
            (Named::Zone, Some(zone)) => zone
                .shown(written.time)
                .ok_or_else(|| Problem::NotTime(Quoted::new(cell.as_bytes()), String::new())),
        }
    }

    /// Whose clock the times are on, and what a person should know of them.
    ///
    /// # Errors
    ///
    /// Times with a zone and times without, where the map states none.
    pub(super) fn finish(&self, file: &str) -> Result<(Kept, Vec<String>), ImportError> {
        let mut notes = Vec::new();
        if 0 < self.dates && self.dates < self.times {
            notes.push(format!(
                "{} of {} times are dates alone, read as midnight",
                self.dates, self.times
            ));
        }
        match (self.zoned, self.naive) {
            (Some(zoned), Some(naive)) => Err(ImportError::MixedZones {
                file: file.to_owned(),
                zoned,
                naive,
            }),
            (Some(_), None) => {
                notes.push(
                    "all times name their zone and are kept in UTC: where other tables of the site have local times, set \
                     zone in the map, for example zone = \"Europe/Berlin\""
                        .to_owned(),
                );
                Ok((Kept::Utc, notes))
            }
            (None, _) => Ok((Kept::Local, notes)),
        }
    }
}

/// The time in a cell.
fn written(format: &TimeFormat, cell: &str, digits: Digits) -> Option<Written> {
    match format {
        TimeFormat::Order(order) => Timestamp::read(cell, *order).ok(),
        TimeFormat::Epoch(unit) => {
            let units: i64 = digits.whole(cell)?.parse().ok()?;
            Some(Written {
                time: Timestamp(units.checked_mul(unit.micros())?),
                // Both count from an instant.
                zone: Named::Zone,
                of_day: OfDay::Given,
            })
        }
        TimeFormat::Pattern(pattern) => by_pattern(pattern, cell),
    }
}

/// The time in a cell by a pattern of `strptime`.
fn by_pattern(pattern: &str, cell: &str) -> Option<Written> {
    let parts = strtime::parse(pattern, cell).ok()?;
    let date = parts.to_date().ok()?;
    let time = parts.to_time();
    let of_day = match (parts.hour(), &time) {
        (None, _) | (_, Err(_)) => OfDay::Midnight,
        (Some(_), Ok(_)) => OfDay::Given,
    };
    let moment = match time {
        Ok(time) => time,
        Err(_) => civil::Time::midnight(),
    };
    let midnight = Timestamp::midnight(
        i64::from(date.year()),
        i64::from(date.month()),
        i64::from(date.day()),
    )?;
    let nanos = moment.duration_since(civil::Time::midnight()).as_nanos();
    let local = midnight.plus(i64::try_from(nanos / 1_000).ok()?);
    let (time, zone) = match parts.offset() {
        Some(east) => (
            local.plus(-i64::from(east.seconds()) * Timestamp::SECOND),
            Named::Zone,
        ),
        None => (local, Named::Nothing),
    };
    Some(Written { time, zone, of_day })
}

impl TimeFormat {
    /// What is wrong with a text that is no such time, and what to do.
    fn help(&self, cell: &str) -> String {
        let fits = |order| Timestamp::read(cell, order).is_ok();
        let named = [
            (DateOrder::YearMonthDay, "iso"),
            (DateOrder::DayMonthYear, "day-month-year"),
            (DateOrder::MonthDayYear, "month-day-year"),
            (DateOrder::Compact, "compact"),
        ];
        let fitting = named
            .iter()
            .filter(|(order, _)| *self != Self::Order(*order) && fits(*order));
        let fitting: Vec<String> = fitting.map(|(_, name)| format!("\"{name}\"")).collect();
        let next = match fitting.as_slice() {
            [] => "set time-format to \"iso\", \"day-month-year\", \"month-day-year\", \"compact\", \"epoch-seconds\", \
                   \"epoch-milliseconds\" or a pattern such as \"%d.%m.%y %H:%M\""
                .to_owned(),
            [one] => format!("it fits {one}: if the whole column does, set time-format = {one}"),
            several => format!(
                "it fits {}: only the hospital knows which; set time-format to it",
                several.join(" and ")
            ),
        };
        format!(
            " as the map says times are written ({}). {next}",
            self.example()
        )
    }

    /// Its name with what it looks like.
    fn example(&self) -> String {
        match self {
            Self::Order(DateOrder::YearMonthDay) => {
                "time-format = \"iso\": 2024-01-31, 2024-01-31 9:05, 2024-01-31T09:05:00+01:00"
                    .to_owned()
            }
            Self::Order(DateOrder::DayMonthYear) => {
                "time-format = \"day-month-year\": 31.01.2024, 31/1/2024 9:05".to_owned()
            }
            Self::Order(DateOrder::MonthDayYear) => {
                "time-format = \"month-day-year\": 01/31/2024, 1/31/2024 9:05 AM".to_owned()
            }
            Self::Order(DateOrder::Compact) => {
                "time-format = \"compact\": 20240131, 20240131090500".to_owned()
            }
            Self::Epoch(Unit::Seconds) => "time-format = \"epoch-seconds\": 1706688300".to_owned(),
            Self::Epoch(_) => "time-format = \"epoch-milliseconds\": 1706688300000".to_owned(),
            Self::Pattern(pattern) => format!("time-format = \"{pattern}\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::PLAIN;
    use super::*;

    fn read(format: &str, zone: Option<&str>, cells: &[&str]) -> Result<Vec<String>, String> {
        let format = TimeFormat::try_from(format.to_owned()).unwrap();
        let mut clock = Clock::new(&format, zone).map_err(|error| error.to_string())?;
        let times = (1..).zip(cells).map(|(row, cell)| {
            let time = clock.read(cell, PLAIN, row);
            time.map(|time| time.to_string())
                .map_err(|problem| problem.to_string())
        });
        let times = times.collect::<Result<Vec<_>, _>>()?;
        clock.finish("t.csv").map_err(|error| error.to_string())?;
        Ok(times)
    }

    #[test]
    fn zones_are_applied_where_the_map_states_one() {
        let mixed = [
            "2024-03-01 10:00:00",
            "2024-03-01 10:00:00+01:00",
            "2024-07-01T08:00:00Z",
        ];
        let error = read("iso", None, &mixed).unwrap_err();
        assert!(
            error.contains("row 2") && error.contains("row 1"),
            "{error}"
        );
        let winter = "2024-03-01T10:00:00".to_owned();
        assert_eq!(
            read("iso", Some("Europe/Berlin"), &mixed).unwrap(),
            [&winter, &winter, "2024-07-01T10:00:00"]
        );
        assert_eq!(
            read("iso", Some("+01:00"), &mixed).unwrap()[2],
            "2024-07-01T09:00:00"
        );
        assert_eq!(
            read("iso", None, &mixed[1..]).unwrap()[0],
            "2024-03-01T09:00:00"
        );
        assert!(
            read("iso", Some("Middle/Earth"), &[])
                .unwrap_err()
                .contains("the map's zone")
        );
    }

    #[test]
    fn patterns_are_read() {
        let one = |pattern, cell| read(pattern, None, &[cell]).map(|times| times[0].clone());
        assert_eq!(
            one("%d-%b-%Y", "31-Jan-2024").unwrap(),
            "2024-01-31T00:00:00"
        );
        assert_eq!(
            one("%d.%m.%y %H:%M", "31.01.24 09:05").unwrap(),
            "2024-01-31T09:05:00"
        );
        assert_eq!(
            one("%Y-%m-%d %I:%M %p", "2024-01-31 01:05 PM").unwrap(),
            "2024-01-31T13:05:00"
        );
        assert_eq!(
            one("%Y-%m-%dT%H:%M:%S%z", "2024-01-31T10:00:00+0100").unwrap(),
            "2024-01-31T09:00:00"
        );
        assert!(one("%d-%b-%Y", "2024-01-31").is_err());
        assert_eq!(
            one("epoch-milliseconds", "86400000.0").unwrap(),
            "1970-01-02T00:00:00"
        );
    }

    #[test]
    fn a_time_in_another_form_says_which() {
        let one = |format, cell| read(format, None, &[cell]).unwrap_err();
        let clear = one("iso", "31/01/2024");
        assert!(clear.contains("it fits \"day-month-year\":"), "{clear}");
        let doubtful = one("iso", "01/02/2024");
        assert!(
            doubtful.contains("\"day-month-year\" and \"month-day-year\""),
            "{doubtful}"
        );
        let unknown = one("day-month-year", "soon");
        assert!(
            unknown.contains("31.01.2024") && unknown.contains("epoch-seconds"),
            "{unknown}"
        );
    }
}
