//! The public state, before patient data is touched.

use protocol::door::State;
use protocol::id::Purpose;
use protocol::study::Study;

use crate::stop::Stop;

/// Refuses a state that is not one of the study's models.
pub(crate) fn published(study: &Study, bytes: &[u8]) -> Result<(), Stop> {
    State::published(study, bytes)
        .map(drop)
        .map_err(|error| Stop::State(error.to_string()))
}

/// Refuses a state that is none of the study's for a round with this purpose.
pub(crate) fn of(study: &Study, purpose: Purpose, bytes: &[u8]) -> Result<(), Stop> {
    State::of(study, purpose, bytes)
        .map(drop)
        .map_err(|error| Stop::State(error.to_string()))
}
