//! What is to be kept, and the receipt that it is.

use std::fmt;

use zeroize::Zeroizing;

/// A place on the site's disk, or in a browser's database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The ledger of all studies ([`crate::ledger`]).
    Ledger,
    /// The register of this study's rounds ([`crate::register`]).
    Register,
    /// The seed of a round: a secret.
    Seed(u32),
    /// What the site had kept of its rounds before when this one began: patient data, and a secret.
    Kept(u32),
    /// The journal of a round ([`crate::journal`]).
    Journal(u32),
    /// The encoded state that a round starts from.
    State(u32),
    /// A sealed chunk of a round's masked vector: the round's number, the chunk's.
    Chunk(u32, u32),
    /// What the site keeps of its last round for its next one: patient data, and a secret.
    Memory,
    /// Which prepared cohort was made of the files with this digest.
    Prepared(protocol::id::Digest),
    /// The prepared cohort with this digest: patient data.
    Cohort(protocol::id::Digest),
    /// The published model.
    Model,
}

/// One change of what is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Write {
    /// Adds to the end of what is there.
    Append(Key, Vec<u8>),
    /// Puts these bytes in the place of what was there: after a crash either these are there or those before.
    Put(Key, Vec<u8>),
    /// As [`Write::Put`], of a secret: whoever keeps it encrypts it.
    Seal(Key, Zeroizing<Vec<u8>>),
    /// Removes all chunks of a round.
    ForgetChunks(u32),
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append(key, bytes) => write!(f, "Append({key:?}, {} bytes)", bytes.len()),
            Self::Put(key, bytes) => write!(f, "Put({key:?}, {} bytes)", bytes.len()),
            Self::Seal(key, _) => write!(f, "Seal({key:?})"),
            Self::ForgetChunks(round) => write!(f, "ForgetChunks({round})"),
        }
    }
}

/// Changes in their order: each is durable before the next begins, or all become durable at once.
#[derive(Debug, PartialEq, Eq)]
pub struct Writes {
    list: Vec<Write>,
    ticket: u64,
}

/// Numbers the writes of one participant.
#[derive(Debug, Default)]
pub(crate) struct Tickets(u64);

impl Tickets {
    /// Writes with a number of their own.
    pub(crate) fn writes(&mut self, list: Vec<Write>) -> Writes {
        self.0 += 1;
        Writes::new(list, self.0)
    }
}

impl Writes {
    pub(crate) fn new(list: Vec<Write>, ticket: u64) -> Self {
        Self { list, ticket }
    }

    /// What its receipt is known by.
    pub(crate) fn ticket(&self) -> u64 {
        self.ticket
    }

    /// The changes, in order.
    #[must_use]
    pub fn list(&self) -> &[Write] {
        &self.list
    }

    /// To be called once all of them are durable, and not before: it lets what rests on them leave.
    #[must_use]
    pub fn written(self) -> Receipt {
        Receipt {
            ticket: self.ticket,
        }
    }
}

/// Says that some [`Writes`] are durable.
#[derive(Debug, PartialEq, Eq)]
pub struct Receipt {
    ticket: u64,
}

impl Receipt {
    /// Whether it is of the writes with this number.
    pub(crate) fn is_of(&self, ticket: u64) -> bool {
        self.ticket == ticket
    }
}
