//! What a site keeps from one round to the next: patient data, which never leaves it.

use minicbor::{Decode, Encode};
use protocol::codec;
use protocol::id::Digest;

use super::error::SessionError;

/// What a site keeps from one round to the next.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Memory {
    /// The study that it belongs to.
    #[n(0)]
    study: Digest,
    /// The site's control variate.
    #[n(1)]
    control: Vec<f32>,
}

impl Memory {
    /// What is kept of a round of `study`.
    pub(crate) fn new(study: Digest, control: Vec<f32>) -> Self {
        Self { study, control }
    }

    /// Of what the host kept; nothing before the first round.
    pub(crate) fn decode(
        bytes: &[u8],
        study: Digest,
        parameters: usize,
    ) -> Result<Vec<f32>, SessionError> {
        if bytes.is_empty() {
            return Ok(Vec::new());
        }
        let memory: Self = codec::decode(bytes)?;
        let fits = memory.study == study
            && memory.control.len() == parameters
            && memory.control.iter().all(|value| value.is_finite());
        if fits {
            Ok(memory.control)
        } else {
            Err(SessionError::OtherMemory)
        }
    }

    /// The bytes that the host keeps.
    pub(crate) fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }
}
