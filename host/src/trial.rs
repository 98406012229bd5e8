//! A round of each kind on this computer alone, when a study is approved: how long it takes decides this site's pace.
//!
//! Nothing of it is sent or kept but the time, rounded up to a power of two times the study's floor.

use std::time::{Duration, Instant};

use participant::pace::first_state;
use protocol::codec;
use protocol::door::{Open, Progress, Request};
use protocol::id::{Digest, Header, Purpose, SiteId};
use protocol::seed::Seed;
use protocol::study::Study;

use crate::patients::Cohort;
use crate::sandbox::{Sandbox, SandboxError};
use crate::session::Session;

/// How long this site takes at most from a new round to its first message.
///
/// # Errors
///
/// All that the module can do wrong.
pub fn run(
    sandbox: &Sandbox,
    study: &Study,
    text: &[u8],
    weights: Option<&[u8]>,
    cohort: &Cohort,
    site: SiteId,
    progress: &mut dyn FnMut(Progress),
) -> Result<Duration, SandboxError> {
    let mut longest = Duration::ZERO;
    for purpose in TRIED {
        let state = codec::encode(&first_state(study, purpose));
        let Some(header) = header(study, purpose, site, Digest::of(&state)) else {
            continue;
        };
        let open = Open {
            study: text.to_vec().into(),
            cohort: cohort.bytes.clone().into(),
            header,
            state: state.into(),
            site,
            // Of nothing that leaves.
            seed: Seed::new([0; 32]),
            memory: Vec::new().into(),
            weights: weights.map(|weights| weights.to_vec().into()),
        };
        let start = Instant::now();
        let mut session = Session::open(sandbox, open, progress)?;
        session.body(&Request::Advertise)?;
        longest = longest.max(start.elapsed());
    }
    Ok(longest)
}

/// The first round with this purpose in which the site takes part; `None` where the plan has none.
fn header(study: &Study, purpose: Purpose, site: SiteId, state: Digest) -> Option<Header> {
    let planned = (0_u32..).zip(study.plan());
    let places = planned.filter(|(_, planned)| *planned == purpose);
    let mut headers = places.map(|(place, purpose)| Header {
        study: study.digest(),
        number: 0,
        place,
        purpose,
        state,
    });
    headers.find(|header| study.takes_part(site, header))
}

/// The kinds of rounds that are tried; rounds of clusters compute what evaluations do, and less.
const TRIED: [Purpose; 4] = [
    Purpose::Moments,
    Purpose::Train,
    Purpose::Tune,
    Purpose::Evaluate,
];
