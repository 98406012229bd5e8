//! ChaCha20 keystream (RFC 8439) added to entries, many blocks side by side.
//!
//! A mask is as long as the model, and a site puts on one for each neighbour, so this is where a round's time goes.
//! Lane `i` of every vector belongs to block `i` of a group (Bernstein 2008, section 3): no lane waits for another until
//! words are put in their order, and then they are added to the entries at once, so no keystream lies in memory.
//!
//! ```text
//! x86-64 with AVX-512   16 blocks   keystream/avx512.rs, if the processor says that it has it
//! WebAssembly            4 blocks   keystream/simd128.rs
//! everything else        the `chacha20` crate, which has vectors of its own (AVX2, NEON)
//! ```

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Words of a block.
pub(crate) const BLOCK: usize = 16;

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

    /// Adds the words from `block` on to `entries`, modulo 2^32, or subtracts them; words are read least significant
    /// byte first.
    ///
    /// # Panics
    ///
    /// Never below block 2^32, where the keystream ends.
    pub(crate) fn combine(&self, block: u32, how: Combine, entries: &mut [u32]) {
        #[cfg(target_arch = "x86_64")]
        if avx512::here() {
            let (groups, rest) = entries.as_chunks_mut();
            let mut state = self.state(block);
            avx512::combine(&state, how.flip(), groups);
            state.zeroize();
            return self.combine_rest(after(block, groups.as_flattened()), how, rest);
        }
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        {
            let (groups, rest) = entries.as_chunks_mut();
            let mut state = self.state(block);
            simd128::combine(&state, how.flip(), groups);
            state.zeroize();
            return self.combine_rest(after(block, groups.as_flattened()), how, rest);
        }
        #[cfg_attr(
            all(target_arch = "wasm32", target_feature = "simd128"),
            expect(
                unreachable_code,
                reason = "on this target the vectors are always there"
            )
        )]
        self.combine_rest(block, how, entries)
    }

    /// As [`Keystream::combine`], by the crate's keystream.
    fn combine_rest(&self, block: u32, how: Combine, entries: &mut [u32]) {
        if entries.is_empty() {
            return;
        }
        let mut stream = ChaCha20::new((&self.0).into(), &[0; 12].into());
        stream.seek(u64::from(block) * 64);
        let mut bytes = [0; 4096];
        for entries in entries.chunks_mut(bytes.len() / 4) {
            let bytes = &mut bytes[..entries.len() * 4];
            stream.write_keystream(bytes);
            let flip = how.flip();
            for (entry, word) in entries.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *entry = (*entry ^ flip).wrapping_add(u32::from_le_bytes(*word)) ^ flip;
            }
        }
        bytes.zeroize();
    }

    /// The state of RFC 8439, section 2.3, of this block.
    #[cfg(any(
        target_arch = "x86_64",
        all(target_arch = "wasm32", target_feature = "simd128")
    ))]
    fn state(&self, block: u32) -> [u32; BLOCK] {
        let mut state = [0; BLOCK];
        let (constants, rest) = state.split_at_mut(4);
        constants.copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
        for (word, bytes) in rest.iter_mut().zip(self.0.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        state[12] = block;
        state
    }
}

/// The block after those that are spent on `entries`, whole blocks.
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
fn after(block: u32, entries: &[u32]) -> u32 {
    let blocks = u32::try_from(entries.len() / BLOCK).expect("the keystream ends at 2^36 words");
    block.wrapping_add(blocks)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 8439, section 2.3.2, without its nonce: appendix A.1, test vectors 1, 2 and 3.
    #[test]
    fn blocks_are_those_of_rfc_8439() {
        let block = |key, block| {
            // Long enough for vectors to be used.
            let mut entries = [0; 512];
            Keystream::new(key).combine(block, Combine::Add, &mut entries);
            let bytes: Vec<u8> = entries[..2]
                .iter()
                .flat_map(|word| word.to_le_bytes())
                .collect();
            hex::encode(bytes)
        };
        assert_eq!(block([0; 32], 0), "76b8e0ada0f13d90");
        assert_eq!(block([0; 32], 1), "9f07e7be5551387a");
        let mut key = [0; 32];
        key[31] = 1;
        assert_eq!(block(key, 1), "3aeb5224ecf84992");
    }

    proptest! {
        #[test]
        fn every_length_and_position_is_that_of_the_crate(
            key in any::<[u8; 32]>(),
            block in prop_oneof![0..5000_u32, u32::MAX - 5000..u32::MAX - 200],
            length in 0..3000_usize,
            value in any::<u32>(),
            how in prop_oneof![Just(Combine::Add), Just(Combine::Subtract)],
        ) {
            let mut stream = ChaCha20::new(&key.into(), &[0; 12].into());
            stream.seek(u64::from(block) * 64);
            let mut bytes = vec![0; length * 4];
            stream.apply_keystream(&mut bytes);
            let words = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
            let want: Vec<u32> = words
                .map(|word| match how {
                    Combine::Add => value.wrapping_add(word),
                    Combine::Subtract => value.wrapping_sub(word),
                })
                .collect();
            let mut entries = vec![value; length];
            Keystream::new(key).combine(block, how, &mut entries);
            prop_assert_eq!(&entries, &want);
            let mut entries = vec![value; length];
            Keystream::new(key).combine_rest(block, how, &mut entries);
            prop_assert_eq!(&entries, &want, "without vectors");
        }
    }
}
