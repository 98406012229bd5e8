//! How large a body may be, and how long a request may take.

use std::collections::HashSet;
use std::time::Duration;

use protocol::api::Stage;
use protocol::chunk::Chunking;
use protocol::id::{Digest, Header, Purpose};
use protocol::message::largest_body;
use protocol::study::Study;

/// The most bytes of an enrolment: a token, a name, a key, a commitment and a signature.
pub(crate) const ENROL_BYTES: usize = 4_096;

/// The most bytes of what a site reveals: a key, a digest, a nonce and a signature, some 170.
pub(crate) const REVEAL_BYTES: usize = 256;

/// The most bytes of a withdrawal, which has some 80.
pub(crate) const WITHDRAW_BYTES: usize = 128;

/// A [`protocol::message::Signed`] is its body, and at most this many bytes: site, signature, lengths.
const SIGNED_OVERHEAD: usize = 128;

/// The longest that a site may wait for news in one request: below what proxies on the way cut off.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The longest that a request without a large body may take, waiting for news included.
pub(crate) const REQUEST: Duration = Duration::from_secs(60);

/// The longest that a message or a chunk of a round may take: 256 KiB over a slow hospital line.
pub(crate) const MESSAGE: Duration = Duration::from_secs(120);

/// The most bytes of each body that a study's rounds take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Of a message at each stage.
    messages: [usize; 5],
    /// Of a sealed chunk.
    chunk: usize,
}

impl BodyLimits {
    /// The limits of the study's largest rounds. That a chunk is exactly as long as its own round's, the round checks.
    #[must_use]
    pub fn of(study: &Study) -> Self {
        let purposes: HashSet<Purpose> = study.plan().into_iter().collect();
        let header = |purpose| Header {
            study: study.digest(),
            number: 0,
            place: 0,
            purpose,
            state: Digest([0; 32]),
        };
        let largest = |stage| {
            purposes
                .iter()
                .map(|purpose| largest_body(study, &header(*purpose), stage))
                .max()
        };
        let chunk = |purpose| Chunking::of(&study.layout(purpose)).largest();
        Self {
            messages: Stage::ALL.map(|stage| largest(stage).unwrap_or(0) + SIGNED_OVERHEAD),
            chunk: purposes.iter().copied().map(chunk).max().unwrap_or(0),
        }
    }

    /// The most bytes of a sealed chunk.
    #[must_use]
    pub fn chunk(&self) -> usize {
        self.chunk
    }

    /// The most bytes of a message at this stage.
    #[must_use]
    pub fn message(&self, stage: Stage) -> usize {
        let [advertise, share, mask, agree, unmask] = self.messages;
        match stage {
            Stage::Advertise => advertise,
            Stage::Share => share,
            Stage::Mask => mask,
            Stage::Agree => agree,
            Stage::Unmask => unmask,
        }
    }
}
