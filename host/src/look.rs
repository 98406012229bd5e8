//! A look at a hospital's files against a study, or a draft of one: `host data check`.
//!
//! ```text
//! files ─▶ module: Check ─▶ Checked ─▶ findings in words, charts, proposed reference values, a page
//! ```
//!
//! Everything here is about patients and stays at the site.

pub mod chart;
pub mod explanation;
pub mod finding;
pub mod page;
pub mod proposal;

use protocol::door::{Checked, Coverage, Distribution};
use protocol::study::{Cohort, Feature};

/// A folder's files, looked at.
#[derive(Clone, Debug)]
pub struct Look<'a> {
    /// Where the files are.
    pub name: String,
    /// What the study or draft asks for.
    pub cohort: &'a Cohort,
    /// What the module found.
    pub checked: Checked,
}

/// A feature, and what was found of it.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// What the study says.
    pub feature: &'a Feature,
    /// What there is of it.
    pub coverage: &'a Coverage,
    /// Its values.
    pub distribution: &'a Distribution,
}

impl Look<'_> {
    /// Each feature with what was found of it, in the study's order.
    pub fn features(&self) -> impl Iterator<Item = Found<'_>> {
        let found = self.checked.report.features.iter();
        let found = found.zip(&self.checked.distributions);
        self.cohort
            .features()
            .zip(found)
            .map(|(feature, (coverage, distribution))| Found {
                feature,
                coverage,
                distribution,
            })
    }
}

/// A number with four significant digits, without zeros at the end.
#[must_use]
pub fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    let size = rounded.abs();
    if (1e-4..1e7).contains(&size) {
        format!("{rounded}")
    } else {
        format!("{rounded:e}")
    }
}
