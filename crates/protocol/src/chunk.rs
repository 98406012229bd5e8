//! How a masked vector is cut for its way to the aggregator.
//!
//! Chunks are masked, packed and sealed one by one, so that each stays in the cache from its first step to its last; and
//! sent, checked and stored one by one, so that a broken line costs no more than one.
//!
//! ```text
//! entries    0 … 65 535 │ 65 536 … 131 071 │ … the rest
//! packed     8 192 · b bytes each, b the bits of an entry, least significant bit first
//! sealed     message 0, 1, … of one HPKE context, each longer by a tag of 16 bytes
//! ```
//!
//! A chunk has a multiple of 32 entries, which are whole bytes however many bits an entry has; only the last may have
//! padding. Number and lengths follow from the study's layout alone. **A vector is never compressed**: the length of
//! what is compressed tells of its contents, and these lengths are seen by everyone on the line.

use std::ops::Range;

use crate::cipher::TAG_LENGTH;
use crate::id::ChunkDigest;
use crate::pack::packed_length;
use crate::study::Layout;

/// Entries of every chunk but the last, of which at most 256 KiB are made: an entry has at most 32 bits.
pub const ENTRIES: usize = 1 << 16;

/// How the vector of a layout is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunking {
    length: usize,
    bits: u32,
}

impl Chunking {
    /// That of a round's vector.
    #[must_use]
    pub fn of(layout: &Layout) -> Self {
        Self {
            length: layout.length(),
            bits: layout.modulus_bits,
        }
    }

    /// Chunks of the vector.
    #[must_use]
    pub fn count(&self) -> usize {
        self.length.div_ceil(ENTRIES)
    }

    /// The numbers of the chunks, in order.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        (0..).take(self.count())
    }

    /// The places of a chunk's entries in the vector.
    ///
    /// # Errors
    ///
    /// A number from [`Chunking::count`] on.
    pub fn entries(&self, number: u32) -> Result<Range<usize>, ChunkError> {
        let count = self.count();
        match usize::try_from(number) {
            Ok(place) if place < count => {
                let start = place * ENTRIES;
                Ok(start..self.length.min(start + ENTRIES))
            }
            _ => Err(ChunkError::Number { number, count }),
        }
    }

    /// Bytes of a sealed chunk.
    ///
    /// # Errors
    ///
    /// A number from [`Chunking::count`] on.
    pub fn sealed_length(&self, number: u32) -> Result<usize, ChunkError> {
        Ok(packed_length(self.entries(number)?.len(), self.bits) + TAG_LENGTH)
    }

    /// Bytes of the largest sealed chunk: what a door for chunks lets through.
    #[must_use]
    pub fn largest(&self) -> usize {
        packed_length(self.length.min(ENTRIES), self.bits) + TAG_LENGTH
    }

    /// Checks that `sealed` is the chunk with this number of a vector whose sealed chunks have these `digests`.
    ///
    /// # Errors
    ///
    /// A number that the vector does not have, another length, another digest.
    pub fn check(
        &self,
        digests: &[ChunkDigest],
        number: u32,
        sealed: &[u8],
    ) -> Result<(), ChunkError> {
        let (got, want) = (sealed.len(), self.sealed_length(number)?);
        if got != want {
            return Err(ChunkError::Length { number, got, want });
        }
        let place = usize::try_from(number).ok();
        match place.and_then(|place| digests.get(place)) {
            Some(digest) if *digest == ChunkDigest::of(sealed) => Ok(()),
            _ => Err(ChunkError::Digest { number }),
        }
    }

    /// Bits of an entry.
    pub(crate) fn bits(&self) -> u32 {
        self.bits
    }
}

/// Why bytes are not a chunk of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The vector has fewer chunks.
    #[error(
        "there is no chunk {number}: this round's vectors have {count} chunks, numbered from 0"
    )]
    Number {
        /// The number given.
        number: u32,
        /// Chunks of the vector.
        count: usize,
    },
    /// The bytes are too few or too many.
    #[error("chunk {number} has {got} bytes; it must have {want}")]
    Length {
        /// The chunk.
        number: u32,
        /// Bytes given.
        got: usize,
        /// Bytes that it has.
        want: usize,
    },
    /// The bytes are others than those that were announced.
    #[error(
        "the BLAKE3 hash of chunk {number} is not the one in the masked input that the site signed: send the chunk as it \
         was announced"
    )]
    Digest {
        /// The chunk.
        number: u32,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn chunks_are_the_whole_vector_in_whole_bytes(length in 0..400_000_usize, bits in 1..=32_u32) {
            let chunking = Chunking { length, bits };
            let (mut entries, mut packed) = (0, 0);
            for number in chunking.numbers() {
                let range = chunking.entries(number).unwrap();
                prop_assert_eq!(range.start, entries);
                prop_assert_eq!(packed * 8, entries * bits as usize, "a chunk starts with an entry");
                entries = range.end;
                let sealed = chunking.sealed_length(number).unwrap();
                prop_assert!(sealed <= chunking.largest() && sealed <= (256 << 10) + TAG_LENGTH);
                packed += sealed - TAG_LENGTH;
            }
            prop_assert_eq!(entries, length);
            prop_assert_eq!(packed, packed_length(length, bits));
        }
    }

    #[test]
    fn a_chunk_is_one_of_the_vector_or_refused() {
        let chunking = Chunking {
            length: ENTRIES + 3,
            bits: 7,
        };
        let (first, last) = (vec![1; 57_360], vec![2; 19]);
        let digests = [ChunkDigest::of(&first), ChunkDigest::of(&last)];
        let check = |number, bytes: &[u8]| chunking.check(&digests, number, bytes);
        assert_eq!(check(0, &first), Ok(()));
        assert_eq!(check(1, &last), Ok(()));
        let length = ChunkError::Length {
            number: 1,
            got: 57_360,
            want: 19,
        };
        assert_eq!(check(1, &first), Err(length));
        assert_eq!(check(1, &[1; 19]), Err(ChunkError::Digest { number: 1 }));
        for number in [2, u32::MAX] {
            let none = ChunkError::Number { number, count: 2 };
            assert_eq!(check(number, &last), Err(none));
        }
    }
}
