//! What to make.

use std::ops::RangeInclusive;

use crate::population::{Effects, Population};

const HOSPITALS: RangeInclusive<u32> = 3..=100;
const PATIENTS: RangeInclusive<u32> = 5..=100_000;
const MONTHS: RangeInclusive<u32> = 6..=12;

/// Days of a month: four weeks, so that weekly bins divide any history.
pub(crate) const DAYS_OF_MONTH: u32 = 28;

/// What to make: a federation of hospitals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    hospitals: u32,
    patients: u32,
    months: u32,
    seed: u64,
    population: Population,
}

/// Settings out of their range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value} {setting}: want {} to {}", range.start(), range.end())]
pub struct SettingsError {
    /// Which setting.
    pub setting: &'static str,
    /// Its value.
    pub value: u32,
    /// What it can be.
    pub range: RangeInclusive<u32>,
}

impl Settings {
    /// `hospitals` (3 to 100) of `patients` (5 to 100,000) each with a history of `months` (6 to 12) of four weeks; the
    /// same seed makes the same bytes.
    ///
    /// # Errors
    ///
    /// A number out of its range.
    pub fn new(
        hospitals: u32,
        patients: u32,
        months: u32,
        seed: u64,
    ) -> Result<Self, SettingsError> {
        let numbers = [
            ("hospitals", hospitals, HOSPITALS),
            ("patients", patients, PATIENTS),
            ("months", months, MONTHS),
        ];
        for (setting, value, range) in numbers {
            if !range.contains(&value) {
                return Err(SettingsError {
                    setting,
                    value,
                    range,
                });
            }
        }
        Ok(Self {
            hospitals,
            patients,
            months,
            seed,
            population: Population::Reference,
        })
    }

    /// The same of another population.
    #[must_use]
    pub fn of(self, population: Population) -> Self {
        Self { population, ..self }
    }

    /// Hospitals.
    #[must_use]
    pub fn hospitals(&self) -> u32 {
        self.hospitals
    }

    /// Patients of each hospital.
    #[must_use]
    pub fn patients(&self) -> u32 {
        self.patients
    }

    /// Days of each patient's history.
    #[must_use]
    pub fn days(&self) -> u32 {
        self.months * DAYS_OF_MONTH
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn population(&self) -> Population {
        self.population
    }

    pub(crate) fn effects(&self) -> &'static Effects {
        self.population.effects()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert!(Settings::new(3, 1_000, 6, 1).is_ok());
        let refused = |hospitals, patients, months| {
            Settings::new(hospitals, patients, months, 1)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(refused(2, 1_000, 6), "2 hospitals: want 3 to 100");
        assert_eq!(refused(3, 4, 6), "4 patients: want 5 to 100000");
        assert_eq!(refused(3, 1_000, 13), "13 months: want 6 to 12");
    }
}
