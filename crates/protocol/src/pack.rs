//! Packing: entries of `bits` bits one after the other, least significant bit first, in bytes.

use std::fmt;

use minicbor::{Decode, Decoder, Encode, Encoder};

/// Bytes that `count` entries of `bits` bits take; the last byte is filled up with zeros.
#[must_use]
pub fn packed_length(count: usize, bits: u32) -> usize {
    let bits = count as u128 * u128::from(bits);
    usize::try_from(bits.div_ceil(8)).unwrap_or(usize::MAX)
}

/// Packs the low `bits` bits (1 to 32) of each entry.
#[must_use]
pub fn pack(entries: &[u32], bits: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(packed_length(entries.len(), bits) + 4);
    let (mut pending, mut filled) = (0_u64, 0);
    for entry in entries {
        pending |= u64::from(entry & low_bits(bits)) << filled;
        filled += bits;
        if filled >= 32 {
            bytes.extend_from_slice(&low_word(pending).to_le_bytes());
            pending >>= 32;
            filled -= 32;
        }
    }
    bytes.extend_from_slice(&pending.to_le_bytes());
    bytes.truncate(packed_length(entries.len(), bits));
    bytes
}

/// Bytes that are exactly `count` packed entries.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    bytes: &'a [u8],
    count: usize,
    bits: u32,
}

impl<'a> Packed<'a> {
    /// Checks that `bytes` are `count` entries of `bits` bits (1 to 32) and nothing else.
    ///
    /// # Errors
    ///
    /// Another length, and padding that is not zero.
    pub fn parse(bytes: &'a [u8], count: usize, bits: u32) -> Result<Self, PackError> {
        let want = packed_length(count, bits);
        if bytes.len() != want {
            return Err(PackError::Length {
                got: bytes.len(),
                want,
            });
        }
        let used = (count as u128 * u128::from(bits)) % 8;
        match bytes.last() {
            Some(last) if used > 0 && last >> used != 0 => Err(PackError::Padding),
            _ => Ok(Self { bytes, count, bits }),
        }
    }

    /// The entries in order.
    pub fn entries(&self) -> impl Iterator<Item = u32> {
        let (mut words, bits) = (self.bytes.chunks(4), self.bits);
        let (mut pending, mut filled) = (0_u64, 0);
        (0..self.count).map(move |_| {
            if filled < bits {
                pending |= u64::from(word(words.next().unwrap_or_default())) << filled;
                filled += 32;
            }
            let entry = low_word(pending) & low_bits(bits);
            pending >>= bits;
            filled -= bits;
            entry
        })
    }
}

/// Why bytes are not packed entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The bytes are of other entries.
    #[error("a packed vector of {got} bytes; this round's have {want}")]
    Length {
        /// Bytes given.
        got: usize,
        /// Bytes that the round's entries take.
        want: usize,
    },
    /// Bits after the last entry are set.
    #[error("a packed vector whose padding is not zero")]
    Padding,
}

/// The `bits` (1 to 32) lowest bits set.
pub(crate) fn low_bits(bits: u32) -> u32 {
    u32::MAX >> (u32::BITS - bits.clamp(1, u32::BITS))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low word is what is wanted"
)]
fn low_word(value: u64) -> u32 {
    value as u32
}

/// Up to four bytes, least significant first.
fn word(bytes: &[u8]) -> u32 {
    let mut word = [0; 4];
    word[..bytes.len()].copy_from_slice(bytes);
    u32::from_le_bytes(word)
}

/// A sum of vectors modulo a power of two, being added to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Total(pub(crate) Vec<u32>);

impl Total {
    /// A sum of nothing.
    pub(crate) fn zero(length: usize) -> Self {
        Self(vec![0; length])
    }

    /// Adds a vector of as many entries, modulo 2 to the power of `bits`.
    pub(crate) fn add(&mut self, vector: &[u32], bits: u32) {
        for (total, entry) in self.0.iter_mut().zip(vector) {
            *total = total.wrapping_add(*entry) & low_bits(bits);
        }
    }

    /// The entries between minus and plus half of the modulus, 2 to the power of `bits`.
    pub(crate) fn centred(self, bits: u32) -> Vec<i64> {
        let (half, modulus) = (1_i64 << (bits - 1), 1_i64 << bits);
        let centre = |entry: u32| {
            if i64::from(entry) < half {
                i64::from(entry)
            } else {
                i64::from(entry) - modulus
            }
        };
        self.0.into_iter().map(centre).collect()
    }
}

impl fmt::Debug for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Total")
            .field("length", &self.0.len())
            .finish_non_exhaustive()
    }
}

/// As a byte string: four bytes an entry, least significant first.
impl<C> Encode<C> for Total {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let bytes: Vec<u8> = self
            .0
            .iter()
            .flat_map(|entry| entry.to_le_bytes())
            .collect();
        encoder.bytes(&bytes)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Total {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        match decoder.bytes()?.as_chunks::<4>() {
            (entries, []) => Ok(Self(
                entries
                    .iter()
                    .map(|entry| u32::from_le_bytes(*entry))
                    .collect(),
            )),
            _ => Err(minicbor::decode::Error::message(
                "a sum that is not of whole entries",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_least_significant_bit_comes_first() {
        assert_eq!(pack(&[0b1, 0b10, 0b111], 3), [0b1101_0001, 0b1]);
        assert_eq!(pack(&[0x0123_4567], 32), [0x67, 0x45, 0x23, 0x01]);
        assert_eq!(pack(&[], 7), []);
    }

    #[test]
    fn the_middle_of_the_modulus_is_the_most_negative() {
        assert_eq!(Total(vec![0, 1, 3, 4, 7]).centred(3), [0, 1, 3, -4, -1]);
        assert_eq!(
            Total(vec![u32::MAX, 1 << 31]).centred(32),
            [-1, i64::from(i32::MIN)]
        );
    }

    proptest! {
        #[test]
        fn entries_survive_packing(bits in 1..=32_u32, entries in prop::collection::vec(any::<u32>(), 0..70)) {
            let bytes = pack(&entries, bits);
            let want: Vec<u32> = entries.iter().map(|entry| entry & low_bits(bits)).collect();
            prop_assert_eq!(bytes.len(), packed_length(entries.len(), bits));
            let packed = Packed::parse(&bytes, entries.len(), bits).unwrap();
            prop_assert_eq!(packed.entries().collect::<Vec<_>>(), want);
        }

        #[test]
        fn bytes_are_one_vector_or_refused(
            bits in 1..=32_u32,
            count in 0..40_usize,
            bytes in prop::collection::vec(any::<u8>(), 0..170),
        ) {
            match Packed::parse(&bytes, count, bits) {
                Ok(packed) => prop_assert_eq!(pack(&packed.entries().collect::<Vec<_>>(), bits), bytes),
                Err(PackError::Length { got, want }) => prop_assert_ne!(got, want),
                Err(PackError::Padding) => prop_assert_ne!(*bytes.last().unwrap(), 0),
            }
        }

        #[test]
        fn addition_is_modular(bits in 1..=32_u32, pairs in prop::collection::vec(any::<(u32, u32)>(), 0..20)) {
            let (one, other): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
            let mut sum = Total(one.iter().map(|entry| entry & low_bits(bits)).collect());
            sum.add(&other, bits);
            for ((one, other), sum) in one.iter().zip(&other).zip(sum.0) {
                let modulus = 1_u64 << bits;
                prop_assert_eq!(u64::from(sum), (u64::from(*one) + u64::from(*other)) % modulus);
            }
        }
    }
}
