//! The auditor's view: a recorded round, run again through the module, message by message.
//!
//! The same module, patients, state, seed and requests give the same bodies, bit for bit. So what left the building is
//! what the approved module computes, or this says where it differs. The body of a masked input holds the digests of its
//! chunks, so that they are compared with it.

use protocol::api::Stage;
use protocol::codec::{self, DecodeError};
use protocol::door::Progress;
use protocol::id::Digest;
use protocol::message::{MaskedInput, Signed};

use crate::journal::Journal;
use crate::patients::Cohort;
use crate::round::open;
use crate::sandbox::{Sandbox, SandboxError};
use crate::session::Session;

/// A message that was sent, beside what the module computes now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The stage of the message.
    pub stage: Stage,
    /// Bytes of its body.
    pub bytes: usize,
    /// The digest of the body that was sent.
    pub sent: Digest,
    /// The digest of the body that the module computes.
    pub computed: Digest,
    /// What the site committed to, in a masked input: the patients and the state that it trained on.
    pub commitment: Option<Digest>,
}

impl Comparison {
    /// Whether what was sent is what the module computes.
    #[must_use]
    pub fn is_identical(&self) -> bool {
        self.sent == self.computed
    }
}

/// Runs a recorded round again.
///
/// # Errors
///
/// A module that fails or refuses where it answered when the round was run, and a recorded message that is none.
pub fn replay(
    sandbox: &Sandbox,
    study: &[u8],
    weights: Option<&[u8]>,
    cohort: &Cohort,
    state: &[u8],
    journal: &Journal,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Comparison>, ReplayError> {
    let mut session = Session::open(
        sandbox,
        open(study, weights, cohort, journal.opened(), state),
        progress,
    )?;
    let mut comparisons = Vec::new();
    for exchange in journal.exchanges() {
        let Some(sending) = &exchange.sending else {
            continue;
        };
        let body = session.body(&exchange.request)?;
        // Of the bytes that were sent, not of the digest written beside them.
        let sent: Signed = codec::decode(&sending.message)?;
        comparisons.push(Comparison {
            stage: sending.stage,
            bytes: sent.body.len(),
            sent: Digest::of(&sent.body),
            computed: Digest::of(&body),
            commitment: commitment(sending.stage, &sent)?,
        });
    }
    Ok(comparisons)
}

fn commitment(stage: Stage, sent: &Signed) -> Result<Option<Digest>, DecodeError> {
    if stage != Stage::Mask {
        return Ok(None);
    }
    let input: MaskedInput = codec::decode(&sent.body)?;
    Ok(Some(input.commitment))
}

/// Why a round cannot be run again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The module failed or refused.
    #[error(transparent)]
    Module(#[from] SandboxError),
    /// What the journal says was sent is no message.
    #[error("a message in the journal cannot be read: {0}")]
    Message(#[from] DecodeError),
}
