//! The auditor's view: what was sent in a recorded round beside what the module computes now.
//!
//! The same module, patients, state, seed and requests give the same bodies, bit for bit. So what left the building is
//! what the approved module computes, or this says where it differs. The body of a masked input holds the digests of its
//! chunks, so that they are compared with it.

use protocol::api::Stage;
use protocol::codec;
use protocol::id::Digest;
use protocol::message::MaskedInput;

use crate::journal::{Damaged, Sending};

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
    /// Compares what was sent with the body that the module gives to the same request.
    ///
    /// # Errors
    ///
    /// A recorded message that is none.
    pub fn of(sending: &Sending, computed: &[u8]) -> Result<Self, Damaged> {
        // Of the bytes that were sent, not of the digest written beside them.
        let sent = sending.signed()?;
        let commitment = match sending.stage() {
            Stage::Mask => {
                let input: MaskedInput = codec::decode(&sent.body).map_err(|_| Damaged)?;
                Some(input.commitment)
            }
            _ => None,
        };
        Ok(Self {
            stage: sending.stage(),
            bytes: sent.body.len(),
            sent: Digest::of(&sent.body),
            computed: Digest::of(computed),
            commitment,
        })
    }

    /// Whether what was sent is what the module computes.
    #[must_use]
    pub fn is_identical(&self) -> bool {
        self.sent == self.computed
    }
}
