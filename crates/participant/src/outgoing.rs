//! What may leave the site.

use protocol::api::Stage;
use protocol::codec;
use protocol::withdrawal::Withdrawal;

use crate::egress::CheckedChunk;
use crate::journal::Sending;
use crate::ledger::Charged;

/// Bytes that may leave, and where to: checked by the egress rules, stored, and charged where they carry a vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    destination: Destination,
    bytes: Vec<u8>,
}

/// Where bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A stage of a round.
    Message {
        /// The round's number.
        round: u32,
        /// The stage.
        stage: Stage,
    },
    /// The masked vector of a round.
    Chunk {
        /// The round's number.
        round: u32,
        /// The chunk's number.
        chunk: u32,
    },
    /// The notice that the site takes no further part in a round.
    Withdrawal {
        /// The round's number.
        round: u32,
    },
}

impl Outgoing {
    /// A message without a vector, which is in the journal of the round with this number; `None` for the masked input.
    #[must_use]
    pub fn plain(round: u32, sent: &Sending) -> Option<Self> {
        let stage = sent.stage();
        (stage != Stage::Mask).then(|| Self::message(round, sent))
    }

    /// The masked input, which is in the journal of the round with this number; `None` where another one was charged.
    #[must_use]
    pub fn vector(round: u32, sent: &Sending, charged: &Charged) -> Option<Self> {
        let is_it = sent.stage() == Stage::Mask && charged.is_of(round, sent.body());
        is_it.then(|| Self::message(round, sent))
    }

    /// A chunk of a masked vector that was charged; `None` where it is of another round.
    #[must_use]
    pub fn chunk(round: u32, chunk: &CheckedChunk, charged: &Charged) -> Option<Self> {
        charged.is_of(round, chunk.of()).then(|| Self {
            destination: Destination::Chunk {
                round,
                chunk: chunk.number(),
            },
            bytes: chunk.sealed().to_vec(),
        })
    }

    /// A withdrawal tells one of three causes, and nothing of a patient.
    pub(crate) fn withdrawal(withdrawal: &Withdrawal) -> Self {
        Self {
            destination: Destination::Withdrawal {
                round: withdrawal.round,
            },
            bytes: codec::encode(withdrawal),
        }
    }

    fn message(round: u32, sent: &Sending) -> Self {
        Self {
            destination: Destination::Message {
                round,
                stage: sent.stage(),
            },
            bytes: sent.message().to_vec(),
        }
    }

    /// Where it goes.
    #[must_use]
    pub fn destination(&self) -> Destination {
        self.destination
    }

    /// The bytes that leave, as they are.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
