//! Packing: entries of `bits` bits one after the other, least significant bit first, in bytes.
//!
//! 32 entries are whole words however many bits an entry has, so entries are packed in groups of 32: where each one
//! lies is then known when the code is compiled, once for each number of bits, and no entry costs a branch.

use std::fmt;

use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::cipher::TAG_LENGTH;

/// Calls the function that is compiled for this number of bits.
macro_rules! with_bits {
    ($bits:expr, $function:ident, $($argument:expr),+) => {
        with_bits!(@match $bits, $function, ($($argument),+),
            1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
    };
    (@match $bits:expr, $function:ident, $arguments:tt, $($number:literal)+) => {
        match $bits {
            $($number => with_bits!(@call $function, $number, $arguments),)+
            bits => unreachable!("entries have 1 to 32 bits, not {bits}"),
        }
    };
    (@call $function:ident, $number:literal, ($($argument:expr),+)) => {
        $function::<$number>($($argument),+)
    };
}
/// Bytes that `count` entries of `bits` bits take; the last byte is filled up with zeros.
#[must_use]
pub fn packed_length(count: usize, bits: u32) -> usize {
    let bits = count as u128 * u128::from(bits);
    usize::try_from(bits.div_ceil(8)).unwrap_or(usize::MAX)
}

/// Packs the low `bits` bits (1 to 32) of each entry. There is room for the tag of a seal behind the result.
///
/// # Panics
///
/// On other numbers of bits.
#[must_use]
pub fn pack(entries: &[u32], bits: u32) -> Vec<u8> {
    let length = packed_length(entries.len(), bits);
    let mut bytes = Vec::with_capacity(length + TAG_LENGTH.max(GROUP * 4));
    with_bits!(bits, push_groups, entries, &mut bytes);
    bytes.truncate(length);
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

    /// Adds the entries to as many of a sum, modulo 2 to the power of their bits.
    ///
    /// # Panics
    ///
    /// If the sum has another number of entries, or entries cannot have so many bits.
    pub fn add_to(&self, sum: &mut [u32]) {
        assert_eq!(sum.len(), self.count, "a sum of other entries");
        with_bits!(self.bits, add_groups, sum, self.bytes);
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

/// Entries that are packed together.
const GROUP: usize = 32;

fn push_groups<const BITS: usize>(entries: &[u32], bytes: &mut Vec<u8>) {
    let (groups, rest) = entries.as_chunks();
    for group in groups {
        bytes.extend_from_slice(packed_group::<BITS>(group).as_flattened());
    }
    if !rest.is_empty() {
        let mut group = [0; GROUP];
        group[..rest.len()].copy_from_slice(rest);
        bytes.extend_from_slice(packed_group::<BITS>(&group).as_flattened());
    }
}

fn add_groups<const BITS: usize>(sum: &mut [u32], bytes: &[u8]) {
    let (sums, rest) = sum.as_chunks_mut::<GROUP>();
    let (whole, end) = bytes.split_at(sums.len() * BITS * 4);
    let groups = whole.as_chunks().0.as_chunks().0;
    for (sums, group) in sums.iter_mut().zip(groups) {
        add_group::<BITS>(sums, group);
    }
    if !rest.is_empty() {
        let mut group = [[0; 4]; BITS];
        group.as_flattened_mut()[..end.len()].copy_from_slice(end);
        let mut sums = [0; GROUP];
        sums[..rest.len()].copy_from_slice(rest);
        add_group::<BITS>(&mut sums, &group);
        rest.copy_from_slice(&sums[..rest.len()]);
    }
}

#[inline(always)]
fn add_group<const BITS: usize>(sums: &mut [u32; GROUP], group: &[[u8; 4]; BITS]) {
    for (sum, entry) in sums.iter_mut().zip(group_entries(group)) {
        *sum = sum.wrapping_add(entry) & lowest(BITS);
    }
}

#[inline(always)]
fn packed_group<const BITS: usize>(entries: &[u32; GROUP]) -> [[u8; 4]; BITS] {
    let mut words = [0; BITS];
    for (place, entry) in entries.iter().enumerate() {
        let entry = entry & lowest(BITS);
        let (word, shift) = (place * BITS / 32, place * BITS % 32);
        words[word] |= entry << shift;
        if shift + BITS > 32 {
            words[word + 1] |= entry >> (32 - shift);
        }
    }
    words.map(u32::to_le_bytes)
}

#[inline(always)]
fn group_entries<const BITS: usize>(words: &[[u8; 4]; BITS]) -> [u32; GROUP] {
    let words = words.map(u32::from_le_bytes);
    std::array::from_fn(|place| {
        let (word, shift) = (place * BITS / 32, place * BITS % 32);
        let high = if shift + BITS > 32 {
            words[word + 1] << (32 - shift)
        } else {
            0
        };
        (words[word] >> shift | high) & lowest(BITS)
    })
}

/// As [`low_bits`].
const fn lowest(bits: usize) -> u32 {
    u32::MAX >> (32 - bits)
}

/// A sum of vectors modulo a power of two, being added to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Total(pub(crate) Vec<u32>);

impl Total {
    /// A sum of nothing.
    pub(crate) fn zero(length: usize) -> Self {
        Self(vec![0; length])
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

    fn unpacked(packed: Packed<'_>) -> Vec<u32> {
        let mut entries = vec![0; packed.count];
        packed.add_to(&mut entries);
        entries
    }

    #[test]
    fn the_least_significant_bit_comes_first() {
        assert_eq!(pack(&[0b1, 0b10, 0b111], 3), [0b1101_0001, 0b1]);
        assert_eq!(pack(&[0x0123_4567], 32), [0x67, 0x45, 0x23, 0x01]);
        assert!(pack(&[], 7).is_empty());
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
        fn entries_survive_packing(bits in 1..=32_u32, entries in prop::collection::vec(any::<u32>(), 0..200)) {
            let bytes = pack(&entries, bits);
            let want: Vec<u32> = entries.iter().map(|entry| entry & low_bits(bits)).collect();
            prop_assert_eq!(bytes.len(), packed_length(entries.len(), bits));
            let packed = Packed::parse(&bytes, entries.len(), bits).unwrap();
            prop_assert_eq!(unpacked(packed), want);
        }

        #[test]
        fn bytes_are_one_vector_or_refused(
            bits in 1..=32_u32,
            count in 0..40_usize,
            bytes in prop::collection::vec(any::<u8>(), 0..170),
        ) {
            match Packed::parse(&bytes, count, bits) {
                Ok(packed) => prop_assert_eq!(pack(&unpacked(packed), bits), bytes),
                Err(PackError::Length { got, want }) => prop_assert_ne!(got, want),
                Err(PackError::Padding) => prop_assert_ne!(*bytes.last().unwrap(), 0),
            }
        }

        #[test]
        fn addition_is_modular(bits in 1..=32_u32, pairs in prop::collection::vec(any::<(u32, u32)>(), 0..100)) {
            let (one, other): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
            let mut sum: Vec<u32> = one.iter().map(|entry| entry & low_bits(bits)).collect();
            let bytes = pack(&other, bits);
            Packed::parse(&bytes, other.len(), bits).unwrap().add_to(&mut sum);
            for ((one, other), sum) in one.iter().zip(&other).zip(sum) {
                let modulus = 1_u64 << bits;
                prop_assert_eq!(u64::from(sum), (u64::from(*one) + u64::from(*other)) % modulus);
            }
        }
    }
}
