//! ChaCha20 keystream (RFC 8439) added to entries, many blocks side by side.
//!
//! A mask is as long as the model, and a site puts on one for each neighbour, so this is where a round's time goes.
//! Lane `i` of every vector belongs to block `i` of a strip (Bernstein 2008, section 3): no lane waits for another. The
//! order in which words are added to entries is the one in which such vectors have them, so nothing is put in order, and
//! no keystream lies in memory:
//!
//! ```text
//! a group, 16 blocks, for 256 entries:    entry 16 · w + k   word w of the group's block k
//! ```
//!
//! ```text
//! x86-64 with AVX-512   32 blocks together   keystream/avx512.rs, if the processor says that it has it
//! x86-64 with AVX2      16 blocks together   keystream/avx2.rs, if the processor says that it has it
//! WebAssembly            8 blocks together   keystream/simd128.rs
//! everything else       the `chacha20` crate, which has vectors of its own (SSE2, NEON)
//! ```

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
mod side_by_side;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Words of a block.
const BLOCK: usize = 16;
/// Blocks of a group.
const BLOCKS: usize = 16;
/// Entries of a group.
pub(crate) const GROUP: usize = BLOCK * BLOCKS;

/// The keystream of one key under a nonce of zero; never printed, wiped when dropped.
#[derive(Clone, ZeroizeOnDrop)]
pub(crate) struct Keystream([u8; 32]);

/// What is done with the words of a keystream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Combine {
    Add,
    Subtract,
}

impl Combine {
    /// What entries are xored with before and after an addition: `!(!entry + word)` is `entry - word`.
    fn flip(self) -> u32 {
        match self {
            Self::Add => 0,
            Self::Subtract => u32::MAX,
        }
    }
}

impl Keystream {
    /// The stream of the key with these bytes.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// Adds the words from group `first` on to `entries`, modulo 2^32, or subtracts them; words are read least
    /// significant byte first.
    ///
    /// # Panics
    ///
    /// Beyond 2^36 entries, where the keystream ends.
    pub(crate) fn combine(&self, first: usize, how: Combine, entries: &mut [u32]) {
        let mut state = self.state(first);
        let done = in_vectors(&state, how.flip(), entries);
        state.zeroize();
        self.combine_rest(first + done / GROUP, how, &mut entries[done..]);
    }

    /// As [`Keystream::combine`], by the crate's keystream.
    fn combine_rest(&self, first: usize, how: Combine, entries: &mut [u32]) {
        if entries.is_empty() {
            return;
        }
        let flip = how.flip();
        let mut stream = ChaCha20::new((&self.0).into(), &[0; 12].into());
        stream.seek(64 * u64::from(block(first)));
        let mut blocks = [[0; 4 * BLOCK]; BLOCKS];
        for entries in entries.chunks_mut(GROUP) {
            stream.write_keystream(blocks.as_flattened_mut());
            for (place, entry) in entries.iter_mut().enumerate() {
                let word = blocks[place % BLOCKS].as_chunks().0[place / BLOCKS];
                *entry = (*entry ^ flip).wrapping_add(u32::from_le_bytes(word)) ^ flip;
            }
        }
        blocks.as_flattened_mut().zeroize();
    }

    /// The state of RFC 8439, section 2.3, of this group's first block.
    fn state(&self, group: usize) -> [u32; BLOCK] {
        let mut state = [0; BLOCK];
        let (constants, rest) = state.split_at_mut(4);
        constants.copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
        for (word, bytes) in rest.iter_mut().zip(self.0.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        state[COUNTER] = block(group);
        state
    }
}

/// Where a block's number is in its state.
const COUNTER: usize = 12;

/// The number of a group's first block.
fn block(group: usize) -> u32 {
    u32::try_from(group * BLOCKS).expect("the keystream ends at 2^36 entries")
}

/// Adds whole groups from the block of `state` on to what entries are when xored with `flip`, where the processor has
/// vectors; gives how many entries that were.
#[cfg(target_arch = "x86_64")]
fn in_vectors(state: &[u32; BLOCK], flip: u32, entries: &mut [u32]) -> usize {
    if avx512::here() {
        avx512::combine(state, flip, entries)
    } else if avx2::here() {
        avx2::combine(state, flip, entries)
    } else {
        0
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
fn in_vectors(state: &[u32; BLOCK], flip: u32, entries: &mut [u32]) -> usize {
    simd128::combine(state, flip, entries)
}

#[cfg(not(any(
    target_arch = "x86_64",
    all(target_arch = "wasm32", target_feature = "simd128")
)))]
fn in_vectors(_state: &[u32; BLOCK], _flip: u32, _entries: &mut [u32]) -> usize {
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The words of the first blocks of a group, taken from entries in the order of the stream.
    fn blocks(key: [u8; 32]) -> Vec<String> {
        // Long enough for vectors to be used.
        let mut entries = [0_u32; 4 * GROUP];
        Keystream::new(key).combine(0, Combine::Add, &mut entries);
        let word = |place: usize| entries[place].to_le_bytes();
        (0..2)
            .map(|block| hex::encode([word(block), word(BLOCKS + block)].concat()))
            .collect()
    }

    /// RFC 8439, appendix A.1, test vectors 1, 2 and 3: the first two words of each.
    #[test]
    fn blocks_are_those_of_rfc_8439() {
        assert_eq!(blocks([0; 32]), ["76b8e0ada0f13d90", "9f07e7be5551387a"]);
        let mut key = [0; 32];
        key[31] = 1;
        assert_eq!(blocks(key)[1], "3aeb5224ecf84992");
    }

    proptest! {
        #[test]
        fn every_length_and_position_is_that_of_the_crate(
            key in any::<[u8; 32]>(),
            group in prop_oneof![0..300_usize, (1 << 28) - 300..(1_usize << 28) - 20],
            length in 0..5000_usize,
            value in any::<u32>(),
            how in prop_oneof![Just(Combine::Add), Just(Combine::Subtract)],
        ) {
            let mut stream = ChaCha20::new(&key.into(), &[0; 12].into());
            stream.seek(group as u64 * 16 * 64);
            let mut bytes = vec![0; length.next_multiple_of(256) * 4];
            stream.apply_keystream(&mut bytes);
            let words: Vec<u32> = bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
            let want: Vec<u32> = (0..length)
                .map(|place| {
                    let (group, word, block) = (place / 256, place % 256 / 16, place % 16);
                    words[group * 256 + block * 16 + word]
                })
                .map(|word| match how {
                    Combine::Add => value.wrapping_add(word),
                    Combine::Subtract => value.wrapping_sub(word),
                })
                .collect();
            let mut entries = vec![value; length];
            Keystream::new(key).combine(group, how, &mut entries);
            prop_assert_eq!(&entries, &want);
            let mut entries = vec![value; length];
            Keystream::new(key).combine_rest(group, how, &mut entries);
            prop_assert_eq!(&entries, &want, "without vectors");
        }
    }

    /// Processors with AVX-512 have AVX2 as well, and would not use it.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn both_widths_give_the_same() {
        let keystream = Keystream::new([5; 32]);
        let (mut one, mut other) = ([7; 3000], [7; 3000]);
        keystream.combine_rest(9, Combine::Subtract, &mut one);
        if !avx2::here() {
            return;
        }
        let done = avx2::combine(&keystream.state(9), u32::MAX, &mut other);
        assert_eq!(done, 2816);
        assert_eq!(one[..done], other[..done]);
        assert_eq!(other[done..], [7; 3000][done..]);
    }
}
