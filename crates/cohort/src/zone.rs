//! The zone of a hospital's clocks, which turns instants into what they showed.

use jiff::tz::TimeZone;

use crate::meds::{Timestamp, fixed_zone};

/// What a zone is called.
pub(crate) const WANT: &str =
    "want a zone's name such as \"Europe/Berlin\", an offset such as \"+01:00\", or \"UTC\"";

/// The zone of a hospital's clocks.
#[derive(Clone, Debug)]
pub(crate) enum Zone {
    /// So many seconds east of UTC, always.
    Fixed(i64),
    /// By name, in the zones of IANA.
    Named(TimeZone),
}

impl Zone {
    /// The zone of a name such as `Europe/Berlin`, `+01:00` or `UTC`.
    pub(crate) fn of(name: &str) -> Option<Self> {
        match fixed_zone(name) {
            Some(east) => Some(Self::Fixed(east)),
            None => TimeZone::get(name).ok().map(Self::Named),
        }
    }

    /// What clocks of the zone showed at an instant.
    pub(crate) fn shown(&self, instant: Timestamp) -> Option<Timestamp> {
        let east = match self {
            Self::Fixed(east) => *east,
            Self::Named(zone) => {
                let instant = jiff::Timestamp::from_microsecond(instant.0).ok()?;
                i64::from(zone.to_offset(instant).seconds())
            }
        };
        Some(instant.plus(east * Timestamp::SECOND))
    }
}
