//! Times of a table, on one clock.
//!
//! A text with a zone says an instant, one without says what a clock showed. The two meet in one file only where the map
//! states the file's zone: then all times are what clocks of that zone showed. Without it, a file of instants alone is
//! kept in UTC, and says so.

use jiff::civil;
use jiff::fmt::strtime;

use super::ImportError;
use super::advice;
use super::cell::Digits;
use super::map::TimeFormat;
use crate::bad_row::{Problem, Quoted};
use crate::meds::{Named, OfDay, Timestamp, Written};
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
    latest: Timestamp,
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
            latest: Timestamp(i64::MIN),
        })
    }

    /// The time in a cell of a row.
    pub(super) fn read(
        &mut self,
        cell: &str,
        digits: Digits,
        row: u64,
    ) -> Result<Timestamp, Problem> {
        let quoted = || Quoted::new(cell.as_bytes());
        let written = written(&self.format, cell, digits).map_err(|fault| match fault {
            Fault::Unread => Problem::NotTime(quoted(), advice::unread(&self.format, cell, digits)),
            Fault::Far => Problem::FarTime(quoted(), advice::far(&self.format, cell, digits)),
        })?;
        self.latest = self.latest.max(written.time);
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
                .ok_or_else(|| Problem::NotTime(quoted(), String::new())),
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
        if self.times > 0 {
            notes.extend(advice::early(&self.format, self.latest));
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

/// Why a cell holds no time that is used.
enum Fault {
    Unread,
    /// It is beyond the years of patients.
    Far,
}

/// The time in a cell.
fn written(format: &TimeFormat, cell: &str, digits: Digits) -> Result<Written, Fault> {
    let written = match format {
        TimeFormat::Order(order) => Timestamp::read(cell, *order).map_err(|_| Fault::Unread)?,
        TimeFormat::Epoch(unit) => {
            let whole = digits.whole(cell).ok_or(Fault::Unread)?;
            let units: i64 = whole.parse().map_err(|_| Fault::Far)?;
            Written {
                time: Timestamp(units.checked_mul(unit.micros()).ok_or(Fault::Far)?),
                // Both count from an instant.
                zone: Named::Zone,
                of_day: OfDay::Given,
            }
        }
        TimeFormat::Pattern(pattern) => by_pattern(pattern, cell).ok_or(Fault::Unread)?,
    };
    if written.time.is_plausible() {
        Ok(written)
    } else {
        Err(Fault::Far)
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
    fn times_that_no_patient_had_are_refused() {
        let one = |format, cell| read(format, None, &[cell]);
        for (format, cell) in [
            ("iso", "1800-01-01"),
            ("iso", "2210-12-31 23:59"),
            ("iso", "2300-12-31"),
            ("epoch-seconds", "-2208988800"),
            ("epoch-milliseconds", "1706688300000"),
        ] {
            assert!(one(format, cell).is_ok(), "{cell}");
        }
        for (format, cell, hint) in [
            ("iso", "0001-01-01", "csv.missing"),
            ("iso", "1799-12-31", "years 1800 to 2300"),
            ("iso", "2301-01-01", "years 1800 to 2300"),
            ("day-month-year", "31.12.9999", "csv.missing"),
            ("%d.%m.%Y", "31.12.24", "%y"),
            (
                "epoch-seconds",
                "1706688300000",
                "2024-01-31T08:05:00: set time-format = \"epoch-milliseconds\"",
            ),
            ("epoch-seconds", "1706688300000000", "divide it by 1,000 "),
            ("epoch-milliseconds", "1706688300000000000", "by 1,000,000"),
            ("epoch-seconds", "-361551600000", "1958-07-18"),
            ("epoch-seconds", "99999999999999999999", "csv.missing"),
        ] {
            let error = one(format, cell).unwrap_err();
            assert!(error.contains(hint), "{cell}: {error}");
        }
        let notes = |format: &str, cell: &str| {
            let format = TimeFormat::try_from(format.to_owned()).unwrap();
            let mut clock = Clock::new(&format, Some("UTC")).unwrap();
            clock.read(cell, PLAIN, 1).unwrap();
            clock.finish("t.csv").unwrap().1.join(" ")
        };
        assert!(notes("epoch-milliseconds", "1706688300").contains("counts seconds"));
        assert!(notes("epoch-seconds", "20240131").contains("dates such as 20240131"));
        assert_eq!(notes("epoch-seconds", "1706688300"), "");
    }

    #[test]
    fn a_time_in_another_form_says_which() {
        let one = |format, cell| read(format, None, &[cell]).unwrap_err();
        let clear = one("iso", "31/01/2024");
        assert!(clear.contains("It fits \"day-month-year\":"), "{clear}");
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
        for (format, cell, hint) in [
            ("iso", "45322", "day number of Excel (2024-01-31)"),
            (
                "day-month-year",
                "45322.5",
                "day number of Excel (2024-01-31)",
            ),
            ("iso", "2024-01", "no day"),
            ("month-day-year", "01/2024", "no day"),
            ("iso", "2024", "no day"),
            ("iso", "2024-01-31 24:00", "00:00 of the next day"),
            (
                "day-month-year",
                "31.01.2024 24:00:00",
                "00:00 of the next day",
            ),
            ("iso", "1706688300", "\"epoch-seconds\""),
            ("iso", "1706688300000", "\"epoch-milliseconds\""),
            (
                "iso",
                "1706688300000000",
                "microseconds since 1970 (2024-01-31T08:05:00)",
            ),
            ("iso", "202401310905", "\"compact\""),
            ("epoch-seconds", "2024-01-31", "\"iso\""),
            ("iso", "unknown", "csv.missing"),
        ] {
            let error = one(format, cell);
            assert!(error.contains(hint), "{cell}: {error}");
        }
    }
}
