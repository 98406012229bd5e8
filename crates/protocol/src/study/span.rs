//! Lengths of time, as a study states them: in days, or in hours.

use std::fmt;

/// A length of time in whole hours: `history-days = 2` and `history-hours = 48` are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    hours: u32,
}

/// Why a table states no length of time, or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpanError {
    /// Neither is there.
    #[error("{0}-days or {0}-hours is missing: want one of them")]
    Missing(&'static str),
    /// Both are there.
    #[error("{0}-days and {0}-hours are both stated: want one of them")]
    Both(&'static str),
}

impl Span {
    const DAY: u32 = 24;

    /// So many days of 24 hours.
    #[must_use]
    pub const fn days(days: u32) -> Self {
        Self {
            hours: days.saturating_mul(Self::DAY),
        }
    }

    /// So many hours.
    #[must_use]
    pub const fn hours(hours: u32) -> Self {
        Self { hours }
    }

    /// The length in hours.
    #[must_use]
    pub const fn in_hours(self) -> u32 {
        self.hours
    }

    /// How many of `part` this is; `None` where they do not fill it exactly, or `part` is 0.
    #[must_use]
    pub const fn parts(self, part: Self) -> Option<u32> {
        match self.hours.checked_rem(part.hours) {
            Some(0) => self.hours.checked_div(part.hours),
            _ => None,
        }
    }

    /// The name of the setting that states it: `<what>-days` where it is whole days, else `<what>-hours`.
    pub(crate) fn setting(self, days: &'static str, hours: &'static str) -> &'static str {
        if self.hours.is_multiple_of(Self::DAY) {
            days
        } else {
            hours
        }
    }

    /// The one of two settings that is stated.
    pub(super) fn stated(
        what: &'static str,
        days: Option<u32>,
        hours: Option<u32>,
    ) -> Result<Self, SpanError> {
        match (days, hours) {
            (Some(days), None) => Ok(Self::days(days)),
            (None, Some(hours)) => Ok(Self::hours(hours)),
            (None, None) => Err(SpanError::Missing(what)),
            (Some(_), Some(_)) => Err(SpanError::Both(what)),
        }
    }

    /// As a table states it: days and hours, one of which is there.
    pub(super) fn as_stated(self) -> (Option<u32>, Option<u32>) {
        if self.hours.is_multiple_of(Self::DAY) {
            (Some(self.hours / Self::DAY), None)
        } else {
            (None, Some(self.hours))
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_stated() {
            (Some(1), _) => write!(f, "1 day"),
            (Some(days), _) => write!(f, "{days} days"),
            (None, _) if self.hours == 1 => write!(f, "1 hour"),
            (None, _) => write!(f, "{} hours", self.hours),
        }
    }
}
